//! Holidays of Spain, France, Italy, Portugal and Belgium.

use super::Country;
use super::plan::{Plan, Substitute};

/// National holidays of Spain; autonomous communities add theirs.
pub(super) const SPAIN: Country =
    Country { codes: &["ES", "ES-AN", "ES-CT", "ES-MD", "ES-VC"], rules: spain };
/// Public holidays of France.
pub(super) const FRANCE: Country = Country { codes: &["FR"], rules: france };
/// Public holidays of Italy.
pub(super) const ITALY: Country = Country { codes: &["IT"], rules: italy };
/// Public holidays of Portugal.
pub(super) const PORTUGAL: Country = Country { codes: &["PT"], rules: portugal };
/// Public holidays of Belgium.
pub(super) const BELGIUM: Country = Country { codes: &["BE"], rules: belgium };

fn spain(p: &mut Plan, community: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (1, 6, "Epiphany"),
        (5, 1, "Labour Day"),
        (8, 15, "Assumption Day"),
        (10, 12, "National Day"),
        (11, 1, "All Saints' Day"),
        (12, 6, "Constitution Day"),
        (12, 8, "Immaculate Conception"),
        (12, 25, "Christmas Day"),
    ])
    .easter(-2, "Good Friday");
    match community {
        // Madrid and Andalusia give the Monday after a holiday on a Sunday.
        "AN" => p
            .easter(-3, "Maundy Thursday")
            .on(2, 28, "Day of Andalusia")
            .substitute(Substitute::NextAfterSunday),
        "MD" => {
            p.easter(-3, "Maundy Thursday").on(5, 2, "Day of Madrid").substitute(Substitute::NextAfterSunday)
        }
        "CT" => p.easter(1, "Easter Monday").fixed(&[
            (6, 24, "Saint John's Day"),
            (9, 11, "Day of Catalonia"),
            (12, 26, "Saint Stephen's Day"),
        ]),
        "VC" => p.easter(1, "Easter Monday").fixed(&[
            (3, 19, "Saint Joseph's Day"),
            (6, 24, "Saint John's Day"),
            (10, 9, "Day of the Valencian Community"),
        ]),
        _ => p,
    };
}

fn france(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (7, 14, "Bastille Day"),
        (8, 15, "Assumption Day"),
        (11, 1, "All Saints' Day"),
        (11, 11, "Armistice Day"),
        (12, 25, "Christmas Day"),
    ])
    .easter(1, "Easter Monday")
    .ascension_and_whit_monday();
    if p.since(1982) {
        p.on(5, 8, "Victory Day");
    }
}

fn italy(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (1, 6, "Epiphany"),
        (4, 25, "Liberation Day"),
        (5, 1, "Labour Day"),
        (8, 15, "Assumption Day"),
        (11, 1, "All Saints' Day"),
        (12, 8, "Immaculate Conception"),
        (12, 25, "Christmas Day"),
        (12, 26, "Saint Stephen's Day"),
    ])
    .easter(1, "Easter Monday")
    .once(&[(2011, 3, 17, "150 years of unity")]);
    if p.since(2001) {
        p.on(6, 2, "Republic Day");
    }
    if p.since(2026) {
        p.on(10, 4, "Saint Francis' Day");
    }
}

fn portugal(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (4, 25, "Freedom Day"),
        (5, 1, "Labour Day"),
        (6, 10, "Portugal Day"),
        (8, 15, "Assumption Day"),
        (12, 8, "Immaculate Conception"),
        (12, 25, "Christmas Day"),
    ])
    .easter(-2, "Good Friday");
    // Four holidays were suspended in the years of the debt crisis.
    if !(2013..=2015).contains(&p.year) {
        p.easter(60, "Corpus Christi").fixed(&[
            (10, 5, "Republic Day"),
            (11, 1, "All Saints' Day"),
            (12, 1, "Restoration of Independence"),
        ]);
    }
}

fn belgium(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (5, 1, "Labour Day"),
        (7, 21, "National Day"),
        (8, 15, "Assumption Day"),
        (11, 1, "All Saints' Day"),
        (11, 11, "Armistice Day"),
        (12, 25, "Christmas Day"),
    ])
    .easter(1, "Easter Monday")
    .ascension_and_whit_monday();
}
