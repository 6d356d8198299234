//! The Open Inference Protocol over REST: `/v2/...`, whose errors are `{"error": "text"}`.

mod body;

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{Params, body_bytes, parse_json};
use crate::http::{AppState, reply};
use crate::oip::{self, Config, EXTENSIONS, Metadata, Model, SERVER, Sum, TensorType, Told};

/// Every route of the protocol.
pub fn routes() -> Router<AppState> {
    let mut router = Router::new()
        .route("/v2", get(server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models", get(models))
        .route("/v2/models/stats", get(all_statistics))
        .route("/v2/repository/index", post(index))
        .route("/v2/repository/models/{model}/load", post(load))
        .route("/v2/repository/models/{model}/unload", post(unload));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        router = router
            .route(model, get(metadata))
            .route(&format!("{model}/ready"), get(model_ready))
            .route(&format!("{model}/config"), get(config))
            .route(&format!("{model}/stats"), get(statistics))
            .route(&format!("{model}/infer"), post(infer));
    }
    router
}

/// An error of these routes.
#[derive(Debug, Serialize, ToSchema)]
pub struct OipError {
    /// What is wrong and how to mend it.
    error: String,
}

impl OipError {
    /// The body of an error answer.
    pub fn body(detail: &str) -> Vec<u8> {
        // A text always serialises.
        serde_json::to_vec(&Self { error: detail.to_owned() }).unwrap_or_default()
    }
}

/// Whether the server can be asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct OipHealth {
    /// The process runs.
    live: bool,
    /// Requests can be served.
    ready: bool,
}

/// The model in the path and its version, empty when not named; these routes take no query.
pub struct ModelPath {
    model: String,
    version: String,
}

impl<S: Send + Sync> FromRequestParts<S> for ModelPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Params::from_request_parts(parts, state).await?.only(&[]).finish()?;
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|rejection| Problem::invalid("path", rejection.body_text()))?;
        let part = |wanted: &str| {
            params
                .iter()
                .find(|(name, _)| *name == wanted)
                .map_or_else(String::new, |(_, value)| value.to_owned())
        };
        Ok(Self { model: part("model"), version: part("version") })
    }
}

impl ModelPath {
    async fn find(&self, app: &AppState) -> HttpResult<Model> {
        Ok(oip::find(&app.service, &self.model, &self.version).await?)
    }
}

/// Who this is.
#[utoipa::path(get, path = "/v2", tag = "inference",
    responses((status = 200, description = "Name, version, extensions.", body = Object)))]
pub async fn server(params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    reply::json(&json!({"name": SERVER, "version": env!("CARGO_PKG_VERSION"), "extensions": EXTENSIONS}))
}

/// The process runs.
#[utoipa::path(get, path = "/v2/health/live", tag = "inference",
    responses((status = 200, description = "It does.", body = OipHealth)))]
pub async fn live(State(app): State<AppState>) -> HttpResult {
    reply::json(&OipHealth { live: true, ready: app.ready().await.is_ok() })
}

/// Requests can be served: the same question to the store as `/health/ready`.
#[utoipa::path(get, path = "/v2/health/ready", tag = "inference",
    responses(
        (status = 200, description = "They can.", body = OipHealth),
        (status = 503, description = "Not now.", body = OipError),
    ))]
pub async fn ready(state: State<AppState>) -> HttpResult {
    crate::http::ops::ready(state).await?;
    reply::json(&OipHealth { live: true, ready: true })
}

/// The names of all models that can be asked.
#[utoipa::path(get, path = "/v2/models", tag = "inference",
    responses((status = 200, description = "`{\"models\": [..]}`", body = Object)))]
pub async fn models(State(app): State<AppState>, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    let names: Vec<String> =
        oip::index(&app.service, true).await?.into_iter().map(|entry| entry.name).collect();
    reply::json(&json!({"models": names}))
}

/// What a model takes and gives. Every series is a model of its name, every version one of its id.
#[utoipa::path(get, path = "/v2/models/{model}", tag = "inference",
    params(("model" = String, Path, description = "A series, or a version id.")),
    responses(
        (status = 200, description = "Name, versions, platform, inputs, outputs.", body = Object),
        (status = "4XX", description = "What is wrong and how to mend it.", body = OipError),
    ))]
