//! Season by steps: for values without a calendar (months, quarters, seconds), the value a season ago and the spread of
//! past changes over a season.
//!
//! The seasonal naive of Hyndman and Athanasopoulos (2021, section 5.2), with the quantiles of its own past errors at
//! the same number of seasons ahead instead of a normal distribution.

use forewatt_domain::QuantileLevels;

use crate::groups::sample_quantile;
use crate::predict::{ModelError, Predictions};

/// The name under which answers tell it.
pub const NAME: &str = "seasonal-steps";
/// Fewer past changes than this tell nothing of their spread.
const CHANGES_MIN: usize = 4;

/// Foretells `horizon` values after the last of `values`, which repeat about every `season` steps; NaN is a value not
/// known. Deterministic.
///
/// # Errors
/// [`ModelError::TooFewRows`] when fewer than four changes over a season are known.
pub fn foretell(
    values: &[f32],
    season: usize,
    horizon: usize,
    levels: &QuantileLevels,
) -> Result<Predictions, ModelError> {
    let season = season.max(1);
    let mut said = Predictions { mean: Vec::new(), quantiles: Vec::new(), levels: levels.len() };
    for step in 0..horizon {
        let seasons = step / season + 1;
        let Some(base) = newest(values, season, step) else {
            return Err(too_few(values));
        };
        // So many seasons ahead errors may be too few to know: those of fewer seasons stand in, too narrow by nature.
        let changes = (1..=seasons).rev().map(|n| changes(values, n * season));
        let changes = changes.into_iter().find(|changes| changes.len() >= CHANGES_MIN);
        let changes = changes.ok_or_else(|| too_few(values))?;
        let mean = changes.iter().map(|&c| f64::from(c)).sum::<f64>() / changes.len() as f64;
        said.mean.push(base + mean as f32);
        said.quantiles.extend(levels.as_slice().iter().map(|&level| base + sample_quantile(&changes, level)));
    }
    said.rearrange();
    Ok(said)
}

fn too_few(values: &[f32]) -> ModelError {
    let rows = values.iter().filter(|value| value.is_finite()).count();
    ModelError::TooFewRows { family: NAME, rows, needed: CHANGES_MIN + 1 }
}

/// The newest known value at the phase of `step`.
fn newest(values: &[f32], season: usize, step: usize) -> Option<f32> {
    let phase = (values.len() + step) % season;
    (0..values.len()).rev().filter(|i| i % season == phase).map(|i| values[i]).find(|value| value.is_finite())
}

/// What values changed by over a number of steps, rising.
fn changes(values: &[f32], steps: usize) -> Vec<f32> {
    let later = values.get(steps..).unwrap_or_default();
    let mut changes: Vec<f32> =
        later.iter().zip(values).map(|(later, earlier)| later - earlier).filter(|c| c.is_finite()).collect();
    changes.sort_unstable_by(f32::total_cmp);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_season_and_a_trend_go_on() {
        // Five years of months that rise by 10 a year.
        let values: Vec<f32> = (0..60).map(|i| (i % 12) as f32 + (i / 12 * 10) as f32).collect();
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let said = foretell(&values, 12, 24, &levels).unwrap();
        assert_eq!(said.mean[..3], [50.0, 51.0, 52.0]);
        assert_eq!(said.row(0), [50.0, 50.0, 50.0]);
        assert_eq!(said.mean[12], 60.0, "two seasons ahead it rises twice");
    }

    #[test]
    fn spread_widens_and_gaps_are_looked_past() {
        let mut values: Vec<f32> = (0..200).map(|i: i32| (i * 7919 % 13) as f32 + i as f32 / 10.0).collect();
        values[199] = f32::NAN;
        let levels = QuantileLevels::deciles();
        let said = foretell(&values, 1, 5, &levels).unwrap();
        assert!(said.quantiles.iter().chain(&said.mean).all(|v| v.is_finite()));
        assert!((0..5).all(|i| said.row(i).is_sorted() && said.row(i)[0] < said.row(i)[8]));
        for too_few in [&[][..], &[1.0; 4], &[f32::NAN; 100]] {
            assert!(matches!(foretell(too_few, 1, 1, &levels), Err(ModelError::TooFewRows { .. })));
        }
    }
}
