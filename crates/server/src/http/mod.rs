//! REST: one file a resource, one stack of middleware, one description of it all.

pub mod access;
pub mod admission;
pub mod audit;
pub mod caching;
pub mod compare;
pub mod cors;
pub mod explain;
pub mod extract;
pub mod forecast;
pub mod holidays;
pub mod import_model;
pub mod issued;
pub mod jobs;
pub mod meters;
pub mod middleware;
pub mod mlflow;
pub mod models;
pub mod observations;
pub mod oip;
pub mod openapi;
pub mod ops;
pub mod optimize;
pub mod pack;
pub mod quality;
pub mod reconcile;
pub mod reply;
pub mod rights;
pub mod schema;
pub mod series;
pub mod sources;
#[cfg(test)]
pub(crate) mod tests;
pub mod timeseries;
pub mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::routing::{delete, get, post, put};
use forewatt_service::access::config::{AuthConfig, RateLimitConfig};
use forewatt_service::admission::{Admission, AdmissionConfig};
use forewatt_service::series::nearest;
use forewatt_service::{Error, ErrorKind, Service};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::error::Problem;
use crate::http::meters::Meters;
use crate::oip::Tally;
use crate::{dashboard, grpc};

/// What the HTTP layers are told, in the types they use.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOptions {
    /// The largest request body, as sent and unpacked, in bytes.
    pub body_max_bytes: usize,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// Requests worked on at once, of all classes.
    pub concurrency_max: usize,
    /// Which of them are worked on, wait, or are refused.
    pub admission: AdmissionConfig,
    /// Listening on this computer's own addresses only: then only its own names may be asked for.
    pub loopback_only: bool,
    /// Serve the page at `/` and the API's description at `/docs`.
    pub dashboard: bool,
    /// Answer gRPC beside REST; false where it has a port of its own.
    pub grpc: bool,
    /// Keys.
    pub auth: AuthConfig,
    /// How much a caller may ask; `None` for as much as the server can do.
    pub rate_limit: Option<RateLimitConfig>,
    /// Origins of pages that may read and write here.
    pub cors_origins: Vec<String>,
}

/// What every handler can reach. All clones are one: cloning counts a reference.
#[derive(Clone)]
pub struct AppState(Arc<App>);

/// What all clones of the state share.
pub struct App {
    /// The use cases.
    pub service: Service,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Limits and choices.
    pub options: HttpOptions,
    /// Who may work, who waits, who is refused.
    pub admission: Arc<Admission>,
    /// Keys and callers.
    pub access: access::Access,
    /// How often models were asked by tensors.
    pub tally: Tally,
    /// Turns true when the server begins to stop.
    stopping: watch::Sender<bool>,
    /// Counters and timers of requests.
    pub meters: Meters,
}

impl std::ops::Deref for AppState {
    type Target = App;
    fn deref(&self) -> &App {
        &self.0
    }
}

/// How often the recorder's samples are folded into their buckets, so that they do not pile up between scrapes.
const METRICS_UPKEEP: Duration = Duration::from_secs(5);

impl AppState {
    /// The state of a server that has just started. Needs a tokio runtime.
    #[must_use]
    pub fn new(service: Service, metrics: PrometheusHandle, options: HttpOptions) -> Self {
        let admission = Admission::new(&options.admission, options.concurrency_max);
        let (stopping, _) = watch::channel(false);
        let upkeep = metrics.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(METRICS_UPKEEP);
            loop {
                ticks.tick().await;
                upkeep.run_upkeep();
            }
        });
        let access = access::Access::new(&service, &options.auth, options.rate_limit.as_ref());
        let (tally, meters) = (Tally::default(), Meters::default());
        Self(Arc::new(App { service, metrics, options, admission, access, tally, stopping, meters }))
    }

    /// Tells those who watch that the server will end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the server is about to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Whether requests should be sent here.
    ///
    /// # Errors
    /// `Unavailable` when the server is about to end, the store does not answer, or the cache is still warmed.
    pub async fn ready(&self) -> Result<(), Error> {
        if self.is_stopping() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "this server is about to stop: ask another, or this one once it has started again",
            ));
        }
        self.service.ready().await
    }

    /// Changes when the server begins to stop.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

