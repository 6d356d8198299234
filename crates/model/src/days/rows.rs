//! Models of single rows that take part in the mixture of whole days: trees for all hours, one LASSO per hour on the
//! features of its own row, and values of the past as they are.

use std::ops::Range;

use forewatt_domain::QuantileLevels;
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Question};
use super::lasso;
use super::moments::{Covariances, Moments, Window};
use super::scale::Scaler;
use crate::gbdt::{Booster, Forest, MIN_ROWS, Params};
use crate::matrix::{FeatureMatrix, TrainingSet};
use crate::predict::{Fit, Predict};

/// Days the trees learn from.
const TREE_WINDOW: usize = 1456;
/// After so many days the trees are grown anew.
const TREE_RENEWAL_DAYS: usize = 28;
/// How the trees are grown: without held-out rows, so that they see yesterday; the mixture judges them.
const TREES: usize = 250;

/// A boosted forest for all hours on the scaled target, its middle quantile only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    seed: u64,
    names: Vec<String>,
    /// The column whose value is taken off the target first, if any.
    base: Option<u32>,
    scaler: Scaler,
    forest: Option<Forest>,
    grown_at: usize,
}

impl Trees {
    /// One that has learned nothing yet; with a `base` it learns the difference to that column.
    #[must_use]
    pub fn new(seed: u64, names: &[String], base: Option<&str>) -> Self {
        let base = base.and_then(|base| names.iter().position(|name| name == base));
        Self {
            seed,
            names: names.to_vec(),
            base: base.map(|column| column as u32),
            scaler: Scaler::new(Array2::zeros((0, 1)).view(), true),
            forest: None,
            grown_at: 0,
        }
    }

    /// The column it learns the difference to, if any.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        self.base.map(|column| self.names[column as usize].as_str())
    }

    /// Grows the forest anew when it is old.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        if self.forest.is_some() && end < self.grown_at + TREE_RENEWAL_DAYS {
            return;
        }
        let days = frame.span(end, TREE_WINDOW);
        let (Some(first), Some(last)) = (frame.rows[days.clone()].first(), frame.rows[days].last()) else {
            return;
        };
        let features = &frame.data.features;
        let value = |i: usize| frame.data.target[i] - self.offset(features.row(i));
        let rows: Vec<usize> = (first.start..last.end).filter(|&i| value(i).is_finite()).collect();
        if rows.len() < MIN_ROWS {
            return;
        }
        let raw: Vec<f32> = rows.iter().map(|&i| value(i)).collect();
        let column = Array2::from_shape_fn((raw.len(), 1), |(i, _)| raw[i]);
        let scaler = Scaler::new(column.view(), true);
        let target = raw.iter().map(|&v| scaler.forward(0, v)).collect();
        let data = TrainingSet { features: features.select(&rows), target, past: None, courses: None };
        let params =
            Params { trees: TREES, held_out_share: 0.0, refit: false, seed: self.seed, ..Params::default() };
        if let Ok(forest) = (Booster { params }).fit(&data, &median()) {
            (self.scaler, self.forest, self.grown_at) = (scaler, Some(forest), end);
        }
    }

    fn offset(&self, row: &[f32]) -> f32 {
        self.base.map_or(0.0, |column| row[column as usize])
    }

    /// One value per output; NaN where it cannot tell.
    #[must_use]
    pub fn predict(&self, question: &Question<'_>) -> Vec<f32> {
        let mut answer = vec![f32::NAN; question.outputs];
        let Some(forest) = &self.forest else { return answer };
        let values = question.rows.iter().flat_map(|(_, row)| row.iter().copied()).collect();
        let matrix = FeatureMatrix { names: self.names.clone(), keys: question.keys.to_vec(), values, windows: None };
        if let Ok(predicted) = forest.predict(&matrix) {
            for ((output, row), scaled) in question.rows.iter().zip(&predicted.quantiles) {
                answer[*output] = self.scaler.inverse(0, *scaled) + self.offset(row);
            }
        }
        answer
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, columns: usize) -> bool {
        self.names.len() == columns
            && self.scaler.is_sound(1)
            && self.base.is_none_or(|c| (c as usize) < self.names.len())
    }
}

