//! Who may come in, for REST and gRPC alike: the key, its scope, the caller's limits; on the way out, the audit log.
//!
//! Refusals tell a client nothing: every key that does not open gets the same 401, every missing right the same 403,
//! whether what was asked for is there or not. The audit log and the metrics know the difference.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::MatchedPath;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use forewatt_service::access::config::{AuthConfig, RateLimitConfig};
use forewatt_service::access::{
    self, Call, Denied, Entered, Guard, KEY_PREFIX, Limiter, Oidc, Refusal, RefusalLog, Standing, Subject,
    Why,
};
use forewatt_service::domain::{Reach, Scope};
use forewatt_service::{Error, ErrorKind, Service, system_now};
use http_body::Frame;
use tokio::task::JoinHandle;

use crate::error::Problem;
use crate::http::AppState;
use crate::http::meters::UNMATCHED;
use crate::http::rights;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Who calls when nobody says so.
const ANONYMOUS: &str = "anonymous";

/// What the gate of a server knows about callers.
pub struct Access {
    guard: Guard,
    required: bool,
    refusals: RefusalLog,
    limiter: Option<Limiter>,
}

impl Access {
    /// Without `limits` everybody may ask as much as the server can do.
    #[must_use]
    pub fn new(service: &Service, auth: &AuthConfig, limits: Option<&RateLimitConfig>) -> Self {
        Self {
            guard: Guard::new(service.clone(), auth),
            required: auth.required,
            refusals: RefusalLog::new(auth.refusals_logged_per_minute_max),
            limiter: limits.map(|limits| Limiter::new(limits.clone())),
        }
    }
}

/// What is asked, as the audit log tells it.
#[derive(Clone)]
pub struct Asking {
    /// The method.
    pub method: Method,
    /// The route; `None` where there is none.
    pub route: Option<MatchedPath>,
    /// The request's id.
    pub id: HeaderValue,
}

impl Asking {
    fn route(&self) -> &str {
        self.route.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }

    fn action(&self) -> String {
        format!("{} {}", self.method, self.route())
    }

    fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }
}

/// A request that was let in, until its answer has left or its client has.
pub struct Visit {
    /// Under which its work must run.
    pub call: Arc<Call>,
    app: AppState,
    asking: Asking,
    paying: Option<Entered>,
    is_training: bool,
    outcome: Option<u16>,
    is_written: bool,
}

/// Who calls and what they may name.
struct Caller {
    actor: String,
    /// Under which limits are counted.
    purse: String,
    reach: Reach,
}

/// Lets a request in.
///
/// # Errors
/// 401 and 403 without detail; 429 with `Retry-After`; 503 when the store cannot tell whether a key is good.
pub async fn enter(app: &AppState, headers: &HeaderMap, asking: Asking) -> Result<Visit, Box<Response>> {
    let needed = rights::needed(&asking.method, asking.route());
    let caller = match needed {
        None => anonymous(),
        Some(scope) => identify(app, headers, scope, &asking).await?,
    };
    let paying = match &app.access.limiter {
        Some(limiter) if needed.is_some() => {
            let entered = limiter.enter(&caller.purse, system_now()).await;
            Some(entered.map_err(|denied| Box::new(too_many(limiter.config(), &denied)))?)
        }
        _ => None,
    };
    let call = Call::new(caller.actor, &caller.reach);
    let is_training = needed == Some(Scope::Train);
    Ok(Visit { call, app: app.clone(), asking, paying, is_training, outcome: None, is_written: false })
}

fn anonymous() -> Caller {
    Caller { actor: ANONYMOUS.to_owned(), purse: ANONYMOUS.to_owned(), reach: Reach::all() }
}

