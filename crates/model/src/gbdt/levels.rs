//! Which levels a forest learns, how the others follow, and the mean from quantiles.

/// The most levels learned; more would cost much and gain nothing.
const MAX_KNOTS: usize = 19;

/// The positions of the levels to learn among those asked for: all up to [`MAX_KNOTS`], else evenly spread ones in
/// the score of the normal distribution, ends included, since tails bend more than the middle.
pub(super) fn knots(levels: &[f64]) -> Vec<usize> {
    if levels.len() <= MAX_KNOTS {
        return (0..levels.len()).collect();
    }
    let (low, high) = (score(levels[0]), score(levels[levels.len() - 1]));
    let wanted = (0..MAX_KNOTS).map(|i| low + (high - low) * i as f64 / (MAX_KNOTS - 1) as f64);
    let mut knots: Vec<usize> = wanted.map(|z| nearest(levels, z)).collect();
    knots.dedup();
    knots
}

fn nearest(levels: &[f64], z: f64) -> usize {
    let right = levels.partition_point(|&level| score(level) < z).min(levels.len() - 1);
    let left = right.saturating_sub(1);
    if (score(levels[right]) - z).abs() <= (score(levels[left]) - z).abs() { right } else { left }
}

/// The position of the level nearest to one half; 0 for none.
pub(super) fn nearest_to_half(levels: &[f64]) -> usize {
    let distance = |i: &usize| (levels[*i] - 0.5).abs();
    let nearest = (0..levels.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)));
    nearest.unwrap_or(0)
}

/// For every level, the knot at or below it (by position among the knots) and the share of the next knot.
pub(super) fn interpolation(levels: &[f64], knots: &[usize]) -> Vec<(usize, f32)> {
    let last = knots.len() - 1;
    let place = |level: usize| {
        let below = knots.partition_point(|&knot| knot <= level).saturating_sub(1);
        if below == last || knots[below] == level {
            return (below, 0.0);
        }
        let (from, to) = (score(levels[knots[below]]), score(levels[knots[below + 1]]));
        (below, ((score(levels[level]) - from) / (to - from)) as f32)
    };
    (0..levels.len()).map(place).collect()
}

/// The weight of each level in the integral of the quantile function: from halfway to the level before to halfway to
/// the level after, 0 and 1 at the ends. Sums to 1.
pub(super) fn mean_weights(levels: &[f64]) -> Vec<f64> {
    let middle = |i: usize| f64::midpoint(levels[i - 1], levels[i]);
    let weight = |i: usize| {
        let from = if i == 0 { 0.0 } else { middle(i) };
        let to = if i + 1 == levels.len() { 1.0 } else { middle(i + 1) };
        to - from
    };
    (0..levels.len()).map(weight).collect()
}

/// Roughly the score of the normal distribution at a level: Tukey's lambda distribution with 0.14, error below 0.01
/// from 0.005 to 0.995.
fn score(level: f64) -> f64 {
    4.91 * (level.powf(0.14) - (1.0 - level).powf(0.14))
}

/// The pinball loss of a forecast quantile.
pub(super) fn pinball(level: f64, actual: f32, forecast: f32) -> f64 {
    let error = f64::from(actual) - f64::from(forecast);
    (level * error).max((level - 1.0) * error)
}

/// The quantile of values by linear interpolation of order statistics (type 7 of Hyndman and Fan 1996); 0 for none.
///
/// Reorders the values.
pub(super) fn quantile(values: &mut [f32], level: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let position = level * (values.len() - 1) as f64;
    let below = position as usize; // floor
    let share = (position - below as f64) as f32;
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    if share == 0.0 || above.is_empty() {
        return low;
    }
    let high = above.iter().copied().fold(f32::INFINITY, f32::min);
    low + (high - low) * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_levels_are_all_learned_and_many_are_interpolated() {
        let deciles: Vec<f64> = (1..10).map(|i| f64::from(i) / 10.0).collect();
        assert_eq!(knots(&deciles), (0..9).collect::<Vec<_>>());
        let percent: Vec<f64> = (1..100).map(|i| f64::from(i) / 100.0).collect();
        let found = knots(&percent);
        assert!(
            found.len() <= MAX_KNOTS && found.len() > 10 && found[0] == 0 && found[found.len() - 1] == 98
        );
        let places = interpolation(&percent, &found);
        let at = |i: usize| places[i].0 as f32 + places[i].1;
        assert!((1..99).all(|i| at(i) > at(i - 1)), "rising");
        assert_eq!(interpolation(&deciles, &knots(&deciles))[4], (4, 0.0));
        assert_eq!(interpolation(&[0.3], &[0]), [(0, 0.0)]);
    }

    #[test]
    fn mean_weights_share_out_the_whole_probability() {
        let deciles: Vec<f64> = (1..10).map(|i| f64::from(i) / 10.0).collect();
        let weights = mean_weights(&deciles);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && (weights[0] - 0.15).abs() < 1e-12);
        assert_eq!(mean_weights(&[0.9]), [1.0]);
    }

    #[test]
    fn quantiles_interpolate_order_statistics() {
        assert_eq!(quantile(&mut [3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&mut [4.0, 0.0, 2.0], 0.25), 1.0);
        assert_eq!(quantile(&mut [7.0], 0.9), 7.0);
        assert_eq!(quantile(&mut [], 0.9), 0.0);
    }
}
