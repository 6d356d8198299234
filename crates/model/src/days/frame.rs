//! Whole days as rows: everything known at a forecast start beside the whole day that followed.

mod candidates;
mod fill;

use std::ops::Range;

use forewatt_domain::Time;
use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_HOUR};
use ndarray::{Array2, ArrayView1, ArrayView2, s};
use serde::{Deserialize, Serialize};

use crate::groups::steps_per_day;
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::predict::ModelError;

/// Days back whose whole course is an input.
const PAST_DAYS: [u8; 4] = [1, 2, 3, 7];
/// More values a day than this are averaged to fewer inputs.
const BINS_MAX: usize = 48;
/// Covariates are averaged over longer and longer stretches until they make no more inputs than this.
const COVARIATE_INPUTS_MAX: usize = 720;
/// Forecasts of more values than this are not made of whole days.
pub const OUTPUTS_MAX: usize = 400;
/// Calendar columns of a day that a linear model can use as they are.
const WEEKDAYS: [&str; 11] = [
    "weekday_0",
    "weekday_1",
    "weekday_2",
    "weekday_3",
    "weekday_4",
    "weekday_5",
    "weekday_6",
    "holiday",
    "bridge",
    "before_holiday",
    "after_holiday",
];
/// The season, and the level of the week before.
const SEASONS: [&str; 4] = ["day_of_year_sin", "day_of_year_cos", "day_of_year_sin_2", "day_of_year_cos_2"];

/// What a wind series is given of a wind ahead, beside its components.
const WINDS: [&str; 2] = [":speed", ":power_around"];

/// What an input says, for models that weigh their kinds differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// The target so many days earlier.
    Past(u8),
    /// The target on the newest day that lived alike.
    Like,
    /// A covariate known ahead: 0 for the day forecast, 1 and 7 for the same time one and seven days earlier.
    Ahead(u8),
    /// The weekday and holidays.
    Weekday,
    /// The time of the year.
    Season,
    /// Summaries that follow from the other inputs.
    Extra,
    /// What only those are given who choose among their inputs.
    Candidate,
}

/// Where the inputs and outputs of a day stand in the rows of a forecast start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    per_day: usize,
    steps: usize,
    /// Columns of the matrix the layout was made for.
    columns: Vec<String>,
    parts: Vec<Part>,
    inputs: usize,
}

/// A few neighbouring inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Part {
    role: Role,
    kind: PartKind,
    /// Place of its first input.
    first: usize,
    count: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum PartKind {
    /// A column over the steps up to `steps`, so many steps averaged into one input.
    Course { column: usize, steps: usize, bin: usize },
    /// A column in the middle of a day of the horizon.
    Middle { column: usize, day: usize },
    /// Least, greatest and mean value of an earlier part.
    Summary { part: usize },
    /// One part minus another, with least and greatest.
    Difference { left: usize, right: usize },
    /// Differences of neighbouring values of an earlier part.
    Ramp { part: usize },
    /// Sines and cosines of multiples of the angle whose own the columns hold.
    Harmonics { sin: usize, cos: usize },
    /// As a course, of what lies beyond a bend.
    Hinge { column: usize, steps: usize, bin: usize, beyond: f32 },
}

/// Days with everything known of them.
#[derive(Debug, Clone)]
pub struct DayFrame {
    /// The rows the days were made of, for models that read single rows.
    pub data: TrainingSet,
    /// The rows of each day.
    pub rows: Vec<Range<usize>>,
    /// The output of every row.
    pub output_of: Vec<usize>,
    /// No learner may look back further than so many days.
    pub window: usize,
    /// Forecast starts, rising.
    pub origins: Vec<Time>,
    /// `days x inputs`; NaN where unknown.
    pub inputs: Array2<f32>,
    /// How many of the inputs, the last ones, are candidates.
    pub candidates: usize,
    /// `days x outputs`; NaN where unknown or not to be learned from.
    pub targets: Array2<f32>,
}

