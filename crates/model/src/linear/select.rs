//! Choosing how the linear model groups, transforms, weights and penalises, on the last part of the training rows.

use forewatt_domain::time::MICROS_PER_DAY;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::descent::{Coefficients, Covariance, MIXES, PENALTIES};
use super::scale::{self, Column, Target, kurtosis};
use crate::groups::{Groups, Split};
use crate::matrix::TrainingSet;

/// Lead times, in hours, at which a regression may change its coefficients.
const LEAD_EDGES_HOURS: [u32; 6] = [1, 3, 6, 12, 24, 72];
/// A group has at least so many rows on average.
const ROWS_PER_GROUP: usize = 150;
/// A group with fewer rows borrows the coefficients of its neighbour.
const ROWS_PER_GROUP_MIN: usize = 30;
/// With fewer rows per group, a coarser division of the day is tried as well.
const ROWS_PER_GROUP_AMPLE: usize = 700;
/// A target whose fourth moment exceeds this is also tried with compressed tails.
const KURTOSIS_HEAVY: f64 = 5.0;
/// Memories whose error exceeds the least by more than this factor are left out of the mean.
const ABOUT_AS_GOOD: f64 = 1.1;
/// Half-lives of the weight of a row, tried where the history is longer than twice as much.
const HALF_LIVES_DAYS: [f64; 2] = [240.0, 60.0];

/// How rows are grouped and what the regression sees of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Spec {
    pub groups: Groups,
    /// Whether heavy tails are compressed by the inverse hyperbolic sine.
    pub asinh: bool,
}

/// How fast rows are forgotten, and the penalty that suits that.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Days after which a row weighs half; no forgetting when absent.
    pub half_life_days: Option<f64>,
    /// Positions in [`MIXES`] and [`PENALTIES`].
    pub mix: u32,
    pub penalty: u32,
}

/// What is to be fitted on all rows, and what it foretold for the late ones.
pub(super) struct Choice {
    pub spec: Spec,
    /// The coefficients are the mean over these.
    pub memories: Vec<Memory>,
    pub target: Target,
    /// Predictions for the late rows, in the regression's unit.
    pub late: Vec<f32>,
}

/// One specification tried on the late rows, at its best penalty.
struct Attempt {
    spec: Spec,
    memory: Memory,
    target: Target,
    /// Mean absolute error, in the unit of the target.
    error: f64,
    late: Vec<f32>,
}

/// One fitted group; `coarse` says how it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Regression {
    pub intercept: f32,
    /// Columns whose coefficient is not zero.
    pub terms: Vec<(Column, f32)>,
}

impl Regression {
    /// The answer for one row, in the regression's unit.
    pub fn apply(&self, row: &[f32]) -> f32 {
        let sum: f32 =
            self.terms.iter().map(|(column, slope)| column.apply(row[column.source as usize]) * slope).sum();
        self.intercept + sum
    }

    /// From all columns and their coefficients.
    pub fn new(columns: Vec<Column>, coefficients: &Coefficients) -> Self {
        let terms = columns.into_iter().zip(&coefficients.slopes).filter(|(_, slope)| **slope != 0.0);
        Self {
            intercept: coefficients.intercept as f32,
            terms: terms.map(|(column, &slope)| (column, slope as f32)).collect(),
        }
    }
}

/// The rows of every group, in rising order.
pub(super) fn by_group(groups: &Groups, data: &TrainingSet, rows: &[usize]) -> Vec<Vec<usize>> {
    let mut cells = vec![Vec::new(); groups.count()];
    rows.iter().for_each(|&row| cells[groups.index(&data.features.keys[row])].push(row));
    cells
}

/// For every group the one whose regression answers it: itself, or the nearest in lead time and time of day.
pub(super) fn route(groups: &Groups, cells: &[Vec<usize>]) -> Vec<usize> {
    let fullest = cells.iter().map(Vec::len).max().unwrap_or(0);
    let enough = ROWS_PER_GROUP_MIN.min(fullest).max(1);
    let slots = groups.slots() as i64;
    let distance = |a: usize, b: usize| {
        let (a, b) = (a as i64, b as i64);
        let apart = (a % slots - b % slots).abs();
        (apart.min(slots - apart), (a / slots - b / slots).abs(), b)
    };
    let full: Vec<usize> = (0..cells.len()).filter(|&cell| cells[cell].len() >= enough).collect();
    (0..cells.len())
        .map(|cell| full.iter().copied().min_by_key(|&other| distance(cell, other)).unwrap_or(0))
        .collect()
}

