//! The training path: from stored revisions to a registered model version.

use std::collections::BTreeMap;

use forewatt_domain::time::{MICROS_PER_DAY, parse_duration};
use forewatt_domain::{
    Choice, Covariate, Family, Horizon, ModelVersion, QuantileLevels, Recipe, Resolution, SeriesKind,
    SeriesName, Time,
};
use forewatt_model::artifact::{self, Artifact};
use forewatt_model::backtest::{Refit, VALUES_MAX};
use forewatt_model::dataset::Dataset;
use forewatt_model::days::TimeLeft;
use forewatt_model::features::{self, FeatureSpec};
use forewatt_model::learn;
use forewatt_model::matrix::TrainingSet;
use forewatt_store::{NewVersion, ObservationRange, ObservationStore, VersionStore};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::backtest::{self, BacktestRequest, Ready, known_values};
use crate::dataset::check_covariates;
use crate::error::{Error, ErrorKind, Result};
use crate::gate::{self, WholeDays};
use crate::jobs::Progress;
use crate::webhooks::Event;
use crate::{SeriesInfo, Service, blocking, budget, quality};

/// What to train; everything but the series has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainRequest {
    /// The series to forecast.
    pub series: SeriesName,
    /// The model family; the configured one when absent.
    #[serde(default)]
    pub model: Option<Family>,
    /// What it may read beside the target's past; the weather at the same place when absent.
    #[serde(default)]
    pub covariates: Option<Vec<Covariate>>,
    /// How far it must see (`PT48H`); the configured horizon when absent.
    #[serde(default)]
    pub horizon: Option<String>,
    /// The levels it learns; the deciles when absent.
    #[serde(default)]
    pub quantiles: Option<QuantileLevels>,
    /// Learn from at most this many days.
    #[serde(default)]
    pub training_days: Option<u32>,
    /// Days at the end of the data its backtest covers; the configured number when absent.
    #[serde(default)]
    pub backtest_days: Option<u32>,
    /// What is asked of the family beyond its name: of `lear` penalties, transform and inputs, of mixtures trees.
    #[serde(default, skip_serializing_if = "Choice::is_usual")]
    pub choice: Choice,
    /// The seed of everything random.
    #[serde(default)]
    pub seed: Option<u64>,
    /// About how long it may take (`PT5M`, `5m`); only for `auto`, whose race of learners stops early. What was not
    /// tried is in the version's notes, and the same recipe may give another model next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Make it champion when it beats the present one (and when there is none). On unless told otherwise.
    #[serde(default = "yes")]
    pub promote: bool,
}

const fn yes() -> bool {
    true
}

impl TrainRequest {
    /// The default training of a series.
    #[must_use]
    pub fn new(series: SeriesName) -> Self {
        Self {
            series,
            model: None,
            covariates: None,
            horizon: None,
            quantiles: None,
            training_days: None,
            backtest_days: None,
            choice: Choice::default(),
            seed: None,
            budget: None,
            promote: true,
        }
    }

    fn budget(&self) -> Result<Option<SignedDuration>> {
        Ok(self.budget.as_deref().map(parse_duration).transpose()?)
    }
}

/// What a training gave.
#[derive(Debug, Clone, Serialize)]
pub struct TrainReport {
    /// The registered version.
    pub version: ModelVersion,
    /// Whether it became champion.
    pub promoted: bool,
    /// Why, or why not.
    pub promotion: String,
}

/// The simplest models, scored beside every training so that its worth can be seen.
pub const BASELINES: [Family; 2] = [Family::SeasonalNaive, Family::SeasonalEmpirical];

/// What a version of a daily recipe says of itself.
const DAILY_NOTE: &str = "forecasts are made at local midnight with what was known then, and answer until the next; \
                          the scores are those of forecasts from midnight";

/// What a version of `auto` says that could not learn whole days.
const ROWS_NOTE: &str = "there are too few days to learn whole ones, or the horizon is too long for that: it learned \
                         single steps, as `ensemble` does";

/// Why trees cannot be chosen where single steps are learned.
const ROWS_TREES: &str = "a choice of trees is for mixtures of whole days, and this would learn single steps: choose `auto` with \
                          enough days and at most 400 steps from midnight, or leave it out";

/// What a version says of when its forecasts are made.
fn lattice_note(recipe: &Recipe) -> Option<&'static str> {
    let rows = recipe.family == Family::Auto && recipe.resolution.steps_per_day() > 1;
    if recipe.daily { Some(DAILY_NOTE) } else { rows.then_some(ROWS_NOTE) }
}

/// Why a training of an imported model is refused.
const IMPORTED: &str = "an imported model is not trained here: bring its file in with `forewatt models import` or \
                        POST /v1/series/NAME/models:import";

