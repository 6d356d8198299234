//! A Gaussian process over whole days: alike days have alike sequels.
//!
//! The kernel is a constant, a linear part and a radial part over inputs weighted by what they say; all outputs
//! share it, so one Cholesky factor serves the whole day. A new day adds a row to the factor (Rasmussen and
//! Williams, "Gaussian Processes for Machine Learning", 2006, algorithm 2.1 and appendix A.3).

use forewatt_domain::Transform;
use ndarray::{Array2, ArrayView1, s};
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Role};
use super::reader::scaled_targets;
use super::scale::Scaler;
use crate::wide::wide;

/// Days learned from when the factor is built anew.
const WINDOW: usize = 1456;
/// After so many days it is.
const RENEWAL_DAYS: usize = 91;
/// The constant part of the kernel.
const CONSTANT: f32 = 0.3;
/// The radial part's length, in the unit of the weighted inputs.
const LENGTH: f32 = 1.5;

/// Weights of the kernel's parts and of the noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GpSpec {
    /// Of the linear part.
    pub linear: f32,
    /// Of the radial part.
    pub radial: f32,
    /// Variance of the noise, in scaled units.
    pub noise: f32,
}

/// The Gaussian processes of the mixture.
pub const SPECS: [GpSpec; 3] = [
    GpSpec { linear: 1.0, radial: 2.0, noise: 0.05 },
    GpSpec { linear: 0.5, radial: 2.0, noise: 0.1 },
    GpSpec { linear: 1.0, radial: 8.0, noise: 0.2 },
];

/// A process, as last learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gp {
    spec: GpSpec,
    /// One weight per input; they sum to one.
    weights: Vec<f32>,
    inputs: Scaler,
    outputs: Scaler,
    /// `days x inputs`, scaled and weighted.
    days: Array2<f32>,
    /// `days x outputs`: the kernel matrix's inverse times the targets.
    alpha: Array2<f32>,
    #[serde(skip)]
    factor: Option<Factor>,
}

/// The Cholesky factor and what it makes of the targets, which grow day by day.
#[derive(Debug, Clone, PartialEq)]
struct Factor {
    /// Lower triangle row by row.
    rows: Vec<Vec<f64>>,
    /// `L^-1 y`, one row per day.
    solved: Vec<Vec<f64>>,
    /// Scaled and weighted inputs, one row per day.
    days: Vec<Vec<f32>>,
    /// The day after the last one learned.
    end: usize,
    /// Days learned when it was built.
    begun: usize,
}

impl Gp {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new(spec: GpSpec, roles: &[Role]) -> Self {
        let none = Scaler::new(Array2::zeros((0, 0)).view(), Transform::Asinh);
        let empty = Array2::zeros((0, 0));
        Self {
            spec,
            weights: weights(roles),
            inputs: none.clone(),
            outputs: none,
            days: empty.clone(),
            alpha: empty,
            factor: None,
        }
    }

