//! Background work: `POST /v1/train`, `GET /v1/jobs`, `GET /v1/jobs/{id}`.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use forewatt_service::domain::{Covariate, QuantileLevels};
use forewatt_service::jobs::Work;
use forewatt_service::train::TrainRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{FieldError, HttpResult, Problem};
use crate::http::extract::{JsonBody, Params, TextPath};
use crate::http::{AppState, reply};

/// Jobs in one list when the request names no limit.
const LIMIT_DEFAULT: u32 = 100;
/// The longest id of a job, in bytes.
const ID_MAX_BYTES: usize = 64;

/// What to train; everything but the series has a default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainBody {
    /// The series to forecast.
    pub series: String,
    /// The model family: `ensemble`, `gbdt`, `linear`, `seasonal-naive`, `seasonal-empirical`; `auto`, `lear`, `mlp` and
    /// `gp` learn whole days and answer from local midnight.
    pub model: Option<String>,
    /// What it may read beside the target's past; the weather at the same place when absent.
    pub covariates: Option<Vec<CovariateBody>>,
    /// How far it must see: `PT48H`.
    pub horizon: Option<String>,
    /// The quantile levels it learns, rising.
    pub quantiles: Option<Vec<f64>>,
    /// Learn from at most this many days.
    pub training_days: Option<u32>,
    /// Days at the end of the data that its backtest covers.
    pub backtest_days: Option<u32>,
    /// The seed of everything random.
    pub seed: Option<u64>,
    /// About how long it may take: `PT10M`; only with `auto`, which tries learners from the cheapest on as long as there
    /// is time.
    pub budget: Option<String>,
    /// Make it champion when it beats the present one; true when absent.
    pub promote: Option<bool>,
}

/// A series the model may read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CovariateBody {
    /// Which series.
    pub series: String,
    /// Whether values for the time forecast are known at the forecast's start.
    #[serde(default)]
    pub known_ahead: bool,
}

impl TrainBody {
    fn read(self) -> HttpResult<TrainRequest> {
        let mut wrong = Vec::new();
        let series = kept(&mut wrong, "series", self.series.parse());
        let model = self.model.and_then(|text| kept(&mut wrong, "model", text.parse()));
        let quantiles =
            self.quantiles.and_then(|levels| kept(&mut wrong, "quantiles", QuantileLevels::new(levels)));
        let covariates = self.covariates.map(|list| {
            list.into_iter()
                .filter_map(|c| {
                    let series = kept(&mut wrong, "covariates", c.series.parse())?;
                    Some(Covariate { series, known_ahead: c.known_ahead })
                })
                .collect()
        });
        match series {
            Some(series) if wrong.is_empty() => Ok(TrainRequest {
                model,
                covariates,
                horizon: self.horizon,
                quantiles,
                training_days: self.training_days,
                backtest_days: self.backtest_days,
                seed: self.seed,
                budget: self.budget,
                promote: self.promote.unwrap_or(true),
                ..TrainRequest::new(series)
            }),
            _ => Err(Problem::invalid_fields(wrong)),
        }
    }
}

/// A field's value, or `None` with the fault written down.
pub fn kept<T, E: std::fmt::Display>(
    wrong: &mut Vec<FieldError>,
    field: &str,
    read: Result<T, E>,
) -> Option<T> {
    read.map_err(|error| wrong.push(FieldError { field: format!("body.{field}"), detail: error.to_string() }))
        .ok()
}

/// Starts a training in the background.
#[utoipa::path(post, path = "/v1/train", tag = "models",
    request_body = TrainBody,
    responses(
        (status = 202, description = "Accepted; follow `Location`.", body = crate::http::schema::JobDocument,
            headers(("Location" = String, description = "The job."))),
        (status = 503, description = "Too many jobs wait.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn train(
    State(app): State<AppState>,
    params: Params,
    JsonBody(body): JsonBody<TrainBody>,
) -> HttpResult {
    params.only(&[]).finish()?;
    let job = app.service.submit(Work::Train(Box::new(body.read()?))).await?;
    let mut response = reply::json_with_status(StatusCode::ACCEPTED, &job)?;
    if let Ok(location) = HeaderValue::try_from(format!("/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

#[derive(Serialize)]
struct Jobs<T: Serialize> {
    jobs: Vec<T>,
}

/// Jobs, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "models",
    params(("limit" = Option<u32>, Query, description = "At most so many; 100 when absent.")),
    responses(
        (status = 200, description = "The jobs.", body = crate::http::schema::JobsDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(State(app): State<AppState>, params: Params) -> HttpResult {
    let mut params = params.only(&["limit"]);
    let limit = params.count("limit", app.service.config().limits.list_max).unwrap_or(LIMIT_DEFAULT);
    params.finish()?;
    reply::json(&Jobs { jobs: app.service.list_jobs(Some(limit)).await? })
}

/// One job: where it stands and what it gave.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "models",
    params(("id" = String, Path, description = "The job.")),
    responses(
        (status = 200, description = "The job.", body = crate::http::schema::JobDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(State(app): State<AppState>, TextPath(id): TextPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    if id.len() > ID_MAX_BYTES || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(Problem::invalid("path.id", "is not the id of a job: GET /v1/jobs lists them"));
    }
    reply::json(&app.service.job(&id).await?)
}