fn median() -> QuantileLevels {
    QuantileLevels::new(vec![0.5]).unwrap_or_else(|_| QuantileLevels::deciles()) // one half is a level
}

/// Penalties of the local regressions, as in [`super::lear`].
pub const LOCAL_PENALTIES: [f64; 3] = [0.5, 0.125, 0.03125];
const TOLERANCE: f64 = 1e-6;
/// Fewer days than this teach an output nothing.
const LOCAL_DAYS_MIN: usize = 14;

/// One LASSO per output on the features of its own row: fewer inputs than LEAR, but all kinds of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Local {
    window: usize,
    outputs: Vec<Regression>,
}

/// The regressions of one output, one per penalty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Regression {
    inputs: Scaler,
    output: Scaler,
    slopes: Vec<f64>,
    intercepts: Vec<f64>,
    #[serde(skip)]
    window: Option<Window>,
}

impl Local {
    /// One that has learned nothing yet and will learn from so many days.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self { window, outputs: Vec::new() }
    }

    /// Days it learns from.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Learns anew from the last days before `end`, starting from the slopes it has.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        let outputs = frame.targets.ncols();
        let columns = frame.data.features.columns();
        if self.outputs.len() != outputs {
            let none = Scaler::new(Array2::zeros((0, columns)).view(), true);
            let output = Scaler::new(Array2::zeros((0, 1)).view(), true);
            let n = LOCAL_PENALTIES.len();
            let (slopes, intercepts) = (vec![0.0; n * columns], vec![0.0; n]);
            let blank = Regression { inputs: none, output, slopes, intercepts, window: None };
            self.outputs = vec![blank; outputs];
        }
        let days = frame.span(end, self.window);
        let length = self.window;
        self.outputs.par_iter_mut().enumerate().for_each(|(output, regression)| {
            regression.advance(frame, output, days.clone(), length);
            regression.learn();
        });
    }

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        self.outputs.iter_mut().for_each(|regression| regression.window = None);
    }

    /// Every expert's answer, `experts x outputs`; NaN where it cannot tell.
    #[must_use]
    pub fn predict(&self, question: &Question<'_>) -> Array2<f32> {
        let mut answer = Array2::from_elem((LOCAL_PENALTIES.len(), question.outputs), f32::NAN);
        for (output, row) in &question.rows {
            let Some(regression) = self.outputs.get(*output) else { continue };
            let x = regression.inputs.forward_row(row);
            for (p, intercept) in regression.intercepts.iter().enumerate() {
                let slopes = &regression.slopes[p * x.len()..(p + 1) * x.len()];
                let scaled = intercept + slopes.iter().zip(&x).map(|(b, v)| b * f64::from(*v)).sum::<f64>();
                answer[(p, *output)] = regression.output.inverse(0, scaled as f32);
            }
        }
        answer
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, columns: usize, outputs: usize) -> bool {
        let n = LOCAL_PENALTIES.len();
        self.outputs.len() == outputs
            && self.outputs.iter().all(|r| {
                r.inputs.is_sound(columns)
                    && r.output.is_sound(1)
                    && r.slopes.len() == n * columns
                    && r.intercepts.len() == n
                    && r.slopes.iter().chain(&r.intercepts).all(|v| v.is_finite())
            })
    }
}

