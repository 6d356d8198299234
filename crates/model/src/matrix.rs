//! The one matrix every model reads: a row per (forecast start, lead time), a column per feature.

use std::borrow::Cow;
use std::sync::Arc;

use forewatt_domain::Time;

use crate::predict::ModelError;

/// What a row is about, for models and calibration that need more than numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey {
    /// The forecast start: features know nothing that became available later.
    pub origin: Time,
    /// The start of the period forecast; `origin + lead * step`.
    pub valid_time: Time,
    /// Steps from `origin`, from 0.
    pub lead: u32,
    /// Step of the local day, 0 to steps per day - 1, by the clock on the wall.
    pub slot_of_day: u16,
    /// How the local day lives.
    pub day_class: DayClass,
    /// Local day of the year, 1 to 366.
    pub day_of_year: u16,
    /// The local date as days since 1970-01-01.
    pub local_day: i32,
}

/// How a day lives: what a seasonal model must not mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum DayClass {
    /// Monday to Friday, no holiday.
    Workday,
    /// Saturday, and working days squeezed between a holiday and a weekend.
    Saturday,
    /// Sunday and public holidays.
    Sunday,
}

impl DayClass {
    /// How many classes there are.
    pub const COUNT: usize = 3;

    /// 0, 1 or 2.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// Features of many rows, row-major `f32`, NaN where a value was not known.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureMatrix {
    /// Column names, in order; unique.
    pub names: Vec<String>,
    /// One key per row, ordered by origin and then by lead.
    pub keys: Vec<RowKey>,
    /// `keys.len() * names.len()` values.
    pub values: Vec<f32>,
    /// The course before every origin, for models that read it whole.
    pub windows: Option<Arc<Windows>>,
}

/// The course of the target before forecast starts, as known then.
#[derive(Debug, Clone, PartialEq)]
pub struct Windows {
    /// Values of each window.
    pub length: usize,
    /// The forecast starts, rising.
    pub origins: Vec<Time>,
    /// `origins.len() * length` values, the newest last; NaN where nothing was known.
    pub values: Vec<f32>,
}

impl Windows {
    /// The window before a forecast start; `None` when there is none.
    #[must_use]
    pub fn of(&self, origin: Time) -> Option<&[f32]> {
        let place = self.origins.binary_search(&origin).ok()?;
        Some(&self.values[place * self.length..(place + 1) * self.length])
    }
}

impl FeatureMatrix {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.keys.len()
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.names.len()
    }

    /// The features of row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.columns()..(i + 1) * self.columns()]
    }

    /// The position of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// The named columns in the given order: this matrix itself when they are all it has, a copy otherwise.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] naming the first column that is not there.
    pub fn with_columns(&self, names: &[String]) -> Result<Cow<'_, Self>, ModelError> {
        if self.names == names {
            return Ok(Cow::Borrowed(self));
        }
        let position = |name: &String| {
            self.column(name).ok_or_else(|| ModelError::MissingFeature { name: name.clone() })
        };
        let positions: Vec<usize> = names.iter().map(position).collect::<Result<_, _>>()?;
        let rows = (0..self.rows()).map(|i| self.row(i));
        let values = rows.flat_map(|row| positions.iter().map(|&c| row[c])).collect();
        let windows = self.windows.clone();
        Ok(Cow::Owned(Self { names: names.to_vec(), keys: self.keys.clone(), values, windows }))
    }

    /// A matrix of the given rows, in the given order.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.columns());
        rows.iter().for_each(|&i| values.extend_from_slice(self.row(i)));
        let keys = rows.iter().map(|&i| self.keys[i]).collect();
        Self { names: self.names.clone(), keys, values, windows: self.windows.clone() }
    }
}

/// Rows to learn from: features and the value each row should have foreseen.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSet {
    /// The features.
    pub features: FeatureMatrix,
    /// One finite value per row.
    pub target: Vec<f32>,
    /// The weather up to the time of learning, for models that ask what past years' weather would do.
    pub past: Option<Arc<Past>>,
    /// Whole courses up to the time of learning, for models that learn from any window of them.
    pub courses: Option<Arc<Courses>>,
}

/// Courses of series up to an instant, as known then.
#[derive(Debug, Clone, PartialEq)]
pub struct Courses {
    /// Steps of a day.
    pub season: usize,
    /// The target's first, then those of its peers; NaN where nothing was known.
    pub courses: Vec<Vec<f32>>,
}

/// The course of a temperature up to an instant, as known then.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// The start of the first period.
    pub start: Time,
    /// From one value to the next.
    pub step_micros: i64,
    /// One value a step, in degC; NaN where nothing was known.
    pub values: Vec<f32>,
}

impl TrainingSet {
    /// The rows whose index satisfies `keep`.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(usize) -> bool) -> Self {
        let rows: Vec<usize> = (0..self.features.rows()).filter(|&i| keep(i)).collect();
        self.filter_rows(&rows)
    }

    /// The given rows, in the given order.
    #[must_use]
    pub fn filter_rows(&self, rows: &[usize]) -> Self {
        Self {
            features: self.features.select(rows),
            target: rows.iter().map(|&i| self.target[i]).collect(),
            past: self.past.clone(),
            courses: self.courses.clone(),
        }
    }
}
