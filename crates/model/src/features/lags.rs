//! The target's own past: the same clock time of earlier days and weeks, the newest values, level and spread.

use super::spec::{LEVEL_DAYS, SPARE_WEEKS};
use super::{Cells, Context, FeatureSpec, Origin, Row, View};

/// Days before the origin among which days that live like the row's are looked for: two of each kind of week day.
pub(super) const LIKE_DAYS: usize = 15;
/// Lags on days that live like the row's.
const LIKE: usize = 2;

/// Newest values at the grid's last instants before the origin.
const LAST: usize = 3;

pub(super) fn names(spec: &FeatureSpec, names: &mut Vec<String>) {
    names.extend((1..=spec.weeks()).map(|i| format!("lag_week_{i}")));
    names.extend((1..=spec.days()).map(|i| format!("lag_day_{i}")));
    names.extend((1..=LIKE).map(|i| format!("lag_like_{i}")));
    names.push("like_days_back".to_owned());
    names.extend(
        ["lag_day_1_before", "lag_day_1_after", "same_time_mean_7d", "same_time_mean_4w"].map(String::from),
    );
    if spec.recent {
        names.extend((1..=LAST).map(|i| format!("last_{i}")));
        let rest = [
            "last_known",
            "last_known_age_hours",
            "mean_24h",
            "std_24h",
            "min_24h",
            "max_24h",
            "mean_168h",
            "std_168h",
            "day_vs_week",
        ];
        names.extend(rest.map(String::from));
    }
}

/// What all rows of an origin share.
#[derive(Debug)]
pub(super) struct Recent([f32; LAST + 9]);

impl Recent {
    pub(super) fn new(context: &Context<'_>, origin: &Origin) -> Self {
        let (target, per_day) = (&context.target, context.per_day);
        let known = |back: i64| target.get(origin.index - back, origin.time);
        let mut cells = [f32::NAN; LAST + 9];
        (0..LAST).for_each(|i| cells[i] = known(i as i64 + 1));
        if let Some((back, value)) = last_known(target, origin, 2 * per_day) {
            cells[LAST] = value;
            let age = origin.time.micros_since(context.time(origin.index - back));
            cells[LAST + 1] = (age as f64 / 3.6e9) as f32;
        }
        let day = Summary::of((1..=per_day).rev().map(known));
        let week = Summary::of((1..=7 * per_day).rev().map(known));
        let rest = [day.mean, day.std, day.min, day.max, week.mean, week.std, day.mean - week.mean];
        cells[LAST + 2..].copy_from_slice(&rest);
        Self(cells)
    }
}

/// The newest known value within `steps` before the origin and how many steps back it lies.
pub(super) fn last_known(view: &View<'_>, origin: &Origin, steps: i64) -> Option<(i64, f32)> {
    (1..=steps)
        .map(|back| (back, view.get(origin.index - back, origin.time)))
        .find(|(_, value)| !value.is_nan())
}

/// Mean, population standard deviation and extremes of the known values; NaN when there are none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Summary {
    pub mean: f32,
    pub std: f32,
    pub min: f32,
    pub max: f32,
}

impl Summary {
    pub(super) fn of(values: impl Iterator<Item = f32>) -> Self {
        let (mut count, mut mean, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
        let (mut min, mut max) = (f32::NAN, f32::NAN);
        for value in values.filter(|v| !v.is_nan()) {
            // Welford (1962): a level of gigawatts must not swallow a spread of kilowatts.
            count += 1.0;
            let delta = f64::from(value) - mean;
            mean += delta / count;
            squares += delta * (f64::from(value) - mean);
            (min, max) = (min.min(value), max.max(value));
        }
        if count == 0.0 {
            (mean, squares) = (f64::NAN, f64::NAN);
        }
        Self { mean: mean as f32, std: (squares / count).sqrt() as f32, min, max }
    }
}

/// The mean of the known values; NaN when there are none.
pub(super) fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (count, sum) = values
        .filter(|v| !v.is_nan())
        .fold((0.0_f64, 0.0_f64), |(count, sum), v| (count + 1.0, sum + f64::from(v)));
    if count == 0.0 { f32::NAN } else { (sum / count) as f32 }
}

/// The fewest multiples of `period` days that lead from the row to an instant before its origin.
pub(super) fn first_before(context: &Context<'_>, row: &Row, period: i64) -> i64 {
    let mut multiple = (i64::from(row.lead) / (period * context.per_day)).max(1);
    // A change of clocks moves the instant by hours, so this ends after two turns; a skipped day adds one.
    while context.days_before(row, multiple * period) >= row.origin_index {
        multiple += 1;
    }
    multiple
}

/// Civil days back from the row to the days before the origin that live like its own, newest first: after a holiday
/// the last working day, for a holiday the last Sunday.
pub(super) fn like_days<'a>(context: &'a Context<'_>, row: &Row<'_>) -> impl Iterator<Item = i64> + 'a {
    let (first, day, class) = (row.first_day, row.local.day, row.day.class);
    let lives_alike =
        move |back: &i64| i32::try_from(*back).is_ok_and(|back| context.days.get(day - back).class == class);
    (first..first + LIKE_DAYS as i64).filter(lives_alike)
}

pub(super) fn row(context: &Context<'_>, recent: &Recent, row: &Row, cells: &mut Cells<'_>) {
    let (spec, target) = (context.spec, &context.target);
    let mut weeks = [f32::NAN; super::spec::WEEK_LAGS_MAX as usize];
    let weeks = &mut weeks[..spec.weeks()];
    let first_week = first_before(context, row, 7);
    let tries = (weeks.len() + SPARE_WEEKS) as i64;
    (first_week..first_week + tries)
        .map(|week| target.get(context.days_before(row, 7 * week), row.origin))
        .filter(|value| !value.is_nan())
        .zip(weeks.iter_mut())
        .for_each(|(value, cell)| *cell = value);
    weeks.iter().for_each(|&v| cells.put(v));

    let first_day = row.first_day;
    let day = |j: usize| target.get(context.days_before(row, first_day + j as i64), row.origin);
    (0..spec.days()).for_each(|j| cells.put(day(j)));
    let mut like = [f32::NAN; LIKE];
    like_days(context, row)
        .map(|back| target.get(context.days_before(row, back), row.origin))
        .filter(|value| !value.is_nan())
        .zip(like.iter_mut())
        .for_each(|(value, cell)| *cell = value);
    like.iter().for_each(|&v| cells.put(v));
    cells.put(row.like_day as f32);
    let before_origin = |index: i64| {
        if index < row.origin_index { target.get(index, row.origin) } else { f32::NAN }
    };
    let yesterday = context.days_before(row, first_day);
    cells.put(before_origin(yesterday - 1));
    cells.put(before_origin(yesterday + 1));
    cells.put(mean((0..LEVEL_DAYS).map(day)));
    cells.put(mean(weeks.iter().copied()));
    if spec.recent {
        recent.0.iter().for_each(|&v| cells.put(v));
    }
}
