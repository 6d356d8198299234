//! Civil time: what the clock on the wall says, for features and for reading files.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

use crate::time::{MICROS_PER_DAY, MICROS_PER_SECOND, TimeError};
use crate::{Resolution, Time};

/// Whose offset gates of steps longer than an hour keep: 2000-01-01T00:00:00Z.
const FIXED_SECONDS: i64 = 946_684_800;
/// Days further than this from any instant lie outside of time.
const DAYS_MAX: i64 = 1_000_000;

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
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
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
        CivilTime { date, second_of_day, offset_seconds: offset }
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
        date.to_zoned_datetime(self.zone.clone()).map_or(Time::MAX, |zoned| Time::from(zoned.timestamp()))
    }

    /// The length of a local date in microseconds: 23, 24 or 25 hours in most zones, 0 for a skipped day.
    #[must_use]
    pub fn day_micros(&self, date: Date) -> i64 {
        let tomorrow = date.saturating_add(jiff::Span::new().days(1));
        self.start_of_day(tomorrow).micros_since(self.start_of_day(date))
    }

    /// The instant at which the clocks show what they show at `time`, so many days later (or earlier, below zero):
    /// 23 or 25 hours a day where they change. A reading that was skipped gives the moment after, a repeated one the
    /// earlier.
    #[must_use]
    pub fn plus_days(&self, time: Time, days: i64) -> Time {
        if days == 0 {
            return time; // also where the clocks showed the same twice
        }
        let civil = self.civil(time);
        let days = jiff::Span::new().days(days.clamp(-DAYS_MAX, DAYS_MAX));
        let midnight = civil.date.saturating_add(days).at(0, 0, 0, 0);
        let reading = midnight.saturating_add(jiff::Span::new().seconds(i64::from(civil.second_of_day)));
        match self.read(reading) {
            Reading::Once(found) | Reading::Never(found) | Reading::Twice(found, _) => found,
        }
    }

    /// The last daily gate at or before `time`: the first instant of its local date that lies on the grid of `step`
    /// through `anchor`, on which `time` lies too.
    ///
    /// Steps longer than an hour cannot follow the clocks' hour: their gates are those of the zone's winter clock, or
    /// its summer clock where January is summer, all year.
    #[must_use]
    pub fn gate(&self, time: Time, step: Resolution, anchor: Time) -> Time {
        let midnight = if step > Resolution::HOUR {
            let offset = self.offset_micros(Time::from_seconds(FIXED_SECONDS));
            time.plus_micros(-(time.micros() + offset).rem_euclid(MICROS_PER_DAY))
        } else {
            self.start_of_day(self.civil(time).date)
        };
        step.ceil(midnight, anchor)
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
        let unknown = || TimeError::UnknownZone { text: text.to_owned() };
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

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use proptest::prelude::*;

    use super::*;
    use crate::time::{MICROS_PER_DAY, MICROS_PER_HOUR};

    /// Whole and odd offsets, half-hour summer time, a skipped day, changes at midnight and one minute past it.
    const ZONES: [&str; 12] = [
        "UTC",
        "Europe/Madrid",
        "America/New_York",
        "America/Los_Angeles",
        "America/St_Johns",
        "America/Sao_Paulo",
        "Asia/Kolkata",
        "Asia/Kathmandu",
        "Australia/Melbourne",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Chatham",
    ];

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    /// What the clock shows, as one value.
    fn shown(civil: CivilTime) -> DateTime {
        let second = i64::from(civil.second_of_day);
        civil.date.at(0, 0, 0, 0).saturating_add(jiff::Span::new().seconds(second))
    }

    fn hours(name: &str, date: Date) -> f64 {
        zone(name).day_micros(date) as f64 / MICROS_PER_HOUR as f64
    }

    #[test]
    fn days_have_the_hours_the_clocks_gave_them() {
        for (name, day, expected) in [
            ("Europe/Madrid", date(2026, 3, 29), 23.0),
            ("Europe/Madrid", date(2026, 10, 25), 25.0),
            ("Europe/Madrid", date(2026, 7, 1), 24.0),
            ("America/New_York", date(2016, 3, 13), 23.0),
            ("America/New_York", date(2016, 11, 6), 25.0),
            ("Asia/Kolkata", date(2026, 3, 29), 24.0),
            ("Australia/Lord_Howe", date(2024, 10, 6), 23.5),
            ("Australia/Lord_Howe", date(2024, 4, 7), 24.5),
            ("Pacific/Apia", date(2011, 12, 29), 24.0),
            ("Pacific/Apia", date(2011, 12, 30), 0.0),
            ("Pacific/Apia", date(2011, 12, 31), 24.0),
            ("America/Sao_Paulo", date(2018, 11, 4), 23.0),
            ("America/Sao_Paulo", date(2018, 2, 17), 25.0),
        ] {
            assert_eq!(hours(name, day), expected, "{name} {day}");
        }
    }

    #[test]
    fn odd_offsets_are_shown() {
        let noon: Time = "2026-01-15T12:00:00Z".parse().unwrap();
        for (name, hour, offset) in [
            ("Asia/Kolkata", 17.5, 19_800),
            ("Asia/Kathmandu", 17.75, 20_700),
            ("America/St_Johns", 8.5, -12_600),
            ("Pacific/Chatham", 1.75, 49_500),
        ] {
            let civil = zone(name).civil(noon);
            assert_eq!((civil.hour(), civil.offset_seconds), (hour, offset), "{name}");
        }
        let chatham = zone("Pacific/Chatham").civil(noon);
        assert_eq!((chatham.date, chatham.weekday()), (date(2026, 1, 16), 4), "already Friday");
    }

    #[test]
    fn skipped_and_repeated_readings_say_so() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let madrid = zone("Europe/Madrid");
        let reading = |z: &Zone, d: Date, hour, minute| z.read(d.to_datetime(time(hour, minute, 0, 0)));
        assert_eq!(reading(&madrid, date(2026, 3, 29), 2, 30), Reading::Never(at("2026-03-29T01:30:00Z")));
        assert_eq!(
            reading(&madrid, date(2026, 10, 25), 2, 30),
            Reading::Twice(at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"))
        );
        let lord_howe = zone("Australia/Lord_Howe");
        assert!(matches!(reading(&lord_howe, date(2024, 10, 6), 2, 15), Reading::Never(_)));
        assert!(matches!(reading(&lord_howe, date(2024, 10, 6), 2, 45), Reading::Once(_)));
        assert!(matches!(reading(&lord_howe, date(2024, 4, 7), 1, 45), Reading::Twice(..)));
        let apia = zone("Pacific/Apia");
        assert!(matches!(reading(&apia, date(2011, 12, 30), 12, 0), Reading::Never(_)));
        assert_eq!(apia.start_of_day(date(2011, 12, 30)), apia.start_of_day(date(2011, 12, 31)));
    }

    #[test]
    fn unknown_zones_are_refused_by_name() {
        for bad in ["", "Europe/Atlantis", "CEST+1", "+01:00", "Europe/Madrid "] {
            let error = bad.parse::<Zone>().unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
        assert_eq!(serde_json::to_string(&zone("Asia/Kolkata")).unwrap(), "\"Asia/Kolkata\"");
        assert!(serde_json::from_str::<Zone>("\"Mars/Olympus\"").is_err());
    }

    #[test]
    fn gates_stand_at_local_midnight_all_year() {
        let at = |text: &str| text.parse::<Time>().unwrap();
        let half_past = at("2026-01-01T00:30:00Z");
        for (name, time, anchor, gate) in [
            (
                "Europe/Madrid",
                "2026-03-29T21:00:00Z",
                half_past.plus_micros(-MICROS_PER_HOUR / 2),
                "2026-03-28T23:00:00Z",
            ),
            (
                "Europe/Madrid",
                "2026-03-29T22:00:00Z",
                half_past.plus_micros(-MICROS_PER_HOUR / 2),
                "2026-03-29T22:00:00Z",
            ),
            (
                "Europe/Madrid",
                "2026-10-25T22:00:00Z",
                half_past.plus_micros(-MICROS_PER_HOUR / 2),
                "2026-10-24T22:00:00Z",
            ),
            ("Asia/Kolkata", "2026-05-01T18:30:00Z", half_past, "2026-05-01T18:30:00Z"),
            ("Asia/Kolkata", "2026-05-01T18:00:00Z", at("2026-01-01T00:00:00Z"), "2026-04-30T19:00:00Z"),
            ("UTC", "2026-05-01T00:00:00Z", at("2026-01-01T00:00:00Z"), "2026-05-01T00:00:00Z"),
        ] {
            assert_eq!(zone(name).gate(at(time), Resolution::HOUR, anchor), at(gate), "{name} {time}");
        }
        let coarse = Resolution::from_seconds(6 * 3600).unwrap();
        let summer =
            zone("Europe/Madrid").gate(at("2026-07-01T17:00:00Z"), coarse, at("2026-01-01T23:00:00Z"));
        assert_eq!(summer, at("2026-06-30T23:00:00Z"), "a step of six hours keeps the winter's midnight");
    }

    #[test]
    fn days_are_counted_by_the_clocks() {
        let (madrid, at) = (zone("Europe/Madrid"), |text: &str| text.parse::<Time>().unwrap());
        let winter = at("2026-03-28T11:00:00Z");
        assert_eq!(madrid.plus_days(winter, 1), at("2026-03-29T10:00:00Z"));
        assert_eq!(madrid.plus_days(winter, 365), at("2027-03-28T10:00:00Z"));
        assert_eq!(madrid.plus_days(at("2026-03-29T10:00:00Z"), -1), winter);
        assert_eq!(madrid.plus_days(at("2026-03-28T01:30:00Z"), 1), at("2026-03-29T01:30:00Z"), "skipped");
        let (first, second) = (at("2026-10-25T00:30:00Z"), at("2026-10-25T01:30:00Z"));
        assert_eq!(madrid.plus_days(at("2026-10-24T00:30:00Z"), 1), first, "shown twice");
        assert_eq!(madrid.plus_days(second, 0), second);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn reading_what_is_shown_gives_the_instant(
            index in 0..ZONES.len(),
            seconds in -3_000_000_000_i64..6_000_000_000,
        ) {
            let (zone, instant) = (zone(ZONES[index]), Time::from_seconds(seconds));
            let civil = zone.civil(instant);
            match zone.read(shown(civil)) {
                Reading::Once(time) => prop_assert_eq!(time, instant),
                Reading::Twice(earlier, later) => {
                    prop_assert!(earlier < later);
                    prop_assert!(earlier == instant || later == instant);
                }
                Reading::Never(_) => prop_assert!(false, "the clock showed {:?}", civil),
            }
            prop_assert_eq!(zone.offset_micros(instant), i64::from(civil.offset_seconds) * MICROS_PER_SECOND);
            prop_assert!(civil.second_of_day < 86_400);
        }

        #[test]
        fn days_fill_the_span_without_gap_or_overlap(
            index in 0..ZONES.len(),
            first in -7_000_i32..25_000,
            days in 1_i32..400,
        ) {
            let zone = zone(ZONES[index]);
            let day = |i: i32| date(1970, 1, 1).saturating_add(jiff::Span::new().days(first + i));
            let sum: i64 = (0..days).map(|i| zone.day_micros(day(i))).sum();
            let span = zone.start_of_day(day(days)).micros_since(zone.start_of_day(day(0)));
            prop_assert_eq!(sum, span);
            prop_assert!((0..days).all(|i| (0..=2 * MICROS_PER_DAY).contains(&zone.day_micros(day(i)))));
        }

        #[test]
        fn a_day_starts_on_its_own_date_unless_skipped(index in 0..ZONES.len(), offset in -7_000_i32..25_000) {
            let zone = zone(ZONES[index]);
            let day = date(1970, 1, 1).saturating_add(jiff::Span::new().days(offset));
            let start = zone.civil(zone.start_of_day(day));
            if zone.day_micros(day) > 0 {
                prop_assert_eq!(start.date, day);
                // No clock of these zones skips more than an hour after midnight.
                prop_assert!(start.second_of_day <= 3600);
            } else {
                prop_assert_eq!(start.date, day.tomorrow().unwrap());
            }
        }
    }
}
