//! The request path: from a question to an encoded answer.

use std::sync::{Arc, Weak};

use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_HOUR, duration_micros};
use forewatt_domain::{Forecast, ForecastPoint, Horizon, QuantileLevels, SeriesName, Time, VersionId};
use forewatt_model::dataset::Dataset;
use forewatt_model::features;
use forewatt_model::predict::{Predict, Predictions};
use jiff::SignedDuration;

use crate::access::charge;
use crate::cache::{Answer, AnswerKey, BaseKey};
use crate::dataset::{SharedReads, View};
use crate::error::{Error, ErrorKind, Result};
use crate::ladder::Rung;
use crate::models::LoadedModel;
use crate::series::SeriesInfo;
use crate::{Service, answer};

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastRequest {
    /// Whose future.
    pub series: SeriesName,
    /// How far; the configured default, or the model's horizon if that is shorter, when absent.
    pub horizon: Option<SignedDuration>,
    /// Which quantiles; the configured default when absent.
    pub levels: Option<QuantileLevels>,
    /// Use only what was known then; now (or the forecast start, when that is earlier) when absent.
    pub as_of: Option<Time>,
    /// The start of the first period; the period that holds `as_of` when absent.
    pub forecast_start: Option<Time>,
    /// Also answer `P(value > threshold)` for every point.
    pub threshold: Option<f64>,
    /// Which version answers; the champion when absent.
    pub version: Option<VersionId>,
}

impl ForecastRequest {
    /// The default question about a series.
    #[must_use]
    pub fn new(series: SeriesName) -> Self {
        Self {
            series,
            horizon: None,
            levels: None,
            as_of: None,
            forecast_start: None,
            threshold: None,
            version: None,
        }
    }
}

/// A series, the model that answers for it, and the revisions of all data that the answer depends on.
pub(crate) struct Answering {
    pub info: Arc<SeriesInfo>,
    /// Kept in memory by [`Service::load_model`] alone, so that its limit holds.
    pub model: Weak<LoadedModel>,
    /// Of the target and of every covariate, in the recipe's order.
    pub revisions: Vec<u64>,
    /// Whether another answers for the champion, and why.
    pub rung: Rung,
    pub why: Option<String>,
}

/// A question with every choice made.
#[derive(Clone)]
pub(crate) struct Plan {
    pub info: Arc<SeriesInfo>,
    pub model: Arc<LoadedModel>,
    pub as_of: Time,
    pub levels: QuantileLevels,
    pub threshold: Option<f64>,
    /// Why the champion does not answer, and why the start is not where it should be.
    reasons: Vec<String>,
    /// From where the model foretells: the start, or the last daily gate at or before it.
    origin: Time,
    pub key: AnswerKey,
}

impl Plan {
    /// Whether another answers for the champion.
    pub fn rung(&self) -> Rung {
        self.key.base.rung
    }

    /// The start of the first period.
    pub fn start(&self) -> Time {
        self.key.base.forecast_start
    }

    /// From where the model foretells, and as of which its inputs are known: the start, or for a daily recipe the last
    /// gate at or before it.
    pub fn origin(&self) -> Time {
        self.origin
    }

    /// The instant of knowledge of the inputs: never after the gate.
    fn known_at(&self) -> Time {
        if self.model.version.recipe.daily { self.as_of.min(self.origin) } else { self.as_of }
    }

    /// The steps from the origin that the start leaves behind.
    fn past_steps(&self) -> usize {
        let past = self.start().micros_since(self.origin) / self.model.version.recipe.resolution.micros();
        usize::try_from(past).unwrap_or(0)
    }

    /// The rows from the origin that were asked for.
    pub fn rows(&self) -> std::ops::Range<usize> {
        let past = self.past_steps();
        let reach = self.model.version.recipe.reach().steps();
        past.min(reach)..(past + self.steps()).min(reach)
    }

    /// How many steps were asked for.
    pub fn steps(&self) -> usize {
        self.key.steps
    }

    /// The first valid time that no feature looks at: those of the last step look a few steps further and at the
    /// whole local day it belongs to.
    pub fn inputs_end(&self) -> Time {
        let recipe = &self.model.version.recipe;
        self.origin.plus_micros(recipe.reach().steps() as i64 * recipe.resolution.micros() + MICROS_PER_DAY)
    }

    /// How far before the origin the inputs reach, in microseconds.
    pub fn inputs_micros(&self) -> i64 {
        let horizon = self.model.version.recipe.reach();
        let history = duration_micros(features::history_needed(&self.model.artifact.spec, horizon));
        history.max(QUALITY_DAYS * MICROS_PER_DAY)
    }
}

/// Days before the start whose completeness is the answer's quality.
const QUALITY_DAYS: i64 = 7;

