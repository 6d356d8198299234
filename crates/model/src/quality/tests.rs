//! Each fault is planted into a realistic series and found; clean series are left alone.

use std::f64::consts::TAU;

use forewatt_domain::time::MICROS_PER_HOUR;
use forewatt_domain::{Resolution, Series, SeriesKind, Time};

use super::*;

/// A small generator of even noise in -1..1 (SplitMix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

fn series(kind: SeriesKind, zone: &str) -> Series {
    Series {
        name: "s".parse().unwrap(),
        kind,
        unit: "MW".to_owned(),
        resolution: Resolution::HOUR,
        time_zone: zone.parse().unwrap(),
        location: None,
        holiday_region: None,
        parent: None,
    }
}

fn start() -> Time {
    "2021-01-01T00:00:00Z".parse().unwrap()
}

/// What a kind does at a civil or solar hour: `(hour, day of year, weekday from Monday, noises)`.
fn model(kind: SeriesKind, hour: f64, day: f64, weekday: i64, slow: f64, fast: f64) -> f64 {
    let year = (TAU * (day - 15.0) / 365.25).cos();
    match kind {
        SeriesKind::Load => {
            let winter = 600.0 * (-((hour - 19.0) / 3.0).powi(2)).exp() * (1.0 + 0.5 * year);
            let morning = 500.0 * (-((hour - 9.0) / 2.5).powi(2)).exp();
            let work = if weekday >= 5 { 0.82 } else { 1.0 };
            (2000.0 + 500.0 * year + work * (winter + morning) - if weekday >= 5 { 250.0 } else { 0.0 })
                * (1.0 + 0.04 * slow)
                + 12.0 * fast
        }
        SeriesKind::Solar => {
            let half = 6.0 - 2.0 * year;
            let height = (TAU / 4.0 * ((hour - 12.5) / half)).cos();
            if (hour - 12.5).abs() >= half {
                0.0
            } else {
                800.0 * height * (0.65 + 0.35 * slow) * (1.0 + 0.1 * fast)
            }
        }
        SeriesKind::Price => {
            let shape = 15.0 * (TAU * (hour - 7.0) / 12.0).sin() - if weekday >= 5 { 12.0 } else { 0.0 };
            (45.0 + shape + 35.0 * slow + 6.0 * fast) * (1.0 + 0.3 * year)
        }
        SeriesKind::Temperature => {
            12.0 - 10.0 * year + 5.0 * (TAU * (hour - 9.0) / 24.0).sin() + 4.0 * slow + 0.4 * fast
        }
        _ => 10.0 + fast,
    }
}

/// Hourly values in civil time of a zone over some years.
fn synthetic(kind: SeriesKind, zone: &str, years: usize, seed: u64) -> (Series, Vec<(Time, f64)>) {
    let series = series(kind, zone);
    let (mut noise, mut slow) = (Noise(seed), 0.0);
    let sun = matches!(kind, SeriesKind::Solar | SeriesKind::Temperature);
    let values = (0..years * 8766).map(|i| {
        let time = start().plus_micros(i as i64 * MICROS_PER_HOUR);
        let civil = series.time_zone.civil(time);
        let hour = if sun { (i % 24) as f64 } else { civil.hour() };
        let day = i as f64 / 24.0;
        slow = 0.97 * slow + 0.12 * noise.next();
        let value =
            model(kind, hour, day, i64::from(civil.weekday()), f64::clamp(slow, -1.0, 1.0), noise.next());
        (time, value)
    });
    let values = values.collect();
    (series, values)
}

fn load() -> (Series, Vec<(Time, f64)>) {
    synthetic(SeriesKind::Load, "Europe/Madrid", 2, 7)
}

fn of(report: &Report, kind: FindingKind) -> Vec<&Finding> {
    report.findings.iter().filter(|f| f.kind == kind).collect()
}

fn serious(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|f| f.severity > Severity::Info).collect()
}

/// How many of the slots in a range of indexes are masked.
fn masked_within(report: &Report, values: &[(Time, f64)], range: std::ops::Range<usize>) -> usize {
    let is = |t: Time| report.masked.iter().any(|(a, b)| *a <= t && t < *b);
    values[range].iter().filter(|(t, _)| is(*t)).count()
}

fn masked_total(report: &Report) -> f64 {
    report.masked.iter().map(|(a, b)| b.micros_since(*a)).sum::<i64>() as f64 / MICROS_PER_HOUR as f64
}

#[test]
fn clean_series_are_left_alone() {
    for (kind, zone) in [
        (SeriesKind::Load, "Europe/Madrid"),
        (SeriesKind::Load, "America/New_York"),
        (SeriesKind::Load, "Asia/Kolkata"),
        (SeriesKind::Solar, "Europe/Madrid"),
        (SeriesKind::Price, "Europe/Oslo"),
        (SeriesKind::Temperature, "Australia/Melbourne"),
        (SeriesKind::Other, "UTC"),
    ] {
        for seed in 1..4 {
            let (series, values) = synthetic(kind, zone, 3, seed);
            if kind == SeriesKind::Price {
                assert!(values.iter().any(|(_, v)| *v < 0.0));
            }
            let report = check(&series, &values, None);
            assert!(serious(&report).is_empty(), "{kind} {zone} {seed}: {:#?}", serious(&report));
            assert_eq!(report.masked, [], "{kind} {zone} {seed}: {:#?}", report.findings);
            assert_eq!((report.completeness, report.score), (1.0, 1.0));
        }
    }
}

