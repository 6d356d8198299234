//! KServe's contract for time series: `POST /v1/timeseries/forecast` of series sent along, `GET /v1/timeseries/models`.

mod frequency;

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use forewatt_service::domain::{QuantileLevels, Time, Zone};
use forewatt_service::sent::{Quick, SentForecast, SentSeries};
use forewatt_service::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::frequency::{Frequency, read_start};
use crate::error::{HttpResult, Problem};
use crate::http::extract::{Params, body_bytes, parse_json};
use crate::http::middleware::fresh_id;
use crate::http::{AppState, reply};

/// Where a series without a start begins: a Monday, midnight.
const START_BY_DEFAULT: &str = "2001-01-01T00:00:00Z";

/// A question. Fields beside these are passed over.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TimeseriesRequest {
    /// `auto`, `linear`, `seasonal-empirical` or `seasonal-steps`.
    model: String,
    /// The series so far.
    inputs: Vec<TimeseriesInput>,
    /// What is asked of each.
    options: TimeseriesOptions,
}

/// A series so far.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TimeseriesInput {
    /// `univariate_time_series` or `multivariate_time_series`.
    #[serde(rename = "type")]
    kind: TimeseriesKind,
    /// What it is called; it comes back.
    name: String,
    /// A value a step, or a list of one value a variable a step; `null` is a value not known.
    series: TimeseriesValues,
    /// `H`, `hour`, `D`, `M`, ..., or an ISO 8601 duration such as `PT15M`.
    frequency: String,
    /// The start of the first step, ISO 8601; UTC where it has no offset.
    start_timestamp: Option<String>,
    /// An extension: the IANA zone whose clocks shape the days; UTC when absent.
    time_zone: Option<String>,
}

/// Which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeseriesKind {
    /// One value a step.
    UnivariateTimeSeries,
    /// One value a variable a step.
    MultivariateTimeSeries,
}

/// The values of a series.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TimeseriesValues {
    /// One a step.
    One(Vec<Option<f64>>),
    /// One a variable a step.
    Many(Vec<Vec<Option<f64>>>),
}

/// What is asked.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TimeseriesOptions {
    /// Steps to foretell.
    horizon: u32,
    /// Quantile levels, rising; none when absent.
    quantiles: Option<Vec<f64>>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeseriesResponse {
    /// Its id.
    id: String,
    /// Unix seconds.
    created_at: i64,
    /// `completed`, `partial` or `error`.
    status: &'static str,
    /// Why there is no forecast at all.
    error: Option<TimeseriesError>,
    /// The model asked for; each forecast tells the family that answered.
    model: String,
    /// The answered series together; each that failed on its own.
    outputs: Vec<TimeseriesOutput>,
    /// Values read and foretold.
    usage: TimeseriesUsage,
}

/// Forecasts, or why there are none.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeseriesOutput {
    /// `time_series_forecast`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its id.
    id: String,
    /// `completed` or `error`.
    status: &'static str,
    /// One a series.
    content: Vec<TimeseriesForecast>,
    /// What is wrong and how to mend it.
    error: Option<TimeseriesError>,
}

/// The forecast of one series.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeseriesForecast {
    /// As it was sent.
    #[serde(rename = "type")]
    kind: TimeseriesKind,
    /// As it was sent.
    name: String,
    /// A value a step, or a list of one value a variable a step.
    mean_forecast: Layout,
    /// As it was sent.
    frequency: String,
    /// The start of the first step foretold.
    start_timestamp: String,
    /// By level, in the layout of the mean.
    quantiles: Option<BTreeMap<String, Layout>>,
    /// Which family answered, one a variable.
    families: Vec<&'static str>,
    /// What a reader must know.
    notes: Vec<String>,
}

/// Values in the layout of the series sent.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Layout {
    /// One a step.
    One(Vec<f64>),
    /// One a variable a step.
    Many(Vec<Vec<f64>>),
}

/// An error of these routes.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeseriesError {
    /// The HTTP status it would be alone.
    code: String,
    /// What is wrong and how to mend it.
    message: String,
    /// The part of the request.
    param: String,
    /// A word for the kind: `invalid_input`, `insufficient_data`, ...
    #[serde(rename = "type")]
    kind: &'static str,
}

/// The body of an error answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeseriesRefusal {
    /// Why.
    error: TimeseriesError,
}

