//! Normal quantiles of ranks: values spread as the standard normal distribution would spread them.

use serde::{Deserialize, Serialize};

/// Knots of the curve at most: between them it is straight.
const KNOTS_MAX: usize = 65;
/// Knots closer than this are one.
const APART_MIN: f32 = 1e-4;

/// A rising line through the normal quantiles of some of the values seen, straight at slope one beyond them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Ranks {
    /// Values about their median and what they become, both rising; one at least.
    knots: Vec<(f32, f32)>,
}

impl Ranks {
    /// From known values about their median; they are put in order.
    pub(super) fn learn(known: &mut [f32]) -> Self {
        known.sort_unstable_by(f32::total_cmp);
        let count = known.len();
        let wanted = KNOTS_MAX.min(count);
        let place = |k: usize| if wanted < 2 { 0 } else { k * (count - 1) / (wanted - 1) };
        let mut knots: Vec<(f32, f32)> = Vec::with_capacity(wanted);
        for k in 0..wanted {
            let value = known[place(k)];
            if knots.last().is_some_and(|(last, _)| value - last < APART_MIN) {
                continue;
            }
            // Equal values share the middle of their ranks.
            let (first, end) =
                (known.partition_point(|v| *v < value), known.partition_point(|v| *v <= value));
            let share = 0.5 * (first + end) as f64 / count as f64;
            let quantile = normal_quantile(share) as f32;
            if knots.last().is_none_or(|(_, last)| quantile - last >= APART_MIN) {
                knots.push((value, quantile));
            }
        }
        if knots.is_empty() {
            knots.push((0.0, 0.0));
        }
        Self { knots }
    }

    pub(super) fn forward(&self, z: f32) -> f32 {
        let next = self.knots.partition_point(|(value, _)| *value < z);
        self.between(next, |(value, quantile)| (value, quantile), z)
    }

    pub(super) fn inverse(&self, y: f32) -> f32 {
        let next = self.knots.partition_point(|(_, quantile)| *quantile < y);
        self.between(next, |(value, quantile)| (quantile, value), y)
    }

    /// The line through the knots before and at `next`, read at `x`.
    fn between(&self, next: usize, turned: impl Fn((f32, f32)) -> (f32, f32), x: f32) -> f32 {
        let knot = |i: usize| turned(self.knots[i]);
        if next == 0 {
            return knot(0).1 + (x - knot(0).0);
        }
        let last = self.knots.len() - 1;
        if next > last {
            return knot(last).1 + (x - knot(last).0);
        }
        let ((a, of_a), (b, of_b)) = (knot(next - 1), knot(next));
        of_a + (of_b - of_a) * ((x - a) / (b - a))
    }

    /// Whether it can be applied; false only for a decoded artifact that was not made here.
    pub(super) fn is_sound(&self) -> bool {
        !self.knots.is_empty()
            && self.knots.iter().all(|(value, quantile)| value.is_finite() && quantile.is_finite())
            && self.knots.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1)
    }
}

/// The quantile of the standard normal distribution at a level between 0 and 1, by Newton's steps on its distribution
/// function: exact to 1e-9.
fn normal_quantile(level: f64) -> f64 {
    let level = level.clamp(1e-9, 1.0 - 1e-9);
    // Tukey's lambda distribution is near enough to begin with.
    let mut z = 4.91 * (level.powf(0.14) - (1.0 - level).powf(0.14));
    for _ in 0..4 {
        let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
        z -= ((below(z) - level) / density).clamp(-1.0, 1.0);
    }
    z
}

/// The standard normal distribution function, by the series of Marsaglia (Journal of Statistical Software 11, 2004).
fn below(z: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 && odd < 400.0 {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (level, z) in [(0.5, 0.0), (0.975, 1.959_964), (0.01, -2.326_348), (0.9999, 3.719_016)] {
            assert!((normal_quantile(level) - z).abs() < 1e-5, "{level}: {}", normal_quantile(level));
        }
    }

    #[test]
    fn wild_values_become_normal_ones() {
        let mut known: Vec<f32> = (1..=999).map(|i| (i as f32 / 100.0).exp()).collect();
        let ranks = Ranks::learn(&mut known);
        let of_rank = |i: usize| ranks.forward((i as f32 / 100.0).exp());
        assert!(ranks.is_sound() && ranks.knots.len() == KNOTS_MAX);
        assert!(of_rank(500).abs() < 0.02 && (of_rank(841) - 1.0).abs() < 0.02, "{}", of_rank(841));
        assert_eq!(ranks.forward(known[998] + 5.0), ranks.forward(known[998]) + 5.0, "straight beyond");
    }

    #[test]
    fn equal_values_are_one_knot() {
        let mut known = vec![0.0_f32, 0.0, 0.0, 1.0];
        let ranks = Ranks::learn(&mut known);
        assert_eq!(ranks.knots.len(), 2);
        assert!(ranks.is_sound() && ranks.forward(1.0) > ranks.forward(0.0));
        assert_eq!(Ranks::learn(&mut []).forward(3.0), 3.0);
    }
}