impl Layout {
    /// The layout for forecasts like those of `features`.
    ///
    /// # Errors
    /// [`ModelError::Unsuited`] for horizons of more than [`OUTPUTS_MAX`] steps.
    pub fn new(features: &FeatureMatrix) -> Result<Self, ModelError> {
        let per_day = steps_per_day(&features.keys) as usize;
        let steps = features.keys.iter().map(|key| key.lead as usize + 1).max().unwrap_or(1);
        if steps > OUTPUTS_MAX {
            let what = format!(
                "{steps} steps ahead are too many for a model of whole days: it answers at most {OUTPUTS_MAX}; \
                 choose a shorter horizon or another family"
            );
            return Err(ModelError::Unsuited { what });
        }
        let mut layout = Self { per_day, steps, columns: features.names.clone(), parts: vec![], inputs: 0 };
        layout.add_past();
        let aheads = layout.add_covariates();
        layout.add_calendar();
        layout.add_extras(&aheads);
        layout.add_candidates(&aheads);
        Ok(layout)
    }

    /// How many inputs a day has.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many inputs all learners have: the first ones; the candidates follow.
    #[must_use]
    pub fn common(&self) -> usize {
        let candidates = self.parts.iter().filter(|part| part.role == Role::Candidate);
        self.inputs - candidates.map(|part| part.count).sum::<usize>()
    }

