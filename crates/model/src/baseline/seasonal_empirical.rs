//! Seasonal empirical: quantiles of what happened on like days, at the same time of day, near the same date.
//!
//! The trivial probabilistic benchmark of the GEFCom2014 load track (Hong et al., 2016), with the window around the
//! date widened until enough values lie in it.

use std::collections::BTreeMap;

use forewatt_domain::QuantileLevels;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::groups::{sample_quantile, steps_per_day};
use crate::matrix::{DayClass, FeatureMatrix, RowKey, TrainingSet};
use crate::predict::{Fit, ModelError, Predict, Predictions};

/// Days around the date, tried in turn; the last one covers the whole year.
const WINDOWS_DAYS: [i32; 5] = [8, 15, 30, 60, 183];
/// Days back from the end of the history, tried in turn where it is shorter than a year.
const RECENT_DAYS: [i32; 5] = [28, 42, 56, 84, i32::MAX];
/// A window with so many values is wide enough.
const VALUES_ENOUGH: usize = 40;
/// With fewer values of the day's class, all classes are mixed.
const VALUES_MIN: usize = 8;
/// Shorter histories say nothing about the time of year.
const YEAR_DAYS: i32 = 365;
/// Fewer distinct values than this are no history.
const ROWS_MIN: usize = 24;
/// Rows answered by one task.
const CHUNK_ROWS: usize = 512;

/// The recipe: it has no settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeasonalEmpirical;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Day {
    local_day: i32,
    day_of_year: u16,
    class: DayClass,
}

/// A fitted seasonal-empirical model: the history itself, one value per time of day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeasonalEmpiricalModel {
    levels: QuantileLevels,
    steps_per_day: u32,
    days: Vec<Day>,
    /// `days.len() * steps_per_day`, NaN where nothing was measured.
    values: Vec<f32>,
}

impl Fit for SeasonalEmpirical {
    type Fitted = SeasonalEmpiricalModel;

    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<SeasonalEmpiricalModel, ModelError> {
        let keys = &data.features.keys;
        let steps = steps_per_day(keys) as usize;
        // Many origins foresee the same instant: one value each. A repeated clock time keeps its later value.
        let by_time: BTreeMap<_, _> = keys
            .iter()
            .zip(&data.target)
            .filter(|(_, value)| value.is_finite())
            .map(|(key, &value)| (key.valid_time, (key, value)))
            .collect();
        if by_time.len() < ROWS_MIN {
            return Err(ModelError::TooFewRows {
                family: "seasonal-empirical",
                rows: by_time.len(),
                needed: ROWS_MIN,
            });
        }
        let mut by_day: BTreeMap<i32, (Day, Vec<f32>)> = BTreeMap::new();
        for (key, value) in by_time.into_values() {
            let day = Day { local_day: key.local_day, day_of_year: key.day_of_year, class: key.day_class };
            let (_, slots) = by_day.entry(key.local_day).or_insert_with(|| (day, vec![f32::NAN; steps]));
            slots[usize::from(key.slot_of_day).min(steps - 1)] = value;
        }
        let (days, values): (Vec<Day>, Vec<Vec<f32>>) = by_day.into_values().unzip();
        Ok(SeasonalEmpiricalModel {
            levels: levels.clone(),
            steps_per_day: u32::try_from(steps).unwrap_or(1440),
            days,
            values: values.concat(),
        })
    }
}

impl Predict for SeasonalEmpiricalModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let parts: Vec<(Vec<f32>, Vec<f32>)> =
            features.keys.par_chunks(CHUNK_ROWS).map(|keys| self.answer(keys)).collect();
        let (means, quantiles): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Ok(Predictions { mean: means.concat(), quantiles: quantiles.concat(), levels: self.levels.len() })
    }
}

/// Days by how near they are, for one kind of day: rows of one day share it.
#[derive(Default)]
struct Near {
    of: Option<(DayClass, u16)>,
    /// Distance in days and position; days of the same class first among those equally near.
    days: Vec<(i32, usize)>,
    others: Vec<(i32, usize)>,
}