/// A backtest takes at most this share of the data.
const BACKTEST_SHARE: i64 = 4;

/// How much is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub backtest_days: i64,
    pub budget: Option<SignedDuration>,
}

/// What one training computes before anything is stored.
pub(crate) struct Trained {
    pub artifact: Vec<u8>,
    pub metrics: BTreeMap<String, f64>,
    pub notes: Vec<String>,
    pub quality: forewatt_model::quality::Report,
    pub trained: (Time, Time),
}

impl Effort {
    /// What a request asks for, or the configuration.
    pub(crate) fn new(service: &Service, backtest_days: Option<u32>) -> Self {
        let days = backtest_days.unwrap_or(service.config.train.backtest_days);
        Self { backtest_days: i64::from(days), budget: None }
    }
}

impl Service {
    /// Trains a version: load revisions, check, backtest beside the baselines, fit on everything known now, encode,
    /// register, and promote when it is better than the champion.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput`, `InsufficientData` when the history does not suffice, store failures.
    pub async fn train(&self, request: &TrainRequest, progress: Progress) -> Result<TrainReport> {
        progress(0.0, "loading");
        let info = self.series(&request.series).await?;
        let recipe = self.recipe(request, &info).await?;
        let dataset = self.load_history(&request.series, &recipe.covariates).await?;
        let now = self.now();
        let effort = Effort { budget: request.budget()?, ..Effort::new(self, request.backtest_days) };
        let trained = {
            let (recipe, progress) = (recipe.clone(), progress.clone());
            blocking(move || fit(&dataset, recipe, now, effort, &progress)).await??
        };
        let report = self.register(&info, recipe, now, trained, request.promote, &progress).await?;
        Ok(report)
    }

    /// Keeps what was computed as a version, and promotes it if that is wanted and it is better.
    pub(crate) async fn register(
        &self,
        info: &SeriesInfo,
        recipe: Recipe,
        now: Time,
        trained: Trained,
        promote: bool,
        progress: &Progress,
    ) -> Result<TrainReport> {
        let series = info.series.name.clone();
        self.will_change(&series).await?;
        self.keep_quality(&series, info.state.revision, &trained.quality).await?;
        let artifact_sha256 = self.store.put_artifact(&trained.artifact).await?;
        let version = NewVersion {
            parent: self.read_series(&series).await?.champion().cloned(),
            series,
            recipe,
            created_at: self.now(),
            trained_from: trained.trained.0,
            trained_to: trained.trained.1,
            as_of: now,
            metrics: trained.metrics,
            notes: trained.notes,
            artifact_sha256,
            artifact_bytes: trained.artifact.len() as u64,
        };
        let version = self.store.add_version(version).await?;
        self.outbox.tell(&Event::model_trained(&version), self.now()).await;
        progress(0.95, "comparing with the champion");
        let (promoted, promotion) = if promote {
            self.promote_if_better(&version).await?
        } else {
            (false, "not asked for".to_owned())
        };
        progress(1.0, "done");
        Ok(TrainReport { version, promoted, promotion })
    }

    pub(crate) async fn recipe(&self, request: &TrainRequest, info: &SeriesInfo) -> Result<Recipe> {
        let resolution = info.series.resolution;
        let horizon = parse_duration(request.horizon.as_deref().unwrap_or(&self.config.forecast.horizon))?;
        let horizon = Horizon::from_duration(horizon, resolution)?;
        let covariates = match &request.covariates {
            Some(covariates) => covariates.clone(),
            None => self.weather_beside(info).await?,
        };
        check_covariates(&request.series, &covariates)?;
        for covariate in &covariates {
            self.series(&covariate.series).await?;
        }
        let levels = request.quantiles.clone().unwrap_or_else(QuantileLevels::deciles);
        check_numbers(request, &levels)?;
        let family = match request.model {
            Some(family) => family,
            None => self.config.train.family.parse()?,
        };
        if family == Family::Imported {
            return Err(Error::invalid(IMPORTED));
        }
        budget::check(family, request.budget()?)?;
        request.choice.check(family)?;
        let steps = info
            .state
            .last_valid_time
            .zip(info.state.first_valid_time)
            .map_or(0, |(last, first)| last.micros_since(first) / resolution.micros());
        let lattice =
            gate::whole_days(family, horizon, request.training_days, info)?.unwrap_or_else(|| WholeDays {
                horizon,
                every_steps: origin_every(steps, horizon, resolution, self.config.train.rows_max),
                daily: false,
            });
        if !request.choice.trees.is_empty() && !lattice.daily {
            return Err(Error::invalid(ROWS_TREES));
        }
        Ok(Recipe {
            target: request.series.clone(),
            family,
            covariates,
            resolution,
            horizon: lattice.horizon,
            levels,
            origin_every_steps: lattice.every_steps,
            daily: lattice.daily,
            any_hour: family.prefers_whole_days() && !lattice.daily && resolution.steps_per_day() > 1,
            training_days: request.training_days,
            non_negative: info.series.kind.is_non_negative(),
            choice: request.choice.clone(),
            seed: request.seed.unwrap_or(self.config.train.seed),
        })
    }

