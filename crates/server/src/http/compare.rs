//! `POST /v1/compare`: two forecasts held against what came true.

use axum::extract::{Request, State};
use forewatt_service::compare::{CompareRequest, ForecastRow, Forecasts, Source};
use forewatt_service::domain::time::parse_duration;
use forewatt_service::domain::{QuantileLevels, SeriesName, Time};
use forewatt_service::{Error, ErrorKind};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{FieldError, HttpResult, Problem};
use crate::http::extract::{Params, body_bytes, media_type, parse_json, unsupported_media_type};
use crate::http::forecast::version_id;
use crate::http::{AppState, reply};

/// Two forecasts and how to compare them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareBody {
    /// The first forecast.
    pub a: CompareSide,
    /// The second.
    pub b: CompareSide,
    /// The stored series both are about, for what came true; a version's own when absent.
    pub of: Option<String>,
    /// First valid time (RFC 3339).
    pub from: Option<String>,
    /// First valid time not included.
    pub to: Option<String>,
    /// Match by valid time, each side by its newest forecast that begins at least so long before: `PT24H`.
    pub lead: Option<String>,
    /// IANA zone whose days losses are averaged over; that of the series when absent.
    pub time_zone: Option<String>,
}

/// One forecast: exactly one of `version`, `series` and `points`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareSide {
    /// What this model version issued while it served.
    pub version: Option<String>,
    /// A stored series that holds a third party's forecast.
    pub series: Option<String>,
    /// Values sent along.
    pub points: Option<Vec<ComparePoint>>,
    /// What to call the values sent along.
    pub name: Option<String>,
    /// The levels of their quantiles, rising.
    pub quantiles: Option<Vec<f64>>,
}

/// A forecast value sent along.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ComparePoint {
    /// When its forecast began (RFC 3339); lead times are known by it.
    #[schema(value_type = Option<String>)]
    pub forecast_start: Option<Time>,
    /// The period it is about.
    #[schema(value_type = String)]
    pub valid_time: Time,
    /// The expected value.
    pub mean: f64,
    /// One value a level of `quantiles`.
    #[serde(default)]
    pub quantiles: Vec<f64>,
    /// What came true, when `of` is not to tell it.
    pub actual: Option<f64>,
}

/// Diebold-Mariano and Giacomini-White tests of two forecasts, overall and by lead time, with the size of the
/// difference and a verdict in words. Nothing is stored.
///
/// Values are matched by forecast start and valid time when the sides share starts, else by valid time. Losses are
/// averaged by day; by lead time, p-values are corrected as by Holm.
#[utoipa::path(post, path = "/v1/compare", tag = "models",
    request_body(content = CompareBody, description = "The two forecasts; values sent along are limited by `limits.write_points_max` a side."),
    responses(
        (status = 200, description = "What was matched, tested and found.", body = crate::http::schema::CompareDocument),
        (status = 422, description = "Fewer shared days than the tests need.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn compare(State(app): State<AppState>, params: Params, request: Request) -> HttpResult {
    params.only(&[]).finish()?;
    let media = media_type(request.headers());
    if media != "application/json" {
        return Err(unsupported_media_type(&media, "application/json"));
    }
    let body: CompareBody = parse_json(&body_bytes(request, &app, usize::MAX).await?)?;
    let request = request_of(body, app.service.config().limits.write_points_max)?;
    reply::json(&app.service.compare(request).await?)
}

/// Reads a body; names every part that is wrong.
fn request_of(body: CompareBody, points_max: usize) -> HttpResult<CompareRequest> {
    let mut errors: Vec<FieldError> = Vec::new();
    let mut fault = |field: &str, detail: String| {
        errors.push(FieldError { field: format!("body.{field}"), detail });
    };
    let a = side("a", body.a, points_max)?;
    let b = side("b", body.b, points_max)?;
    let of = body.of.map(|text| text.parse::<SeriesName>().map_err(|error| fault("of", error.to_string())));
    let mut time = |field: &str, text: Option<String>| {
        text.map(|text| text.parse::<Time>().map_err(|error| fault(field, error.to_string())))
    };
    let (from, to) = (time("from", body.from), time("to", body.to));
    let lead = body.lead.map(|text| parse_duration(&text).map_err(|error| fault("lead", error.to_string())));
    let zone =
        body.time_zone.map(|text| text.parse().map_err(|error| fault("time_zone", format!("{error}"))));
    let mut wrong =
        |field: &str, found: Result<Source, String>| found.map_err(|detail| fault(field, detail)).ok();
    let sides = wrong("a", a).zip(wrong("b", b));
    match sides {
        Some((a, b)) if errors.is_empty() => Ok(CompareRequest {
            a,
            b,
            of: of.and_then(Result::ok),
            from: from.and_then(Result::ok),
            to: to.and_then(Result::ok),
            lead: lead.and_then(Result::ok),
            time_zone: zone.and_then(Result::ok),
        }),
        _ => Err(Problem::invalid_fields(errors)),
    }
}

/// One side; the outer error is a limit, the inner one a fault of the field.
fn side(field: &str, side: CompareSide, points_max: usize) -> HttpResult<Result<Source, String>> {
    let CompareSide { version, series, points, name, quantiles } = side;
    let bare = name.is_none() && quantiles.is_none();
    Ok(match (version, series, points) {
        (Some(id), None, None) if bare => version_id(&id).map(Source::Version),
        (None, Some(name), None) if bare => name
            .parse()
            .map(Source::Series)
            .map_err(|error: forewatt_service::domain::series::SeriesError| error.to_string()),
        (None, None, Some(points)) if points.len() > points_max => {
            let message = format!(
                "{} points in body.{field}, the limit is {points_max}: send fewer, or import them as a series",
                points.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, message).into());
        }
        (None, None, Some(points)) => {
            given(name.unwrap_or_else(|| field.to_owned()), quantiles.unwrap_or_default(), points)
        }
        (Some(_), None, None) | (None, Some(_), None) => {
            Err("`name` and `quantiles` go with `points`: leave them out".to_owned())
        }
        _ => Err("give exactly one of `version`, `series` and `points`".to_owned()),
    })
}

fn given(name: String, levels: Vec<f64>, points: Vec<ComparePoint>) -> Result<Source, String> {
    if !levels.is_empty() {
        QuantileLevels::new(levels.clone()).map_err(|error| error.to_string())?;
    }
    if name.chars().count() > 120 || name.chars().any(char::is_control) {
        return Err("the name is longer than 120 characters or holds control characters".to_owned());
    }
    let rows = points.into_iter().map(|point| ForecastRow {
        forecast_start: point.forecast_start,
        valid_time: point.valid_time,
        actual: point.actual.unwrap_or(f64::NAN),
        mean: point.mean,
        quantiles: point.quantiles,
    });
    Ok(Source::Given { name, forecasts: Forecasts { levels, rows: rows.collect() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_a_limit() {
        let point = || ComparePoint {
            forecast_start: None,
            valid_time: Time::from_seconds(0),
            mean: 1.0,
            quantiles: vec![],
            actual: None,
        };
        let with = |count: usize| CompareSide {
            points: Some((0..count).map(|_| point()).collect()),
            ..CompareSide::default()
        };
        assert!(side("a", with(3), 3).unwrap().is_ok());
        let refused = side("a", with(4), 3).unwrap_err();
        assert_eq!(refused.status, 413);
        assert!(refused.detail.contains("the limit is 3"), "{}", refused.detail);
    }
}
