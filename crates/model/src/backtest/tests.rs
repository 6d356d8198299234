//! The backtest against hand computation, and that no later data reaches an earlier forecast.

use forewatt_domain::{
    Choice, Family, Horizon, Observation, QuantileLevels, Resolution, Series, SeriesKind, TimeGrid,
};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::dataset::{Column, CovariateColumn};

mod whole_days;

const DAYS: usize = 70;
const HOUR: i64 = 3_600_000_000;

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn begin() -> Time {
    at("2026-01-05T00:00:00Z")
}

fn day(number: i64) -> Time {
    begin() + SignedDuration::from_hours(24 * number)
}

fn series(name: &str) -> Series {
    Series {
        name: name.parse().unwrap(),
        kind: SeriesKind::Load,
        unit: "MW".to_owned(),
        resolution: Resolution::HOUR,
        time_zone: "Europe/Madrid".parse().unwrap(),
        location: None,
        holiday_region: None,
        parent: None,
    }
}

/// A day and a week with a trend and an unruly rest.
fn value(i: usize) -> f64 {
    let hour = (i % 24) as f64;
    100.0
        + 30.0 * (hour / 24.0 * std::f64::consts::TAU).sin()
        + (i / 24 % 7) as f64
        + (i * 7919 % 101) as f64 / 20.3
}

fn observed() -> Vec<Observation> {
    (0..DAYS * 24)
        .map(|i| {
            let valid_time = begin().plus_micros(i as i64 * HOUR);
            Observation { valid_time, available_at: valid_time.plus_micros(HOUR), value: value(i) }
        })
        .collect()
}

fn dataset(target: &[Observation], covariate: &[Observation]) -> Dataset {
    let grid = TimeGrid { start: begin(), step: Resolution::HOUR, len: (DAYS + 2) * 24 };
    let column = Column::new(grid, covariate).0;
    let covariates = vec![CovariateColumn { series: series("wind"), known_ahead: true, column }];
    Dataset { series: series("load"), target: Column::new(grid, target).0, covariates }
}

fn recipe(family: Family, every: u32) -> Recipe {
    Recipe {
        target: "load".parse().unwrap(),
        family,
        covariates: vec![],
        resolution: Resolution::HOUR,
        horizon: Horizon::from_steps(1, Resolution::HOUR).unwrap(),
        levels: QuantileLevels::parse("0.1,0.5,0.9").unwrap(),
        origin_every_steps: every,
        daily: false,
        any_hour: false,
        training_days: None,
        non_negative: false,
        choice: Choice::default(),
        seed: 1,
    }
}

fn plan(refit: Refit) -> Plan {
    Plan {
        from: day(42),
        to: day(63),
        every: SignedDuration::from_hours(24),
        horizon: Horizon::from_steps(24, Resolution::HOUR).unwrap(),
        refit,
        baseline: Family::SeasonalNaive,
    }
}

/// Answers a column plus a constant, with quantiles one below and above.
struct Copycat {
    column: &'static str,
    add: f32,
}

impl Predict for Copycat {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let column = features.column(self.column).unwrap();
        let mean: Vec<f32> = (0..features.rows()).map(|i| features.row(i)[column] + self.add).collect();
        let quantiles = mean.iter().flat_map(|m| [m - 1.0, *m, m + 1.0]).collect();
        Ok(Predictions { mean, quantiles, levels: 3 })
    }
}

/// A model that depends on every number it learned from and is asked about.
struct Stirred(f64);

impl Predict for Stirred {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let mean: Vec<f32> = (0..features.rows()).map(|i| (self.0 + stir(features.row(i))) as f32).collect();
        let quantiles = mean.iter().flat_map(|m| [m - 1.0, *m, m + 1.0]).collect();
        Ok(Predictions { mean, quantiles, levels: 3 })
    }
}

fn stir(numbers: &[f32]) -> f64 {
    numbers
        .iter()
        .enumerate()
        .filter(|(_, v)| !v.is_nan())
        .map(|(i, &v)| f64::from(v) * (1.0 + (i % 17) as f64))
        .sum()
}

fn stirring(_: &Recipe, data: &TrainingSet) -> Result<Box<dyn Predict>, ModelError> {
    Ok(Box::new(Stirred((stir(&data.target) + stir(&data.features.values) + data.target.len() as f64) / 1e3)))
}