/// The regression of one group: the mean over the memories, which share their columns.
pub(super) fn regression(data: &TrainingSet, rows: &[usize], choice: &Choice) -> Regression {
    let columns = scale::columns(&data.features, rows, choice.spec.asinh);
    let design = scale::design(&data.features, rows, &columns);
    let share = 1.0 / choice.memories.len() as f64;
    let mut mean = Coefficients { intercept: 0.0, slopes: vec![0.0; columns.len()] };
    for memory in &choice.memories {
        let covariance = covariance(data, rows, design.clone(), &choice.target, memory.half_life_days);
        let path = covariance.path(MIXES[memory.mix as usize], memory.penalty as usize);
        if let Some(found) = path.last() {
            mean.intercept += share * found.intercept;
            mean.slopes.iter_mut().zip(&found.slopes).for_each(|(sum, slope)| *sum += share * slope);
        }
    }
    Regression::new(columns, &mean)
}

/// Covariances of one group, whose design is used up.
fn covariance(
    data: &TrainingSet,
    rows: &[usize],
    design: Vec<f32>,
    target: &Target,
    half_life_days: Option<f64>,
) -> Covariance {
    let values: Vec<f32> = rows.iter().map(|&row| target.forward(data.target[row])).collect();
    let weights = half_life_days.map(|days| weights(data, rows, days));
    Covariance::new(design, &values, weights.as_deref())
}

fn weights(data: &TrainingSet, rows: &[usize], half_life_days: f64) -> Vec<f32> {
    let time = |row: usize| data.features.keys[row].valid_time;
    let last = rows.iter().map(|&row| time(row)).max();
    let age =
        |row: usize| last.map_or(0.0, |last| last.micros_since(time(row)) as f64 / MICROS_PER_DAY as f64);
    rows.iter().map(|&row| (-age(row) / half_life_days).exp2().max(1e-4) as f32).collect()
}

/// The best specification on the late rows: the grouping first, then the transform, then the memories.
///
/// Memories that are about as good as the best are averaged: they err differently (Lago et al., 2021, average
/// calibration windows for the same reason).
pub(super) fn choose(data: &TrainingSet, split: &Split) -> Choice {
    let groupings = groupings(data, &split.early);
    let better = |best: Option<Attempt>, spec: Spec| {
        let other = evaluate(data, split, spec, None);
        best.filter(|best| best.error <= other.error).or(Some(other))
    };
    let mut best = groupings.into_iter().map(|groups| Spec { groups, asinh: false }).fold(None, better);
    let early: Vec<f32> = split.early.iter().map(|&row| data.target[row]).collect();
    if let Some(spec) =
        best.as_ref().map(|best| best.spec.clone()).filter(|_| kurtosis(&early) > KURTOSIS_HEAVY)
    {
        best = better(best, Spec { asinh: true, ..spec });
    }
    let plain = || {
        evaluate(data, split, Spec { groups: Groups::new(&data.features.keys, 1, &[]), asinh: false }, None)
    };
    let best = best.unwrap_or_else(plain);
    let keys = &data.features.keys;
    let span = match (split.early.first(), split.early.last()) {
        (Some(&a), Some(&b)) => keys[b].valid_time.micros_since(keys[a].valid_time) / MICROS_PER_DAY,
        _ => 0,
    };
    let spec = best.spec.clone();
    let shorter = HALF_LIVES_DAYS.into_iter().filter(|days| span as f64 > 2.0 * days);
    let mut attempts = vec![best];
    attempts.extend(shorter.map(|days| evaluate(data, split, spec.clone(), Some(days))));
    average(attempts)
}

fn average(mut attempts: Vec<Attempt>) -> Choice {
    let least = attempts.iter().map(|attempt| attempt.error).fold(f64::INFINITY, f64::min);
    let first = attempts.swap_remove(0);
    let (spec, target, rows) = (first.spec.clone(), first.target, first.late.len());
    attempts.insert(0, first);
    attempts.retain(|attempt| attempt.error <= ABOUT_AS_GOOD * least);
    let share = 1.0 / attempts.len().max(1) as f32;
    let mean = |row: usize| attempts.iter().map(|attempt| share * attempt.late[row]).sum();
    Choice {
        late: (0..rows).map(mean).collect(),
        memories: attempts.iter().map(|attempt| attempt.memory).collect(),
        spec,
        target,
    }
}

