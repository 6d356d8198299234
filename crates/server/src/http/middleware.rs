//! The whole inbound stack in one place, in order, with the why.
//!
//! From the outside in, a request passes:
//! 1. **request id**: taken from `X-Request-Id` when it is harmless, else made; first, so that every answer carries one;
//! 2. **admission**, before any byte of the body is read: the `Host` check (DNS rebinding), the origin check (a page of
//!    another site must not write, unless `cors.allowed_origins` names it), the announced size, and a place among those at work,
//!    by the request's class (`http/admission.rs`): it may wait for one a moment;
//!    then **access** (`access.rs`): the key, its scope and the caller's limits, and the audit log on the way out;
//! 3. **span**: method, route, request id and the caller's `traceparent`, so that log lines can be joined across
//!    services; at debug level, for writing a span costs as much as the cached forecast it would be about;
//! 4. **deadline**: a request that takes longer is dropped and answered 504; the caller may give less time, and a stream
//!    of answers is held to it too. Dropping it leaves every queue inside: for the database, for a shared computation, for
//!    a thread. The same happens when the caller goes;
//! 5. **panic guard**: innermost, so that a panic is one 500 and neither the connection nor the process;
//! 6. the route;
//! 7. on the way out: gzip for large text, `instance` and `request_id` into problems, security headers, metrics, and a
//!    log line with all of the above when the server is at fault.
//!
//! One function instead of seven tower layers: each layer costs a boxed future and a cloned service per request, and
//! the cached forecast is measured in microseconds.

use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use forewatt_service::admission::{Class, Place};
use forewatt_service::{Error, ErrorKind};
use futures::FutureExt as _;
use tokio::time::Instant as Deadline;
use tracing::Instrument as _;

use crate::error::Problem;
use crate::grpc::edge;
use crate::http::access::{self, Asking};
use crate::http::cors;
use crate::http::meters::UNMATCHED;
use crate::http::pack;
use crate::http::{AppState, admission};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The longest request id taken from a client, in bytes.
const REQUEST_ID_MAX_BYTES: usize = 64;

/// Everything may come from this server and nothing from elsewhere; nobody may frame it. `data:` images are the icons of
/// the charts' toolbar. The hash is that of the empty text: plotly adds an empty style element and fills it by script.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
     style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:; connect-src 'self'; \
     font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What is remembered of a request while it is worked on; cheap clones.
struct Asked {
    started: Instant,
    id: HeaderValue,
    method: Method,
    uri: Uri,
    route: Option<MatchedPath>,
    trace_id: String,
    takes_gzip: bool,
    holds_packed: bool,
    /// Refusals are told as gRPC tells them.
    grpc: bool,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let headers = request.headers();
        Self {
            started: Instant::now(),
            id: request_id(headers),
            method: request.method().clone(),
            uri: request.uri().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            trace_id: trace_id(headers).map_or_else(String::new, str::to_owned),
            takes_gzip: pack::takes_gzip(headers),
            holds_packed: pack::holds_packed(headers),
            grpc: edge::is_grpc(headers),
        }
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    fn asking(&self) -> Asking {
        Asking { method: self.method.clone(), route: self.route.clone(), id: self.id.clone() }
    }

    fn id_text(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }
}

/// The gate every request passes.
pub async fn gate(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let asked = Asked::of(&request);
    if asked.holds_packed {
        pack::forget_packed_tag(request.headers_mut());
    }
    let origin = cors::allowed(&app.options.cors_origins, request.headers());
    let checked = check(&app, &request, &asked, origin.is_some());
    let response = match admit(&app, checked, &asked).await {
        Ok(_) if origin.is_some() && cors::is_preflight(&request) => cors::preflight(),
        Ok(Admitted { place, timeout, deadline }) => {
            let span = tracing::debug_span!("request", method = %asked.method, route = asked.route(),
                request_id = asked.id_text(), trace_id = asked.trace_id);
            let response = match access::enter(&app, request.headers(), asked.asking()).await {
                Ok(visit) => {
                    request.headers_mut().remove(header::AUTHORIZATION); // no route needs it, so none can leak it
                    let call = Arc::clone(&visit.call);
                    let work = guarded((timeout, deadline), request, next).instrument(span);
                    visit.leave(call.scope(work).await, asked.grpc).await
                }
                Err(refusal) => *refusal,
            };
            if asked.grpc {
                let deadline = (asked.uri.path() != edge::LASTING).then_some(deadline);
                edge::hold(response, place, deadline)
            } else {
                edge::finish(place);
                response
            }
        }
        Err(problem) => problem.into_response(),
    };
    let (mut response, status) = finish(response, &asked).await;
    cors::permit(response.headers_mut(), origin, &app.options.cors_origins);
    let seconds = asked.started.elapsed().as_secs_f64();
    app.meters.record(&asked.method, asked.route(), status, seconds);
    if status.is_server_error() {
        tracing::warn!(status = status.as_u16(), seconds, method = %asked.method, path = asked.uri.path(),
            request_id = asked.id_text(), trace_id = asked.trace_id, "answered with a server error");
    }
    response
}

/// Step 7: the answer as it leaves, and the status it counts as.
async fn finish(mut response: Response, asked: &Asked) -> (Response, StatusCode) {
    if asked.grpc {
        edge::speak(&mut response);
        response.headers_mut().insert(X_REQUEST_ID, asked.id.clone());
        let status = edge::counted_as(&response);
        return (response, status);
    }
    let mut response = pack::pack(response, asked.takes_gzip).await;
    finish_problem(&mut response, asked);
    finish_headers(&mut response, asked);
    let status = response.status();
    (response, status)
}

