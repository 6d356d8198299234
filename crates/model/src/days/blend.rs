//! The mixture of mixtures: three ways to weigh the experts, weighed by how they did.
//!
//! Exponentiated gradient (`mix`) is slow and steady, Bernstein aggregation (`boa`) settles on the best sooner, and
//! constrained least squares (`simplex`) also sees whose errors cancel. None is best everywhere, so they are experts
//! themselves, and stretches of the day have weights of their own.

use ndarray::{Array1, Array2, ArrayView1};
use serde::{Deserialize, Serialize};

use super::boa::Boa;
use super::crps::known_mean;
use super::mix::Mix;
use super::simplex;

/// The ways, in the order of their weights.
pub const WAYS: [&str; 3] = ["exponentiated gradient", "Bernstein aggregation", "least squares"];
/// What each is trusted with at first.
const TRUST: [f64; 3] = [0.6, 0.2, 0.2];
/// What a day keeps of the losses before it.
const KEEP: f64 = 0.98;
/// What a day keeps of the error products before it: their mean age is that of a rolling window of seven weeks.
const KEEP_PRODUCTS: f64 = 0.96;
/// How strongly least squares is drawn to the first weights, as a share of the experts' mean squared error.
const PULL: f64 = 0.2;
/// With fewer days than this least squares says what the first weights say.
const DAYS_MIN: usize = 14;

/// Weights of experts by three ways.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Blend {
    gradient: Mix,
    /// One for each stretch of the day, as all below.
    bernstein: Vec<Boa>,
    squares: Vec<Squares>,
    ways: Vec<Boa>,
}

/// Constrained least squares of one stretch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Squares {
    days: usize,
    /// `experts x experts`: products of their errors, the older ones forgotten.
    products: Vec<f64>,
    weights: Vec<f64>,
}

/// What was said of a day.
#[derive(Debug, Clone)]
pub struct Blended {
    /// `ways x outputs`.
    ways: Array2<f32>,
    /// The mixture of them.
    pub mixture: Vec<f32>,
}

impl Blend {
    /// Experts trusted in so far as `prior` says, whatever it sums to.
    #[must_use]
    pub fn new(prior: &[f64], outputs: usize) -> Self {
        let gradient = Mix::new(prior, outputs);
        let (blocks, k) = (gradient.blocks(), prior.len());
        let squares = Squares { days: 0, products: vec![0.0; k * k], weights: gradient.prior().to_vec() };
        Self {
            gradient,
            bernstein: vec![Boa::new(prior); blocks],
            squares: vec![squares; blocks],
            ways: vec![Boa::new(&TRUST); blocks],
        }
    }

    /// The weights of all ways in a stretch, `ways x experts`.
    fn by_way(&self, block: usize) -> [Vec<f64>; WAYS.len()] {
        [
            self.gradient.block_weights(block),
            self.bernstein[block].weights(),
            self.squares[block].weights.clone(),
        ]
    }

    /// The weight of every way, averaged over the stretches.
    #[must_use]
    pub fn way_weights(&self) -> Vec<f64> {
        mean(self.ways.iter().map(Boa::weights), self.ways.len())
    }

