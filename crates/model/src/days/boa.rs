//! Second-order Bernstein online aggregation: weights from how much each expert lost more, and from its squares.
//!
//! Wintenberger, "Optimal learning with Bernstein online aggregation", Machine Learning 106 (2017): each expert has a
//! learning rate of its own, and the second-order term holds back those whose advantage is noise. Slow forgetting
//! follows experts that change.

use serde::{Deserialize, Serialize};

/// What keeps a rate finite where nobody has lost anything yet.
const TINY: f64 = 1e-30;

/// Weights of experts on one stream of losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Boa {
    /// One positive number per expert; they sum to one.
    prior: Vec<f64>,
    /// Excess losses with their second-order surplus, summed up.
    cost: Vec<f64>,
    /// Squares of the excess losses, summed up.
    square: Vec<f64>,
    /// The greatest excess loss.
    range: Vec<f64>,
}

impl Boa {
    /// Experts trusted in so far as `prior` says, whatever it sums to.
    #[must_use]
    pub fn new(prior: &[f64]) -> Self {
        let total: f64 = prior.iter().sum();
        let blank = vec![0.0; prior.len()];
        let prior = prior.iter().map(|p| p / total).collect();
        Self { prior, cost: blank.clone(), square: blank.clone(), range: blank }
    }

    /// The learning rate of an expert that has lost or gained something.
    fn rate(&self, expert: usize) -> f64 {
        let by_range = 0.5 / self.range[expert].max(TINY);
        // A lone expert has nothing to learn, and its logarithm would be zero.
        let doubt = (1.0 / self.prior[expert]).ln().max(TINY);
        by_range.min((doubt / self.square[expert].max(TINY)).sqrt())
    }

    /// The weights; they sum to one.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let seen = (0..self.prior.len()).filter(|&k| self.square[k] > 0.0);
        // Who was never seen is trusted no faster than anyone else.
        let slowest = seen.map(|k| self.rate(k)).fold(f64::INFINITY, f64::min);
        if slowest.is_infinite() {
            return self.prior.clone();
        }
        let score = |k: usize| {
            let rate = if self.square[k] > 0.0 { self.rate(k) } else { slowest };
            self.prior[k].ln() + rate.ln() - rate * self.cost[k]
        };
        let scores: Vec<f64> = (0..self.prior.len()).map(score).collect();
        let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|s| (s - greatest).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / total).collect()
    }

    /// Learns by how much each expert lost more than the mixture, to first order; NaN for one that said nothing, which
    /// stays as it was. The past counts `keep` times as much as before.
    pub fn learn(&mut self, excess: &[f64], keep: f64) {
        for (k, &excess) in excess.iter().enumerate().filter(|(_, excess)| excess.is_finite()) {
            let surplus = if self.square[k] > 0.0 { self.rate(k) * excess } else { 0.0 };
            self.cost[k] = keep * self.cost[k] + excess * (1.0 + surplus);
            self.square[k] = keep * self.square[k] + excess * excess;
            self.range[k] = (keep * self.range[k]).max(excess.abs());
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, experts: usize) -> bool {
        let lists = [&self.prior, &self.cost, &self.square, &self.range];
        lists.iter().all(|list| list.len() == experts && list.iter().all(|v| v.is_finite()))
            && self.prior.iter().all(|p| *p > 0.0)
            && self.square.iter().chain(&self.range).all(|v| *v >= 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn weights_go_to_the_expert_that_loses_least_and_come_back() {
        let mut boa = Boa::new(&[1.0, 1.0, 1.0]);
        assert_eq!(boa.weights(), [1.0 / 3.0; 3]);
        let mut random = Random::new(5, 0);
        let mut teach = |boa: &mut Boa, losses: [f64; 3]| {
            for _ in 0..300 {
                let now = losses.map(|loss| loss + 0.5 * random.normal());
                let mean: f64 = boa.weights().iter().zip(now).map(|(w, l)| w * l).sum();
                boa.learn(&now.map(|loss| loss - mean), 0.99);
            }
        };
        teach(&mut boa, [1.0, 0.4, 2.0]);
        let weights = boa.weights();
        assert!(weights[1] > 0.9 && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{weights:?}");
        teach(&mut boa, [0.4, 2.0, 1.0]);
        assert!(boa.weights()[0] > 0.9, "{:?}", boa.weights());
        assert!(boa.is_sound(3) && !boa.is_sound(2));
    }

    #[test]
    fn who_says_nothing_gains_nothing() {
        let mut boa = Boa::new(&[1.0, 1.0, 1.0]);
        for _ in 0..100 {
            boa.learn(&[-0.2, 0.2, f64::NAN], 0.997);
        }
        let weights = boa.weights();
        assert!(weights[0] > 0.9 && weights[2] < 0.1, "{weights:?}");
        for _ in 0..300 {
            boa.learn(&[f64::NAN, 0.0, f64::NAN], 0.997);
        }
        assert!(boa.weights()[0] > 0.9, "absent for long, it is trusted as before: {:?}", boa.weights());
    }

    #[test]
    fn gains_and_losses_that_cancel_still_cost() {
        let mut boa = Boa::new(&[1.0, 1.0, 1.0]);
        boa.learn(&[1.0, 0.0, 0.0], 1.0);
        boa.learn(&[-1.0, 0.0, 0.0], 1.0);
        // The rate after the first is half of one over the range, so of the gain only half counts.
        assert!((boa.cost[0] - 0.5).abs() < 1e-12, "{boa:?}");
    }

    #[test]
    fn who_is_only_lucky_at_times_weighs_less_than_who_is_steady() {
        let mut boa = Boa::new(&[1.0, 1.0, 1.0]);
        for day in 0..200 {
            // Both gain as much on average; one of them swings.
            let swing = if day % 2 == 0 { 2.0 } else { -2.0 };
            boa.learn(&[-0.1, -0.1 + swing, 0.2], 1.0);
        }
        let weights = boa.weights();
        assert!(weights[0] > 3.0 * weights[1], "{weights:?}");
    }
}
