//! Failures as transports tell them: one total match from the service's kinds to HTTP (RFC 9457), one to gRPC.

use axum::http::StatusCode;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use forewatt_service::{Error, ErrorKind};
use serde::{Serialize, Serializer};
use tonic::Code;
use utoipa::ToSchema;

use crate::http::mlflow;
use crate::http::mlflow::refuse::MlflowRefusal;
use crate::http::oip::OipError;
use crate::http::timeseries::TimeseriesRefusal;

/// The media type of RFC 9457.
pub const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// How long a client that met a full server should wait, in seconds.
const RETRY_AFTER_S: u32 = 1;

/// One thing wrong with a request, beside the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: `query.horizon`, `body.observations[3].value`, `header.host`.
    pub field: String,
    /// What is wrong with it and how to mend it.
    pub detail: String,
}

/// An error answer of RFC 9457, `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// A stable identifier of the kind of problem: `urn:forewatt:problem:not-found`.
    #[serde(rename = "type", serialize_with = "as_urn")]
    pub kind: &'static str,
    /// The kind of problem in words; the same for every problem of this type.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened here, where, and how to mend it.
    pub detail: String,
    /// The path that was asked for.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub instance: Box<str>,
    /// The id under which the server's log knows this request.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub request_id: Box<str>,
    /// The parts of the request that are wrong, when they can be named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// A kind such as `not_found` as a URN.
fn as_urn<S: Serializer>(kind: &&'static str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("urn:forewatt:problem:{}", kind.replace('_', "-")))
}

impl Problem {
    /// A problem of a kind (`not_found`) under a title, with its detail.
    pub fn new(
        status: StatusCode,
        kind: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            title,
            status: status.as_u16(),
            detail: detail.into(),
            instance: Box::default(),
            request_id: Box::default(),
            errors: Vec::new(),
        }
    }

    /// 400 for one named part of the request.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        Self::invalid_fields(vec![FieldError { field, detail }])
    }

    /// 400 for several named parts; the detail joins theirs.
    #[must_use]
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let details: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.detail)).collect();
        let problem = Self::from(Error::invalid(details.join("; ")));
        Self { errors, ..problem }
    }

    /// 413 with the limit that was passed.
    #[must_use]
    pub fn too_large(max_bytes: usize) -> Self {
        let detail = format!("the body is larger than the limit of {max_bytes} bytes: send it in parts");
        Self::from(Error::new(ErrorKind::TooLarge, detail))
    }

    /// The body, and its media type, as the clients of a path read it.
    #[must_use]
    pub fn spoken(&self, path: &str) -> (HeaderValue, Vec<u8>) {
        if path == "/v2" || path.starts_with("/v2/") {
            return (HeaderValue::from_static("application/json"), OipError::body(&self.detail));
        }
        if path.starts_with("/v1/timeseries/") {
            return (HeaderValue::from_static("application/json"), TimeseriesRefusal::body(self));
        }
        if path.starts_with(mlflow::PREFIX) {
            return (HeaderValue::from_static("application/json"), MlflowRefusal::body(self));
        }
        // Text, numbers and lists always serialise.
        (PROBLEM_JSON, serde_json::to_vec(self).unwrap_or_default())
    }

    /// The status as axum knows it.
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        // Every constructor takes a StatusCode, so the number is always one.
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// The HTTP face of every kind of failure: status and title.
const fn http_face(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::InvalidInput => (StatusCode::BAD_REQUEST, "The request is not valid"),
        ErrorKind::Forbidden => (StatusCode::FORBIDDEN, "Not in your rights"),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        ErrorKind::Conflict => (StatusCode::CONFLICT, "In conflict with what is stored"),
        ErrorKind::NoModel => (StatusCode::CONFLICT, "The series has no model yet"),
        ErrorKind::InsufficientData => (StatusCode::UNPROCESSABLE_ENTITY, "Too few data"),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Larger than the limit"),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Busy for the moment"),
        ErrorKind::Timeout => (StatusCode::GATEWAY_TIMEOUT, "Not done in time"),
        ErrorKind::Corrupt => (StatusCode::INTERNAL_SERVER_ERROR, "Stored data are damaged"),
        ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "A fault of the server"),
    }
}

/// The gRPC face of every kind of failure.
pub const fn grpc_code(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidInput => Code::InvalidArgument,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict | ErrorKind::NoModel | ErrorKind::InsufficientData => Code::FailedPrecondition,
        ErrorKind::TooLarge => Code::OutOfRange,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = http_face(error.kind);
        Self::new(status, error.kind.as_str(), title, error.message)
    }
}

impl IntoResponse for Problem {
    /// The problem rides along in the response's extensions: the outermost layer adds `instance` and `request_id`.
    fn into_response(self) -> Response {
        let status = self.status_code();
        let body = serde_json::to_vec(&self).unwrap_or_default(); // text, numbers and lists always serialise
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if status == StatusCode::PAYLOAD_TOO_LARGE || status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the body is not read, so the connection cannot be used again.
            headers.insert(HeaderName::from_static("connection"), HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// What every handler returns.
pub type HttpResult<T = Response> = Result<T, Problem>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_face_and_a_shape() {
        for kind in [ErrorKind::InvalidInput, ErrorKind::Unavailable, ErrorKind::Internal, ErrorKind::NoModel]
        {
            let problem = Problem::from(Error::new(kind, "what, where, mend"));
            assert!(problem.status >= 400);
            let json = serde_json::to_value(&problem).unwrap();
            let urn = json["type"].as_str().unwrap();
            assert!(urn.starts_with("urn:forewatt:problem:") && !urn.contains('_'), "{urn}");
            let response = problem.clone().into_response();
            assert_eq!(response.status(), problem.status_code());
            assert_eq!(response.headers()[header::CONTENT_TYPE], PROBLEM_JSON);
            let retry = response.headers().contains_key(header::RETRY_AFTER);
            assert_eq!(retry, kind == ErrorKind::Unavailable);
        }
    }

    #[test]
    fn several_wrong_fields_are_told_at_once() {
        let fields =
            ["query.a", "query.b"].map(|f| FieldError { field: f.to_owned(), detail: "wrong".to_owned() });
        let problem = Problem::invalid_fields(fields.to_vec());
        assert_eq!(problem.errors.len(), 2);
        assert_eq!(problem.detail, "query.a: wrong; query.b: wrong");
    }
}
