//! When steps are: the words of KServe's contract, ISO 8601 durations, starts.

use forewatt_service::Error;
use forewatt_service::domain::time::parse_duration;
use forewatt_service::domain::{Resolution, Time};
use forewatt_service::sent::Pace;
use jiff::civil;
use jiff::tz::Offset;

use super::shown;

/// An instant; without an offset it is in UTC, and a date is its midnight.
///
/// # Errors
/// `InvalidInput` for anything else.
pub fn read_start(text: &str) -> Result<Time, Error> {
    let naive = || {
        let time = text.trim().parse::<civil::DateTime>().ok()?;
        Some(Time::from(Offset::UTC.to_timestamp(time).ok()?))
    };
    text.parse::<Time>().ok().or_else(naive).filter(|time| (Time::MIN..=Time::MAX).contains(time)).ok_or_else(
        || {
            Error::invalid(format!(
                "start_timestamp: `{}` is no time such as 2026-01-31T00:00:00Z",
                shown(text)
            ))
        },
    )
}

/// The distance between steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frequency {
    /// So many seconds.
    Seconds(i64),
    /// So many calendar months.
    Months(i64),
}

impl Frequency {
    /// A word of the contract, or an ISO 8601 duration.
    ///
    /// # Errors
    /// `InvalidInput` for anything else.
    pub fn read(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "S" | "second" => Self::Seconds(1),
            "T" | "minute" => Self::Seconds(60),
            "H" | "hour" => Self::Seconds(3_600),
            "D" | "day" => Self::Seconds(86_400),
            "W" | "week" => Self::Seconds(7 * 86_400),
            "M" | "month" => Self::Months(1),
            "Q" | "quarter" => Self::Months(3),
            "Y" | "year" => Self::Months(12),
            other => return Self::duration(other),
        })
    }

    fn duration(text: &str) -> Result<Self, Error> {
        let refuse = || {
            let known =
                "S, T, H, D, W, M, Q, Y, their words (second .. year) or an ISO 8601 duration such as PT15M";
            Error::invalid(format!("frequency: `{}` is not known: use {known}", shown(text)))
        };
        let span: jiff::Span = text.parse().map_err(|_| refuse())?;
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        let only_months = jiff::Span::new().years(span.get_years()).months(span.get_months());
        if months > 0 && span.fieldwise() == only_months.fieldwise() {
            return Ok(Self::Months(months));
        }
        let duration = parse_duration(text).map_err(|_| refuse())?;
        let whole = duration.subsec_nanos() == 0 && (1..=3_660 * 86_400).contains(&duration.as_secs());
        if whole { Ok(Self::Seconds(duration.as_secs())) } else { Err(refuse()) }
    }

    /// How a series of such steps repeats.
    pub fn pace(self) -> Pace {
        match self {
            Self::Seconds(seconds) => Resolution::from_seconds(seconds).map_or_else(
                |_| match seconds {
                    ..60 => Pace::Season(usize::try_from(60 / seconds).unwrap_or(1)),
                    604_800 => Pace::Season(52),
                    _ => Pace::Season(1),
                },
                Pace::Clock,
            ),
            Self::Months(months) => Pace::Season(usize::try_from(12 / months).unwrap_or(1).max(1)),
        }
    }

    /// The instant so many steps later.
    ///
    /// # Errors
    /// `InvalidInput` beyond the year 2300.
    pub fn later(self, start: Time, steps: usize) -> Result<Time, Error> {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        let beyond =
            || Error::invalid("the forecast lies beyond the year 2300: send a start_timestamp that does not");
        let later = match self {
            Self::Seconds(seconds) => {
                let micros =
                    seconds.checked_mul(steps).and_then(|s| s.checked_mul(1_000_000)).ok_or_else(beyond)?;
                start.plus_micros(micros)
            }
            Self::Months(months) => {
                let span = jiff::Span::new().try_months(months.checked_mul(steps).ok_or_else(beyond)?);
                let civil = Offset::UTC.to_datetime(start.timestamp());
                let later = span.and_then(|span| Offset::UTC.to_timestamp(civil.checked_add(span)?));
                Time::from(later.map_err(|_| beyond())?)
            }
        };
        if later < Time::MAX { Ok(later) } else { Err(beyond()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_by_word_and_by_duration() {
        for (text, seconds) in
            [("H", 3_600), ("hour", 3_600), ("PT15M", 900), ("PT30M", 1_800), ("P7D", 604_800), ("T", 60)]
        {
            assert_eq!(Frequency::read(text).unwrap(), Frequency::Seconds(seconds), "{text}");
        }
        for (text, months) in [("M", 1), ("quarter", 3), ("P1Y", 12), ("P6M", 6)] {
            assert_eq!(Frequency::read(text).unwrap(), Frequency::Months(months), "{text}");
        }
        for text in ["", "X", "PT0S", "-PT1H", "P1M1D", "P100Y1D"] {
            assert!(Frequency::read(text).unwrap_err().message.contains("frequency"), "{text}");
        }
        assert_eq!(Frequency::read("M").unwrap().pace(), Pace::Season(12));
        assert_eq!(Frequency::read("S").unwrap().pace(), Pace::Season(60));
        assert!(matches!(Frequency::read("PT15M").unwrap().pace(), Pace::Clock(_)));
        let start = read_start("2026-01-31").unwrap();
        assert_eq!(Frequency::Months(1).later(start, 1).unwrap().to_string(), "2026-02-28T00:00:00Z");
        assert!(
            Frequency::Months(12).later(start, 400).is_err()
                && Frequency::Seconds(604_800).later(start, 100_000).is_err()
        );
        assert_eq!(read_start("2026-01-31T01:00:00+01:00").unwrap(), start);
        assert!(read_start("soon").is_err());
    }
}
