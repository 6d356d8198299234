//! Known holidays of known years, and what must hold for every region.

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;

/// Names the text `YYYY-MM-DD`.
fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn region(code: &str) -> Region {
    code.parse().unwrap()
}

/// The holidays of a year as `MM-DD`.
fn dates(code: &str, year: i16) -> Vec<String> {
    let days = region(code).holidays(year);
    days.iter().map(|h| h.date.to_string()[5..].to_owned()).collect()
}

#[test]
fn whole_years_as_published() {
    for (code, year, expected) in [
        (
            "US",
            2021,
            "01-01 01-18 02-15 05-31 06-18 06-19 07-04 07-05 09-06 10-11 11-11 11-25 12-24 12-25 12-31",
        ),
        ("US", 2018, "01-01 01-15 02-19 05-28 07-04 09-03 10-08 11-11 11-12 11-22 12-05 12-25"),
        ("GB", 2022, "01-01 01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-25 12-26 12-27"),
        ("GB", 2020, "01-01 04-10 04-13 05-08 05-25 08-31 12-25 12-26 12-28"),
        ("GB-SCT", 2021, "01-01 01-02 01-04 04-02 05-03 05-31 08-02 11-30 12-25 12-26 12-27 12-28"),
        ("GB-NIR", 2023, "01-01 01-02 03-17 04-07 04-10 05-01 05-08 05-29 07-12 08-28 12-25 12-26"),
        ("FR", 2024, "01-01 04-01 05-01 05-08 05-09 05-20 07-14 08-15 11-01 11-11 12-25"),
        ("ES", 2017, "01-01 01-06 04-14 05-01 08-15 10-12 11-01 12-06 12-08 12-25"),
        ("DE", 2017, "01-01 04-14 04-17 05-01 05-25 06-05 10-03 10-31 12-25 12-26"),
        ("DE-BE", 2020, "01-01 03-08 04-10 04-13 05-01 05-08 05-21 06-01 10-03 12-25 12-26"),
        ("NL", 2025, "01-01 04-20 04-21 04-26 05-05 05-29 06-08 06-09 12-25 12-26"),
        ("NO", 2019, "01-01 04-18 04-19 04-21 04-22 05-01 05-17 05-30 06-09 06-10 12-25 12-26"),
        ("BE", 2019, "01-01 04-22 05-01 05-30 06-10 07-21 08-15 11-01 11-11 12-25"),
        (
            "AU-VIC",
            2022,
            "01-01 01-03 01-26 03-14 04-15 04-16 04-17 04-18 04-25 06-13 09-22 09-23 11-01 12-25 12-26 12-27",
        ),
        ("IE", 2023, "01-01 01-02 02-06 03-17 04-10 05-01 06-05 08-07 10-30 12-25 12-26"),
    ] {
        assert_eq!(dates(code, year).join(" "), expected, "{code} {year}");
    }
}

#[test]
fn single_days_as_published() {
    for (code, date, name) in [
        ("US", "1999-07-05", "Independence Day"),
        ("US", "2010-12-31", "New Year's Day"),
        ("US-CA", "2015-03-31", "Cesar Chavez Day"),
        ("US-TX", "2019-11-29", "Day after Thanksgiving"),
        ("US-MA", "2013-04-15", "Patriots' Day"),
        ("US-NJ", "2016-11-08", "Election Day"),
        ("US-LA", "2020-02-25", "Mardi Gras"),
        ("CA-ON", "2024-02-19", "Family Day"),
        ("CA", "2023-05-22", "Victoria Day"),
        ("GB", "1981-07-29", "Royal wedding"),
        ("GB", "2012-06-05", "Diamond Jubilee"),
        ("GB", "2023-05-08", "Coronation of King Charles III"),
        ("GB", "2011-01-03", "New Year's Day"),
        ("GB-SCT", "2022-01-04", "2nd January"),
        ("DE-BY", "2022-06-16", "Corpus Christi"),
        ("DE-SN", "2023-11-22", "Repentance Day"),
        ("DE-HH", "2018-10-31", "Reformation Day"),
        ("SE", "2023-06-23", "Midsummer Eve"),
        ("SE", "2004-05-31", "Whit Monday"),
        ("FI", "2025-11-01", "All Saints' Day"),
        ("DK", "2023-05-05", "Great Prayer Day"),
        ("NL", "2013-04-30", "Queen's Day"),
        ("NL", "2006-04-29", "Queen's Day"),
        ("ES-MD", "2021-05-03", "Day of Madrid"),
        ("ES-CT", "2019-09-11", "Day of Catalonia"),
        ("AU-VIC", "2019-09-27", "Friday before the AFL Grand Final"),
        ("AU-VIC", "2020-10-23", "Friday before the AFL Grand Final"),
        ("AU-VIC", "2024-11-05", "Melbourne Cup Day"),
        ("AU", "2021-12-28", "Boxing Day"),
        ("AU-NSW", "2021-06-14", "King's Birthday"),
        ("IN", "2023-11-12", "Diwali"),
        ("IN", "2019-03-21", "Holi"),
        ("IN", "2021-05-14", "Eid al-Fitr"),
        ("IN", "2015-12-24", "Milad-un-Nabi"),
        ("IT", "2011-03-17", "150 years of unity"),
        ("PT", "2016-05-26", "Corpus Christi"),
        ("PL", "2018-11-12", "100 years of independence"),
        ("AT", "2024-10-26", "National Day"),
        ("CH", "2024-08-01", "National Day"),
        ("LU", "2024-06-23", "National Day"),
        ("IE", "2022-03-18", "Day of remembrance and recognition"),
        ("IE", "2030-02-01", "Saint Brigid's Day"),
    ] {
        let year = day(date).year();
        let calendar = Calendar::new(Some(&region(code)), year, year);
        assert_eq!(calendar.holiday(day(date)), Some(name), "{code} {date}");
    }
}