/// Finds out who calls, and whether they have the scope.
async fn identify(
    app: &AppState,
    headers: &HeaderMap,
    scope: Scope,
    asking: &Asking,
) -> Result<Caller, Box<Response>> {
    let refuse = async |actor: String, why: Refusal| {
        note(app, &actor, why, asking).await;
        let problem = if why == Refusal::Scope { Problem::from(access::forbidden()) } else { unauthorized() };
        Box::new(challenged(problem))
    };
    let found = match (presented(headers), app.access.guard.oidc()) {
        (Presented::Key(key), _) => by_key(app, key).await?,
        (Presented::Token(token), Some(oidc)) => by_token(oidc, token).await?,
        // Where no key is needed, what some proxy left in the header is not ours to judge.
        _ if !app.access.required => return Ok(anonymous()),
        (Presented::Nothing, _) => Err((ANONYMOUS.to_owned(), Refusal::Missing)),
        _ => Err((ANONYMOUS.to_owned(), Refusal::Malformed)),
    };
    match found {
        Err((actor, why)) => Err(refuse(actor, why).await),
        Ok((caller, scopes)) if scope.is_in(&scopes) => Ok(caller),
        Ok((caller, _)) => Err(refuse(caller.actor, Refusal::Scope).await),
    }
}

/// A caller and their scopes; else who it claimed to be, and why it is not let in.
type Found = Result<(Caller, Vec<Scope>), (String, Refusal)>;

async fn by_key(app: &AppState, key: &str) -> Result<Found, Box<Response>> {
    let opened = app.access.guard.open(key).await.map_err(|error| cannot_tell(&error))?;
    Ok(match opened {
        Ok(record) => {
            let actor = format!("key {} ({})", record.id, record.name);
            Ok((
                Caller { actor, purse: record.id.clone(), reach: record.series.clone() },
                record.scopes.clone(),
            ))
        }
        Err((claimed, why)) => {
            Err((claimed.map_or_else(|| ANONYMOUS.to_owned(), |id| format!("claims key {id}")), why))
        }
    })
}

async fn by_token(oidc: &Oidc, token: &str) -> Result<Found, Box<Response>> {
    let opened = oidc.open(token, system_now()).await.map_err(|error| cannot_tell(&error))?;
    Ok(match opened {
        Ok(Subject { actor, scopes, series }) => {
            Ok((Caller { purse: actor.clone(), actor, reach: series }, scopes))
        }
        // What a token says of itself is not written down: it may not be true.
        Err(why) => Err((ANONYMOUS.to_owned(), why)),
    })
}

fn cannot_tell(error: &Error) -> Box<Response> {
    tracing::error!(%error, "a key could not be looked up");
    let detail = "keys cannot be looked up now: try again";
    Box::new(Problem::from(Error::new(ErrorKind::Unavailable, detail)).into_response())
}

/// What the `Authorization` header holds.
enum Presented<'a> {
    Nothing,
    Key(&'a str),
    Token(&'a str),
    Other,
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return if headers.contains_key(header::AUTHORIZATION) {
            Presented::Other
        } else {
            Presented::Nothing
        };
    };
    let bearer = value.to_str().ok().and_then(|text| text.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let token = token.trim();
            if token.starts_with(KEY_PREFIX) { Presented::Key(token) } else { Presented::Token(token) }
        }
        _ => Presented::Other,
    }
}

/// Counts a refusal, and writes it into the audit log unless there were many in this minute.
async fn note(app: &AppState, actor: &str, why: Refusal, asking: &Asking) {
    metrics::counter!("forewatt_auth_refused_total", "reason" => why.as_str()).increment(1);
    let Some(count) = app.access.refusals.note(system_now()) else { return };
    let (action, id) = (asking.action(), asking.id());
    if let Err(error) = app.service.audit_line(actor, &action, why.as_str(), id, count).await {
        tracing::error!(%error, "a refusal could not be written into the audit log");
    }
}

fn unauthorized() -> Problem {
    let detail =
        "send a key that is valid now: `Authorization: Bearer fw_...`; `forewatt keys create` makes one";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Who is asking?", detail)
}

/// The refusal as an answer; a 401 says which scheme would open (RFC 9110 section 11.6.1).
fn challenged(problem: Problem) -> Response {
    let mut response = problem.into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"forewatt\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    response
}