impl SeasonalEmpiricalModel {
    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: &QuantileLevels) -> bool {
        (1..=1440).contains(&self.steps_per_day)
            && self.levels == *levels
            && !self.days.is_empty()
            && self.values.len() == self.days.len() * self.steps_per_day as usize
            && self.values.iter().any(|value| value.is_finite())
    }

    fn answer(&self, keys: &[RowKey]) -> (Vec<f32>, Vec<f32>) {
        let (mut mean, mut quantiles) = (Vec::new(), Vec::new());
        let mut near = Near::default();
        for key in keys {
            if near.of != Some((key.day_class, key.day_of_year)) {
                near = self.near(key);
            }
            let mut values = self.gather(&near, usize::from(key.slot_of_day));
            values.sort_unstable_by(f32::total_cmp);
            mean.push((values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64) as f32);
            quantiles.extend(self.levels.as_slice().iter().map(|&level| sample_quantile(&values, level)));
        }
        (mean, quantiles)
    }

    fn short(&self) -> bool {
        self.days[self.days.len() - 1].local_day - self.days[0].local_day < YEAR_DAYS
    }

    fn near(&self, key: &RowKey) -> Near {
        let (short, last) = (self.short(), self.days[self.days.len() - 1].local_day);
        let distance = |day: &Day| {
            if short {
                return last.saturating_sub(day.local_day);
            }
            let apart = (i32::from(day.day_of_year) - i32::from(key.day_of_year)).abs();
            apart.min((YEAR_DAYS - apart).abs())
        };
        let mut all: Vec<(i32, usize)> = self.days.iter().map(distance).zip(0..).collect();
        all.sort_by_key(|&(distance, position)| (distance, std::cmp::Reverse(position)));
        let (days, others) = all.into_iter().partition(|&(_, i)| self.days[i].class == key.day_class);
        Near { of: Some((key.day_class, key.day_of_year)), days, others }
    }

    /// The values at a slot in the narrowest window that holds enough; never empty.
    fn gather(&self, near: &Near, slot: usize) -> Vec<f32> {
        let steps = self.steps_per_day as usize;
        let windows = if self.short() { RECENT_DAYS } else { WINDOWS_DAYS };
        let mut values = Vec::with_capacity(2 * VALUES_ENOUGH);
        let mut from = 0;
        for (days, enough) in [(&near.days, VALUES_ENOUGH), (&near.others, VALUES_MIN)] {
            for window in windows {
                if values.len() >= enough {
                    return values;
                }
                let to = days.partition_point(|&(distance, _)| distance <= window);
                let known =
                    days[from.min(to)..to].iter().map(|&(_, i)| self.values[i * steps + slot.min(steps - 1)]);
                values.extend(known.filter(|value| value.is_finite()));
                from = to;
            }
            if values.len() >= VALUES_MIN {
                return values;
            }
            from = 0;
        }
        if values.is_empty() {
            // This time of day was never measured: the whole history stands in.
            values.extend(self.values.iter().copied().filter(|value| value.is_finite()));
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    fn share_below(data: &TrainingSet, answer: &Predictions, level: usize) -> f64 {
        let below = (0..data.target.len()).filter(|&i| data.target[i] <= answer.row(i)[level]).count();
        below as f64 / data.target.len() as f64
    }

    #[test]
    fn quantiles_hold_about_the_share_they_name() {
        let data = synthetic::training(Shape { days: 1100, ..Shape::default() });
        let (early, late) = synthetic::cut(&data, 0.7);
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let answer = SeasonalEmpirical.fit(&early, &levels).unwrap().predict(&late.features).unwrap();
        for (l, level) in levels.as_slice().iter().enumerate() {
            let share = share_below(&late, &answer, l);
            assert!((share - level).abs() < 0.08, "{share} for {level}");
        }
        assert!((0..late.target.len()).all(|i| answer.row(i).is_sorted()));
    }

    #[test]
    fn short_histories_use_the_most_recent_weeks() {
        let mut data = synthetic::training(Shape { days: 200, noise: 0.1, ..Shape::default() });
        let rows = data.target.len();
        data.target[rows - 24 * 70..].iter_mut().for_each(|value| *value += 1000.0); // a level shift
        let model = SeasonalEmpirical.fit(&data, &QuantileLevels::deciles()).unwrap();
        let monday = data.features.keys.iter().rposition(|key| key.day_class == DayClass::Workday).unwrap();
        let answer = model.predict(&data.features.select(&[monday])).unwrap();
        assert!(answer.mean[0] > 1000.0, "{}", answer.mean[0]);
    }

    #[test]
    fn every_row_is_answered_whatever_its_slot() {
        let data = synthetic::training(Shape { days: 30, ..Shape::default() });
        let half = data.filter(|i| data.features.keys[i].slot_of_day < 12);
        let model = SeasonalEmpirical.fit(&half, &QuantileLevels::deciles()).unwrap();
        let answer = model.predict(&data.features).unwrap();
        assert!(answer.mean.iter().chain(&answer.quantiles).all(|v| v.is_finite()));
        assert!(model.is_sound(&QuantileLevels::deciles()));
    }

    #[test]
    fn an_instant_foreseen_by_many_origins_counts_once() {
        let many = synthetic::training(Shape { days: 60, every: 6, horizon: 48, ..Shape::default() });
        let model = SeasonalEmpirical.fit(&many, &QuantileLevels::deciles()).unwrap();
        let distinct: std::collections::BTreeSet<_> =
            many.features.keys.iter().map(|key| key.valid_time).collect();
        assert_eq!(model.values.iter().filter(|v| v.is_finite()).count(), distinct.len());
    }
}
