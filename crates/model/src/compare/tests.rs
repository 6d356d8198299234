//! Whole comparisons on made forecasts.

use forewatt_domain::time::MICROS_PER_HOUR;
use forewatt_domain::{Time, Zone};

use super::*;

/// Noise in -0.5..0.5 that every call repeats.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / f64::from(1 << 24) - 0.5
    }
}

/// Day-ahead forecasts of `days` days whose errors are noise times `error(lead)`.
fn day_ahead(days: i64, seed: u64, error: impl Fn(i64) -> f64) -> Forecasts {
    let mut noise = Noise(seed);
    let mut rows = Vec::new();
    for hour in 0..days * 24 {
        let (lead, actual) = (hour % 24, 100.0 + (hour % 7) as f64);
        let mean = actual + error(lead) * noise.next();
        rows.push(ForecastRow {
            forecast_start: Some(Time::from_micros((hour - lead) * MICROS_PER_HOUR)),
            valid_time: Time::from_micros(hour * MICROS_PER_HOUR),
            actual,
            mean,
            quantiles: vec![mean - 2.0, mean + 2.0],
        });
    }
    Forecasts { levels: vec![0.1, 0.9], rows }
}

fn run(a: &Forecasts, b: &Forecasts) -> Comparison {
    compare(["ours", "theirs"], a, b, None, &Zone::utc()).unwrap()
}

#[test]
fn the_better_one_is_found_and_told() {
    let (a, b) = (day_ahead(60, 1, |_| 6.0), day_ahead(60, 2, |_| 10.0));
    let found = run(&a, &b);
    assert_eq!((found.days, found.values, found.matched_by), (60, 1440, MatchedBy::StartAndValidTime));
    assert_eq!(
        found.losses.iter().map(|l| l.loss).collect::<Vec<_>>(),
        [Loss::Absolute, Loss::Squared, Loss::Pinball]
    );
    for loss in &found.losses {
        assert_eq!(loss.better, Some(Side::A));
        assert!(loss.verdict.starts_with("ours is better than theirs by "), "{}", loss.verdict);
        assert!(loss.by_lead.iter().all(|bucket| bucket.tested.days == 60));
    }
    let absolute = &found.losses[0];
    let tested = &absolute.overall;
    // Mean absolute noise is a quarter: 1.5 against 2.5.
    assert!((tested.a - 1.5).abs() < 0.1 && (tested.b - 2.5).abs() < 0.15, "{tested:?}");
    assert!((tested.relative_percent.unwrap() + 40.0).abs() < 5.0 && tested.standardized.unwrap() < -1.0);
    assert_eq!(tested.overlap_days, 1);
    assert!(absolute.leads.contains("Holm") && absolute.leads.contains("12 to 24 h"), "{}", absolute.leads);
    let mirrored = run(&b, &a);
    assert_eq!(mirrored.losses[0].better, Some(Side::B));
    assert_eq!(mirrored.losses[0].overall.difference, -tested.difference);
}

#[test]
fn equal_ones_are_not_told_apart_and_the_days_are_named() {
    let found = run(&day_ahead(40, 1, |_| 8.0), &day_ahead(40, 2, |_| 8.0));
    let absolute = &found.losses[0];
    assert_eq!(absolute.better, None);
    assert!(absolute.verdict.starts_with("No difference can be told"), "{}", absolute.verdict);
    assert!(absolute.verdict.contains("with 40 days"), "{}", absolute.verdict);
    assert!(
        absolute.overall.smallest_told_percent.unwrap() > absolute.overall.relative_percent.unwrap().abs()
    );
    let same = day_ahead(40, 1, |_| 8.0);
    let verdict = &run(&same, &same).losses[0].verdict;
    assert!(verdict.contains("the same absolute error on each of 40 days"), "{verdict}");
}

