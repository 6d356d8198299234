//! Covariates: the vintage known at the origin for those known ahead, the newest past for the others.

use forewatt_domain::SeriesKind;

use super::lags::{first_before, last_known, mean};
use super::spec::CovariateSpec;
use super::weather::{Scale, degrees};
use super::{Cells, Context, FeatureSpec, Origin, Row, View};

const AHEAD: [&str; 8] =
    ["", ":before", ":after", ":day_mean", ":day_before", ":day_change", ":week_before", ":like_day"];
const TEMPERATURE: [&str; 3] = [":heating", ":cooling", ":mean_24h"];
const PAST: [&str; 4] = [":last", ":lag_day_1", ":lag_week_1", ":mean_24h"];

pub(super) fn names(spec: &FeatureSpec, names: &mut Vec<String>) {
    for covariate in &spec.covariates {
        let mut add = |suffixes: &[&str]| {
            names.extend(suffixes.iter().map(|suffix| format!("cov:{}{suffix}", covariate.series)));
        };
        match (covariate.known_ahead, covariate.kind) {
            (true, SeriesKind::Temperature) => {
                add(&AHEAD);
                add(&TEMPERATURE);
            }
            (true, _) => add(&AHEAD),
            (false, _) => add(&PAST),
        }
    }
}

/// What an origin knows of a covariate.
#[derive(Debug)]
pub(super) enum Known {
    /// Of one known ahead: its values around the horizon.
    Ahead(Window),
    /// Of one known only in the past: the last value and the mean of the last day.
    Past { last: f32, mean_24h: f32 },
}

impl Known {
    pub(super) fn new(
        context: &Context<'_>,
        covariate: &CovariateSpec,
        view: &View<'_>,
        origin: &Origin,
    ) -> Self {
        if covariate.known_ahead {
            return Self::Ahead(Window::new(context, view, origin));
        }
        let day = (1..=context.per_day).rev().map(|back| view.get(origin.index - back, origin.time));
        Self::Past {
            last: last_known(view, origin, 2 * context.per_day).map_or(f32::NAN, |(_, value)| value),
            mean_24h: mean(day),
        }
    }

    /// The value of one known ahead; NaN where there is none.
    pub(super) fn ahead(&self, index: i64) -> f32 {
        match self {
            Self::Ahead(window) => window.at(index),
            Self::Past { .. } => f32::NAN,
        }
    }
}

/// Values as known at one origin, with running sums so that every mean costs two reads.
#[derive(Debug)]
pub(super) struct Window {
    /// Index of the first value.
    first: i64,
    values: Vec<f32>,
    /// Sum and number of the known values before each place.
    sums: Vec<(f64, u32)>,
}

impl Window {
    /// From before the days that a like day is looked for among to a day after the horizon's end.
    fn new(context: &Context<'_>, view: &View<'_>, origin: &Origin) -> Self {
        let first = origin.index - (super::lags::LIKE_DAYS as i64 + 2) * context.per_day;
        let last = origin.index + context.steps as i64 + context.per_day;
        let values: Vec<f32> = (first..=last).map(|index| view.get(index, origin.time)).collect();
        let mut total = (0.0, 0);
        let mut sums = Vec::with_capacity(values.len() + 1);
        sums.push(total);
        for value in &values {
            if !value.is_nan() {
                total = (total.0 + f64::from(*value), total.1 + 1);
            }
            sums.push(total);
        }
        Self { first, values, sums }
    }

    fn at(&self, index: i64) -> f32 {
        let place = usize::try_from(index - self.first).ok();
        place.and_then(|i| self.values.get(i)).copied().unwrap_or(f32::NAN)
    }

    /// The mean of the known values from `from` to before `to`; NaN when there are none.
    fn mean(&self, from: i64, to: i64) -> f32 {
        let place = |index: i64| {
            let i = usize::try_from(index - self.first).unwrap_or(0).min(self.values.len());
            self.sums[i] // one entry more than values
        };
        let (start, end) = (place(from), place(to));
        if end.1 <= start.1 {
            return f32::NAN;
        }
        ((end.0 - start.0) / f64::from(end.1 - start.1)) as f32
    }
}

pub(super) fn row(context: &Context<'_>, known: &[Known], row: &Row, cells: &mut Cells<'_>) {
    for ((covariate, view), known) in context.spec.covariates.iter().zip(&context.covariates).zip(known) {
        match known {
            Known::Ahead(window) => ahead(context, covariate, window, row, cells),
            Known::Past { last, mean_24h } => {
                let week = first_before(context, row, 7);
                cells.put(*last);
                cells.put(view.get(context.days_before(row, row.first_day), row.origin));
                cells.put(view.get(context.days_before(row, 7 * week), row.origin));
                cells.put(*mean_24h);
            }
        }
    }
}

fn ahead(
    context: &Context<'_>,
    covariate: &CovariateSpec,
    window: &Window,
    row: &Row,
    cells: &mut Cells<'_>,
) {
    let value = window.at(row.index);
    let day_before = window.at(context.days_before(row, 1));
    let (start, end) = context.day_bounds(row.local.day);
    cells.put(value);
    cells.put(window.at(row.index - 1));
    cells.put(window.at(row.index + 1));
    cells.put(window.mean(start, end));
    cells.put(day_before);
    cells.put(value - day_before);
    cells.put(window.at(context.days_before(row, 7)));
    cells.put(window.at(context.days_before(row, row.like_day)));
    if covariate.kind == SeriesKind::Temperature {
        let (heating, cooling) = degrees(Scale::of(&covariate.unit).celsius(value));
        cells.put(heating);
        cells.put(cooling);
        cells.put(window.mean(row.index + 1 - context.per_day, row.index + 1));
    }
}
