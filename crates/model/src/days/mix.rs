//! The mixture: experts' forecasts weighted by how they did, day after day, by exponentiated gradient.
//!
//! Cesa-Bianchi and Lugosi, "Prediction, Learning, and Games", 2006, sections 2.3 and 2.5 (the gradient trick), with
//! a learning rate from the regrets' own second moment (Cesa-Bianchi, Mansour and Stoltz, Machine Learning 66, 2007)
//! and slow forgetting. Stretches of the day have weights of their own.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// Stretches of the outputs with weights of their own, at most.
const BLOCKS_MAX: usize = 6;
/// What a day keeps of the regrets before it.
const KEEP: f64 = 0.997;
/// The learning rate, in roots of (log experts / mean squared regret).
const RATE: f64 = 0.5;

/// Weights of experts that learn from every day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mix {
    outputs: usize,
    blocks: usize,
    /// One positive number per expert; they sum to one.
    prior: Vec<f64>,
    /// `blocks x experts`: by how much each expert did better than the mixture, to first order.
    regret: Vec<f64>,
    /// Their squares.
    square: Vec<f64>,
}

impl Mix {
    /// A mixture that trusts each expert in so far as `prior` says, whatever it sums to.
    #[must_use]
    pub fn new(prior: &[f64], outputs: usize) -> Self {
        let total: f64 = prior.iter().sum();
        let blocks = outputs.clamp(1, BLOCKS_MAX);
        let blank = vec![0.0; blocks * prior.len()];
        Self {
            outputs,
            blocks,
            prior: prior.iter().map(|p| p / total).collect(),
            regret: blank.clone(),
            square: blank,
        }
    }

    /// How many experts it mixes.
    #[must_use]
    pub fn experts(&self) -> usize {
        self.prior.len()
    }

    /// What every expert was trusted with at first.
    #[must_use]
    pub fn prior(&self) -> &[f64] {
        &self.prior
    }

    /// How many stretches of the day have weights of their own.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The stretch of an output.
    #[must_use]
    pub fn block(&self, output: usize) -> usize {
        output * self.blocks / self.outputs
    }

    /// The weights of a stretch of the outputs; they sum to one.
    #[must_use]
    pub fn block_weights(&self, block: usize) -> Vec<f64> {
        let k = self.experts();
        let (regret, square) =
            (&self.regret[block * k..(block + 1) * k], &self.square[block * k..(block + 1) * k]);
        let mean = square.iter().sum::<f64>() / k as f64;
        let rate = if mean > 0.0 { RATE * ((k as f64).ln() / mean).sqrt() } else { 0.0 };
        let scores: Vec<f64> = self.prior.iter().zip(regret).map(|(p, r)| p.ln() + rate * r).collect();
        let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - greatest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / total).collect()
    }

    /// Learns from a day: what the experts and the mixture said, and what happened (NaN where unknown).
    pub fn learn(&mut self, forecasts: &Array2<f32>, mixture: &[f32], actual: &[f32]) {
        let k = self.experts();
        for block in 0..self.blocks {
            let known =
                |h: &usize| self.block(*h) == block && actual[*h].is_finite() && mixture[*h].is_finite();
            let outputs: Vec<usize> = (0..self.outputs).filter(known).collect();
            if outputs.is_empty() {
                continue;
            }
            for expert in 0..k {
                let gain = |&h: &usize| {
                    let forecast = forecasts[(expert, h)];
                    let apart = if forecast.is_finite() { f64::from(mixture[h] - forecast) } else { 0.0 };
                    // The slope of the absolute error of the mixture.
                    if mixture[h] > actual[h] { apart } else { -apart }
                };
                let gain = outputs.iter().map(gain).sum::<f64>() / outputs.len() as f64;
                let place = block * k + expert;
                self.regret[place] = KEEP * self.regret[place] + gain;
                self.square[place] = KEEP * self.square[place] + gain * gain;
            }
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, experts: usize, outputs: usize) -> bool {
        let size = self.blocks * experts;
        self.outputs == outputs
            && outputs > 0
            && (1..=BLOCKS_MAX).contains(&self.blocks)
            && self.blocks <= outputs
            && self.prior.len() == experts
            && self.regret.len() == size
            && self.square.len() == size
            && self.prior.iter().all(|p| *p > 0.0 && p.is_finite())
            && self.regret.iter().chain(&self.square).all(|v| v.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::blend::mixed;
    use crate::random::Random;

    fn combine(mix: &Mix, forecasts: &Array2<f32>) -> Vec<f32> {
        let at = |h: usize| mixed(forecasts.column(h), &mix.block_weights(mix.block(h)));
        (0..forecasts.ncols()).map(at).collect()
    }

    #[test]
    fn it_comes_close_to_the_best_combination() {
        let mut random = Random::new(2, 0);
        let mut mix = Mix::new(&[1.0, 1.0, 1.0], 24);
        let (mut late, mut count) = (0.0, 0);
        for day in 0..300 {
            let actual: Vec<f32> = (0..24).map(|h| 50.0 + h as f32 + random.normal() as f32).collect();
            // Two experts whose errors cancel, and one far off.
            let forecasts = Array2::from_shape_fn((3, 24), |(k, h)| match k {
                0 => 50.0 + h as f32 + 3.0,
                1 => 50.0 + h as f32 - 3.0,
                _ => 90.0,
            });
            let mixture = combine(&mix, &forecasts);
            if day >= 200 {
                late += mixture.iter().zip(&actual).map(|(m, a)| f64::from((m - a).abs())).sum::<f64>();
                count += 24;
            }
            mix.learn(&forecasts, &mixture, &actual);
        }
        let error = late / f64::from(count);
        assert!(error < 1.1, "{error}, where the noise alone makes 0.8 and the better experts 3");
        assert!(mix.block_weights(3)[2] < 0.05, "{:?}", mix.block_weights(3));
    }

    #[test]
    fn an_expert_without_a_number_is_passed_over() {
        let mut mix = Mix::new(&[1.0, 1.0], 2);
        let forecasts = ndarray::array![[1.0_f32, f32::NAN], [3.0, 5.0]];
        assert_eq!(combine(&mix, &forecasts), [2.0, 5.0]);
        mix.learn(&forecasts, &[2.0, 5.0], &[f32::NAN, 4.0]);
        assert!(mix.block_weights(0).iter().all(|w| w.is_finite()));
        assert!(mix.is_sound(2, 2) && !mix.is_sound(3, 2));
    }
}