    /// The weight of every expert, averaged over the stretches.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let of_block = |block: usize| {
            let (of_way, ways) = (self.by_way(block), self.ways[block].weights());
            let of_expert = |k: usize| of_way.iter().zip(&ways).map(|(w, share)| w[k] * share).sum();
            (0..self.gradient.experts()).map(of_expert).collect()
        };
        mean((0..self.ways.len()).map(of_block), self.ways.len())
    }

    /// Mixes `experts x outputs` forecasts; the weight of an expert that has no number at an output is spread over
    /// the rest there. NaN where none has.
    #[must_use]
    pub fn combine(&self, forecasts: &Array2<f32>) -> Blended {
        let outputs = forecasts.ncols();
        let mut ways = Array2::zeros((WAYS.len(), outputs));
        let mut mixture = Vec::with_capacity(outputs);
        let weights: Vec<_> =
            (0..self.ways.len()).map(|b| (self.by_way(b), self.ways[b].weights())).collect();
        for output in 0..outputs {
            let (of_way, shares) = &weights[self.gradient.block(output)];
            let said: Array1<f32> =
                of_way.iter().map(|weights| mixed(forecasts.column(output), weights)).collect();
            mixture.push(mixed(said.view(), shares));
            ways.column_mut(output).assign(&said);
        }
        Blended { ways, mixture }
    }

    /// Learns from a day: what the experts and the mixture said, and what happened (NaN where unknown).
    pub fn learn(&mut self, forecasts: &Array2<f32>, said: &Blended, actual: &[f32]) {
        let way = |w: usize| said.ways.row(w).to_vec();
        self.gradient.learn(forecasts, &way(0), actual);
        for block in 0..self.ways.len() {
            let known = |h: &usize| {
                self.gradient.block(*h) == block && actual[*h].is_finite() && said.mixture[*h].is_finite()
            };
            let outputs: Vec<usize> = (0..actual.len()).filter(known).collect();
            if outputs.is_empty() {
                continue;
            }
            self.bernstein[block].learn(&excess(forecasts, &way(1), actual, &outputs), KEEP);
            self.ways[block].learn(&excess(&said.ways, &said.mixture, actual, &outputs), KEEP);
            self.squares[block].learn(forecasts, &way(2), actual, &outputs, self.gradient.prior());
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, experts: usize, outputs: usize) -> bool {
        let blocks = self.gradient.blocks();
        self.gradient.is_sound(experts, outputs)
            && [self.bernstein.len(), self.squares.len(), self.ways.len()] == [blocks; 3]
            && self.bernstein.iter().all(|boa| boa.is_sound(experts))
            && self.ways.iter().all(|boa| boa.is_sound(WAYS.len()))
            && self.squares.iter().all(|squares| squares.is_sound(experts))
    }
}

impl Squares {
    fn learn(
        &mut self,
        forecasts: &Array2<f32>,
        said: &[f32],
        actual: &[f32],
        outputs: &[usize],
        prior: &[f64],
    ) {
        let k = self.weights.len();
        self.products.iter_mut().for_each(|p| *p *= KEEP_PRODUCTS);
        for &h in outputs {
            // Who says nothing errs as the mixture does: that draws weights neither to it nor away.
            let error = |f: &f32| f64::from(if f.is_finite() { *f } else { said[h] } - actual[h]);
            let errors: Vec<f64> = forecasts.column(h).iter().map(error).collect();
            for (row, error) in self.products.chunks_exact_mut(k).zip(&errors) {
                row.iter_mut().zip(&errors).for_each(|(p, other)| *p += error * other);
            }
        }
        self.days += 1;
        if self.days >= DAYS_MIN {
            let mean = (0..k).map(|i| self.products[i * k + i]).sum::<f64>() / k as f64;
            self.weights = simplex::least_squares(&self.products, PULL * mean, prior, &self.weights);
        }
    }

    fn is_sound(&self, experts: usize) -> bool {
        self.weights.len() == experts
            && self.products.len() == experts * experts
            && self.weights.iter().all(|w| *w >= 0.0)
            && self.weights.iter().chain(&self.products).all(|v| v.is_finite())
    }
}

/// The weighted mean of what is known; where only experts without weight know, their plain mean.
pub fn mixed(values: ArrayView1<'_, f32>, weights: &[f64]) -> f32 {
    let known = || values.iter().zip(weights).filter(|(v, _)| v.is_finite());
    let (sum, total) = known().fold((0.0, 0.0), |(sum, total), (v, w)| (sum + w * f64::from(*v), total + w));
    if total > 0.0 {
        return (sum / total) as f32;
    }
    let (sum, count) = known().fold((0.0, 0.0_f32), |(sum, count), (v, _)| (sum + v, count + 1.0));
    sum / count
}

