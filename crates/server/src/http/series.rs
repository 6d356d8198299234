//! `GET /v1/series`, `GET` and `PUT /v1/series/{name}`.

use axum::extract::State;
use axum::http::StatusCode;
use forewatt_service::SeriesInfo;
use forewatt_service::domain::{Location, Series, SeriesName};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{FieldError, HttpResult, Problem};
use crate::http::extract::{JsonBody, Params, SeriesPath};
use crate::http::{AppState, reply};

/// Series in one page of the list when the request names no limit.
pub const LIMIT_DEFAULT: u32 = 1_000;

/// One page of the list.
#[derive(Serialize)]
struct Page {
    series: Vec<SeriesInfo>,
    /// Pass it as `after` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<SeriesName>,
}

/// All series by name.
#[utoipa::path(get, path = "/v1/series", tag = "series",
    params(
        ("after" = Option<String>, Query, description = "Only names after this one: the `next` of the page before."),
        ("limit" = Option<u32>, Query, description = "At most so many; 1000 when absent."),
    ),
    responses(
        (status = 200, description = "One page.", body = crate::http::schema::SeriesPage),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(State(app): State<AppState>, params: Params) -> HttpResult {
    let mut params = params.only(&["after", "limit"]);
    let after = params.read::<SeriesName>("after");
    let limit = params.count("limit", app.service.config().limits.list_max);
    params.finish()?;
    let limit = limit.unwrap_or(LIMIT_DEFAULT.min(app.service.config().limits.list_max));
    let series = app.service.list_series(after.as_ref(), Some(limit)).await?;
    let full = series.len() >= limit as usize;
    let next = series.last().filter(|_| full).map(|info| info.series.name.clone());
    reply::json(&Page { series, next })
}

/// One series, how far its data reach, and which model answers for it.
#[utoipa::path(get, path = "/v1/series/{name}", tag = "series",
    params(("name" = String, Path, description = "The series.")),
    responses(
        (status = 200, description = "The series.", body = crate::http::schema::SeriesDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(State(app): State<AppState>, SeriesPath(name): SeriesPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(app.service.series(&name).await?.as_ref())
}

/// A series as its owner describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeriesBody {
    /// The name in the path, if at all.
    pub name: Option<String>,
    /// `load`, `solar`, `wind`, `price`, `temperature`, `weather` or `other`.
    pub kind: String,
    /// The unit of the values: `MW`, `kWh`, `EUR/MWh`.
    #[serde(default)]
    pub unit: String,
    /// The step between values: `PT15M`, `PT1H`.
    pub resolution: String,
    /// The IANA time zone its people live by: `Europe/Madrid`.
    pub time_zone: String,
    /// Where it is.
    pub location: Option<LocationBody>,
    /// The region whose public holidays shape it: `ES`, `US-CA`.
    pub holiday_region: Option<String>,
    /// The series this one is a part of.
    pub parent: Option<String>,
}

/// A place on Earth.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocationBody {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
}

/// Collects what is wrong field by field.
struct Reader(Vec<FieldError>);

impl Reader {
    fn take<T, E: std::fmt::Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        let wrong = |error: E| FieldError { field: format!("body.{field}"), detail: error.to_string() };
        read.map_err(|error| self.0.push(wrong(error))).ok()
    }
}

impl SeriesBody {
    /// The description under a name.
    ///
    /// # Errors
    /// 400 that names every field that is wrong.
    pub fn read(self, name: SeriesName) -> HttpResult<Series> {
        let mut reader = Reader(Vec::new());
        if self.name.as_deref().is_some_and(|n| n != name.as_str()) {
            let detail = format!("differs from the name in the path, `{name}`: leave it out");
            reader.0.push(FieldError { field: "body.name".to_owned(), detail });
        }
        let kind = reader.take("kind", self.kind.parse());
        let resolution = reader.take("resolution", self.resolution.parse());
        let time_zone = reader.take("time_zone", self.time_zone.parse());
        let location =
            self.location.and_then(|l| reader.take("location", Location::new(l.latitude, l.longitude)));
        let parent = self.parent.and_then(|p| reader.take("parent", p.parse()));
        let unit_is_plain = self.unit.len() <= 40 && !self.unit.chars().any(char::is_control);
        let unit = reader
            .take("unit", if unit_is_plain { Ok(self.unit) } else { Err("use at most 40 plain letters") });
        match (kind, resolution, time_zone, unit) {
            (Some(kind), Some(resolution), Some(time_zone), Some(unit)) if reader.0.is_empty() => {
                Ok(Series {
                    name,
                    kind,
                    unit,
                    resolution,
                    time_zone,
                    location,
                    holiday_region: self.holiday_region,
                    parent,
                })
            }
            _ => Err(Problem::invalid_fields(reader.0)),
        }
    }
}

/// Creates a series (201) or changes its description (200).
#[utoipa::path(put, path = "/v1/series/{name}", tag = "series",
    params(("name" = String, Path, description = "The series.")),
    request_body = SeriesBody,
    responses(
        (status = 200, description = "Changed.", body = crate::http::schema::SeriesDocument),
        (status = 201, description = "Created.", body = crate::http::schema::SeriesDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn put(
    State(app): State<AppState>,
    SeriesPath(name): SeriesPath,
    params: Params,
    JsonBody(body): JsonBody<SeriesBody>,
) -> HttpResult {
    params.only(&[]).finish()?;
    let series = body.read(name)?;
    let existed = app.service.series(&series.name).await.is_ok();
    app.service.put_series(&series).await?;
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    reply::json_with_status(status, app.service.series(&series.name).await?.as_ref())
}
