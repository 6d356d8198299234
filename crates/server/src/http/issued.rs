//! `GET /v1/series/{name}/forecasts`: forecasts as they were issued.

use std::collections::BTreeMap;

use axum::extract::State;
use forewatt_service::domain::time::{MICROS_PER_DAY, duration_micros, parse_duration};
use forewatt_service::domain::{SeriesName, Time, VersionId};
use forewatt_service::{ForecastQuery, IssuedPoint};
use serde::Serialize;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{Params, SeriesPath};
use crate::http::{AppState, reply};

/// The range of valid times when the request names none: the last week and the coming one.
const DAYS_AROUND_NOW: i64 = 7;

#[derive(Serialize)]
struct Issued<'a> {
    series: &'a SeriesName,
    unit: &'a str,
    points: Vec<Point>,
}

/// A point as forecasts write it: quantiles by the name of their level.
#[derive(Serialize)]
struct Point {
    forecast_start: Time,
    issued_at: Time,
    model_version: VersionId,
    valid_time: Time,
    mean: f64,
    quantiles: BTreeMap<String, f64>,
}

impl From<IssuedPoint> for Point {
    fn from(point: IssuedPoint) -> Self {
        let names = point.levels.iter().map(f64::to_string);
        Self {
            forecast_start: point.forecast_start,
            issued_at: point.issued_at,
            model_version: point.model_version,
            valid_time: point.valid_time,
            mean: point.mean,
            quantiles: names.zip(point.quantiles).collect(),
        }
    }
}

/// Issued forecasts: those of one `forecast_start`, the newest known `as_of` an instant, or at a fixed `lead`.
#[utoipa::path(get, path = "/v1/series/{name}/forecasts", tag = "forecasts",
    params(
        ("name" = String, Path, description = "The series."),
        ("forecast_start" = Option<String>, Query, description = "The forecast with this start (RFC 3339)."),
        ("as_of" = Option<String>, Query, description = "For every valid time, the newest forecast issued at or before this instant; now when nothing is named."),
        ("lead" = Option<String>, Query, description = "For every valid time, the newest forecast that starts at least so long before it.", example = "PT24H"),
        ("from" = Option<String>, Query, description = "First valid time; a week ago when absent."),
        ("to" = Option<String>, Query, description = "First valid time not included; two weeks after `from` when absent."),
    ),
    responses(
        (status = 200, description = "The points by valid time.", body = crate::http::schema::IssuedDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn read(State(app): State<AppState>, SeriesPath(name): SeriesPath, params: Params) -> HttpResult {
    let query = query_of(params, app.service.now())?;
    let info = app.service.series(&name).await?;
    let points = app.service.read_forecasts(&name, query).await?.into_iter().map(Point::from).collect();
    reply::json(&Issued { series: &name, unit: &info.series.unit, points })
}

fn query_of(params: Params, now: Time) -> HttpResult<ForecastQuery> {
    let mut params = params.only(&["forecast_start", "as_of", "lead", "from", "to"]);
    let forecast_start = params.time("forecast_start");
    let as_of = params.time("as_of");
    let lead = params.parsed("lead", parse_duration).map(duration_micros);
    let range = (params.time("from"), params.time("to"));
    if [forecast_start.is_some(), as_of.is_some(), lead.is_some()].into_iter().filter(|given| *given).count()
        > 1
    {
        params.fault("forecast_start", "goes alone: give one of `forecast_start`, `as_of` and `lead`");
    }
    if forecast_start.is_some() && (range.0.is_some() || range.1.is_some()) {
        params.fault("from", "does not go with `forecast_start`, which names a whole forecast");
    }
    params.finish()?;
    if let Some(forecast_start) = forecast_start {
        return Ok(ForecastQuery::Start { forecast_start });
    }
    let around = DAYS_AROUND_NOW * MICROS_PER_DAY;
    let from = match range {
        (Some(from), _) => from,
        (None, Some(to)) => to.plus_micros(-2 * around),
        (None, None) => now.plus_micros(-around),
    };
    let to = range.1.unwrap_or_else(|| from.plus_micros(2 * around));
    Ok(match lead {
        Some(lead_micros) => ForecastQuery::FixedLead { lead_micros, from, to },
        None => ForecastQuery::AsOf { at: as_of.unwrap_or(now), from, to },
    })
}
