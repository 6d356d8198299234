//! Times as files write them: a tolerant reader for ISO 8601, day-first, month-first, named months and epochs.

use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_SECOND};
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime;
use serde::Serialize;

use super::report::Reason;

/// In which order a date's parts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeOrder {
    /// Year, month, day.
    Iso,
    /// Day, month, year.
    DayFirst,
    /// Month, day, year.
    MonthFirst,
    /// The month is a word.
    Named,
    /// A number since 1970.
    Epoch(EpochUnit),
    /// A strptime format from the caller.
    Custom,
}

/// What an epoch number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// How to read a column of times.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeFormat {
    /// The order of the parts.
    pub order: TimeOrder,
    /// The strptime format, for [`TimeOrder::Custom`].
    pub custom: Option<String>,
}

/// A time as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Microseconds since 1970 by the clock that was read: UTC unless `naive`.
    pub micros: i64,
    /// No offset was given.
    pub naive: bool,
}

/// A time taken apart, its date not yet understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw {
    /// A date, microseconds after its midnight, and seconds of offset.
    Civil { parts: [Part; 3], micros: i64, offset: Option<i64> },
    /// A number since 1970 in microseconds.
    Epoch { unit: EpochUnit, micros: i64 },
}

/// One of a date's three numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    pub value: i64,
    /// Digits written; 0 for a month's name.
    pub width: usize,
}

impl TimeFormat {
    /// Reads one field.
    pub(super) fn stamp(&self, text: &[u8]) -> Result<Stamp, Reason> {
        if let Some(format) = &self.custom {
            return custom_stamp(format, text).ok_or(Reason::BadTime);
        }
        match (parse_raw(text).ok_or(Reason::BadTime)?, self.order) {
            (Raw::Epoch { unit, micros }, TimeOrder::Epoch(expected)) if unit == expected => {
                Ok(Stamp { micros, naive: false })
            }
            (Raw::Civil { parts, micros, offset }, order) => {
                let [year, month, day] = ordered(parts, order).ok_or(Reason::BadTime)?;
                let days = days_since_1970(year, month, day).ok_or(Reason::BadTime)?;
                let local = days * MICROS_PER_DAY + micros;
                let utc = local - offset.unwrap_or(0) * MICROS_PER_SECOND;
                Ok(Stamp { micros: utc, naive: offset.is_none() })
            }
            _ => Err(Reason::BadTime),
        }
    }
}

