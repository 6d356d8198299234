//! What connectors read out of an answer, and what no honest answer holds.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Location, Resolution, Time};

use super::units;
use crate::error::{Error, Result};

/// Values of one column.
pub(super) const POINTS_MAX: usize = 100_000;
/// No forecast reaches further.
const AHEAD_MICROS_MAX: i64 = 400 * MICROS_PER_DAY;

/// A whole answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Document {
    /// Why it is empty, when the source says that it has nothing.
    pub empty: Option<String>,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// One quantity over time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// As the source calls it.
    pub name: String,
    /// As the source writes it.
    pub unit: String,
    /// From one value to the next.
    pub step: Resolution,
    /// Start of period and value; missing values are left out.
    pub points: Vec<(Time, f64)>,
    /// Where it is about, when the source tells.
    pub location: Option<Location>,
}

impl Document {
    /// A column by its name.
    pub fn column(&self, name: &str) -> Result<&Column> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::invalid(format!("the answer has no `{name}`; it has {}", known.join(", ")))
        })
    }
}

impl Column {
    /// Refuses what cannot be: times that go back, values that are no numbers or beyond what their unit allows.
    pub fn check(&self, now: Time) -> Result<()> {
        let refuse = |what: String| Err(Error::invalid(format!("`{}`: {what}; nothing is kept", self.name)));
        if self.points.len() > POINTS_MAX {
            return refuse(format!("{} values, the limit is {POINTS_MAX}", self.points.len()));
        }
        if let Some(pair) = self.points.windows(2).find(|pair| pair[1].0 <= pair[0].0) {
            return refuse(format!("time goes back from {} to {}", pair[0].0, pair[1].0));
        }
        let far = |time: Time| time < Time::MIN || time.micros_since(now) > AHEAD_MICROS_MAX;
        if let Some((time, _)) = self.points.iter().find(|(time, _)| far(*time)) {
            return refuse(format!("{time} is too far away to be meant"));
        }
        let (low, high) = units::range(&self.unit);
        match self.points.iter().find(|(_, value)| !(low..=high).contains(value)) {
            None => Ok(()),
            Some((time, value)) => {
                refuse(format!("{value} {} at {time} cannot be: {low} to {high} can", self.unit))
            }
        }
    }
}
