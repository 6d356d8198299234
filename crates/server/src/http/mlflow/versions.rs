//! `/api/2.0/mlflow/model-versions/...`: versions by their number.

use axum::extract::State;
use forewatt_service::domain::{ModelVersion, SeriesName, VersionId};
use forewatt_service::registry::Registered;
use forewatt_service::{Error, ErrorKind, Label, LabelKey, LabelKind};
use serde_json::{Value, json};

use super::ask::Asked;
use super::filter::{Field, Filter};
use super::{FORCED, RESULTS_DEFAULT, page, refuse, told};
use crate::error::{HttpResult, Problem};
use crate::http::{AppState, reply};

/// Versions of one page at most.
const RESULTS_MAX: usize = 10_000;

/// Versions come from training and from imports, not from MLflow's runs.
#[utoipa::path(post, path = "/api/2.0/mlflow/model-versions/create", tag = "mlflow", request_body = Object,
    responses((status = "4XX", description = "How versions are made instead.", body = Object)))]
pub async fn create(State(app): State<AppState>, asked: Asked) -> HttpResult {
    app.service.series(&asked.series()?).await?;
    Err(refuse::invalid(
        "source",
        "cannot be registered: train with POST /v1/train, or bring a model of LightGBM or XGBoost with \
         POST /v1/series/NAME/models:import",
    ))
}

