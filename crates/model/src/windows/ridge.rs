//! Ridge regressions: of all windows by least squares and by least absolute errors, and of one series' own.

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{Course, Shape, mean};
use crate::hierarchy::{cholesky, solve};

/// Rows summed in single precision before they are added up in double; the blocks' order is fixed.
const BLOCK: usize = 2048;
/// Rounds of reweighting, and the smallest error in units that a weight divides by.
const ROUNDS: usize = 3;
const ERROR_MIN: f32 = 0.1;
/// The penalty of the common regressions, and of a series' own, as a share of the rows' weight.
const PENALTY: f64 = 1e-1;
const OWN_PENALTY: f64 = 1e-2;
/// Days a series' own regression reads.
const OWN_DAYS: usize = 7;

/// Coefficients, inputs x outputs, of `y` on `x` with a weight for every row.
///
/// A penalty keeps the system positive definite; all zero should numbers be beyond double precision.
fn fit(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>, weights: &[f32], penalty: f64) -> Array2<f32> {
    let (inputs, outputs) = (x.ncols(), y.ncols());
    let blocks: Vec<(Array2<f32>, Array2<f32>)> = (0..x.nrows().div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let rows = block * BLOCK..((block + 1) * BLOCK).min(x.nrows());
            let x = x.slice(s![rows.clone(), ..]);
            let mut weighted = x.to_owned();
            for (mut row, weight) in weighted.rows_mut().into_iter().zip(&weights[rows.clone()]) {
                row *= *weight;
            }
            (weighted.t().dot(&x), weighted.t().dot(&y.slice(s![rows, ..])))
        })
        .collect();
    let mut gram = vec![0.0_f64; inputs * inputs];
    let mut moments = vec![0.0_f64; inputs * outputs];
    for (block_gram, block_moments) in &blocks {
        gram.iter_mut().zip(block_gram).for_each(|(sum, v)| *sum += f64::from(*v));
        moments.iter_mut().zip(block_moments).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    let weight: f64 = weights.iter().map(|&w| f64::from(w)).sum();
    (0..inputs).for_each(|i| gram[i * inputs + i] += penalty * weight);
    let Some(factor) = cholesky(&gram, inputs, 0.0) else { return Array2::zeros((inputs, outputs)) };
    let columns: Vec<Vec<f64>> = (0..outputs)
        .into_par_iter()
        .map(|output| {
            let mut b: Vec<f64> = (0..inputs).map(|i| moments[i * outputs + output]).collect();
            solve(&factor, inputs, &mut b);
            b
        })
        .collect();
    Array2::from_shape_fn((inputs, outputs), |(i, output)| columns[output][i] as f32)
}

/// Least squares in the series' unit: a window of large moves counts by the square of its unit.
pub fn squares(x: &Array2<f32>, y: &Array2<f32>, units: &[f32]) -> Array2<f32> {
    let usual = mean(units.iter().copied()).max(f32::MIN_POSITIVE);
    let weights: Vec<f32> = units.iter().map(|unit| (unit / usual).powi(2)).collect();
    fit(x.view(), y.view(), &weights, PENALTY)
}

/// Least absolute errors in units, by iteratively reweighted least squares (Schlossmacher 1973): every window counts
/// by the inverse of its mean absolute error.
pub fn median(x: &Array2<f32>, y: &Array2<f32>) -> Array2<f32> {
    let mut weights = vec![1.0; x.nrows()];
    let mut coefficients = fit(x.view(), y.view(), &weights, PENALTY);
    for _ in 0..ROUNDS {
        let errors = (x.dot(&coefficients) - y).mapv_into(f32::abs).mean_axis(Axis(1));
        let Some(errors) = errors else { break };
        weights.iter_mut().zip(&errors).for_each(|(weight, error)| *weight = 1.0 / error.max(ERROR_MIN));
        coefficients = fit(x.view(), y.view(), &weights, PENALTY);
    }
    coefficients
}

/// A series' own regression, from its last week to the steps ahead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Own {
    center: f32,
    scale: f32,
    /// Steps of a week and one more x horizon; no rows when there was nothing to learn from.
    coefficients: Array2<f32>,
}

impl Own {
    /// Learns from the windows of a course that end before `end`, as many as teach.
    #[must_use]
    pub fn learn(course: &Course, end: usize, shape: Shape) -> Self {
        let origins = course.origins((0, end), 1, shape);
        let Some((&first, &last)) = origins.first().zip(origins.last()) else {
            return Self { center: 0.0, scale: 1.0, coefficients: Array2::zeros((0, shape.horizon)) };
        };
        let reach = first - shape.length()..last + shape.horizon;
        let values = || course.slice(reach.clone()).iter();
        let center = mean(values().copied());
        let scale = mean(values().map(|v| (v - center).abs())).max(f32::MIN_POSITIVE);
        let mut own = Self { center, scale, coefficients: Array2::zeros((0, shape.horizon)) };
        let mut x = Array2::zeros((origins.len(), OWN_DAYS * shape.season + 1));
        let mut y = Array2::zeros((origins.len(), shape.horizon));
        for (row, &origin) in origins.iter().enumerate() {
            let inputs = own.inputs(course.window(origin, shape), shape);
            x.row_mut(row).iter_mut().zip(inputs).for_each(|(cell, value)| *cell = value);
            let ahead = course.ahead(origin, shape).iter();
            y.row_mut(row).iter_mut().zip(ahead).for_each(|(cell, value)| *cell = (value - center) / scale);
        }
        own.coefficients = fit(x.view(), y.view(), &vec![1.0; origins.len()], OWN_PENALTY);
        own
    }

    fn inputs(&self, window: &[f32], shape: Shape) -> Vec<f32> {
        let week = &window[window.len() - OWN_DAYS * shape.season..];
        week.iter().map(|v| (v - self.center) / self.scale).chain([1.0]).collect()
    }

    /// The values of the steps ahead of a window; those of the day before when it learned nothing.
    #[must_use]
    pub fn answer(&self, window: &[f32], shape: Shape) -> Vec<f32> {
        if self.coefficients.nrows() == 0 {
            return (0..shape.horizon).map(|step| shape.base(window, step)).collect();
        }
        let inputs = self.inputs(window, shape);
        let mut answer = vec![0.0; shape.horizon];
        for (input, row) in inputs.iter().zip(self.coefficients.rows()) {
            answer.iter_mut().zip(row).for_each(|(sum, coefficient)| *sum += input * coefficient);
        }
        answer.iter().map(|v| self.center + self.scale * v).collect()
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, shape: Shape) -> bool {
        let rows = self.coefficients.nrows();
        self.center.is_finite()
            && self.scale.is_finite()
            && self.coefficients.ncols() == shape.horizon
            && (rows == 0 || rows == OWN_DAYS * shape.season + 1)
            && self.coefficients.iter().all(|v| v.is_finite())
    }
}
