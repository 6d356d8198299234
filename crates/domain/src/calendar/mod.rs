//! Public holidays and bridge days by region.
//!
//! Holidays come from rules, not from files: fixed dates, weekdays of a month, feasts that move with Easter
//! (Gauss's computus), substitute days, and the one-off days that shaped a country's load (jubilees, funerals).
//! Only India's lunar and Islamic days need a table ([`Region::tabled_years`]). Rules follow the law with its changes
//! since about 1990; earlier years are an approximation.

mod america;
mod australia;
mod britain;
mod central;
mod india;
mod nordic;
mod plan;
mod romance;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use plan::Plan;

/// A day on which a region rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holiday {
    /// The local date.
    pub date: Date,
    /// What it is called, in English.
    pub name: &'static str,
    /// A day off in place of a holiday that fell on a weekend.
    pub substitute: bool,
}

/// A country (`ES`) or a part of one (`US-CA`) whose public holidays are known; ISO 3166-1 and 3166-2 codes.
#[derive(Clone, Copy)]
pub struct Region {
    code: &'static str,
    rules: Rules,
}

/// Adds a region's holidays to a plan; told the part after the dash, or the empty text for a whole country.
type Rules = fn(&mut Plan, &str);

/// A country's code, its parts, and its rules.
struct Country {
    /// The country's code, then its parts': `["AU", "AU-VIC", ...]`.
    codes: &'static [&'static str],
    rules: Rules,
}

const COUNTRIES: [&Country; 21] = [
    &central::AUSTRIA,
    &australia::AUSTRALIA,
    &romance::BELGIUM,
    &america::CANADA,
    &central::SWITZERLAND,
    &central::GERMANY,
    &nordic::DENMARK,
    &romance::SPAIN,
    &nordic::FINLAND,
    &romance::FRANCE,
    &britain::BRITAIN,
    &britain::IRELAND,
    &india::INDIA,
    &romance::ITALY,
    &central::LUXEMBOURG,
    &central::NETHERLANDS,
    &nordic::NORWAY,
    &central::POLAND,
    &romance::PORTUGAL,
    &nordic::SWEDEN,
    &america::UNITED_STATES,
];

/// The code is not one of a region whose holidays are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the holidays of `{text}` are not known; known are {}", .known.join(", "))]
pub struct UnknownRegion {
    /// What was given.
    pub text: String,
    /// The parts of the country when it is known, else the countries.
    pub known: Vec<&'static str>,
}

/// The first year with holidays: the first that an instant can have.
const FIRST_YEAR: i16 = 1800;
/// The last year with holidays.
const LAST_YEAR: i16 = 2300;

impl Region {
    /// Every region there is: countries, each followed by its parts.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let parts = |c: &'static Country| c.codes.iter().map(|&code| Self { code, rules: c.rules });
        COUNTRIES.into_iter().flat_map(parts).collect()
    }

    /// The code: `ES`, `US-CA`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The years whose holidays are complete; outside them a country with tabled holidays has only its fixed ones.
    #[must_use]
    pub fn tabled_years(&self) -> RangeInclusive<i16> {
        if self.code == "IN" { india::YEARS } else { FIRST_YEAR..=LAST_YEAR }
    }

    /// The holidays that fall in a year, by rising date, one per date; none before 1800 or after 2300.
    #[must_use]
    pub fn holidays(&self, year: i16) -> Vec<Holiday> {
        if !(FIRST_YEAR..=LAST_YEAR).contains(&year) {
            return Vec::new();
        }
        let part = self.code.split_once('-').map_or("", |(_, part)| part);
        // The day off for a New Year's Day on a Saturday can lie in the year before.
        let mut days: Vec<Holiday> = (year..=year + 1)
            .flat_map(|y| {
                let mut plan = Plan::new(y);
                (self.rules)(&mut plan, part);
                plan.days
            })
            .filter(|holiday| holiday.date.year() == year)
            .collect();
        days.sort_by_key(|holiday| holiday.date); // stable: the first named wins its date
        days.dedup_by_key(|holiday| holiday.date);
        days
    }
}

impl PartialEq for Region {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Region {}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.code)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code)
    }
}

impl FromStr for Region {
    type Err = UnknownRegion;
    fn from_str(text: &str) -> Result<Self, UnknownRegion> {
        if let Some(&region) = Self::all().iter().find(|r| r.code == text) {
            return Ok(region);
        }
        let country = text.split_once('-').map_or(text, |(country, _)| country);
        let known = COUNTRIES
            .into_iter()
            .find(|c| c.codes[0] == country)
            .map_or_else(|| COUNTRIES.iter().map(|c| c.codes[0]).collect(), |c| c.codes.to_vec());
        Err(UnknownRegion { text: text.chars().take(40).collect(), known })
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The holidays of some years, ready to be asked often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// By rising date, one per date.
    days: Vec<Holiday>,
}

impl Calendar {
    /// The holidays of `region` from the first to the last year (clamped to 1800..=2300); weekends alone for `None`.
    #[must_use]
    pub fn new(region: Option<&Region>, first_year: i16, last_year: i16) -> Self {
        let years = first_year.max(FIRST_YEAR)..=last_year.min(LAST_YEAR);
        let days = region.map(|r| years.flat_map(|y| r.holidays(y)).collect());
        Self { days: days.unwrap_or_default() }
    }

    /// The name of the holiday on a date.
    #[must_use]
    pub fn holiday(&self, date: Date) -> Option<&'static str> {
        let found = self.days.binary_search_by_key(&date, |holiday| holiday.date);
        found.ok().map(|i| self.days[i].name)
    }

    /// Saturday or Sunday.
    #[must_use]
    pub fn is_weekend(&self, date: Date) -> bool {
        matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
    }

    /// Whether most people rest: a weekend or a holiday.
    #[must_use]
    pub fn is_day_off(&self, date: Date) -> bool {
        self.is_weekend(date) || self.holiday(date).is_some()
    }

    /// A working day with days off on both sides, such as the Friday after a holiday on Thursday.
    #[must_use]
    pub fn is_bridge(&self, date: Date) -> bool {
        let (Ok(before), Ok(after)) = (date.yesterday(), date.tomorrow()) else {
            return false;
        };
        !self.is_day_off(date) && self.is_day_off(before) && self.is_day_off(after)
    }
}

#[cfg(test)]
mod tests;
