//! Adaptive conformal inference: levels that move until the share of values below them is the one asked for.
//!
//! Gibbs and Candes, "Adaptive conformal inference under distribution shift", `NeurIPS` 34 (2021), with the step size
//! chosen online among several as in their "Conformal inference for online prediction with arbitrary distribution
//! shifts", JMLR 25 (2024). Every output (time of the day, lead time) has levels of its own.

use serde::{Deserialize, Serialize};

/// Step sizes that compete.
const STEPS: [f64; 6] = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032];
/// Days over which a step size should prove best.
const INTERVAL: f64 = 200.0;
/// No level is moved nearer to 0 or 1 than this.
const LEVEL_MIN: f64 = 1e-4;

/// The moved levels of every output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adaptive {
    outputs: usize,
    /// The levels asked for.
    levels: Vec<f64>,
    /// `outputs x levels x steps`: where each step size has moved the level.
    moved: Vec<f64>,
    /// As `moved`: the weight of each step size.
    weight: Vec<f64>,
}

impl Adaptive {
    /// Levels that have not moved.
    #[must_use]
    pub fn new(outputs: usize, levels: &[f64]) -> Self {
        let per_output = levels.iter().flat_map(|level| [*level; STEPS.len()]);
        let moved: Vec<f64> = (0..outputs).flat_map(|_| per_output.clone()).collect();
        let weight = vec![1.0 / STEPS.len() as f64; moved.len()];
        Self { outputs, levels: levels.to_vec(), moved, weight }
    }

    /// The levels to ask past errors for, rising, so that the levels asked for are covered.
    #[must_use]
    pub fn at(&self, output: usize) -> Vec<f64> {
        let mean = |l: usize| {
            let span = self.span(output, l);
            let pairs = self.moved[span.clone()].iter().zip(&self.weight[span]);
            pairs.map(|(moved, weight)| moved * weight).sum::<f64>().clamp(LEVEL_MIN, 1.0 - LEVEL_MIN)
        };
        let mut levels: Vec<f64> = (0..self.levels.len()).map(mean).collect();
        levels.sort_unstable_by(f64::total_cmp);
        levels
    }

    fn span(&self, output: usize, level: usize) -> std::ops::Range<usize> {
        let from = (output * self.levels.len() + level) * STEPS.len();
        from..from + STEPS.len()
    }

    /// Learns at which share of the past errors, 0 to 1, the newest error of an output lay.
    pub fn learn(&mut self, output: usize, share: f64) {
        for l in 0..self.levels.len() {
            let (span, level) = (self.span(output, l), self.levels[l]);
            let spread = (level * (1.0 - level)).powi(2);
            let rate = ((3.0 / INTERVAL) * ((STEPS.len() as f64 * INTERVAL).ln() + 2.0) / spread).sqrt();
            let (moved, weight) = (&mut self.moved[span.clone()], &mut self.weight[span]);
            for ((moved, weight), step) in moved.iter_mut().zip(weight.iter_mut()).zip(STEPS) {
                let short = share - *moved;
                *weight *= (-rate * (level * short).max((level - 1.0) * short)).exp();
                let below = f64::from(u8::from(share <= *moved));
                *moved = (*moved + step * (level - below)).clamp(LEVEL_MIN, 1.0 - LEVEL_MIN);
            }
            let total: f64 = weight.iter().sum();
            // A little of every weight is shared out, so that no step size is ever lost.
            let shared = 0.5 / INTERVAL;
            weight.iter_mut().for_each(|w| *w = (1.0 - shared) * *w / total + shared / STEPS.len() as f64);
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, outputs: usize, levels: usize) -> bool {
        let size = outputs * levels * STEPS.len();
        let share = |v: &f64| (0.0..=1.0).contains(v);
        self.outputs == outputs
            && self.levels.len() == levels
            && self.moved.len() == size
            && self.weight.len() == size
            && self.levels.iter().chain(&self.moved).chain(&self.weight).all(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// The share of values below the moved levels, where past errors are narrower by `factor` than those to come.
    fn covered(adapt: bool, factor: f64) -> Vec<f64> {
        let levels = [0.1, 0.5, 0.9];
        let mut adaptive = Adaptive::new(2, &levels);
        let mut random = Random::new(8, 0);
        let mut below = [0.0; 3];
        for day in 0..1500 {
            // Errors uniform in (-factor, factor), where the past ones were uniform in (-1, 1).
            let share = ((2.0 * random.uniform() - 1.0) * factor / 2.0 + 0.5).clamp(0.0, 1.0);
            if day >= 500 {
                let at = adaptive.at(1);
                assert!(at.is_sorted());
                below.iter_mut().zip(at).for_each(|(b, l)| *b += f64::from(u8::from(share <= l)) / 1000.0);
            }
            if adapt {
                adaptive.learn(1, share);
            }
        }
        assert!(adaptive.is_sound(2, 3) && !adaptive.is_sound(2, 2));
        let other = adaptive.at(0);
        assert!(other.iter().zip(levels).all(|(a, l)| (a - l).abs() < 1e-9), "another output is as it was");
        below.to_vec()
    }

    #[test]
    fn coverage_comes_back_where_errors_have_grown() {
        let still = covered(false, 1.2);
        assert!(still[0] > 0.15 && still[2] < 0.85, "{still:?}: without adapting the fan is too narrow");
        let adapted = covered(true, 1.2);
        for (share, level) in adapted.iter().zip([0.1, 0.5, 0.9]) {
            assert!((share - level).abs() < 0.03, "{adapted:?}");
        }
    }

    #[test]
    fn errors_as_before_leave_the_levels_where_they_are() {
        for (share, level) in covered(true, 1.0).iter().zip([0.1, 0.5, 0.9]) {
            assert!((share - level).abs() < 0.03, "{share} at {level}");
        }
    }
}
