//! Instants in UTC and the durations people write.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in UTC with microsecond precision, the precision of PostgreSQL's `timestamptz`.
///
/// Written and read as RFC 3339. Arithmetic saturates at the ends of [`Time::MIN`] .. [`Time::MAX`]
/// (the years 1800 to 2300), so a corrupt duration cannot overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Why a text is not an instant or a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text does not follow RFC 3339.
    #[error("`{text}` is not an RFC 3339 time such as 2026-01-31T15:00:00Z or 2026-01-31T16:00:00+01:00")]
    NotRfc3339 {
        /// What was given.
        text: String,
    },
    /// The instant lies outside 1800..2300.
    #[error("the time {text} lies outside the years 1800 to 2300")]
    OutOfRange {
        /// What was given.
        text: String,
    },
    /// The text is neither an ISO 8601 nor a short duration.
    #[error(
        "`{text}` is not a duration: write ISO 8601 (PT15M, PT48H, P7D) or a number and a unit (15min, 48h, 7d)"
    )]
    NotADuration {
        /// What was given.
        text: String,
    },
    /// The IANA database has no such zone.
    #[error("`{text}` is not an IANA time zone such as Europe/Madrid, America/New_York or UTC")]
    UnknownZone {
        /// What was given.
        text: String,
    },
}

/// Microseconds in one second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in one hour.
pub const MICROS_PER_HOUR: i64 = 3600 * MICROS_PER_SECOND;
/// Microseconds in 24 hours.
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

impl Time {
    /// 1800-01-01T00:00:00Z; as an availability it means "known all along".
    pub const MIN: Self = Self(-5_364_662_400 * MICROS_PER_SECOND);
    /// 2300-01-01T00:00:00Z; as an as-of instant it means "everything known".
    pub const MAX: Self = Self(10_413_792_000 * MICROS_PER_SECOND);

    /// From microseconds since 1970-01-01T00:00:00Z, clamped to [`Time::MIN`] .. [`Time::MAX`].
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// From seconds since 1970-01-01T00:00:00Z, clamped like [`Time::from_micros`].
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// This instant plus a number of microseconds, saturating.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to this instant; negative when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// The same instant as jiff knows it.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl From<Timestamp> for Time {
    fn from(timestamp: Timestamp) -> Self {
        Self::from_micros(timestamp.as_microsecond())
    }
}

impl Add<SignedDuration> for Time {
    type Output = Self;
    fn add(self, duration: SignedDuration) -> Self {
        self.plus_micros(duration_micros(duration))
    }
}

impl Sub<SignedDuration> for Time {
    type Output = Self;
    fn sub(self, duration: SignedDuration) -> Self {
        self.plus_micros(-duration_micros(duration))
    }
}

impl Sub for Time {
    type Output = SignedDuration;
    fn sub(self, earlier: Self) -> SignedDuration {
        SignedDuration::from_micros(self.micros_since(earlier))
    }
}

/// A duration in microseconds, saturating at half the range of `i64` so that it can be negated and added.
#[must_use]
pub fn duration_micros(duration: SignedDuration) -> i64 {
    let limit = i128::from(i64::MAX / 2);
    let micros = duration.as_micros().clamp(-limit, limit);
    i64::try_from(micros).unwrap_or(0) // impossible after the clamp
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.timestamp(), f)
    }
}

impl FromStr for Time {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let timestamp: Timestamp =
            text.trim().parse().map_err(|_| TimeError::NotRfc3339 { text: text.to_owned() })?;
        let micros = timestamp.as_microsecond();
        if !(Self::MIN.0..=Self::MAX.0).contains(&micros) {
            return Err(TimeError::OutOfRange { text: text.to_owned() });
        }
        Ok(Self(micros))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Reads a duration as people write it: ISO 8601 (`PT15M`, `P7D`) or a number and a unit (`15min`, `24h`, `7d`, `2w`).
///
/// A day is 24 hours and a week seven of them: durations here measure UTC.
///
/// # Errors
/// [`TimeError::NotADuration`] for anything else, negative durations included.
pub fn parse_duration(text: &str) -> Result<SignedDuration, TimeError> {
    let refuse = || TimeError::NotADuration { text: text.to_owned() };
    let span: jiff::Span = text.trim().parse().map_err(|_| refuse())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.is_negative() {
        return Err(refuse());
    }
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| refuse())
}

/// Writes a duration the way [`parse_duration`] reads it, in ISO 8601 with hours as the greatest unit.
#[must_use]
pub fn format_duration(duration: SignedDuration) -> String {
    duration.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        let time: Time = "2026-03-29T02:30:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-03-29T01:30:00Z");
        assert_eq!(serde_json::to_string(&time).unwrap(), "\"2026-03-29T01:30:00Z\"");
        assert!("2026-03-29 02:30".parse::<Time>().is_err(), "a time without an offset is not an instant");
        assert!("9000-01-01T00:00:00Z".parse::<Time>().is_err());
    }

    #[test]
    fn bounds_are_the_years_they_say() {
        assert_eq!(Time::MIN.to_string(), "1800-01-01T00:00:00Z");
        assert_eq!(Time::MAX.to_string(), "2300-01-01T00:00:00Z");
        assert_eq!(Time::MAX + SignedDuration::MAX, Time::MAX);
        assert_eq!(Time::MIN - SignedDuration::MAX, Time::MIN);
    }

    #[test]
    fn durations_as_people_write_them() {
        for (text, seconds) in [
            ("PT15M", 900),
            ("24h", 86400),
            ("7d", 604_800),
            ("P7D", 604_800),
            ("PT48H", 172_800),
            ("15min", 900),
            ("2w", 1_209_600),
        ] {
            assert_eq!(parse_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["", "24", "-1h", "P1M", "1y", "x"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