async fn find(
    app: &AppState,
    (series, id): (SeriesName, VersionId),
) -> HttpResult<(Registered, ModelVersion)> {
    let model = app.service.registered(&series).await?;
    let version = model.versions.iter().find(|version| version.id == id).cloned();
    let Some(version) = version else {
        let message = format!("`{series}` has no version `{id}`");
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    Ok((model, version))
}

async fn whole(app: &AppState, wanted: (SeriesName, VersionId)) -> HttpResult {
    let (model, version) = find(app, wanted).await?;
    reply::json(&json!({"model_version": told::version(&model, &version)}))
}

/// One version.
#[utoipa::path(get, path = "/api/2.0/mlflow/model-versions/get", tag = "mlflow",
    params(("name" = String, Query, description = "The series."), ("version" = String, Query, description = "Its number: `3`.")),
    responses((status = 200, description = "`{\"model_version\": {..}}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn get(State(app): State<AppState>, asked: Asked) -> HttpResult {
    whole(&app, asked.version()?).await
}

/// Where a version's bytes are.
#[utoipa::path(get, path = "/api/2.0/mlflow/model-versions/get-download-uri", tag = "mlflow",
    params(("name" = String, Query, description = "The series."), ("version" = String, Query, description = "Its number: `3`.")),
    responses((status = 200, description = "`{\"artifact_uri\": \"forewatt:/ID\"}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn download_uri(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let (_, version) = find(&app, asked.version()?).await?;
    reply::json(&json!({"artifact_uri": told::source(&version)}))
}

/// Versions that pass a filter, the newest first.
#[utoipa::path(get, path = "/api/2.0/mlflow/model-versions/search", tag = "mlflow",
    params(
        ("filter" = Option<String>, Query, description = "Comparisons of `name`, `version_number`, `run_id`, `source_path` and tags joined by AND."),
        ("max_results" = Option<u32>, Query, description = "At most so many; 100 when absent."),
        ("page_token" = Option<String>, Query, description = "That of the page before."),
    ),
    responses((status = 200, description = "`{\"model_versions\": [..], \"next_page_token\": ..}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn search(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let text = asked.text("filter")?.unwrap_or_default();
    let filter = Filter::parse(&text).map_err(|detail| refuse::invalid("filter", detail))?;
    let mut found: Vec<(i64, Value)> = Vec::new();
    for info in app.service.list_series(None, None).await? {
        let model = app.service.registered(&info.series.name).await?;
        for version in &model.versions {
            let value = |field: &Field| value_of(&model, version, field);
            if filter.passes(value).map_err(|detail| refuse::invalid("filter", detail))? {
                found.push((version.created_at.micros(), told::version(&model, version)));
            }
        }
    }
    found.sort_by_key(|(created, _)| std::cmp::Reverse(*created)); // stable: a series' newest number stays first
    let found = found.into_iter().map(|(_, told)| told).collect();
    let (found, next) = page(found, &asked, asked.count("max_results", RESULTS_DEFAULT, RESULTS_MAX)?)?;
    reply::json(&json!({"model_versions": found, "next_page_token": next}))
}

fn value_of(model: &Registered, version: &ModelVersion, field: &Field) -> Result<Option<String>, String> {
    match field {
        Field::Tag(key) => {
            Ok(told::tags(model, version).into_iter().find(|(k, _)| k == key).map(|(_, value)| value))
        }
        Field::Attribute(name) => match name.as_str() {
            "name" => Ok(Some(version.series.to_string())),
            "version_number" => Ok(Some(told::number(version).to_owned())),
            "run_id" => Ok(Some(String::new())),
            "source_path" => Ok(Some(told::source(version))),
            _ => Err(format!("compares name, version_number, run_id, source_path and tags, not `{name}`")),
        },
    }
}

fn label((series, id): (SeriesName, VersionId), kind: LabelKind, name: String) -> LabelKey {
    LabelKey { series, version: id.to_string(), kind, name }
}

fn tag(asked: &Asked) -> HttpResult<LabelKey> {
    let name = asked.required("key")?;
    if name.starts_with(told::OWN_TAGS) {
        return Err(refuse::invalid("key", format!("`{}` is what the registry says itself", told::OWN_TAGS)));
    }
    Ok(label(asked.version()?, LabelKind::Tag, name))
}

/// Sets a tag.
#[utoipa::path(post, path = "/api/2.0/mlflow/model-versions/set-tag", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "Set.", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn set_tag(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let value = asked.text("value")?.unwrap_or_default();
    app.service.hang_label(&Label { key: tag(&asked)?, value }).await?;
    reply::json(&json!({}))
}

/// Takes a tag away.
#[utoipa::path(delete, path = "/api/2.0/mlflow/model-versions/delete-tag", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "Gone.", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn delete_tag(State(app): State<AppState>, asked: Asked) -> HttpResult {
    app.service.take_label(&tag(&asked)?).await?;
    reply::json(&json!({}))
}

/// Changes the description.
#[utoipa::path(patch, path = "/api/2.0/mlflow/model-versions/update", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "`{\"model_version\": {..}}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn update(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let wanted = asked.version()?;
    let value = asked.text("description")?.unwrap_or_default();
    let key = label(wanted.clone(), LabelKind::Description, String::new());
    app.service.hang_label(&Label { key, value }).await?;
    whole(&app, wanted).await
}

/// Moves a version to a stage: Production is champion, Staging challenger.
#[utoipa::path(post, path = "/api/2.0/mlflow/model-versions/transition-stage", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "`{\"model_version\": {..}}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn transition(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let (wanted, stage) = (asked.version()?, asked.required("stage")?);
    let (model, version) = find(&app, wanted.clone()).await?;
    match stage.to_ascii_lowercase().as_str() {
        "production" => app.service.point_alias(&wanted.0, "champion", &wanted.1, FORCED).await?,
        "staging" => app.service.point_alias(&wanted.0, "challenger", &wanted.1, FORCED).await?,
        word @ ("archived" | "none") => {
            if matches!(told::stage(&model, &version), "Production" | "Staging") {
                return Err(leaves_a_gap(&version));
            }
            let key = label(wanted.clone(), LabelKind::Stage, String::new());
            if word == "none" {
                app.service.take_label(&key).await?;
            } else {
                app.service.hang_label(&Label { key, value: "Archived".to_owned() }).await?;
            }
        }
        _ => return Err(refuse::invalid("stage", "is none of None, Staging, Production, Archived")),
    }
    whole(&app, wanted).await
}

fn leaves_a_gap(version: &ModelVersion) -> Problem {
    let message = format!("`{}` is champion or challenger: move another version to its stage", version.id);
    Error::new(ErrorKind::Conflict, message).into()
}
