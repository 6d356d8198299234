//! Trees for all hours of whole days: on the value, its difference to a past one, or to a linear forecast.

use std::ops::Range;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Inputs, Penalty, QuantileLevels, Transform};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::chosen::Chosen;
use super::frame::{DayFrame, Question, Role};
use super::lear::LearSpec;
use super::scale::Scaler;
use crate::gbdt::{Booster, Forest, Lesson, MIN_ROWS, Params};
use crate::matrix::{FeatureMatrix, TrainingSet};
use crate::predict::Predict;

/// Days the trees learn from.
const WINDOW: usize = 1456;
/// After so many days the trees are grown anew.
const RENEWAL_DAYS: usize = 28;
/// How the trees are grown: without held-out rows, so that they see yesterday; the mixture judges them.
const TREES: usize = 250;
/// Between two growths trees are added so often, so many, on the newest days.
const ADD_EVERY_DAYS: usize = 7;
const ADDED: usize = 8;
const ADD_DAYS: usize = 84;
/// The linear forecast learns from so many days, after so many days, and speaks from the day on that it knows so many.
const GUIDE_WINDOW: usize = 364;
const GUIDE_EVERY_DAYS: usize = 7;
const GUIDE_DAYS_MIN: usize = 56;

/// What is taken off the target before trees learn it, and added to what they say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Base {
    /// Nothing.
    Value,
    /// The value of a column.
    Column(u32),
    /// What a linear forecast says.
    Linear(Box<Guide>),
}

/// What trees are grown for, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TreeSpec {
    /// What they learn.
    pub base: TreeBase,
    /// Days after which a day counts half.
    pub half_life_days: Option<f64>,
    /// Whether trees for the newest days are added between two growths.
    pub adds: bool,
}

/// What trees learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeBase {
    /// The value itself.
    Value,
    /// The difference to a column.
    Column(&'static str),
    /// The difference to the forecast of a LEAR that had not seen the day.
    Linear,
}

/// A boosted forest for all hours on the scaled target, its middle quantile only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trees {
    seed: u64,
    names: Vec<String>,
    base: Base,
    scaler: Scaler,
    forest: Option<Forest>,
    grown_at: usize,
    // What only further learning needs is not stored.
    #[serde(skip)]
    half_life_days: Option<f64>,
    #[serde(skip)]
    adds: bool,
    #[serde(skip)]
    added_at: usize,
}

impl Trees {
    /// One that has learned nothing yet; a base that the columns do not hold is none.
    #[must_use]
    pub fn new(spec: TreeSpec, seed: u64, names: &[String], roles: &[Role]) -> Self {
        let base = match spec.base {
            TreeBase::Value => Base::Value,
            TreeBase::Column(base) => {
                let column = names.iter().position(|name| name == base);
                column.map_or(Base::Value, |column| Base::Column(column as u32))
            }
            TreeBase::Linear => Base::Linear(Box::new(Guide::new(roles))),
        };
        Self {
            seed,
            names: names.to_vec(),
            base,
            scaler: Scaler::new(Array2::zeros((0, 1)).view(), Transform::Asinh),
            forest: None,
            grown_at: 0,
            half_life_days: spec.half_life_days,
            adds: spec.adds,
            added_at: 0,
        }
    }

    /// What it learns the difference to, if anything.
    #[must_use]
    pub fn base(&self) -> Option<&str> {
        match &self.base {
            Base::Value => None,
            Base::Column(column) => Some(self.names[*column as usize].as_str()),
            Base::Linear(_) => Some("a linear forecast"),
        }
    }

    /// Whether days count less the older they are, and whether trees are added between growths.
    #[must_use]
    pub fn manner(&self) -> (bool, bool) {
        (self.half_life_days.is_some(), self.adds)
    }

