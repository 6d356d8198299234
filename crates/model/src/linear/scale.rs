//! Columns of the design matrix: robust scaling, bounds against wild inputs, missing values.

use crate::groups::sample_quantile;
use crate::matrix::FeatureMatrix;
use serde::{Deserialize, Serialize};

/// Columns with a greater share of missing values get an indicator beside them.
const MISSING_SHARE: f64 = 0.05;
/// Columns with fewer known values are left out.
const KNOWN_MIN: usize = 8;

/// One column of the design matrix, made from one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Column {
    /// Position of the feature.
    pub source: u32,
    /// Whether the column says that the feature is missing instead of what it is.
    indicator: bool,
    /// Inputs are held between these: the training range without its outermost 0.5 %, widened by half.
    low: f32,
    high: f32,
    /// Median, which also stands in for a missing value.
    center: f32,
    /// Median absolute deviation times 1.4826 (the standard deviation of a normal), or the deviation itself.
    scale: f32,
    /// Whether tails are compressed by the inverse hyperbolic sine.
    asinh: bool,
    /// Mean and reciprocal deviation after all that, so that a penalty treats columns alike.
    mean: f32,
    gain: f32,
}

impl Column {
    /// The standardised value of a raw feature; finite whatever comes in.
    pub fn apply(&self, raw: f32) -> f32 {
        (self.shape(raw) - self.mean) * self.gain
    }

    fn shape(&self, raw: f32) -> f32 {
        if self.indicator {
            return f32::from(u8::from(raw.is_nan()));
        }
        if raw.is_nan() {
            return 0.0; // the median
        }
        let z = (raw.clamp(self.low, self.high) - self.center) / self.scale;
        if self.asinh { z.asinh() } else { z }
    }

    /// Its flags as bits, and its numbers: for writing.
    pub fn parts(&self) -> (u8, [f32; 6]) {
        let flags = u8::from(self.indicator) | u8::from(self.asinh) << 1;
        (flags, [self.low, self.high, self.center, self.scale, self.mean, self.gain])
    }

    /// From what [`Column::parts`] gave.
    pub fn from_parts(source: u32, flags: u8, [low, high, center, scale, mean, gain]: [f32; 6]) -> Self {
        let (indicator, asinh) = (flags & 1 != 0, flags & 2 != 0);
        Self { source, indicator, low, high, center, scale, asinh, mean, gain }
    }

    /// Two raw values that stand for the column: about a standard deviation below and above its mean; for an
    /// indicator, known and missing.
    pub fn quarters(&self) -> [f32; 2] {
        if self.indicator {
            return [0.0, f32::NAN];
        }
        let back = |z: f32| {
            let shaped = z / self.gain + self.mean;
            self.center + self.scale * if self.asinh { shaped.sinh() } else { shaped }
        };
        [back(-1.0), back(1.0)]
    }

    /// Whether it can be applied; false only for a decoded artifact that was not made here.
    pub fn is_sound(&self, features: usize) -> bool {
        let numbers = [self.low, self.high, self.center, self.scale, self.mean, self.gain];
        (self.source as usize) < features
            && numbers.iter().all(|n| n.is_finite())
            && self.low <= self.high
            && self.scale != 0.0
    }

    /// Learns mean and deviation of the shaped values; `None` when they do not vary.
    fn standardised(mut self, raw: &[f32]) -> Option<Self> {
        let n = raw.len() as f64;
        let mean = raw.iter().map(|&v| f64::from(self.shape(v))).sum::<f64>() / n;
        let variance = raw.iter().map(|&v| (f64::from(self.shape(v)) - mean).powi(2)).sum::<f64>() / n;
        self.mean = mean as f32;
        self.gain = (1.0 / variance.sqrt()) as f32;
        (variance > 1e-10 && self.gain.is_finite()).then_some(self)
    }
}

/// Robust place and spread of rising finite values.
pub(super) fn center_and_scale(sorted: &[f32]) -> Option<(f32, f32)> {
    let center = sample_quantile(sorted, 0.5);
    let mut deviations: Vec<f32> = sorted.iter().map(|v| (v - center).abs()).collect();
    deviations.sort_unstable_by(f32::total_cmp);
    let mad = 1.4826 * sample_quantile(&deviations, 0.5);
    let spread =
        deviations.iter().map(|&d| f64::from(d).powi(2)).sum::<f64>() / deviations.len().max(1) as f64;
    let scale = if mad > 0.0 { mad } else { spread.sqrt() as f32 };
    (center.is_finite() && scale.is_finite() && scale > 0.0).then_some((center, scale))
}

/// Bounds that hold the bulk of rising values with room for more of them.
pub(super) fn bounds(sorted: &[f32]) -> (f32, f32) {
    let (low, high) = (sample_quantile(sorted, 0.005), sample_quantile(sorted, 0.995));
    match (sorted.first(), sorted.last()) {
        // A rare dummy has no bulk to speak of.
        (Some(&first), Some(&last)) if high <= low => (first, last),
        _ => (low - (high - low) / 2.0, high + (high - low) / 2.0),
    }
}

