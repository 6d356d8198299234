//! `/v1/sources`: places that data are fetched from on a schedule.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use forewatt_service::sources::{SourceInfo, SourceSpec};
use forewatt_service::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{JsonBody, Params, SeriesPath, TextPath};
use crate::http::jobs::kept;
use crate::http::{AppState, reply};

#[derive(Serialize)]
struct Sources {
    sources: Vec<SourceInfo>,
}

/// What is fetched, from where and how often.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceBody {
    /// How its answers are read: `open-meteo` or `entsoe`.
    pub kind: String,
    /// Where. `{from}` and `{to}` (`202601312300`), `{from_date}` and `{to_date}` (`2026-01-31`), all UTC, and `{token}`
    /// are filled in.
    pub url: String,
    /// Which column of the answer goes to which series: `{"temperature_2m": "city.temperature"}`. A series that is not
    /// there yet is made from the first answer.
    pub series: BTreeMap<String, String>,
    /// Seconds from one run to the next, 60 or more.
    pub every_seconds: u32,
    /// Hours before now that `{from}` stands for; 24 when absent.
    pub past_hours: Option<u32>,
    /// Hours after now that `{to}` stands for; 48 when absent.
    pub ahead_hours: Option<u32>,
    /// The environment variable of the server that holds `{token}`: `FOREWATT_SOURCE_...`.
    pub token_env: Option<String>,
}

/// All sources by name, and how they do.
#[utoipa::path(get, path = "/v1/sources", tag = "outward",
    responses(
        (status = 200, description = "The sources.", body = crate::http::schema::SourcesDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(State(app): State<AppState>, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(&Sources { sources: app.service.list_sources().await? })
}

/// Adds a source, or takes the place of the one of that name. It is fetched at once, then on its schedule.
#[utoipa::path(put, path = "/v1/sources/{name}", tag = "outward",
    params(("name" = String, Path, description = "The source.")),
    request_body = SourceBody,
    responses(
        (status = 200, description = "The source.", body = crate::http::schema::SourceDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn put(
    State(app): State<AppState>,
    SeriesPath(name): SeriesPath,
    params: Params,
    JsonBody(body): JsonBody<SourceBody>,
) -> HttpResult {
    params.only(&[]).finish()?;
    let mut wrong = Vec::new();
    let kind = kept(&mut wrong, "kind", body.kind.parse());
    let series = body.series.into_iter().filter_map(|(column, series)| {
        kept(&mut wrong, "series", series.parse()).map(|series| (column, series))
    });
    let series = series.collect();
    let (Some(kind), true) = (kind, wrong.is_empty()) else { return Err(Problem::invalid_fields(wrong)) };
    let spec = SourceSpec {
        name,
        kind,
        url: body.url,
        series,
        every_seconds: body.every_seconds,
        past_hours: body.past_hours.unwrap_or(24),
        ahead_hours: body.ahead_hours.unwrap_or(48),
        token_env: body.token_env,
    };
    reply::json(&app.service.put_source(&spec).await?)
}

/// Takes a source away; what it brought stays.
#[utoipa::path(delete, path = "/v1/sources/{name}", tag = "outward",
    params(("name" = String, Path, description = "The source.")),
    responses(
        (status = 204, description = "It is gone."),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn remove(State(app): State<AppState>, TextPath(name): TextPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    app.service.remove_source(&name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Fetches a source now, whatever its schedule. Doing it twice keeps nothing twice.
#[utoipa::path(post, path = "/v1/sources/{name}:run", tag = "outward",
    params(("name" = String, Path, description = "The source.")),
    responses(
        (status = 200, description = "What came.", body = crate::http::schema::SourceRunDocument),
        (status = 503, description = "The source does not answer.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn act(State(app): State<AppState>, TextPath(path): TextPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    let Some(name) = path.strip_suffix(":run") else {
        let message = "that is nothing to do with a source: POST /v1/sources/NAME:run";
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    reply::json(&app.service.run_source(name).await?)
}
