//! From base forecasts to the answer: every step reconciled, every fallback told.

use std::collections::BTreeMap;

use forewatt_domain::{Forecast, ForecastPoint, QuantileLevels, SeriesName, Time, VersionId};
use forewatt_model::hierarchy::{BaseStep, Copula, Method, Reconciler, Step, reconcile_step};
use serde::Serialize;

use super::parts::{LeftOut, Parts};
use super::past::{ErrorSource, Moment, Past};
use super::rehearsal::Rehearsal;
use crate::error::Result;

/// A parent and its parts, with forecasts that add up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reconciled {
    /// The whole.
    pub parent: SeriesName,
    /// The unit of every value.
    pub unit: String,
    /// The start of the first period.
    pub forecast_start: Time,
    /// When it was made.
    pub issued_at: Time,
    /// The method asked for.
    pub asked: Method,
    /// The method used.
    pub method: Method,
    /// Why this is not the answer it should be; `None` when all is well.
    pub degraded: Option<String>,
    /// The past errors that weights and joint samples were made of.
    pub errors: PastErrors,
    /// Joint samples that the quantiles were read off.
    pub samples: usize,
    /// Whether values below zero were ruled out: load, solar and wind whose base forecasts have none.
    pub non_negative: bool,
    /// By how much parents and the sums of their parts differed before, on average over steps, in the unit; after, nothing.
    pub base_gap: f64,
    /// The parent, then its parts level by level.
    pub series: Vec<ReconciledSeries>,
    /// Series that name the parent and cannot be summed into it.
    pub left_out: Vec<LeftOut>,
}

/// What the weights were made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PastErrors {
    /// Issued forecasts or a quick backtest.
    pub source: ErrorSource,
    /// Steps at which every series' error is known.
    pub steps: usize,
    /// How far MinT shrank correlations: 0 (as measured) to 1 (none); `None` for other methods.
    pub shrinkage: Option<f64>,
}

/// One series of the hierarchy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReconciledSeries {
    /// Which.
    pub series: SeriesName,
    /// What it is a part of here; `None` for the parent of all.
    pub parent: Option<SeriesName>,
    /// Which version made the base forecast; `None` for a stand-in.
    pub model_version: Option<VersionId>,
    /// Which model stood in and why; `None` when the champion answered.
    pub stand_in: Option<String>,
    /// Why the base forecast is not what it should be.
    pub degraded: Option<String>,
    /// One a step.
    pub points: Vec<ReconciledPoint>,
}

/// One value before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReconciledPoint {
    /// The start of the period it is about.
    pub valid_time: Time,
    /// The expected value of the model on its own.
    pub base_mean: f64,
    /// The reconciled expected value: a parent's is the sum of its parts'.
    pub mean: f64,
    /// Quantiles by level, read off samples that add up.
    pub quantiles: BTreeMap<String, f64>,
}

/// A forecast of one part on its own.
pub(super) struct Base {
    pub version: Option<VersionId>,
    pub stand_in: Option<String>,
    pub degraded: Option<String>,
    pub forecast_start: Time,
    pub issued_at: Time,
    pub points: Vec<ForecastPoint>,
}

impl From<&Forecast> for Base {
    fn from(forecast: &Forecast) -> Self {
        Self {
            version: Some(forecast.model_version.clone()),
            stand_in: None,
            degraded: forecast.degraded.clone(),
            forecast_start: forecast.forecast_start,
            issued_at: forecast.issued_at,
            points: forecast.points.clone(),
        }
    }
}

impl Base {
    /// The forecast of a quick model, and why it had to step in.
    pub fn stand_in(played: &Rehearsal, moment: Moment, why: &str) -> Self {
        Self {
            version: None,
            stand_in: Some(format!("{}: {why}", played.family)),
            degraded: None,
            forecast_start: moment.start,
            issued_at: moment.as_of,
            points: played.ahead.clone(),
        }
    }
}