impl Service {
    /// Answers a question: choose version and start, look in the cache, else load, build features, predict,
    /// calibrate, keep, encode. Everyone who asks the same at once waits for one computation. When the champion fails,
    /// others answer for it and say so (`ladder.rs`).
    ///
    /// # Errors
    /// `NotFound`, `NoModel`, `InvalidInput` (horizon, start, levels, threshold), `InsufficientData`, store failures.
    pub async fn forecast(&self, request: &ForecastRequest) -> Result<Arc<Answer>> {
        self.answer_by_rungs(request, self.now(), None).await
    }

    pub(crate) async fn plan(&self, request: &ForecastRequest) -> Result<Plan> {
        self.plan_at(request, self.now()).await
    }

    /// Makes every choice of a question asked at `now`.
    pub(crate) async fn plan_at(&self, request: &ForecastRequest, now: Time) -> Result<Plan> {
        let (answering, model) = &self.answering(&request.series, request.version.as_ref()).await?;
        let info = &answering.info;
        if request.threshold.is_some_and(|t| !t.is_finite()) {
            return Err(Error::invalid("the threshold must be a finite number"));
        }
        let horizon = self.choose_horizon(request, model)?;
        let levels = match &request.levels {
            Some(levels) => levels.clone(),
            None => QuantileLevels::new(self.config.forecast.levels.clone())?,
        };
        charge(horizon.steps().saturating_mul(levels.len()));
        let (as_of, forecast_start, moved) = self.choose_start(request, info, now)?;
        let base = BaseKey {
            series: request.series.clone(),
            version: model.version.id.clone(),
            revisions: answering.revisions.clone(),
            forecast_start,
            as_of: (request.as_of.is_some() || request.forecast_start.is_some()).then_some(as_of),
            moved: moved.is_some(),
            rung: answering.rung,
        };
        let level_bits = levels.as_slice().iter().map(|l| l.to_bits()).collect();
        let threshold_bits = request.threshold.map(f64::to_bits);
        let key = AnswerKey { base, steps: horizon.steps(), levels: level_bits, threshold: threshold_bits };
        let recipe = &model.version.recipe;
        let origin = if recipe.daily {
            info.series.time_zone.gate(forecast_start, recipe.resolution, info.anchor())
        } else {
            forecast_start
        };
        Ok(Plan {
            info: Arc::clone(info),
            model: Arc::clone(model),
            as_of,
            levels,
            threshold: request.threshold,
            reasons: answering.why.iter().cloned().chain(moved).collect(),
            origin,
            key,
        })
    }

    fn choose_horizon(&self, request: &ForecastRequest, model: &LoadedModel) -> Result<Horizon> {
        let recipe = &model.version.recipe;
        let longest = recipe.horizon;
        let Some(asked) = request.horizon else {
            let default = forewatt_domain::time::parse_duration(&self.config.forecast.horizon)?;
            return Ok(Horizon::from_duration(default, recipe.resolution).map_or(longest, |h| h.min(longest)));
        };
        let asked = Horizon::from_duration(asked, recipe.resolution)?;
        if asked > longest {
            let message = format!(
                "the horizon of {} steps is longer than the {} steps (of {}) that `{}` was trained for; ask for less or train with a longer horizon",
                asked.steps(),
                longest.steps(),
                recipe.resolution,
                model.version.id
            );
            return Err(Error::invalid(message));
        }
        Ok(asked)
    }

    /// The instant of knowledge, the start, and why the start was moved if it was.
    fn choose_start(
        &self,
        request: &ForecastRequest,
        info: &SeriesInfo,
        now: Time,
    ) -> Result<(Time, Time, Option<String>)> {
        let step = info.series.resolution;
        let as_of = match (request.as_of, request.forecast_start) {
            (Some(as_of), _) => as_of,
            (None, Some(start)) => start.min(now),
            (None, None) => now,
        };
        if let Some(start) = request.forecast_start {
            if step.floor(start, info.anchor()) != start {
                return Err(Error::invalid(format!(
                    "forecast_start {start} is not on the series' grid: its periods start every {step}"
                )));
            }
            if start > step.ceil(as_of, info.anchor()) {
                return Err(Error::invalid(format!(
                    "forecast_start {start} lies after what is known ({as_of}): ask for a longer horizon instead"
                )));
            }
            return Ok((as_of, start, None));
        }
        let start = step.floor(as_of, info.anchor());
        let Some(last) = info.state.last_valid_time else {
            let message = format!("`{}` has no observations yet: import some first", info.series.name);
            return Err(Error::new(ErrorKind::InsufficientData, message));
        };
        let data_end = last.plus_micros(step.micros());
        let age_hours = start.micros_since(data_end) / MICROS_PER_HOUR;
        if age_hours <= i64::from(self.config.forecast.data_age_max_hours) {
            return Ok((as_of, start, None));
        }
        let moved = format!(
            "the newest observation is {age_hours} hours old: the forecast starts where the data end"
        );
        Ok((as_of, data_end, Some(moved)))
    }

