//! From the blocks' forecasts to rows and scores.

use forewatt_domain::time::{MICROS_PER_DAY, duration_micros};
use forewatt_domain::{Family, Time};

use super::plan::BacktestError;
use super::{Answered, Run};
use crate::compare::{DieboldMariano, diebold_mariano};
use crate::metrics::{LeadMetrics, Metrics, Scored, by_lead, naive_scale, row_pinball, score};
use crate::predict::Predictions;

/// One forecast value and what came true.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestRow {
    /// The origin.
    pub forecast_start: Time,
    /// What the values are about.
    pub valid_time: Time,
    /// The newest value known now; NaN when there is none.
    pub actual: f32,
    /// The forecast mean.
    pub mean: f32,
    /// One per level, not falling.
    pub quantiles: Vec<f32>,
}

/// What a backtest found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The family tested.
    pub family: Family,
    /// What it was compared with.
    pub baseline: Family,
    /// The levels of every row's quantiles.
    pub levels: Vec<f64>,
    /// Every forecast value, by forecast start and valid time.
    pub rows: Vec<BacktestRow>,
    /// How often the model was fitted.
    pub fits: usize,
    /// What one should know about how the model came about: what was tried, what was left out, and why.
    pub notes: Vec<String>,
    /// Scores of the family over all rows.
    pub metrics: Metrics,
    /// The same by lead time.
    pub by_lead: Vec<LeadMetrics>,
    /// Scores of the baseline on the same rows.
    pub baseline_metrics: Metrics,
    /// The same by lead time.
    pub baseline_by_lead: Vec<LeadMetrics>,
    /// Diebold-Mariano test against the baseline on daily mean absolute errors; `None` when it cannot decide.
    pub absolute_test: Option<DieboldMariano>,
    /// The same on daily mean pinball losses.
    pub pinball_test: Option<DieboldMariano>,
}

/// Scores the answers of all blocks.
pub(super) fn outcome(
    run: &Run<'_>,
    answered: Vec<Answered>,
    notes: Vec<String>,
) -> Result<Outcome, BacktestError> {
    let levels = run.recipe.levels.as_slice();
    let fits = answered.len();
    let mut rows: Vec<BacktestRow> = Vec::new();
    let mut baseline = Predictions { mean: Vec::new(), quantiles: Vec::new(), levels: levels.len() };
    for Answered { rows: places, model, baseline: theirs } in answered {
        rows.extend(places.iter().enumerate().map(|(i, &place)| row(run, place, &model, i)));
        let theirs = theirs.unwrap_or(model);
        baseline.mean.extend(theirs.mean);
        baseline.quantiles.extend(theirs.quantiles);
    }
    let ours: Vec<Scored<'_>> = rows.iter().map(|row| scored(row, row.mean, &row.quantiles)).collect();
    let theirs = rows.iter().enumerate().map(|(i, row)| scored(row, baseline.mean[i], baseline.row(i)));
    let theirs: Vec<Scored<'_>> = theirs.collect();
    let scale = mase_scale(run);
    let (Some(metrics), Some(baseline_metrics)) =
        (score(ours.iter().copied(), levels, scale), score(theirs.iter().copied(), levels, scale))
    else {
        let (series, ends) = (run.dataset.series.name.to_string(), run.dataset.target.grid().end());
        return Err(BacktestError::NoActuals { series, from: run.plan.from, ends });
    };
    let leads = |scored: &[Scored<'_>]| by_lead(scored, levels, scale);
    let baseline_by_lead = leads(&theirs);
    // Buckets hold the same rows on both sides, so they pair up.
    let pairs = leads(&ours).into_iter().zip(&baseline_by_lead);
    let by_lead =
        pairs.map(|(our, their)| LeadMetrics { metrics: our.metrics.against(&their.metrics), ..our });
    let test = |loss: &dyn Fn(&Scored<'_>) -> f64| compare(run, &rows, &ours, &theirs, loss);
    Ok(Outcome {
        family: run.recipe.family,
        baseline: run.plan.baseline,
        levels: levels.to_vec(),
        fits,
        notes,
        by_lead: by_lead.collect(),
        metrics: metrics.against(&baseline_metrics),
        baseline_metrics,
        baseline_by_lead,
        absolute_test: test(&|row| (row.mean - row.actual).abs()),
        pinball_test: test(&|row| row_pinball(row, levels)),
        rows,
    })
}

fn row(run: &Run<'_>, place: usize, model: &Predictions, i: usize) -> BacktestRow {
    let key = run.matrix.keys[place];
    BacktestRow {
        forecast_start: key.origin,
        valid_time: key.valid_time,
        actual: run.dataset.target.value_at(key.valid_time, Time::MAX),
        mean: model.mean[i],
        quantiles: model.row(i).to_vec(),
    }
}

fn scored<'a>(row: &BacktestRow, mean: f32, quantiles: &'a [f32]) -> Scored<'a> {
    Scored {
        lead_hours: row.valid_time.micros_since(row.forecast_start) as f64 / 3.6e9,
        actual: f64::from(row.actual),
        mean: f64::from(mean),
        quantiles,
    }
}

/// The seasonal-naive error of the history as known at the backtest's beginning: one day back, a week for days.
fn mase_scale(run: &Run<'_>) -> Option<f64> {
    let grid = run.dataset.target.grid();
    let history = grid.times().take_while(|&time| time < run.plan.from);
    let values: Vec<f32> =
        history.enumerate().map(|(slot, _)| run.dataset.target.as_of(slot, run.plan.from)).collect();
    let per_day = grid.step.steps_per_day();
    naive_scale(&values, if per_day == 1 { 7 } else { per_day })
}

/// Diebold-Mariano on the mean loss of the forecasts that start within each day.
fn compare(
    run: &Run<'_>,
    rows: &[BacktestRow],
    ours: &[Scored<'_>],
    theirs: &[Scored<'_>],
    loss: &dyn Fn(&Scored<'_>) -> f64,
) -> Option<DieboldMariano> {
    let day = |row: &BacktestRow| run.plan.day(run.dataset, row.forecast_start);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut start = 0;
    for same_day in rows.chunk_by(|a, b| day(a) == day(b)) {
        let span = start..start + same_day.len();
        start = span.end;
        let known = || span.clone().filter(|&i| !ours[i].actual.is_nan());
        let count = known().count() as f64;
        // A day without any actual gives 0 / 0 on both sides, and the test leaves it out.
        first.push(known().map(|i| loss(&ours[i])).sum::<f64>() / count);
        second.push(known().map(|i| loss(&theirs[i])).sum::<f64>() / count);
    }
    let horizon = run.plan.horizon.steps() as i64 * run.dataset.step().micros();
    let between = duration_micros(run.plan.every).max(MICROS_PER_DAY);
    let overlap = usize::try_from((horizon + between - 1) / between).unwrap_or(1);
    diebold_mariano(&first, &second, overlap)
}