/// The family's answer is last week's value, or for a linear recipe yesterday's newest plus its fit number.
fn copying(recipe: &Recipe, data: &TrainingSet) -> Result<Box<dyn Predict>, ModelError> {
    let naive = recipe.family == Family::SeasonalNaive;
    let rows = data.target.len() as f32;
    Ok(Box::new(if naive {
        Copycat { column: "lag_week_1", add: 0.0 }
    } else {
        Copycat { column: "lead_hours", add: rows }
    }))
}

fn test(
    data: &Dataset,
    recipe: &Recipe,
    plan: &Plan,
    learner: &Learner<'_>,
) -> Result<Outcome, BacktestError> {
    let spec = FeatureSpec::for_dataset(data, plan.horizon);
    run_with(data, &spec, recipe, plan, &|_| Vec::new(), &|_, _| true, learner)
}

#[test]
fn last_weeks_value_scores_as_computed_by_hand() {
    let data = dataset(&observed(), &[]);
    let outcome = test(&data, &recipe(Family::SeasonalNaive, 24), &plan(Refit::Never), &copying).unwrap();
    assert_eq!((outcome.rows.len(), outcome.fits), (21 * 24, 1));
    let errors: Vec<f64> =
        (42 * 24..63 * 24).map(|i| f64::from(value(i) as f32) - f64::from(value(i - 168) as f32)).collect();
    let mean = |f: &dyn Fn(f64) -> f64| errors.iter().map(|&e| f(e)).sum::<f64>() / errors.len() as f64;
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-4, "{a} {b}");
    close(outcome.metrics.mae, mean(&f64::abs));
    close(outcome.metrics.rmse, mean(&|e| e * e).sqrt());
    close(outcome.metrics.intervals[0].coverage, mean(&|e| f64::from(u8::from(e.abs() <= 1.0))));
    close(outcome.metrics.intervals[0].width, 2.0);
    assert_eq!(outcome.metrics.rmae, Some(1.0), "the baseline is the model itself");
    assert_eq!(outcome.absolute_test, None);
    let history: Vec<f64> = (24..42 * 24).map(|i| (value(i) - value(i - 24)).abs()).collect();
    let scale = history.iter().sum::<f64>() / history.len() as f64;
    close(outcome.metrics.mase.unwrap(), mean(&f64::abs) / scale);
    assert_eq!(outcome.by_lead.iter().map(|b| b.metrics.count).sum::<usize>(), 21 * 24);
    let row = &outcome.rows[25];
    assert_eq!((row.forecast_start, row.valid_time), (day(43), day(43).plus_micros(HOUR)));
    assert_eq!(row.actual, value(43 * 24 + 1) as f32);
}

#[test]
fn a_naive_backtest_with_the_columns_it_reads_is_the_one_with_all() {
    let lit = |i: usize| ((i as f64 % 24.0 - 12.0) / 24.0 * std::f64::consts::TAU).cos().max(0.0);
    let solar: Vec<Observation> = observed()
        .into_iter()
        .enumerate()
        .map(|(i, seen)| Observation { value: lit(i) * value(i), ..seen })
        .collect();
    let mut data = dataset(&solar, &observed());
    data.series.kind = SeriesKind::Solar;
    data.series.location = Some(forewatt_domain::Location::new(0.0, 0.0).unwrap());
    let plan = plan(Refit::Every(SignedDuration::from_hours(168)));
    let spec = FeatureSpec::for_dataset(&data, plan.horizon);
    let full = |recipe: &Recipe, data: &TrainingSet| -> Result<Box<dyn Predict>, ModelError> {
        assert!(data.features.columns() > 40, "all columns are there");
        Ok(Box::new(learn(recipe, data)?))
    };
    for family in [Family::SeasonalNaive, Family::SeasonalEmpirical] {
        let recipe = Recipe { non_negative: true, ..recipe(family, 24) };
        let wide = test(&data, &recipe, &plan, &full).unwrap();
        let narrow = run(&data, &spec, &recipe, &plan, &|_| Vec::new(), &|_, _| true).unwrap();
        assert!(narrow.rows.iter().any(|row| row.quantiles.iter().all(|q| *q == 0.0)), "nights are dark");
        assert_eq!(narrow, wide);
    }
}

