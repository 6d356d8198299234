//! The power that makes values most normal: Box and Cox, Journal of the Royal Statistical Society B 26 (1964) 211-252.

use serde::{Deserialize, Serialize};

use super::center_and_spread;

/// Powers tried. Below a negative half the curve is so flat at the top that its inverse loses its digits.
const POWERS: (f64, f64) = (-0.5, 2.0);
/// How finely the power is searched.
const STEPS: usize = 24;
/// Values count as positive when the least of them is at least so many spreads above zero; others are shifted until
/// it is one spread above.
const LEAST: f32 = 1e-2;
/// The curve goes on as a straight line below this share of the least value seen and above so many times the greatest.
const ROOM: f64 = 2.0;

/// `((z + shift) ^ power - 1) / power`, or the logarithm, in units of its own spread about its own middle.
///
/// Beyond the values seen it goes on straight, so that it rises everywhere and every number has an inverse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Power {
    power: f64,
    shift: f64,
    /// Where it begins and ceases to bend.
    bends: (f64, f64),
    center: f64,
    spread: f64,
}

impl Power {
    /// From known values about their median, and where on that scale zero lies.
    pub(super) fn learn(known: &[f32], zero: f32) -> Self {
        let straight = Self { power: 1.0, shift: 1.0, bends: (0.5, 2.0), center: 0.0, spread: 1.0 };
        let least = known.iter().copied().fold(f32::INFINITY, f32::min);
        let greatest = known.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if least >= greatest {
            return straight;
        }
        let shift = f64::from(if least - zero >= LEAST { -zero } else { 1.0 - least });
        let bends = ((f64::from(least) + shift) / ROOM, (f64::from(greatest) + shift) * ROOM);
        let logs: Vec<f64> = known.iter().map(|&z| (f64::from(z) + shift).ln()).collect();
        let raw = Self { power: likeliest(&logs), shift, bends, ..straight };
        // About the median first: single precision would lose small differences between large values.
        let median = raw.bend(0.0);
        let mut bent: Vec<f32> = known.iter().map(|&z| (raw.bend(f64::from(z)) - median) as f32).collect();
        let (center, spread) = center_and_spread(&mut bent);
        Self { center: median + f64::from(center), spread: f64::from(spread), ..raw }
    }

    pub(super) fn forward(&self, z: f32) -> f32 {
        ((self.bend(f64::from(z)) - self.center) / self.spread) as f32
    }

    pub(super) fn inverse(&self, y: f32) -> f32 {
        self.straighten(f64::from(y) * self.spread + self.center) as f32
    }

    /// Whether it can be applied; false only for a decoded artifact that was not made here.
    pub(super) fn is_sound(&self) -> bool {
        let (low, high) = self.bends;
        (POWERS.0..=POWERS.1).contains(&self.power)
            && [self.shift, low, high, self.center, self.spread].iter().all(|v| v.is_finite())
            && 0.0 < low
            && low < high
            && self.spread > 0.0
    }

    fn bend(&self, z: f64) -> f64 {
        let u = z + self.shift;
        let held = u.clamp(self.bends.0, self.bends.1);
        let bent = bent(held.ln(), self.power);
        // The slope of the curve is u to the power less one.
        bent + (u - held) * held.powf(self.power - 1.0)
    }

    fn straighten(&self, y: f64) -> f64 {
        let (low, high) = self.bends;
        let held = y.clamp(bent(low.ln(), self.power), bent(high.ln(), self.power));
        let straight = self.power.abs() < 1e-9;
        let u = if straight { held.exp() } else { ((self.power * held).ln_1p() / self.power).exp() };
        u + (y - held) * u.powf(1.0 - self.power) - self.shift
    }
}

/// The transformed value of one whose logarithm is given.
fn bent(log: f64, power: f64) -> f64 {
    if power.abs() < 1e-9 { log } else { (power * log).exp_m1() / power }
}

/// The power of the greatest profile likelihood, by golden sections.
fn likeliest(logs: &[f64]) -> f64 {
    let share = 0.5 * (5.0_f64.sqrt() - 1.0);
    let (mut low, mut high) = POWERS;
    let (mut a, mut b) = (high - share * (high - low), low + share * (high - low));
    let (mut of_a, mut of_b) = (likelihood(logs, a), likelihood(logs, b));
    for _ in 0..STEPS {
        if of_a >= of_b {
            (high, b, of_b) = (b, a, of_a);
            a = high - share * (high - low);
            of_a = likelihood(logs, a);
        } else {
            (low, a, of_a) = (a, b, of_b);
            b = low + share * (high - low);
            of_b = likelihood(logs, b);
        }
    }
    f64::midpoint(low, high)
}

/// The profile log-likelihood of a power, up to a constant: minus half the logarithm of the variance, times the
/// values, and the logarithm of the slopes.
fn likelihood(logs: &[f64], power: f64) -> f64 {
    let n = logs.len() as f64;
    let (mut mean, mut squares, mut sum) = (0.0, 0.0, 0.0);
    for (i, &log) in logs.iter().enumerate() {
        let value = bent(log, power);
        let delta = value - mean;
        mean += delta / (i + 1) as f64;
        squares += delta * (value - mean);
        sum += log;
    }
    (power - 1.0) * sum - 0.5 * n * (squares / n).max(f64::MIN_POSITIVE).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn lognormal_values_get_the_logarithm_and_normal_ones_stay() {
        let mut random = Random::new(3, 0);
        let normal: Vec<f64> = (0..4000).map(|_| random.normal()).collect();
        let power = likeliest(&normal);
        assert!(power.abs() < 0.05, "{power} for logarithms that are normal");
        let logs: Vec<f64> = normal.iter().map(|z| (10.0 + z).ln()).collect();
        let power = likeliest(&logs);
        assert!((power - 1.0).abs() < 0.3, "{power} for values that are normal");
    }

    #[test]
    fn positive_values_are_not_shifted_and_others_are() {
        let known = [-1.0_f32, -0.5, 0.0, 1.0, 6.0];
        assert_eq!(Power::learn(&known, -3.0).shift, 3.0, "they are 2 to 9 spreads above zero");
        assert_eq!(Power::learn(&known, -0.5).shift, 2.0, "the least is put one spread above zero");
        // A level a million spreads high leaves nothing to bend, and no digits are lost.
        let high = Power::learn(&known, -1e6);
        assert!(
            (high.inverse(high.forward(0.7)) - 0.7).abs() < 1e-3 && high.forward(6.0) > high.forward(5.9)
        );
    }

    #[test]
    fn beyond_the_values_seen_it_is_straight_and_still_has_an_inverse() {
        let power = Power::learn(&[-1.0, -0.5, 0.0, 1.0, 6.0], 0.0);
        assert!(power.is_sound());
        for z in [-300.0_f32, -5.0, 40.0, 900.0] {
            let back = power.inverse(power.forward(z));
            assert!((back - z).abs() < 1e-3 * z.abs(), "{back} for {z}");
        }
        let slope = |z: f32| power.forward(z + 1.0) - power.forward(z);
        assert!((slope(100.0) - slope(500.0)).abs() < 1e-3 * slope(100.0));
        assert!(Power::learn(&[2.0; 5], 0.0).forward(1.0).is_finite(), "one value teaches no power");
    }
}