    /// The weather and temperature series at the target's own place. Known ahead are those with a value that was
    /// available before its valid time.
    async fn weather_beside(&self, info: &SeriesInfo) -> Result<Vec<Covariate>> {
        let Some(place) = info.series.location else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for other in self.list_series(None, None).await? {
            let weather = matches!(other.series.kind, SeriesKind::Temperature | SeriesKind::Weather);
            if !weather || other.series.location != Some(place) {
                continue;
            }
            let Some(last) = other.state.last_valid_time else { continue };
            let to = last.min(self.now()).plus_micros(1);
            let range = ObservationRange {
                series: other.series.name.clone(),
                from: to.plus_micros(-14 * MICROS_PER_DAY),
                to,
            };
            let known_ahead =
                self.store.read_revisions(&range).await?.iter().any(|o| o.available_at < o.valid_time);
            found.push(Covariate { series: other.series.name, known_ahead });
        }
        Ok(found)
    }
}

/// Refuses levels and numbers of days that nothing can be learned with.
fn check_numbers(request: &TrainRequest, levels: &QuantileLevels) -> Result<()> {
    if !(levels.as_slice()[0] < 0.5 && levels.as_slice()[levels.len() - 1] > 0.5) {
        return Err(Error::invalid(
            "a model needs quantile levels on both sides of 0.5, such as 0.1,0.5,0.9: the others are read between them",
        ));
    }
    if request.backtest_days == Some(0) || request.training_days == Some(0) {
        return Err(Error::invalid(
            "backtest_days and training_days must be at least 1; leave them out for the default",
        ));
    }
    Ok(())
}

