//! What the gate does for gRPC alone: the caller's deadline, streams held to it, refusals as statuses.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode};
use forewatt_service::admission::Place;
use http_body::Frame;
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status};

use crate::error::Problem;

/// Methods that a full server answers all the same.
pub const PROBES: [&str; 4] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
];

/// The one stream that may last: it tells of health for as long as somebody listens, and has a limit of its own.
pub const LASTING: &str = "/grpc.health.v1.Health/Watch";

/// How long a client that met a full server should wait, in ms, as gRPC's retry policies read it.
const PUSHBACK_MS: u32 = 1_000;

/// Whether a request speaks gRPC.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    media
        .strip_prefix(b"application/grpc")
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The time the caller gives: `grpc-timeout`, one to eight digits and a unit.
///
/// # Errors
/// 400 when the header is not such a text.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let read = value.to_str().ok().and_then(|text| {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let count: u64 = digits.parse().ok().filter(|_| plain)?;
        Some(match unit {
            "H" => Duration::from_secs(count * 3_600),
            "M" => Duration::from_secs(count * 60),
            "S" => Duration::from_secs(count),
            "m" => Duration::from_millis(count),
            "u" => Duration::from_micros(count),
            "n" => Duration::from_nanos(count),
            _ => return None,
        })
    });
    let detail = "is not a time such as 500m: one to eight digits and one of H M S m u n";
    read.map(Some).ok_or_else(|| Problem::invalid("grpc-timeout", detail))
}

/// Holds an answer's stream to the deadline, and its place among those at work until its end.
pub fn hold<B>(response: Response<B>, place: Option<Place>, deadline: Option<Instant>) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    response.map(|body| {
        if body.is_end_stream() {
            finish(place);
            return Body::new(body);
        }
        let alarm = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
        Body::new(Held { body: Some(Body::new(body)), alarm, place })
    })
}

/// The work is done; probes have no place to give back.
pub fn finish(place: Option<Place>) {
    if let Some(place) = place {
        place.finish();
    }
}

/// A stream that ends with `DEADLINE_EXCEEDED` when its time is over.
struct Held {
    /// `None` once it has ended; dropping it stops the work behind it.
    body: Option<Body>,
    alarm: Option<Pin<Box<Sleep>>>,
    /// Given back at the end; before it, the caller has gone.
    place: Option<Place>,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(None) };
        let next = Pin::new(body).poll_frame(context);
        if let Poll::Ready(frame) = &next {
            let ended = frame.as_ref().is_none_or(|frame| frame.as_ref().map_or(true, Frame::is_trailers));
            if ended {
                finish(self.place.take());
            }
            return next;
        }
        let over = self.alarm.as_mut().is_some_and(|alarm| alarm.as_mut().poll(context).is_ready());
        if !over {
            return Poll::Pending;
        }
        self.body = None;
        finish(self.place.take());
        let status =
            Status::deadline_exceeded("the stream did not end in time: ask for less, or give more time");
        let mut trailers = HeaderMap::new();
        // The text is plain, so it is a header; without it the stream would end without a status, an error too.
        let _ = status.add_header(&mut trailers);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }
}

/// The code of a refusal by the gate. What the services refuse has its own: `crate::error::grpc_code`.
const fn refusal(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => Code::PermissionDenied,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Code::Unimplemented,
        StatusCode::PAYLOAD_TOO_LARGE => Code::OutOfRange,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Code::ResourceExhausted,
        StatusCode::GATEWAY_TIMEOUT => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

/// Turns a refusal by the gate into an answer that a gRPC client understands; other answers stay.
pub fn speak(response: &mut axum::response::Response) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let detail = response.extensions_mut().remove::<Problem>().map(|problem| problem.detail);
    let detail = detail.unwrap_or_else(|| status.canonical_reason().unwrap_or("refused").to_owned());
    let code = refusal(status);
    let told = response.headers().get(header::RETRY_AFTER).and_then(|s| s.to_str().ok()?.parse().ok());
    let pushback_ms = told.map_or(PUSHBACK_MS, |seconds: u32| seconds.saturating_mul(1_000));
    *response = Status::new(code, detail).into_http();
    if code == Code::ResourceExhausted {
        response.headers_mut().insert("grpc-retry-pushback-ms", HeaderValue::from(pushback_ms));
    }
}

/// The HTTP status that says about the same, for metrics and logs: over the wire it is always 200.
pub fn counted_as(response: &axum::response::Response) -> StatusCode {
    let code =
        response.headers().get("grpc-status").map_or(Code::Ok, |value| Code::from_bytes(value.as_bytes()));
    match code {
        Code::Ok => response.status(),
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::NotFound | Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted | Code::Cancelled => {
            StatusCode::CONFLICT
        }
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use forewatt_service::admission::{Admission, Class};

    use super::*;

    fn asked(text: &'static str) -> Option<Option<Duration>> {
        let headers =
            HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), HeaderValue::from_static(text))]);
        timeout(&headers).ok()
    }

    #[test]
    fn timeouts_are_read_or_refused() {
        assert_eq!(asked("500m"), Some(Some(Duration::from_millis(500))));
        assert_eq!(asked("2H"), Some(Some(Duration::from_secs(7_200))));
        assert_eq!(asked("99999999n"), Some(Some(Duration::from_nanos(99_999_999))));
        for wrong in ["", "m", "5", "5x", "-5m", "123456789m", "5 m", "+5m"] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn grpc_is_told_from_its_neighbours() {
        let is =
            |text| is_grpc(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]));
        assert!(is("application/grpc") && is("application/grpc+proto") && is("application/grpc;x=y"));
        assert!(!is("application/grpc-web") && !is("application/json") && !is_grpc(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_stream_that_lasts_too_long_ends_with_a_status() {
        let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, axum::BoxError>>());
        let gate = Admission::new(&crate::http::tests::fixed_admission(0), 1);
        let place = gate.try_enter(Class::Interactive);
        let held = hold(Response::new(endless), place, Some(Instant::now()));
        assert!(gate.try_enter(Class::Interactive).is_none());
        let mut body = held.into_body();
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
        assert_eq!(frame.into_trailers().unwrap()["grpc-status"], "4");
        drop(body);
        assert!(gate.try_enter(Class::Interactive).is_some(), "its place is free again");
    }
}
