//! Who answers when the champion cannot: the last good version, then a seasonal model learned on the spot, then nobody.
//!
//! What fails a version: its artifact is missing or damaged, a covariate it reads is gone, its features are not those it
//! learned, its computation breaks off, or what it says is no forecast (invariant 2). A version that failed is left
//! alone for a while and then tried again. Every answer that is not the champion's says so, and is counted.

use std::sync::Arc;
use std::time::Duration;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Alias, Family, ModelVersion, Recipe, Time, VersionId};
use forewatt_model::artifact::Artifact;
use forewatt_model::dataset::Dataset;
use forewatt_model::features::FeatureSpec;
use forewatt_model::learn;
use forewatt_store::VersionStore as _;
use metrics::Counter;
use moka::future::Cache;
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::cache::Answer;
use crate::dataset::{SharedReads, View};
use crate::error::{Error, ErrorKind, Result};
use crate::forecast::ForecastRequest;
use crate::models::LoadedModel;
use crate::series::SeriesInfo;
use crate::train::training_rows;

/// `[degradation]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DegradationConfig {
    /// Whether others answer when the champion cannot.
    pub enabled: bool,
    /// Versions tried after the champion.
    pub versions_max: u32,
    /// How long a version that failed is left alone, in ms.
    pub retry_after_ms: u64,
    /// Days that the seasonal model is learned from.
    pub seasonal_days: u32,
    /// How long a learned seasonal model is used, in ms.
    pub seasonal_ttl_ms: u64,
    /// When nothing is known of more than this many hours before the start, the answer says so.
    pub silence_max_hours: u32,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Rung {
    /// The champion, or the version that was asked for.
    Champion,
    /// A version before it.
    LastGood,
    /// A model of like days, learned on the spot.
    SeasonalEmpirical,
}

impl Rung {
    /// The word for it in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::LastGood => "last-good",
            Self::SeasonalEmpirical => "seasonal-empirical",
        }
    }

    /// What an answer says of itself: nothing when the champion answered.
    #[must_use]
    pub const fn label(self) -> Option<&'static str> {
        match self {
            Self::Champion => None,
            other => Some(other.as_str()),
        }
    }
}

/// A model that will answer, and why it is not the champion.
pub(crate) struct Chosen {
    pub model: Arc<LoadedModel>,
    pub rung: Rung,
    pub why: Option<String>,
}

/// What is remembered of failures.
pub(crate) struct Ladder {
    /// Versions that failed lately, and how.
    failed: Cache<VersionId, Arc<str>>,
    /// Seasonal models by the champion they stand in for.
    seasonal: Cache<VersionId, Arc<LoadedModel>>,
    last_good: Counter,
    seasonal_answers: Counter,
    refused: Counter,
    failures: Counter,
}

/// Failures and stand-ins that are remembered at once.
const REMEMBERED_MAX: u64 = 10_000;
/// About how many rows a seasonal model is learned from: a fraction of a second.
const ROWS_MAX: usize = 20_000;

impl Ladder {
    pub(crate) fn new(config: &DegradationConfig) -> Self {
        let kept = |ms| Cache::builder().max_capacity(REMEMBERED_MAX).time_to_live(Duration::from_millis(ms));
        let answers = |rung| metrics::counter!("forewatt_fallback_answers_total", "rung" => rung);
        Self {
            failed: kept(config.retry_after_ms).build(),
            seasonal: Cache::builder()
                .max_capacity(REMEMBERED_MAX / 10)
                .time_to_live(Duration::from_millis(config.seasonal_ttl_ms))
                .build(),
            last_good: answers(Rung::LastGood.as_str()),
            seasonal_answers: answers(Rung::SeasonalEmpirical.as_str()),
            refused: answers("refusal"),
            failures: metrics::counter!("forewatt_version_failures_total"),
        }
    }

