//! Model versions: finding, listing, loading.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewatt_domain::{ModelVersion, SeriesName, VersionId};
use forewatt_model::artifact::{self, Artifact};
use forewatt_store::VersionStore;
use serde::Serialize;

use crate::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::series::nearest;

/// A version with its artifact decoded, ready to predict.
pub struct LoadedModel {
    /// Where it came from.
    pub version: ModelVersion,
    /// What it learned.
    pub artifact: Artifact,
}

/// The scores of one model in a version's backtest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreRow {
    /// The family; the version's own comes first.
    pub model: String,
    /// By metric name.
    pub metrics: BTreeMap<String, f64>,
}

/// A version's backtest as a table: its own scores, then those of the baselines on the same rows.
#[must_use]
pub fn score_table(version: &ModelVersion) -> Vec<ScoreRow> {
    let own = version.recipe.family.as_str();
    let mut rows = vec![ScoreRow { model: own.to_owned(), metrics: BTreeMap::new() }];
    for (name, &value) in version.metrics.iter().filter(|(name, _)| !name.starts_with("backtest_")) {
        let (model, metric) = name.split_once('/').unwrap_or((own, name));
        let known = rows.iter().position(|row| row.model == model);
        let at = known.unwrap_or_else(|| {
            rows.push(ScoreRow { model: model.to_owned(), metrics: BTreeMap::new() });
            rows.len() - 1
        });
        rows[at].metrics.insert(metric.to_owned(), value);
    }
    rows
}

/// An artifact that is missing, damaged or of another format: the version cannot answer.
fn damaged(id: &VersionId, error: &dyn std::fmt::Display) -> Error {
    let message =
        format!("the artifact of `{id}` cannot be used: {error}; restore it from a backup or train again");
    Error::new(ErrorKind::Corrupt, message)
}

impl Service {
    /// A version by id.
    ///
    /// # Errors
    /// `NotFound` with the nearest id.
    pub async fn version(&self, id: &VersionId) -> Result<ModelVersion> {
        if let Some(version) = self.store.get_version(id).await? {
            return Ok(version);
        }
        let all = self.store.list_versions(None, self.config.limits.list_max).await?;
        let hint = match nearest(id.as_str(), all.iter().map(|version| version.id.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`forewatt models list` or GET /v1/models shows what there is".to_owned(),
        };
        Err(Error::new(ErrorKind::NotFound, format!("there is no model version `{id}`; {hint}")))
    }

    /// Versions, newest first, of one series or of all.
    ///
    /// # Errors
    /// `NotFound` for an unknown series.
    pub async fn list_versions(
        &self,
        series: Option<&SeriesName>,
        limit: Option<u32>,
    ) -> Result<Vec<ModelVersion>> {
        if let Some(name) = series {
            self.series(name).await?;
        }
        let limit = limit.unwrap_or(u32::MAX).min(self.config.limits.list_max);
        Ok(self.store.list_versions(series, limit).await?)
    }

    /// A version's model, decoded once and then shared.
    pub(crate) async fn load_model(&self, id: &VersionId) -> Result<Arc<LoadedModel>> {
        let load = async {
            let version = self.version(id).await?;
            let bytes = self.store.get_artifact(&version.artifact_sha256).await;
            let bytes = bytes.map_err(|error| match error {
                forewatt_store::Error::NotFound { .. } | forewatt_store::Error::Corrupt { .. } => {
                    damaged(id, &error)
                }
                other => other.into(),
            })?;
            let artifact = artifact::decode(&bytes).map_err(|error| damaged(id, &error))?;
            Ok(Arc::new(LoadedModel { version, artifact }))
        };
        self.loaded_models.try_get_with(id.clone(), load).await.map_err(|error: Arc<Error>| (*error).clone())
    }
}
