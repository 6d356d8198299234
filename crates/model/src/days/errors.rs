//! What past errors say about the next day: a correction of the level and quantiles around it.
//!
//! Errors are measured in units that follow how far the experts disagree and how large errors were lately, so a calm
//! day has a narrow fan and a wild one a wide one; the quantiles of the errors in those units are then those of
//! split-conformal prediction with a normalised score (Lei et al., JASA 113, 2018; Papadopoulos et al. 2011), over
//! the last half year, by time of day. That they come from true forecasts gives the levels their coverage.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::groups::sample_quantile;

/// Days whose errors are remembered.
const DAYS: usize = 182;
/// Days whose errors correct the level, and the share of their median that is corrected.
const BIAS_DAYS: usize = 91;
const BIAS_SHARE: f32 = 0.5;
/// Fewer days of errors than this correct nothing.
const BIAS_DAYS_MIN: usize = 28;
/// Days after which an error counts half in the recent level of errors.
const HALF_LIFE: f32 = 14.0;
/// How much of the usual disagreement is added to that of the day.
const USUAL_SHARE: f32 = 0.3;
/// No unit is smaller than this share of the usual recent error: an hour that happened to be foretold exactly must not
/// make a monster of the next error.
const UNIT_MIN_SHARE: f32 = 0.1;
/// No error counts for more units than this.
const RATIO_MAX: f32 = 30.0;
/// With fewer days of errors than this their middle is trusted less and their spread is widened: the hours of a day
/// err together, so a few days are a few errors, however many hours they have.
const DAYS_ENOUGH: usize = 56;
/// How much wider, in roots of (1 / days).
const WIDENING: f32 = 2.0;
/// Neighbouring outputs are pooled until a quantile rests on so many errors, one on each side at least.
const POOL_MIN: usize = 200;

/// The memory of past errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errors {
    outputs: usize,
    days: VecDeque<PastDay>,
    /// Recent absolute error of every output; empty before the first day.
    recent: Vec<f32>,
}

/// One day's errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PastDay {
    /// Actual minus mixture, NaN where unknown.
    error: Vec<f32>,
    /// Actual minus corrected mixture in the day's units, NaN where unknown; empty for the first day.
    ratio: Vec<f32>,
    /// The mean disagreement of the experts.
    spread: f32,
}

/// A day ahead: the corrected level and the unit of its errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// One value per output.
    pub level: Vec<f32>,
    /// One positive value per output.
    pub unit: Vec<f32>,
}

impl Errors {
    /// A memory without days.
    #[must_use]
    pub fn new(outputs: usize) -> Self {
        Self { outputs, days: VecDeque::new(), recent: Vec::new() }
    }

    /// The day ahead, from the mixture and the experts' disagreement at every output.
    #[must_use]
    pub fn outlook(&self, mixture: &[f32], spread: &[f32]) -> Outlook {
        let mut usual: Vec<f32> = self.days.iter().map(|day| day.spread).collect();
        usual.sort_unstable_by(f32::total_cmp);
        let usual = if usual.is_empty() { 0.0 } else { sample_quantile(&usual, 0.5) };
        let smooth = smoothed(spread);
        let mut recent = self.recent.clone();
        let least = if recent.is_empty() { 0.0 } else { UNIT_MIN_SHARE * crate::groups::median(&mut recent) };
        let unit = |h: usize| {
            let apart = if smooth[h].is_finite() { smooth[h] } else { 0.0 } + USUAL_SHARE * usual;
            let recent = self.recent.get(h).copied().unwrap_or(apart);
            // Whichever of the two is zero, the other tells the size; both are zero where nothing ever errs.
            let unit = if apart > 0.0 && recent > 0.0 { (apart * recent).sqrt() } else { apart.max(recent) };
            unit.max(least).max(1e-6 * mixture[h].abs()).max(1e-9)
        };
        let level = (0..self.outputs).map(|h| mixture[h] + BIAS_SHARE * self.bias(h)).collect();
        Outlook { level, unit: (0..self.outputs).map(unit).collect() }
    }

    /// The median of recent errors at an output and its neighbours.
    fn bias(&self, output: usize) -> f32 {
        if self.days.len() < BIAS_DAYS_MIN {
            return 0.0;
        }
        let mut errors = Vec::with_capacity(3 * BIAS_DAYS);
        for day in self.days.iter().rev().take(BIAS_DAYS) {
            errors
                .extend(neighbours(output, 1, self.outputs).map(|h| day.error[h]).filter(|e| e.is_finite()));
        }
        if errors.is_empty() { 0.0 } else { crate::groups::median(&mut errors) }
    }

    /// The errors at an output and around it, in units.
    #[must_use]
    pub fn fan(&self, output: usize) -> Fan {
        self.pooled(output, |day| &day.ratio)
    }

    /// The errors of the uncorrected mixture at an output and around it, as they were: historical simulation.
    #[must_use]
    pub fn plain_fan(&self, output: usize) -> Fan {
        self.pooled(output, |day| &day.error)
    }

