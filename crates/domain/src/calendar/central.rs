//! Holidays of Germany, Austria, Switzerland, the Netherlands, Luxembourg and Poland.

use jiff::civil::Date;
use jiff::civil::Weekday::{Sunday, Wednesday};

use super::Country;
use super::plan::Plan;

/// Holidays all of Germany keeps, and the states' own.
pub(super) const GERMANY: Country = Country {
    codes: &[
        "DE", "DE-BB", "DE-BE", "DE-BW", "DE-BY", "DE-HB", "DE-HE", "DE-HH", "DE-MV", "DE-NI", "DE-NW",
        "DE-RP", "DE-SH", "DE-SL", "DE-SN", "DE-ST", "DE-TH",
    ],
    rules: germany,
};
/// Public holidays of Austria.
pub(super) const AUSTRIA: Country = Country { codes: &["AT"], rules: austria };
/// The holidays most cantons of Switzerland keep.
pub(super) const SWITZERLAND: Country = Country { codes: &["CH"], rules: switzerland };
/// Public holidays of the Netherlands.
pub(super) const NETHERLANDS: Country = Country { codes: &["NL"], rules: netherlands };
/// Public holidays of Luxembourg.
pub(super) const LUXEMBOURG: Country = Country { codes: &["LU"], rules: luxembourg };
/// Public holidays of Poland.
pub(super) const POLAND: Country = Country { codes: &["PL"], rules: poland };

fn germany(p: &mut Plan, state: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (12, 25, "Christmas Day"),
        (12, 26, "Second Day of Christmas"),
    ])
    .good_friday_and_easter_monday()
    .ascension_and_whit_monday();
    if p.since(1990) {
        p.on(10, 3, "German Unity Day");
    }
    if p.year <= 1990 {
        p.on(6, 17, "German Unity Day");
    }
    let all_states_until_1994 = (1981..=1994).contains(&p.year);
    if all_states_until_1994 || state == "SN" {
        p.from(11, 16, Wednesday, "Repentance Day");
    }
    if p.year == 2017 {
        p.on(10, 31, "Reformation Day"); // its 500th anniversary, everywhere
    }
    if !state.is_empty() {
        german_state(p, state);
    }
}

fn german_state(p: &mut Plan, state: &str) {
    if matches!(state, "BW" | "BY" | "ST") {
        p.on(1, 6, "Epiphany");
    }
    if (state == "BE" && p.since(2019)) || (state == "MV" && p.since(2023)) {
        p.on(3, 8, "Women's Day");
    }
    if state == "BB" {
        p.easter(0, "Easter Sunday").easter(49, "Whit Sunday");
    }
    if matches!(state, "BW" | "BY" | "HE" | "NW" | "RP" | "SL") {
        p.easter(60, "Corpus Christi");
    }
    if matches!(state, "BY" | "SL") {
        p.on(8, 15, "Assumption Day");
    }
    if state == "TH" && p.since(2019) {
        p.on(9, 20, "World Children's Day");
    }
    let north = matches!(state, "HB" | "HH" | "NI" | "SH");
    if matches!(state, "BB" | "MV" | "SN" | "ST" | "TH") || (north && p.since(2018)) {
        p.on(10, 31, "Reformation Day");
    }
    if matches!(state, "BW" | "BY" | "NW" | "RP" | "SL") {
        p.on(11, 1, "All Saints' Day");
    }
    if state == "BE" {
        p.once(&[(2020, 5, 8, "Liberation Day"), (2025, 5, 8, "Liberation Day")]);
    }
}

fn austria(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (1, 6, "Epiphany"),
        (5, 1, "National Holiday"),
        (8, 15, "Assumption Day"),
        (10, 26, "National Day"),
        (11, 1, "All Saints' Day"),
        (12, 8, "Immaculate Conception"),
        (12, 25, "Christmas Day"),
        (12, 26, "Saint Stephen's Day"),
    ])
    .easter(1, "Easter Monday")
    .ascension_and_whit_monday()
    .easter(60, "Corpus Christi");
}

fn switzerland(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (1, 2, "Berchtold's Day"),
        (12, 25, "Christmas Day"),
        (12, 26, "Saint Stephen's Day"),
    ])
    .good_friday_and_easter_monday()
    .ascension_and_whit_monday();
    if p.since(1994) {
        p.on(8, 1, "National Day");
    }
}

fn netherlands(p: &mut Plan, _: &str) {
    p.fixed(&[(1, 1, "New Year's Day"), (12, 25, "Christmas Day"), (12, 26, "Second Day of Christmas")])
        .easter(0, "Easter Sunday")
        .easter(1, "Easter Monday")
        .easter(49, "Whit Sunday")
        .ascension_and_whit_monday();
    // The monarch's day gives way to a Sunday: to the day before, until 1979 to the day after.
    let falls_on_sunday = |day| Date::new(p.year, 4, day).is_ok_and(|d| d.weekday() == Sunday);
    match p.year {
        2014.. => p.on(4, if falls_on_sunday(27) { 26 } else { 27 }, "King's Day"),
        1980.. => p.on(4, if falls_on_sunday(30) { 29 } else { 30 }, "Queen's Day"),
        1949.. if falls_on_sunday(30) => p.on(5, 1, "Queen's Day"),
        1949.. => p.on(4, 30, "Queen's Day"),
        _ => p,
    };
    if p.since(1990) && p.year % 5 == 0 {
        p.on(5, 5, "Liberation Day"); // a day off in every fifth year
    }
}

fn luxembourg(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (6, 23, "National Day"),
        (8, 15, "Assumption Day"),
        (11, 1, "All Saints' Day"),
        (12, 25, "Christmas Day"),
        (12, 26, "Saint Stephen's Day"),
    ])
    .easter(1, "Easter Monday")
    .ascension_and_whit_monday();
    if p.since(2019) {
        p.on(5, 9, "Europe Day");
    }
}

fn poland(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (8, 15, "Assumption Day"),
        (11, 1, "All Saints' Day"),
        (11, 11, "Independence Day"),
        (12, 25, "Christmas Day"),
        (12, 26, "Second Day of Christmas"),
    ])
    .easter(0, "Easter Sunday")
    .easter(1, "Easter Monday")
    .easter(49, "Whit Sunday")
    .easter(60, "Corpus Christi")
    .once(&[(2018, 11, 12, "100 years of independence")]);
    if p.since(1990) {
        p.on(5, 3, "Constitution Day");
    }
    if p.since(2011) {
        p.on(1, 6, "Epiphany");
    }
    if p.since(2025) {
        p.on(12, 24, "Christmas Eve");
    }
}
