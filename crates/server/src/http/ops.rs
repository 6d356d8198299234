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

/// The store answers, so requests can be served.
#[utoipa::path(get, path = "/health/ready", tag = "operations",
    responses(
        (status = 200, description = "Requests can be served.", body = Health),
        (status = 503, description = "Not now.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn ready(State(app): State<AppState>) -> HttpResult {
    match app.service.ready().await {
        Ok(()) => reply::json(&Health { status: "ready" }),
        Err(error) => {
            // Whatever the store said, to a load balancer it means: not now.
            let message = format!("the store does not answer: {}", error.message);
            Err(forewatt_service::Error::new(forewatt_service::ErrorKind::Unavailable, message).into())
        }
    }
}

/// Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Metrics in Prometheus' text format.", body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<AppState>) -> Response {
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    app.service.count_connections();
    app.admission.tell();
    ([(header::CONTENT_TYPE, content_type)], app.metrics.render()).into_response()
}
