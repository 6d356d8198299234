//! Holidays of Norway, Sweden, Denmark and Finland.
//!
//! Eves on which everything closes (Midsummer Eve, Christmas Eve) count where custom makes them days off.

use jiff::civil::Weekday::{Friday, Saturday};

use super::Country;
use super::plan::Plan;

/// Public holidays of Norway.
pub(super) const NORWAY: Country = Country { codes: &["NO"], rules: norway };
/// Public holidays of Sweden.
pub(super) const SWEDEN: Country = Country { codes: &["SE"], rules: sweden };
/// Public holidays of Denmark.
pub(super) const DENMARK: Country = Country { codes: &["DK"], rules: denmark };
/// Public holidays of Finland.
pub(super) const FINLAND: Country = Country { codes: &["FI"], rules: finland };

/// What all four keep.
fn common(p: &mut Plan) -> &mut Plan {
    p.fixed(&[(1, 1, "New Year's Day"), (12, 25, "Christmas Day"), (12, 26, "Second Day of Christmas")])
        .good_friday_and_easter_monday()
        .easter(0, "Easter Sunday")
        .easter(39, "Ascension Day")
        .easter(49, "Whit Sunday")
}

fn norway(p: &mut Plan, _: &str) {
    common(p).easter(-3, "Maundy Thursday").easter(50, "Whit Monday").on(5, 1, "Labour Day").on(
        5,
        17,
        "Constitution Day",
    );
}

fn sweden(p: &mut Plan, _: &str) {
    common(p)
        .fixed(&[
            (1, 6, "Epiphany"),
            (5, 1, "Labour Day"),
            (12, 24, "Christmas Eve"),
            (12, 31, "New Year's Eve"),
        ])
        .from(6, 19, Friday, "Midsummer Eve")
        .from(6, 20, Saturday, "Midsummer Day")
        .from(10, 31, Saturday, "All Saints' Day");
    // In 2005 the National Day replaced Whit Monday.
    if p.since(2005) {
        p.on(6, 6, "National Day");
    } else {
        p.easter(50, "Whit Monday");
    }
}

fn denmark(p: &mut Plan, _: &str) {
    common(p).easter(-3, "Maundy Thursday").easter(50, "Whit Monday").on(6, 5, "Constitution Day").on(
        12,
        24,
        "Christmas Eve",
    );
    if p.year <= 2023 {
        p.easter(26, "Great Prayer Day");
    }
}

fn finland(p: &mut Plan, _: &str) {
    common(p)
        .fixed(&[
            (1, 6, "Epiphany"),
            (5, 1, "May Day"),
            (12, 6, "Independence Day"),
            (12, 24, "Christmas Eve"),
        ])
        .from(6, 19, Friday, "Midsummer Eve")
        .from(6, 20, Saturday, "Midsummer Day")
        .from(10, 31, Saturday, "All Saints' Day");
}
