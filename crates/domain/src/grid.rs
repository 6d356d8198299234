//! Regular time grids: resolution, horizon, slots.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::time::{MICROS_PER_DAY, MICROS_PER_SECOND, Time, TimeError, duration_micros, parse_duration};

/// The step between two values of a series: one minute to one day, dividing the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resolution {
    seconds: u32,
}

/// Why a grid cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GridError {
    /// The resolution does not divide a day.
    #[error(
        "a resolution of {seconds} s is not supported: it must lie between one minute and one day and divide the day (PT15M, PT30M, PT1H)"
    )]
    Resolution {
        /// What was given, in seconds.
        seconds: i64,
    },
    /// The horizon is not a whole number of steps, or zero, or too long.
    #[error(
        "a horizon of {horizon} does not fit a resolution of {resolution}: it must be a whole number of steps, 1 to {max}"
    )]
    Horizon {
        /// What was given.
        horizon: String,
        /// The series' resolution.
        resolution: Resolution,
        /// The most steps a forecast may have.
        max: u32,
    },
    /// The text could not be read.
    #[error(transparent)]
    Time(#[from] TimeError),
}

impl Resolution {
    /// One hour.
    pub const HOUR: Self = Self { seconds: 3600 };

    /// From a number of seconds.
    ///
    /// # Errors
    /// [`GridError::Resolution`] unless 60 <= seconds <= 86,400 and seconds divides 86,400.
    pub fn from_seconds(seconds: i64) -> Result<Self, GridError> {
        match u32::try_from(seconds) {
            Ok(s) if (60..=86_400).contains(&s) && 86_400 % s == 0 => Ok(Self { seconds: s }),
            _ => Err(GridError::Resolution { seconds }),
        }
    }

    /// Seconds in one step.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.seconds
    }

    /// Microseconds in one step.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.seconds as i64 * MICROS_PER_SECOND
    }

    /// Steps in 24 hours.
    #[must_use]
    pub const fn steps_per_day(self) -> usize {
        (MICROS_PER_DAY / self.micros()) as usize
    }

    /// One step as a duration.
    #[must_use]
    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.seconds))
    }

    /// The last instant of the grid through `anchor` at or before `time`.
    ///
    /// The anchor matters: hourly values of India stand at half past in UTC.
    #[must_use]
    pub fn floor(self, time: Time, anchor: Time) -> Time {
        time.plus_micros(-time.micros_since(anchor).rem_euclid(self.micros()))
    }

    /// The first instant of the grid through `anchor` at or after `time`.
    #[must_use]
    pub fn ceil(self, time: Time, anchor: Time) -> Time {
        time.plus_micros(anchor.micros_since(time).rem_euclid(self.micros()))
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.duration(), f)
    }
}

impl FromStr for Resolution {
    type Err = GridError;
    fn from_str(text: &str) -> Result<Self, GridError> {
        Self::from_seconds(duration_micros(parse_duration(text)?).div_euclid(MICROS_PER_SECOND))
    }
}

impl TryFrom<String> for Resolution {
    type Error = GridError;
    fn try_from(text: String) -> Result<Self, GridError> {
        text.parse()
    }
}

impl From<Resolution> for String {
    fn from(resolution: Resolution) -> Self {
        resolution.to_string()
    }
}

/// How many steps a forecast covers, 1 to [`Horizon::MAX_STEPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Horizon {
    steps: u32,
}

impl Horizon {
    /// The longest forecast: two months of quarter hours.
    pub const MAX_STEPS: u32 = 6_000;

    /// From a number of steps.
    ///
    /// # Errors
    /// [`GridError::Horizon`] for zero steps or more than [`Horizon::MAX_STEPS`].
    pub fn from_steps(steps: u32, resolution: Resolution) -> Result<Self, GridError> {
        if steps == 0 || steps > Self::MAX_STEPS {
            let horizon = format!("{steps} steps");
            return Err(GridError::Horizon { horizon, resolution, max: Self::MAX_STEPS });
        }
        Ok(Self { steps })
    }

    /// From a duration that is a whole number of steps.
    ///
    /// # Errors
    /// [`GridError::Horizon`] when it is not, or is out of range.
    pub fn from_duration(duration: SignedDuration, resolution: Resolution) -> Result<Self, GridError> {
        let micros = duration_micros(duration);
        let steps = u32::try_from(micros / resolution.micros()).unwrap_or(0);
        if micros % resolution.micros() != 0 || steps == 0 || steps > Self::MAX_STEPS {
            let horizon = duration.to_string();
            return Err(GridError::Horizon { horizon, resolution, max: Self::MAX_STEPS });
        }
        Ok(Self { steps })
    }