pub async fn metadata(State(app): State<AppState>, path: ModelPath) -> HttpResult {
    let told = Metadata::of(&app.service, &path.find(&app).await?).await?;
    let tensor = |t: &TensorType| json!({"name": t.name, "datatype": t.datatype, "shape": t.shape});
    reply::json(&json!({
        "name": told.name,
        "versions": told.versions,
        "platform": told.platform,
        "inputs": told.inputs.iter().map(tensor).collect::<Vec<_>>(),
        "outputs": told.outputs.iter().map(tensor).collect::<Vec<_>>(),
    }))
}

/// Whether a model can be asked: 200 when it can.
#[utoipa::path(get, path = "/v2/models/{model}/ready", tag = "inference",
    params(("model" = String, Path, description = "A series, or a version id.")),
    responses(
        (status = 200, description = "It can.", body = Object),
        (status = "4XX", description = "Why it cannot.", body = OipError),
    ))]
pub async fn model_ready(State(app): State<AppState>, path: ModelPath) -> HttpResult {
    oip::ready(&app.service, &path.model, &path.version).await?;
    reply::json(&json!({"name": path.model, "ready": true}))
}

/// A model as a configuration: its tensors, the names of its features, its quantile levels.
#[utoipa::path(get, path = "/v2/models/{model}/config", tag = "inference",
    params(("model" = String, Path, description = "A series, or a version id.")),
    responses(
        (status = 200, description = "The configuration.", body = Object),
        (status = "4XX", description = "What is wrong and how to mend it.", body = OipError),
    ))]
pub async fn config(State(app): State<AppState>, path: ModelPath) -> HttpResult {
    let Config { metadata, parameters } = Config::of(&app.service, &path.find(&app).await?).await?;
    let word = |datatype: &str| match datatype {
        "BYTES" => "TYPE_STRING".to_owned(),
        other => format!("TYPE_{other}"),
    };
    let input = |t: &TensorType| json!({"name": t.name, "data_type": word(t.datatype), "dims": t.shape, "optional": t.optional});
    let output = |t: &TensorType| json!({"name": t.name, "data_type": word(t.datatype), "dims": t.shape});
    let parameters: BTreeMap<&str, Value> =
        parameters.into_iter().map(|(name, value)| (name, json!({"string_value": value}))).collect();
    reply::json(&json!({
        "name": metadata.name,
        "platform": metadata.platform,
        "backend": SERVER,
        "max_batch_size": 0,
        "input": metadata.inputs.iter().map(input).collect::<Vec<_>>(),
        "output": metadata.outputs.iter().map(output).collect::<Vec<_>>(),
        "parameters": parameters,
    }))
}

/// How often every model was asked, and how long it took, since this process began.
#[utoipa::path(get, path = "/v2/models/stats", tag = "inference",
    responses((status = 200, description = "`{\"model_stats\": [..]}`", body = Object)))]
pub async fn all_statistics(State(app): State<AppState>, params: Params) -> HttpResult {
    params.only(&[]).finish()?;
    let all = app.tally.all();
    let told: Vec<Value> = all.iter().map(|((name, version), told)| told_of(name, version, told)).collect();
    reply::json(&json!({"model_stats": told}))
}

/// How often a model was asked, and how long it took.
#[utoipa::path(get, path = "/v2/models/{model}/stats", tag = "inference",
    params(("model" = String, Path, description = "A series, or a version id.")),
    responses(
        (status = 200, description = "`{\"model_stats\": [..]}`", body = Object),
        (status = "4XX", description = "What is wrong and how to mend it.", body = OipError),
    ))]
pub async fn statistics(State(app): State<AppState>, path: ModelPath) -> HttpResult {
    let model = path.find(&app).await?;
    let (name, version) = (model.name(), model.version_word());
    let told = told_of(name, &version, &app.tally.of(name, &version));
    reply::json(&json!({"model_stats": [told]}))
}