#[test]
fn a_refit_learns_what_came_since_and_never_does_not() {
    let data = dataset(&observed(), &[]);
    let recipe = recipe(Family::Linear, 24);
    let first_of_day =
        |outcome: &Outcome| outcome.rows.iter().step_by(24).map(|r| r.mean).collect::<Vec<_>>();
    let never = test(&data, &recipe, &plan(Refit::Never), &copying).unwrap();
    // The copycat answers how many rows it learned from: days 7 to 41, 24 leads each.
    assert_eq!(first_of_day(&never), vec![35.0 * 24.0; 21]);
    let weekly =
        test(&data, &recipe, &plan(Refit::Every(SignedDuration::from_hours(168))), &copying).unwrap();
    let expected: Vec<f32> = (0..21).map(|d| (35 + d / 7 * 7) as f32 * 24.0).collect();
    assert_eq!((first_of_day(&weekly), weekly.fits), (expected, 3));
    let windowed = Recipe { training_days: Some(10), ..recipe };
    let daily =
        test(&data, &windowed, &plan(Refit::Every(SignedDuration::from_hours(24))), &copying).unwrap();
    assert_eq!((first_of_day(&daily), daily.fits), (vec![240.0; 21], 21));
}

#[test]
fn training_origins_need_not_be_test_origins() {
    let data = dataset(&observed(), &[]);
    let outcome = test(&data, &recipe(Family::Linear, 7), &plan(Refit::Never), &copying).unwrap();
    // Origins 7 h apart before the cutoff, from a week after the data's beginning; the last three reach beyond it.
    let starts: Vec<i64> = (1..).map(|k| 42 * 24 - 7 * k).take_while(|&start| start >= 7 * 24).collect();
    let rows: i64 = starts.iter().map(|start| (42 * 24 - start).min(24)).sum();
    assert_eq!(outcome.rows[0].mean, rows as f32);
}

#[test]
fn masked_stretches_are_not_learned() {
    let data = dataset(&observed(), &[]);
    let (recipe, plan) = (recipe(Family::Linear, 24), plan(Refit::Never));
    let spec = FeatureSpec::for_dataset(&data, plan.horizon);
    let mask = |cutoff: Time| vec![(day(20), day(25)), (cutoff, Time::MAX)];
    let outcome = run_with(&data, &spec, &recipe, &plan, &mask, &|_, _| true, &copying).unwrap();
    assert_eq!(outcome.rows[0].mean, 30.0 * 24.0);
}

#[test]
fn a_better_forecast_is_told_from_a_worse_one() {
    let data = dataset(&observed(), &[]);
    let learner = |recipe: &Recipe, _: &TrainingSet| -> Result<Box<dyn Predict>, ModelError> {
        let add = if recipe.family == Family::SeasonalNaive { 5.0 } else { 0.0 };
        Ok(Box::new(Copycat { column: "lag_week_1", add }))
    };
    let outcome = test(&data, &recipe(Family::Gbdt, 24), &plan(Refit::Never), &learner).unwrap();
    let (absolute, pinball) = (outcome.absolute_test.unwrap(), outcome.pinball_test.unwrap());
    assert!(absolute.statistic < -3.0 && absolute.p_value < 0.01, "{absolute:?}");
    assert!(pinball.statistic < -3.0 && pinball.count == 21, "{pinball:?}");
    assert!(outcome.metrics.skill.unwrap() > 0.0 && outcome.metrics.rmae.unwrap() < 1.0);
    assert_eq!(outcome.by_lead.len(), outcome.baseline_by_lead.len());
    assert!(outcome.by_lead.iter().all(|b| b.metrics.rmae.is_some_and(|r| r < 1.0)));
}

#[test]
fn actuals_that_never_came_are_skipped() {
    let all = observed();
    let data = dataset(&all[..60 * 24 + 12], &[]);
    let outcome = test(&data, &recipe(Family::SeasonalNaive, 24), &plan(Refit::Never), &copying).unwrap();
    assert_eq!(outcome.rows.len(), 21 * 24);
    assert_eq!((outcome.metrics.count, outcome.metrics.missing), (18 * 24 + 12, 2 * 24 + 12));
    assert!(outcome.rows.last().unwrap().actual.is_nan());
}

#[test]
fn the_caller_can_stop_it_and_sees_every_origin() {
    let data = dataset(&observed(), &[]);
    let (recipe, plan) = (recipe(Family::Linear, 24), plan(Refit::Every(SignedDuration::from_hours(48))));
    let spec = FeatureSpec::for_dataset(&data, plan.horizon);
    let stopped = run_with(&data, &spec, &recipe, &plan, &|_| vec![], &|_, _| false, &copying);
    assert_eq!(stopped.unwrap_err(), BacktestError::Cancelled);
    let most = AtomicUsize::new(0);
    let watch = |done: usize, total: usize| {
        most.fetch_max(done, Ordering::Relaxed);
        total == 21
    };
    run_with(&data, &spec, &recipe, &plan, &|_| vec![], &watch, &copying).unwrap();
    assert_eq!(most.into_inner(), 21);
}