#[test]
fn gaps_and_stale_ends() {
    let (series, mut values) = load();
    values.drain(5000..5100);
    values.remove(300);
    let upto = values.last().unwrap().0.plus_micros(60 * MICROS_PER_HOUR);
    let report = check(&series, &values, Some(upto));
    let gaps = of(&report, FindingKind::Gap);
    assert_eq!(gaps.iter().map(|g| g.count).collect::<Vec<_>>(), [100, 1]);
    let stale = of(&report, FindingKind::Stale);
    assert_eq!((stale[0].count, stale[0].severity), (59, Severity::Warning));
    assert!(report.completeness < 1.0 && report.score < report.completeness);
}

#[test]
fn flatlines_by_kind() {
    let (series, mut values) = load();
    for value in &mut values[4000..4030] {
        value.1 = 2100.0;
    }
    let report = check(&series, &values, None);
    assert_eq!(of(&report, FindingKind::Flatline)[0].count, 30);
    assert_eq!((masked_within(&report, &values, 4000..4030), masked_total(&report)), (30, 30.0));

    // A plant that gives nothing for a week is out of order; at night it is not.
    let (series, mut values) = synthetic(SeriesKind::Solar, "Europe/Madrid", 2, 3);
    for value in &mut values[4000..4170] {
        value.1 = 0.0;
    }
    let report = check(&series, &values, None);
    assert!(of(&report, FindingKind::Flatline)[0].count >= 170);
    let (series, mut values) = synthetic(SeriesKind::Price, "Europe/Madrid", 2, 3);
    for value in &mut values[4000..4024] {
        value.1 = 0.0;
    }
    assert!(
        of(&check(&series, &values, None), FindingKind::Flatline).is_empty(),
        "a day of zero prices is real"
    );
    let constant: Vec<(Time, f64)> = values.iter().map(|(t, _)| (*t, 5.0)).collect();
    assert_eq!(of(&check(&series, &constant, None), FindingKind::Flatline)[0].severity, Severity::Error);
}

#[test]
fn rounded_values_are_no_flatline() {
    let (series, mut values) = load();
    for value in &mut values {
        value.1 = (value.1 / 200.0).round() * 200.0;
    }
    let report = check(&series, &values, None);
    assert!(of(&report, FindingKind::Flatline).is_empty(), "{:#?}", of(&report, FindingKind::Flatline));
}

#[test]
fn spikes_single_and_in_bursts() {
    let (series, mut values) = load();
    values[3000].1 *= 2.5;
    values[6000].1 = 0.0;
    for value in &mut values[9000..9003] {
        value.1 *= 1.8;
    }
    let report = check(&series, &values, None);
    let found: u64 = of(&report, FindingKind::Spike).iter().map(|f| f.count).sum();
    assert_eq!(found, 5, "{:#?}", report.findings);
    for range in [3000..3001, 6000..6001, 9000..9003] {
        assert_eq!(masked_within(&report, &values, range.clone()), range.len());
    }
    let (series, mut values) = synthetic(SeriesKind::Price, "Europe/Oslo", 2, 3);
    values[3000].1 = 3000.0;
    let report = check(&series, &values, None);
    assert_eq!(of(&report, FindingKind::Spike)[0].severity, Severity::Info);
    assert_eq!(report.masked, [], "a price spike is real");
}

#[test]
fn wrong_signs() {
    let (series, mut values) = load();
    for value in &mut values[7000..7010] {
        value.1 = -value.1;
    }
    let report = check(&series, &values, None);
    assert_eq!(of(&report, FindingKind::Sign)[0].count, 10);
    assert_eq!((masked_within(&report, &values, 7000..7010), masked_total(&report)), (10, 10.0));
    let reversed: Vec<(Time, f64)> = load().1.iter().map(|(t, v)| (*t, -v)).collect();
    let report = check(&series, &reversed, None);
    assert_eq!(of(&report, FindingKind::Sign).len(), 1);
    assert_eq!(report.masked, []);
}

#[test]
fn level_shifts_are_told_but_not_masked() {
    let (series, mut values) = load();
    for value in &mut values[8000..] {
        value.1 *= 1.6;
    }
    let report = check(&series, &values, None);
    let shifts = of(&report, FindingKind::LevelShift);
    assert_eq!(shifts.len(), 1, "{shifts:#?}");
    let days_off = (shifts[0].from.micros_since(values[8000].0) as f64 / MICROS_PER_HOUR as f64 / 24.0).abs();
    assert!(days_off <= 1.5, "{days_off}");
    assert_eq!(report.masked, []);
}

