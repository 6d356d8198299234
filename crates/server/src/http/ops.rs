//! What operators ask: is it alive, may it be sent requests, what does it count.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use crate::error::{HttpResult, Problem};
use crate::http::AppState;
use crate::http::reply;
use crate::http::schema::Health;

/// The process runs. Says nothing about the store: restarting would not mend that.
#[utoipa::path(get, path = "/health/live", tag = "operations",
    responses((status = 200, description = "The process runs.", body = Health)))]
pub async fn live() -> HttpResult {
    reply::json(&Health { status: "live" })
}

/// The store answers, the cache is warm and the server is not about to stop, so requests can be served.
#[utoipa::path(get, path = "/health/ready", tag = "operations",
    responses(
        (status = 200, description = "Requests can be served.", body = Health),
        (status = 503, description = "Not now.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn ready(State(app): State<AppState>) -> HttpResult {
    app.ready().await?;
    reply::json(&Health { status: "ready" })
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Metrics in Prometheus' text format.", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<AppState>) -> Response {
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    app.service.count_connections();
    app.admission.tell();
    app.service.count_cache();
    ([(header::CONTENT_TYPE, content_type)], app.metrics.render()).into_response()
}