impl Regression {
    /// Moves the window on, day by day where that will do.
    fn advance(&mut self, frame: &DayFrame, output: usize, days: Range<usize>, length: usize) {
        let data = &frame.data;
        let rows = |days: Range<usize>| -> Vec<usize> {
            let all = frame.rows[days].iter().flat_map(Clone::clone);
            all.filter(|&i| frame.output_of[i] == output && data.target[i].is_finite()).collect()
        };
        let old = self.window.take().filter(|window| window.goes_on(&days, length));
        let Some(Window { days: known, renewed, mut moments }) = old else {
            let (rows, n) = (rows(days.clone()), data.features.columns());
            if rows.len() < LOCAL_DAYS_MIN {
                return;
            }
            let raw = Array2::from_shape_fn((rows.len(), n), |(r, c)| data.features.row(rows[r])[c]);
            let targets = Array2::from_shape_fn((rows.len(), 1), |(r, _)| data.target[rows[r]]);
            self.inputs = Scaler::new(raw.view(), true);
            self.output = Scaler::new(targets.view(), true);
            let x = self.inputs.forward_all(raw.view()).mapv(f64::from);
            let y = self.output.forward_all(targets.view()).mapv(f64::from);
            let moments = Moments::new(x.view(), y.view());
            self.window = Some(Window { renewed: days.end, days, moments });
            return;
        };
        for (span, sign) in [(known.end..days.end, 1.0), (known.start..days.start, -1.0)] {
            for i in rows(span) {
                let x = self.inputs.forward_row(data.features.row(i));
                let x: Vec<f64> = x.into_iter().map(f64::from).collect();
                moments.add(&x, &[f64::from(self.output.forward(0, data.target[i]))], sign);
            }
        }
        self.window = Some(Window { days, renewed, moments });
    }

    fn learn(&mut self) {
        let Some(window) = &self.window else { return };
        let Covariances { count, gram, means, cross, levels, variances } = window.moments.covariances();
        let n = means.len();
        let mut scratch = vec![0.0; n];
        for (p, share) in LOCAL_PENALTIES.iter().enumerate() {
            let slopes = &mut self.slopes[p * n..(p + 1) * n];
            let penalty = share * (variances[0] / count).sqrt();
            lasso::solve(&gram, &cross, penalty, TOLERANCE * variances[0], slopes, &mut scratch);
            let center: f64 = slopes.iter().zip(&means).map(|(b, m)| b * m).sum();
            self.intercepts[p] = levels[0] - center;
        }
    }
}

/// Values of the past as they are, so that the mixture can never be far behind a naive forecast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Naive {
    columns: Vec<u32>,
}

/// The columns that are forecasts by themselves.
const NAIVE: [&str; 5] = ["lag_day_1", "lag_week_1", "lag_like_1", "same_time_mean_7d", "same_time_mean_4w"];