#[test]
fn days_that_are_no_holiday() {
    for (code, date) in [
        ("US", "2020-06-19"),
        ("GB", "2020-05-04"),
        ("GB", "2022-05-30"),
        ("GB-SCT", "2023-04-10"),
        ("DE", "2023-10-31"),
        ("DK", "2024-04-26"),
        ("NL", "2024-05-05"),
        ("PT", "2014-10-05"),
        ("SE", "2005-05-16"),
        ("ES", "2024-04-01"),
        ("AU-VIC", "2014-09-26"),
    ] {
        let year = day(date).year();
        assert_eq!(Calendar::new(Some(&region(code)), year, year).holiday(day(date)), None, "{code} {date}");
    }
}

#[test]
fn bridges_join_holidays_and_weekends() {
    let france = Calendar::new(Some(&region("FR")), 2019, 2024);
    assert!(france.is_bridge(day("2024-05-10")), "the Friday after Ascension");
    assert!(france.is_bridge(day("2023-08-14")), "the Monday before Assumption");
    assert!(!france.is_bridge(day("2024-05-09")), "the holiday itself");
    assert!(!france.is_bridge(day("2019-12-26")), "a Thursday with a working Friday");
    let america = Calendar::new(Some(&region("US")), 2020, 2020);
    assert!(america.is_bridge(day("2020-11-27")), "the Friday after Thanksgiving");
    let nowhere = Calendar::new(None, 2020, 2021);
    assert!(nowhere.is_weekend(day("2021-01-02")) && nowhere.holiday(day("2021-01-01")).is_none());
    assert!(!nowhere.is_bridge(Date::MAX) && !nowhere.is_bridge(Date::MIN));
}

#[test]
fn regions_are_read_by_code_and_errors_list_what_is_known() {
    for r in Region::all() {
        assert_eq!(r.to_string().parse::<Region>().unwrap(), r);
        assert_eq!(serde_json::from_str::<Region>(&serde_json::to_string(&r).unwrap()).unwrap(), r);
    }
    assert_eq!(Region::all().iter().filter(|r| r.code().starts_with("US-")).count(), 51);
    let error = "XX".parse::<Region>().unwrap_err().to_string();
    assert!(error.contains("`XX`") && error.contains("ES") && error.contains("US"), "{error}");
    let error = "DE-XX".parse::<Region>().unwrap_err().to_string();
    assert!(error.contains("DE-BY") && !error.contains("US"), "{error}");
    for bad in ["", "us", "US-", "-", "ÜÜ-ÄÄ"] {
        assert!(bad.parse::<Region>().is_err(), "{bad}");
    }
}

#[test]
fn years_out_of_range_are_empty_and_cheap() {
    let spain = region("ES");
    assert!(spain.holidays(i16::MIN).is_empty() && spain.holidays(i16::MAX).is_empty());
    let all = Calendar::new(Some(&spain), i16::MIN, i16::MAX);
    assert_eq!(all.holiday(date(1800, 12, 25)), Some("Christmas Day"));
    assert_eq!(all.holiday(date(2300, 12, 25)), Some("Christmas Day"));
    assert_eq!(Calendar::new(Some(&spain), 2021, 2020), Calendar::new(None, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_region_has_sane_years(index in 0_usize..110, year in 1980_i16..=2050) {
        let all = Region::all();
        let region = all[index % all.len()];
        let days = region.holidays(year);
        prop_assert!((5..=30).contains(&days.len()), "{region} {year}: {}", days.len());
        prop_assert!(days.windows(2).all(|w| w[0].date < w[1].date));
        prop_assert!(days.iter().all(|h| h.date.year() == year && !h.name.is_empty()));
        let has = |month, day| days.iter().any(|h| h.date == date(year, month, day));
        prop_assert!(has(1, 1) && has(12, 25) || region.code() == "IN");
    }

    #[test]
    fn substitutes_fall_on_working_days(index in 0_usize..110, year in 1980_i16..=2050) {
        let all = Region::all();
        let region = all[index % all.len()];
        let calendar = Calendar::new(None, 0, 0);
        for holiday in region.holidays(year).iter().filter(|h| h.substitute) {
            prop_assert!(!calendar.is_weekend(holiday.date), "{region} {holiday:?}");
        }
    }
}
