//! `GET /v1/series/{name}/forecast:explain` and `POST /v1/series/{name}/forecast:whatif`.

use std::collections::BTreeMap;

use axum::extract::State;
use forewatt_service::domain::time::parse_duration;
use forewatt_service::domain::{QuantileLevels, SeriesName, Time};
use forewatt_service::explain::{ExplainRequest, FEATURES_DEFAULT, FEATURES_MAX, Since};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::whatif::{Change, Override, WhatIfRequest};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{FieldError, HttpResult, Problem};
use crate::http::AppState;
use crate::http::extract::{JsonBody, Params, SeriesPath};
use crate::http::forecast::version_id;
use crate::http::reply;

/// The parameters of an explanation.
const KNOWN: [&str; 6] = ["horizon", "as_of", "forecast_start", "version", "since", "features"];

/// Why a forecast is what it is: contributions of its inputs against the usual, or against an earlier forecast.
#[utoipa::path(get, path = "/v1/series/{name}/forecast:explain", tag = "forecasts",
    params(
        ("name" = String, Path, description = "The series."),
        ("horizon" = Option<String>, Query, description = "How far: `PT48H`, `2d`.", example = "PT24H"),
        ("as_of" = Option<String>, Query, description = "Use only what was known at this instant (RFC 3339)."),
        ("forecast_start" = Option<String>, Query, description = "The start of the first period (RFC 3339), on the series' grid."),
        ("version" = Option<String>, Query, description = "Which model version is explained; the champion when absent."),
        ("since" = Option<String>, Query, description = "Explain the change since an earlier forecast of the same valid times: an instant (RFC 3339), or `previous` for the last one issued before the start. Against the usual when absent."),
        ("features" = Option<u32>, Query, description = "How many features to tell for each point, 1 to 50; 5 when absent."),
    ),
    responses(
        (status = 200, description = "The contributions.", body = crate::http::schema::ExplainDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(State(app): State<AppState>, SeriesPath(name): SeriesPath, params: Params) -> HttpResult {
    let mut params = params.only(&KNOWN);
    let forecast = ForecastRequest {
        horizon: params.parsed("horizon", parse_duration),
        as_of: params.time("as_of"),
        forecast_start: params.time("forecast_start"),
        version: params.parsed("version", version_id),
        ..ForecastRequest::new(name)
    };
    let since = params.parsed("since", |text| text.replace(' ', "+").parse::<Since>());
    let max = u32::try_from(FEATURES_MAX).unwrap_or(u32::MAX);
    let features = params.count("features", max).map_or(FEATURES_DEFAULT, |count| count as usize);
    params.finish()?;
    let explained = app.service.explain(&ExplainRequest { forecast, since, features }).await?;
    reply::json(&explained)
}

/// One covariate as it would be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OverrideBody {
    /// Added to every known value, after `scale`.
    pub add: Option<f64>,
    /// Every known value times this.
    pub scale: Option<f64>,
    /// Other values by valid time (RFC 3339), instead of `add` and `scale`.
    pub values: Option<BTreeMap<String, f64>>,
    /// First valid time changed; the forecast start when absent.
    pub from: Option<String>,
    /// First valid time not changed; the end of what the forecast reads when absent.
    pub to: Option<String>,
}

/// A forecast as if covariates were different.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatIfBody {
    /// How far: `PT48H`.
    pub horizon: Option<String>,
    /// Quantile levels, rising.
    pub quantiles: Option<Vec<f64>>,
    /// Use only what was known then (RFC 3339).
    pub as_of: Option<String>,
    /// The start of the first period (RFC 3339).
    pub forecast_start: Option<String>,
    /// Which model version answers.
    pub version: Option<String>,
    /// By covariate: `{"city.temperature": {"add": 2}}`.
    pub overrides: BTreeMap<String, OverrideBody>,
}

/// The forecast beside what it would be with other covariates. Reads only: nothing of it is cached or kept as issued.
#[utoipa::path(post, path = "/v1/series/{name}/forecast:whatif", tag = "forecasts",
    params(("name" = String, Path, description = "The series.")),
    request_body = WhatIfBody,
    responses(
        (status = 200, description = "Both, and the difference.", body = crate::http::schema::WhatIfDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn whatif(
    State(app): State<AppState>,
    SeriesPath(name): SeriesPath,
    params: Params,
    JsonBody(body): JsonBody<WhatIfBody>,
) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(&app.service.whatif(&body.read(name)?).await?)
}

/// Reads fields and collects what is wrong with them.
struct Reader(Vec<FieldError>);

impl Reader {
    fn read<T, R, E: std::fmt::Display>(
        &mut self,
        field: &str,
        value: Option<T>,
        read: impl FnOnce(T) -> Result<R, E>,
    ) -> Option<R> {
        match value.map(read)? {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(FieldError { field: format!("body.{field}"), detail: error.to_string() });
                None
            }
        }
    }

    fn time(&mut self, field: &str, value: Option<&str>) -> Option<Time> {
        self.read(field, value, str::parse::<Time>)
    }
}

/// How many wrong fields one answer names.
const FIELD_ERRORS_MAX: usize = 20;

impl WhatIfBody {
    fn read(self, name: SeriesName) -> HttpResult<WhatIfRequest> {
        let mut reader = Reader(Vec::new());
        let forecast = ForecastRequest {
            horizon: reader.read("horizon", self.horizon.as_deref(), parse_duration),
            levels: reader.read("quantiles", self.quantiles, QuantileLevels::new),
            as_of: reader.time("as_of", self.as_of.as_deref()),
            forecast_start: reader.time("forecast_start", self.forecast_start.as_deref()),
            version: reader.read("version", self.version.as_deref(), version_id),
            ..ForecastRequest::new(name)
        };
        let bodies = self.overrides.into_iter();
        let overrides = bodies.filter_map(|(name, body)| body.read(&name, &mut reader)).collect();
        if reader.0.is_empty() {
            return Ok(WhatIfRequest { forecast, overrides });
        }
        reader.0.truncate(FIELD_ERRORS_MAX);
        Err(Problem::invalid_fields(reader.0))
    }
}

impl OverrideBody {
    /// `None` when something is wrong with it, which the reader knows then.
    fn read(self, name: &str, reader: &mut Reader) -> Option<Override> {
        let shown: String = name.chars().take(60).collect();
        let field = format!("overrides.{shown}");
        let covariate = reader.read(&field, Some(name), str::parse::<SeriesName>)?;
        let from = reader.time(&format!("{field}.from"), self.from.as_deref());
        let to = reader.time(&format!("{field}.to"), self.to.as_deref());
        let change = match (self.values, self.add, self.scale) {
            (Some(values), None, None) => {
                let field = format!("{field}.values");
                let times = values.into_iter();
                let read = times.map(|(time, value)| Some((reader.time(&field, Some(&time))?, value)));
                Change::Values(read.collect::<Option<_>>()?)
            }
            (None, add, scale) if add.is_some() || scale.is_some() => {
                Change::Shift { add: add.unwrap_or(0.0), scale: scale.unwrap_or(1.0) }
            }
            _ => {
                let wrong = Err::<(), _>("give `add` or `scale` or both, or `values` alone");
                reader.read(&field, Some(()), |()| wrong);
                return None;
            }
        };
        Some(Override { covariate, change, from, to })
    }
}
