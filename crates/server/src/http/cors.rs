//! Pages of other sites: closed, except for the origins that the configuration names (Fetch standard, CORS protocol).

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::Response;

/// How long a browser may remember an answer to its question before the request, in seconds.
const MAX_AGE_S: u32 = 600;
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, content-encoding, if-none-match, x-request-id, traceparent",
);
/// What a page may read beside the body.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("etag, location, retry-after, ratelimit, ratelimit-policy, x-request-id");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The request's origin when it is one of those that are named.
pub fn allowed(named: &[String], headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(header::ORIGIN)?;
    named.iter().any(|name| name.as_bytes() == origin.as_bytes()).then(|| origin.clone())
}

/// Whether a browser asks before it sends the request itself.
pub fn is_preflight(request: &Request) -> bool {
    *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to such a question.
pub fn preflight() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE_S));
    response
}

/// Lets the page of a named origin read the answer. Never with credentials: keys are sent, not stored by browsers.
pub fn permit(headers: &mut HeaderMap, origin: Option<HeaderValue>, named: &[String]) {
    if named.is_empty() {
        return;
    }
    headers.append(header::VARY, HeaderValue::from_static("origin")); // a cache must not give one's answer to another
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
}