#[test]
fn another_unit_for_a_while() {
    for factor in [1000.0, 0.001] {
        let (series, mut values) = load();
        for value in &mut values[4800..5544] {
            value.1 *= factor;
        }
        let report = check(&series, &values, None);
        let units = of(&report, FindingKind::Unit);
        assert_eq!(units.len(), 1, "{:#?}", report.findings);
        assert!(masked_within(&report, &values, 4800..5544) >= 720);
        assert!(masked_total(&report) < 800.0);
    }
}

#[test]
fn a_stretch_in_another_time_zone() {
    for (shift, kind) in
        [(6_i64, SeriesKind::Load), (-3, SeriesKind::Load), (1, SeriesKind::Load), (5, SeriesKind::Solar)]
    {
        let (series, clean) = synthetic(kind, "Europe/Madrid", 2, 5);
        let mut values = clean.clone();
        for (i, value) in values.iter_mut().enumerate().take(8600).skip(6000) {
            value.1 = clean[(i as i64 - shift) as usize].1;
        }
        let report = check(&series, &values, None);
        let found = of(&report, FindingKind::ShiftedClock);
        assert_eq!(found.len(), 1, "{shift} {kind}: {found:#?}");
        let word = if shift > 0 { "late" } else { "early" };
        assert!(
            found[0].evidence.contains(&format!("{:.1} hours {word}", shift.abs() as f64)),
            "{}",
            found[0].evidence
        );
        let masked = masked_within(&report, &values, 6000..8600);
        assert!(if shift.abs() == 1 { masked == 0 } else { masked > 2500 }, "{shift}: {masked}");
        assert!(masked_total(&report) < 2700.0);
    }
}

#[test]
fn a_load_of_clock_changers_described_in_utc() {
    let (mut series, values) = synthetic(SeriesKind::Load, "America/New_York", 3, 5);
    series.time_zone = forewatt_domain::Zone::utc();
    let report = check(&series, &values, None);
    let found = of(&report, FindingKind::ShiftedClock);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].evidence.contains("is UTC the time zone"), "{}", found[0].evidence);
    assert_eq!(report.masked, []);
}

#[test]
fn a_stretch_on_other_weekdays() {
    let (series, clean) = load();
    let mut values = clean.clone();
    for (i, value) in values.iter_mut().enumerate().take(9000).skip(6000) {
        value.1 = clean[i - 48].1;
    }
    let report = check(&series, &values, None);
    let found = of(&report, FindingKind::ShiftedWeek);
    assert_eq!(found.len(), 1, "{:#?}", report.findings);
    assert!(found[0].evidence.contains("2 day(s) later"), "{}", found[0].evidence);
    assert!(masked_within(&report, &values, 6000..9000) > 2500);
}

#[test]
fn swapped_day_and_month() {
    let (series, clean) = load();
    let day_of = |time: Time| series.time_zone.civil(time).date;
    let mut values = clean.clone();
    for value in &mut values {
        let date = day_of(value.0);
        if date.year() == 2022 && date.day() <= 12 {
            let swapped = jiff::civil::Date::constant(2022, date.day(), date.month());
            let source = value.0.plus_micros(
                series.time_zone.start_of_day(swapped).micros_since(series.time_zone.start_of_day(date)),
            );
            let at = clean.partition_point(|(t, _)| *t < source).min(clean.len() - 1);
            value.1 = clean[at].1;
        }
    }
    let report = check(&series, &values, None);
    let found = of(&report, FindingKind::DateOrder);
    assert_eq!(found.len(), 1, "{:#?}", report.findings);
    assert!(
        found[0].from.to_string().starts_with("2021-12-31T23")
            || found[0].from.to_string().starts_with("2022-01-01")
    );
}

#[test]
fn the_recent_past_has_its_own_score() {
    let (series, values) = load();
    let start = values.last().unwrap().0.plus_micros(MICROS_PER_HOUR);
    assert_eq!(recent_score(&series, &values, start, 7), 1.0);
    let without_a_day = &values[..values.len() - 24];
    let score = recent_score(&series, without_a_day, start, 7);
    assert!((0.40..0.46).contains(&score), "{score}");
    assert_eq!(recent_score(&series, &[], start, 7), 0.0);
    let mut flat = values.clone();
    let n = flat.len();
    for value in &mut flat[n - 24..] {
        value.1 = 2000.0;
    }
    assert!(recent_score(&series, &flat, start, 7) < 0.5, "a stuck meter counts as missing");
}

#[test]
fn nothing_panics() {
    let (series, values) = load();
    let cases: [&[(Time, f64)]; 5] = [
        &[],
        &values[..1],
        &values[..30],
        &[(Time::MIN, 1.0), (Time::MAX, 2.0)],
        &[(start(), f64::NAN), (start().plus_micros(1), f64::INFINITY)],
    ];
    for case in cases {
        for upto in [None, Some(Time::MIN), Some(Time::MAX), Some(start())] {
            let report = check(&series, case, upto);
            assert!((0.0..=1.0).contains(&report.score), "{report:?}");
        }
    }
}