fn told_of(name: &str, version: &str, told: &Told) -> Value {
    let sum = |sum: Sum| json!({"count": sum.count, "ns": sum.ns});
    json!({
        "name": name,
        "version": version,
        "last_inference": told.last_ms,
        "inference_count": told.success.count,
        "execution_count": told.success.count,
        "inference_stats": {
            "success": sum(told.success),
            "fail": sum(told.fail),
            "queue": sum(Sum::default()),
            "compute_input": sum(told.input),
            "compute_infer": sum(told.infer),
            "compute_output": sum(told.output),
        },
        "batch_stats": [],
    })
}

/// Asks a model. Tensors come and go as JSON or, under `Inference-Header-Content-Length`, as raw bytes after it.
#[utoipa::path(post, path = "/v2/models/{model}/infer", tag = "inference",
    params(
        ("model" = String, Path, description = "A series, or a version id."),
        ("Inference-Header-Content-Length" = Option<u64>, Header, description = "Bytes of JSON before the raw tensors."),
    ),
    request_body(content((body::InferDocument = "application/json"), (String = "application/octet-stream")),
        description = "`horizon` for a series; `features` for a version."),
    responses(
        (status = 200, description = "The outputs.", body = Object),
        (status = "4XX", description = "What is wrong and how to mend it.", body = OipError),
        (status = 503, description = "Busy: try again.", body = OipError),
    ))]
pub async fn infer(State(app): State<AppState>, path: ModelPath, request: Request) -> HttpResult {
    let header = body::header_length(request.headers())?;
    let body = body_bytes(request, &app, usize::MAX).await?;
    let asked = match header {
        Some(0) => body::one_raw_input(&path.find(&app).await?, &body)?,
        header => body::read(&body, header)?,
    };
    let question = oip::Question { model: path.model, version: path.version, ..asked.question };
    let answer = question.answer(&app).await?;
    body::write(&answer, &asked.binary)
}

#[derive(Deserialize)]
struct IndexBody {
    #[serde(default)]
    ready: bool,
}

/// Every model there is. The body may be empty, or `{"ready": true}` for those that can be asked.
#[utoipa::path(post, path = "/v2/repository/index", tag = "inference",
    responses(
        (status = 200, description = "Name, version, state and reason of each.", body = Object),
        (status = "4XX", description = "What is wrong and how to mend it.", body = OipError),
    ))]
pub async fn index(State(app): State<AppState>, params: Params, request: Request) -> HttpResult {
    params.only(&[]).finish()?;
    let body = body_bytes(request, &app, usize::MAX).await?;
    let asked = if body.is_empty() { IndexBody { ready: false } } else { parse_json(&body)? };
    let entry = |entry: oip::Entry| {
        let state = entry.state();
        json!({"name": entry.name, "version": entry.version, "state": state, "reason": entry.reason.unwrap_or_default()})
    };
    let entries: Vec<Value> = oip::index(&app.service, asked.ready).await?.into_iter().map(entry).collect();
    reply::json(&entries)
}

/// Reads a model into memory, so that its first question is as quick as the next.
#[utoipa::path(post, path = "/v2/repository/models/{model}/load", tag = "inference",
    params(("model" = String, Path, description = "A series, or a version id.")),
    responses(
        (status = 200, description = "It is in memory.", body = Object),
        (status = "4XX", description = "What is wrong and how to mend it.", body = OipError),
    ))]
pub async fn load(State(app): State<AppState>, path: ModelPath) -> HttpResult {
    oip::load(&app.service, &path.model).await?;
    reply::json(&json!({}))
}

/// Drops a model from memory. It stays registered, and whoever asks it next reads it again.
#[utoipa::path(post, path = "/v2/repository/models/{model}/unload", tag = "inference",
    params(("model" = String, Path, description = "A series, or a version id.")),
    responses(
        (status = 200, description = "It is not in memory.", body = Object),
        (status = "4XX", description = "What is wrong and how to mend it.", body = OipError),
    ))]
pub async fn unload(State(app): State<AppState>, path: ModelPath) -> HttpResult {
    oip::unload(&app.service, &path.model).await?;
    reply::json(&json!({}))
}