    /// Learns the days up to `end`: one row each where it can go on, from scratch now and then.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        let go_on = self.factor.as_ref().is_some_and(|f| end < f.begun + RENEWAL_DAYS && end >= f.end);
        if !go_on {
            let rows = frame.span(end, WINDOW);
            self.inputs = Scaler::new(frame.common().slice(s![rows.clone(), ..]), Transform::Asinh);
            self.outputs = Scaler::new(frame.targets.slice(s![rows.clone(), ..]), Transform::Asinh);
            self.factor = Some(Factor {
                rows: Vec::with_capacity(rows.len() + RENEWAL_DAYS),
                solved: Vec::with_capacity(rows.len() + RENEWAL_DAYS),
                days: Vec::with_capacity(rows.len() + RENEWAL_DAYS),
                end: rows.start,
                begun: end,
            });
        }
        let from = self.factor.as_ref().map_or(end, |f| f.end);
        let targets = scaled_targets(&self.outputs, frame.targets.slice(s![from..end, ..]));
        let days: Vec<Vec<f32>> =
            (from..end).map(|d| self.weighted(frame.inputs.row(d).as_slice().unwrap_or(&[]))).collect();
        let Some(mut factor) = self.factor.take() else { return };
        for (day, target) in days.into_iter().zip(targets.rows()) {
            factor.add(self.spec, day, target);
        }
        factor.end = end;
        self.factor = Some(factor);
    }

    /// Turns the factor into what a forecast needs without it.
    pub fn settle(&mut self) {
        let Some(factor) = self.factor.take() else { return };
        let (n, outputs) = (factor.rows.len(), self.outputs.columns());
        let mut alpha: Vec<Vec<f64>> = factor.solved.clone();
        for i in (0..n).rev() {
            let own = factor.rows[i][i];
            alpha[i].iter_mut().for_each(|v| *v /= own);
            let (before, rest) = alpha.split_at_mut(i);
            for (j, earlier) in before.iter_mut().enumerate() {
                let l = factor.rows[i][j];
                earlier.iter_mut().zip(&rest[0]).for_each(|(a, b)| *a -= l * b);
            }
        }
        self.alpha = Array2::from_shape_fn((n, outputs), |(i, c)| alpha[i][c] as f32);
        let inputs = self.weights.len();
        self.days = Array2::from_shape_fn((n, inputs), |(i, c)| factor.days[i][c]);
    }

    /// The answer from raw inputs, one value per output.
    #[must_use]
    pub fn predict(&self, inputs: &[f32]) -> Vec<f32> {
        let day = self.weighted(inputs);
        let outputs = self.outputs.columns();
        let mut scaled = vec![0.0_f64; outputs];
        let mut add = |k: f64, row: &mut dyn Iterator<Item = f64>| {
            scaled.iter_mut().zip(row).for_each(|(s, v)| *s += k * v);
        };
        if let Some(factor) = &self.factor {
            let kernel: Vec<f64> = factor.days.iter().map(|d| kernel(self.spec, d, &day)).collect();
            let solved = factor.solve(kernel);
            for (k, row) in solved.iter().zip(&factor.solved) {
                add(*k, &mut row.iter().copied());
            }
        } else {
            for (other, row) in self.days.rows().into_iter().zip(self.alpha.rows()) {
                let k = kernel(self.spec, other.as_slice().unwrap_or(&[]), &day);
                add(k, &mut row.iter().map(|&v| f64::from(v)));
            }
        }
        scaled.iter().enumerate().map(|(c, &v)| self.outputs.inverse(c, v as f32)).collect()
    }

    /// Scaled inputs times the roots of their weights, so that inner products and distances are weighted.
    fn weighted(&self, inputs: &[f32]) -> Vec<f32> {
        let scaled = self.inputs.forward_row(&inputs[..self.inputs.columns()]);
        scaled.iter().zip(&self.weights).map(|(x, w)| x * w.sqrt()).collect()
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        self.weights.len() == inputs
            && self.inputs.is_sound(inputs)
            && self.outputs.is_sound(outputs)
            && self.days.ncols() == inputs
            && self.alpha.dim() == (self.days.nrows(), outputs)
            && self.days.iter().chain(&self.alpha).chain(&self.weights).all(|v| v.is_finite())
            && self.weights.iter().all(|&w| w >= 0.0)
    }
}

impl Factor {
    /// Adds a day: one row of the factor, one of the solution.
    fn add(&mut self, spec: GpSpec, day: Vec<f32>, target: ArrayView1<'_, f32>) {
        let kernel_row: Vec<f64> = self.days.iter().map(|d| kernel(spec, d, &day)).collect();
        let own = kernel(spec, &day, &day) + f64::from(spec.noise);
        let mut row = self.solve(kernel_row);
        let rest = own - row.iter().map(|v| v * v).sum::<f64>();
        // The noise keeps the rest above zero but for rounding.
        let last = rest.max(1e-3 * f64::from(spec.noise)).sqrt();
        let mut solved: Vec<f64> = target.iter().map(|&v| f64::from(v)).collect();
        for (l, earlier) in row.iter().zip(&self.solved) {
            solved.iter_mut().zip(earlier).for_each(|(s, e)| *s -= l * e);
        }
        solved.iter_mut().for_each(|s| *s /= last);
        row.push(last);
        self.rows.push(row);
        self.solved.push(solved);
        self.days.push(day);
    }

    /// `L^-1 b`.
    fn solve(&self, mut b: Vec<f64>) -> Vec<f64> {
        for i in 0..b.len() {
            let row = &self.rows[i];
            let sum = dot(&row[..i], &b[..i]);
            b[i] = (b[i] - sum) / row[i];
        }
        b
    }
}

wide! {
    fn kernel(spec: GpSpec, a: &[f32], b: &[f32]) -> f64 {
        let (mut product, mut distance) = ([0.0_f32; 16], [0.0_f32; 16]);
        let mut add = |a: &[f32], b: &[f32]| {
            for (lane, (x, y)) in a.iter().zip(b).enumerate() {
                product[lane] += x * y;
                distance[lane] += (x - y) * (x - y);
            }
        };
        let (left, right) = (a.chunks_exact(16), b.chunks_exact(16));
        add(left.remainder(), right.remainder());
        left.zip(right).for_each(|(a, b)| add(a, b));
        let (product, distance): (f32, f32) = (product.iter().sum(), distance.iter().sum());
        let radial = (-distance / (2.0 * LENGTH * LENGTH)).exp();
        f64::from(CONSTANT + spec.linear * product + spec.radial * radial)
    }
}

