//! `/v1/webhooks`: who is told of events, and what could not be told.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use forewatt_service::webhooks::{DeadLetter, NewWebhook, WebhookInfo};
use forewatt_service::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{JsonBody, Params, TextPath};
use crate::http::jobs::kept;
use crate::http::{AppState, reply};

#[derive(Serialize)]
struct Webhooks {
    webhooks: Vec<WebhookInfo>,
}

#[derive(Serialize)]
struct Dead {
    dead: Vec<DeadLetter>,
}

/// Who wants to be told, and of what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookBody {
    /// Where events are posted.
    pub url: String,
    /// Which: `forecast.ready`, `model.trained`, `model.promoted`; all when absent.
    #[serde(default)]
    pub events: Vec<String>,
    /// Of which series; of all when absent.
    pub series: Option<String>,
}

/// All receivers, without their secrets.
#[utoipa::path(get, path = "/v1/webhooks", tag = "outward",
    responses(
        (status = 200, description = "The receivers.", body = crate::http::schema::WebhooksDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(State(app): State<AppState>, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(&Webhooks { webhooks: app.service.list_webhooks().await? })
}

/// Adds a receiver. The answer alone has its secret. Not idempotent: each call makes another.
#[utoipa::path(post, path = "/v1/webhooks", tag = "outward",
    request_body = WebhookBody,
    responses(
        (status = 201, description = "The receiver, with its secret.", body = crate::http::schema::WebhookDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn add(
    State(app): State<AppState>,
    params: Params,
    JsonBody(body): JsonBody<WebhookBody>,
) -> HttpResult {
    params.only(&[]).finish()?;
    let mut wrong = Vec::new();
    let series = body.series.and_then(|text| kept(&mut wrong, "series", text.parse()));
    let events = body.events.iter().filter_map(|text| kept(&mut wrong, "events", text.parse())).collect();
    if !wrong.is_empty() {
        return Err(Problem::invalid_fields(wrong));
    }
    let made = app.service.add_webhook(NewWebhook { url: body.url, events, series }).await?;
    reply::json_with_status(StatusCode::CREATED, &made)
}

/// Takes a receiver away, and what still waits for it.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "outward",
    params(("id" = String, Path, description = "The receiver.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn remove(State(app): State<AppState>, TextPath(id): TextPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    app.service.remove_webhook(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deliveries that were given up, the oldest first.
#[utoipa::path(get, path = "/v1/webhooks/dead", tag = "outward",
    params(("limit" = Option<u32>, Query, description = "At most so many; 100 when absent.")),
    responses(
        (status = 200, description = "The dead letters.", body = crate::http::schema::DeadLettersDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn dead(State(app): State<AppState>, params: Params) -> HttpResult {
    let mut params = params.only(&["limit"]);
    let limit = params.count("limit", app.service.config().limits.list_max);
    params.finish()?;
    reply::json(&Dead { dead: app.service.dead_letters(limit).await? })
}

/// Sends a dead letter on its way again, from its first try.
#[utoipa::path(post, path = "/v1/webhooks/dead/{id}:replay", tag = "outward",
    params(("id" = String, Path, description = "The dead letter.")),
    responses(
        (status = 202, description = "It is on its way."),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn replay(State(app): State<AppState>, TextPath(path): TextPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    let Some(id) = path.strip_suffix(":replay") else {
        let message = "that is nothing to do with a dead letter: POST /v1/webhooks/dead/ID:replay";
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    app.service.replay_dead_letter(id).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}