/// Year, month, day by an order; `None` when the widths do not suit it.
fn ordered([a, b, c]: [Part; 3], order: TimeOrder) -> Option<[i64; 3]> {
    let named = a.width == 0 || b.width == 0;
    match order {
        TimeOrder::Named if b.width == 0 && a.width == 4 => Some([a.value, b.value, c.value]),
        TimeOrder::Named if b.width == 0 && c.width == 4 => Some([c.value, b.value, a.value]),
        TimeOrder::Named if a.width == 0 && c.width == 4 => Some([c.value, a.value, b.value]),
        _ if named => None,
        TimeOrder::Iso if a.width == 4 => Some([a.value, b.value, c.value]),
        TimeOrder::DayFirst if c.width == 4 => Some([c.value, b.value, a.value]),
        TimeOrder::MonthFirst if c.width == 4 => Some([c.value, a.value, b.value]),
        _ => None,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, 1 to 9999.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let date =
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    // Years begin in March here, so the leap day is the last of its year.
    let (year, month) = (i64::from(date.year()), i64::from(date.month()));
    let shifted = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(date.day()) - 1;
    let leap_days = shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    Some(shifted * 365 + leap_days + day_of_year - 719_468)
}

/// The clock reading that lies this many microseconds after 1970-01-01 00:00 by the same clock.
pub(super) fn civil_of(micros: i64) -> DateTime {
    let time = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::Offset::UTC.to_datetime(time)
}

/// A reading as people write it.
pub(super) fn civil_text(micros: i64) -> String {
    let civil = civil_of(micros);
    let seconds = if civil.second() == 0 { String::new() } else { format!(":{:02}", civil.second()) };
    format!("{} {:02}:{:02}{seconds}", civil.date(), civil.hour(), civil.minute())
}

fn custom_stamp(format: &str, text: &[u8]) -> Option<Stamp> {
    let parsed = strtime::parse(format, text).ok()?;
    if let Some(offset) = parsed.offset() {
        let utc = offset.to_timestamp(parsed.to_datetime().ok()?).ok()?;
        return Some(Stamp { micros: utc.as_microsecond(), naive: false });
    }
    if let Some(utc) = parsed.timestamp() {
        return Some(Stamp { micros: utc.as_microsecond(), naive: false });
    }
    let civil = parsed
        .to_datetime()
        .or_else(|_| parsed.to_date().map(|date| date.to_datetime(jiff::civil::Time::midnight())))
        .ok()?;
    let micros = jiff::tz::Offset::UTC.to_timestamp(civil).ok()?.as_microsecond();
    Some(Stamp { micros, naive: true })
}

/// Takes a time apart; `None` when it is none.
pub(super) fn parse_raw(text: &[u8]) -> Option<Raw> {
    let text = text.trim_ascii();
    if text.is_empty() || text.len() > 64 {
        return None;
    }
    if let Some(raw) = parse_number(text) {
        return Some(raw);
    }
    // A period such as `01.01.2026 00:00 - 01.01.2026 01:00` is named by its start.
    if let Some(at) = text.windows(3).position(|w| w == b" - ") {
        parse_civil(&text[at + 3..])?;
        return parse_civil(&text[..at]);
    }
    parse_civil(text)
}

/// `20260131`, `202601311500` and epochs, told apart by their length.
fn parse_number(text: &[u8]) -> Option<Raw> {
    let whole = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let fraction = text.get(whole..)?;
    let fractional =
        fraction.first() == Some(&b'.') && fraction.len() > 1 && fraction[1..].iter().all(u8::is_ascii_digit);
    if whole == 0 || whole > 19 || !(fraction.is_empty() || fractional) {
        return None;
    }
    let value: i64 = std::str::from_utf8(&text[..whole]).ok()?.parse().ok()?;
    if fraction.is_empty() && matches!(whole, 8 | 12 | 14) {
        let scale = 10_i64.pow(u32::try_from(whole - 8).ok()?);
        let (date, clock) = (value / scale, value % scale * if whole == 12 { 100 } else { 1 });
        let parts = [(date / 10_000, 4), (date / 100 % 100, 2), (date % 100, 2)];
        let (h, m, s) = (clock / 10_000, clock / 100 % 100, clock % 100);
        let plausible = (1900..=2200).contains(&parts[0].0)
            && days_since_1970(parts[0].0, parts[1].0, parts[2].0).is_some();
        if plausible && (whole == 8 || clock_micros(h, m, s, 0).is_some()) {
            let micros = if whole == 8 { 0 } else { clock_micros(h, m, s, 0)? };
            let parts = parts.map(|(value, width)| Part { value, width });
            return Some(Raw::Civil { parts, micros, offset: None });
        }
    }
    let (unit, micros) = match whole {
        9..=11 => (EpochUnit::Seconds, value.checked_mul(MICROS_PER_SECOND)?),
        12..=14 => (EpochUnit::Millis, value.checked_mul(1000)?),
        15..=16 => (EpochUnit::Micros, value),
        18..=19 => (EpochUnit::Nanos, value / 1000),
        _ => return None,
    };
    let micros = match (unit, fractional) {
        (EpochUnit::Seconds, true) => micros + fraction_micros(&fraction[1..]),
        _ => micros,
    };
    Some(Raw::Epoch { unit, micros })
}

fn fraction_micros(digits: &[u8]) -> i64 {
    (0..6).fold(0, |sum, i| sum * 10 + digits.get(i).map_or(0, |d| i64::from(d - b'0')))
}

/// Microseconds after midnight; 24:00:00 is the end of the day.
fn clock_micros(hour: i64, minute: i64, second: i64, micros: i64) -> Option<i64> {
    let total = ((hour * 60 + minute) * 60 + second) * MICROS_PER_SECOND + micros;
    let ok = (hour < 24 && minute < 60 && second < 60) || (hour == 24 && total == MICROS_PER_DAY);
    ok.then_some(total)
}

fn parse_civil(text: &[u8]) -> Option<Raw> {
    let mut cursor = Cursor { text, at: 0 };
    let parts = cursor.date()?;
    let micros = cursor.clock()?;
    let offset = cursor.offset()?;
    cursor.skip(b" ");
    if offset.is_some() && cursor.peek() == Some(b'[') {
        cursor.at = text.len() - usize::from(text.last() != Some(&b']')); // the zone repeats what the offset says
    }
    (cursor.at == text.len()).then_some(Raw::Civil { parts, micros, offset })
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip(&mut self, any_of: &[u8]) -> usize {
        let from = self.at;
        while self.peek().is_some_and(|b| any_of.contains(&b)) {
            self.at += 1;
        }
        self.at - from
    }

    fn word(&mut self) -> &[u8] {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
            self.at += 1;
        }
        &self.text[from..self.at]
    }

    /// Up to eight digits.
    fn digits(&mut self) -> Option<Part> {
        let (from, mut value) = (self.at, 0);
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            value = value * 10 + i64::from(digit - b'0');
            self.at += 1;
            if self.at - from > 8 {
                return None;
            }
        }
        (self.at > from).then_some(Part { value, width: self.at - from })
    }

    fn part(&mut self) -> Option<Part> {
        if self.peek()?.is_ascii_digit() {
            return self.digits();
        }
        const MONTHS: [&[u8]; 12] = [
            b"january",
            b"february",
            b"march",
            b"april",
            b"may",
            b"june",
            b"july",
            b"august",
            b"september",
            b"october",
            b"november",
            b"december",
        ];
        let word = self.word().to_ascii_lowercase();
        let fits = |month: &&[u8]| word == **month || (word.len() == 3 && month.starts_with(&word));
        let month = MONTHS.iter().position(fits)?;
        Some(Part { value: month as i64 + 1, width: 0 })
    }

    fn date(&mut self) -> Option<[Part; 3]> {
        let first = self.part()?;
        if first.width == 8 {
            let v = first.value;
            let parts = [(v / 10_000, 4), (v / 100 % 100, 2), (v % 100, 2)];
            return Some(parts.map(|(value, width)| Part { value, width }));
        }
        let mut parts = [first; 3];
        for part in &mut parts[1..] {
            if self.skip(b"-/. ,") == 0 {
                return None;
            }
            *part = self.part()?;
        }
        Some(parts)
    }

    /// The time of day in microseconds; midnight when there is none.
    fn clock(&mut self) -> Option<i64> {
        if self.skip(b" ,_Tt") == 0 || !self.peek().is_some_and(|b| b.is_ascii_digit()) {
            return Some(0);
        }
        let first = self.digits()?;
        let (mut hour, mut minute, mut second) = match first.width {
            1 | 2 => (first.value, 0, 0),
            4 => (first.value / 100, first.value % 100, 0),
            6 => (first.value / 10_000, first.value / 100 % 100, first.value % 100),
            _ => return None,
        };
        let mut micros = 0;
        if first.width <= 2 && self.skip(b":") == 1 {
            minute = self.digits().filter(|p| p.width == 2)?.value;
            if self.skip(b":") == 1 {
                second = self.digits().filter(|p| p.width == 2)?.value;
            }
        }
        if self.peek().is_some_and(|b| b == b'.' || b == b',') {
            self.at += 1;
            let from = self.at;
            self.skip(b"0123456789");
            micros = fraction_micros(&self.text[from..self.at]);
        }
        hour = self.half_day(hour)?;
        clock_micros(hour, minute, second, micros)
    }

    /// Applies `am` or `pm` when it follows.
    fn half_day(&mut self, hour: i64) -> Option<i64> {
        let from = self.at;
        self.skip(b" ");
        let word = self.word().to_ascii_lowercase();
        let noon = match word.as_slice() {
            b"am" => 0,
            b"pm" => 12,
            _ => {
                self.at = from;
                return Some(hour);
            }
        };
        (1..=12).contains(&hour).then_some(hour % 12 + noon)
    }

    /// Seconds east of UTC, when an offset follows.
    fn offset(&mut self) -> Option<Option<i64>> {
        self.skip(b" ");
        let sign = match self.peek() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            Some(b'Z' | b'z' | b'U' | b'u' | b'G' | b'g') => {
                let word = self.word().to_ascii_lowercase();
                return matches!(word.as_slice(), b"z" | b"utc" | b"gmt").then_some(Some(0));
            }
            _ => return Some(None),
        };
        self.at += 1;
        let first = self.digits()?;
        let (hours, minutes) = match first.width {
            4 => (first.value / 100, first.value % 100),
            1 | 2 if self.skip(b":") == 1 => (first.value, self.digits().filter(|p| p.width == 2)?.value),
            1 | 2 => (first.value, 0),
            _ => return None,
        };
        (hours <= 18 && minutes < 60).then_some(Some(sign * (hours * 3600 + minutes * 60)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(order: TimeOrder, text: &str) -> Option<(String, bool)> {
        let format = TimeFormat { order, custom: None };
        let stamp = format.stamp(text.as_bytes()).ok()?;
        Some((civil_text(stamp.micros), stamp.naive))
    }

    #[test]
    fn times_people_write() {
        use TimeOrder::{DayFirst, Epoch, Iso, MonthFirst, Named};
        for (order, text, expected, naive) in [
            (Iso, "2026-01-31T15:00:00Z", "2026-01-31 15:00", false),
            (Iso, "2026-01-31 15:00:00+01:00", "2026-01-31 14:00", false),
            (Iso, "2026-01-31T15:00:00.250-0530", "2026-01-31 20:30", false),
            (Iso, "2026-01-31T15:00:00+01:00[Europe/Madrid]", "2026-01-31 14:00", false),
            (Iso, "2026/1/31 5:00", "2026-01-31 05:00", true),
            (Iso, "20260131T1500", "2026-01-31 15:00", true),
            (Iso, "20260131", "2026-01-31 00:00", true),
            (Iso, "202601311530", "2026-01-31 15:30", true),
            (Iso, "2026-01-31 24:00", "2026-02-01 00:00", true),
            (DayFirst, "31.01.2026 15:00", "2026-01-31 15:00", true),
            (DayFirst, "03-04-2026 01:00", "2026-04-03 01:00", true),
            (DayFirst, "31.01.2026 00:00 - 31.01.2026 01:00", "2026-01-31 00:00", true),
            (MonthFirst, "1/31/2026 3:30:00 PM", "2026-01-31 15:30", true),
            (MonthFirst, "1/31/2026 12:00 AM", "2026-01-31 00:00", true),
            (Named, "31-Jan-2026 15:00", "2026-01-31 15:00", true),
            (Named, "January 31, 2026 3pm", "2026-01-31 15:00", true),
            (Epoch(EpochUnit::Seconds), "1769871600", "2026-01-31 15:00", false),
            (Epoch(EpochUnit::Millis), "1769871600000", "2026-01-31 15:00", false),
        ] {
            assert_eq!(read(order, text), Some((expected.to_owned(), naive)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "x",
            "31",
            "2026-01",
            "2026-02-30",
            "31/01/26",
            "2026-01-31 25:00",
            "2026-01-31 24:01",
            "2026-01-31T15:00:60",
            "2026-01-31 15:00 CET",
            "2026-01-31 15:00 13:00",
            "12.5",
            "43831",
            "2026-01-31 13 pm",
            "2026-13-01",
            "99999999999999999999",
        ] {
            assert_eq!(read(TimeOrder::Iso, text), None, "{text}");
        }
    }

    #[test]
    fn day_numbers_agree_with_the_calendar() {
        for (year, month, day, days) in
            [(1970, 1, 1, 0), (2000, 3, 1, 11_017), (1900, 2, 28, -25_509), (2026, 12, 31, 20_818)]
        {
            assert_eq!(days_since_1970(year, month, day), Some(days));
        }
        assert_eq!(days_since_1970(1900, 2, 29), None);
    }
}