wide! {
    fn dot(a: &[f64], b: &[f64]) -> f64 {
        let mut sums = [0.0; 16];
        let (left, right) = (a.chunks_exact(16), b.chunks_exact(16));
        let rest: f64 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
        for (x, y) in left.zip(right) {
            for lane in 0..16 {
                sums[lane] += x[lane] * y[lane];
            }
        }
        rest + sums.iter().sum::<f64>()
    }
}

/// How much the kinds of inputs count, in all one: yesterday and the covariates of the day most.
fn weights(roles: &[Role]) -> Vec<f32> {
    const WEEKDAY_SHARE: f32 = 0.04;
    const SEASON_SHARE: f32 = 0.02;
    let raw = |role: &Role| match role {
        Role::Past(1) | Role::Ahead(0) => 1.0,
        Role::Past(7) | Role::Like => 0.3,
        Role::Past(_) => 0.25,
        Role::Ahead(1) => 0.5,
        Role::Ahead(_) => 0.15,
        Role::Weekday | Role::Season | Role::Extra | Role::Candidate => 0.0,
    };
    let count = |role: Role| roles.iter().filter(|r| **r == role).count().max(1) as f32;
    let total: f32 = roles.iter().map(raw).sum::<f32>().max(f32::MIN_POSITIVE);
    let share = 1.0 - WEEKDAY_SHARE - SEASON_SHARE;
    let weight = |role: &Role| match role {
        Role::Weekday => WEEKDAY_SHARE / count(*role),
        Role::Season => SEASON_SHARE / count(*role),
        other => share * raw(other) / total,
    };
    roles.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn answers_equal_a_dense_solve() {
        let roles = [Role::Past(1), Role::Past(1), Role::Ahead(0), Role::Weekday];
        let mut random = Random::new(9, 0);
        let n = 40;
        let inputs = Array2::from_shape_simple_fn((n, 4), || random.normal() as f32);
        let targets = Array2::from_shape_fn((n, 2), |(i, c)| inputs[(i, c)] * 2.0 + inputs[(i, 2)].sin());
        let origins = (0..n as i64).map(|d| forewatt_domain::Time::from_seconds(d * 86_400)).collect();
        let features =
            crate::matrix::FeatureMatrix { names: vec![], keys: vec![], values: vec![], windows: None };
        let data = crate::matrix::TrainingSet { features, target: vec![], past: None, courses: None };
        let frame = DayFrame {
            data,
            rows: vec![],
            output_of: vec![],
            window: usize::MAX,
            origins,
            inputs,
            candidates: 0,
            targets,
        };
        let mut gp = Gp::new(SPECS[0], &roles);
        gp.learn(&frame, 25);
        gp.learn(&frame, n); // the last days are added one by one
        let asked = [0.3_f32, -0.7, 1.1, 0.4];
        let grown = gp.predict(&asked);
        gp.settle();
        let settled = gp.predict(&asked);
        let dense = dense(&gp, &frame, &asked);
        for c in 0..2 {
            assert!((grown[c] - dense[c]).abs() < 1e-4, "{grown:?} {dense:?}");
            assert!((settled[c] - dense[c]).abs() < 1e-3, "{settled:?} {dense:?}");
        }
    }

    /// By Gaussian elimination on the whole kernel matrix, with the scalers that were learned from the first 25 days.
    fn dense(gp: &Gp, frame: &DayFrame, asked: &[f32]) -> Vec<f32> {
        let n = frame.days();
        let row = |d: usize| gp.weighted(frame.inputs.row(d).as_slice().unwrap());
        let mut a: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                let noise = |j: usize| if i == j { f64::from(gp.spec.noise) } else { 0.0 };
                (0..n).map(|j| kernel(gp.spec, &row(i), &row(j)) + noise(j)).collect()
            })
            .collect();
        let y = scaled_targets(&gp.outputs, frame.targets.view());
        for i in 0..n {
            a[i].extend([f64::from(y[(i, 0)]), f64::from(y[(i, 1)])]);
        }
        for i in 0..n {
            let pivot = a[i].clone();
            for (k, row) in a.iter_mut().enumerate().filter(|(k, _)| *k != i) {
                let factor = row[i] / pivot[i];
                assert!(k < n);
                row.iter_mut().zip(&pivot).for_each(|(v, p)| *v -= factor * p);
            }
        }
        let k: Vec<f64> = (0..n).map(|i| kernel(gp.spec, &row(i), &gp.weighted(asked))).collect();
        let answer = |c: usize| (0..n).map(|i| k[i] * a[i][n + c] / a[i][i]).sum::<f64>();
        (0..2).map(|c| gp.outputs.inverse(c, answer(c) as f32)).collect()
    }
}
