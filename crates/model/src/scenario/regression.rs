//! The load of one time of day as a function of weekday, season and weather, and the errors it made.

use serde::{Deserialize, Serialize};

use super::weather::{READING, Reading};
use crate::groups::sample_quantile;
use crate::hierarchy::{cholesky, solve};
use crate::matrix::{DayClass, RowKey};

/// Numbers of the calendar: weekdays, the season, and the season of weekends.
const CALENDAR: usize = 7 + 4 + 2;
const INPUTS: usize = CALENDAR + READING;
/// Years after which a day counts half.
const HALF_LIFE_YEARS: f32 = 4.0;
/// Added to the diagonal of the normal equations, in days of the scaled inputs.
const RIDGE: f64 = 1.0;
/// An input that hardly ever moved, such as great heat at night, is not blown up by its scale.
const SCALE_MIN: f64 = 0.05;
/// Days whose mean error is the present level, and how many of them there must be.
const LEVEL_YEARS: f32 = 0.25;
const LEVEL_DAYS_MIN: usize = 28;
/// Errors of days up to this far from the middle of a month are that month's.
const NEAR_DAYS: i32 = 45;
/// Errors that stand for all of a month's.
const ERRORS: usize = 15;
const MONTHS: usize = 12;

/// What a day is to the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Day {
    /// Counted from Monday; a holiday lives like Sunday.
    weekday: usize,
    day_of_year: u16,
    /// Since 1970.
    pub(super) years: f32,
}

impl Day {
    pub(super) fn new(key: &RowKey) -> Self {
        let weekday = match ((key.local_day + 3).rem_euclid(7), key.day_class) {
            (day @ 0..=4, DayClass::Workday) | (day @ 5..=6, _) => day as usize, // 0 to 6
            (_, DayClass::Sunday) => 6,
            (_, DayClass::Saturday | DayClass::Workday) => 5,
        };
        Self { weekday, day_of_year: key.day_of_year, years: key.local_day as f32 / 365.25 }
    }

    fn inputs(&self) -> [f32; CALENDAR] {
        let (sin, cos) = (std::f32::consts::TAU * f32::from(self.day_of_year) / 365.25).sin_cos();
        let mut inputs = [0.0; CALENDAR];
        inputs[self.weekday] = 1.0;
        inputs[7..11].copy_from_slice(&[sin, cos, 2.0 * sin * cos, cos * cos - sin * sin]);
        if self.weekday >= 5 {
            inputs[11..].copy_from_slice(&[sin, cos]);
        }
        inputs
    }
}

/// A value and what it met.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) day: Day,
    pub(super) weather: Reading,
    pub(super) value: f32,
}

impl Sample {
    fn inputs(&self) -> impl Iterator<Item = f64> {
        self.day.inputs().into_iter().chain(self.weather).map(f64::from)
    }
}

/// The regression of one time of day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SlotModel {
    intercept: f32,
    slopes: Vec<f32>,
    /// `MONTHS x ERRORS`, rising within a month.
    errors: Vec<f32>,
    /// The least and the greatest value seen.
    range: (f32, f32),
}

impl SlotModel {
    /// Learns from the values of one time of day; `None` when the equations cannot be solved. `end` is when the
    /// history ends, in years.
    pub(super) fn fit(samples: &[Sample], log: bool, end: f32) -> Option<Self> {
        let value = |s: &Sample| f64::from(if log { s.value.ln() } else { s.value });
        let weight = |s: &Sample| f64::from(0.5_f32.powf((end - s.day.years) / HALF_LIFE_YEARS));
        let total = samples.iter().map(weight).sum::<f64>().max(1e-9);
        let (mut center, mut scale, mut level) = (vec![0.0; INPUTS], vec![0.0; INPUTS], 0.0);
        for sample in samples {
            let share = weight(sample) / total;
            level += share * value(sample);
            for ((m, s), x) in center.iter_mut().zip(&mut scale).zip(sample.inputs()) {
                *m += share * x;
                *s += share * x * x;
            }
        }
        for (s, m) in scale.iter_mut().zip(&center) {
            *s = (*s - m * m).max(0.0).sqrt().max(SCALE_MIN);
        }
        let (mut gram, mut cross) = (vec![0.0; INPUTS * INPUTS], vec![0.0; INPUTS]);
        for sample in samples {
            let x: Vec<f64> =
                sample.inputs().zip(&center).zip(&scale).map(|((x, m), s)| (x - m) / s).collect();
            let (w, y) = (weight(sample), value(sample) - level);
            for i in 0..INPUTS {
                let row = &mut gram[i * INPUTS..=i * INPUTS + i];
                row.iter_mut().zip(&x).for_each(|(g, other)| *g += w * x[i] * other);
                cross[i] += w * x[i] * y;
            }
        }
        (0..INPUTS).for_each(|i| gram[i * INPUTS + i] += RIDGE);
        let factor = cholesky(&gram, INPUTS, 0.0)?;
        solve(&factor, INPUTS, &mut cross);
        let slopes: Vec<f64> = cross.iter().zip(&scale).map(|(b, s)| b / s).collect();
        let intercept = level - slopes.iter().zip(&center).map(|(b, m)| b * m).sum::<f64>();
        Some(Self::with_errors(samples, &value, intercept, &slopes, end))
    }