/// By how much each expert lost more than the mixture in absolute error, to first order, on average over outputs; NaN
/// for one that said nothing.
fn excess(forecasts: &Array2<f32>, mixture: &[f32], actual: &[f32], outputs: &[usize]) -> Vec<f64> {
    let of_expert = |row: ArrayView1<'_, f32>| {
        let at = |&h: &usize| {
            let apart = f64::from(row[h] - mixture[h]);
            if mixture[h] > actual[h] { apart } else { -apart }
        };
        known_mean(outputs.iter().map(at))
    };
    forecasts.rows().into_iter().map(of_expert).collect()
}

fn mean(lists: impl Iterator<Item = Vec<f64>>, count: usize) -> Vec<f64> {
    let add = |mut sum: Vec<f64>, list: Vec<f64>| {
        sum.iter_mut().zip(list).for_each(|(s, v)| *s += v);
        sum
    };
    let sum = lists.reduce(add).unwrap_or_default();
    sum.into_iter().map(|s| s / count as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const DAYS: usize = 250;

    /// Rolls over days; `failed` tells when the second expert has no numbers. Two experts err in opposite ways, one is
    /// far off. Returns the mean error of the last 50 days.
    fn rolled(blend: &mut Blend, failed: impl Fn(usize) -> bool) -> f64 {
        let (mut random, mut late) = (Random::new(2, 0), 0.0);
        for day in 0..DAYS {
            let lean = 3.0 * random.normal() as f32;
            let actual: Vec<f32> = (0..24).map(|h| 50.0 + h as f32 + 0.5 * random.normal() as f32).collect();
            let forecasts = Array2::from_shape_fn((3, 24), |(k, h)| match k {
                0 => 50.0 + h as f32 + lean,
                1 if failed(day) => f32::NAN,
                1 => 50.0 + h as f32 - lean,
                _ => 90.0,
            });
            let said = blend.combine(&forecasts);
            assert!(said.mixture.iter().all(|v| v.is_finite()), "day {day}");
            if day >= DAYS - 50 {
                let errors = said.mixture.iter().zip(&actual).map(|(m, a)| f64::from((m - a).abs()));
                late += errors.sum::<f64>() / (24.0 * 50.0);
            }
            blend.learn(&forecasts, &said, &actual);
        }
        late
    }

    fn fresh() -> Blend {
        Blend::new(&[1.0, 1.0, 1.0], 24)
    }

    #[test]
    fn errors_that_cancel_are_found_and_the_way_that_finds_them_leads() {
        let mut blend = fresh();
        let error = rolled(&mut blend, |_| false);
        assert!(error < 0.9, "{error}, where the noise alone makes 0.4 and the better experts 2.4");
        let weights = blend.weights();
        assert!(weights[2] < 0.05 && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{weights:?}");
        assert!((blend.way_weights().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(blend.is_sound(3, 24) && !blend.is_sound(2, 24) && !blend.is_sound(3, 23));
    }

    #[test]
    fn the_weight_of_a_member_that_fails_is_spread_over_the_rest() {
        let mut blend = fresh();
        rolled(&mut blend, |day| day % 5 == 0);
        let weights = blend.weights();
        assert!(weights[1] > 0.3, "a member absent now and then keeps its weight: {weights:?}");
        let forecasts = ndarray::stack![ndarray::Axis(0), [10.0_f32; 24], [f32::NAN; 24], [10.0; 24]];
        assert!(blend.combine(&forecasts).mixture.iter().all(|v| (v - 10.0).abs() < 1e-4));
        // Whoever has all the weight may fail: the rest answer.
        assert!((mixed(ndarray::aview1(&[f32::NAN, 3.0, 5.0]), &[1.0, 0.0, 0.0]) - 4.0).abs() < 1e-6);
        let error = rolled(&mut fresh(), |day| day > 100);
        assert!(error < 2.6, "{error}: gone for good, the first alone errs by 2.4");
    }

    #[test]
    fn without_values_nothing_is_learned() {
        let mut blend = fresh();
        let said = blend.combine(&Array2::ones((3, 24)));
        blend.learn(&Array2::ones((3, 24)), &said, &[f32::NAN; 24]);
        assert_eq!(blend, fresh());
    }
}