    pub(crate) async fn load_inputs(&self, plan: &Plan, shared: Option<&SharedReads>) -> Result<Dataset> {
        let origin = plan.origin();
        let range = (origin.plus_micros(-plan.inputs_micros()), plan.inputs_end());
        let view = View::Known { as_of: plan.known_at(), forecast_start: origin };
        let covariates = &plan.model.version.recipe.covariates;
        self.load_shared(&plan.info.series, covariates, range, view, shared).await
    }

    /// Dresses predictions as a forecast and holds them to invariants 2 and 3.
    pub(crate) fn issue(&self, plan: &Plan, predicted: Predicted) -> Result<Forecast> {
        let recipe = &plan.model.version.recipe;
        let start = plan.key.base.forecast_start;
        let step = recipe.resolution.micros();
        // Of what was foretold from the gate, what is past already is not the answer.
        let first = plan.past_steps();
        let end = (first + recipe.horizon.steps()).min(predicted.values.mean.len());
        let points = (first..end).map(|i| ForecastPoint {
            valid_time: plan.origin().plus_micros(i as i64 * step),
            mean: answer::shortest(predicted.values.mean[i]),
            quantiles: predicted.values.row(i).iter().map(|&q| answer::shortest(q)).collect(),
        });
        let mut reasons: Vec<String> = plan.reasons.iter().cloned().chain(predicted.reasons).collect();
        let missing = (first + recipe.horizon.steps()).saturating_sub(end);
        if missing > 0 {
            reasons.push(format!(
                "the last {missing} steps of the horizon are missing: this local day has more than 24 hours"
            ));
        }
        if plan.model.version.as_of > plan.as_of {
            let learned = plan.model.version.as_of;
            reasons.push(format!(
                "a replay: the model learned from what was known at {learned}, after {}",
                plan.as_of
            ));
        }
        let silent_hours = predicted.silence_micros / MICROS_PER_HOUR;
        if silent_hours > i64::from(self.config.degradation.silence_max_hours) {
            reasons.push(format!("nothing is known of the {silent_hours} hours before the start"));
        }
        if predicted.completeness < self.config.forecast.completeness_min {
            reasons.insert(
                0,
                format!(
                    "{:.0} % of the last {QUALITY_DAYS} days' values are missing",
                    100.0 * (1.0 - predicted.completeness)
                ),
            );
        }
        let forecast = Forecast {
            series: plan.info.series.name.clone(),
            unit: plan.info.series.unit.clone(),
            model_version: plan.model.version.id.clone(),
            forecast_start: start,
            issued_at: plan.as_of,
            data_watermark: predicted.watermark,
            quality: predicted.completeness,
            degraded: (!reasons.is_empty()).then(|| reasons.join("; ")),
            levels: recipe.levels.clone(),
            points: points.collect(),
        };
        forecast.check()?;
        Ok(forecast)
    }
}

/// What the model says and what it was told.
pub(crate) struct Predicted {
    values: Predictions,
    completeness: f64,
    /// From the end of the last period known to the start; a week when nothing of it is known.
    silence_micros: i64,
    watermark: Time,
    reasons: Vec<String>,
}

/// Features, prediction, calibration from one origin ([`Plan::origin`]): the same `features::build` as in training.
pub(crate) fn predict(dataset: &Dataset, model: &LoadedModel, start: Time) -> Result<Predicted> {
    let recipe = &model.version.recipe;
    let matrix = features::build(dataset, &model.artifact.spec, &[start], recipe.reach());
    let values = model.artifact.model.predict(&matrix)?;
    let step = recipe.resolution.micros();
    let week = QUALITY_DAYS * MICROS_PER_DAY / step;
    let Some(watermark) = dataset.target.watermark(start) else {
        let message = format!(
            "nothing was known of `{}` in the weeks before {start}: ask for a later as_of or forecast_start",
            recipe.target
        );
        return Err(Error::new(ErrorKind::InsufficientData, message));
    };
    let known = |i: &i64| !dataset.target.value_at(start.plus_micros(-i * step), start).is_nan();
    let completeness = (1..=week).filter(known).count() as f64 / week as f64;
    let silence_micros = (1..=week).find(known).map_or(week, |i| i - 1) * step;
    let ahead = |i: usize| start.plus_micros(i as i64 * step);
    let blind = dataset.covariates.iter().filter(|c| {
        c.known_ahead && (0..recipe.reach().steps()).all(|i| c.column.value_at(ahead(i), start).is_nan())
    });
    let reasons = blind.map(|c| format!("no values of `{}` are known ahead", c.series.name)).collect();
    Ok(Predicted { values, completeness, silence_micros, watermark, reasons })
}

pub(crate) fn no_model(info: &SeriesInfo) -> Error {
    let name = &info.series.name;
    let message =
        format!("`{name}` has no champion: train one with `forewatt train {name}` or POST /v1/train");
    Error::new(ErrorKind::NoModel, message)
}
