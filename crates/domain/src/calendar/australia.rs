//! Holidays of Australia and its larger states.

use jiff::civil::Weekday::{Friday, Monday, Tuesday};
use jiff::civil::{Date, Weekday};

use super::Country;
use super::plan::{Plan, Substitute};

/// Days the whole country rests, and the states' own.
pub(super) const AUSTRALIA: Country =
    Country { codes: &["AU", "AU-NSW", "AU-QLD", "AU-SA", "AU-VIC"], rules: australia };

fn australia(p: &mut Plan, state: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (1, 26, "Australia Day"),
        (12, 25, "Christmas Day"),
        (12, 26, "Boxing Day"),
    ]);
    p.substitute(Substitute::Next);
    p.easter(-2, "Good Friday").easter(1, "Easter Monday").on(4, 25, "Anzac Day").once(&[(
        2022,
        9,
        22,
        "National Day of Mourning",
    )]);
    match state {
        "NSW" => p
            .easter(-1, "Easter Saturday")
            .easter(0, "Easter Sunday")
            .nth(2, Monday, 6, "King's Birthday")
            .nth(1, Monday, 10, "Labour Day"),
        "QLD" => queensland(p),
        "SA" => p
            .easter(-1, "Easter Saturday")
            .nth(2, Monday, 3, "Adelaide Cup Day")
            .nth(2, Monday, 6, "King's Birthday")
            .nth(1, Monday, 10, "Labour Day"),
        "VIC" => victoria(p),
        _ => p,
    };
}

fn queensland(p: &mut Plan) -> &mut Plan {
    p.easter(-1, "Easter Saturday").easter(0, "Easter Sunday");
    let labour_in_october = (2013..=2015).contains(&p.year);
    if labour_in_october {
        p.nth(1, Monday, 10, "Labour Day");
    } else {
        p.nth(1, Monday, 5, "Labour Day");
    }
    // The royal birthday moved to October in 2012 and, after three years back in June, in 2016.
    if p.year == 2012 || p.since(2016) {
        p.nth(1, Monday, 10, "King's Birthday")
    } else {
        p.nth(2, Monday, 6, "King's Birthday")
    }
}

fn victoria(p: &mut Plan) -> &mut Plan {
    p.easter(-1, "Easter Saturday");
    if p.since(2016) {
        p.easter(0, "Easter Sunday");
    }
    p.nth(2, Monday, 3, "Labour Day").nth(2, Monday, 6, "King's Birthday").nth(
        1,
        Tuesday,
        11,
        "Melbourne Cup Day",
    );
    const GRAND_FINAL: &str = "Friday before the AFL Grand Final";
    match p.year {
        2015 => p.on(10, 2, GRAND_FINAL),
        2016 => p.on(9, 30, GRAND_FINAL),
        2020 => p.on(10, 23, GRAND_FINAL),
        // The final is on the last Saturday of September, unless fixtures moved it as above.
        2017.. => {
            let last_saturday =
                Date::new(p.year, 9, 1).and_then(|d| d.nth_weekday_of_month(-1, Weekday::Saturday));
            let last_saturday = last_saturday.map_or(30, Date::day);
            p.from(9, last_saturday - 1, Friday, GRAND_FINAL)
        }
        _ => p,
    }
}
