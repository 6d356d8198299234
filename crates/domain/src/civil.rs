//! Civil time: what the clock on the wall says, for features and for reading files.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

use crate::Time;
use crate::time::{MICROS_PER_SECOND, TimeError};

/// An IANA time zone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// An instant as its zone's clocks and calendars show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CivilTime {
    /// The local date.
    pub date: Date,
    /// Seconds shown by the clock since 00:00, 0 to 86,399.
    pub second_of_day: u32,
    /// Local time minus UTC, in seconds.
    pub offset_seconds: i32,
}

/// What a clock reading means in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// One instant.
    Once(Time),
    /// The clocks skipped it (spring); the instant the old offset would give.
    Never(Time),
    /// The clocks showed it twice (autumn): the earlier and the later instant.
    Twice(Time, Time),
}

impl CivilTime {
    /// Hour shown by the clock with its fraction, 0.0 to 23.999.
    #[must_use]
    pub fn hour(&self) -> f64 {
        f64::from(self.second_of_day) / 3600.0
    }

    /// 0 for Monday to 6 for Sunday.
    #[must_use]
    pub fn weekday(&self) -> u8 {
        self.date.weekday().to_monday_zero_offset().unsigned_abs()
    }
}

impl Zone {
    /// UTC itself.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            zone: TimeZone::UTC,
        }
    }

    /// The IANA name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the clocks show at `time`.
    #[must_use]
    pub fn civil(&self, time: Time) -> CivilTime {
        let offset = self.zone.to_offset(time.timestamp()).seconds();
        let local = time.seconds() + i64::from(offset);
        let days = local.div_euclid(86_400);
        // Time lies within 1800..2300, so the day count fits and the date exists.
        let date = Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(days));
        let second_of_day = u32::try_from(local.rem_euclid(86_400)).unwrap_or(0);
        CivilTime {
            date,
            second_of_day,
            offset_seconds: offset,
        }
    }

    /// Local time minus UTC at `time`, in microseconds.
    #[must_use]
    pub fn offset_micros(&self, time: Time) -> i64 {
        i64::from(self.zone.to_offset(time.timestamp()).seconds()) * MICROS_PER_SECOND
    }

    /// The instants a clock reading can mean.
    #[must_use]
    pub fn read(&self, civil: DateTime) -> Reading {
        let at = |offset: jiff::tz::Offset| offset.to_timestamp(civil).map_or(Time::MAX, Time::from);
        match self.zone.to_ambiguous_zoned_datetime(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Reading::Once(at(offset)),
            AmbiguousOffset::Gap { before, .. } => Reading::Never(at(before)),
            AmbiguousOffset::Fold { before, after } => Reading::Twice(at(before), at(after)),
        }
    }

    /// The first instant of a local date: midnight, or the first moment after it where clocks skip midnight.
    #[must_use]
    pub fn start_of_day(&self, date: Date) -> Time {
        date.to_zoned_datetime(self.zone.clone())
            .map_or(Time::MAX, |zoned| Time::from(zoned.timestamp()))
    }

    /// The length of a local date in microseconds: 23, 24 or 25 hours in most zones, 0 for a skipped day.
    #[must_use]
    pub fn day_micros(&self, date: Date) -> i64 {
        let tomorrow = date.saturating_add(jiff::Span::new().days(1));
        self.start_of_day(tomorrow).micros_since(self.start_of_day(date))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl FromStr for Zone {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        if text == "UTC" {
            return Ok(Self::utc());
        }
        let unknown = || TimeError::UnknownZone {
            text: text.to_owned(),
        };
        let zone = TimeZone::get(text).map_err(|_| unknown())?;
        let name = zone.iana_name().ok_or_else(unknown)?.to_owned();
        Ok(Self { name, zone })
    }
}

impl TryFrom<String> for Zone {
    type Error = TimeError;
    fn try_from(text: String) -> Result<Self, TimeError> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}