/// Divisions of the rows worth trying: the finest the rows allow, that one by lead time too, and a coarser one.
fn groupings(data: &TrainingSet, rows: &[usize]) -> Vec<Groups> {
    let keys = &data.features.keys;
    let filled = |groups: &Groups| {
        let cells = by_group(groups, data, rows);
        cells.iter().filter(|cell| !cell.is_empty()).count().max(1)
    };
    let per_group = |groups: &Groups| rows.len() / filled(groups);
    let finest = [24, 12, 8, 6, 4, 3, 2, 1]
        .into_iter()
        .map(|slots| Groups::new(keys, slots, &[]))
        .find(|groups| groups.slots() == 1 || per_group(groups) >= ROWS_PER_GROUP);
    let Some(finest) = finest else {
        return vec![];
    };
    let mut answer = vec![finest.clone()];
    let by_lead = Groups::new(keys, finest.slots() as u32, &LEAD_EDGES_HOURS);
    if filled(&by_lead) > filled(&finest) && per_group(&by_lead) >= ROWS_PER_GROUP {
        answer.push(by_lead);
    }
    if finest.slots() > 3 && per_group(&finest) < ROWS_PER_GROUP_AMPLE {
        answer.push(Groups::new(keys, finest.slots() as u32 / 4, &[]));
    }
    answer
}

/// Predictions for the late rows of one group: `MIXES * PENALTIES` of them per row, candidate-major.
struct Late {
    rows: Vec<usize>,
    predictions: Vec<f32>,
}

const CANDIDATES: usize = MIXES.len() * PENALTIES.len();

fn evaluate(data: &TrainingSet, split: &Split, spec: Spec, half_life_days: Option<f64>) -> Attempt {
    let early: Vec<f32> = split.early.iter().map(|&row| data.target[row]).collect();
    let target = Target::new(&early, spec.asinh);
    let cells = by_group(&spec.groups, data, &split.early);
    let route = route(&spec.groups, &cells);
    let mut asked: Vec<Vec<usize>> = vec![Vec::new(); cells.len()];
    for &row in &split.late {
        asked[route[spec.groups.index(&data.features.keys[row])]].push(row);
    }
    let late: Vec<Late> = cells
        .par_iter()
        .zip(asked)
        .filter(|(_, asked)| !asked.is_empty())
        .map(|(cell, asked)| late_of_group(data, cell, asked, (&spec, &target, half_life_days)))
        .collect();
    let mut errors = [0.0_f64; CANDIDATES];
    for group in &late {
        let predicted = group.predictions.chunks_exact(group.rows.len());
        for (error, predicted) in errors.iter_mut().zip(predicted) {
            let of_row = |(&row, &p): (&usize, &f32)| f64::from((data.target[row] - target.back(p)).abs());
            *error += group.rows.iter().zip(predicted).map(of_row).sum::<f64>();
        }
    }
    let best = (0..CANDIDATES).min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(0);
    let mut of_row = vec![0.0; data.target.len()];
    for group in &late {
        let n = group.rows.len();
        let predicted = &group.predictions[best * n..(best + 1) * n];
        group.rows.iter().zip(predicted).for_each(|(&row, &p)| of_row[row] = p);
    }
    Attempt {
        memory: Memory {
            half_life_days,
            mix: (best / PENALTIES.len()) as u32,
            penalty: (best % PENALTIES.len()) as u32,
        },
        error: errors[best] / split.late.len() as f64,
        late: split.late.iter().map(|&row| of_row[row]).collect(),
        target,
        spec,
    }
}

fn late_of_group(
    data: &TrainingSet,
    cell: &[usize],
    asked: Vec<usize>,
    (spec, target, half_life_days): (&Spec, &Target, Option<f64>),
) -> Late {
    let columns = scale::columns(&data.features, cell, spec.asinh);
    let early = scale::design(&data.features, cell, &columns);
    let covariance = covariance(data, cell, early, target, half_life_days);
    let design = scale::design(&data.features, &asked, &columns);
    let mut predictions = Vec::with_capacity(CANDIDATES * asked.len());
    for mix in MIXES {
        for coefficients in covariance.path(mix, PENALTIES.len() - 1) {
            let from = predictions.len();
            predictions.resize(from + asked.len(), coefficients.intercept as f32);
            for (slope, values) in coefficients.slopes.iter().zip(design.chunks_exact(asked.len())) {
                if *slope != 0.0 {
                    let slope = *slope as f32;
                    predictions[from..].iter_mut().zip(values).for_each(|(p, v)| *p += slope * v);
                }
            }
        }
    }
    Late { rows: asked, predictions }
}
