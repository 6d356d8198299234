//! Backtests of mixtures of whole days: no later value reaches an earlier forecast, late values and revisions do not
//! stop them.

use super::*;

fn outcome(data: &Dataset, refit: Refit) -> Outcome {
    let plan = plan(refit);
    let spec = FeatureSpec::for_dataset(data, plan.horizon);
    run(data, &spec, &recipe(Family::Lear, 24), &plan, &|_| Vec::new(), &|_, _| true).unwrap()
}

fn daily() -> Refit {
    Refit::Every(SignedDuration::from_hours(24))
}

/// What became known after `secret` is different, and a wild revision of everything is known right after it.
fn changed(all: &[Observation], secret: Time) -> Vec<Observation> {
    let late = |o: &Observation| o.available_at > secret;
    let changed = all.iter().map(|o| if late(o) { Observation { value: o.value * 40.0, ..*o } } else { *o });
    let after = secret.plus_micros(1);
    let early = all.iter().filter(|o| !late(o));
    let revised = early.map(|o| Observation { available_at: after, value: -300.0, ..*o });
    changed.chain(revised).collect()
}

#[test]
fn what_became_known_later_changes_no_earlier_day() {
    let truth = observed();
    // In the middle of a day, at a forecast start, and at the last one.
    for secret in [day(50).plus_micros(5 * HOUR), day(56), day(62)] {
        let known = outcome(&dataset(&truth, &[]), daily());
        let other = outcome(&dataset(&changed(&truth, secret), &[]), daily());
        let pairs = || known.rows.iter().zip(&other.rows);
        let mut same = 0;
        for (a, b) in pairs().filter(|(a, _)| a.forecast_start <= secret) {
            assert_eq!(a.mean.to_bits(), b.mean.to_bits(), "{} of {secret}", a.forecast_start);
            assert_eq!(a.quantiles, b.quantiles);
            same += 1;
        }
        assert!(same >= 9 * 24);
        let later = pairs().filter(|(a, _)| a.forecast_start > secret);
        let (all, differ) = later.fold((0, 0), |(n, d), (a, b)| (n + 1, d + usize::from(a.mean != b.mean)));
        assert!(secret == day(62) || differ > all / 2, "later days do change: {differ} of {all}");
    }
}

#[test]
fn every_day_of_a_daily_refit_learns_what_came_since() {
    let data = dataset(&observed(), &[]);
    let (daily, never) = (outcome(&data, daily()), outcome(&data, Refit::Never));
    assert_eq!((daily.rows.len(), daily.fits, never.fits), (21 * 24, 21, 1));
    let apart = daily.rows.iter().zip(&never.rows).filter(|(a, b)| a.mean != b.mean).count();
    assert!(apart > 10 * 24, "{apart}");
    assert!(daily.metrics.mae < 3.0 && daily.metrics.rmae.unwrap() < 1.1, "{:?}", daily.metrics);
}

#[test]
fn values_that_come_two_days_late_and_are_revised_still_teach() {
    let late = observed().into_iter().flat_map(|o| {
        let first = o.available_at.plus_micros(48 * HOUR);
        // Told too high at first, and put right five days later.
        let wrong = Observation { available_at: first, value: o.value + 2.0, ..o };
        [wrong, Observation { available_at: first.plus_micros(5 * 24 * HOUR), ..o }]
    });
    let data = dataset(&late.collect::<Vec<_>>(), &[]);
    let outcome = outcome(&data, daily());
    assert_eq!((outcome.rows.len(), outcome.fits), (21 * 24, 21));
    for row in &outcome.rows {
        assert!(row.mean.is_finite() && row.quantiles.is_sorted(), "{row:?}");
    }
    // It learns from values as they were first known, two too high, and is judged by the truth.
    assert!(outcome.metrics.mae < 5.0, "{:?}", outcome.metrics);
}
