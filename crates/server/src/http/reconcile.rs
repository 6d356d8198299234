//! `GET /v1/series/{name}/forecast:reconciled`: a series and its parts, with forecasts that add up.

use axum::extract::State;
use forewatt_service::domain::QuantileLevels;
use forewatt_service::domain::time::parse_duration;
use forewatt_service::reconcile::{Method, ReconcileRequest};

use crate::error::{HttpResult, Problem};
use crate::http::extract::{Params, SeriesPath};
use crate::http::{AppState, reply};

/// The parameters of a reconciliation.
const KNOWN: [&str; 5] = ["method", "horizon", "quantiles", "as_of", "forecast_start"];

/// The series and all series below it (those that name it as parent, and so on), forecast at one start and made to add up.
///
/// Parts without a champion are stood in for by a quick model, and `degraded` says so.
#[utoipa::path(get, path = "/v1/series/{name}/forecast:reconciled", tag = "forecasts",
    params(
        ("name" = String, Path, description = "The series that is the sum of its parts."),
        ("method" = Option<String>, Query, description = "`mint` (when absent), `wls`, `wls-structural`, `ols`, `bottom-up` or `top-down`.", example = "mint"),
        ("horizon" = Option<String>, Query, description = "How far: `PT48H`, `2d`. The shortest horizon of their models is the longest.", example = "PT24H"),
        ("quantiles" = Option<String>, Query, description = "Quantile levels, rising.", example = "0.1,0.5,0.9"),
        ("as_of" = Option<String>, Query, description = "Use only what was known at this instant (RFC 3339)."),
        ("forecast_start" = Option<String>, Query, description = "The start of the first period (RFC 3339), on the series' grid."),
    ),
    responses(
        (status = 200, description = "The series first, then its parts level by level.", body = crate::http::schema::ReconciledDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(State(app): State<AppState>, SeriesPath(name): SeriesPath, params: Params) -> HttpResult {
    let mut params = params.only(&KNOWN);
    let request = ReconcileRequest {
        method: params.read("method").unwrap_or(Method::Mint),
        horizon: params.parsed("horizon", parse_duration),
        levels: params.parsed("quantiles", QuantileLevels::parse),
        as_of: params.time("as_of"),
        forecast_start: params.time("forecast_start"),
        ..ReconcileRequest::new(name)
    };
    params.finish()?;
    reply::json(&app.service.reconcile(&request).await?)
}
