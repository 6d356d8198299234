//! Second moments of scaled inputs and targets over a window of days that moves on day by day.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis};

use crate::wide::wide;

/// Sums of products, not centered, so that a day can be added or taken away.
#[derive(Debug, Clone, PartialEq)]
pub struct Moments {
    /// Rows summed.
    count: f64,
    /// `inputs x inputs`, row-major.
    gram: Vec<f64>,
    sums: Vec<f64>,
    /// `outputs x inputs`, row-major.
    cross: Vec<f64>,
    totals: Vec<f64>,
    squares: Vec<f64>,
}

/// What a regression needs: covariances about the means.
#[derive(Debug, Clone, PartialEq)]
pub struct Covariances {
    /// Rows they come from.
    pub count: f64,
    /// `inputs x inputs`, row-major.
    pub gram: Vec<f64>,
    /// Means of the inputs.
    pub means: Vec<f64>,
    /// `outputs x inputs`, row-major.
    pub cross: Vec<f64>,
    /// Means of the outputs.
    pub levels: Vec<f64>,
    /// Variances of the outputs.
    pub variances: Vec<f64>,
}

impl Moments {
    /// Of `rows x inputs` and `rows x outputs` values.
    #[must_use]
    pub fn new(inputs: ArrayView2<'_, f64>, outputs: ArrayView2<'_, f64>) -> Self {
        // A matrix product may answer in either order; `iter` goes through it by rows.
        let list = |product: Array2<f64>| product.iter().copied().collect::<Vec<f64>>();
        Self {
            count: inputs.nrows() as f64,
            gram: list(inputs.t().dot(&inputs)),
            sums: inputs.sum_axis(Axis(0)).to_vec(),
            cross: list(outputs.t().dot(&inputs)),
            totals: outputs.sum_axis(Axis(0)).to_vec(),
            squares: outputs.map_axis(Axis(0), |column| column.iter().map(|v| v * v).sum()).to_vec(),
        }
    }

    /// Adds a row (`sign` 1) or takes one away that was added before (`sign` -1).
    pub fn add(&mut self, inputs: &[f64], outputs: &[f64], sign: f64) {
        self.count += sign;
        let n = inputs.len();
        for (row, &x) in self.gram.chunks_exact_mut(n.max(1)).zip(inputs) {
            if x != 0.0 {
                accumulate(row, inputs, sign * x);
            }
        }
        accumulate(&mut self.sums, inputs, sign);
        for (row, &y) in self.cross.chunks_exact_mut(n.max(1)).zip(outputs) {
            accumulate(row, inputs, sign * y);
        }
        accumulate(&mut self.totals, outputs, sign);
        self.squares.iter_mut().zip(outputs).for_each(|(s, y)| *s += sign * y * y);
    }

    /// The covariances.
    #[must_use]
    pub fn covariances(&self) -> Covariances {
        let (n, count) = (self.sums.len(), self.count.max(1.0));
        let means: Vec<f64> = self.sums.iter().map(|s| s / count).collect();
        let levels: Vec<f64> = self.totals.iter().map(|s| s / count).collect();
        let about = |sums: &[f64], left: &[f64]| -> Vec<f64> {
            let mut out: Vec<f64> = sums.iter().map(|s| s / count).collect();
            let rows = out.chunks_exact_mut(n.max(1)).zip(left);
            rows.for_each(|(row, &mean)| accumulate(row, &means, -mean));
            out
        };
        let variance = |(square, level): (&f64, &f64)| (square / count - level * level).max(0.0);
        Covariances {
            count,
            gram: about(&self.gram, &means),
            cross: about(&self.cross, &levels),
            variances: self.squares.iter().zip(&levels).map(variance).collect(),
            means,
            levels,
        }
    }
}

/// The scale of a window follows its days after this share of its length; until then it hardly changes.
const RENEWALS: usize = 56;

/// The days learned from, in the scale of the day at which it was renewed.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// The days summed.
    pub days: Range<usize>,
    /// The end of the days whose scale it has.
    pub renewed: usize,
    /// Their sums.
    pub moments: Moments,
}

impl Window {
    /// Whether it can move on to `days` one by one, in the scale it has; `length` is the window's in days.
    #[must_use]
    pub fn goes_on(&self, days: &Range<usize>, length: usize) -> bool {
        days.end < self.renewed + (length / RENEWALS).max(1)
            && self.days.start <= days.start
            && self.days.end <= days.end
            && days.start <= self.days.end
    }
}

wide! {
    fn accumulate(sums: &mut [f64], values: &[f64], factor: f64) {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use ndarray::s;

    #[test]
    fn a_window_that_moved_equals_one_made_anew() {
        let mut random = Random::new(8, 0);
        let x = Array2::from_shape_simple_fn((50, 6), || random.normal() + 2.0);
        let y = Array2::from_shape_simple_fn((50, 2), || random.normal() - 1.0);
        let mut moved = Moments::new(x.slice(s![0..30, ..]), y.slice(s![0..30, ..]));
        for day in 0..20 {
            moved.add(&x.row(30 + day).to_vec(), &y.row(30 + day).to_vec(), 1.0);
            moved.add(&x.row(day).to_vec(), &y.row(day).to_vec(), -1.0);
        }
        let anew = Moments::new(x.slice(s![20..50, ..]), y.slice(s![20..50, ..])).covariances();
        let moved = moved.covariances();
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10);
        assert!(near(&moved.gram, &anew.gram) && near(&moved.cross, &anew.cross));
        assert!(near(&moved.means, &anew.means) && near(&moved.variances, &anew.variances));
        let by_hand: f64 = (20..50).map(|r| (x[(r, 1)] - anew.means[1]) * (y[(r, 0)] - anew.levels[0])).sum();
        assert!((anew.cross[1] - by_hand / 30.0).abs() < 1e-10);
    }
}