/// A method made ready.
pub(super) struct Weighed {
    pub reconciler: Reconciler,
    pub copula: Copula,
    pub asked: Method,
    pub method: Method,
    /// Why it is not the one asked for.
    pub fallback: Option<String>,
}

/// Reconciles every step and dresses the answer.
pub(super) fn assemble(
    parts: &Parts,
    bases: &[Base],
    weighed: &Weighed,
    past: &Past,
    moment: Moment,
    drawn: &QuantileLevels,
    wanted: &QuantileLevels,
) -> Result<Reconciled> {
    let root = &parts.series[0].0;
    let above_zero =
        |base: &Base| base.points.iter().all(|p| p.mean >= 0.0 && p.quantiles.iter().all(|&q| q >= 0.0));
    let non_negative = root.kind.is_non_negative() && bases.iter().all(above_zero);
    let names: Vec<String> = wanted.as_slice().iter().map(f64::to_string).collect();
    let mut series: Vec<ReconciledSeries> =
        bases.iter().enumerate().map(|(place, base)| dress(parts, place, base, moment.steps)).collect();
    let mut gap = 0.0;
    for i in 0..moment.steps {
        let singles: Vec<Vec<f32>> =
            bases.iter().map(|base| base.points[i].quantiles.iter().map(|&q| q as f32).collect()).collect();
        let base = BaseStep {
            means: bases.iter().map(|base| base.points[i].mean).collect(),
            quantiles: singles.iter().map(Vec::as_slice).collect(),
            levels: drawn.as_slice(),
        };
        gap += parts.tree.gaps(&base.means).iter().map(|gap| gap.abs()).sum::<f64>();
        let step: Step =
            reconcile_step(&weighed.reconciler, &weighed.copula, &base, wanted.as_slice(), non_negative)?;
        for (place, one) in series.iter_mut().enumerate() {
            one.points.push(ReconciledPoint {
                valid_time: bases[place].points[i].valid_time,
                base_mean: base.means[place],
                mean: step.means[place],
                quantiles: names.iter().cloned().zip(step.quantiles[place].iter().copied()).collect(),
            });
        }
    }
    let errors = PastErrors {
        source: past.source,
        steps: past.errors.rows(),
        shrinkage: weighed.reconciler.shrinkage(),
    };
    Ok(Reconciled {
        parent: root.name.clone(),
        unit: root.unit.clone(),
        forecast_start: moment.start,
        issued_at: moment.as_of,
        asked: weighed.asked,
        method: weighed.method,
        degraded: degraded(bases, weighed, past),
        errors,
        samples: weighed.copula.samples(),
        non_negative,
        base_gap: gap / (moment.steps * parts.tree.inner().len()).max(1) as f64,
        series,
        left_out: parts.left_out.clone(),
    })
}

/// A series without its points.
fn dress(parts: &Parts, place: usize, base: &Base, steps: usize) -> ReconciledSeries {
    ReconciledSeries {
        series: parts.name(place).clone(),
        parent: parts.parents[place].map(|parent| parts.name(parent).clone()),
        model_version: base.version.clone(),
        stand_in: base.stand_in.clone(),
        degraded: base.degraded.clone(),
        points: Vec::with_capacity(steps),
    }
}

/// Every fallback in one line.
fn degraded(bases: &[Base], weighed: &Weighed, past: &Past) -> Option<String> {
    let mut reasons: Vec<String> = weighed.fallback.iter().cloned().collect();
    if past.errors.rows() == 0 {
        let why = past.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        reasons.push(format!("no joint past errors, so parts are drawn independently{why}"));
    }
    let count = |of: &dyn Fn(&Base) -> bool| bases.iter().filter(|base| of(base)).count();
    let (stood_in, worse) = (count(&|base| base.stand_in.is_some()), count(&|base| base.degraded.is_some()));
    if stood_in > 0 {
        let total = bases.len();
        reasons.push(format!("{stood_in} of {total} series have no usable champion and are stood in for"));
    }
    if worse > 0 {
        reasons.push(format!("{worse} base forecasts are degraded"));
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
