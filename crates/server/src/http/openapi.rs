//! `/openapi.json`: generated from the handlers, encoded once.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::LazyLock;

use axum::body::Bytes;
use utoipa::OpenApi;

use crate::error::{FieldError, HttpResult, Problem};
use crate::http::extract::Params;
use crate::http::reply::Held;
use crate::http::{
    audit, compare, explain, forecast, holidays, import_model, issued, jobs, mlflow, models, observations,
    oip, ops, optimize, quality, reconcile, reply, series, sources, timeseries, webhooks,
};

/// The API in one description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Forewatt",
        description = "Probabilistic energy forecasts: series and their observations, models with honest backtests, and \
            forecasts with quantiles.\n\nTimes are RFC 3339 and answered in UTC; durations are ISO 8601 (`PT48H`) or a number and a \
            unit (`48h`). Errors are `application/problem+json` (RFC 9457) and say how to mend them. Unknown parameters and \
            fields are refused.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(
        series::list, series::show, series::put,
        observations::read, observations::write,
        quality::show, holidays::read,
        forecast::show, forecast::batch, reconcile::show, issued::read,
        explain::show, explain::whatif,
        models::accuracy, models::list, models::show, models::act, import_model::import, optimize::optimize, compare::compare,
        jobs::train, jobs::list, jobs::show,
        oip::server, oip::live, oip::ready, oip::models, oip::metadata, oip::model_ready, oip::config,
        oip::all_statistics, oip::statistics, oip::infer, oip::index, oip::load, oip::unload,
        timeseries::forecast, timeseries::models,
        sources::list, sources::put, sources::remove, sources::act,
        webhooks::list, webhooks::add, webhooks::remove, webhooks::dead, webhooks::replay,
        ops::live, ops::ready, ops::metrics, audit::list,
        mlflow::models::create, mlflow::models::get, mlflow::models::search, mlflow::models::latest, mlflow::models::update,
        mlflow::models::set_tag, mlflow::models::delete_tag, mlflow::models::set_alias, mlflow::models::get_alias,
        mlflow::models::delete_alias, mlflow::versions::create, mlflow::versions::get, mlflow::versions::search,
        mlflow::versions::download_uri, mlflow::versions::set_tag, mlflow::versions::delete_tag, mlflow::versions::update,
        mlflow::versions::transition,
    ),
    components(schemas(Problem, FieldError)),
    tags(
        (name = "series", description = "What is measured: descriptions, observations, data quality, holidays."),
        (name = "forecasts", description = "What is expected, with its uncertainty; and what was expected before."),
        (name = "models", description = "Training, comparing and promoting."),
        (name = "inference", description = "The Open Inference Protocol, version 2, for its clients, and KServe's time series. Errors are \
            `{\"error\": \"text\"}`; each route of a model is also there under `/v2/models/{model}/versions/{version}`."),
        (name = "outward", description = "Sources that data are fetched from, and webhooks that are told of events."),
        (name = "operations", description = "Health and metrics."),
        (name = "mlflow", description = "The part of MLflow's model registry that finds, tags and aliases versions. Errors are \
            `{\"error_code\": \"..\", \"message\": \"..\"}`; unknown fields are passed over."),
    ),
)]
pub struct Api;

/// The encoded description with its entity tag and its paths.
struct Encoded {
    json: Bytes,
    etag: String,
    paths: Vec<String>,
}

static ENCODED: LazyLock<Encoded> = LazyLock::new(|| {
    let api = Api::openapi();
    // The description is made of text and lists and always serialises.
    let json = api.to_json().unwrap_or_default().into_bytes();
    let etag = content_tag(&json);
    Encoded { json: json.into(), etag, paths: api.paths.paths.keys().cloned().collect() }
});

/// Every path of the API, as templates.
#[must_use]
pub fn paths() -> &'static [String] {
    &ENCODED.paths
}

/// A strong entity tag from content: 64 bits of SipHash under fixed keys, so that equal builds agree.
#[must_use]
pub fn content_tag(content: &[u8]) -> String {
    format!("\"{:016x}\"", BuildHasherDefault::<DefaultHasher>::default().hash_one(content))
}

/// The description.
///
/// # Errors
/// 400 for parameters: it takes none.
pub async fn document(params: Params, held: Held) -> HttpResult {
    params.only(&[]).finish()?;
    reply::tagged_json(&held, ENCODED.json.clone(), &ENCODED.etag, "openapi")
}
