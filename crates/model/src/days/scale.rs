//! Scaling by median and median absolute deviation, with tails compressed by the inverse hyperbolic sine or otherwise.
//!
//! Uniejewski, Weron and Ziel, "Variance stabilizing transformations for electricity spot price forecasting", IEEE
//! Transactions on Power Systems 33 (2018) 2219-2229.

mod power;
mod ranks;

use forewatt_domain::Transform;
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use power::Power;
use ranks::Ranks;

/// The median absolute deviation of a standard normal variable.
const NORMAL_MAD: f32 = 0.6745;
/// How far beyond the range seen an answer may lie, in scaled units: an extrapolation must not explode through the
/// hyperbolic sine.
const BEYOND: f32 = 1.0;
/// Without compression inputs are held inside so many spreads.
const LINEAR_MAX: f32 = 12.0;
/// How strongly the mirrored logarithm compresses; a third in the paper.
const MIRROR: f32 = 1.0 / 3.0;

/// How values are bent after they were put about their median in units of their spread. Every curve rises strictly
/// (the straight one within its limits), so that its inverse is exact.
///
/// The first two stand where a truth value stood in stored models, so they must stay the first two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Curve {
    /// Not at all.
    None,
    /// The inverse hyperbolic sine.
    Asinh,
    /// `sign(z) ln(1 + c |z|)`: the logarithm on either side of the median.
    MirrorLog,
    /// A power by column.
    BoxCox(Vec<Power>),
    /// Normal quantiles of the ranks, by column.
    Probit(Vec<Ranks>),
}

impl Curve {
    /// One that has seen no column yet.
    fn new(transform: Transform) -> Self {
        match transform {
            Transform::None => Self::None,
            Transform::Asinh => Self::Asinh,
            Transform::MirrorLog => Self::MirrorLog,
            Transform::BoxCox => Self::BoxCox(Vec::new()),
            Transform::Probit => Self::Probit(Vec::new()),
        }
    }

    /// Learns one more column from its known values about their median, which change places, and where zero lies.
    fn learn(&mut self, known: &mut [f32], zero: f32) {
        match self {
            Self::None | Self::Asinh | Self::MirrorLog => {}
            Self::BoxCox(powers) => powers.push(Power::learn(known, zero)),
            Self::Probit(ranks) => ranks.push(Ranks::learn(known)),
        }
    }

    fn forward(&self, column: usize, z: f32) -> f32 {
        match self {
            Self::None => z.clamp(-LINEAR_MAX, LINEAR_MAX),
            Self::Asinh => z.asinh(),
            Self::MirrorLog => (MIRROR * z.abs()).ln_1p().copysign(z),
            Self::BoxCox(powers) => powers[column].forward(z),
            Self::Probit(ranks) => ranks[column].forward(z),
        }
    }

    fn inverse(&self, column: usize, y: f32) -> f32 {
        match self {
            Self::None => y,
            Self::Asinh => y.sinh(),
            Self::MirrorLog => (y.abs().exp_m1() / MIRROR).copysign(y),
            Self::BoxCox(powers) => powers[column].inverse(y),
            Self::Probit(ranks) => ranks[column].inverse(y),
        }
    }

    fn is_sound(&self, columns: usize) -> bool {
        match self {
            Self::None | Self::Asinh | Self::MirrorLog => true,
            Self::BoxCox(powers) => powers.len() == columns && powers.iter().all(Power::is_sound),
            Self::Probit(ranks) => ranks.len() == columns && ranks.iter().all(Ranks::is_sound),
        }
    }
}

/// One transformation per column; missing values become 0, the median.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    curve: Curve,
    center: Vec<f32>,
    spread: Vec<f32>,
    /// The range of the scaled values seen.
    low: Vec<f32>,
    high: Vec<f32>,
}