/// Every route behind the whole stack.
pub fn router(state: AppState) -> Router {
    let mut routes = api().merge(oip::routes()).merge(mlflow::routes());
    if state.options.dashboard {
        routes = routes.merge(dashboard::routes());
    }
    if state.options.grpc {
        routes = routes.merge(grpc::routes(&state));
    }
    gated(routes, state)
}

/// The routes of gRPC alone behind the same stack, for a port of its own.
pub fn grpc_router(state: AppState) -> Router {
    gated(grpc::routes(&state), state)
}

fn gated(routes: Router<AppState>, state: AppState) -> Router {
    routes
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn_with_state(state.clone(), middleware::gate))
        .with_state(state)
}

/// The routes of the API. What they are for stands in `openapi.rs`, and a test holds the two together.
fn api() -> Router<AppState> {
    Router::new()
        .route("/v1/series", get(series::list))
        .route("/v1/series/{name}", get(series::show).put(series::put))
        .route("/v1/series/{name}/observations", get(observations::read).post(observations::write))
        .route("/v1/series/{name}/quality", get(quality::show))
        .route("/v1/series/{name}/forecast", get(forecast::show))
        .route("/v1/series/{name}/forecast:explain", get(explain::show))
        .route("/v1/series/{name}/forecast:whatif", post(explain::whatif))
        .route("/v1/series/{name}/forecast:reconciled", get(reconcile::show))
        .route("/v1/series/{name}/forecasts", get(issued::read))
        .route("/v1/series/{name}/accuracy", get(models::accuracy))
        .route("/v1/series/{name}/models:import", post(import_model::import))
        .route("/v1/series/{name}/holidays", get(holidays::read))
        .route("/v1/forecasts:batch", post(forecast::batch))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{id}", get(models::show).post(models::act))
        .route("/v1/compare", post(compare::compare))
        .route("/v1/timeseries/forecast", post(timeseries::forecast))
        .route("/v1/timeseries/models", get(timeseries::models))
        .route("/v1/train", post(jobs::train))
        .route("/v1/jobs", get(jobs::list))
        .route("/v1/jobs/{id}", get(jobs::show))
        .route("/v1/sources", get(sources::list))
        .route("/v1/sources/{name}", put(sources::put).delete(sources::remove).post(sources::act))
        .route("/v1/webhooks", get(webhooks::list).post(webhooks::add))
        .route("/v1/webhooks/{id}", delete(webhooks::remove))
        .route("/v1/webhooks/dead", get(webhooks::dead))
        .route("/v1/webhooks/dead/{id}", post(webhooks::replay))
        .route("/v1/audit", get(audit::list))
        .route("/health/live", get(ops::live))
        .route("/health/ready", get(ops::ready))
        .route("/metrics", get(ops::metrics))
        .route("/openapi.json", get(openapi::document))
}

/// 404 for a path that no route has, with the nearest one.
async fn no_such_path(request: Request) -> Problem {
    let path = request.uri().path();
    let shown: String = path.chars().take(200).collect();
    let known = openapi::paths().iter();
    let hint = match nearest(path, known.map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "/docs and /openapi.json list every route".to_owned(),
    };
    Problem::from(Error::new(ErrorKind::NotFound, format!("there is nothing at {shown}; {hint}")))
}

/// 405; axum adds `Allow`.
async fn wrong_method(method: Method, request: Request) -> Problem {
    let shown: String = method.as_str().chars().take(20).collect();
    let detail =
        format!("{} does not take {shown}: the Allow header says what it takes", request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail)
}
