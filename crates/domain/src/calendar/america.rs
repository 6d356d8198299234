//! Holidays of the United States (federal and states') and Canada.

use jiff::civil::Weekday::{Friday, Monday, Thursday, Tuesday};

use super::Country;
use super::plan::{Plan, Substitute};

/// Federal holidays (5 U.S.C. 6103) and, for a state, its own on top.
pub(super) const UNITED_STATES: Country = Country {
    codes: &[
        "US", "US-AL", "US-AK", "US-AZ", "US-AR", "US-CA", "US-CO", "US-CT", "US-DE", "US-DC", "US-FL",
        "US-GA", "US-HI", "US-ID", "US-IL", "US-IN", "US-IA", "US-KS", "US-KY", "US-LA", "US-ME", "US-MD",
        "US-MA", "US-MI", "US-MN", "US-MS", "US-MO", "US-MT", "US-NE", "US-NV", "US-NH", "US-NJ", "US-NM",
        "US-NY", "US-NC", "US-ND", "US-OH", "US-OK", "US-OR", "US-PA", "US-RI", "US-SC", "US-SD", "US-TN",
        "US-TX", "US-UT", "US-VT", "US-VA", "US-WA", "US-WV", "US-WI", "US-WY",
    ],
    rules: united_states,
};

/// National holidays of Canada and those of its larger provinces.
pub(super) const CANADA: Country =
    Country { codes: &["CA", "CA-AB", "CA-BC", "CA-ON", "CA-QC"], rules: canada };

/// States that rest on the Friday after Thanksgiving.
const REST_AFTER_THANKSGIVING: [&str; 26] = [
    "CA", "DE", "FL", "GA", "IA", "IL", "IN", "KS", "KY", "MD", "ME", "MI", "MN", "NC", "NE", "NH", "NM",
    "NV", "OK", "PA", "SC", "TN", "TX", "VA", "WA", "WV",
];
/// States that rest on Good Friday.
const GOOD_FRIDAY: [&str; 9] = ["CT", "DE", "HI", "IN", "LA", "NC", "ND", "NJ", "TN"];

fn united_states(p: &mut Plan, state: &str) {
    federal(p);
    if state == "TX" && p.year >= 1980 && p.year < 2021 {
        p.on(6, 19, "Emancipation Day");
    }
    p.substitute(Substitute::Nearest);
    if REST_AFTER_THANKSGIVING.contains(&state) {
        // The fourth Friday can come before the fourth Thursday: count from the first day that can follow it.
        p.from(11, 23, Friday, "Day after Thanksgiving");
    }
    if GOOD_FRIDAY.contains(&state) {
        p.easter(-2, "Good Friday");
    }
    match state {
        "AK" | "CA" | "HI" | "MT" | "NE" | "NV" | "UT" | "WA" => west(p, state),
        "CT" | "DC" | "IL" | "MA" | "ME" | "MO" | "NJ" | "NY" | "RI" | "VT" | "WV" => east(p, state),
        "AL" | "GA" | "LA" | "MI" | "MS" | "NC" | "SC" | "TX" | "WI" => south_and_lakes(p, state),
        _ => {}
    }
}

fn federal(p: &mut Plan) {
    p.on(1, 1, "New Year's Day");
    if p.since(1986) {
        p.nth(3, Monday, 1, "Martin Luther King Jr. Day");
    }
    if p.since(1971) {
        p.nth(3, Monday, 2, "Washington's Birthday").nth(-1, Monday, 5, "Memorial Day").nth(
            2,
            Monday,
            10,
            "Columbus Day",
        );
    } else {
        p.on(2, 22, "Washington's Birthday").on(5, 30, "Memorial Day");
    }
    if p.since(2021) {
        p.on(6, 19, "Juneteenth");
    }
    p.on(7, 4, "Independence Day").nth(1, Monday, 9, "Labor Day");
    if (1971..=1977).contains(&p.year) {
        p.nth(4, Monday, 10, "Veterans Day");
    } else {
        p.on(11, 11, "Veterans Day");
    }
    p.nth(4, Thursday, 11, "Thanksgiving Day").on(12, 25, "Christmas Day").once(&[
        (2004, 6, 11, "Day of mourning for Ronald Reagan"),
        (2007, 1, 2, "Day of mourning for Gerald Ford"),
        (2018, 12, 5, "Day of mourning for George H. W. Bush"),
        (2025, 1, 9, "Day of mourning for Jimmy Carter"),
    ]);
}

