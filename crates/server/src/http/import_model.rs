//! `POST /v1/series/{name}/models:import`: a model that LightGBM or XGBoost made becomes a version.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use forewatt_service::domain::{Covariate, QuantileLevels, SeriesName, Time};
use forewatt_service::feature_table::Layout;
use forewatt_service::foreign::{ModelFile, ModelImport};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{JsonBody, Params, SeriesPath};
use crate::http::jobs::{CovariateBody, kept};
use crate::http::{AppState, reply};

/// A model that another library made, and how it is to be read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelImportBody {
    /// Its files: at most one of the centre, and one for every quantile level.
    pub files: Vec<ModelFileBody>,
    /// Features whose names differ: theirs, and ours.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// How its features were made, as `forewatt features --output` wrote it; as they would be made now when absent.
    #[schema(value_type = Option<Object>)]
    pub layout: Option<Layout>,
    /// What its features are made of beside the series' past; the weather at the same place when absent.
    pub covariates: Option<Vec<CovariateBody>>,
    /// How far it must see: `PT48H`.
    pub horizon: Option<String>,
    /// The quantile levels to answer, rising; those of the files, or the deciles when absent.
    pub quantiles: Option<Vec<f64>>,
    /// No value from this time on taught it (RFC 3339). Later days judge and calibrate it; without it there is no
    /// backtest.
    pub trained_to: Option<String>,
    /// Days at the end of the data that its backtest covers at most.
    pub backtest_days: Option<u32>,
    /// Make it champion when it beats the present one; true when absent.
    pub promote: Option<bool>,
}

/// A model file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelFileBody {
    /// The quantile level it answers; absent for the centre, or where the file itself tells its levels.
    pub level: Option<f64>,
    /// Its content: LightGBM's text or XGBoost's JSON, as a string. XGBoost's UBJSON is no text: save it as JSON.
    pub text: String,
}

impl ModelImportBody {
    fn read(self, series: SeriesName) -> HttpResult<ModelImport> {
        let mut wrong = Vec::new();
        let quantiles =
            self.quantiles.and_then(|levels| kept(&mut wrong, "quantiles", QuantileLevels::new(levels)));
        let trained_to =
            self.trained_to.and_then(|text| kept(&mut wrong, "trained_to", text.parse::<Time>()));
        let covariates = self.covariates.map(|list| {
            let read = |c: CovariateBody| {
                let series = kept(&mut wrong, "covariates", c.series.parse())?;
                Some(Covariate { series, known_ahead: c.known_ahead })
            };
            list.into_iter().filter_map(read).collect()
        });
        if !wrong.is_empty() {
            return Err(Problem::invalid_fields(wrong));
        }
        let file = |(i, file): (usize, ModelFileBody)| ModelFile {
            name: format!("body.files[{i}].text"),
            level: file.level,
            bytes: file.text.into_bytes(),
        };
        Ok(ModelImport {
            series,
            files: self.files.into_iter().enumerate().map(file).collect(),
            renames: self.rename.into_iter().collect(),
            layout: self.layout,
            covariates,
            horizon: self.horizon,
            quantiles,
            trained_to,
            backtest_days: self.backtest_days,
            promote: self.promote.unwrap_or(true),
        })
    }
}

/// Brings in a model that LightGBM or XGBoost made as a version of the series: an operation of those who run the
/// server.
///
/// Its features must be ours by name. It is backtested beside the baselines on days it cannot know, calibrated, and
/// promoted when it is better. Every call makes a version: sent twice, it makes two.
#[utoipa::path(post, path = "/v1/series/{name}/models:import", tag = "models",
    params(("name" = String, Path, description = "The series it forecasts.")),
    request_body = ModelImportBody,
    responses(
        (status = 201, description = "The version, and whether it is champion now.", body = crate::http::schema::TrainReportDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn import(
    State(app): State<AppState>,
    SeriesPath(name): SeriesPath,
    params: Params,
    JsonBody(body): JsonBody<ModelImportBody>,
) -> HttpResult {
    params.only(&[]).finish()?;
    let request = body.read(name)?;
    let quiet = std::sync::Arc::new(|_: f64, _: &str| ());
    let report = app.service.import_model(&request, quiet).await?;
    reply::json_with_status(StatusCode::CREATED, &report)
}
