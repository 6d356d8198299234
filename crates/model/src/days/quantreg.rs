//! Linear quantile regression by an interior point method.
//!
//! Portnoy and Koenker, "The Gaussian hare and the Laplacian tortoise", Statistical Science 12 (1997): the dual linear
//! programme with bounded variables, solved by Mehrotra's predictor and corrector. A dozen steps, each a weighted
//! least-squares problem, whatever the number of rows.

use crate::hierarchy::{cholesky, solve};

/// Steps at most; a dozen is usual.
const STEPS_MAX: usize = 50;
/// It is done when the gap between the bounds is this share of the sum of absolute values.
const GAP: f64 = 1e-9;
/// How far towards the wall a step goes.
const STRIDE: f64 = 0.9995;
/// Share of the diagonal that is added where columns are multiples of one another.
const RIDGE: f64 = 1e-10;

/// Rows to regress on, row-major, and the values.
#[derive(Debug, Clone, Copy)]
pub struct Design<'a> {
    /// `values.len() x columns`.
    pub rows: &'a [f64],
    /// What to explain.
    pub values: &'a [f64],
    /// How many columns.
    pub columns: usize,
}

/// Where the method stands: primal `x` in (0, 1) with slack `s`, dual `y` with slacks `z` and `w`.
struct Point {
    x: Vec<f64>,
    s: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    w: Vec<f64>,
}

/// A direction to go.
struct Step {
    x: Vec<f64>,
    y: Vec<f64>,
    z: Vec<f64>,
    w: Vec<f64>,
}

/// The coefficients with the least pinball loss at `level`, in (0, 1); `None` when there are fewer rows than columns,
/// a number is not finite or the columns say nothing.
#[must_use]
pub fn fit(design: Design<'_>, level: f64) -> Option<Vec<f64>> {
    let finite = design.rows.iter().chain(design.values).all(|v| v.is_finite());
    if design.columns == 0 || design.values.len() < design.columns || !finite {
        return None;
    }
    let mut point = start(design, level)?;
    let size: f64 = design.values.iter().map(|v| v.abs()).sum::<f64>().max(f64::MIN_POSITIVE);
    for _ in 0..STEPS_MAX {
        if gap(&point) <= GAP * size {
            break;
        }
        advance(design, &mut point)?;
    }
    let coefficients: Vec<f64> = point.y.iter().map(|y| -y).collect();
    coefficients.iter().all(|c| c.is_finite()).then_some(coefficients)
}

/// The complementarity gap: how far the two bounds of the loss are apart.
fn gap(point: &Point) -> f64 {
    let pairs = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    pairs(&point.z, &point.x) + pairs(&point.w, &point.s)
}

/// The least-squares fit, with slacks on both sides.
fn start(design: Design<'_>, level: f64) -> Option<Point> {
    let n = design.values.len();
    let ones = vec![1.0; n];
    let gram = design.gram(&ones)?;
    let mut y = design.transposed(design.values);
    y.iter_mut().for_each(|v| *v = -*v);
    solve(&gram, design.columns, &mut y);
    let fitted = design.times(&y);
    let rest: Vec<f64> = design.values.iter().zip(&fitted).map(|(v, f)| -v - f).collect();
    // A slack of exactly zero would stay there.
    let least = 1e-6 * rest.iter().map(|r| r.abs()).sum::<f64>() / n as f64 + f64::MIN_POSITIVE;
    Some(Point {
        x: vec![1.0 - level; n],
        s: vec![level; n],
        y,
        z: rest.iter().map(|r| r.max(0.0) + least).collect(),
        w: rest.iter().map(|r| (-r).max(0.0) + least).collect(),
    })
}