/// Values read and foretold, under the names the contract has for them.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimeseriesUsage {
    /// Values read.
    prompt_tokens: usize,
    /// Values foretold.
    completion_tokens: usize,
    /// Both.
    total_tokens: usize,
}

impl TimeseriesError {
    fn of(problem: &Problem, param: &str) -> Self {
        Self {
            code: problem.status.to_string(),
            message: problem.detail.clone(),
            param: param.to_owned(),
            kind: problem.kind,
        }
    }
}

impl TimeseriesRefusal {
    /// The body of an error answer.
    pub fn body(problem: &Problem) -> Vec<u8> {
        let param = problem.errors.first().map_or("", |wrong| wrong.field.as_str());
        // Texts always serialise.
        serde_json::to_vec(&Self { error: TimeseriesError::of(problem, param) }).unwrap_or_default()
    }
}

/// The families that are quick enough to be fitted while somebody waits.
#[utoipa::path(get, path = "/v1/timeseries/models", tag = "inference",
    responses((status = 200, description = "Their names.", body = Vec<String>)))]
pub async fn models(params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(&Quick::ALL.map(|(word, _)| word))
}

/// Foretells series that come with the question; nothing is stored.
#[utoipa::path(post, path = "/v1/timeseries/forecast", tag = "inference",
    request_body = TimeseriesRequest,
    responses(
        (status = 200, description = "The forecasts; a series that fails does so alone.", body = TimeseriesResponse),
        (status = "4XX", description = "What is wrong and how to mend it.", body = TimeseriesRefusal),
    ))]