#[test]
fn impossible_plans_say_how_to_mend_them() {
    let data = dataset(&observed(), &[]);
    let good = plan(Refit::Never);
    let tell = |plan: Plan, recipe: &Recipe| test(&data, recipe, &plan, &copying).err().unwrap().to_string();
    let usual = recipe(Family::Linear, 24);
    let hours = SignedDuration::from_hours;
    for (plan, part) in [
        (Plan { to: good.from, ..good }, "give a later end"),
        (Plan { every: SignedDuration::ZERO, ..good }, "positive number of whole steps"),
        (Plan { every: SignedDuration::from_mins(90), ..good }, "positive number of whole steps"),
        (Plan { refit: Refit::Every(-hours(1)), ..good }, "positive interval or never"),
        (Plan { from: good.from.plus_micros(HOUR / 2), ..good }, "begin at 2026-02-16T01:00:00Z"),
        (Plan { from: begin(), ..good }, "its data begins at 2026-01-05T00:00:00Z"),
        (Plan { from: day(500), to: Time::MAX, ..good }, "nothing to score"),
        (Plan { from: day(71), to: Time::MAX, ..good }, "nothing to score"),
    ] {
        let said = tell(plan, &usual);
        assert!(said.contains(part), "{said}");
    }
    let quarters = Recipe { resolution: "PT15M".parse().unwrap(), ..usual.clone() };
    assert!(tell(good.clone(), &quarters).contains("steps of PT15M"));
    let nothing = dataset(&[], &[]);
    assert!(test(&nothing, &usual, &good, &copying).unwrap_err().to_string().contains("no data at all"));
    let refusing = |_: &Recipe, _: &TrainingSet| -> Result<Box<dyn Predict>, ModelError> {
        Err(ModelError::TooFewRows { family: "gbdt", rows: 1, needed: 2 })
    };
    let said = test(&data, &usual, &good, &refusing).unwrap_err().to_string();
    assert!(said.contains("2026-02-16T00:00:00Z") && said.contains("too few"), "{said}");
    let endless =
        Plan { horizon: Horizon::from_steps(6000, Resolution::HOUR).unwrap(), every: hours(1), ..good };
    assert!(tell(endless, &Recipe { origin_every_steps: 1, ..usual }).contains("too many"));
}