/// One step: where Newton's method wants to go, then the same with what that neglected.
fn advance(design: Design<'_>, point: &mut Point) -> Option<()> {
    let n = design.values.len();
    let weights: Vec<f64> =
        (0..n).map(|i| 1.0 / (point.z[i] / point.x[i] + point.w[i] / point.s[i])).collect();
    let gram = design.gram(&weights)?;
    let slack: Vec<f64> = (0..n).map(|i| point.z[i] - point.w[i]).collect();
    let newton = direction(design, &gram, &weights, &slack, |i, dx| {
        (-point.z[i] * (1.0 + dx / point.x[i]), -point.w[i] * (1.0 - dx / point.s[i]))
    });
    let (primal, dual) = strides(point, &newton);
    let step = if primal.min(dual) < 1.0 {
        let centre = centre(point, &newton, primal, dual);
        let bend = |i: usize| (newton.x[i] * newton.z[i], -newton.x[i] * newton.w[i]);
        let moved: Vec<f64> = (0..n)
            .map(|i| {
                let (xz, sw) = bend(i);
                slack[i] + xz / point.x[i] - sw / point.s[i] - centre * (1.0 / point.x[i] - 1.0 / point.s[i])
            })
            .collect();
        direction(design, &gram, &weights, &moved, |i, dx| {
            let (xz, sw) = bend(i);
            (
                (centre - xz - point.z[i] * dx) / point.x[i] - point.z[i],
                (centre - sw + point.w[i] * dx) / point.s[i] - point.w[i],
            )
        })
    } else {
        newton
    };
    let (primal, dual) = strides(point, &step);
    for i in 0..n {
        point.x[i] += primal * step.x[i];
        point.s[i] -= primal * step.x[i];
        point.z[i] += dual * step.z[i];
        point.w[i] += dual * step.w[i];
    }
    point.y.iter_mut().zip(&step.y).for_each(|(y, dy)| *y += dual * dy);
    Some(())
}

/// Solves for the direction that takes the residual `rest` away, and the slacks' part of it.
fn direction(
    design: Design<'_>,
    gram: &[f64],
    weights: &[f64],
    rest: &[f64],
    slacks: impl Fn(usize, f64) -> (f64, f64),
) -> Step {
    let weighted: Vec<f64> = rest.iter().zip(weights).map(|(r, q)| r * q).collect();
    let mut y = design.transposed(&weighted);
    solve(gram, design.columns, &mut y);
    let fitted = design.times(&y);
    let x: Vec<f64> = (0..rest.len()).map(|i| weights[i] * (fitted[i] - rest[i])).collect();
    let (z, w) = x.iter().enumerate().map(|(i, dx)| slacks(i, *dx)).unzip();
    Step { x, y, z, w }
}

/// How much of a step primal and dual can go without leaving the inside.
fn strides(point: &Point, step: &Step) -> (f64, f64) {
    let room = |values: &[f64], change: &mut dyn Iterator<Item = f64>| {
        let wall = |(v, d): (&f64, f64)| if d < 0.0 { -v / d } else { f64::INFINITY };
        values.iter().zip(change).map(wall).fold(f64::INFINITY, f64::min)
    };
    let forth = room(&point.x, &mut step.x.iter().copied());
    let back = room(&point.s, &mut step.x.iter().map(|d| -d));
    let (above, below) =
        (room(&point.z, &mut step.z.iter().copied()), room(&point.w, &mut step.w.iter().copied()));
    ((STRIDE * forth.min(back)).min(1.0), (STRIDE * above.min(below)).min(1.0))
}

/// The target of the corrector: Mehrotra's cube of how much the predictor would close of the gap.
fn centre(point: &Point, step: &Step, primal: f64, dual: f64) -> f64 {
    let after = |i: usize| {
        (point.z[i] + dual * step.z[i]) * (point.x[i] + primal * step.x[i])
            + (point.w[i] + dual * step.w[i]) * (point.s[i] - primal * step.x[i])
    };
    let (now, then) = (gap(point), (0..point.x.len()).map(after).sum::<f64>());
    now * (then / now).powi(3) / (2.0 * point.x.len() as f64)
}