    /// Grows the forest anew when it is old, or adds trees for the newest days.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        if let Base::Linear(guide) = &mut self.base {
            guide.learn(frame, end);
        }
        match self.forest.take() {
            Some(forest) if end < self.grown_at + RENEWAL_DAYS => {
                let more = self.adds && end >= self.added_at + ADD_EVERY_DAYS;
                let grown = if more { self.add(&forest, frame, end) } else { None };
                self.forest = grown.or(Some(forest));
            }
            old => self.forest = self.grow(frame, end).or(old),
        }
    }

    /// The rows of days and what trees have to learn of each, as far as both are known.
    fn rows(&self, frame: &DayFrame, days: Range<usize>) -> (Vec<usize>, Vec<f32>) {
        let of_day = |day: usize| frame.rows[day].clone().map(move |i| (day, i));
        let value = |(day, i): (usize, usize)| {
            let base = match &self.base {
                Base::Value => 0.0,
                Base::Column(column) => frame.data.features.row(i)[*column as usize],
                Base::Linear(guide) => guide.said(day, frame.output_of[i]),
            };
            (i, frame.data.target[i] - base)
        };
        days.flat_map(of_day).map(value).filter(|(_, value)| value.is_finite()).unzip()
    }

    fn booster(&self, trees: usize) -> Booster {
        let params =
            Params { trees, held_out_share: 0.0, refit: false, seed: self.seed, ..Params::default() };
        Booster { params }
    }

    /// How much each row counts: half after so many days before the newest; `None` when all count alike.
    fn weights(&self, data: &TrainingSet) -> Option<Vec<f32>> {
        let keys = &data.features.keys;
        let (half_life, last) = (self.half_life_days?, keys.iter().map(|key| key.origin).max()?);
        let days = |origin| last.micros_since(origin) as f64 / MICROS_PER_DAY as f64;
        Some(keys.iter().map(|key| 0.5_f64.powf(days(key.origin) / half_life) as f32).collect())
    }

    /// The rows in the scale that the trees have.
    fn scaled(&self, frame: &DayFrame, rows: &[usize], raw: &[f32]) -> TrainingSet {
        let target = raw.iter().map(|&value| self.scaler.forward(0, value)).collect();
        TrainingSet { features: frame.data.features.select(rows), target, past: None, courses: None }
    }

    fn grow(&mut self, frame: &DayFrame, end: usize) -> Option<Forest> {
        let (rows, raw) = self.rows(frame, frame.span(end, WINDOW));
        if rows.len() < MIN_ROWS {
            return None;
        }
        let column = Array2::from_shape_fn((raw.len(), 1), |(i, _)| raw[i]);
        let before = std::mem::replace(&mut self.scaler, Scaler::new(column.view(), Transform::Asinh));
        let data = self.scaled(frame, &rows, &raw);
        let weights = self.weights(&data);
        let lesson = Lesson { data: &data, weights: weights.as_deref() };
        let grown = self.booster(TREES).learn(lesson, &median());
        if grown.is_ok() {
            (self.grown_at, self.added_at) = (end, end);
        } else {
            self.scaler = before; // the old forest keeps its scale
        }
        grown.ok()
    }

    /// The forest with trees for the newest days added; `None` when there are too few rows.
    fn add(&mut self, forest: &Forest, frame: &DayFrame, end: usize) -> Option<Forest> {
        let (rows, raw) = self.rows(frame, frame.span(end, ADD_DAYS));
        let data = self.scaled(frame, &rows, &raw);
        let added = self.booster(ADDED).go_on(forest, (&data).into()).ok()?;
        self.added_at = end;
        Some(added)
    }

    /// One value per output; NaN where it cannot tell.
    #[must_use]
    pub fn predict(&self, question: &Question<'_>) -> Vec<f32> {
        let mut answer = vec![f32::NAN; question.outputs];
        let Some(forest) = &self.forest else { return answer };
        let values = question.rows.iter().flat_map(|(_, row)| row.iter().copied()).collect();
        let matrix =
            FeatureMatrix { names: self.names.clone(), keys: question.keys.to_vec(), values, windows: None };
        let Ok(predicted) = forest.predict(&matrix) else { return answer };
        let linear = match &self.base {
            Base::Linear(guide) => guide.predict(&question.inputs),
            Base::Value | Base::Column(_) => Vec::new(),
        };
        for ((output, row), scaled) in question.rows.iter().zip(&predicted.quantiles) {
            let base = match &self.base {
                Base::Value => 0.0,
                Base::Column(column) => row[*column as usize],
                Base::Linear(_) => linear.get(*output).copied().unwrap_or(f32::NAN),
            };
            answer[*output] = self.scaler.inverse(0, *scaled) + base;
        }
        answer
    }

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        self.added_at = 0;
        if let Base::Linear(guide) = &mut self.base {
            guide.settle();
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, columns: usize, inputs: usize, outputs: usize) -> bool {
        let base = match &self.base {
            Base::Value => true,
            Base::Column(column) => (*column as usize) < self.names.len(),
            // Too few days teach neither the guide nor the trees.
            Base::Linear(guide) => self.forest.is_none() || guide.lear.is_sound(inputs, outputs),
        };
        self.names.len() == columns && self.scaler.is_sound(1) && base
    }
}

/// A LEAR that foretells every day from the days before it, for trees to learn what it gets wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Guide {
    lear: Chosen,
    /// What it said of each day before it learned it; empty where it said nothing.
    #[serde(skip)]
    said: Vec<Vec<f32>>,
    /// The end of the days learned from; 0 before the first.
    #[serde(skip)]
    learned: usize,
}

impl Guide {
    fn new(roles: &[Role]) -> Self {
        let spec = LearSpec { window: GUIDE_WINDOW, inputs: Inputs::Summaries, transform: Transform::Asinh };
        Self { lear: Chosen::new(spec, Penalty::Aic, roles), said: Vec::new(), learned: 0 }
    }

    /// Foretells the days up to `end` that it has not learned, learning on the way; the first time from the beginning
    /// of what trees learn from.
    fn learn(&mut self, frame: &DayFrame, end: usize) {
        if self.learned == 0 {
            let first = frame.span(end, WINDOW).start + GUIDE_DAYS_MIN;
            if first >= end {
                return;
            }
            self.said = vec![Vec::new(); first];
            self.lear.learn(frame, first);
            self.learned = first;
        }
        while self.said.len() < end {
            let day = self.said.len();
            if day >= self.learned + GUIDE_EVERY_DAYS {
                self.lear.learn(frame, day);
                self.learned = day;
            }
            self.said.push(self.lear.predict(&frame.inputs.row(day).to_vec()));
        }
        if end >= self.learned + GUIDE_EVERY_DAYS {
            self.lear.learn(frame, end);
            self.learned = end;
        }
    }

