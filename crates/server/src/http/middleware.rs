//! The whole inbound stack in one place, in order, with the why.
//!
//! From the outside in, a request passes:
//! 1. **request id**: taken from `X-Request-Id` when it is harmless, else made; first, so that every answer carries one;
//! 2. **admission**, before any byte of the body is read: the `Host` check (DNS rebinding), the origin check (there is
//!    no login yet, so a page of another site must not write), the announced size, and the number at work;
//! 3. **span**: method, route, request id and the caller's `traceparent`, so that log lines can be joined across services;
//! 4. **deadline**: a request that takes longer is dropped and answered 504;
//! 5. **panic guard**: innermost, so that a panic is one 500 and neither the connection nor the process;
//! 6. the route; `compress` around it packs large text;
//! 7. on the way out: `instance` and `request_id` into problems, security headers, ETag of packed answers, metrics.
//!
//! One function instead of seven tower layers: each layer costs a boxed future and a cloned service per request, and
//! the cached forecast is measured in microseconds.

use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use forewatt_service::{Error, ErrorKind};
use futures::FutureExt as _;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};
use tracing::Instrument as _;

use crate::error::{PROBLEM_JSON, Problem};
use crate::http::AppState;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest request id taken from a client, in bytes.
const REQUEST_ID_MAX_BYTES: usize = 64;
/// Answers shorter than this are not packed: it would cost more than it saves. In bytes.
const COMPRESS_MIN_BYTES: u64 = 2_048;
/// The end of the entity tag of a packed answer: other bytes need another strong tag.
const GZIP_TAG_END: &str = "-gzip\"";
/// The word for requests that no route matched: paths of strangers must not become label values.
const UNMATCHED: &str = "unmatched";

/// Everything may come from this server and nothing from elsewhere; nobody may frame it. `data:` images are the icons of
/// the charts' toolbar. The hash is that of the empty text: plotly adds an empty style element and fills it by script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:; connect-src 'self'; \
     font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The gate every request passes.
pub async fn gate(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route_name = route.as_ref().map_or(UNMATCHED, MatchedPath::as_str);
    forget_gzip_tag(request.headers_mut());

    let span = tracing::info_span!("request", method = %method, route = route_name, request_id = id.to_str().unwrap_or_default(),
        trace_id = trace_id(request.headers()).unwrap_or_default());
    let mut response = match admit(&app, &request, route_name) {
        Ok(_permit) => guarded(&app, request, next).instrument(span.clone()).await,
        Err(problem) => problem.into_response(),
    };

    finish_problem(&mut response, &path, &id);
    finish_headers(response.headers_mut(), id);
    let status = response.status();
    let seconds = started.elapsed().as_secs_f64();
    record(&method, route, status, seconds);
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), seconds, path, "answered with a server error");
        } else {
            tracing::debug!(status = status.as_u16(), seconds, path, "answered");
        }
    });
    response
}

/// Steps 4 and 5: the deadline around the panic guard around the route.
async fn guarded(app: &AppState, request: Request, next: Next) -> Response {
    let timeout = app.options.request_timeout;
    match tokio::time::timeout(timeout, AssertUnwindSafe(next.run(request)).catch_unwind()).await {
        Ok(Ok(response)) => response,
        // The panic hook has logged the message and the place already.
        Ok(Err(_panic)) => Problem::from(Error::internal(
            "the server met a fault of its own; the log has more under this request id",
        ))
        .into_response(),
        Err(_elapsed) => {
            let detail = format!("not done within {} ms: ask for less, or try again", timeout.as_millis());
            Problem::from(Error::new(ErrorKind::Timeout, detail)).into_response()
        }
    }
}

/// Step 2: may this request be worked on? The permit is held until the answer is ready.
fn admit<'a>(
    app: &'a AppState,
    request: &Request,
    route: &str,
) -> Result<Option<tokio::sync::SemaphorePermit<'a>>, Problem> {
    check_host(app, request.uri(), request.headers())?;
    check_origin(request.method(), request.uri(), request.headers())?;
    check_announced_size(app, request.headers())?;
    if matches!(route, "/health/live" | "/health/ready" | "/metrics") {
        return Ok(None); // probes must be answered most of all when the server is full
    }
    app.at_work.try_acquire().map(Some).map_err(|_| {
        let detail =
            format!("{} requests are being worked on, the limit: try again", app.options.concurrency_max);
        Problem::from(Error::new(ErrorKind::Unavailable, detail))
    })
}

/// On a loopback address only local names may be asked for: a page of another site whose name was made to point here
/// (DNS rebinding) sends its own name. Requests without a host are not from browsers.
fn check_host(app: &AppState, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if !app.options.loopback_only {
        return Ok(());
    }
    let Some(host) = host_of(uri, headers) else { return Ok(()) };
    if is_local_host(host_without_port(&host)) {
        return Ok(());
    }
    let detail = format!("the Host `{host}` is not this computer: use localhost or 127.0.0.1");
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", "Not a name of this server", detail))
}

/// The host asked for, with its port, in lower case.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let from_header =
        || headers.get(header::HOST).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    uri.authority().map(|a| a.as_str().to_owned()).or_else(from_header).map(|host| host.to_ascii_lowercase())
}

/// `name:80` and `[::1]:80` without the port.
fn host_without_port(host: &str) -> &str {
    match host.rfind(':') {
        Some(colon) if !host.ends_with(']') => &host[..colon],
        _ => host,
    }
}