impl Design<'_> {
    /// The factor of the weighted Gram matrix.
    fn gram(&self, weights: &[f64]) -> Option<Vec<f64>> {
        let k = self.columns;
        let mut gram = vec![0.0; k * k];
        for (row, weight) in self.rows.chunks_exact(k).zip(weights) {
            for i in 0..k {
                let scaled = weight * row[i];
                gram[i * k..=i * k + i].iter_mut().zip(row).for_each(|(g, v)| *g += scaled * v);
            }
        }
        cholesky(&gram, k, RIDGE)
    }

    /// The design times coefficients: one number per row.
    fn times(&self, coefficients: &[f64]) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(coefficients).map(|(v, c)| v * c).sum();
        self.rows.chunks_exact(self.columns).map(dot).collect()
    }

    /// The transposed design times one number per row.
    fn transposed(&self, values: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.columns];
        for (row, value) in self.rows.chunks_exact(self.columns).zip(values) {
            sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += value * v);
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::pinball;
    use crate::random::Random;

    /// A constant and three columns, and values with a skewed error.
    fn sample(rows: usize) -> (Vec<f64>, Vec<f64>) {
        let mut random = Random::new(3, 0);
        let (mut design, mut values) = (Vec::new(), Vec::new());
        for _ in 0..rows {
            let row = [1.0, random.normal(), random.normal(), random.uniform()];
            values.push(2.0 + row[1] - 0.5 * row[2] + row[3] * random.normal().powi(2));
            design.extend(row);
        }
        (design, values)
    }

    /// Karush, Kuhn and Tucker: the slopes of the loss of all rows off the plane must be balanced by slopes between
    /// -level and 1 - level at the rows on it.
    #[test]
    fn the_optimum_fulfils_its_conditions() {
        let (rows, values) = sample(400);
        let design = Design { rows: &rows, values: &values, columns: 4 };
        for level in [0.05, 0.3, 0.5, 0.9] {
            let coefficients = fit(design, level).unwrap();
            let rest: Vec<f64> = values.iter().zip(design.times(&coefficients)).map(|(v, f)| v - f).collect();
            let on: Vec<usize> = (0..400).filter(|&i| rest[i].abs() < 1e-5).collect();
            assert_eq!(on.len(), 4, "a plane through as many rows as there are columns, at level {level}");
            let slopes: Vec<f64> = rest.iter().map(|r| if *r < 0.0 { 1.0 - level } else { -level }).collect();
            let off: Vec<f64> = (0..400).map(|i| if on.contains(&i) { 0.0 } else { slopes[i] }).collect();
            // Solve sum over `on` of d_i row_i = -(sum over `off`), by normal equations of the square system.
            let basis: Vec<f64> = on.iter().flat_map(|&i| rows[i * 4..i * 4 + 4].to_vec()).collect();
            let square = Design { rows: &basis, values: &[], columns: 4 };
            let outer: Vec<f64> = (0..16)
                .map(|ij| (0..4).map(|k| basis[ij / 4 * 4 + k] * basis[ij % 4 * 4 + k]).sum())
                .collect();
            let mut duals = square.times(&design.transposed(&off).iter().map(|v| -v).collect::<Vec<_>>());
            solve(&cholesky(&outer, 4, 0.0).unwrap(), 4, &mut duals);
            let within = |d: &f64| (-level - 1e-6..=1.0 - level + 1e-6).contains(d);
            assert!(duals.iter().all(within), "{duals:?} at level {level}");
        }
    }

    #[test]
    fn no_other_plane_nearby_loses_less() {
        let (rows, values) = sample(150);
        let design = Design { rows: &rows, values: &values, columns: 4 };
        let loss =
            |c: &[f64]| design.times(c).iter().zip(&values).map(|(f, v)| pinball(0.2, *f, *v)).sum::<f64>();
        let best = fit(design, 0.2).unwrap();
        for (column, by) in (0..4).flat_map(|c| [(c, 0.01), (c, -0.01)]) {
            let mut other = best.clone();
            other[column] += by;
            assert!(loss(&other) > loss(&best), "column {column} by {by}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_refused_and_constants_are_not() {
        let (rows, values) = ([1.0, 2.0, 1.0, 2.0, 1.0, 2.0], [3.0, 3.0, 3.0]);
        let twice = fit(Design { rows: &rows, values: &values, columns: 2 }, 0.5);
        assert!(twice.is_none_or(|c| (c[0] + 2.0 * c[1] - 3.0).abs() < 1e-3), "columns alike");
        assert!(fit(Design { rows: &[1.0, f64::NAN], values: &[1.0, 1.0], columns: 1 }, 0.5).is_none());
        assert!(fit(Design { rows: &[1.0, 1.0], values: &[1.0], columns: 2 }, 0.5).is_none());
        let flat = fit(Design { rows: &[1.0; 3], values: &values, columns: 1 }, 0.1).unwrap();
        assert!((flat[0] - 3.0).abs() < 1e-6, "{flat:?}");
    }
}