    fn pooled(&self, output: usize, values: impl Fn(&PastDay) -> &Vec<f32>) -> Fan {
        let pool = |reach: usize| -> Vec<f32> {
            let near: Vec<usize> = neighbours(output, reach, self.outputs).collect();
            let of_day = |day| near.iter().filter_map(|&h| values(day).get(h).copied()).collect::<Vec<_>>();
            self.days.iter().flat_map(of_day).filter(|r| r.is_finite()).collect()
        };
        let mut reach = 1;
        let mut sorted = pool(reach);
        while sorted.len() < POOL_MIN && 2 * reach + 1 < self.outputs {
            reach *= 2;
            sorted = pool(reach);
        }
        sorted.sort_unstable_by(f32::total_cmp);
        Fan { sorted, days: self.days.len() }
    }

    /// Remembers a day: what was said and what happened (NaN where unknown).
    pub fn learn(&mut self, mixture: &[f32], spread: &[f32], outlook: &Outlook, actual: &[f32]) {
        let error: Vec<f32> = (0..self.outputs).map(|h| actual[h] - mixture[h]).collect();
        // The first day's unit knows of no error yet, so its errors in that unit tell nothing.
        let told = if self.recent.is_empty() { 0 } else { self.outputs };
        let ratio =
            |h: usize| ((actual[h] - outlook.level[h]) / outlook.unit[h]).clamp(-RATIO_MAX, RATIO_MAX);
        let ratio = (0..told).map(ratio).collect();
        let sizes: Vec<f32> = error.iter().map(|e| e.abs()).collect();
        let smooth = smoothed(&sizes);
        if self.recent.is_empty() {
            let known: Vec<f32> = sizes.iter().copied().filter(|e| e.is_finite()).collect();
            let mean = if known.is_empty() { 0.0 } else { known.iter().sum::<f32>() / known.len() as f32 };
            self.recent = vec![mean; self.outputs];
        }
        let share = 1.0 - 0.5_f32.powf(1.0 / HALF_LIFE);
        for (recent, size) in self.recent.iter_mut().zip(&smooth).filter(|(_, size)| size.is_finite()) {
            *recent += share * (size - *recent);
        }
        let known = spread.iter().filter(|s| s.is_finite());
        let (sum, count) = known.fold((0.0, 0.0_f32), |(sum, count), s| (sum + s, count + 1.0));
        self.days.push_back(PastDay { error, ratio, spread: sum / count.max(1.0) });
        if self.days.len() > DAYS {
            self.days.pop_front();
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, outputs: usize) -> bool {
        self.outputs == outputs
            && (self.recent.is_empty() || self.recent.len() == outputs)
            && self.recent.iter().all(|r| r.is_finite() && *r >= 0.0)
            && self.days.len() <= DAYS
            && self.days.iter().all(|day| {
                day.error.len() == outputs
                    && (day.ratio.is_empty() || day.ratio.len() == outputs)
                    && day.spread.is_finite()
            })
    }
}

/// Past errors, rising, and the days they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Fan {
    sorted: Vec<f32>,
    days: usize,
}

impl Fan {
    /// One quantile per level, rising; without errors a normal shape.
    #[must_use]
    pub fn quantiles(&self, levels: &[f64]) -> Vec<f32> {
        if self.sorted.len() < 2 {
            return levels.iter().map(|&level| normal_quantile(level) as f32).collect();
        }
        let plain = levels.iter().map(|&level| sample_quantile(&self.sorted, level));
        if self.days >= DAYS_ENOUGH {
            return plain.collect();
        }
        let (days, enough) = (self.days.max(1) as f32, DAYS_ENOUGH as f32);
        let middle = sample_quantile(&self.sorted, 0.5);
        let wider = 1.0 + WIDENING * (days.sqrt().recip() - enough.sqrt().recip());
        plain.map(|q| middle * days / enough + wider * (q - middle)).collect()
    }

    /// At which share of the errors another one lies, in (0, 1); `None` while there are too few to tell.
    #[must_use]
    pub fn share(&self, error: f32) -> Option<f64> {
        let below = self.sorted.partition_point(|e| *e < error);
        let same = self.sorted.partition_point(|e| *e <= error) - below;
        let rank = below as f64 + 0.5 * (same as f64 + 1.0);
        (self.days >= DAYS_ENOUGH && error.is_finite()).then(|| rank / (self.sorted.len() as f64 + 1.0))
    }
}

/// Outputs up to `reach` steps from one, itself included.
fn neighbours(output: usize, reach: usize, outputs: usize) -> std::ops::RangeInclusive<usize> {
    output.saturating_sub(reach)..=(output + reach).min(outputs - 1)
}

/// Means over an output and its known neighbours; NaN where none is known.
fn smoothed(values: &[f32]) -> Vec<f32> {
    let mean = |h: usize| {
        let known = neighbours(h, 1, values.len()).map(|k| values[k]).filter(|v| v.is_finite());
        let (sum, count) = known.fold((0.0, 0.0_f32), |(sum, count), v| (sum + v, count + 1.0));
        sum / count
    };
    (0..values.len()).map(mean).collect()
}

