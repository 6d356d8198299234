//! `GET /v1/series/{name}/forecast` and `POST /v1/forecasts:batch`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use forewatt_service::cache::Answer;
use forewatt_service::domain::time::parse_duration;
use forewatt_service::domain::{QuantileLevels, SeriesName, VersionId};
use forewatt_service::forecast::ForecastRequest;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{JsonBody, Params, SeriesPath};
use crate::http::reply::{self, Held};
use crate::http::{AppState, caching};

/// The parameters of a forecast.
const KNOWN: [&str; 6] = ["horizon", "quantiles", "as_of", "forecast_start", "threshold", "version"];

/// One forecast, from the cache when it is there.
#[utoipa::path(get, path = "/v1/series/{name}/forecast", tag = "forecasts",
    params(
        ("name" = String, Path, description = "The series."),
        ("horizon" = Option<String>, Query, description = "How far: `PT48H`, `2d`. The model's horizon is the longest.", example = "PT48H"),
        ("quantiles" = Option<String>, Query, description = "Quantile levels, rising.", example = "0.1,0.5,0.9"),
        ("as_of" = Option<String>, Query, description = "Use only what was known at this instant (RFC 3339)."),
        ("forecast_start" = Option<String>, Query, description = "The start of the first period (RFC 3339), on the series' grid."),
        ("threshold" = Option<f64>, Query, description = "Also answer `probability_above`: P(value > threshold)."),
        ("version" = Option<String>, Query, description = "Which model version answers; the champion when absent."),
    ),
    responses(
        (status = 200, description = "The forecast.", body = crate::http::schema::ForecastDocument,
            headers(
                ("ETag" = String, description = "Strong; send it back as If-None-Match."),
                ("Forewatt-Fallback" = String, description = "Who answered for a champion that could not: `last-good`, `seasonal-empirical`."),
                ("Forewatt-Degraded" = String, description = "`true` when `degraded` says what is not as it should be."),
            )),
        (status = 304, description = "The client holds this answer already."),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(
    State(app): State<AppState>,
    SeriesPath(name): SeriesPath,
    params: Params,
    held: Held,
) -> HttpResult {
    let request = request_of(name, params)?;
    let answer = app.service.forecast(&request).await?;
    let key = app.service.surrogate_key(&request.series, &answer.forecast.model_version).await?;
    let mut response = reply::tagged_json(&held, answer.json.clone(), &answer.etag, &key)?;
    reply::label(&mut response, &answer);
    caching::allow(&mut response, &app.service.config().outward.cdn);
    Ok(response)
}

/// The question in a query string.
fn request_of(series: SeriesName, params: Params) -> HttpResult<ForecastRequest> {
    let mut params = params.only(&KNOWN);
    let request = ForecastRequest {
        series,
        horizon: params.parsed("horizon", parse_duration),
        levels: params.parsed("quantiles", QuantileLevels::parse),
        as_of: params.time("as_of"),
        forecast_start: params.time("forecast_start"),
        threshold: params.number("threshold"),
        version: params.parsed("version", version_id),
    };
    params.finish()?;
    Ok(request)
}

/// A version id as a client writes it.
pub fn version_id(text: &str) -> Result<VersionId, String> {
    VersionId::from_text(text).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        format!("`{shown}` is not a version id such as district.load-v3")
    })
}

/// One question of a batch; the fields mean what the parameters of a single forecast mean.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchItem {
    /// The series.
    pub series: String,
    /// How far: `PT48H`.
    pub horizon: Option<String>,
    /// Quantile levels, rising.
    pub quantiles: Option<Vec<f64>>,
    /// Use only what was known then (RFC 3339).
    pub as_of: Option<String>,
    /// The start of the first period (RFC 3339).
    pub forecast_start: Option<String>,
    /// Also answer P(value > threshold).
    pub threshold: Option<f64>,
    /// Which model version answers.
    pub version: Option<String>,
}

/// Many questions.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// The questions; each is answered or refused on its own, in this order.
    pub requests: Vec<BatchItem>,
}

impl BatchItem {
    fn read(self) -> Result<ForecastRequest, forewatt_service::Error> {
        let version = self.version.as_deref().map(version_id).transpose();
        Ok(ForecastRequest {
            series: self.series.parse()?,
            horizon: self.horizon.as_deref().map(parse_duration).transpose()?,
            levels: self.quantiles.map(QuantileLevels::new).transpose()?,
            as_of: self.as_of.as_deref().map(str::parse).transpose()?,
            forecast_start: self.forecast_start.as_deref().map(str::parse).transpose()?,
            threshold: self.threshold,
            version: version.map_err(forewatt_service::Error::invalid)?,
        })
    }
}

/// Many forecasts at once; one that fails does so alone.
#[utoipa::path(post, path = "/v1/forecasts:batch", tag = "forecasts",
    request_body = BatchBody,
    responses(
        (status = 200, description = "One result a question, in order.", body = crate::http::schema::BatchDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn batch(
    State(app): State<AppState>,
    params: Params,
    JsonBody(body): JsonBody<BatchBody>,
) -> HttpResult {
    params.only(&[]).finish()?;
    let batch_max = app.service.config().forecast.batch_max;
    if body.requests.len() > batch_max {
        let message =
            format!("{} forecasts in one batch, the limit is {batch_max}: split it", body.requests.len());
        return Err(forewatt_service::Error::new(forewatt_service::ErrorKind::TooLarge, message).into());
    }
    let read: Vec<Result<ForecastRequest, _>> = body.requests.into_iter().map(BatchItem::read).collect();
    let good: Vec<ForecastRequest> = read.iter().filter_map(|r| r.as_ref().ok().cloned()).collect();
    let mut answers = app.service.forecast_batch(good).await?.into_iter();
    let results = read.into_iter().map(|question| match question {
        // The service answers every question it was given, in order.
        Ok(_) => {
            answers.next().unwrap_or_else(|| Err(forewatt_service::Error::internal("an answer is missing")))
        }
        Err(error) => Err(error),
    });
    let json = HeaderValue::from_static("application/json");
    let no_store = HeaderValue::from_static("no-store");
    let headers = [(header::CONTENT_TYPE, json), (header::CACHE_CONTROL, no_store)];
    Ok((headers, Bytes::from(document(results))).into_response())
}

/// `{"results":[{"forecast":{..}},{"problem":{..}}]}` from encoded answers, which are not encoded again; the command
/// line prints it too.
pub fn document(results: impl Iterator<Item = Result<Arc<Answer>, forewatt_service::Error>>) -> Vec<u8> {
    let mut body = b"{\"results\":[".to_vec();
    for (i, result) in results.enumerate() {
        if i > 0 {
            body.push(b',');
        }
        match result {
            Ok(answer) => {
                body.extend_from_slice(b"{\"forecast\":");
                body.extend_from_slice(&answer.json);
            }
            Err(error) => {
                body.extend_from_slice(b"{\"problem\":");
                // Text, numbers and lists always serialise.
                body.extend(serde_json::to_vec(&Problem::from(error)).unwrap_or_default());
            }
        }
        body.push(b'}');
    }
    body.extend_from_slice(b"]}");
    body
}
