//! Model versions: finding, listing, loading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use forewatt_domain::{ModelVersion, SeriesName, VersionId};
use forewatt_model::artifact::{self, Artifact};
use forewatt_store::VersionStore;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use serde::Serialize;

use crate::Service;
use crate::access::{covers, covers_all, may_name_version};
use crate::error::{Error, ErrorKind, Result};
use crate::series::nearest;

/// A version with its artifact decoded, ready to predict.
pub struct LoadedModel {
    /// Where it came from.
    pub version: ModelVersion,
    /// What it learned.
    pub artifact: Artifact,
}

impl LoadedModel {
    /// About how many bytes it takes in memory. Decoded, an artifact's short integers take their whole width, names
    /// and vectors have books of their own: measured, one and a quarter times its bytes and some twenty KiB.
    fn memory_bytes(&self) -> u64 {
        self.version.artifact_bytes.saturating_mul(3) / 2 + MODEL_OVERHEAD_BYTES
    }
}

/// Names, recipe and scores of a version in memory.
const MODEL_OVERHEAD_BYTES: u64 = 24 << 10;

/// Models in memory, loaded when first asked; the longest unasked make room. Whoever holds one may go on using it.
pub(crate) struct LoadedModels {
    models: Cache<VersionId, Arc<LoadedModel>>,
    meters: Meters,
}

/// What `/metrics` tells of the models in memory.
#[derive(Clone)]
struct Meters {
    resident: metrics::Gauge,
    resident_bytes: metrics::Gauge,
    hits: metrics::Counter,
    misses: metrics::Counter,
    evictions: metrics::Counter,
    load_seconds: metrics::Histogram,
}

impl LoadedModels {
    /// None yet; at most so many bytes, by [`LoadedModel::memory_bytes`].
    pub(crate) fn new(max_bytes: u64) -> Self {
        let requests = |result| metrics::counter!("forewatt_model_requests_total", "result" => result);
        let meters = Meters {
            resident: metrics::gauge!("forewatt_models_resident"),
            resident_bytes: metrics::gauge!("forewatt_models_resident_bytes"),
            hits: requests("hit"),
            misses: requests("miss"),
            evictions: metrics::counter!("forewatt_model_evictions_total"),
            load_seconds: metrics::histogram!("forewatt_model_load_seconds"),
        };
        let evicted = meters.clone();
        let models = Cache::builder()
            .max_capacity(max_bytes)
            .weigher(|_, model: &Arc<LoadedModel>| u32::try_from(model.memory_bytes()).unwrap_or(u32::MAX))
            .eviction_policy(EvictionPolicy::lru())
            .eviction_listener(move |_, model: Arc<LoadedModel>, _| {
                evicted.resident.decrement(1.0);
                evicted.resident_bytes.decrement(model.memory_bytes() as f64);
                evicted.evictions.increment(1);
            })
            .build();
        Self { models, meters }
    }

    /// Drops a model from memory.
    pub(crate) async fn forget(&self, id: &VersionId) {
        self.models.invalidate(id).await;
    }
}

/// How many models are in memory and about how much they take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Residents {
    /// Models.
    pub models: u64,
    /// Bytes, as estimated for the limit `cache.models_max_bytes`.
    pub bytes: u64,
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
    /// `NotFound` with the nearest id; `Forbidden`.
    pub async fn version(&self, id: &VersionId) -> Result<ModelVersion> {
        may_name_version(id)?;
        if let Some(version) = self.store.get_version(id).await? {
            return Ok(version);
        }
        let all = self.store.list_versions(None, self.config.limits.list_max).await?;
        let hint = match nearest(id.as_str(), all.iter().filter(|v| covers(&v.series)).map(|v| v.id.as_str()))
        {
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
        if series.is_some() || covers_all() {
            return Ok(self.store.list_versions(series, limit).await?);
        }
        let mut all = self.store.list_versions(None, self.config.limits.list_max).await?;
        all.retain(|version| covers(&version.series));
        all.truncate(limit as usize);
        Ok(all)
    }

    /// A version's model, decoded once and then shared as long as there is room for it.
    pub(crate) async fn load_model(&self, id: &VersionId) -> Result<Arc<LoadedModel>> {
        may_name_version(id)?;
        let LoadedModels { models, meters } = &self.loaded_models;
        if let Some(model) = models.get(id).await {
            meters.hits.increment(1);
            return Ok(model);
        }
        meters.misses.increment(1);
        let load = async {
            let started = Instant::now();
            let model = self.read_model(id).await?;
            meters.load_seconds.record(started.elapsed().as_secs_f64());
            meters.resident.increment(1.0);
            meters.resident_bytes.increment(model.memory_bytes() as f64);
            Ok(Arc::new(model))
        };
        models.try_get_with(id.clone(), load).await.map_err(|error: Arc<Error>| (*error).clone())
    }

    async fn read_model(&self, id: &VersionId) -> Result<LoadedModel> {
        let version = self.version(id).await?;
        let bytes = self.store.get_artifact(&version.artifact_sha256).await;
        let bytes = bytes.map_err(|error| match error {
            forewatt_store::Error::NotFound { .. } | forewatt_store::Error::Corrupt { .. } => {
                damaged(id, &error)
            }
            other => other.into(),
        })?;
        let decode = move || artifact::decode(&bytes);
        let decoded = self.compute.run(decode).await.map_err(|broken| damaged(id, &broken))?;
        let artifact = decoded.map_err(|error| damaged(id, &error))?;
        Ok(LoadedModel { version, artifact })
    }

    /// The models in memory now.
    pub async fn resident_models(&self) -> Residents {
        let models = &self.loaded_models.models;
        models.run_pending_tasks().await; // evictions that wait for a quiet moment
        Residents { models: models.entry_count(), bytes: models.weighted_size() }
    }
}