/// The quantile of the standard normal distribution, by Tukey's lambda distribution with 0.14: error below 0.01
/// from 0.005 to 0.995.
pub fn normal_quantile(level: f64) -> f64 {
    4.91 * (level.powf(0.14) - (1.0 - level).powf(0.14))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn quantiles_cover_what_they_say_on_calm_and_on_wild_days() {
        let mut random = Random::new(4, 0);
        let levels = [0.1, 0.9];
        let mut errors = Errors::new(24);
        let mut held = [[0_u32; 2]; 2]; // by calm and wild: inside, all
        for day in 0..800 {
            let wild = (day / 30) % 2 == 0;
            let size = if wild { 6.0 } else { 1.5 };
            let mixture = vec![40.0; 24];
            let spread: Vec<f32> = (0..24).map(|_| size * (0.8 + 0.4 * random.uniform() as f32)).collect();
            let outlook = errors.outlook(&mixture, &spread);
            let actual: Vec<f32> = (0..24).map(|_| 42.0 + size * random.normal() as f32).collect();
            if day >= 200 {
                for (h, &actual) in actual.iter().enumerate() {
                    let q = errors.fan(h).quantiles(&levels);
                    let at = |i: usize| outlook.level[h] + outlook.unit[h] * q[i];
                    held[usize::from(wild)][0] += u32::from(at(0) <= actual && actual <= at(1));
                    held[usize::from(wild)][1] += 1;
                }
            }
            errors.learn(&mixture, &spread, &outlook, &actual);
        }
        for (wild, [inside, all]) in held.into_iter().enumerate() {
            let share = f64::from(inside) / f64::from(all);
            // The unit follows the recent errors too, so the first days of a wild stretch are a little under.
            assert!((share - 0.8).abs() < 0.15, "{share} on days of kind {wild}");
        }
        let both = f64::from(held[0][0] + held[1][0]) / f64::from(held[0][1] + held[1][1]);
        assert!((both - 0.8).abs() < 0.02, "{both}");
        assert!(errors.is_sound(24));
    }

    #[test]
    fn days_foretold_exactly_do_not_make_monsters_of_later_errors() {
        let mut errors = Errors::new(6);
        for day in 0..60 {
            let exact = day < 30;
            let spread = if exact { [0.0; 6] } else { [1.0; 6] };
            let outlook = errors.outlook(&[5.0; 6], &spread);
            let off = if day % 2 == 0 { 1.0 } else { -1.0 };
            errors.learn(&[5.0; 6], &spread, &outlook, &[if exact { 5.0 } else { 5.0 + off }; 6]);
        }
        let outlook = errors.outlook(&[5.0; 6], &[1.0; 6]);
        let q = errors.fan(2).quantiles(&[0.025, 0.975]);
        assert!(outlook.unit[2] * q[1] < 40.0 && outlook.unit[2] * q[0] > -40.0, "{q:?} {outlook:?}");
    }

    #[test]
    fn the_level_is_corrected_by_half_of_a_lasting_error() {
        let mut errors = Errors::new(4);
        for _ in 0..60 {
            let outlook = errors.outlook(&[10.0; 4], &[1.0; 4]);
            errors.learn(&[10.0; 4], &[1.0; 4], &outlook, &[12.0, 12.0, f32::NAN, 12.0]);
        }
        let outlook = errors.outlook(&[10.0; 4], &[1.0; 4]);
        assert!(outlook.level.iter().all(|level| (level - 11.0).abs() < 1e-5), "{outlook:?}");
    }

    #[test]
    fn a_few_days_of_errors_make_a_wider_fan_nearer_to_the_level() {
        let fan = |days: usize| {
            let mut errors = Errors::new(24);
            let mut random = Random::new(6, 0);
            for _ in 0..days {
                let outlook = errors.outlook(&[0.0; 24], &[1.0; 24]);
                let actual: Vec<f32> = (0..24).map(|_| 2.0 + random.normal() as f32).collect();
                errors.learn(&[0.0; 24], &[1.0; 24], &outlook, &actual);
            }
            errors.fan(12).quantiles(&[0.1, 0.5, 0.9])
        };
        let (few, many) = (fan(9), fan(DAYS_ENOUGH));
        assert!(few.is_sorted() && few[2] - few[0] > 1.2 * (many[2] - many[0]), "{few:?} {many:?}");
        assert!(few[1] < 0.5 * many[1], "{few:?} {many:?}");
    }

    #[test]
    fn without_any_day_the_quantiles_are_finite_and_rise() {
        let errors = Errors::new(3);
        let outlook = errors.outlook(&[1.0, 2.0, 3.0], &[0.0; 3]);
        assert!(outlook.unit.iter().all(|unit| *unit > 0.0));
        let q = errors.fan(1).quantiles(&[0.1, 0.5, 0.9]);
        assert!(q.is_sorted() && q[1].abs() < 1e-6 && (q[2] - 1.28).abs() < 0.02, "{q:?}");
    }
}
