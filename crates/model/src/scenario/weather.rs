//! The temperature's history, the courses it took in past years, and what a regression reads of one.

use forewatt_domain::Time;
use serde::{Deserialize, Serialize};

use crate::groups::sample_quantile;
use crate::matrix::Past;

/// Past years asked at most.
const YEARS_MAX: i64 = 20;
/// Each year is asked at dates up to so many days from the one forecast.
const SHIFT_DAYS: i64 = 4;
/// Days before a course that the readings look back over.
const LEAD_IN_DAYS: usize = 4;
/// Days whose mean temperature stands for the season's anomaly.
const MONTH_DAYS: usize = 30;
/// How much of today's distance to a year's temperature its course begins with, and after how many hours that share
/// has fallen to 37 %; how much of the month's distance lasts.
const TODAY_SHARE: f32 = 0.7;
const TODAY_HOURS: f32 = 48.0;
const MONTH_SHARE: f32 = 0.2;
/// Bends of the response to temperature, at these quantiles of the history.
const BENDS: [f64; 7] = [0.1, 0.25, 0.4, 0.55, 0.7, 0.82, 0.93];
/// Numbers per temperature: itself and what exceeds each bend.
const SPLINE: usize = 1 + BENDS.len();
/// Numbers of a reading: now, mean of a day, mean of three days, the step before; and now times the day.
pub(super) const READING: usize = 4 * SPLINE + 1;
/// No history is longer, in steps: twenty years of quarter hours.
const STEPS_MAX: usize = 21 * 366 * 96;

/// What a regression reads of the weather at an instant.
pub(super) type Reading = [f32; READING];

/// The temperature as known when the model learned, without gaps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct History {
    start: Time,
    step_micros: i64,
    per_day: usize,
    values: Vec<f32>,
}

