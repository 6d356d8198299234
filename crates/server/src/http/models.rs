//! Model versions: listing, reading, promoting, and how the champion of a series did in its backtest.

use std::collections::BTreeMap;

use axum::extract::State;
use forewatt_service::domain::{ModelVersion, SeriesName, Time, VersionId};
use forewatt_service::{Error, ErrorKind, Service};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{JsonBody, Params, SeriesPath, TextPath};
use crate::http::forecast::version_id;
use crate::http::{AppState, optimize, reply};

/// Versions in one list when the request names no limit.
pub const LIMIT_DEFAULT: u32 = 200;

#[derive(Serialize)]
struct Versions {
    models: Vec<ModelVersion>,
}

/// Versions, newest first.
#[utoipa::path(get, path = "/v1/models", tag = "models",
    params(
        ("series" = Option<String>, Query, description = "Only versions of this series."),
        ("limit" = Option<u32>, Query, description = "At most so many; 200 when absent."),
    ),
    responses(
        (status = 200, description = "The versions.", body = crate::http::schema::ModelsDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(State(app): State<AppState>, params: Params) -> HttpResult {
    let mut params = params.only(&["series", "limit"]);
    let series = params.read::<SeriesName>("series");
    let limit = params.count("limit", app.service.config().limits.list_max).unwrap_or(LIMIT_DEFAULT);
    params.finish()?;
    reply::json(&Versions { models: app.service.list_versions(series.as_ref(), Some(limit)).await? })
}

/// One version with its lineage and scores.
#[utoipa::path(get, path = "/v1/models/{id}", tag = "models",
    params(("id" = String, Path, description = "The version: `district.load-v3`.")),
    responses(
        (status = 200, description = "The version.", body = crate::http::schema::ModelDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn show(State(app): State<AppState>, TextPath(id): TextPath, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(&app.service.version(&read_id(&id)?).await?)
}

fn read_id(text: &str) -> HttpResult<VersionId> {
    version_id(text).map_err(|detail| Problem::invalid("path.id", detail))
}

/// How to promote.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteBody {
    /// Promote even when it is not better than the champion; needs a reason.
    #[serde(default)]
    pub force: bool,
    /// Why it is forced; kept with the change.
    pub reason: Option<String>,
}

/// What a promotion did.
#[derive(Debug, Serialize, ToSchema)]
pub struct Promotion {
    /// The version that is champion now.
    champion: String,
    /// The series it answers for.
    series: String,
    /// What decided it.
    decision: String,
}

/// Makes a version the champion of its series when it did better on the same backtest, or by force with a reason.
#[utoipa::path(post, path = "/v1/models/{id}:promote", tag = "models",
    params(("id" = String, Path, description = "The version: `district.load-v3`.")),
    request_body(content = PromoteBody, description = "An empty object promotes only what is better."),
    responses(
        (status = 200, description = "It is champion now.", body = Promotion),
        (status = 409, description = "It is not better; the detail has both scores.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn act(
    State(app): State<AppState>,
    TextPath(path): TextPath,
    params: Params,
    JsonBody(body): JsonBody<serde_json::Value>,
) -> HttpResult {
    params.only(&[]).finish()?;
    if let Some(id) = path.strip_suffix(":optimize") {
        return optimize::optimize(&app, &read_id(id)?, &read_body(body)?).await;
    }
    let Some(id) = path.strip_suffix(":promote") else {
        let message =
            format!("`{path}` is not something to do: POST /v1/models/ID:promote or /v1/models/ID:optimize");
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    let (id, body): (_, PromoteBody) = (read_id(id)?, read_body(body)?);
    let force = match (body.force, &body.reason) {
        (true, reason) => Some(reason.as_deref().unwrap_or_default()),
        (false, Some(_)) => {
            return Err(Problem::invalid("body.reason", "goes with `force: true`: add that or leave it out"));
        }
        (false, None) => None,
    };
    let decision = app.service.promote(&id, force).await.map_err(in_words_of_http)?;
    let series = app.service.version(&id).await?.series;
    reply::json(&Promotion { champion: id.to_string(), series: series.to_string(), decision })
}

/// What a body says once it is known what is to be done.
fn read_body<T: DeserializeOwned>(body: serde_json::Value) -> HttpResult<T> {
    serde_json::from_value(body)
        .map_err(|error| Problem::invalid("body", format!("is not the JSON expected: {error}")))
}

/// The service speaks of the command line's flags; here they are fields of the body.
fn in_words_of_http(mut error: Error) -> Error {
    let message =
        error.message.replace("give `--force --reason TEXT`", "send {\"force\": true, \"reason\": TEXT}");
    error.message = message;
    error
}

/// The champion's backtest beside the baselines'.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccuracyDocument {
    /// The series.
    pub series: String,
    /// The champion.
    pub model_version: String,
    /// The unit of `mae`, `rmse`, `pinball`, `crps` and `width`.
    pub unit: String,
    /// The first forecast start of the backtest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The champion first, then the baselines by name; empty when there was no backtest.
    pub rows: Vec<AccuracyRow>,
    /// What a reader must know of the training: what was masked, what was missing.
    pub notes: Vec<String>,
}

/// The scores of one model.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct AccuracyRow {
    /// The family: `gbdt`, `seasonal-naive`.
    pub model: String,
    /// Whether this is the champion.
    pub champion: bool,
    /// Scores by name: `mae`, `rmse`, `pinball`, `coverage_80`.
    pub metrics: BTreeMap<String, f64>,
}

/// How the series' champion did in its backtest, beside the baselines.
#[utoipa::path(get, path = "/v1/series/{name}/accuracy", tag = "models",
    params(("name" = String, Path, description = "The series.")),
    responses(
        (status = 200, description = "The table.", body = AccuracyDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn accuracy(
    State(app): State<AppState>,
    SeriesPath(name): SeriesPath,
    params: Params,
) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(&champion_accuracy(&app.service, &name).await?)
}

/// The table of a series' champion.
///
/// # Errors
/// `NotFound`; `NoModel` without a champion.
pub async fn champion_accuracy(
    service: &Service,
    name: &SeriesName,
) -> forewatt_service::Result<AccuracyDocument> {
    let info = service.series(name).await?;
    let Some(champion) = info.champion() else {
        let message =
            format!("`{name}` has no champion: train one with POST /v1/train {{\"series\": \"{name}\"}}");
        return Err(Error::new(ErrorKind::NoModel, message));
    };
    let version = service.version(champion).await?;
    Ok(accuracy_of(&version, &info.series.unit))
}

/// Sorts a version's flat scores (`mae`, `seasonal-naive/mae`, ...) into rows.
fn accuracy_of(version: &ModelVersion, unit: &str) -> AccuracyDocument {
    let family = version.recipe.family.as_str();
    let instant =
        |name: &str| version.metrics.get(name).map(|&seconds| Time::from_seconds(seconds as i64).to_string());
    let mut rows: BTreeMap<&str, AccuracyRow> = BTreeMap::new();
    for (name, &value) in &version.metrics {
        if matches!(name.as_str(), "backtest_from" | "backtest_to") {
            continue;
        }
        let (model, metric) = name.split_once('/').unwrap_or((family, name));
        let row = rows.entry(model).or_default();
        row.metrics.insert(metric.to_owned(), value);
    }
    let mut rows: Vec<AccuracyRow> = rows
        .into_iter()
        .map(|(model, row)| AccuracyRow { model: model.to_owned(), champion: model == family, ..row })
        .collect();
    rows.sort_by_key(|row| !row.champion); // stable: the others keep their order
    AccuracyDocument {
        series: version.series.to_string(),
        model_version: version.id.to_string(),
        unit: unit.to_owned(),
        from: instant("backtest_from"),
        to: instant("backtest_to"),
        rows,
        notes: version.notes.clone(),
    }
}
