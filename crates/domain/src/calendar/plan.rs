//! The rules from which a year's holidays are made.

use jiff::civil::{Date, Weekday};

use super::Holiday;

/// One year's holidays as rules add them.
pub(super) struct Plan {
    /// The year planned.
    pub year: i16,
    /// The holidays so far, in the order their rules were written.
    pub days: Vec<Holiday>,
}

/// Where a holiday on a weekend is made good.
#[derive(Clone, Copy)]
pub(super) enum Substitute {
    /// Saturday on Friday, Sunday on Monday (United States).
    Nearest,
    /// On the next working day that is not a holiday itself (United Kingdom, Ireland, Australia).
    Next,
    /// As `Next`, but only for a holiday on a Sunday.
    NextAfterSunday,
}

impl Plan {
    pub fn new(year: i16) -> Self {
        Self { year, days: Vec::new() }
    }

    fn push(&mut self, date: Date, name: &'static str) {
        self.days.push(Holiday { date, name, substitute: false });
    }

    /// Whether the year is `first` or later.
    pub fn since(&self, first: i16) -> bool {
        self.year >= first
    }

    /// A fixed date.
    pub fn on(&mut self, month: i8, day: i8, name: &'static str) -> &mut Self {
        if let Ok(date) = Date::new(self.year, month, day) {
            self.push(date, name);
        }
        self
    }

    /// Fixed dates as (month, day, name).
    pub fn fixed(&mut self, dates: &[(i8, i8, &'static str)]) -> &mut Self {
        for &(month, day, name) in dates {
            self.on(month, day, name);
        }
        self
    }

    /// Dates of single years as (year, month, day, name).
    pub fn once(&mut self, dates: &[(i16, i8, i8, &'static str)]) -> &mut Self {
        let year = self.year;
        for &(_, month, day, name) in dates.iter().filter(|d| d.0 == year) {
            self.on(month, day, name);
        }
        self
    }

    /// A number of days after (before, when negative) Easter Sunday of the Gregorian calendar.
    pub fn easter(&mut self, days: i32, name: &'static str) -> &mut Self {
        if let Some(date) = easter_sunday(self.year) {
            self.push(date.saturating_add(jiff::Span::new().days(days)), name);
        }
        self
    }

    /// Good Friday and Easter Monday.
    pub fn good_friday_and_easter_monday(&mut self) -> &mut Self {
        self.easter(-2, "Good Friday").easter(1, "Easter Monday")
    }

    /// Ascension and Whit Monday.
    pub fn ascension_and_whit_monday(&mut self) -> &mut Self {
        self.easter(39, "Ascension Day").easter(50, "Whit Monday")
    }

    /// The `n`-th weekday of a month; `n` = -1 for the last.
    pub fn nth(&mut self, n: i8, weekday: Weekday, month: i8, name: &'static str) -> &mut Self {
        let first = Date::new(self.year, month, 1);
        if let Ok(date) = first.and_then(|d| d.nth_weekday_of_month(n, weekday)) {
            self.push(date, name);
        }
        self
    }

    /// The first such weekday on or after a date.
    pub fn from(&mut self, month: i8, day: i8, weekday: Weekday, name: &'static str) -> &mut Self {
        let start = Date::new(self.year, month, day).and_then(Date::yesterday);
        if let Ok(date) = start.and_then(|d| d.nth_weekday(1, weekday)) {
            self.push(date, name);
        }
        self
    }

    /// Adds the days off that make good the holidays so far that fall on a weekend.
    pub fn substitute(&mut self, rule: Substitute) -> &mut Self {
        for i in 0..self.days.len() {
            let Holiday { date, name, .. } = self.days[i];
            let weekday = date.weekday();
            let moved = match (rule, weekday) {
                (Substitute::Nearest, Weekday::Saturday) => date.yesterday().ok(),
                (Substitute::Nearest, Weekday::Sunday) => date.tomorrow().ok(),
                (Substitute::Next, Weekday::Saturday | Weekday::Sunday)
                | (Substitute::NextAfterSunday, Weekday::Sunday) => self.next_working_day(date),
                _ => None,
            };
            if let Some(date) = moved {
                self.days.push(Holiday { date, name, substitute: true });
            }
        }
        self
    }

    fn next_working_day(&self, date: Date) -> Option<Date> {
        let works = |d: &Date| {
            !matches!(d.weekday(), Weekday::Saturday | Weekday::Sunday)
                && self.days.iter().all(|holiday| holiday.date != *d)
        };
        // A week is the most that holidays and a weekend in a row could fill.
        let following = std::iter::successors(date.tomorrow().ok(), |d| d.tomorrow().ok());
        following.take(7).find(works)
    }
}

/// Easter Sunday of the Gregorian calendar.
fn easter_sunday(year: i16) -> Option<Date> {
    let date = computus::gregorian(i32::from(year)).ok()?;
    Date::new(year, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?).ok()
}
