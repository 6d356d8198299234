//! The past as known at a cutoff, whole: what a model may learn from that no row of features holds.

use std::sync::Arc;

use forewatt_domain::{Family, Recipe, SeriesKind, Time};
use jiff::SignedDuration;

use super::rows::is_masked;
use super::weather::Scale;
use crate::dataset::{Column, CovariateColumn, Dataset};
use crate::days::model::is_far;
use crate::matrix::{Courses, Past};

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

/// The course of the target before `cutoff` and those of its peers, as known then; `None` for recipes whose models do
/// not ask.
///
/// Peers are the covariates of the target's kind of which only the past is known. Masked stretches (`from..to`) of
/// the target are unknown; nothing from before the recipe's training days is in it.
#[must_use]
pub fn courses(
    dataset: &Dataset,
    recipe: &Recipe,
    cutoff: Time,
    masked: &[(Time, Time)],
) -> Option<Arc<Courses>> {
    if recipe.family != Family::Windows {
        return None;
    }
    let begin = recipe.training_days.map(|days| cutoff - SignedDuration::from_hours(24 * i64::from(days)));
    let begin = begin.unwrap_or(Time::MIN);
    let is_masked = is_masked(masked);
    let own = course(&dataset.target, (begin, cutoff), &is_masked);
    let peer = |c: &&CovariateColumn| !c.known_ahead && c.series.kind == dataset.series.kind;
    let peers = dataset.covariates.iter().filter(peer);
    let peers = peers.map(|c| course(&c.column, (begin, cutoff), &|_| false));
    let season = dataset.step().steps_per_day();
    Some(Arc::new(Courses { season, courses: std::iter::once(own).chain(peers).collect() }))
}

/// The values of `from..cutoff` as known at the cutoff, from the first known on.
fn course(column: &Column, (from, cutoff): (Time, Time), is_masked: &dyn Fn(Time) -> bool) -> Vec<f32> {
    let grid = column.grid();
    let slots = (0..grid.len).filter(|&slot| (from..cutoff).contains(&grid.time(slot)));
    let value = |slot: usize| {
        if is_masked(grid.time(slot)) { f32::NAN } else { column.as_of(slot, cutoff) }
    };
    slots.map(value).skip_while(|value| value.is_nan()).collect()
}
