//! The quantile function between and beyond the levels a model was trained with.
//!
//! Between two levels a quantile is linear in the level. Beyond the outer levels it is linear in the logit of the
//! level, `ln(p / (1 - p))`, with the slope of the two outermost levels: a logistic tail, a little heavier than the
//! normal one. With a single level there is no slope, and every quantile is that one.

use forewatt_domain::QuantileLevels;

use crate::predict::Predictions;

/// The quantile at `level` from rising `quantiles` at rising `levels` (equal lengths, at least one).
#[must_use]
pub fn at_level(quantiles: &[f32], levels: &[f64], level: f64) -> f32 {
    let last = levels.len() - 1;
    let above = levels.partition_point(|&l| l < level);
    if above <= last && levels[above] == level {
        return quantiles[above];
    }
    if above == 0 {
        let slope = tail_slope(quantiles, levels, 0);
        return (f64::from(quantiles[0]) - slope * (logit(levels[0]) - logit(level))) as f32;
    }
    if above > last {
        let slope = tail_slope(quantiles, levels, last.saturating_sub(1));
        return (f64::from(quantiles[last]) + slope * (logit(level) - logit(levels[last]))) as f32;
    }
    let (p0, p1) = (levels[above - 1], levels[above]);
    let (q0, q1) = (f64::from(quantiles[above - 1]), f64::from(quantiles[above]));
    (q0 + (q1 - q0) * (level - p0) / (p1 - p0)) as f32
}

/// The probability that the value exceeds `threshold`, by the quantile function described above.
///
/// Where several levels share one quantile there is a point mass; a threshold on it counts it as not exceeded.
#[must_use]
pub fn probability_above(quantiles: &[f32], levels: &[f64], threshold: f64) -> f64 {
    let last = levels.len() - 1;
    // How many quantiles do not exceed the threshold: the mass at the threshold belongs below it.
    let reached = quantiles.partition_point(|&q| f64::from(q) <= threshold);
    let below = if reached == 0 {
        let gap = f64::from(quantiles[0]) - threshold;
        tail_probability(levels[0], -gap, tail_slope(quantiles, levels, 0))
    } else if reached > last {
        let gap = threshold - f64::from(quantiles[last]);
        tail_probability(levels[last], gap, tail_slope(quantiles, levels, last.saturating_sub(1)))
    } else {
        let (q0, q1) = (f64::from(quantiles[reached - 1]), f64::from(quantiles[reached]));
        levels[reached - 1] + (levels[reached] - levels[reached - 1]) * (threshold - q0) / (q1 - q0)
    };
    (1.0 - below).clamp(0.0, 1.0)
}

/// Every row at `wanted` levels instead of `levels`, the expected values unchanged.
#[must_use]
pub fn at_levels(predictions: Predictions, levels: &QuantileLevels, wanted: &QuantileLevels) -> Predictions {
    if levels == wanted {
        return predictions;
    }
    let known = levels.as_slice();
    let quantiles = predictions
        .quantiles
        .chunks_exact(levels.len())
        .flat_map(|row| wanted.as_slice().iter().map(|&level| at_level(row, known, level)))
        .collect();
    let mut answer = Predictions { mean: predictions.mean, quantiles, levels: wanted.len() };
    answer.rearrange(); // rounding to f32 must not let two close levels cross
    answer
}

fn logit(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

/// Unit of the target per logit between the level at `i` and the next; 0 when there is no next.
fn tail_slope(quantiles: &[f32], levels: &[f64], i: usize) -> f64 {
    match (quantiles.get(i + 1), levels.get(i + 1)) {
        (Some(&q), Some(&p)) => f64::from(q - quantiles[i]).max(0.0) / (logit(p) - logit(levels[i])),
        _ => 0.0,
    }
}

/// The level reached `gap` beyond the quantile at `level`; a flat tail is a step.
fn tail_probability(level: f64, gap: f64, slope: f64) -> f64 {
    if slope > 0.0 {
        1.0 / (1.0 + (-(logit(level) + gap / slope)).exp())
    } else if gap < 0.0 {
        0.0
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trained_levels_are_kept_and_others_interpolated() {
        let (q, p) = ([10.0, 20.0, 40.0], [0.1, 0.5, 0.9]);
        assert_eq!(at_level(&q, &p, 0.5), 20.0);
        assert_eq!(at_level(&q, &p, 0.3), 15.0);
        assert!(at_level(&q, &p, 0.05) < 10.0 && at_level(&q, &p, 0.99) > 40.0);
        assert_eq!(at_level(&[7.0], &[0.5], 0.01), 7.0);
    }

    #[test]
    fn tails_of_a_normal_are_close() {
        let levels: Vec<f64> = (1..=9).map(|i| f64::from(i) / 10.0).collect();
        let normal = [-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816];
        let q01 = at_level(&normal, &levels, 0.01);
        assert!((-2.7..=-2.2).contains(&q01), "{q01} beside -2.33");
        assert!((probability_above(&normal, &levels, 1.645) - 0.05).abs() < 0.02);
        assert!((probability_above(&normal, &levels, 0.0) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_point_mass_is_not_exceeded_at_its_place() {
        let (q, p) = ([0.0, 0.0, 0.0], [0.1, 0.5, 0.9]);
        assert_eq!(probability_above(&q, &p, 0.0), 0.0);
        assert_eq!(probability_above(&q, &p, -0.1), 1.0);
        let (q, p) = ([0.0, 0.0, 5.0], [0.1, 0.5, 0.9]);
        assert_eq!(probability_above(&q, &p, 0.0), 0.5);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn probability_inverts_the_quantile(
            mut q in prop::collection::vec(-1e3_f32..1e3, 9),
            level in 0.01_f64..0.99,
        ) {
            q.sort_unstable_by(f32::total_cmp);
            q.iter_mut().enumerate().for_each(|(i, v)| *v += i as f32 * 10.0); // no point masses
            let levels: Vec<f64> = (1..=9).map(|i| f64::from(i) / 10.0).collect();
            let quantile = at_level(&q, &levels, level);
            let above = probability_above(&q, &levels, f64::from(quantile));
            prop_assert!((above - (1.0 - level)).abs() < 1e-3, "{above} for {level}");
        }

        #[test]
        fn quantiles_at_any_levels_do_not_cross(
            mut q in prop::collection::vec(prop_oneof![-1e6_f32..1e6, Just(0.0_f32)], 9),
            mut wanted in prop::collection::vec(0.001_f64..0.999, 1..20),
        ) {
            q.sort_unstable_by(f32::total_cmp);
            wanted.sort_unstable_by(f64::total_cmp);
            wanted.dedup();
            let wanted = QuantileLevels::new(wanted).unwrap();
            let given = Predictions { mean: vec![0.0], quantiles: q, levels: 9 };
            let answer = at_levels(given, &QuantileLevels::deciles(), &wanted);
            prop_assert!(answer.quantiles.iter().all(|v| v.is_finite()));
            prop_assert!(answer.quantiles.is_sorted());
        }
    }
}
