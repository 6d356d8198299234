//! CRPS learning: weights of quantile forecasts, another set for every level and stretch of the day.
//!
//! Berrisch and Ziel, "CRPS learning", Journal of Econometrics 237 (2023): who knows the upper tail need not know the
//! middle. Weights of a level are learned on its pinball loss by Bernstein aggregation and smoothed over the levels.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::boa::Boa;

/// Levels of all quantiles inside the mixture; others are interpolated.
pub const GRID: [f64; 17] =
    [0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.975, 0.99];
/// Stretches of the outputs with weights of their own, at most.
const BLOCKS_MAX: usize = 6;
/// What a day keeps of the losses before it.
const KEEP: f64 = 0.98;
/// How far weights are smoothed, in steps of the grid.
const SMOOTHING: f64 = 2.0;

/// Weights by level of experts who foretell quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crps {
    outputs: usize,
    experts: usize,
    /// `stretches x grid`.
    boas: Vec<Boa>,
}

impl Crps {
    /// Experts trusted in so far as `prior` says, whatever it sums to.
    #[must_use]
    pub fn new(prior: &[f64], outputs: usize) -> Self {
        let blocks = outputs.clamp(1, BLOCKS_MAX);
        Self { outputs, experts: prior.len(), boas: vec![Boa::new(prior); blocks * GRID.len()] }
    }

    fn blocks(&self) -> usize {
        self.boas.len() / GRID.len()
    }

    fn block(&self, output: usize) -> usize {
        output * self.blocks() / self.outputs
    }

    /// The weights of a stretch, one list per level of the grid.
    fn block_weights(&self, block: usize) -> Vec<Vec<f64>> {
        let raw: Vec<Vec<f64>> =
            self.boas[block * GRID.len()..(block + 1) * GRID.len()].iter().map(Boa::weights).collect();
        let smooth = |level: usize| {
            let nearness = |other: usize| {
                let apart = (level as f64 - other as f64) / SMOOTHING;
                (-0.5 * apart * apart).exp()
            };
            let total: f64 = (0..GRID.len()).map(nearness).sum();
            let of_expert =
                |k: usize| (0..GRID.len()).map(|other| nearness(other) * raw[other][k]).sum::<f64>() / total;
            (0..self.experts).map(of_expert).collect()
        };
        (0..GRID.len()).map(smooth).collect()
    }

    /// The weights of all experts, averaged over stretches and levels.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let all: Vec<Vec<f64>> = self.boas.iter().map(Boa::weights).collect();
        (0..self.experts).map(|k| all.iter().map(|w| w[k]).sum::<f64>() / all.len() as f64).collect()
    }

    /// Mixes the experts' quantiles, `outputs x grid` each; they do not cross.
    #[must_use]
    pub fn combine(&self, experts: &[Array2<f32>]) -> Array2<f32> {
        let weights: Vec<_> = (0..self.blocks()).map(|block| self.block_weights(block)).collect();
        let mut mixture = Array2::zeros((self.outputs, GRID.len()));
        for (output, mut row) in mixture.rows_mut().into_iter().enumerate() {
            let of_level = |level: usize| {
                let weights = &weights[self.block(output)][level];
                let known = experts.iter().zip(weights).filter(|(e, _)| e[(output, level)].is_finite());
                let (sum, total) = known.fold((0.0, 0.0), |(sum, total), (e, w)| {
                    (sum + w * f64::from(e[(output, level)]), total + w)
                });
                (sum / total) as f32
            };
            let mut quantiles: Vec<f32> = (0..GRID.len()).map(of_level).collect();
            // Weights differ by level, so quantiles may cross; sorted ones lose no more (Chernozhukov et al. 2010).
            quantiles.sort_unstable_by(f32::total_cmp);
            row.iter_mut().zip(quantiles).for_each(|(to, q)| *to = q);
        }
        mixture
    }

    /// Learns from a day: what the experts and the mixture said, and what happened (NaN where unknown).
    pub fn learn(&mut self, experts: &[Array2<f32>], mixture: &Array2<f32>, actual: &[f32]) {
        for block in 0..self.blocks() {
            let known = |h: &usize| self.block(*h) == block && actual[*h].is_finite();
            let outputs: Vec<usize> = (0..self.outputs).filter(known).collect();
            if outputs.is_empty() {
                continue;
            }
            for (l, level) in GRID.iter().enumerate() {
                let excess = |expert: &Array2<f32>| {
                    let at = |&h: &usize| {
                        // The slope of the pinball loss of the mixture.
                        let slope = f64::from(u8::from(actual[h] <= mixture[(h, l)])) - level;
                        slope * f64::from(expert[(h, l)] - mixture[(h, l)])
                    };
                    known_mean(outputs.iter().map(at))
                };
                let excess: Vec<f64> = experts.iter().map(excess).collect();
                self.boas[block * GRID.len() + l].learn(&excess, KEEP);
            }
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, experts: usize, outputs: usize) -> bool {
        self.outputs == outputs
            && self.experts == experts
            && (1..=BLOCKS_MAX.min(outputs)).contains(&self.blocks())
            && self.boas.len() == self.blocks() * GRID.len()
            && self.boas.iter().all(|boa| boa.is_sound(experts))
    }
}

/// The mean of what is finite; NaN where nothing is.
pub fn known_mean(values: impl Iterator<Item = f64>) -> f64 {
    let known = values.filter(|v| v.is_finite());
    let (sum, count) = known.fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::errors::normal_quantile;
    use crate::random::Random;

    fn normal(size: f32) -> Array2<f32> {
        Array2::from_shape_fn((4, GRID.len()), |(_, l)| size * normal_quantile(GRID[l]) as f32)
    }

    #[test]
    fn every_level_finds_who_knows_it_and_the_failed_are_passed_over() {
        // The truth is wide above and narrow below; one expert is right above, one below, one has no numbers.
        let (wide, narrow) = (normal(4.0), normal(1.0));
        let experts = [wide, narrow, Array2::from_elem((4, GRID.len()), f32::NAN)];
        let mut crps = Crps::new(&[1.0, 1.0, 1.0], 4);
        let mut random = Random::new(1, 0);
        for _ in 0..400 {
            let actual: Vec<f32> = (0..4)
                .map(|_| random.normal() as f32)
                .map(|error| if error > 0.0 { 4.0 * error } else { error })
                .collect();
            let mixture = crps.combine(&experts);
            assert!(mixture.rows().into_iter().all(|row| row.to_vec().is_sorted()));
            crps.learn(&experts, &mixture, &actual);
        }
        let mixture = crps.combine(&experts);
        for (l, size) in [(3, 1.0), (13, 4.0)] {
            let ideal = size * normal_quantile(GRID[l]) as f32;
            assert!((mixture[(2, l)] - ideal).abs() < 0.5, "{} beside {ideal}", mixture[(2, l)]);
        }
        assert!(crps.is_sound(3, 4) && !crps.is_sound(2, 4) && !crps.is_sound(3, 5));
    }

    #[test]
    fn alone_an_expert_is_the_mixture() {
        let mut crps = Crps::new(&[1.0], 4);
        let expert = [normal(2.0)];
        crps.learn(&expert, &crps.combine(&expert), &[1.0; 4]);
        assert_eq!(crps.combine(&expert), expert[0]);
        assert_eq!(crps.weights(), [1.0]);
    }
}