/// Whether a host names this computer: `localhost`, `*.localhost`, a loopback address.
fn is_local_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A browser that writes for a page of another site is refused. Programs send neither header and pass.
fn check_origin(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if method.is_safe() {
        return Ok(());
    }
    let site = headers.get(SEC_FETCH_SITE).map(HeaderValue::as_bytes);
    let other_site = site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
    let other_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let origin = String::from_utf8_lossy(origin.as_bytes()).to_ascii_lowercase();
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_none() || authority != host_of(uri, headers).as_deref()
    });
    if !other_site && !other_origin {
        return Ok(());
    }
    let detail = "a page of another site may not write here: call the API from a program, or from this server's own page";
    Err(Problem::new(StatusCode::FORBIDDEN, "cross_origin", "Refused across origins", detail))
}

/// A body that announces more than the limit is refused before it is sent.
fn check_announced_size(app: &AppState, headers: &HeaderMap) -> Result<(), Problem> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let max_bytes = app.options.body_max_bytes;
    match announced {
        Some(bytes) if bytes > max_bytes as u64 => Err(Problem::too_large(max_bytes)),
        _ => Ok(()),
    }
}

/// The client's request id when it is short and plain, else a new one: random per process, rising within it.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("request id"));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let harmless = |v: &&HeaderValue| {
        (1..=REQUEST_ID_MAX_BYTES).contains(&v.len())
            && v.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if let Some(id) = headers.get(X_REQUEST_ID).filter(harmless) {
        return id.clone();
    }
    let text = format!("{:08x}-{:08x}", *PROCESS as u32, NEXT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("none")) // hex digits are always a header value
}

/// The trace id of a W3C `traceparent` (`00-<32 hex>-<16 hex>-<2 hex>`).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let id = text.get(3..35)?;
    let well_formed = text.len() >= 55 && text.as_bytes()[2] == b'-' && text.as_bytes()[35] == b'-';
    (well_formed && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

/// Adds to a problem what only this layer knows, and turns any other error answer into a problem.
fn finish_problem(response: &mut Response, path: &str, id: &HeaderValue) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let problem = response.extensions_mut().remove::<Problem>();
    let mut problem = problem.unwrap_or_else(|| {
        let title = status.canonical_reason().unwrap_or("Refused");
        Problem::new(status, "http", title, title)
    });
    problem.instance = path.into();
    problem.request_id = id.to_str().unwrap_or_default().into();
    let body = serde_json::to_vec(&problem).unwrap_or_default(); // text, numbers and lists always serialise
    response.headers_mut().remove(header::CONTENT_LENGTH); // hyper counts the new body
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
    *response.body_mut() = body.into();
}

/// Headers of every answer.
fn finish_headers(headers: &mut HeaderMap, id: HeaderValue) {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|v| v == "gzip") {
        let tag = headers
            .get(header::ETAG)
            .and_then(|v| v.to_str().ok())
            .filter(|tag| !tag.ends_with(GZIP_TAG_END));
        let packed = tag.and_then(|tag| tag.strip_suffix('"')).map(|tag| format!("{tag}{GZIP_TAG_END}"));
        if let Some(packed) = packed.and_then(|tag| HeaderValue::try_from(tag).ok()) {
            headers.insert(header::ETAG, packed);
        }
    }
    headers.insert(X_REQUEST_ID, id);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// A client that holds the packed answer holds the same content: handlers see the tag without its `-gzip`.
fn forget_gzip_tag(headers: &mut HeaderMap) {
    let held = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let Some(text) = held.filter(|text| text.contains(GZIP_TAG_END)) else { return };
    if let Ok(plain) = HeaderValue::try_from(text.replace(GZIP_TAG_END, "\"")) {
        headers.insert(header::IF_NONE_MATCH, plain);
    }
}

/// Counts the request and its duration. Labels are bounded: route templates, known methods, statuses.
fn record(method: &Method, route: Option<MatchedPath>, status: StatusCode, seconds: f64) {
    let method = match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };
    let route =
        route.map_or_else(|| metrics::SharedString::const_str(UNMATCHED), |r| r.as_str().to_owned().into());
    let labels = [
        metrics::Label::from_static_parts("method", method),
        metrics::Label::new("route", route),
        metrics::Label::new("status", status.as_u16().to_string()),
    ];
    metrics::counter!("forewatt_http_requests_total", labels[..].iter()).increment(1);
    metrics::histogram!("forewatt_http_request_duration_seconds", labels[..2].iter()).record(seconds);
}

/// Packs JSON, CSV, HTML and scripts when they are large and the client asked for it.
pub fn compress() -> CompressionLayer<impl Predicate> {
    let text = |_: StatusCode, _: axum::http::Version, headers: &HeaderMap, _: &axum::http::Extensions| {
        let media = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        media.starts_with(b"application/json")
            || media.starts_with(b"text/")
            || media.starts_with(b"application/openapi")
    };
    CompressionLayer::new()
        .gzip(true)
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(COMPRESS_MIN_BYTES).and(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_hosts_are_told_from_others() {
        for host in
            ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:80", "[::1]", "a.localhost", "127.9.9.9"]
        {
            assert!(is_local_host(host_without_port(host)), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example:80", "10.0.0.1", "", "[::2]:80", "127.0.0.1.nip.io"]
        {
            assert!(!is_local_host(host_without_port(host)), "{host}");
        }
    }

    #[test]
    fn request_ids_are_kept_only_when_harmless() {
        let with = |id: &'static str| HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static(id))]);
        assert_eq!(request_id(&with("abc-1")), "abc-1");
        assert_ne!(request_id(&with("<script>")), "<script>");
        assert_ne!(request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
    }

    #[test]
    fn trace_ids_are_read_from_well_formed_parents_only() {
        let of = |text: &'static str| {
            let headers = HeaderMap::from_iter([(TRACEPARENT, HeaderValue::from_static(text))]);
            trace_id(&headers).map(str::to_owned)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(of(good).as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(of("00-xyz"), None);
        assert_eq!(of("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01"), None);
    }
}