#[test]
fn one_thread_and_many_agree() {
    let data = dataset(&observed(), &observed());
    let plan = plan(Refit::Every(SignedDuration::from_hours(72)));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| test(&data, &recipe(Family::Gbdt, 5), &plan, &stirring).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn the_families_run_end_to_end_and_beat_a_shifted_baseline() {
    let data = dataset(&observed(), &[]);
    let plan = plan(Refit::Every(SignedDuration::from_hours(14 * 24)));
    let spec = FeatureSpec::for_dataset(&data, plan.horizon);
    let outcome = run(&data, &spec, &recipe(Family::Linear, 24), &plan, &|_| vec![], &|_, _| true).unwrap();
    assert_eq!((outcome.rows.len(), outcome.fits), (21 * 24, 2));
    for row in &outcome.rows {
        assert!(row.mean.is_finite() && row.quantiles.windows(2).all(|w| w[0] <= w[1]), "{row:?}");
    }
    assert!(outcome.metrics.mae < 3.0 && outcome.baseline_metrics.mae < 3.0, "{:?}", outcome.metrics);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    /// Invariant 1 for the whole path: what became known after an origin cannot change its forecast.
    #[test]
    fn later_data_changes_no_earlier_forecast(hour in 0_i64..20 * 24, noise in 1.0_f64..1e4, refit in 1_i64..120) {
        let secret = day(43).plus_micros(hour * HOUR);
        let plan = plan(Refit::Every(SignedDuration::from_hours(refit)));
        let change = |all: &[Observation]| -> Vec<Observation> {
            let late = |o: &Observation| o.available_at > secret;
            let changed = all.iter().map(|o| if late(o) { Observation { value: o.value * noise, ..*o } } else { *o });
            // And a revision of everything, known just after.
            let revised = all.iter().map(|o| Observation { available_at: secret.plus_micros(1), value: -noise, ..*o });
            changed.chain(revised).collect()
        };
        let truth = observed();
        let ahead: Vec<Observation> =
            truth.iter().map(|o| Observation { available_at: o.available_at.plus_micros(-40 * HOUR), ..*o }).collect();
        let recipe = recipe(Family::Gbdt, 11);
        let known = test(&dataset(&truth, &ahead), &recipe, &plan, &stirring).unwrap();
        let other = test(&dataset(&change(&truth), &change(&ahead)), &recipe, &plan, &stirring).unwrap();
        let mut same = 0;
        for (a, b) in known.rows.iter().zip(&other.rows).filter(|(a, _)| a.forecast_start <= secret) {
            prop_assert_eq!(a.mean.to_bits(), b.mean.to_bits(), "{}", a.forecast_start);
            prop_assert_eq!(&a.quantiles, &b.quantiles);
            same += 1;
        }
        prop_assert!(same >= 2 * 24);
        // The test would be worth nothing if the data did not matter: the forecasts that start later do change.
        let later = known.rows.iter().zip(&other.rows).filter(|(a, _)| a.forecast_start > secret);
        let (all, differ) = later.fold((0, 0), |(n, d), (a, b)| (n + 1, d + usize::from(a.mean != b.mean)));
        prop_assert!(all == 0 || differ > 0);
    }
}

/// Load over both changes of the clocks of 2026 in Madrid.
fn spring_to_winter() -> Dataset {
    let grid = TimeGrid { start: at("2026-02-28T23:00:00Z"), step: Resolution::HOUR, len: 250 * 24 };
    let observation = |i: usize| {
        let valid_time = grid.time(i);
        Observation { valid_time, available_at: valid_time.plus_micros(HOUR), value: value(i) }
    };
    let column = Column::new(grid, &(0..grid.len).map(observation).collect::<Vec<_>>()).0;
    Dataset { series: series("load"), target: column, covariates: vec![] }
}

#[test]
fn daily_starts_stay_at_local_midnight_when_the_clocks_change() {
    let data = spring_to_winter();
    let zone = data.series.time_zone.clone();
    let spans =
        [("2026-03-19T23:00:00Z", "2026-04-05T00:00:00Z"), ("2026-10-19T22:00:00Z", "2026-10-30T00:00:00Z")];
    for (from, to) in spans {
        for (refit, fits) in [(Refit::Every(SignedDuration::from_hours(24)), None), (Refit::Never, Some(1))] {
            let plan = Plan { from: at(from), to: at(to), refit, ..plan(refit) };
            let spec = FeatureSpec::for_dataset(&data, plan.horizon);
            let seen = std::sync::Mutex::new(Vec::new());
            let learner = |recipe: &Recipe, training: &TrainingSet| -> Result<Box<dyn Predict>, ModelError> {
                seen.lock().unwrap().extend(training.features.keys.iter().map(|key| key.origin));
                stirring(recipe, training)
            };
            let daily = recipe(Family::Linear, 24);
            let outcome =
                run_with(&data, &spec, &daily, &plan, &|_| Vec::new(), &|_, _| true, &learner).unwrap();
            let starts: Vec<Time> = outcome
                .rows
                .chunk_by(|a, b| a.forecast_start == b.forecast_start)
                .map(|c| c[0].forecast_start)
                .collect();
            let days = |a: Time, b: Time| (b.micros_since(a) + 12 * HOUR) / (24 * HOUR);
            assert_eq!(
                starts.len() as i64,
                1 + days(at(from), *starts.last().unwrap()),
                "no day is left out"
            );
            let all = starts.iter().copied().chain(seen.into_inner().unwrap());
            assert!(all.into_iter().all(|start| zone.civil(start).second_of_day == 0), "{starts:?}");
            assert_eq!(outcome.fits, fits.unwrap_or(starts.len()), "a fit a day, whatever its length");
        }
    }
}

#[test]
fn where_the_clocks_never_change_starts_are_a_stride_apart() {
    for zone in ["UTC", "Asia/Kolkata"] {
        let mut data = spring_to_winter();
        data.series.time_zone = zone.parse().unwrap();
        let (from, to) = (at("2026-03-20T05:00:00Z"), at("2026-05-20T00:00:00Z"));
        let found = features::starts(&data, from, 48 * HOUR, begin(), to);
        assert!(
            found.contains(&from) && found.windows(2).all(|w| w[1].micros_since(w[0]) == 48 * HOUR),
            "{zone}"
        );
        assert!(found[0] >= begin() && found[0].micros_since(begin()) < 48 * HOUR, "{zone}");
        assert!(to.micros_since(*found.last().unwrap()) <= 48 * HOUR, "{zone}");
    }
}