impl Naive {
    /// The naive forecasts among the named columns.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        let place = |naive: &&str| names.iter().position(|name| name == naive).map(|c| c as u32);
        Self { columns: NAIVE.iter().filter_map(place).collect() }
    }

    /// How many experts it is.
    #[must_use]
    pub fn experts(&self) -> usize {
        self.columns.len()
    }

    /// Every expert's answer, `experts x outputs`; NaN where the past is not known.
    #[must_use]
    pub fn predict(&self, question: &Question<'_>) -> Array2<f32> {
        let mut answer = Array2::from_elem((self.columns.len(), question.outputs), f32::NAN);
        for (output, row) in &question.rows {
            for (k, &column) in self.columns.iter().enumerate() {
                answer[(k, *output)] = row[column as usize];
            }
        }
        answer
    }

    /// Whether the columns exist; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, columns: usize) -> bool {
        self.columns.iter().all(|&c| (c as usize) < columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::tests::daily;
    use crate::synthetic::NAMES;

    /// Days whose values are the useless column of their row, the later the more of it, and 30 more.
    fn obedient(days: usize) -> DayFrame {
        let (_, mut frame) = daily(days);
        let column = NAMES.len() - 1;
        for (d, rows) in frame.rows.clone().into_iter().enumerate() {
            for i in rows {
                let share = 1.0 + frame.output_of[i] as f32 / 8.0;
                let value = share * frame.data.features.row(i)[column] + 30.0;
                frame.data.target[i] = value;
                frame.targets[(d, frame.output_of[i])] = value;
            }
        }
        frame
    }

    #[test]
    fn local_regressions_read_their_own_row() {
        let frame = obedient(120);
        let mut local = Local::new(364);
        assert!(local.predict(&frame.question(0)).iter().all(|v| v.is_nan()), "it has learned nothing yet");
        local.learn(&frame, 100);
        assert!(local.is_sound(NAMES.len(), 24) && !local.is_sound(NAMES.len(), 23));
        let said = local.predict(&frame.question(110));
        for h in 0..24 {
            let off = said[(LOCAL_PENALTIES.len() - 1, h)] - frame.targets[(110, h)];
            // The scale compresses tails, so a straight line is not quite straight there.
            assert!(off.abs() < 0.5, "{off} at {h}");
        }
    }

    #[test]
    fn a_local_regression_that_moved_on_learned_the_days_it_says() {
        let frame = obedient(120);
        let (mut moved, mut anew) = (Local::new(60), Local::new(60));
        moved.learn(&frame, 100);
        moved.learn(&frame, 101);
        anew.learn(&frame, 101);
        for (a, b) in moved.outputs.iter().zip(&anew.outputs) {
            let (a, b) = (a.window.as_ref().unwrap(), b.window.as_ref().unwrap());
            assert_eq!((a.days.clone(), a.renewed), (41..101, 101), "60 days are renewed daily");
            assert_eq!(a.moments, b.moments);
        }
        let (mut moved, mut late) = (Local::new(112), Local::new(112));
        moved.learn(&frame, 115);
        moved.learn(&frame, 116);
        late.learn(&frame, 116);
        let window = |local: &Local| local.outputs[3].window.clone().unwrap();
        assert_eq!((window(&moved).renewed, window(&late).renewed), (115, 116));
        let count = |local: &Local| window(local).moments.covariances().count;
        assert_eq!((count(&moved), count(&late)), (112.0, 112.0));
    }

    #[test]
    fn trees_learn_a_difference_and_are_grown_anew_when_old() {
        let frame = obedient(110);
        let names = &frame.data.features.names;
        let mut trees = Trees::new(1, names, Some("lag_day_1"));
        assert_eq!((trees.base(), Trees::new(1, names, Some("nothing")).base()), (Some("lag_day_1"), None));
        assert!(trees.predict(&frame.question(0)).iter().all(|v| v.is_nan()), "it has learned nothing yet");
        trees.learn(&frame, 60);
        let question = frame.question(100);
        let said = trees.predict(&question);
        let mut higher = question.rows.iter().map(|(h, row)| (*h, row.to_vec())).collect::<Vec<_>>();
        higher[5].1[2] = 1e6;
        let rows = higher.iter().map(|(h, row)| (*h, row.as_slice())).collect();
        let moved = trees.predict(&Question { rows, ..question.clone() });
        assert!(moved[5] - said[5] > 9e5, "the value of the base is added to the difference");
        assert_eq!(moved[4].to_bits(), said[4].to_bits());
        trees.learn(&frame, 60 + TREE_RENEWAL_DAYS - 1);
        assert_eq!(trees.grown_at, 60);
        trees.learn(&frame, 60 + TREE_RENEWAL_DAYS);
        assert_eq!(trees.grown_at, 60 + TREE_RENEWAL_DAYS);
    }

    #[test]
    fn values_of_the_past_are_answered_as_they_are() {
        let (_, frame) = daily(20);
        let naive = Naive::new(&frame.data.features.names);
        assert_eq!(naive.experts(), 2, "yesterday and a week ago are among the columns");
        let said = naive.predict(&frame.question(9));
        for (h, row) in &frame.question(9).rows {
            assert_eq!((said[(0, *h)], said[(1, *h)]), (row[2], row[0]));
        }
        let question = frame.question(9);
        let first = Question { rows: question.rows[..1].to_vec(), ..question.clone() };
        assert!(naive.predict(&first)[(0, 1)].is_nan(), "an hour without a row is not answered");
        assert!(naive.is_sound(12) && !naive.is_sound(1));
    }
}