    /// The columns of the matrix it was made for.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many outputs a day has: the steps of the horizon.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.steps
    }

    /// Steps in a day.
    #[must_use]
    pub fn per_day(&self) -> usize {
        self.per_day
    }

    /// Days until the values of a day are all known, counted from the first forecast start after it.
    #[must_use]
    pub fn lag(&self) -> usize {
        self.steps.div_ceil(self.per_day).max(1) - 1
    }

    /// What every input says.
    #[must_use]
    pub fn roles(&self) -> Vec<Role> {
        self.parts.iter().flat_map(|part| std::iter::repeat_n(part.role, part.count)).collect()
    }

    /// The output a row is about. Over whole days it is the time on the clock, so that a day after a change of the
    /// clocks keeps its shape; over parts of a day it is the lead time.
    #[must_use]
    pub fn output(&self, key: &RowKey) -> usize {
        let lead = (key.lead as usize).min(self.steps - 1);
        if self.steps.is_multiple_of(self.per_day) {
            lead / self.per_day * self.per_day + usize::from(key.slot_of_day).min(self.per_day - 1)
        } else {
            lead
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut next = 0;
        let in_place = self.parts.iter().enumerate().all(|(p, part)| {
            let starts = part.first == next;
            next += part.count;
            let column = |c: usize| c < self.columns.len();
            let earlier = |other: usize| other < p;
            let kind = match part.kind {
                PartKind::Course { column: c, bin, .. } | PartKind::Hinge { column: c, bin, .. } => {
                    column(c) && bin > 0
                }
                PartKind::Middle { column: c, .. } => column(c) && part.count == 1,
                PartKind::Summary { part: other } => earlier(other) && part.count == 3,
                PartKind::Difference { left, right } => earlier(left) && earlier(right) && part.count >= 2,
                PartKind::Ramp { part } => earlier(part),
                PartKind::Harmonics { sin, cos } => column(sin) && column(cos),
            };
            starts && kind
        });
        in_place
            && next == self.inputs
            && (1..=OUTPUTS_MAX).contains(&self.steps)
            && (1..=1440).contains(&self.per_day)
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    fn add(&mut self, role: Role, kind: PartKind, count: usize) -> usize {
        self.parts.push(Part { role, kind, first: self.inputs, count });
        self.inputs += count;
        self.parts.len() - 1
    }

    /// A column's course over `steps` steps, averaged to bins of `bin` steps.
    fn add_course(&mut self, role: Role, name: &str, steps: usize, bin: usize) -> Option<usize> {
        let column = self.column(name)?;
        Some(self.add(role, PartKind::Course { column, steps, bin }, steps.div_ceil(bin)))
    }

    fn add_past(&mut self) {
        let (steps, bin) = (self.steps.min(self.per_day), self.per_day.div_ceil(BINS_MAX));
        for days in PAST_DAYS {
            self.add_course(Role::Past(days), &format!("lag_day_{days}"), steps, bin);
        }
        self.add_course(Role::Like, "lag_like_1", steps, bin);
    }

    /// Adds every covariate and returns the parts that hold those known ahead for the day forecast.
    fn add_covariates(&mut self) -> Vec<usize> {
        let bare = |name: &&String| name.starts_with("cov:");
        let names: Vec<String> = self.columns.iter().filter(bare).cloned().collect();
        let ahead: Vec<&String> =
            names.iter().filter(|name| names.contains(&format!("{name}:day_before"))).collect();
        let past: Vec<&String> = names.iter().filter(|name| name.ends_with(":lag_day_1")).collect();
        let day = self.steps.min(self.per_day);
        let values = ahead.len() * (self.steps + 2 * day) + past.len() * day;
        let bin = self.per_day.div_ceil(BINS_MAX).max(values.div_ceil(COVARIATE_INPUTS_MAX));
        let mut parts = Vec::new();
        for name in ahead {
            parts.extend(self.add_course(Role::Ahead(0), name, self.steps, bin));
            self.add_course(Role::Ahead(1), &format!("{name}:day_before"), day, bin);
            self.add_course(Role::Ahead(7), &format!("{name}:week_before"), day, bin);
            self.add_course(Role::Extra, &format!("{name}:like_day"), day, 2 * bin);
            for degrees in ["heating", "cooling"] {
                self.add_course(Role::Extra, &format!("{name}:{degrees}"), self.steps, 2 * bin);
            }
        }
        for name in past {
            self.add_course(Role::Past(1), name, day, bin);
        }
        // The curves of a wind, not only its components: what they are between past days says nothing more.
        let is_wind =
            |name: &&String| name.starts_with("wind:") && WINDS.iter().any(|end| name.ends_with(end));
        let winds: Vec<String> = self.columns.iter().filter(is_wind).cloned().collect();
        for name in winds {
            self.add_course(Role::Ahead(0), &name, self.steps, bin);
        }
        parts
    }

    fn add_calendar(&mut self) {
        for day in 0..self.steps.div_ceil(self.per_day) {
            for name in WEEKDAYS {
                if let Some(column) = self.column(name) {
                    self.add(Role::Weekday, PartKind::Middle { column, day }, 1);
                }
            }
        }
        for name in SEASONS {
            if let Some(column) = self.column(name) {
                self.add(Role::Season, PartKind::Middle { column, day: 0 }, 1);
            }
        }
    }

    fn add_extras(&mut self, aheads: &[usize]) {
        if let Some(column) = self.column("mean_168h") {
            self.add(Role::Extra, PartKind::Middle { column, day: 0 }, 1);
        }
        let summarised = |role: Role| matches!(role, Role::Past(1) | Role::Ahead(_));
        let courses: Vec<usize> = (0..self.parts.len())
            .filter(|&p| summarised(self.parts[p].role) && self.parts[p].count > 3)
            .collect();
        for part in courses {
            self.add(Role::Extra, PartKind::Summary { part }, 3);
        }
        if let [left, right, ..] = *aheads {
            let count = self.parts[left].count;
            self.add(Role::Extra, PartKind::Difference { left, right }, count + 2);
        }
    }

    /// Inputs of every forecast start of a matrix that has the layout's columns, and the rows of each start.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] when a column is missing.
    pub fn read(&self, features: &FeatureMatrix) -> Result<Vec<Day>, ModelError> {
        let features = features.with_columns(&self.columns)?;
        let mut days: Vec<Day> = Vec::new();
        let mut start = 0;
        for keys in features.keys.chunk_by(|a, b| a.origin == b.origin) {
            let span = start..start + keys.len();
            start = span.end;
            let rows: Vec<(&RowKey, &[f32])> =
                span.clone().map(|i| (&features.keys[i], features.row(i))).collect();
            let mut inputs = vec![f32::NAN; self.inputs];
            self.fill(&rows, &mut inputs);
            days.push(Day { origin: keys[0].origin, rows: span, inputs });
        }
        Ok(days)
    }
}

/// What a model is asked about one day.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The day's inputs.
    pub inputs: Vec<f32>,
    /// How many values the answer has.
    pub outputs: usize,
    /// The output and the features of every row.
    pub rows: Vec<(usize, &'a [f32])>,
    /// What the rows are about.
    pub keys: &'a [RowKey],
}

/// The inputs of one forecast start and its rows in the matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    /// The forecast start.
    pub origin: Time,
    /// Its rows.
    pub rows: Range<usize>,
    /// What was known.
    pub inputs: Vec<f32>,
}

