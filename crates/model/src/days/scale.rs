//! Scaling by median and median absolute deviation, with tails compressed by the inverse hyperbolic sine.
//!
//! Uniejewski, Weron and Ziel, "Variance stabilizing transformations for electricity spot price forecasting", IEEE
//! Transactions on Power Systems 33 (2018) 2219-2229.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

/// The median absolute deviation of a standard normal variable.
const NORMAL_MAD: f32 = 0.6745;
/// How far beyond the range seen an answer may lie, in scaled units: an extrapolation must not explode through the
/// hyperbolic sine.
const BEYOND: f32 = 1.0;
/// Without the inverse hyperbolic sine inputs are held inside so many spreads.
const LINEAR_MAX: f32 = 12.0;

/// One transformation per column; missing values become 0, the median.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    asinh: bool,
    center: Vec<f32>,
    spread: Vec<f32>,
    /// The range of the scaled values seen.
    low: Vec<f32>,
    high: Vec<f32>,
}

impl Scaler {
    /// Learns from `rows x columns` values.
    #[must_use]
    pub fn new(values: ArrayView2<'_, f32>, asinh: bool) -> Self {
        let columns = values.ncols();
        let mut scaler = Self {
            asinh,
            center: Vec::with_capacity(columns),
            spread: Vec::with_capacity(columns),
            low: Vec::with_capacity(columns),
            high: Vec::with_capacity(columns),
        };
        let mut known = Vec::with_capacity(values.nrows());
        for column in values.columns() {
            known.clear();
            known.extend(column.iter().copied().filter(|v| v.is_finite()));
            let (center, spread) = center_and_spread(&mut known);
            scaler.center.push(center);
            scaler.spread.push(spread);
            let ends = |(least, most): (f32, f32), v: &f32| (v.min(least), v.max(most));
            let (least, most) = known.iter().fold((center, center), ends);
            let (low, high) =
                (scaler.shape((least - center) / spread), scaler.shape((most - center) / spread));
            scaler.low.push(low);
            scaler.high.push(high);
        }
        scaler
    }

    /// How many columns it scales.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.center.len()
    }

    fn shape(&self, z: f32) -> f32 {
        if self.asinh { z.asinh() } else { z.clamp(-LINEAR_MAX, LINEAR_MAX) }
    }

    /// The scaled value of a column; 0 for a missing one.
    #[must_use]
    pub fn forward(&self, column: usize, value: f32) -> f32 {
        if value.is_finite() { self.shape((value - self.center[column]) / self.spread[column]) } else { 0.0 }
    }

    /// As [`Scaler::forward`], but a missing value stays missing.
    #[must_use]
    pub fn forward_known(&self, column: usize, value: f32) -> f32 {
        if value.is_finite() { self.forward(column, value) } else { f32::NAN }
    }

    /// The value whose scaled form is `scaled`, held a little beyond the range seen.
    #[must_use]
    pub fn inverse(&self, column: usize, scaled: f32) -> f32 {
        let held = scaled.clamp(self.low[column] - BEYOND, self.high[column] + BEYOND);
        let z = if self.asinh { held.sinh() } else { held };
        z * self.spread[column] + self.center[column]
    }

    /// All of a table scaled.
    #[must_use]
    pub fn forward_all(&self, values: ArrayView2<'_, f32>) -> Array2<f32> {
        Array2::from_shape_fn(values.raw_dim(), |(r, c)| self.forward(c, values[(r, c)]))
    }

    /// One row scaled.
    #[must_use]
    pub fn forward_row(&self, values: &[f32]) -> Vec<f32> {
        values.iter().enumerate().map(|(c, &v)| self.forward(c, v)).collect()
    }

    /// Whether it can be applied to `columns` columns; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, columns: usize) -> bool {
        let lists = [&self.center, &self.spread, &self.low, &self.high];
        lists.iter().all(|list| list.len() == columns && list.iter().all(|v| v.is_finite()))
            && self.spread.iter().all(|&s| s > 0.0)
            && self.low.iter().zip(&self.high).all(|(low, high)| low <= high)
    }
}

/// The middle of values, in linear time; they change places.
fn middle(values: &mut [f32]) -> f32 {
    let half = values.len() / 2;
    let even = values.len().is_multiple_of(2);
    let (below, &mut middle, _) = values.select_nth_unstable_by(half, f32::total_cmp);
    if even {
        let before = below.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        return f32::midpoint(before, middle);
    }
    middle
}

/// Median and robust spread of values; the standard deviation where more than half are equal.
fn center_and_spread(known: &mut [f32]) -> (f32, f32) {
    if known.is_empty() {
        return (0.0, 1.0);
    }
    let center = middle(known);
    let mut deviations: Vec<f32> = known.iter().map(|v| (v - center).abs()).collect();
    let mad = middle(&mut deviations) / NORMAL_MAD;
    if mad > 1e-6 * center.abs().max(1e-12) {
        return (center, mad);
    }
    let square = deviations.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>() / known.len() as f64;
    let deviation = square.sqrt() as f32;
    (center, if deviation > 0.0 && deviation.is_finite() { deviation } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn scales_by_median_and_deviation() {
        let values = array![[1.0_f32], [2.0], [3.0], [4.0], [100.0]];
        let scaler = Scaler::new(values.view(), false);
        assert!((scaler.forward(0, 3.0)).abs() < 1e-6);
        assert!((scaler.forward(0, 4.0) - NORMAL_MAD).abs() < 1e-6, "the deviation's median is 1");
        assert_eq!(scaler.forward(0, f32::NAN), 0.0);
        assert!(scaler.forward_known(0, f32::NAN).is_nan());
        assert!(scaler.is_sound(1) && !scaler.is_sound(2));
    }

    #[test]
    fn constant_and_unknown_columns_stay_finite() {
        let values = array![[7.0_f32, f32::NAN], [7.0, f32::NAN]];
        let scaler = Scaler::new(values.view(), true);
        assert_eq!(scaler.forward(0, 7.0), 0.0);
        assert_eq!(scaler.inverse(0, 0.0), 7.0);
        assert!(scaler.inverse(1, 50.0).is_finite());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_inverse_is_exact_within_the_range_seen(values in prop::collection::vec(-500.0_f32..3000.0, 12), asinh: bool) {
            let table = Array2::from_shape_vec((12, 1), values.clone()).unwrap();
            let scaler = Scaler::new(table.view(), asinh);
            for value in values {
                let z = scaler.forward(0, value);
                if z.abs() < LINEAR_MAX {
                    let back = scaler.inverse(0, z);
                    prop_assert!((back - value).abs() <= 1e-3 * (1.0 + value.abs()), "{} for {}", back, value);
                }
            }
        }
    }
}