    /// The regression with its errors by month and its present level.
    fn with_errors(
        samples: &[Sample],
        value: &dyn Fn(&Sample) -> f64,
        intercept: f64,
        slopes: &[f64],
        end: f32,
    ) -> Self {
        let error = |s: &Sample| {
            let said = intercept + s.inputs().zip(slopes).map(|(x, b)| x * b).sum::<f64>();
            (value(s) - said) as f32
        };
        let errors: Vec<f32> = samples.iter().map(error).collect();
        let pairs = || samples.iter().zip(&errors);
        let recent: Vec<f32> =
            pairs().filter(|(s, _)| end - s.day.years < LEVEL_YEARS).map(|(_, &e)| e).collect();
        let mean = recent.iter().sum::<f32>() / recent.len().max(1) as f32;
        let level = if recent.len() < LEVEL_DAYS_MIN { 0.0 } else { mean };
        let of_month = |month: usize| {
            let middle = 15 + 365 * month as i32 / 12;
            let apart = |s: &Sample| (i32::from(s.day.day_of_year) - middle + 182).rem_euclid(365) - 182;
            let mut near: Vec<f32> =
                pairs().filter(|(s, _)| apart(s).abs() < NEAR_DAYS).map(|(_, &e)| e).collect();
            if near.is_empty() {
                near.clone_from(&errors);
            }
            near.sort_unstable_by(f32::total_cmp);
            let at = |i: usize| sample_quantile(&near, (i as f64 + 0.5) / ERRORS as f64);
            (0..ERRORS).map(at).map(|e| if e.is_finite() { e } else { 0.0 }).collect::<Vec<_>>()
        };
        let values = || samples.iter().map(|s| value(s) as f32);
        let range = (values().fold(f32::INFINITY, f32::min), values().fold(f32::NEG_INFINITY, f32::max));
        Self {
            intercept: intercept as f32 + level,
            slopes: slopes.iter().map(|&b| b as f32).collect(),
            errors: (0..MONTHS).flat_map(of_month).collect(),
            range: if samples.is_empty() { (0.0, 0.0) } else { range },
        }
    }

    /// What the day gives, without the weather.
    pub(super) fn of_day(&self, day: &Day) -> f32 {
        self.intercept + day.inputs().iter().zip(&self.slopes).map(|(x, b)| x * b).sum::<f32>()
    }

    /// What the weather adds.
    pub(super) fn of_weather(&self, weather: &Reading) -> f32 {
        weather.iter().zip(&self.slopes[CALENDAR..]).map(|(x, b)| x * b).sum()
    }

    /// A value held a little beyond the range seen: an extrapolation must not explode.
    pub(super) fn held(&self, value: f32) -> f32 {
        let (low, high) = self.range;
        let beyond = 0.25 * (high - low);
        if value.is_finite() { value.clamp(low - beyond, high + beyond) } else { f32::midpoint(low, high) }
    }

    /// The errors of a day's month.
    pub(super) fn errors(&self, day: &Day) -> &[f32] {
        let month = (usize::from(day.day_of_year.max(1) - 1) * MONTHS / 366).min(MONTHS - 1);
        &self.errors[month * ERRORS..(month + 1) * ERRORS]
    }

    pub(super) fn is_sound(&self) -> bool {
        self.slopes.len() == INPUTS
            && self.errors.len() == MONTHS * ERRORS
            && self.range.0 <= self.range.1
            && [self.intercept, self.range.0, self.range.1]
                .iter()
                .chain(&self.slopes)
                .chain(&self.errors)
                .all(|v| v.is_finite())
    }
}