fn too_many(config: &RateLimitConfig, denied: &Denied) -> Response {
    let (word, what) = match denied.why {
        Why::Rate => ("rate", "the units of now are used up"),
        Why::Quota => ("quota", "the units of today are used up"),
        Why::Concurrency => ("concurrency", "too many requests of this caller are at work"),
    };
    metrics::counter!("forewatt_rate_limited_total", "limit" => word).increment(1);
    let detail = format!("{what}: try again in {} s", denied.retry_after_s);
    let title = "More than this caller may ask";
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", title, detail);
    let mut response = problem.into_response();
    tell_standing(response.headers_mut(), config, &denied.standing);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(denied.retry_after_s));
    response
}

/// `RateLimit-Policy` and `RateLimit` of the IETF's draft (draft-ietf-httpapi-ratelimit-headers): `q` units in `w`
/// seconds; `r` units remain, and the bucket is full after `t` seconds.
fn tell_standing(headers: &mut HeaderMap, config: &RateLimitConfig, standing: &Standing) {
    let burst = config.burst_units;
    let window_s = (u64::from(burst) * 60).div_ceil(u64::from(config.units_per_minute.max(1))).max(1);
    let mut policy = format!("\"burst\";q={burst};w={window_s}");
    let mut now = format!("\"burst\";r={};t={}", standing.units, standing.full_in_s);
    if let Some(today) = standing.today {
        policy.push_str(&format!(", \"day\";q={};w=86400", config.units_per_day));
        now.push_str(&format!(", \"day\";r={today};t={}", standing.day_ends_in_s));
    }
    // Digits, quotes and semicolons are always a header value.
    if let (Ok(policy), Ok(now)) = (HeaderValue::try_from(policy), HeaderValue::try_from(now)) {
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, now);
    }
}

impl Visit {
    /// The answer on its way out: its changes audited, and paid for. A stream is paid for when it has ended.
    pub async fn leave(mut self, mut response: Response, streams: bool) -> Response {
        self.outcome = Some(response.status().as_u16());
        if let Some(written) = self.write() {
            let _ = written.await; // a fault is logged where it happens
        }
        if streams && !response.body().is_end_stream() {
            return response.map(|body| Body::new(Streamed { body, visit: self }));
        }
        if let Some((config, standing)) = self.pay() {
            tell_standing(response.headers_mut(), &config, &standing);
        }
        response
    }

    /// Writes what was changed, or refused on the way, into the audit log, once; in a task of its own, for it must not
    /// end with its client.
    fn write(&mut self) -> Option<JoinHandle<()>> {
        if self.is_written || !(self.call.has_changes() || self.call.was_refused()) {
            return None;
        }
        self.is_written = true;
        let (app, call, asking) = (self.app.clone(), Arc::clone(&self.call), self.asking.clone());
        let outcome = self.outcome.map_or_else(|| "the client left".to_owned(), |status| status.to_string());
        // Without a runtime the process is ending.
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(async move {
            if call.was_refused() {
                note(&app, call.actor(), Refusal::Scope, &asking).await;
            }
            let (action, id) = (asking.action(), asking.id());
            if let Err(error) = app.service.audit_call(&call, &action, &outcome, id).await {
                tracing::error!(%error, request_id = id, "a change could not be written into the audit log");
            }
        }))
    }

    fn pay(&mut self) -> Option<(RateLimitConfig, Standing)> {
        let entered = self.paying.take()?;
        let config = self.app.access.limiter.as_ref()?.config().clone();
        let values = self.call.values() / u64::from(config.values_per_unit.max(1));
        let training = if self.is_training { u64::from(config.train_units) } else { 0 };
        let standing = entered.pay(values.max(1).saturating_add(training), system_now());
        Some((config, standing))
    }
}

impl Drop for Visit {
    /// A client that leaves in the middle pays all the same, and what it changed is audited.
    fn drop(&mut self) {
        self.pay();
        drop(self.write());
    }
}

/// A stream of answers, made as the call that asked for them.
struct Streamed {
    body: Body,
    visit: Visit,
}

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let call = Arc::clone(&self.visit.call);
        let body = Pin::new(&mut self.body);
        call.step(|| body.poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