/// The distance between training origins that keeps about `rows_max` rows and shares no factor with the steps of
/// a day, so that every time of the day is seen as a start.
pub(crate) fn origin_every(steps: i64, horizon: Horizon, resolution: Resolution, rows_max: usize) -> u32 {
    let origins = (rows_max / horizon.steps()).max(1);
    let least = u32::try_from(steps.unsigned_abs() / origins as u64 + 1).unwrap_or(u32::MAX);
    let day = u32::try_from(resolution.steps_per_day()).unwrap_or(1);
    (least..least.saturating_add(day)).find(|&every| gcd(every, day) == 1).unwrap_or(least)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Backtest, final fit and encoding: pure computation.
fn fit(dataset: &Dataset, recipe: Recipe, now: Time, effort: Effort, progress: &Progress) -> Result<Trained> {
    let known = known_values(dataset, now);
    let (Some(first), Some(last)) = (known.first(), known.last()) else {
        let message = format!("nothing was known of `{}` at {now}", recipe.target);
        return Err(Error::new(ErrorKind::InsufficientData, message));
    };
    let (first, data_end) = (first.valid_time, last.valid_time.plus_micros(recipe.resolution.micros()));
    let quality = quality::check(&dataset.series, &known, now);
    progress(0.05, "backtest");
    let (metrics, mut notes) = score(dataset, &recipe, (first, data_end), effort, progress, None)?;
    progress(0.6, "fitting on everything known");
    let spec = FeatureSpec::for_recipe(dataset, &recipe);
    let left = effort.budget.map(|whole| budget::share(whole, budget::FIT_SHARE));
    let time_left = left.as_ref().map(|left| left as &TimeLeft<'_>);
    let rows = training_rows(dataset, &recipe, &spec, data_end, &quality.masked)?;
    let model = learn::learn_within(&recipe, &rows, time_left)?;
    drop(rows);
    notes.extend(lattice_note(&recipe).map(str::to_owned));
    notes.extend(model.notes().iter().cloned());
    notes.extend(masked_notes(&quality.masked));
    let artifact = artifact::encode(&Artifact { recipe, spec, model })
        .map_err(|error| Error::internal(format!("encoding the model: {error}")))?;
    Ok(Trained { artifact, metrics, notes, quality, trained: (first, data_end) })
}

/// The rows of every origin whose values are known, bad stretches masked.
pub(crate) fn training_rows(
    dataset: &Dataset,
    recipe: &Recipe,
    spec: &FeatureSpec,
    end: Time,
    masked: &[(Time, Time)],
) -> Result<TrainingSet> {
    let anchor = if recipe.daily { features::gate(dataset, end) } else { end };
    let origins = features::training_origins(dataset, recipe, anchor, end);
    let values = origins.len() * recipe.reach().steps() * features::names(spec).len();
    if values > VALUES_MAX {
        let message = format!(
            "{} forecast starts make {values} feature values, more than the {VALUES_MAX} one training may read: name fewer training days",
            origins.len()
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let matrix = features::build(dataset, spec, &origins, recipe.reach());
    let target = features::target(dataset, &matrix.keys, Time::MAX, masked);
    let mut data = features::training_set(&matrix, &target);
    data.past = features::past(dataset, recipe, end);
    data.courses = features::courses(dataset, recipe, end, masked);
    Ok(data)
}

/// The backtest of the recipe and of every baseline on the last days, as a flat list of numbers:
/// `mae`, `pinball`, ... for the model, `seasonal-naive/mae`, ... for the baselines. A model that is `ready` is judged
/// on days it cannot have learned from.
pub(crate) fn score(
    dataset: &Dataset,
    recipe: &Recipe,
    (first, end): (Time, Time),
    effort: Effort,
    progress: &Progress,
    ready: Option<&Ready>,
) -> Result<(BTreeMap<String, f64>, Vec<String>)> {
    let span = (effort.backtest_days * MICROS_PER_DAY).min(end.micros_since(first) / BACKTEST_SHARE);
    let from = features::gate(dataset, recipe.resolution.floor(end.plus_micros(-span), end));
    let from = ready.and_then(|ready| ready.unseen_from).map_or(from, |unseen| {
        let gate = features::gate(dataset, recipe.resolution.ceil(unseen, end));
        from.max(if gate < unseen { features::days_later(dataset, gate, 1) } else { gate })
    });
    let mut metrics = BTreeMap::new();
    if from >= end {
        let note = format!("no backtest: the data end at {end}, and no day before is new to the model");
        return Ok((metrics, vec![note]));
    }
    let families: Vec<Family> =
        BASELINES.into_iter().filter(|&f| f != recipe.family).chain([recipe.family]).collect();
    for (i, &family) in families.iter().enumerate() {
        let request = BacktestRequest {
            family,
            covariates: recipe.covariates.clone(),
            from,
            to: end,
            every: SignedDuration::from_hours(24),
            horizon: recipe.resolution.duration() * i32::try_from(recipe.horizon.steps()).unwrap_or(i32::MAX),
            refit: Refit::Never,
            levels: recipe.levels.clone(),
            training_days: recipe.training_days,
            any_hour: recipe.any_hour,
            choice: if family == recipe.family { recipe.choice.clone() } else { Choice::default() },
            seed: recipe.seed,
            budget: effort.budget.filter(|_| family == recipe.family).map(|b| b.mul_f64(budget::SCORE_PART)),
        };
        let share = 0.05 + 0.5 * i as f64 / families.len() as f64;
        let quiet: Progress = std::sync::Arc::new(|_, _| ());
        progress(share, &format!("backtest of {family}"));
        let ready = ready.filter(|_| family == recipe.family);
        let outcome = match backtest::run_ready(dataset, &request, &quiet, ready) {
            Ok(outcome) => outcome,
            Err(error) if error.kind == ErrorKind::InsufficientData && family == recipe.family => {
                return Ok((metrics, vec![format!("no backtest: {error}")]));
            }
            Err(error) if error.kind == ErrorKind::InsufficientData => continue,
            Err(error) => return Err(error),
        };
        let prefix = if family == recipe.family { String::new() } else { format!("{family}/") };
        for (name, value) in outcome.metrics.named() {
            metrics.insert(format!("{prefix}{name}"), value);
        }
    }
    metrics.insert("backtest_from".to_owned(), from.seconds() as f64);
    metrics.insert("backtest_to".to_owned(), end.seconds() as f64);
    metrics.retain(|_, value| value.is_finite());
    Ok((metrics, Vec::new()))
}

pub(crate) fn masked_notes(masked: &[(Time, Time)]) -> Option<String> {
    const SHOWN: usize = 5;
    let listed: Vec<String> = masked.iter().take(SHOWN).map(|(from, to)| format!("{from}..{to}")).collect();
    let more =
        if masked.len() > SHOWN { format!(" and {} more", masked.len() - SHOWN) } else { String::new() };
    (!masked.is_empty()).then(|| format!("masked as bad: {}{more}", listed.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_visit_every_hour_of_the_day() {
        let horizon = Horizon::from_steps(48, Resolution::HOUR).unwrap();
        for (steps, rows_max) in [(8_760, 60_000), (8_760, 1_000), (100_000, 60_000), (10, 1_000_000)] {
            let every = origin_every(steps, horizon, Resolution::HOUR, rows_max);
            assert_eq!(gcd(every, 24), 1, "{steps} {rows_max}");
            assert!(steps / i64::from(every) * 48 <= rows_max as i64);
        }
    }
}