    /// What it said of an output of a day it had not learned; NaN where it said nothing.
    fn said(&self, day: usize, output: usize) -> f32 {
        self.said.get(day).and_then(|said| said.get(output)).copied().unwrap_or(f32::NAN)
    }

    fn predict(&self, inputs: &[f32]) -> Vec<f32> {
        self.lear.predict(inputs)
    }

    fn settle(&mut self) {
        self.lear.settle();
        self.said = Vec::new();
    }
}

fn median() -> QuantileLevels {
    QuantileLevels::new(vec![0.5]).unwrap_or_else(|_| QuantileLevels::deciles()) // one half is a level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::tests::{daily, obedient};

    const VALUE: TreeSpec = TreeSpec { base: TreeBase::Value, half_life_days: None, adds: false };

    fn trees(spec: TreeSpec, frame: &DayFrame) -> Trees {
        let (layout, _) = daily(1);
        Trees::new(spec, 1, &frame.data.features.names, &layout.roles())
    }

    #[test]
    fn trees_learn_a_difference_and_are_grown_anew_when_old() {
        let frame = obedient(110);
        let unknown = trees(TreeSpec { base: TreeBase::Column("nothing"), ..VALUE }, &frame);
        let mut trees = trees(TreeSpec { base: TreeBase::Column("lag_day_1"), ..VALUE }, &frame);
        assert_eq!((trees.base(), unknown.base()), (Some("lag_day_1"), None));
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
        trees.learn(&frame, 60 + RENEWAL_DAYS - 1);
        assert_eq!(trees.grown_at, 60);
        trees.learn(&frame, 60 + RENEWAL_DAYS);
        assert_eq!(trees.grown_at, 60 + RENEWAL_DAYS);
    }

    #[test]
    fn the_guide_had_not_seen_the_days_it_speaks_of() {
        let frame = obedient(110);
        let (layout, _) = daily(1);
        let learned = |frame: &DayFrame| {
            let mut guide = Guide::new(&layout.roles());
            guide.learn(frame, 90);
            guide.learn(frame, 100);
            guide
        };
        let guide = learned(&frame);
        assert_eq!((guide.said.len(), guide.learned), (100, 98));
        assert!(guide.said(GUIDE_DAYS_MIN - 1, 3).is_nan() && guide.said(GUIDE_DAYS_MIN, 3).is_finite());
        let mut other = frame;
        other.targets.row_mut(80).fill(900.0);
        let changed = learned(&other);
        assert_eq!(guide.said[..81], changed.said[..81], "not even of the day itself");
        assert_ne!(guide.said[99], changed.said[99]);
    }

    #[test]
    fn trees_on_a_linear_forecast_add_what_it_says() {
        let frame = obedient(130);
        let mut trees = trees(TreeSpec { base: TreeBase::Linear, ..VALUE }, &frame);
        trees.learn(&frame, 120);
        let (inputs, outputs) = (frame.inputs.ncols(), frame.targets.ncols());
        assert!(trees.is_sound(frame.data.features.columns(), inputs, outputs));
        let question = frame.question(125);
        let said = trees.predict(&question);
        let Base::Linear(guide) = &trees.base else { panic!("its base is linear") };
        let linear = guide.predict(&question.inputs);
        let error = |said: &[f32]| -> f32 {
            said.iter().zip(frame.targets.row(125)).map(|(said, actual)| (said - actual).abs()).sum()
        };
        assert!(said.iter().all(|v| v.is_finite()));
        assert!(error(&said) < 0.8 * error(&linear), "{} {}", error(&said), error(&linear));
        let before = trees.predict(&question);
        trees.settle();
        assert_eq!(trees.predict(&question), before);
    }

    #[test]
    fn trees_are_added_between_two_growths() {
        let frame = obedient(110);
        let count = |trees: &Trees| trees.forest.as_ref().map(Forest::trees);
        let mut still = trees(VALUE, &frame);
        let mut trees = trees(TreeSpec { adds: true, ..VALUE }, &frame);
        for end in 60..60 + ADD_EVERY_DAYS {
            trees.learn(&frame, end);
            still.learn(&frame, end);
        }
        assert_eq!((count(&trees), trees.forest == still.forest), (Some(TREES), true));
        trees.learn(&frame, 60 + ADD_EVERY_DAYS);
        still.learn(&frame, 60 + ADD_EVERY_DAYS);
        assert_eq!((count(&trees), count(&still)), (Some(TREES + ADDED), Some(TREES)));
        trees.learn(&frame, 60 + RENEWAL_DAYS);
        assert_eq!(count(&trees), Some(TREES), "then they are grown anew");
    }
}