#[test]
fn leads_may_tell_more_than_the_whole() {
    // One is better on the first three hours, the other afterwards, by as much in sum.
    let near = |better: f64| move |lead: i64| if lead < 12 { better } else { 24.0 - better };
    let found = run(&day_ahead(60, 1, near(6.0)), &day_ahead(60, 2, near(18.0)));
    let absolute = &found.losses[0];
    assert_eq!(absolute.better, None, "{}", absolute.verdict);
    let at = |hours: f64| absolute.by_lead.iter().find(|b| b.from_hours == hours).unwrap();
    assert_eq!((at(6.0).better, at(12.0).better), (Some(Side::A), Some(Side::B)));
    for bucket in &absolute.by_lead {
        let alone = bucket.tested.diebold_mariano.unwrap().p_value;
        assert!(bucket.diebold_mariano_holm.unwrap() >= alone);
        assert!(bucket.giacomini_white_holm.unwrap() >= bucket.tested.giacomini_white.unwrap().p_value);
    }
    assert!(
        absolute.leads.contains("ours is better at")
            && absolute.leads.contains("theirs is better at 12 to 24 h")
    );
}

#[test]
fn losses_are_those_of_the_levels_both_have() {
    let mut a = day_ahead(10, 1, |_| 1.0);
    let mut b = a.clone();
    a.rows.iter_mut().for_each(|row| row.quantiles = vec![90.0, row.actual + 10.0]);
    b.levels = vec![0.5, 0.9];
    b.rows.iter_mut().for_each(|row| row.quantiles = vec![0.0, row.actual + 20.0]);
    let found = run(&a, &b);
    assert_eq!(found.quantiles, [0.9]);
    let pinball = &found.losses[2].overall;
    assert!((pinball.a - 1.0).abs() < 1e-9 && (pinball.b - 2.0).abs() < 1e-9, "{pinball:?}");
    b.levels = vec![0.5, 0.8];
    assert_eq!(run(&a, &b).losses.len(), 2);
}

#[test]
fn week_long_forecasts_overlap_and_weekly_ones_do_not() {
    let long = |every: i64, seed: u64| {
        let mut noise = Noise(seed);
        let rows =
            (0..40).flat_map(|i| (0..168).map(move |lead| (i * every * 24, lead))).map(|(start, lead)| {
                let valid_time = Time::from_micros((start + lead) * MICROS_PER_HOUR);
                let forecast_start = Some(Time::from_micros(start * MICROS_PER_HOUR));
                ForecastRow { forecast_start, valid_time, actual: 0.0, mean: noise.next(), quantiles: vec![] }
            });
        Forecasts { levels: vec![], rows: rows.collect() }
    };
    let daily = run(&long(1, 1), &long(1, 2));
    let absolute = &daily.losses[0];
    assert_eq!((absolute.overall.overlap_days, absolute.by_lead[0].tested.overlap_days), (7, 1));
    assert_eq!(run(&long(7, 1), &long(7, 2)).losses[0].overall.overlap_days, 1);
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let whole = day_ahead(30, 1, |_| 1.0);
    let refused = |a: &Forecasts, b: &Forecasts| {
        compare(["ours", "theirs"], a, b, None, &Zone::utc()).unwrap_err().to_string()
    };
    let short = day_ahead(7, 2, |_| 1.0);
    assert!(refused(&whole, &short).contains("168 values on 7 days"), "{}", refused(&whole, &short));
    assert!(refused(&whole, &short).contains("at least 8 days"));
    let mut later = whole.clone();
    later.rows.iter_mut().for_each(|row| row.valid_time = row.valid_time.plus_micros(MICROS_PER_HOUR / 2));
    assert!(refused(&whole, &later).contains("about the same time"));
    let mut unknown = whole.clone();
    unknown.rows.iter_mut().for_each(|row| row.actual = f64::NAN);
    assert!(refused(&unknown, &unknown).contains("of none is it known what came true"));
    let mut shifted = whole.clone();
    shifted.rows.iter_mut().for_each(|row| row.actual += 5.0);
    assert!(refused(&whole, &shifted).contains("check the time zone"));
    assert!(refused(&whole, &Forecasts::default()).contains("about nothing"));
}