impl DayFrame {
    /// The days of a training set in a layout made for its features.
    ///
    /// # Errors
    /// As [`Layout::read`].
    pub fn new(layout: &Layout, data: TrainingSet) -> Result<Self, ModelError> {
        let days = layout.read(&data.features)?;
        let output_of: Vec<usize> = data.features.keys.iter().map(|key| layout.output(key)).collect();
        let mut inputs = Array2::from_elem((days.len(), layout.inputs()), f32::NAN);
        let mut targets = Array2::from_elem((days.len(), layout.outputs()), f32::NAN);
        for (d, day) in days.iter().enumerate() {
            inputs.row_mut(d).assign(&ArrayView1::from(&day.inputs));
            for i in day.rows.clone() {
                // A day of 23 hours ends with the first hour of the next day, whose place is taken.
                let place = &mut targets[(d, output_of[i])];
                if place.is_nan() {
                    *place = data.target[i];
                }
            }
        }
        let origins = days.iter().map(|day| day.origin).collect();
        let rows = days.into_iter().map(|day| day.rows).collect();
        let candidates = layout.inputs() - layout.common();
        Ok(Self { data, rows, output_of, window: usize::MAX, origins, inputs, candidates, targets })
    }

    /// The last `window` days before `end`, or as many as may be learned from.
    #[must_use]
    pub fn span(&self, end: usize, window: usize) -> Range<usize> {
        end.saturating_sub(window.min(self.window))..end
    }

    /// The inputs that all learners have.
    #[must_use]
    pub fn common(&self) -> ArrayView2<'_, f32> {
        self.inputs.slice(s![.., ..self.inputs.ncols() - self.candidates])
    }

    /// The question the day at `day` asks.
    #[must_use]
    pub fn question(&self, day: usize) -> Question<'_> {
        let rows = self.rows[day].clone();
        Question {
            inputs: self.inputs.row(day).to_vec(),
            outputs: self.targets.ncols(),
            rows: rows.clone().map(|i| (self.output_of[i], self.data.features.row(i))).collect(),
            keys: &self.data.features.keys[rows],
        }
    }

    /// The first day whose forecast start is not before `time`.
    #[must_use]
    pub fn day_at(&self, time: Time) -> usize {
        self.origins.partition_point(|&origin| origin < time)
    }

    /// How many days there are.
    #[must_use]
    pub fn days(&self) -> usize {
        self.origins.len()
    }
}

/// Whether forecast starts lie whole days apart, give or take the hour of a change of the clocks.
#[must_use]
pub fn is_daily(origins: &[Time]) -> bool {
    origins.windows(2).all(|pair| {
        let off = pair[1].micros_since(pair[0]).rem_euclid(MICROS_PER_DAY);
        off <= MICROS_PER_HOUR || off >= MICROS_PER_DAY - MICROS_PER_HOUR
    })
}

#[cfg(test)]
pub(super) mod tests;