impl History {
    /// The last years of a known past with its gaps filled by the values beside them; `None` when it is too short to
    /// hold a year.
    pub(super) fn new(past: &Past, per_day: usize) -> Option<Self> {
        let known = |value: &f32| value.is_finite();
        let end = past.values.iter().rposition(known)? + 1;
        let begin = past.values.iter().position(known)?.max(end.saturating_sub(STEPS_MAX));
        let mut values = past.values[begin..end].to_vec();
        let mut last = *values.iter().find(|value| value.is_finite())?;
        for value in &mut values {
            if value.is_finite() {
                last = *value;
            }
            *value = last;
        }
        let start = past.start.plus_micros(begin as i64 * past.step_micros);
        let history = Self { start, step_micros: past.step_micros, per_day, values };
        (past.step_micros > 0 && history.years() >= 1.0).then_some(history)
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// How long it is.
    pub(super) fn years(&self) -> f64 {
        self.values.len() as f64 / self.per_day as f64 / 365.25
    }

    /// Where the value at an instant stands, beyond the lead-in; `None` outside.
    pub(super) fn known_index(&self, time: Time) -> Option<usize> {
        let index = usize::try_from(self.index(time)).ok()?;
        (self.lead_in()..self.values.len()).contains(&index).then_some(index)
    }

    fn index(&self, time: Time) -> i64 {
        time.micros_since(self.start).div_euclid(self.step_micros)
    }

    /// Steps of a course before its first lead.
    pub(super) fn lead_in(&self) -> usize {
        LEAD_IN_DAYS * self.per_day
    }

    fn mean(&self, end: i64, days: usize) -> f32 {
        let end = usize::try_from(end).unwrap_or(0).clamp(1, self.values.len());
        let values = &self.values[end.saturating_sub(days * self.per_day).min(end - 1)..end];
        (values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64) as f32
    }

    /// The courses of past years from `origin` over so many steps, each with its lead-in. No value from `origin` on
    /// is read; at least one course.
    pub(super) fn courses(&self, origin: Time, leads: usize) -> Vec<Vec<f32>> {
        let (origin, per_day) = (self.index(origin), self.per_day as i64);
        let now = origin.clamp(1, self.values.len() as i64);
        let first = (self.lead_in() + per_day as usize) as i64;
        let mut courses = Vec::new();
        for year in 1..=YEARS_MAX {
            let days = (year as f64 * 365.25).round() as i64;
            for shift in -SHIFT_DAYS..=SHIFT_DAYS {
                let from = origin + (shift - days) * per_day;
                if from >= first && from + leads as i64 <= now {
                    courses.push(self.course(from, now, origin - now, leads));
                }
            }
        }
        if courses.is_empty() {
            // So far ahead or so early that no year fits: what there is, from its beginning and over again.
            let from = first.min(now);
            courses.push(self.course(from, now, origin - now, leads));
        }
        courses
    }

    /// The course from `from`, bent to what is known at `now`, which is `age` steps before the first lead.
    fn course(&self, from: i64, now: i64, age: i64, leads: usize) -> Vec<f32> {
        let lead_in = self.lead_in() as i64;
        let at = |index: i64| self.values[index.rem_euclid(now) as usize];
        let today = self.mean(now, 1) - self.mean(from, 1);
        let month = self.mean(now, MONTH_DAYS) - self.mean(from, MONTH_DAYS);
        let fade = TODAY_HOURS / 24.0 * self.per_day as f32;
        let bent = |step: i64| {
            let share = TODAY_SHARE * (-((step + age + 1) as f32) / fade).exp();
            at(from + step) + share * today + MONTH_SHARE * month
        };
        // Before the start the temperature is what it was, where that is known.
        let before = |step: i64| if step + age < 0 { at(now + step + age) } else { bent(step) };
        (-lead_in..0).map(before).chain((0..leads as i64).map(bent)).collect()
    }

    pub(super) fn is_sound(&self, per_day: usize) -> bool {
        self.per_day == per_day
            && self.step_micros > 0
            && (self.lead_in() + 2 * per_day..=STEPS_MAX).contains(&self.values.len())
            && self.values.iter().all(|value| value.is_finite())
    }
}

/// The scale of the temperature and where the load's response to it bends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Climate {
    per_day: usize,
    center: f32,
    spread: f32,
    bends: [f32; BENDS.len()],
}

impl Climate {
    pub(super) fn new(history: &History) -> Self {
        let mut sorted = history.values.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let at = |level: f64| sample_quantile(&sorted, level);
        let spread = (at(0.84) - at(0.16)) / 2.0;
        let spread = if spread > 0.0 && spread.is_finite() { spread } else { 1.0 };
        let center = at(0.5);
        Self {
            per_day: history.per_day,
            center,
            spread,
            bends: BENDS.map(|level| (at(level) - center) / spread),
        }
    }

    /// What a regression reads of `values` at `index`, which has at least three days before it.
    pub(super) fn read(&self, values: &[f32], index: usize) -> Reading {
        let mean = |days: usize| {
            let span = &values[(index + 1).saturating_sub(days * self.per_day)..=index];
            span.iter().sum::<f32>() / span.len() as f32
        };
        let (day, days) = (mean(1), mean(3));
        let raw = [values[index], day, days, values[index.saturating_sub(1)]];
        let scaled = raw.map(|value| (value - self.center) / self.spread);
        let mut reading = [0.0; READING];
        for (cells, x) in reading.chunks_exact_mut(SPLINE).zip(scaled) {
            cells[0] = x;
            cells[1..].iter_mut().zip(self.bends).for_each(|(cell, bend)| *cell = (x - bend).max(0.0));
        }
        reading[READING - 1] = scaled[0] * scaled[1];
        reading
    }

    pub(super) fn is_sound(&self) -> bool {
        self.per_day > 0
            && self.spread > 0.0
            && [self.center, self.spread].iter().chain(&self.bends).all(|v| v.is_finite())
    }
}
