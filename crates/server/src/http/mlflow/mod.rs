//! The part of MLflow's model registry that its clients need to find, tag and alias versions.

mod ask;
pub mod filter;
pub mod models;
pub mod refuse;
mod told;
pub mod versions;

use axum::Router;
use axum::routing::{delete, get, patch, post};
use serde_json::Value;

use crate::error::HttpResult;
use crate::http::AppState;
use ask::Asked;

/// Where these routes are.
pub const PREFIX: &str = "/api/2.0/mlflow/";
/// Results of one page when none are asked for.
const RESULTS_DEFAULT: usize = 100;
/// The reason that is kept with a promotion through these routes.
const FORCED: &str = "asked for through the MLflow registry";

/// Every route.
pub fn routes() -> Router<AppState> {
    let at = |path: &str| format!("{PREFIX}{path}");
    Router::new()
        .route(&at("registered-models/create"), post(models::create))
        .route(&at("registered-models/get"), get(models::get))
        .route(&at("registered-models/search"), get(models::search))
        .route(&at("registered-models/get-latest-versions"), post(models::latest))
        .route(&at("registered-models/update"), patch(models::update))
        .route(&at("registered-models/set-tag"), post(models::set_tag))
        .route(&at("registered-models/delete-tag"), delete(models::delete_tag))
        .route(
            &at("registered-models/alias"),
            get(models::get_alias).post(models::set_alias).delete(models::delete_alias),
        )
        .route(&at("model-versions/create"), post(versions::create))
        .route(&at("model-versions/get"), get(versions::get))
        .route(&at("model-versions/search"), get(versions::search))
        .route(&at("model-versions/get-download-uri"), get(versions::download_uri))
        .route(&at("model-versions/set-tag"), post(versions::set_tag))
        .route(&at("model-versions/delete-tag"), delete(versions::delete_tag))
        .route(&at("model-versions/update"), patch(versions::update))
        .route(&at("model-versions/transition-stage"), post(versions::transition))
}

/// One page of what was found, and the token of the next; empty at the end.
fn page(mut found: Vec<Value>, asked: &Asked, most: usize) -> HttpResult<(Vec<Value>, String)> {
    let token = asked.text("page_token")?;
    let first = token.map_or(Ok(0), |token| token.parse::<usize>());
    let first = first.map_err(|_| refuse::invalid("page_token", "is not one of ours"))?;
    let next = first.saturating_add(most);
    let token = if next < found.len() { next.to_string() } else { String::new() };
    found.truncate(next);
    Ok((found.split_off(first.min(found.len())), token))
}