/// Steps 4 and 5: the deadline around the panic guard around the route.
async fn guarded((timeout, deadline): (Duration, Deadline), request: Request, next: Next) -> Response {
    match tokio::time::timeout_at(deadline, AssertUnwindSafe(next.run(request)).catch_unwind()).await {
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

/// Leave to work on a request.
struct Admitted {
    /// Held until the answer is ready, or its stream has ended; none for probes.
    place: Option<Place>,
    /// The configured time, or the caller's when that is shorter.
    timeout: Duration,
    /// When it is over, counted from the request's arrival.
    deadline: Deadline,
}

/// Step 2: may this request be worked on, now or in a moment?
async fn admit(app: &AppState, checked: Result<Wish, Problem>, asked: &Asked) -> Result<Admitted, Problem> {
    let Wish { class, timeout } = checked?;
    let deadline = asked.started + timeout;
    let place = match class {
        None => None, // to be answered most of all when the server is full
        Some(class) => Some(app.admission.enter(class, deadline).await.map_err(admission::refused)?),
    };
    Ok(Admitted { place, timeout, deadline: deadline.into() })
}

/// What a request asks of admission.
struct Wish {
    /// None for probes.
    class: Option<Class>,
    timeout: Duration,
}

/// What can be told of a request at a glance. Not a part of [`admit`], for a body cannot be looked at across a wait.
fn check(app: &AppState, request: &Request, asked: &Asked, friend: bool) -> Result<Wish, Problem> {
    check_host(app, request.uri(), request.headers())?;
    if !friend {
        check_origin(request.method(), request.uri(), request.headers())?;
    }
    check_announced_size(app, request.headers())?;
    let configured = app.options.request_timeout;
    let headers = request.headers();
    let given = if asked.grpc { edge::timeout(headers)? } else { admission::timeout(headers)? };
    let timeout = given.map_or(configured, |given| given.min(configured));
    Ok(Wish { class: admission::class(asked.route(), &asked.method, headers), timeout })
}

/// On a loopback address only local names may be asked for: a page of another site whose name was made to point here
/// (DNS rebinding) sends its own name. Requests without a host are not from browsers.
fn check_host(app: &AppState, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    if !app.options.loopback_only {
        return Ok(());
    }
    let Some(host) = host_of(uri, headers) else { return Ok(()) };
    let host = String::from_utf8_lossy(host);
    if is_local_host(host_without_port(&host)) {
        return Ok(());
    }
    let detail = format!("the Host `{host}` is not this computer: use localhost or 127.0.0.1");
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", "Not a name of this server", detail))
}

/// The host asked for, with its port.
fn host_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a [u8]> {
    let from_header = || headers.get(header::HOST).map(HeaderValue::as_bytes);
    uri.authority().map(|authority| authority.as_str().as_bytes()).or_else(from_header)
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
    let last_label = host.rsplit('.').next().unwrap_or_default();
    last_label.eq_ignore_ascii_case("localhost")
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
        let authority =
            origin.to_str().ok().and_then(|text| text.split_once("://")).map(|(_, authority)| authority);
        let own = host_of(uri, headers);
        !authority.zip(own).is_some_and(|(theirs, own)| theirs.as_bytes().eq_ignore_ascii_case(own))
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

/// A text that no other request of this process has, and hardly one of another.
pub fn fresh_id() -> String {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("request id"));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:08x}-{:08x}", *PROCESS as u32, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The client's request id when it is short and plain, else a new one: random per process, rising within it.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let harmless = |v: &&HeaderValue| {
        (1..=REQUEST_ID_MAX_BYTES).contains(&v.len())
            && v.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    if let Some(id) = headers.get(X_REQUEST_ID).filter(harmless) {
        return id.clone();
    }
    HeaderValue::from_str(&fresh_id()).unwrap_or(HeaderValue::from_static("none")) // hex digits are always a header value
}

/// The trace id of a W3C `traceparent` (`00-<32 hex>-<16 hex>-<2 hex>`).
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(TRACEPARENT)?.to_str().ok()?;
    let id = text.get(3..35)?;
    let well_formed = text.len() >= 55 && text.as_bytes()[2] == b'-' && text.as_bytes()[35] == b'-';
    (well_formed && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

/// Adds to a problem what only this layer knows, and turns any other error answer into a problem.
fn finish_problem(response: &mut Response, asked: &Asked) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let problem = response.extensions_mut().remove::<Problem>();
    let mut problem = problem.unwrap_or_else(|| {
        let title = status.canonical_reason().unwrap_or("Refused");
        Problem::new(status, "http", title, title)
    });
    problem.instance = asked.uri.path().into();
    problem.request_id = asked.id_text().into();
    let (media, body) = problem.spoken(asked.uri.path());
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH); // hyper counts the new body
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(header::CONTENT_TYPE, media);
    *response.body_mut() = body.into();
}

/// Headers of every answer.
fn finish_headers(response: &mut Response, asked: &Asked) {
    let not_modified = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if not_modified && asked.holds_packed {
        pack::restore_packed_tag(headers);
    }
    headers.reserve(6);
    headers.insert(X_REQUEST_ID, asked.id.clone());
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
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