    /// The number of steps.
    #[must_use]
    pub const fn steps(self) -> usize {
        self.steps as usize
    }
}

/// `len` instants, `step` apart, from `start` on. Slot `i` is `start + i * step`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeGrid {
    /// The first instant.
    pub start: Time,
    /// The distance between neighbours.
    pub step: Resolution,
    /// How many instants.
    pub len: usize,
}

impl TimeGrid {
    /// The grid that covers `start..end` (end excluded).
    #[must_use]
    pub fn covering(start: Time, end: Time, step: Resolution) -> Self {
        let span = end.micros_since(start).max(0);
        let len = usize::try_from(span.div_ceil_micros(step.micros())).unwrap_or(0);
        Self { start, step, len }
    }

    /// The instant of slot `i`.
    #[must_use]
    pub const fn time(&self, i: usize) -> Time {
        self.start.plus_micros(i as i64 * self.step.micros())
    }

    /// The instant after the last slot.
    #[must_use]
    pub const fn end(&self) -> Time {
        self.time(self.len)
    }

    /// The slot whose instant is exactly `time`.
    #[must_use]
    pub fn slot(&self, time: Time) -> Option<usize> {
        let offset = time.micros_since(self.start);
        if offset < 0 || offset % self.step.micros() != 0 {
            return None;
        }
        usize::try_from(offset / self.step.micros()).ok().filter(|&i| i < self.len)
    }

    /// Every instant in order.
    pub fn times(&self) -> impl ExactSizeIterator<Item = Time> + use<> {
        let grid = *self;
        (0..self.len).map(move |i| grid.time(i))
    }
}

/// Division of microseconds that rounds up (`i64::div_ceil` is not stable).
trait DivCeil {
    fn div_ceil_micros(self, step: i64) -> i64;
}

impl DivCeil for i64 {
    fn div_ceil_micros(self, step: i64) -> i64 {
        self.div_euclid(step) + i64::from(self.rem_euclid(step) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_divide_the_day() {
        assert_eq!("PT15M".parse::<Resolution>().unwrap().steps_per_day(), 96);
        assert_eq!("30min".parse::<Resolution>().unwrap().to_string(), "PT30M");
        assert_eq!("1d".parse::<Resolution>().unwrap().steps_per_day(), 1);
        for bad in ["7min", "1s", "2d", "0h"] {
            assert!(bad.parse::<Resolution>().is_err(), "{bad}");
        }
    }

    #[test]
    fn slots_and_times_are_inverse() {
        let start: Time = "2026-01-01T00:00:00Z".parse().unwrap();
        let grid = TimeGrid::covering(start, "2026-01-02T00:30:00Z".parse().unwrap(), Resolution::HOUR);
        assert_eq!(grid.len, 25);
        for (i, time) in grid.times().enumerate() {
            assert_eq!(grid.slot(time), Some(i));
        }
        assert_eq!(grid.slot(grid.end()), None);
        assert_eq!(grid.slot(start.plus_micros(1)), None);
        assert_eq!(grid.slot(start.plus_micros(-1)), None);
    }

    #[test]
    fn floors_and_ceilings_keep_the_anchors_phase() {
        let anchor: Time = "2026-01-01T00:30:00Z".parse().unwrap();
        for (text, floor, ceil) in [
            ("2026-01-02T05:30:00Z", "2026-01-02T05:30:00Z", "2026-01-02T05:30:00Z"),
            ("2026-01-02T05:31:00Z", "2026-01-02T05:30:00Z", "2026-01-02T06:30:00Z"),
            ("2025-12-31T23:00:00Z", "2025-12-31T22:30:00Z", "2025-12-31T23:30:00Z"),
        ] {
            let time: Time = text.parse().unwrap();
            assert_eq!(Resolution::HOUR.floor(time, anchor).to_string(), floor);
            assert_eq!(Resolution::HOUR.ceil(time, anchor).to_string(), ceil);
        }
    }

    #[test]
    fn horizons_are_whole_steps() {
        let day = SignedDuration::from_hours(24);
        assert_eq!(Horizon::from_duration(day, Resolution::HOUR).unwrap().steps(), 24);
        assert!(Horizon::from_duration(SignedDuration::from_mins(90), Resolution::HOUR).is_err());
        assert!(Horizon::from_duration(SignedDuration::ZERO, Resolution::HOUR).is_err());
        assert!(Horizon::from_duration(SignedDuration::MAX, Resolution::HOUR).is_err());
    }
}
