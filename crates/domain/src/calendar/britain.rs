//! Holidays of the United Kingdom and Ireland.

use jiff::civil::Date;
use jiff::civil::Weekday::{Friday, Monday};

use super::Country;
use super::plan::{Plan, Substitute};

/// Bank holidays (Banking and Financial Dealings Act 1971); `GB` alone means England and Wales.
pub(super) const BRITAIN: Country =
    Country { codes: &["GB", "GB-ENG", "GB-WLS", "GB-SCT", "GB-NIR"], rules: britain };

/// Public holidays of Ireland.
pub(super) const IRELAND: Country = Country { codes: &["IE"], rules: ireland };

fn britain(p: &mut Plan, part: &str) {
    let (scotland, ulster) = (part == "SCT", part == "NIR");
    p.on(1, 1, "New Year's Day");
    if scotland {
        p.on(1, 2, "2nd January");
    }
    if ulster {
        p.on(3, 17, "Saint Patrick's Day");
        p.on(7, 12, "Battle of the Boyne");
    }
    if scotland && p.since(2007) {
        p.on(11, 30, "Saint Andrew's Day");
    }
    p.on(12, 25, "Christmas Day").on(12, 26, "Boxing Day");
    p.easter(-2, "Good Friday");
    if !scotland {
        p.easter(1, "Easter Monday");
    }
    may_and_june(p);
    if scotland {
        p.nth(1, Monday, 8, "Summer bank holiday").once(&[(
            2026,
            6,
            15,
            "Scotland in the football World Cup",
        )]);
    } else {
        p.nth(-1, Monday, 8, "Summer bank holiday");
    }
    p.substitute(Substitute::Next);
}

/// The two May holidays, which royal and war anniversaries move, and the extra days of those years.
fn may_and_june(p: &mut Plan) {
    match p.year {
        1995 | 2020 => p.on(5, 8, "Early May bank holiday"), // 50 and 75 years after the war
        1978.. => p.nth(1, Monday, 5, "Early May bank holiday"),
        _ => p,
    };
    match p.year {
        2002 | 2012 => p.on(6, 4, "Spring bank holiday"),
        2022 => p.on(6, 2, "Spring bank holiday"),
        _ => p.nth(-1, Monday, 5, "Spring bank holiday"),
    };
    p.once(&[
        (1977, 6, 7, "Silver Jubilee"),
        (1981, 7, 29, "Royal wedding"),
        (1999, 12, 31, "Millennium Eve"),
        (2002, 6, 3, "Golden Jubilee"),
        (2011, 4, 29, "Royal wedding"),
        (2012, 6, 5, "Diamond Jubilee"),
        (2022, 6, 3, "Platinum Jubilee"),
        (2022, 9, 19, "State funeral of Queen Elizabeth II"),
        (2023, 5, 8, "Coronation of King Charles III"),
    ]);
}

fn ireland(p: &mut Plan, _: &str) {
    p.fixed(&[
        (1, 1, "New Year's Day"),
        (3, 17, "Saint Patrick's Day"),
        (12, 25, "Christmas Day"),
        (12, 26, "Saint Stephen's Day"),
    ]);
    p.once(&[(2022, 3, 18, "Day of remembrance and recognition")]);
    p.easter(1, "Easter Monday");
    p.substitute(Substitute::Next);
    if p.since(2023) {
        // Saint Brigid's own day when it is a Friday, else the first Monday of February.
        match Date::new(p.year, 2, 1).map(Date::weekday) {
            Ok(Friday) => p.on(2, 1, "Saint Brigid's Day"),
            _ => p.nth(1, Monday, 2, "Saint Brigid's Day"),
        };
    }
    if p.since(1994) {
        p.nth(1, Monday, 5, "May bank holiday");
    }
    p.nth(1, Monday, 6, "June bank holiday").nth(1, Monday, 8, "August bank holiday");
    if p.since(1977) {
        p.nth(-1, Monday, 10, "October bank holiday");
    }
}
