//! What if a covariate were different: the same forecast twice, once with other inputs. Nothing of it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use forewatt_domain::{Forecast, Observation, SeriesName, Time};
use forewatt_model::dataset::{Column, CovariateColumn, Dataset};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::forecast::{ForecastRequest, Plan, predict};
use crate::series::nearest;
use crate::{Service, answer, blocking};

/// How a covariate is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Every known value times `scale`, plus `add`.
    Shift {
        /// In the covariate's unit.
        add: f64,
        /// 1 leaves it alone.
        scale: f64,
    },
    /// Other values, by valid time; each holds for one step of the covariate or of the target, the longer one.
    Values(BTreeMap<Time, f64>),
}

/// One covariate, changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    /// Which.
    pub covariate: SeriesName,
    /// How.
    pub change: Change,
    /// First valid time changed; the forecast start when absent.
    pub from: Option<Time>,
    /// First valid time not changed; the end of what the forecast reads when absent.
    pub to: Option<Time>,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIfRequest {
    /// Which forecast; its threshold does not matter.
    pub forecast: ForecastRequest,
    /// What would be different; at least one.
    pub overrides: Vec<Override>,
}

/// Two forecasts side by side; the changed one is hypothetical.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhatIf {
    /// Always true: nobody should take the changed values for a forecast.
    pub hypothetical: bool,
    /// The same in words.
    pub note: &'static str,
    /// Whose future.
    pub series: String,
    /// The unit of every value.
    pub unit: String,
    /// Which version answers.
    pub model_version: String,
    /// The start of the first period.
    pub forecast_start: Time,
    /// The instant of knowledge.
    pub issued_at: Time,
    /// Why the forecast without changes is not what it should be; none when all is well.
    pub degraded: Option<String>,
    /// What was changed.
    pub overrides: Vec<Applied>,
    /// Sums over the points.
    pub total: Difference,
    /// One a valid time.
    pub points: Vec<WhatIfPoint>,
}

const NOTE: &str = "hypothetical: `changed` is what the model would say of other inputs; it is not a forecast and was not kept";

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Applied {
    /// Which covariate.
    pub covariate: String,
    /// First valid time changed.
    pub from: Time,
    /// First valid time not changed.
    pub to: Time,
    /// How many of the target's steps have another value now.
    pub steps: usize,
    /// Mean of their known values before; none where none was known.
    pub mean_before: Option<f64>,
    /// Their mean now.
    pub mean_after: f64,
}

/// Expected values with and without the change.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// As forecast.
    pub base: f64,
    /// With the change.
    pub changed: f64,
    /// `changed - base`.
    pub difference: f64,
}

/// One valid time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WhatIfPoint {
    /// The start of the period it is about.
    pub valid_time: Time,
    /// The expected values.
    #[serde(flatten)]
    pub mean: Difference,
    /// Quantiles as forecast, by level.
    pub base_quantiles: BTreeMap<String, f64>,
    /// Quantiles with the change, by level.
    pub changed_quantiles: BTreeMap<String, f64>,
}

impl Service {
    /// Forecasts twice: as it is, and with covariates changed. The answer is neither cached nor kept as issued.
    ///
    /// # Errors
    /// As [`Service::forecast`]; `InvalidInput` for a covariate the model does not read (with those it does), a
    /// change that is no number or touches nothing; `TooLarge` beyond `explain.overrides_max` or
    /// `explain.override_values_max`.
    pub async fn whatif(&self, request: &WhatIfRequest) -> Result<WhatIf> {
        self.check_size(&request.overrides)?;
        let plan = self.plan(&request.forecast).await?;
        check_names(&plan, &request.overrides)?;
        let dataset = self.load_inputs(&plan, None).await?;
        let mut changed = dataset.clone();
        let mut applied = Vec::with_capacity(request.overrides.len());
        for change in &request.overrides {
            applied.push(apply(&mut changed, change, &plan)?);
        }
        let (model, start) = (Arc::clone(&plan.model), plan.origin());
        let (base, other) = blocking(move || {
            Ok::<_, Error>((predict(&dataset, &model, start)?, predict(&changed, &model, start)?))
        })
        .await??;
        let floor = plan.model.artifact.model.floor().map(f64::from);
        let cut =
            |forecast: &Forecast| answer::cut(forecast, floor, &plan.levels, plan.steps(), None, plan.rung());
        let base = cut(&self.issue(&plan, base)?)?.forecast;
        let other = cut(&self.issue(&plan, other)?)?.forecast;
        Ok(side_by_side(base, &other, applied))
    }

