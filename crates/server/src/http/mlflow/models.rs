//! `/api/2.0/mlflow/registered-models/...`: every series is a registered model.

use axum::extract::State;
use forewatt_service::registry::Registered;
use forewatt_service::{Error, ErrorKind, Label, LabelKey, LabelKind};
use serde_json::{Value, json};

use super::ask::Asked;
use super::filter::{Field, Filter};
use super::{FORCED, RESULTS_DEFAULT, page, refuse, told};
use crate::error::HttpResult;
use crate::http::{AppState, reply};

/// Registered models of one page at most.
const RESULTS_MAX: usize = 1_000;

/// Every series is a registered model already, so none is created here.
#[utoipa::path(post, path = "/api/2.0/mlflow/registered-models/create", tag = "mlflow", request_body = Object,
    responses((status = "4XX", description = "It is there, or its series is to be made first.", body = Object)))]
pub async fn create(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let name = asked.required("name")?;
    let known = match name.parse() {
        Ok(series) => app.service.series(&series).await.is_ok(),
        Err(_) => false,
    };
    if known {
        return Err(refuse::exists(&name));
    }
    Err(refuse::invalid(
        "name",
        "names no series: make it with PUT /v1/series/NAME or `forewatt import`, then train",
    ))
}

/// One registered model.
#[utoipa::path(get, path = "/api/2.0/mlflow/registered-models/get", tag = "mlflow",
    params(("name" = String, Query, description = "The series.")),
    responses((status = 200, description = "`{\"registered_model\": {..}}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn get(State(app): State<AppState>, asked: Asked) -> HttpResult {
    whole(&app.service.registered(&asked.series()?).await?)
}

fn whole(model: &Registered) -> HttpResult {
    reply::json(&json!({"registered_model": told::model(model)}))
}

/// Registered models that pass a filter, by name.
#[utoipa::path(get, path = "/api/2.0/mlflow/registered-models/search", tag = "mlflow",
    params(
        ("filter" = Option<String>, Query, description = "Comparisons of `name` and tags joined by AND."),
        ("max_results" = Option<u32>, Query, description = "At most so many; 100 when absent."),
        ("order_by" = Option<String>, Query, description = "`name ASC` or `name DESC`."),
        ("page_token" = Option<String>, Query, description = "That of the page before."),
    ),
    responses((status = 200, description = "`{\"registered_models\": [..], \"next_page_token\": ..}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn search(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let text = asked.text("filter")?.unwrap_or_default();
    let filter = Filter::parse(&text).map_err(|detail| refuse::invalid("filter", detail))?;
    let descending = match asked.list("order_by")?.first().map(|order| order.trim().to_ascii_lowercase()) {
        None => false,
        Some(order) if order == "name" || order == "name asc" => false,
        Some(order) if order == "name desc" => true,
        Some(_) => return Err(refuse::invalid("order_by", "can only be `name ASC` or `name DESC`")),
    };
    let mut found = Vec::new();
    for info in app.service.list_series(None, None).await? {
        let model = app.service.registered(&info.series.name).await?;
        let value = |field: &Field| match field {
            Field::Attribute(name) if name == "name" => Ok(Some(model.info.series.name.to_string())),
            Field::Attribute(name) => Err(format!("compares `name` and tags, not `{name}`")),
            Field::Tag(key) => Ok(model.tags("").find(|(k, _)| k == key).map(|(_, value)| value.to_owned())),
        };
        if filter.passes(value).map_err(|detail| refuse::invalid("filter", detail))? {
            found.push(told::model(&model));
        }
    }
    if descending {
        found.reverse(); // series are listed by name
    }
    let (found, next) = page(found, &asked, asked.count("max_results", RESULTS_DEFAULT, RESULTS_MAX)?)?;
    reply::json(&json!({"registered_models": found, "next_page_token": next}))
}

/// The newest version of each stage.
#[utoipa::path(post, path = "/api/2.0/mlflow/registered-models/get-latest-versions", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "`{\"model_versions\": [..]}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn latest(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let model = app.service.registered(&asked.series()?).await?;
    let latest = told::latest(&model, &asked.list("stages")?);
    let versions: Vec<Value> = latest.into_iter().map(|one| told::version(&model, one)).collect();
    reply::json(&json!({"model_versions": versions}))
}

/// Changes the description.
#[utoipa::path(patch, path = "/api/2.0/mlflow/registered-models/update", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "`{\"registered_model\": {..}}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn update(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let series = asked.series()?;
    let value = asked.text("description")?.unwrap_or_default();
    let key = LabelKey { series, version: String::new(), kind: LabelKind::Description, name: String::new() };
    let series = key.series.clone();
    app.service.hang_label(&Label { key, value }).await?;
    whole(&app.service.registered(&series).await?)
}

fn tag(asked: &Asked) -> HttpResult<LabelKey> {
    let (series, name) = (asked.series()?, asked.required("key")?);
    Ok(LabelKey { series, version: String::new(), kind: LabelKind::Tag, name })
}

/// Sets a tag.
#[utoipa::path(post, path = "/api/2.0/mlflow/registered-models/set-tag", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "Set.", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn set_tag(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let value = asked.text("value")?.unwrap_or_default();
    app.service.hang_label(&Label { key: tag(&asked)?, value }).await?;
    reply::json(&json!({}))
}

/// Takes a tag away.
#[utoipa::path(delete, path = "/api/2.0/mlflow/registered-models/delete-tag", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "Gone.", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn delete_tag(State(app): State<AppState>, asked: Asked) -> HttpResult {
    app.service.take_label(&tag(&asked)?).await?;
    reply::json(&json!({}))
}

/// Lets an alias point to a version; `champion` makes it the one that answers.
#[utoipa::path(post, path = "/api/2.0/mlflow/registered-models/alias", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "Set.", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn set_alias(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let (series, id) = asked.version()?;
    app.service.point_alias(&series, &asked.required("alias")?, &id, FORCED).await?;
    reply::json(&json!({}))
}

/// The version that an alias names.
#[utoipa::path(get, path = "/api/2.0/mlflow/registered-models/alias", tag = "mlflow",
    params(("name" = String, Query, description = "The series."), ("alias" = String, Query, description = "`champion`, or one of its own.")),
    responses((status = 200, description = "`{\"model_version\": {..}}`", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn get_alias(State(app): State<AppState>, asked: Asked) -> HttpResult {
    let (series, alias) = (asked.series()?, asked.required("alias")?);
    let model = app.service.registered(&series).await?;
    let named = model.aliases.get(&alias);
    let version = named.and_then(|id| model.versions.iter().find(|version| version.id == *id));
    let Some(version) = version else {
        let shown: String = alias.chars().take(60).collect();
        let message = format!("`{series}` has no alias `{shown}`");
        return Err(Error::new(ErrorKind::NotFound, message).into());
    };
    reply::json(&json!({"model_version": told::version(&model, version)}))
}

/// Takes an alias away; `champion` and `challenger` only move.
#[utoipa::path(delete, path = "/api/2.0/mlflow/registered-models/alias", tag = "mlflow", request_body = Object,
    responses((status = 200, description = "Gone.", body = Object),
        (status = "4XX", description = "`error_code` and `message`.", body = Object)))]
pub async fn delete_alias(State(app): State<AppState>, asked: Asked) -> HttpResult {
    app.service.drop_alias(&asked.series()?, &asked.required("alias")?).await?;
    reply::json(&json!({}))
}
