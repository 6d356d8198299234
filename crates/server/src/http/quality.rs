//! `GET /v1/series/{name}/quality`.

use axum::extract::State;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{Params, SeriesPath};
use crate::http::{AppState, reply};

/// The score and findings of the series' data as they are now: kept results are used while they are about these data.
#[utoipa::path(get, path = "/v1/series/{name}/quality", tag = "series",
    params(("name" = String, Path, description = "The series.")),
    responses(
        (status = 200, description = "Score and findings.", body = crate::http::schema::QualityDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(State(app): State<AppState>, SeriesPath(name): SeriesPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    let revision = app.service.series(&name).await?.state.revision;
    match app.service.latest_quality(&name).await? {
        Some(record) if record.revision == revision => reply::json(&record),
        _ => reply::json(&app.service.check_series(&name).await?),
    }
}