    fn check_size(&self, overrides: &[Override]) -> Result<()> {
        let limits = &self.config.explain;
        if overrides.len() > limits.overrides_max {
            let message =
                format!("{} covariates are changed, the limit is {}", overrides.len(), limits.overrides_max);
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let count = |change: &Override| match &change.change {
            Change::Shift { .. } => 0,
            Change::Values(values) => values.len(),
        };
        let (values, max) = (overrides.iter().map(count).sum::<usize>(), limits.override_values_max);
        if values > max {
            let message =
                format!("{values} values are set, the limit is {max}: use `add` or `scale`, or set fewer");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }
}

/// Every covariate is one the model reads and named once.
fn check_names(plan: &Plan, overrides: &[Override]) -> Result<()> {
    let (id, known) = (&plan.model.version.id, &plan.model.version.recipe.covariates);
    if known.is_empty() {
        let message = format!("`{id}` reads no covariates: train a version with some to ask what if");
        return Err(Error::invalid(message));
    }
    let names = || known.iter().map(|covariate| covariate.series.as_str());
    let list = names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if overrides.is_empty() {
        return Err(Error::invalid(format!("nothing is changed: change one of what `{id}` reads: {list}")));
    }
    let mut seen = BTreeSet::new();
    for change in overrides {
        let name = &change.covariate;
        if known.iter().all(|covariate| covariate.series != *name) {
            let near = nearest(name.as_str(), names());
            let hint = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            return Err(Error::invalid(format!("`{id}` does not read `{name}`; it reads {list}{hint}")));
        }
        if !seen.insert(name) {
            return Err(Error::invalid(format!("`{name}` is changed twice: say all of it in one change")));
        }
    }
    Ok(())
}

/// Changes one covariate and says what that came to.
fn apply(dataset: &mut Dataset, change: &Override, plan: &Plan) -> Result<Applied> {
    let name = &change.covariate;
    let Some(covariate) = dataset.covariates.iter_mut().find(|c| c.series.name == *name) else {
        return Err(Error::internal(format!("the covariate `{name}` was not loaded")));
    };
    let (from, to) = window(covariate, change, plan)?;
    let (grid, start) = (covariate.column.grid(), plan.origin());
    let set = set_values(covariate, &change.change, (from, to))?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut observations = Vec::with_capacity(grid.len);
    for (slot, valid_time) in grid.times().enumerate() {
        let known = f64::from(covariate.column.as_of(slot, start));
        let inside = (from..to).contains(&valid_time);
        let value = match &change.change {
            _ if !inside => known,
            Change::Shift { add, scale } => known * scale + add,
            Change::Values(_) => set.get(&slot).copied().unwrap_or(known),
        };
        let touched = inside && value.is_finite() && (value - known).abs() != 0.0;
        if touched {
            before.push(known);
            after.push(value);
        }
        if value.is_finite() {
            // One forecast from one start: all that is known counts as known at the start.
            observations.push(Observation { valid_time, available_at: start, value });
        }
    }
    if after.is_empty() {
        let message = format!(
            "the change of `{name}` touches nothing: no values of it are known from {from} to before {to}, or they stay the same; give `values`, or another window"
        );
        return Err(Error::invalid(message));
    }
    covariate.column = Column::new(grid, &observations).0;
    let known: Vec<f64> = before.into_iter().filter(|value| value.is_finite()).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    Ok(Applied {
        covariate: name.to_string(),
        from,
        to,
        steps: after.len(),
        mean_before: (!known.is_empty()).then(|| tidy(mean(&known))),
        mean_after: tidy(mean(&after)),
    })
}

/// The valid times changed.
fn window(covariate: &CovariateColumn, change: &Override, plan: &Plan) -> Result<(Time, Time)> {
    let (name, start) = (&change.covariate, plan.start());
    let from = change.from.unwrap_or(start);
    let to = change.to.unwrap_or_else(|| plan.inputs_end());
    if to <= from {
        let message = format!("the change of `{name}` ends ({to}) before it begins ({from})");
        return Err(Error::invalid(message));
    }
    let read_until = plan.origin();
    if !covariate.known_ahead && from >= read_until {
        let message = format!(
            "of `{name}` only the past is read: change it before {read_until}, where the forecast was made, with `from`"
        );
        return Err(Error::invalid(message));
    }
    Ok((from, to))
}

/// Values by slot of the target's grid.
fn set_values(
    covariate: &CovariateColumn,
    change: &Change,
    (from, to): (Time, Time),
) -> Result<BTreeMap<usize, f64>> {
    let name = &covariate.series.name;
    let grid = covariate.column.grid();
    let mut set = BTreeMap::new();
    match change {
        Change::Shift { add, scale } if !(add.is_finite() && scale.is_finite()) => {
            return Err(Error::invalid(format!("`add` and `scale` of `{name}` must be finite numbers")));
        }
        Change::Shift { .. } => {}
        Change::Values(values) => {
            let holds = covariate.series.resolution.max(grid.step).micros() / grid.step.micros();
            for (&time, &value) in values {
                let inside = (from..to).contains(&time);
                let slot = grid.slot(time).filter(|_| inside && value.is_finite());
                let slot = slot.ok_or_else(|| {
                    Error::invalid(format!(
                        "the value {value} of `{name}` at {time} cannot be set: it must be finite, from {from} to before {to}, at an instant of the target's grid ({})",
                        grid.step
                    ))
                })?;
                set.extend((0..holds as usize).map(|step| (slot + step, value)));
            }
        }
    }
    Ok(set)
}

fn tidy(value: f64) -> f64 {
    answer::shortest(value as f32)
}

fn side_by_side(base: Forecast, changed: &Forecast, overrides: Vec<Applied>) -> WhatIf {
    let names: Vec<String> = base.levels.as_slice().iter().map(f64::to_string).collect();
    let by_level = |quantiles: &[f64]| names.iter().cloned().zip(quantiles.iter().copied()).collect();
    let difference = |base: f64, changed: f64| Difference { base, changed, difference: tidy(changed - base) };
    let pairs = base.points.iter().zip(&changed.points);
    let points: Vec<WhatIfPoint> = pairs
        .map(|(base, changed)| WhatIfPoint {
            valid_time: base.valid_time,
            mean: difference(base.mean, changed.mean),
            base_quantiles: by_level(&base.quantiles),
            changed_quantiles: by_level(&changed.quantiles),
        })
        .collect();
    let sum = |of: fn(&Difference) -> f64| tidy(points.iter().map(|point| of(&point.mean)).sum());
    WhatIf {
        hypothetical: true,
        note: NOTE,
        series: base.series.to_string(),
        unit: base.unit,
        model_version: base.model_version.to_string(),
        forecast_start: base.forecast_start,
        issued_at: base.issued_at,
        degraded: base.degraded,
        overrides,
        total: difference(sum(|d| d.base), sum(|d| d.changed)),
        points,
    }
}
