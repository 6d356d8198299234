//! The temperature of the past as known at a cutoff: what a model may learn from that no row of features holds.

use std::sync::Arc;

use forewatt_domain::{Recipe, SeriesKind, Time};

use super::weather::Scale;
use crate::dataset::Dataset;
use crate::days::model::is_far;
use crate::matrix::Past;

/// The mean of a dataset's temperatures over everything before `cutoff`, as known then, in degC; `None` without
/// temperatures, and for recipes whose models do not ask.
///
/// A row of features knows the weather of its origin. A model of loads months ahead learns how the load followed the
/// weather, which at the time of learning is known for every row; nothing from the cutoff on is in it.
#[must_use]
pub fn past(dataset: &Dataset, recipe: &Recipe, cutoff: Time) -> Option<Arc<Past>> {
    let steps = recipe.horizon.steps();
    let far = is_far(steps, (steps as i64 - 1) * dataset.step().micros());
    if !recipe.family.asks_past_weather(far) {
        return None;
    }
    let temperatures: Vec<_> = dataset
        .covariates
        .iter()
        .filter(|c| c.series.kind == SeriesKind::Temperature && !c.column.is_empty())
        .map(|c| (Scale::of(&c.series.unit), &c.column))
        .collect();
    let start = temperatures.iter().map(|(_, column)| column.grid().start).min()?;
    let step = dataset.step().micros();
    let len = usize::try_from(cutoff.micros_since(start) / step).unwrap_or(0);
    let end = temperatures.iter().map(|(_, column)| column.grid().end()).max()?;
    let len = len.min(usize::try_from(end.micros_since(start) / step).unwrap_or(0));
    let mean = |slot: usize| {
        let time = start.plus_micros(slot as i64 * step);
        let known = temperatures
            .iter()
            .map(|(scale, column)| scale.celsius(column.value_at(time, cutoff)))
            .filter(|value| value.is_finite());
        let (sum, count) = known.fold((0.0, 0.0_f32), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    };
    Some(Arc::new(Past { start, step_micros: step, values: (0..len).map(mean).collect() }))
}
