//! Values people write on the command line, read once and checked.

use forewatt_domain::civil::Reading;
use forewatt_domain::time::parse_duration;
use forewatt_domain::{Family, Location, QuantileLevels, SeriesKind, Time, Zone};
use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};

use super::exit;
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// An instant, or a clock reading whose zone is told elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// RFC 3339.
    Instant(Time),
    /// A local date or date and time.
    Local(DateTime),
}

impl When {
    /// The instant, with local readings taken in `zone`.
    ///
    /// # Errors
    /// When the clocks of the zone skipped the reading or showed it twice.
    pub fn resolve(self, zone: &Zone) -> Result<Time, String> {
        let Self::Local(civil) = self else {
            let Self::Instant(time) = self else { return Err(String::new()) };
            return Ok(time);
        };
        if civil.time() == jiff::civil::Time::midnight() {
            return Ok(zone.start_of_day(civil.date()));
        }
        match zone.read(civil) {
            Reading::Once(time) => Ok(time),
            Reading::Never(_) => {
                Err(format!("the clocks of {zone} skipped {civil}: write the time with its offset"))
            }
            Reading::Twice(first, second) => {
                Err(format!("the clocks of {zone} showed {civil} twice: write {first} or {second}"))
            }
        }
    }
}

/// The instant a flag means, where it is given; local readings in the zone of the series.
///
/// # Errors
/// A usage error that names the flag, see [`When::resolve`].
pub fn resolve(flag: &str, when: Option<When>, zone: &Zone) -> anyhow::Result<Option<Time>> {
    let mend = |error| exit::usage(format!("{flag}: {error}"));
    when.map(|when| when.resolve(zone).map_err(mend)).transpose()
}

/// Reads RFC 3339, a local date, or a local date and time.
///
/// # Errors
/// What may be written.
pub fn when(text: &str) -> Result<When, String> {
    if let Ok(time) = text.parse::<Time>() {
        return Ok(When::Instant(time));
    }
    // A Date would also accept (and ignore) a time of day.
    if text.len() <= "2026-01-31".len()
        && let Ok(date) = text.parse::<Date>()
    {
        return Ok(When::Local(date.to_datetime(jiff::civil::Time::midnight())));
    }
    // A DateTime would also accept (and ignore) an offset; a text with one is meant as an instant.
    let has_offset = text.contains(['Z', 'z', '+']) || text.matches('-').count() > 2;
    match text.parse::<DateTime>() {
        Ok(civil) if !has_offset => Ok(When::Local(civil)),
        _ => Err(
            "write RFC 3339 (2026-01-31T15:00:00Z), a date (2026-01-31) or a local time (2026-01-31T15:00)"
                .to_owned(),
        ),
    }
}

/// Reads a duration: `PT48H`, `48h`, `7d`.
///
/// # Errors
/// What may be written; durations of zero are refused.
pub fn duration(text: &str) -> Result<SignedDuration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("a duration must be longer than zero".to_owned()) } else { Ok(duration) }
}

/// Reads a duration that may be zero.
///
/// # Errors
/// What may be written.
pub fn delay(text: &str) -> Result<SignedDuration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

/// Reads quantile levels: `0.1,0.5,0.9`.
///
/// # Errors
/// Which level is wrong and why.
pub fn levels(text: &str) -> Result<QuantileLevels, String> {
    // `0.1,...,0.9` is how the documentation abbreviates the nine deciles.
    if text.replace(' ', "") == "0.1,..,0.9" || text.replace(' ', "") == "0.1,...,0.9" {
        return Ok(QuantileLevels::deciles());
    }
    QuantileLevels::parse(text).map_err(|error| error.to_string())
}

/// Reads `LAT,LON` in degrees.
///
/// # Errors
/// What may be written.
pub fn location(text: &str) -> Result<Location, String> {
    let form = || "write latitude and longitude in degrees, such as 40.42,-3.70".to_owned();
    let (latitude, longitude) = text.split_once(',').ok_or_else(form)?;
    let degrees = |part: &str| part.trim().parse::<f64>().map_err(|_| form());
    Location::new(degrees(latitude)?, degrees(longitude)?).map_err(|error| error.to_string())
}

/// A finite number.
///
/// # Errors
/// When it is none.
pub fn finite(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|error| error.to_string())?;
    if number.is_finite() { Ok(number) } else { Err("write a finite number".to_owned()) }
}

/// The model families, with clap's suggestions on typos.
pub fn family() -> impl TypedValueParser<Value = Family> {
    let learned = Family::ALL.into_iter().filter(|family| *family != Family::Imported);
    PossibleValuesParser::new(learned.map(Family::as_str)).try_map(|name| name.parse::<Family>())
}

/// The kinds of series, with clap's suggestions on typos.
pub fn kind() -> impl TypedValueParser<Value = SeriesKind> {
    PossibleValuesParser::new(SeriesKind::NAMES).try_map(|name| name.parse::<SeriesKind>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_dates_and_local_times() {
        let zone: Zone = "Europe/Madrid".parse().unwrap();
        let read = |text: &str| when(text).and_then(|w| w.resolve(&zone)).map(|t| t.to_string());
        assert_eq!(read("2017-01-01T00:00:00Z").unwrap(), "2017-01-01T00:00:00Z");
        assert_eq!(read("2017-07-01").unwrap(), "2017-06-30T22:00:00Z");
        assert_eq!(read("2017-07-01T12:30").unwrap(), "2017-07-01T10:30:00Z");
        assert!(read("2017-03-26T02:30").unwrap_err().contains("skipped"));
        assert!(read("2017-10-29T02:30").unwrap_err().contains("twice"));
        for bad in ["", "yesterday", "2017-02-30", "01/02/2017", "2017-01-01T25:00"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn places_levels_and_durations() {
        assert_eq!(location("40.42, -3.70").unwrap().longitude, -3.7);
        assert!(location("91,0").is_err() && location("1").is_err() && location("nan,0").is_err());
        assert_eq!(levels("0.1,...,0.9").unwrap(), QuantileLevels::deciles());
        assert!(levels("0.9,0.1").is_err());
        assert!(duration("0h").is_err() && duration("24h").is_ok() && delay("0h").is_ok());
        assert!(finite("inf").is_err() && finite("-3").is_ok());
    }
}
