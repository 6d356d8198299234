//! Scenario: quantiles of the load under the temperatures of past years, for horizons beyond any weather forecast.
//!
//! The load is learned as a function of clock, weekday, season, trend and temperature, then asked what it would be if
//! the temperature took the course of every past year around the date, shifted by a few days, and with the errors it
//! made in the past (Hong, Wilson and Xie, "Long term probabilistic load forecasting and normalization with hourly
//! information", IEEE Trans. Smart Grid 5 (2014) 456-462; Xie and Hong, IJF 32 (2016) 1012-1016). A course goes over
//! from today's temperature to that of its year, so that the first days follow the weather there is.
//!
//! | room | what is in it |
//! |---|---|
//! | `weather` | the temperature's history, its courses, and what a regression reads of it |
//! | `regression` | the load of one time of day |

mod regression;
#[cfg(test)]
mod tests;
mod weather;

use std::collections::BTreeMap;

use forewatt_domain::{QuantileLevels, Time};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::groups::{sample_quantile, steps_per_day};
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::predict::{Fit, ModelError, Predict, Predictions};
use regression::{Day, Sample, SlotModel};
use weather::{Climate, History};

/// Finer series than quarters of an hour would need a regression too many.
const STEPS_PER_DAY_MAX: usize = 96;
/// Fewer values of a time of day than this teach nothing about seasons.
const DAYS_MIN: usize = 400;
/// Loads that never fall below this share of their mean are learned on a logarithmic scale, where the effect of the
/// temperature grows with the level.
const LOG_SHARE: f32 = 0.05;

/// The recipe: it has no settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scenario;

/// A fitted scenario model: a regression per time of day, and the temperatures to ask it about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioModel {
    levels: QuantileLevels,
    log: bool,
    history: History,
    climate: Climate,
    slots: Vec<SlotModel>,
}

impl Fit for Scenario {
    type Fitted = ScenarioModel;

    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<ScenarioModel, ModelError> {
        let keys = &data.features.keys;
        let per_day = steps_per_day(keys) as usize;
        if per_day > STEPS_PER_DAY_MAX {
            return Err(numeric(
                "scenario learns steps of a quarter of an hour or more; choose another family",
            ));
        }
        let history = data.past.as_ref().and_then(|past| History::new(past, per_day));
        let history = history.ok_or_else(|| {
            numeric("scenario asks past years' temperatures: add covariates of kind temperature that reach back years")
        })?;
        let climate = Climate::new(&history);
        let samples = samples(data, &history, &climate, per_day);
        let rows: usize = samples.iter().map(Vec::len).sum();
        if samples.iter().all(|slot| slot.len() < DAYS_MIN) {
            return Err(ModelError::TooFewRows { family: "scenario", rows, needed: DAYS_MIN * per_day });
        }
        let known = || samples.iter().flatten().map(|sample| sample.value);
        let mean = known().sum::<f32>() / rows.max(1) as f32;
        let log = known().all(|value| value > LOG_SHARE * mean) && mean > 0.0;
        let end = samples.iter().flatten().map(|sample| sample.day.years).fold(f32::NEG_INFINITY, f32::max);
        let slots: Option<Vec<SlotModel>> =
            samples.par_iter().map(|samples| SlotModel::fit(samples, log, end)).collect();
        let slots =
            slots.ok_or_else(|| numeric("scenario found no regression of the load on its calendar"))?;
        // The times of day that are measured too seldom take the model of the one that is measured most.
        let most = (0..per_day).max_by_key(|&slot| samples[slot].len()).unwrap_or(0);
        let of_slot = |slot: usize| if samples[slot].len() < DAYS_MIN { most } else { slot };
        let slots = (0..per_day).map(|slot| slots[of_slot(slot)].clone()).collect();
        Ok(ScenarioModel { levels: levels.clone(), log, history, climate, slots })
    }
}

fn numeric(what: &str) -> ModelError {
    ModelError::Numeric { what: what.to_owned() }
}

/// The values of each time of day with the weather they met, one per instant.
fn samples(data: &TrainingSet, history: &History, climate: &Climate, per_day: usize) -> Vec<Vec<Sample>> {
    let by_time: BTreeMap<Time, (&RowKey, f32)> = data
        .features
        .keys
        .iter()
        .zip(&data.target)
        .filter(|(_, value)| value.is_finite())
        .map(|(key, &value)| (key.valid_time, (key, value)))
        .collect();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); per_day];
    for (time, (key, value)) in by_time {
        let Some(index) = history.known_index(time) else { continue };
        let weather = climate.read(history.values(), index);
        samples[slot(key, per_day)].push(Sample { day: Day::new(key), weather, value });
    }
    samples
}

fn slot(key: &RowKey, per_day: usize) -> usize {
    usize::from(key.slot_of_day).min(per_day - 1)
}

impl Predict for ScenarioModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let levels = self.levels.len();
        let mut answer = Predictions {
            mean: Vec::with_capacity(features.rows()),
            quantiles: Vec::with_capacity(features.rows() * levels),
            levels,
        };
        for keys in features.keys.chunk_by(|a, b| a.origin == b.origin) {
            let leads = keys.iter().map(|key| key.lead as usize + 1).max().unwrap_or(1);
            let courses = self.history.courses(keys[0].origin, leads);
            let rows: Vec<(f32, Vec<f32>)> = keys.par_iter().map(|key| self.answer(key, &courses)).collect();
            for (mean, quantiles) in rows {
                answer.mean.push(mean);
                answer.quantiles.extend(quantiles);
            }
        }
        Ok(answer)
    }
}

impl ScenarioModel {
    /// Mean and quantiles of one row over the courses of the temperature.
    fn answer(&self, key: &RowKey, courses: &[Vec<f32>]) -> (f32, Vec<f32>) {
        let model = &self.slots[slot(key, self.slots.len())];
        let day = Day::new(key);
        let errors = model.errors(&day);
        let base = model.of_day(&day);
        let mut values = Vec::with_capacity(courses.len() * errors.len());
        for course in courses {
            let weather = self.climate.read(course, self.history.lead_in() + key.lead as usize);
            let value = base + model.of_weather(&weather);
            values.extend(errors.iter().map(|error| self.back(model.held(value) + error)));
        }
        values.sort_unstable_by(f32::total_cmp);
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        let quantiles = self.levels.as_slice().iter().map(|&level| sample_quantile(&values, level)).collect();
        (mean as f32, quantiles)
    }

    fn back(&self, value: f32) -> f32 {
        if self.log { value.exp() } else { value }
    }

    /// What people should know of it.
    #[must_use]
    pub fn describe(&self) -> String {
        let scale = if self.log { "logarithmic" } else { "plain" };
        format!("scenario: {:.1} years of temperatures, {scale} scale", self.history.years())
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: &QuantileLevels) -> bool {
        self.levels == *levels
            && (1..=STEPS_PER_DAY_MAX).contains(&self.slots.len())
            && self.history.is_sound(self.slots.len())
            && self.climate.is_sound()
            && self.slots.iter().all(SlotModel::is_sound)
    }
}