    fn count(&self, rung: Rung) {
        match rung {
            Rung::Champion => (),
            Rung::LastGood => self.last_good.increment(1),
            Rung::SeasonalEmpirical => self.seasonal_answers.increment(1),
        }
    }
}

impl Service {
    /// Answers a question; when the version that should answer fails while it computes, the next rung is asked.
    pub(crate) async fn answer_by_rungs(
        &self,
        request: &ForecastRequest,
        now: Time,
        shared: Option<&SharedReads>,
    ) -> Result<Arc<Answer>> {
        let rungs = self.config.degradation.versions_max + 2;
        for _ in 0..rungs {
            let plan = self.plan_at(request, now).await?;
            match self.answer(&plan, shared).await {
                Ok(answer) => {
                    self.ladder.count(plan.rung());
                    return Ok(answer);
                }
                Err(error) => {
                    let failed = self.ladder.failed.contains_key(&plan.model.version.id);
                    let last = plan.rung() == Rung::SeasonalEmpirical || !self.config.degradation.enabled;
                    if request.version.is_some() || last || !failed {
                        return Err(error);
                    }
                    self.answering.invalidate(&request.series).await;
                }
            }
        }
        self.ladder.refused.increment(1);
        let message = format!("every version of `{}` that was tried failed: train again", request.series);
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    /// Takes note that a version failed.
    pub(crate) async fn note_failure(&self, id: &VersionId, error: &Error) {
        tracing::warn!(version = %id, %error, "a model version failed; others answer for a while");
        self.ladder.failures.increment(1);
        self.ladder.failed.insert(id.clone(), error.message.as_str().into()).await;
    }

    /// The champion, or whoever answers for it.
    pub(crate) async fn choose(&self, info: &SeriesInfo, champion: &VersionId) -> Result<Chosen> {
        let failed = match self.usable(champion).await {
            Ok(model) => return Ok(Chosen { model, rung: Rung::Champion, why: None }),
            Err(error) if error.kind != ErrorKind::Corrupt || !self.config.degradation.enabled => {
                return Err(error);
            }
            Err(error) => error,
        };
        let champion = self.version(champion).await?;
        for id in self.earlier_versions(&champion).await? {
            if let Ok(model) = self.usable(&id).await {
                let why = format!("the champion `{}` cannot answer, `{id}` does ({failed})", champion.id);
                return Ok(Chosen { model, rung: Rung::LastGood, why: Some(why) });
            }
        }
        match self.seasonal(info, &champion).await {
            Ok(model) => {
                let why = format!(
                    "neither the champion `{}` nor an earlier version can answer, like days do ({failed})",
                    champion.id
                );
                Ok(Chosen { model, rung: Rung::SeasonalEmpirical, why: Some(why) })
            }
            Err(error) => {
                self.ladder.refused.increment(1);
                let message = format!("{failed}; no earlier version can answer, nor can like days: {error}");
                Err(Error::new(failed.kind, message))
            }
        }
    }

    /// A version that has not failed lately, in memory.
    async fn usable(&self, id: &VersionId) -> Result<Arc<LoadedModel>> {
        if let Some(why) = self.ladder.failed.get(id).await {
            return Err(Error::new(ErrorKind::Corrupt, &*why));
        }
        let model = match self.load_model(id).await {
            Err(error) if error.kind == ErrorKind::Corrupt => {
                self.note_failure(id, &error).await;
                return Err(error);
            }
            other => other?,
        };
        for covariate in &model.version.recipe.covariates {
            // Whoever may ask the model may ask what it reads.
            if let Err(error) = self.found(&covariate.series).await {
                let missing = error.kind == ErrorKind::NotFound;
                let kind = if missing { ErrorKind::Corrupt } else { error.kind };
                return Err(Error::new(kind, format!("what `{id}` reads cannot be had: {error}")));
            }
        }
        Ok(model)
    }

    /// Versions that promise as much as the champion: those that were champion before, the latest first, then the
    /// others, the newest first.
    async fn earlier_versions(&self, champion: &ModelVersion) -> Result<Vec<VersionId>> {
        let limit = self.config.limits.list_max;
        let versions = self.store.list_versions(Some(&champion.series), limit).await?;
        let (asked, id) = (&champion.recipe, &champion.id);
        let good = |v: &&ModelVersion| {
            v.id != *id && v.recipe.resolution == asked.resolution && v.recipe.horizon >= asked.horizon
        };
        let moves = self.store.alias_moves(&champion.series, limit).await?;
        let was = |v: &&ModelVersion| {
            let mut held = moves.iter().filter(|m| m.alias == Alias::Champion);
            held.position(|m| m.to == v.id).unwrap_or(usize::MAX)
        };
        let mut found: Vec<&ModelVersion> = versions.iter().filter(good).collect();
        found.sort_by_cached_key(was); // stable: the newest stays first among equals
        let most = self.config.degradation.versions_max as usize;
        Ok(found.into_iter().take(most).map(|version| version.id.clone()).collect())
    }

    /// A model of like days that promises what the champion promised.
    async fn seasonal(&self, info: &SeriesInfo, champion: &ModelVersion) -> Result<Arc<LoadedModel>> {
        let learn = async {
            let Some(last) = info.state.last_valid_time else {
                let message = format!("`{}` has no observations", info.series.name);
                return Err(Error::new(ErrorKind::InsufficientData, message));
            };
            let (step, now) = (info.series.resolution, self.now());
            let end = last.plus_micros(step.micros()).min(step.floor(now, info.anchor()));
            let days = i64::from(self.config.degradation.seasonal_days);
            let range = (end.plus_micros(-days * MICROS_PER_DAY), end);
            let dataset = self.load_dataset(&info.series, &[], range, View::Revisions { as_of: now }).await?;
            let version = stand_in(champion, range, now);
            let model = self.compute.run(move || learn_like_days(version, &dataset, end)).await??;
            Ok(Arc::new(model))
        };
        let model = self.ladder.seasonal.try_get_with(champion.id.clone(), learn).await;
        model.map_err(|error: Arc<Error>| (*error).clone())
    }
}

/// The description of a version that is never registered.
fn stand_in(champion: &ModelVersion, (from, end): (Time, Time), now: Time) -> ModelVersion {
    let asked = &champion.recipe;
    let steps = end.micros_since(from) / asked.resolution.micros();
    let recipe = Recipe {
        family: Family::SeasonalEmpirical,
        covariates: Vec::new(),
        origin_every_steps: crate::train::origin_every(steps, asked.horizon, asked.resolution, ROWS_MAX),
        daily: false,
        any_hour: true,
        training_days: None,
        choice: Default::default(),
        ..asked.clone()
    };
    ModelVersion {
        // A name, a dash and letters: always an id; the champion's own would be wrong but harmless.
        id: VersionId::from_text(&format!("{}-like-days", champion.series)).unwrap_or(champion.id.clone()),
        recipe_id: recipe.id(),
        recipe,
        parent: Some(champion.id.clone()),
        created_at: now,
        trained_from: from,
        trained_to: end,
        as_of: now,
        metrics: Default::default(),
        notes: Vec::new(),
        artifact_sha256: String::new(),
        artifact_bytes: 0,
        series: champion.series.clone(),
    }
}

fn learn_like_days(version: ModelVersion, dataset: &Dataset, end: Time) -> Result<LoadedModel> {
    let recipe = version.recipe.clone();
    let spec = FeatureSpec::for_recipe(dataset, &recipe);
    let rows = training_rows(dataset, &recipe, &spec, end, &[])?;
    if rows.target.is_empty() {
        return Err(Error::new(ErrorKind::InsufficientData, "too little is known for a model of like days"));
    }
    let model = learn::learn(&recipe, &rows)?;
    Ok(LoadedModel { version, artifact: Artifact { recipe, spec, model } })
}