impl Scaler {
    /// Learns from `rows x columns` values.
    #[must_use]
    pub fn new(values: ArrayView2<'_, f32>, transform: Transform) -> Self {
        let columns = values.ncols();
        let mut scaler = Self {
            curve: Curve::new(transform),
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
            known.iter_mut().for_each(|v| *v = (*v - center) / spread);
            scaler.curve.learn(&mut known, -center / spread);
            let at_end = |end: f32| scaler.curve.forward(scaler.low.len(), (end - center) / spread);
            let (low, high) = (at_end(least), at_end(most));
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

    /// The scaled value of a column; 0 for a missing one.
    #[must_use]
    pub fn forward(&self, column: usize, value: f32) -> f32 {
        if !value.is_finite() {
            return 0.0;
        }
        self.curve.forward(column, (value - self.center[column]) / self.spread[column])
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
        self.curve.inverse(column, held) * self.spread[column] + self.center[column]
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
            && self.curve.is_sound(columns)
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
        let scaler = Scaler::new(values.view(), Transform::None);
        assert!((scaler.forward(0, 3.0)).abs() < 1e-6);
        assert!((scaler.forward(0, 4.0) - NORMAL_MAD).abs() < 1e-6, "the deviation's median is 1");
        assert_eq!(scaler.forward(0, f32::NAN), 0.0);
        assert!(scaler.forward_known(0, f32::NAN).is_nan());
        assert!(scaler.is_sound(1) && !scaler.is_sound(2));
    }

    #[test]
    fn constant_and_unknown_columns_stay_finite() {
        let values = array![[7.0_f32, f32::NAN], [7.0, f32::NAN]];
        let scaler = Scaler::new(values.view(), Transform::Asinh);
        assert_eq!(scaler.forward(0, 7.0), 0.0);
        assert_eq!(scaler.inverse(0, 0.0), 7.0);
        assert!(scaler.inverse(1, 50.0).is_finite());
    }

    #[test]
    fn the_mirrored_logarithm_is_that_of_the_paper() {
        // sign(z) (ln(|z| + 1/c) + ln c) with c = 1/3.
        let by_hand = |z: f32| ((z.abs() + 3.0).ln() + (1.0_f32 / 3.0).ln()).copysign(z);
        for z in [-40.0_f32, -1.0, 0.3, 7.0] {
            assert!((Curve::MirrorLog.forward(0, z) - by_hand(z)).abs() < 1e-5, "{z}");
        }
        assert_eq!(Curve::MirrorLog.forward(0, 0.0), 0.0);
    }

    #[test]
    fn two_curves_are_stored_as_the_truth_value_they_replaced() {
        let bytes = |curve: &Curve| postcard::to_allocvec(curve).unwrap();
        assert_eq!(bytes(&Curve::None), postcard::to_allocvec(&false).unwrap());
        assert_eq!(bytes(&Curve::Asinh), postcard::to_allocvec(&true).unwrap());
    }

    #[test]
    fn a_curve_of_too_few_columns_is_not_sound() {
        let values = array![[1.0_f32, 4.0], [2.0, 9.0], [3.0, 11.0]];
        for transform in [Transform::BoxCox, Transform::Probit] {
            let scaler = Scaler::new(values.view(), transform);
            let cut = Scaler { curve: Curve::new(transform), ..scaler.clone() };
            assert!(scaler.is_sound(2) && !cut.is_sound(2), "{transform}");
        }
    }

    fn any_transform() -> impl Strategy<Value = Transform> {
        prop::sample::select(Transform::ALL)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn the_inverse_is_exact_within_the_range_seen(
            values in prop::collection::vec(-500.0_f32..3000.0, 12),
            lift in prop::sample::select(vec![0.0_f32, 600.0, 20_000.0]),
            transform in any_transform(),
        ) {
            let values: Vec<f32> = values.iter().map(|v| v + lift).collect();
            let table = Array2::from_shape_vec((12, 1), values.clone()).unwrap();
            let scaler = Scaler::new(table.view(), transform);
            for value in values {
                let z = scaler.forward(0, value);
                if transform != Transform::None || z.abs() < LINEAR_MAX {
                    let back = scaler.inverse(0, z);
                    prop_assert!((back - value).abs() <= 1e-3 * (1.0 + value.abs()), "{transform}: {back} for {value}");
                }
            }
        }

        #[test]
        fn every_transform_rises(
            values in prop::collection::vec(-50.0_f32..300.0, 40),
            lift in prop::sample::select(vec![0.0_f32, 60.0]),
            transform in any_transform(),
            a in -400.0_f32..900.0,
            step in 0.5_f32..50.0,
        ) {
            let values: Vec<f32> = values.iter().map(|v| v + lift).collect();
            let scaler = Scaler::new(Array2::from_shape_vec((40, 1), values).unwrap().view(), transform);
            let (low, high) = (scaler.forward(0, a), scaler.forward(0, a + step));
            // Only the straight line stops, at its limits.
            let stops = transform == Transform::None && low.abs() >= LINEAR_MAX - 1e-3;
            prop_assert!(low < high || (stops && low <= high), "{transform}: {low} then {high}");
            prop_assert!(low.is_finite() && high.is_finite());
        }
    }
}