pub async fn forecast(State(app): State<AppState>, params: Params, request: Request) -> HttpResult {
    params.only(&[]).finish()?;
    let body = body_bytes(request, &app, usize::MAX).await?;
    let asked: TimeseriesRequest = parse_json(&body)?;
    let batch_max = app.service.config().forecast.batch_max;
    if asked.inputs.is_empty() || asked.inputs.len() > batch_max {
        let detail = format!("has {} series: send 1 to {batch_max}", asked.inputs.len());
        return Err(Problem::invalid("inputs", detail));
    }
    let Some(family) = Quick::from_word(&asked.model) else {
        let words: Vec<&str> = Quick::ALL.iter().map(|(word, _)| *word).collect();
        let message =
            format!("there is no model `{}` here: use one of {}", shown(&asked.model), words.join(", "));
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    let mut answer = Answering::default();
    for input in asked.inputs {
        let name = shown(&input.name);
        match one(&app, input, &asked.options, family, &mut answer.read).await {
            Ok(forecast) => answer.done.push(forecast),
            Err(error) => {
                let wrong = TimeseriesError::of(&Problem::from(error), &format!("inputs.{name}"));
                answer.failed.push(wrong);
            }
        }
    }
    reply::json(&answer.response(asked.model, app.service.now()))
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

/// What has come of the series so far.
#[derive(Default)]
struct Answering {
    read: usize,
    done: Vec<TimeseriesForecast>,
    failed: Vec<TimeseriesError>,
}

impl Answering {
    fn response(self, model: String, now: Time) -> TimeseriesResponse {
        let id = format!("forecast-{}", fresh_id());
        let values = |layout: &Layout| match layout {
            Layout::One(values) => values.len(),
            Layout::Many(steps) => steps.iter().map(Vec::len).sum(),
        };
        let foretold = self.done.iter().map(|forecast| values(&forecast.mean_forecast)).sum();
        let status = match (self.done.is_empty(), self.failed.is_empty()) {
            (false, true) => "completed",
            (false, false) => "partial",
            (true, _) => "error",
        };
        let output = |place: usize, status, content, error| TimeseriesOutput {
            kind: "time_series_forecast",
            id: format!("{id}-{place}"),
            status,
            content,
            error,
        };
        let done = (!self.done.is_empty()).then(|| output(0, "completed", self.done, None));
        let failed = self
            .failed
            .into_iter()
            .enumerate()
            .map(|(i, error)| output(i + 1, "error", Vec::new(), Some(error)));
        let error = (status == "error").then(|| TimeseriesError {
            code: "422".to_owned(),
            message: "no series could be foretold: each output says why".to_owned(),
            param: "inputs".to_owned(),
            kind: ErrorKind::InsufficientData.as_str(),
        });
        let outputs = done.into_iter().chain(failed).collect();
        let usage = TimeseriesUsage {
            prompt_tokens: self.read,
            completion_tokens: foretold,
            total_tokens: self.read + foretold,
        };
        TimeseriesResponse { id, created_at: now.seconds(), status, error, model, outputs, usage }
    }
}

async fn one(
    app: &AppState,
    input: TimeseriesInput,
    options: &TimeseriesOptions,
    family: Quick,
    read: &mut usize,
) -> Result<TimeseriesForecast, Error> {
    let variables = variables(input.kind, input.series)?;
    let length = variables.first().map_or(0, Vec::len);
    *read += variables.len() * length;
    let frequency = Frequency::read(&input.frequency)?;
    let levels =
        options.quantiles.clone().filter(|levels| !levels.is_empty()).map(QuantileLevels::new).transpose()?;
    let start_text = input.start_timestamp.as_deref().unwrap_or(START_BY_DEFAULT);
    let start = read_start(start_text)?;
    let zone: Zone = match input.time_zone.as_deref().unwrap_or("UTC").parse() {
        Ok(zone) => zone,
        Err(error) => return Err(Error::invalid(format!("time_zone: {error}"))),
    };
    let sent = SentSeries {
        variables,
        start,
        pace: frequency.pace(),
        zone,
        horizon: options.horizon,
        levels: levels.clone().unwrap_or_else(QuantileLevels::deciles),
        family,
    };
    let said = app.service.forecast_sent(sent).await?;
    let mut notes: Vec<String> = said.iter().flat_map(|one| one.notes.iter().cloned()).collect();
    if input.start_timestamp.is_none() {
        notes.insert(
            0,
            format!(
                "no start_timestamp was sent: the first step is taken to be {START_BY_DEFAULT}, a Monday"
            ),
        );
    }
    notes.dedup();
    let mean: Vec<&[f64]> = said.iter().map(|one| one.mean.as_slice()).collect();
    let of_level = |l: usize| said.iter().map(|one| one.quantiles[l].as_slice()).collect::<Vec<&[f64]>>();
    let quantiles = levels.map(|levels| {
        let named = levels.as_slice().iter().enumerate();
        named.map(|(l, level)| (level.to_string(), layout(input.kind, &of_level(l)))).collect()
    });
    Ok(TimeseriesForecast {
        kind: input.kind,
        name: input.name,
        mean_forecast: layout(input.kind, &mean),
        start_timestamp: frequency.later(start, length)?.to_string(),
        frequency: input.frequency,
        quantiles,
        families: said.iter().map(|one: &SentForecast| one.family).collect(),
        notes,
    })
}

/// One list a variable.
fn variables(kind: TimeseriesKind, values: TimeseriesValues) -> Result<Vec<Vec<f64>>, Error> {
    let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
    match (kind, values) {
        (TimeseriesKind::UnivariateTimeSeries, TimeseriesValues::One(values)) => {
            Ok(vec![values.into_iter().map(known).collect()])
        }
        // An empty list is a list of either kind.
        (TimeseriesKind::MultivariateTimeSeries, TimeseriesValues::One(values)) if values.is_empty() => {
            Ok(Vec::new())
        }
        (TimeseriesKind::MultivariateTimeSeries, TimeseriesValues::Many(steps)) => {
            let count = steps.first().map_or(0, Vec::len);
            if steps.iter().any(|step| step.len() != count) {
                return Err(Error::invalid(
                    "the steps have unlike numbers of variables: send as many at every step",
                ));
            }
            Ok((0..count).map(|variable| steps.iter().map(|step| known(step[variable])).collect()).collect())
        }
        (TimeseriesKind::UnivariateTimeSeries, TimeseriesValues::Many(_)) => Err(Error::invalid(
            "a univariate series is a list of numbers: send that, or type multivariate_time_series",
        )),
        (TimeseriesKind::MultivariateTimeSeries, TimeseriesValues::One(_)) => Err(Error::invalid(
            "a multivariate series is a list of steps, each a list of one number a variable",
        )),
    }
}

/// Values by variable in the layout of the series sent: by step.
fn layout(kind: TimeseriesKind, variables: &[&[f64]]) -> Layout {
    let steps = variables.first().map_or(0, |values| values.len());
    match kind {
        TimeseriesKind::UnivariateTimeSeries => {
            Layout::One(variables.first().map_or_else(Vec::new, |v| v.to_vec()))
        }
        TimeseriesKind::MultivariateTimeSeries => Layout::Many(
            (0..steps).map(|step| variables.iter().map(|values| values[step]).collect()).collect(),
        ),
    }
}