fn west(p: &mut Plan, state: &str) {
    match state {
        "AK" => p.nth(-1, Monday, 3, "Seward's Day").on(10, 18, "Alaska Day"),
        "CA" if p.since(2000) => p.on(3, 31, "Cesar Chavez Day"),
        "HI" => p.on(3, 26, "Prince Kuhio Day").on(6, 11, "King Kamehameha Day").nth(
            3,
            Friday,
            8,
            "Statehood Day",
        ),
        "MT" => election_day(p, true),
        "NE" => p.nth(-1, Friday, 4, "Arbor Day"),
        "NV" if p.since(2000) => p.nth(-1, Friday, 10, "Nevada Day"),
        "NV" => p.on(10, 31, "Nevada Day"),
        "UT" => p.on(7, 24, "Pioneer Day"),
        _ => p,
    };
}

fn east(p: &mut Plan, state: &str) {
    match state {
        "CT" | "IL" => p.on(2, 12, "Lincoln's Birthday"),
        "DC" if p.since(2005) => p.on(4, 16, "Emancipation Day"),
        "MA" | "ME" => p.nth(3, Monday, 4, "Patriots' Day"),
        "MO" => p.on(5, 8, "Truman Day"),
        "NJ" => election_day(p, false),
        "NY" => {
            p.on(2, 12, "Lincoln's Birthday");
            election_day(p, false)
        }
        "RI" => p.nth(2, Monday, 8, "Victory Day"),
        "VT" => p.nth(1, Tuesday, 3, "Town Meeting Day").on(8, 16, "Bennington Battle Day"),
        "WV" => p.on(6, 20, "West Virginia Day"),
        _ => p,
    };
}

fn south_and_lakes(p: &mut Plan, state: &str) {
    match state {
        "AL" => {
            p.nth(4, Monday, 4, "Confederate Memorial Day").nth(1, Monday, 6, "Jefferson Davis' Birthday")
        }
        "LA" => p.easter(-47, "Mardi Gras"),
        "MS" => p.nth(-1, Monday, 4, "Confederate Memorial Day"),
        "MI" | "WI" => p.on(12, 24, "Christmas Eve").on(12, 31, "New Year's Eve"),
        "NC" | "SC" => p.on(12, 24, "Christmas Eve").on(12, 26, "Day after Christmas"),
        "TX" => p.fixed(&[
            (3, 2, "Texas Independence Day"),
            (4, 21, "San Jacinto Day"),
            (12, 24, "Christmas Eve"),
            (12, 26, "Day after Christmas"),
        ]),
        _ => p,
    };
}

/// The Tuesday after the first Monday of November.
fn election_day(p: &mut Plan, even_years_only: bool) -> &mut Plan {
    if even_years_only && p.year % 2 != 0 {
        return p;
    }
    p.from(11, 2, Tuesday, "Election Day")
}

fn canada(p: &mut Plan, province: &str) {
    p.fixed(&[(1, 1, "New Year's Day"), (7, 1, "Canada Day"), (12, 25, "Christmas Day")]);
    if province != "QC" && province != "AB" && province != "BC" {
        p.on(12, 26, "Boxing Day");
    }
    p.substitute(Substitute::Next);
    p.easter(-2, "Good Friday").from(5, 18, Monday, "Victoria Day").nth(1, Monday, 9, "Labour Day").nth(
        2,
        Monday,
        10,
        "Thanksgiving",
    );
    if province.is_empty() {
        p.on(11, 11, "Remembrance Day").once(&[(2022, 9, 19, "State funeral of Queen Elizabeth II")]);
    }
    if p.since(2021) && (province.is_empty() || (province == "BC" && p.since(2023))) {
        p.on(9, 30, "National Day for Truth and Reconciliation");
    }
    match province {
        "AB" | "BC" => p.on(11, 11, "Remembrance Day").nth(
            1,
            Monday,
            8,
            if province == "AB" { "Heritage Day" } else { "British Columbia Day" },
        ),
        "ON" => p.nth(1, Monday, 8, "Civic Holiday"),
        "QC" => p.easter(1, "Easter Monday").on(6, 24, "Saint-Jean-Baptiste Day"),
        _ => p,
    };
    match province {
        "AB" if p.since(1990) => p.nth(3, Monday, 2, "Family Day"),
        "ON" if p.since(2008) => p.nth(3, Monday, 2, "Family Day"),
        "BC" if p.since(2019) => p.nth(3, Monday, 2, "Family Day"),
        "BC" if p.since(2013) => p.nth(2, Monday, 2, "Family Day"),
        _ => p,
    };
}