/// The columns that vary among `rows`.
pub(super) fn columns(features: &FeatureMatrix, rows: &[usize], asinh: bool) -> Vec<Column> {
    let mut raw = vec![0.0_f32; rows.len()];
    let mut columns = Vec::with_capacity(features.columns());
    for source in 0..features.columns() {
        rows.iter().zip(&mut raw).for_each(|(&row, value)| *value = features.row(row)[source]);
        let mut known: Vec<f32> = raw.iter().copied().filter(|v| v.is_finite()).collect();
        known.sort_unstable_by(f32::total_cmp);
        let blank = Column {
            source: source as u32,
            indicator: true,
            low: 0.0,
            high: 0.0,
            center: 0.0,
            scale: 1.0,
            asinh,
            mean: 0.0,
            gain: 1.0,
        };
        if raw.len() - known.len() > (MISSING_SHARE * raw.len() as f64) as usize {
            columns.extend(blank.clone().standardised(&raw));
        }
        if known.len() < KNOWN_MIN {
            continue;
        }
        let (low, high) = bounds(&known);
        if let Some((center, scale)) = center_and_scale(&known) {
            let column = Column { indicator: false, low, high, center, scale, ..blank };
            columns.extend(column.standardised(&raw).filter(|column| column.is_sound(features.columns())));
        }
    }
    columns
}

/// The standardised columns of `rows`, column-major.
pub(super) fn design(features: &FeatureMatrix, rows: &[usize], columns: &[Column]) -> Vec<f32> {
    let mut design = Vec::with_capacity(rows.len() * columns.len());
    for column in columns {
        let source = column.source as usize;
        design.extend(rows.iter().map(|&row| column.apply(features.row(row)[source])));
    }
    design
}

/// How the target is seen by the regression: scaled, with heavy tails compressed where asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Target {
    pub center: f32,
    pub scale: f32,
    pub asinh: bool,
    /// Predictions are held between these, in the transformed unit.
    pub low: f32,
    pub high: f32,
}

impl Target {
    /// Learns from the target; constant targets get a scale of one.
    pub fn new(target: &[f32], asinh: bool) -> Self {
        let mut sorted = target.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let (center, scale) =
            center_and_scale(&sorted).unwrap_or((sorted.first().copied().unwrap_or(0.0), 1.0));
        let mut answer = Self { center, scale, asinh, low: 0.0, high: 0.0 };
        let (first, last) = (sorted.first().copied().unwrap_or(0.0), sorted.last().copied().unwrap_or(0.0));
        // In the target's own unit: a quarter of the range is little, a quarter of its logarithm is not.
        let room = (last - first) / 4.0;
        (answer.low, answer.high) = (answer.forward(first - room), answer.forward(last + room));
        answer
    }

    /// Into the unit of the regression.
    pub fn forward(&self, value: f32) -> f32 {
        let z = (value - self.center) / self.scale;
        if self.asinh { z.asinh() } else { z }
    }

    /// Back into the unit of the target.
    pub fn back(&self, value: f32) -> f32 {
        let z = value.clamp(self.low, self.high);
        self.center + self.scale * if self.asinh { z.sinh() } else { z }
    }

    /// Whether it can be applied; false only for a decoded artifact that was not made here.
    pub fn is_sound(&self) -> bool {
        let numbers = [self.center, self.scale, self.low, self.high];
        numbers.iter().all(|n| n.is_finite()) && self.low <= self.high
    }
}

/// Fourth moment over the squared variance: 3 for a normal, far more for prices.
pub(super) fn kurtosis(values: &[f32]) -> f64 {
    let n = values.len().max(1) as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let moment = |k: i32| values.iter().map(|&v| (f64::from(v) - mean).powi(k)).sum::<f64>() / n;
    let variance = moment(2);
    if variance > 0.0 { moment(4) / (variance * variance) } else { 3.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn columns_are_standardised_and_wild_inputs_held() {
        let data = synthetic::training(Shape { days: 100, ..Shape::default() });
        let rows: Vec<usize> = (0..data.target.len()).collect();
        let columns = columns(&data.features, &rows, false);
        assert_eq!(
            columns.len(),
            data.features.columns() + 1,
            "one indicator: a tenth of lag_day_2 is missing"
        );
        let design = design(&data.features, &rows, &columns);
        for (values, column) in design.chunks_exact(rows.len()).zip(&columns) {
            let mean = values.iter().sum::<f32>() / rows.len() as f32;
            let variance = values.iter().map(|v| v * v).sum::<f32>() / rows.len() as f32;
            assert!(mean.abs() < 1e-3 && (variance - 1.0).abs() < 1e-2, "{mean} {variance}");
            for wild in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e30, -1e30] {
                assert!(column.apply(wild).abs() < 20.0);
            }
        }
    }

    #[test]
    fn constant_and_empty_columns_are_left_out() {
        let mut data = synthetic::training(Shape { days: 40, ..Shape::default() });
        let width = data.features.columns();
        data.features.values.chunks_exact_mut(width).for_each(|row| {
            row[0] = 4.0;
            row[1] = f32::NAN;
        });
        let rows: Vec<usize> = (0..data.target.len()).collect();
        let columns = columns(&data.features, &rows, true);
        assert!(columns.iter().all(|column| column.source > 1));
    }

    #[test]
    fn the_target_comes_back() {
        for asinh in [false, true] {
            let target = Target::new(&[1.0, 2.0, 3.0, 400.0, -50.0], asinh);
            for value in [1.0_f32, 3.0, 400.0, -50.0] {
                assert!((target.back(target.forward(value)) - value).abs() < 1e-3 * value.abs());
            }
            assert!(target.back(1e9).is_finite() && target.back(-1e9).is_finite());
        }
        assert!(Target::new(&[2.0; 9], true).back(0.0) == 2.0);
    }
}
