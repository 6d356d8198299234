//! Honest scores: a rolling origin over stored series or over a file, with the data known at each origin.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use forewatt_domain::time::{MICROS_PER_DAY, duration_micros};
use forewatt_domain::{
    Choice, Covariate, Family, Horizon, Observation, QuantileLevels, Recipe, Series, SeriesName, Time,
};
use forewatt_model::backtest::{self, Outcome, Plan, Pooled, Refit};
use forewatt_model::dataset::{Column, Dataset};
use forewatt_model::days::TimeLeft;
use forewatt_model::features::FeatureSpec;
use forewatt_model::foreign::ImportedModel;
use forewatt_model::learn;
use forewatt_model::matrix::TrainingSet;
use forewatt_model::predict::{ModelError, Predict};
use jiff::SignedDuration;

use crate::dataset::{View, check_covariates};
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Progress;
use crate::{Service, blocking, budget, quality};

/// What to score, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestRequest {
    /// The model family.
    pub family: Family,
    /// What it may read beside the target.
    pub covariates: Vec<Covariate>,
    /// The first forecast start.
    pub from: Time,
    /// No forecast starts at or after this.
    pub to: Time,
    /// Distance between forecast starts; whole days keep the time on the series' clocks.
    pub every: SignedDuration,
    /// How far each forecast goes.
    pub horizon: SignedDuration,
    /// How often the model is fitted anew.
    pub refit: Refit,
    /// Quantile levels.
    pub levels: QuantileLevels,
    /// Learn from at most this many days.
    pub training_days: Option<u32>,
    /// Score what answers at any hour: single rows, even where the starts lie whole days apart.
    pub any_hour: bool,
    /// What is asked of the family beyond its name.
    pub choice: Choice,
    /// The seed of everything random.
    pub seed: u64,
    /// About how long it may take; only for [`Family::Auto`], whose race of learners stops early.
    pub budget: Option<SignedDuration>,
}

/// Masks are computed from the data known at the start of such a span, so that daily refits share them.
const MASK_SPAN_MICROS: i64 = 28 * MICROS_PER_DAY;

impl Service {
    /// Scores a family on a stored series.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput` for spans that cannot be, `InsufficientData`.
    pub async fn backtest(
        &self,
        series: &SeriesName,
        request: &BacktestRequest,
        progress: Progress,
    ) -> Result<Outcome> {
        check_covariates(series, &request.covariates)?;
        for covariate in &request.covariates {
            self.series(&covariate.series).await?; // named by the caller
        }
        let dataset = self.load_history(series, &request.covariates).await?;
        let request = request.clone();
        blocking(move || run(&dataset, &request, &progress)).await?
    }

    /// Everything known now of a series and its covariates, revisions included.
    pub(crate) async fn load_history(&self, name: &SeriesName, covariates: &[Covariate]) -> Result<Dataset> {
        let info = self.series(name).await?;
        let (Some(first), Some(last)) = (info.state.first_valid_time, info.state.last_valid_time) else {
            let message = format!("`{name}` has no observations yet: import some first");
            return Err(Error::new(ErrorKind::InsufficientData, message));
        };
        // Covariates known ahead reach beyond the target's end.
        let to =
            last.min(self.now()).plus_micros(Horizon::MAX_STEPS as i64 * info.series.resolution.micros());
        self.load_dataset(&info.series, covariates, (first, to), View::Revisions { as_of: self.now() }).await
    }
}

/// Scores a dataset: shared by stored series, files and training.
///
/// # Errors
/// As [`Service::backtest`].
pub fn run(dataset: &Dataset, request: &BacktestRequest, progress: &Progress) -> Result<Outcome> {
    run_ready(dataset, request, progress, None)
}

/// A model that is not fitted anew: at every refit only its calibration is learned.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub model: ImportedModel,
    /// How its features are made.
    pub spec: FeatureSpec,
    /// No value from then on taught it, as far as is known.
    pub unseen_from: Option<Time>,
}

/// [`run`] with a model for [`Family::Imported`].
pub(crate) fn run_ready(
    dataset: &Dataset,
    request: &BacktestRequest,
    progress: &Progress,
    ready: Option<&Ready>,
) -> Result<Outcome> {
    budget::check(request.family, request.budget)?;
    request.choice.check(request.family)?;
    let left = request.budget.map(|whole| budget::of_backtest(whole, request));
    let (recipe, plan) = (recipe(dataset, request)?, plan(dataset, request)?);
    let spec = ready.map_or_else(|| FeatureSpec::for_recipe(dataset, &recipe), |ready| ready.spec.clone());
    let masks = Masks::new(dataset);
    let report = |done: usize, total: usize| {
        progress(done as f64 / total.max(1) as f64, "backtest");
        true
    };
    let mask_at = |cutoff| masks.at(cutoff);
    if let Some(ready) = ready {
        let learner = |recipe: &Recipe, data: &TrainingSet| ready.learn(recipe, data);
        return Ok(backtest::run_with(dataset, &spec, &recipe, &plan, &mask_at, &report, &learner)?);
    }
    let time_left = left.as_ref().map(|left| left as &TimeLeft<'_>);
    Ok(backtest::run_within(dataset, &spec, &recipe, &plan, &mask_at, &report, time_left)?)
}

/// Scores a target and its peers by one model of windows that learns from all of them: an outcome for each, by name,
/// the target first. Peers are the covariates of the target's kind of which only the past is known.
///
/// # Errors
/// As [`Service::backtest`]; `InvalidInput` for another family or without peers.
pub fn run_with_peers(
    dataset: &Dataset,
    request: &BacktestRequest,
    progress: &Progress,
) -> Result<Vec<(SeriesName, Outcome)>> {
    if request.family != Family::Windows {
        let message =
            format!("{} learns each series alone: score peers with the model windows", request.family);
        return Err(Error::invalid(message));
    }
    let kind = dataset.series.kind;
    let peers = dataset.covariates.iter().filter(|c| !c.known_ahead && c.series.kind == kind);
    let alone = |series: &Series, target: &Column| Dataset {
        series: series.clone(),
        target: target.clone(),
        covariates: vec![],
    };
    let mut datasets = vec![alone(&dataset.series, &dataset.target)];
    datasets.extend(peers.map(|peer| alone(&peer.series, &peer.column)));
    if datasets.len() == 1 {
        let message =
            format!("no covariate of kind {kind} of which only the past is known: there are no peers");
        return Err(Error::invalid(message));
    }
    let plan = plan(dataset, request)?;
    let masks: Vec<Masks<'_>> = datasets.iter().map(Masks::new).collect();
    let masks: Vec<_> = masks.iter().map(|masks| |cutoff| masks.at(cutoff)).collect();
    let series = datasets
        .iter()
        .zip(&masks)
        .map(|(dataset, mask_at)| Ok(Pooled { dataset, recipe: recipe(dataset, request)?, mask_at }));
    let series: Vec<Pooled<'_>> = series.collect::<Result<_>>()?;
    let report = |done: usize, total: usize| {
        progress(done as f64 / total.max(1) as f64, "backtest");
        true
    };
    let outcomes = backtest::run_pool(&series, &plan, &report)?;
    Ok(datasets.iter().map(|dataset| dataset.series.name.clone()).zip(outcomes).collect())
}

fn recipe(dataset: &Dataset, request: &BacktestRequest) -> Result<Recipe> {
    let horizon = Horizon::from_duration(request.horizon, dataset.step())?;
    let every = duration_micros(request.every);
    Ok(Recipe {
        target: dataset.series.name.clone(),
        family: request.family,
        covariates: request.covariates.clone(),
        resolution: dataset.step(),
        horizon,
        levels: request.levels.clone(),
        origin_every_steps: u32::try_from(every / dataset.step().micros()).unwrap_or(1).max(1),
        daily: false,
        any_hour: request.any_hour,
        training_days: request.training_days,
        non_negative: dataset.series.kind.is_non_negative(),
        choice: request.choice.clone(),
        seed: request.seed,
    })
}

fn plan(dataset: &Dataset, request: &BacktestRequest) -> Result<Plan> {
    Ok(Plan {
        from: request.from,
        to: request.to,
        every: request.every,
        horizon: Horizon::from_duration(request.horizon, dataset.step())?,
        refit: request.refit,
        baseline: Family::SeasonalNaive,
    })
}

impl Ready {
    fn learn(
        &self,
        recipe: &Recipe,
        data: &TrainingSet,
    ) -> std::result::Result<Box<dyn Predict>, ModelError> {
        Ok(Box::new(match recipe.family {
            Family::Imported => learn::adopt(recipe, data, self.model.clone(), self.unseen_from)?,
            _ => learn::learn(recipe, data)?,
        }))
    }
}

/// Stretches of time, end excluded.
type Stretches = Vec<(Time, Time)>;

/// Quality masks as of cutoffs, computed once a span.
struct Masks<'a> {
    dataset: &'a Dataset,
    known: Mutex<BTreeMap<Time, Stretches>>,
}

impl<'a> Masks<'a> {
    fn new(dataset: &'a Dataset) -> Self {
        Self { dataset, known: Mutex::new(BTreeMap::new()) }
    }

    /// Bad stretches as far as they could be seen at the start of the cutoff's span.
    fn at(&self, cutoff: Time) -> Stretches {
        let span_start = Time::from_micros(cutoff.micros().div_euclid(MASK_SPAN_MICROS) * MASK_SPAN_MICROS);
        // A poisoned lock only means that another thread panicked: the map is still a valid cache.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(span_start).or_insert_with(|| self.compute(span_start)).clone()
    }

    fn compute(&self, at: Time) -> Stretches {
        quality::check(&self.dataset.series, &known_values(self.dataset, at), at).masked
    }
}

/// The target's values known at an instant.
pub(crate) fn known_values(dataset: &Dataset, at: Time) -> Vec<Observation> {
    let grid = dataset.target.grid();
    let value = |i: usize| (grid.time(i), f64::from(dataset.target.as_of(i, at)));
    (0..grid.len)
        .map(value)
        .filter(|(_, value)| value.is_finite())
        .map(|(valid_time, value)| Observation { valid_time, available_at: at, value })
        .collect()
}
