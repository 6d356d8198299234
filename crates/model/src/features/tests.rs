//! Every group of features against small cases computed by hand.

use forewatt_domain::{
    Choice, Family, Location, Observation, QuantileLevels, Recipe, Resolution, Series, SeriesKind, TimeGrid,
};
use jiff::SignedDuration;

use super::*;
use crate::dataset::CovariateColumn;
use crate::matrix::DayClass;

pub(super) fn at(text: &str) -> Time {
    text.parse().unwrap()
}

pub(super) fn series(name: &str, kind: SeriesKind, zone: &str, step: &str) -> Series {
    Series {
        name: name.parse().unwrap(),
        kind,
        unit: String::new(),
        resolution: step.parse().unwrap(),
        time_zone: zone.parse().unwrap(),
        location: None,
        holiday_region: None,
        parent: None,
    }
}

/// A column whose value at slot `i` is `value(i)` (NaN: never observed), known `delay` after its start.
pub(super) fn column(grid: TimeGrid, delay: SignedDuration, value: impl Fn(usize) -> f64) -> Column {
    let observations: Vec<Observation> = grid
        .times()
        .enumerate()
        .map(|(i, valid_time)| Observation { valid_time, available_at: valid_time + delay, value: value(i) })
        .collect();
    Column::new(grid, &observations).0
}

/// A load whose value is its slot number, known when its period ends.
pub(super) fn counting(start: &str, days: usize, zone: &str, step: &str) -> Dataset {
    let step_of: Resolution = step.parse().unwrap();
    let grid = TimeGrid { start: at(start), step: step_of, len: days * step_of.steps_per_day() };
    Dataset {
        series: series("load", SeriesKind::Load, zone, step),
        target: column(grid, step_of.duration(), |i| i as f64),
        covariates: vec![],
    }
}

fn covariate(data: &mut Dataset, name: &str, kind: SeriesKind, known_ahead: bool, column: Column) {
    let series = Series { unit: "degC".to_owned(), ..series(name, kind, "UTC", "PT1H") };
    data.covariates.push(CovariateColumn { series, known_ahead, column });
}

fn hours(data: &Dataset, steps: u32) -> Horizon {
    Horizon::from_steps(steps, data.step()).unwrap()
}

fn one(data: &Dataset, origin: &str, steps: u32) -> FeatureMatrix {
    let horizon = hours(data, steps);
    build(data, &FeatureSpec::for_dataset(data, horizon), &[at(origin)], horizon)
}

/// The cell of a named column.
pub(super) fn cell(matrix: &FeatureMatrix, row: usize, name: &str) -> f32 {
    matrix.row(row)[matrix.column(name).unwrap_or_else(|| panic!("{name}"))]
}

/// The index in the grid of an instant, as the counting load shows it.
fn count(data: &Dataset, time: &str) -> f32 {
    data.target.grid().slot(at(time)).unwrap() as f32
}

#[test]
fn names_are_unique_and_every_row_is_full_width() {
    let mut data = counting("2026-01-01T00:00:00Z", 60, "UTC", "PT1H");
    data.series.location = Some(Location::new(40.0, -3.0).unwrap());
    data.series.kind = SeriesKind::Solar;
    let grid = data.target.grid();
    covariate(
        &mut data,
        "t",
        SeriesKind::Temperature,
        true,
        column(grid, SignedDuration::ZERO, |i| i as f64),
    );
    covariate(&mut data, "p", SeriesKind::Other, false, column(grid, SignedDuration::ZERO, |i| i as f64));
    let matrix = one(&data, "2026-02-10T00:00:00Z", 30);
    let unique: std::collections::BTreeSet<_> = matrix.names.iter().collect();
    assert_eq!(unique.len(), matrix.columns());
    assert_eq!((matrix.rows(), matrix.values.len()), (30, 30 * matrix.columns()));
    for (lead, key) in matrix.keys.iter().enumerate() {
        assert_eq!(key.lead as usize, lead);
        assert_eq!(key.valid_time, at("2026-02-10T00:00:00Z") + SignedDuration::from_hours(lead as i64));
    }
}

#[test]
fn lags_are_the_clock_times_before_the_origin() {
    let data = counting("2026-01-01T00:00:00Z", 90, "UTC", "PT1H");
    let matrix = one(&data, "2026-03-02T12:00:00Z", 30);
    // Lead 3 is 15:00 of the same day: yesterday's 15:00 is the newest before the origin.
    assert_eq!(cell(&matrix, 3, "lag_day_1"), count(&data, "2026-03-01T15:00:00Z"));
    assert_eq!(cell(&matrix, 3, "lag_day_7"), count(&data, "2026-02-23T15:00:00Z"));
    assert_eq!(cell(&matrix, 3, "lag_day_1_before"), count(&data, "2026-03-01T14:00:00Z"));
    assert_eq!(cell(&matrix, 3, "lag_day_1_after"), count(&data, "2026-03-01T16:00:00Z"));
    assert_eq!(cell(&matrix, 3, "lag_week_1"), count(&data, "2026-02-23T15:00:00Z"));
    assert_eq!(cell(&matrix, 3, "lag_week_4"), count(&data, "2026-02-02T15:00:00Z"));
    // Lead 12 is tomorrow's midnight: today's is known already.
    assert_eq!(cell(&matrix, 12, "lag_day_1"), count(&data, "2026-03-02T00:00:00Z"));
    // Lead 25 is tomorrow 13:00: today's lies ahead, so yesterday's it is.
    assert_eq!(cell(&matrix, 25, "lag_day_1"), count(&data, "2026-03-01T13:00:00Z"));
    // Tomorrow 11:00 has today's 11:00, whose later neighbour is the first period not known.
    assert_eq!(cell(&matrix, 23, "lag_day_1"), count(&data, "2026-03-02T11:00:00Z"));
    assert!(cell(&matrix, 23, "lag_day_1_after").is_nan());
    let lag = cell(&matrix, 3, "lag_day_1");
    assert_eq!(cell(&matrix, 3, "same_time_mean_7d"), lag - 3.0 * 24.0);
    assert_eq!(cell(&matrix, 3, "same_time_mean_4w"), cell(&matrix, 3, "lag_week_1") - 1.5 * 168.0);
}

#[test]
fn recent_values_level_and_spread() {
    let data = counting("2026-01-01T00:00:00Z", 90, "UTC", "PT1H");
    let matrix = one(&data, "2026-03-02T12:00:00Z", 1);
    let last = count(&data, "2026-03-02T11:00:00Z");
    assert_eq!(cell(&matrix, 0, "last_1"), last);
    assert_eq!(cell(&matrix, 0, "last_3"), last - 2.0);
    assert_eq!(cell(&matrix, 0, "last_known"), last);
    assert_eq!(cell(&matrix, 0, "last_known_age_hours"), 1.0);
    assert_eq!(cell(&matrix, 0, "mean_24h"), last - 11.5);
    assert_eq!(cell(&matrix, 0, "min_24h"), last - 23.0);
    assert_eq!(cell(&matrix, 0, "max_24h"), last);
    // The spread of n consecutive numbers is sqrt((n^2 - 1) / 12).
    assert!((cell(&matrix, 0, "std_24h") - (575.0_f32 / 12.0).sqrt()).abs() < 1e-3);
    assert!((cell(&matrix, 0, "std_168h") - (28_223.0_f32 / 12.0).sqrt()).abs() < 1e-3);
    assert_eq!(cell(&matrix, 0, "day_vs_week"), 83.5 - 11.5);
}

#[test]
fn values_not_known_yet_or_never_are_looked_past() {
    let mut data = counting("2026-01-01T00:00:00Z", 90, "UTC", "PT1H");
    let gap = data.target.grid().slot(at("2026-02-23T15:00:00Z")).unwrap();
    // Everything arrives five hours after it started, and one value never does.
    data.target =
        column(
            data.target.grid(),
            SignedDuration::from_hours(5),
            |i| {
                if i == gap { f64::NAN } else { i as f64 }
            },
        );
    let matrix = one(&data, "2026-03-02T12:00:00Z", 24);
    assert!(cell(&matrix, 0, "last_1").is_nan());
    assert_eq!(cell(&matrix, 0, "last_known"), count(&data, "2026-03-02T07:00:00Z"));
    assert_eq!(cell(&matrix, 0, "last_known_age_hours"), 5.0);
    assert_eq!(cell(&matrix, 3, "lag_week_1"), count(&data, "2026-02-16T15:00:00Z"));
    assert_eq!(cell(&matrix, 3, "lag_week_4"), count(&data, "2026-01-26T15:00:00Z"));
    assert!(cell(&matrix, 3, "lag_day_7").is_nan());
    assert!(cell(&matrix, 23, "lag_day_1").is_nan(), "11:00 is not known at 12:00");
}

#[test]
fn civil_lags_keep_the_clock_across_both_changes() {
    let data = counting("2025-12-31T23:00:00Z", 365, "Europe/Madrid", "PT1H");
    // 2026-03-29: clocks go from 02:00 to 03:00. 12:00 local is 10:00Z after and 11:00Z before.
    let spring = one(&data, "2026-03-29T22:00:00Z", 24);
    assert_eq!(spring.keys[12].slot_of_day, 12);
    assert_eq!(cell(&spring, 12, "lag_day_1"), count(&data, "2026-03-29T10:00:00Z"));
    assert_eq!(cell(&spring, 12, "lag_day_2"), count(&data, "2026-03-28T11:00:00Z"));
    assert_eq!(cell(&spring, 12, "lag_week_1"), count(&data, "2026-03-23T11:00:00Z"));
    // 2026-10-25: 03:00 becomes 02:00 again. 12:00 local is 11:00Z after and 10:00Z before.
    let autumn = one(&data, "2026-10-25T23:00:00Z", 24);
    assert_eq!(cell(&autumn, 12, "lag_day_1"), count(&data, "2026-10-25T11:00:00Z"));
    assert_eq!(cell(&autumn, 12, "lag_day_2"), count(&data, "2026-10-24T10:00:00Z"));
    // The day of 25 hours shows 02:00 twice and never leaves its date.
    let long = one(&data, "2026-10-24T22:00:00Z", 25);
    let slots: Vec<u16> = long.keys.iter().map(|k| k.slot_of_day).collect();
    assert_eq!(slots[..5], [0, 1, 2, 2, 3]);
    assert!(long.keys.iter().all(|k| k.local_day == long.keys[0].local_day));
}

#[test]
fn finer_steps_and_odd_offsets() {
    for (zone, step, per_hour) in [("Asia/Kathmandu", "PT15M", 4), ("Australia/Adelaide", "PT30M", 2)] {
        let data = counting("2026-01-01T00:00:00Z", 60, zone, step);
        let matrix = one(&data, "2026-02-20T00:00:00Z", 24 * per_hour);
        let day = 24.0 * per_hour as f32;
        for row in 0..matrix.rows() {
            let index = count(&data, "2026-02-20T00:00:00Z") + row as f32;
            assert_eq!(cell(&matrix, row, "lag_day_1"), index - day, "{zone}");
            assert_eq!(cell(&matrix, row, "lag_week_1"), index - 7.0 * day);
        }
        assert!(matrix.keys.iter().all(|k| u32::from(k.slot_of_day) < 24 * per_hour));
        assert_eq!(cell(&matrix, 0, "mean_24h"), count(&data, "2026-02-20T00:00:00Z") - (day + 1.0) / 2.0);
    }
}

#[test]
fn calendar_in_civil_time_with_holidays() {
    let mut data = counting("2025-10-01T00:00:00Z", 120, "Europe/Madrid", "PT1H");
    data.series.holiday_region = Some("ES".to_owned());
    // 8 December 2025, a Monday, is a holiday in Spain; its local midnight is 23:00Z of the 7th.
    let matrix = one(&data, "2025-12-06T23:00:00Z", 72);
    let on = |row: usize, name: &str| cell(&matrix, row, name);
    assert_eq!((on(12, "weekday_6"), on(12, "weekend"), on(12, "holiday")), (1.0, 1.0, 0.0));
    assert_eq!((on(12, "before_holiday"), on(36, "holiday"), on(60, "after_holiday")), (1.0, 1.0, 1.0));
    assert_eq!((on(36, "weekday_0"), on(36, "weekend")), (1.0, 0.0));
    let classes = [0, 36, 60].map(|row| matrix.keys[row].day_class);
    assert_eq!(classes, [DayClass::Sunday, DayClass::Sunday, DayClass::Workday]);
    assert_eq!((on(36, "slot_of_day"), on(36, "lead_hours")), (12.0, 36.0));
    assert!((on(36, "hour_cos") + 1.0).abs() < 1e-6 && on(36, "hour_sin").abs() < 1e-6);
    assert_eq!(matrix.keys[36].day_of_year, 342);
    assert_eq!(matrix.column("trend_years"), None, "four months know no season");
    let origin: Time = "2025-12-06T23:00:00Z".parse().unwrap();
    let horizon = Horizon::from_steps(1, data.step()).unwrap();
    let spec = FeatureSpec { seasons: true, ..FeatureSpec::for_dataset(&data, horizon) };
    let seasonal = build(&data, &spec, &[origin], horizon);
    let years = (SignedDuration::from_hours(24 * 66 + 23).as_secs_f64()) / (365.25 * 86_400.0);
    assert!((f64::from(cell(&seasonal, 0, "trend_years")) - years).abs() < 1e-6);
    let angle = f64::from(cell(&seasonal, 0, "day_of_year_sin")).atan2(f64::from(cell(
        &seasonal,
        0,
        "day_of_year_cos",
    )));
    let expected = std::f64::consts::TAU * 340.0 / 365.25 - std::f64::consts::TAU;
    assert!((angle - expected).abs() < 1e-5, "{angle} {expected}");
    // Friday 2 January 2026 lies between New Year's Day and a weekend.
    let bridge = one(&data, "2026-01-01T23:00:00Z", 1);
    assert_eq!(cell(&bridge, 0, "bridge"), 1.0);
    assert_eq!(bridge.keys[0].day_class, DayClass::Saturday);
}

#[test]
fn covariates_known_ahead_come_from_the_vintage_known_then() {
    let mut data = counting("2026-01-01T00:00:00Z", 60, "UTC", "PT1H");
    let grid = TimeGrid { len: data.target.grid().len + 48, ..data.target.grid() };
    let origin = at("2026-02-10T00:00:00Z");
    // Two vintages: the first known long before, the second (ten degrees warmer) at the origin for its first day.
    let observations: Vec<Observation> = grid
        .times()
        .flat_map(|valid_time| {
            let hour = (valid_time.seconds() / 3600 % 24) as f64;
            let early = Observation { valid_time, available_at: Time::MIN, value: hour };
            let late = Observation { valid_time, available_at: origin, value: hour + 10.0 };
            let has_late = valid_time >= origin && valid_time < origin + SignedDuration::from_hours(24);
            std::iter::once(early).chain(has_late.then_some(late))
        })
        .collect();
    covariate(&mut data, "t", SeriesKind::Temperature, true, Column::new(grid, &observations).0);
    let matrix = one(&data, "2026-02-10T00:00:00Z", 48);
    let on = |row: usize, name: &str| cell(&matrix, row, &format!("cov:t{name}"));
    assert_eq!((on(6, ""), on(6, ":before"), on(6, ":after")), (16.0, 15.0, 17.0));
    assert_eq!((on(6, ":day_before"), on(6, ":day_change"), on(6, ":week_before")), (6.0, 10.0, 6.0));
    assert_eq!((on(6, ":day_mean"), on(30, ":day_mean")), (21.5, 11.5));
    assert_eq!((on(6, ":heating"), on(6, ":cooling"), on(23, ":cooling")), (2.0, 0.0, 12.0));
    assert_eq!(on(23, ":mean_24h"), 21.5);
    // One second earlier the second vintage was not known.
    let horizon = hours(&data, 24);
    let before = origin - SignedDuration::from_hours(1);
    let earlier = build(&data, &FeatureSpec::for_dataset(&data, horizon), &[before], horizon);
    assert_eq!(cell(&earlier, 7, "cov:t"), 6.0);
}

#[test]
fn covariates_of_the_past_show_no_future() {
    let mut data = counting("2026-01-01T00:00:00Z", 60, "UTC", "PT1H");
    let grid = data.target.grid();
    covariate(
        &mut data,
        "p",
        SeriesKind::Other,
        false,
        column(grid, SignedDuration::from_hours(1), |i| 2.0 * i as f64),
    );
    let matrix = one(&data, "2026-02-10T00:00:00Z", 24);
    let origin = 2.0 * count(&data, "2026-02-10T00:00:00Z");
    assert_eq!(cell(&matrix, 5, "cov:p:last"), origin - 2.0);
    assert_eq!(cell(&matrix, 5, "cov:p:lag_day_1"), origin - 38.0);
    assert_eq!(cell(&matrix, 5, "cov:p:lag_week_1"), origin + 10.0 - 336.0);
    assert_eq!(cell(&matrix, 5, "cov:p:mean_24h"), origin - 25.0);
    assert!(matrix.column("cov:p").is_none());
}

#[test]
fn winds_are_derived_from_components_for_wind_series_alone() {
    let mut data = counting("2026-01-01T00:00:00Z", 60, "UTC", "PT1H");
    data.series.kind = SeriesKind::Wind;
    let grid = data.target.grid();
    let mut ahead = |name: &str, value: fn(usize) -> f64| {
        covariate(&mut data, name, SeriesKind::Weather, true, column(grid, SignedDuration::ZERO, value));
        data.covariates.last_mut().unwrap().column = Column::new(
            grid,
            &grid
                .times()
                .enumerate()
                .map(|(i, valid_time)| Observation { valid_time, available_at: Time::MIN, value: value(i) })
                .collect::<Vec<_>>(),
        )
        .0;
    };
    // At 10 m the wind blows to the north-east, ever faster over the day; at 100 m to the north at 9 m/s.
    ahead("V10", |i| 4.0 * ((i % 24) as f64 / 10.0));
    ahead("U10", |i| 3.0 * ((i % 24) as f64 / 10.0));
    ahead("u_100m", |_| 0.0);
    ahead("v_100m", |_| 9.0);
    ahead("humidity", |_| 50.0);
    ahead("ws_2", |_| 6.0);
    let matrix = one(&data, "2026-02-10T00:00:00Z", 24);
    let on = |name: &str| cell(&matrix, 10, &format!("wind:{name}"));
    let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-4, "{a} for {b}");
    near(on("10:speed"), 5.0);
    near(on("10:sin"), 0.8);
    near(on("10:cos"), 0.6);
    near(on("10:ramp_before"), 0.5);
    near(on("10:ramp_after"), 0.5);
    near(on("10:around"), 5.0);
    near(on("10:day_mean"), 5.75);
    near(on("10:cubed"), 125.0);
    near(on("100:power_9"), 0.5);
    near(on("100:power_around"), 0.5);
    near(on("2:power_6"), 0.5);
    near(on("shear"), 4.0 / 14.0);
    near(on("veer"), 0.6);
    assert_eq!(cell(&matrix, 0, "wind:10:sin"), 0.0, "a calm has no direction");
    assert!(matrix.column("wind:2:speed").is_none(), "a speed is its own column already");
    assert_eq!(matrix.names.iter().filter(|name| name.starts_with("wind:")).count(), 12 + 12 + 7 + 2);
    data.series.kind = SeriesKind::Load;
    assert!(one(&data, "2026-02-10T00:00:00Z", 1).names.iter().all(|name| !name.starts_with("wind:")));
}

#[test]
fn clear_sky_index_scales_the_coming_sun() {
    let mut data = counting("2026-05-01T00:00:00Z", 30, "UTC", "PT1H");
    data.series.kind = SeriesKind::Solar;
    data.series.location = Some(Location::new(40.0, 0.0).unwrap());
    let site = Site::new(data.series.location.unwrap());
    let grid = data.target.grid();
    // A plant that gives two units per W/m2 under an always clear sky.
    data.target = column(grid, SignedDuration::from_hours(1), |i| {
        2.0 * f64::from(site.over(grid.time(i).seconds(), 3600).clear_sky_ghi)
    });
    let matrix = one(&data, "2026-05-20T00:00:00Z", 24);
    for name in ["clear_sky_index_24h", "clear_sky_index_7d", "clear_sky_index_day_1"] {
        assert!((cell(&matrix, 12, name) - 2.0).abs() < 1e-4, "{name}");
    }
    let actual = data.target.value_at(at("2026-05-20T12:00:00Z"), Time::MAX);
    assert!((cell(&matrix, 12, "clear_sky_expected_7d") - actual).abs() < 0.01 * actual);
    assert_eq!(cell(&matrix, 0, "clear_sky_ghi"), 0.0);
    assert!(cell(&matrix, 0, "clear_sky_index_day_1").is_nan());
}

#[test]
fn the_past_is_the_mean_temperature_before_the_cutoff_as_known_then() {
    let mut data = counting("2026-01-01T00:00:00Z", 30, "UTC", "PT1H");
    let grid = data.target.grid();
    let late = |hours: i64, by: f64| column(grid, SignedDuration::from_hours(hours), move |i| i as f64 + by);
    covariate(&mut data, "a", SeriesKind::Temperature, false, late(1, 0.0));
    covariate(&mut data, "b", SeriesKind::Temperature, false, late(3, 10.0));
    covariate(&mut data, "c", SeriesKind::Weather, false, late(1, 1e6));
    let recipe = Recipe {
        target: "load".parse().unwrap(),
        covariates: vec![],
        resolution: data.step(),
        horizon: hours(&data, 24),
        family: Family::Scenario,
        levels: QuantileLevels::deciles(),
        training_days: None,
        origin_every_steps: 24,
        daily: false,
        any_hour: false,
        seed: 1,
        non_negative: true,
        choice: Choice::default(),
    };
    let known = past(&data, &recipe, grid.time(100)).unwrap();
    assert_eq!((known.start, known.values.len()), (grid.start, 100));
    assert_eq!((known.values[0], known.values[97]), (5.0, 102.0));
    assert_eq!(known.values[99], 99.0, "b is not known yet");
    assert_eq!(past(&data, &recipe, grid.time(100).plus_micros(-1)).unwrap().values.len(), 99);
    let near = Recipe { family: Family::Auto, ..recipe };
    assert_eq!(past(&data, &near, grid.time(100)), None, "a day ahead nobody asks");
    let far = Recipe { horizon: hours(&data, 744), ..near };
    assert!(past(&data, &far, grid.time(100)).is_some());
}

#[test]
fn targets_are_as_known_at_the_cutoff_and_unmasked() {
    let data = counting("2026-01-01T00:00:00Z", 30, "UTC", "PT1H");
    let horizon = hours(&data, 24);
    let spec = FeatureSpec::for_dataset(&data, horizon);
    let origin = at("2026-01-20T00:00:00Z");
    let matrix = build(&data, &spec, &[origin], horizon);
    let masked = [
        (origin + SignedDuration::from_hours(4), origin + SignedDuration::from_hours(6)),
        (origin + SignedDuration::from_hours(2), origin + SignedDuration::from_hours(5)),
    ];
    let values = target(&data, &matrix.keys, origin + SignedDuration::from_hours(12), &masked);
    let first = count(&data, "2026-01-20T00:00:00Z");
    let known: Vec<usize> = (0..24).filter(|&i| !values[i].is_nan()).collect();
    assert_eq!(known, [0, 1, 6, 7, 8, 9, 10, 11]);
    let set = training_set(&matrix, &values);
    assert_eq!(set.target, known.iter().map(|&i| first + i as f32).collect::<Vec<_>>());
    assert_eq!(set.features.keys[2].lead, 6);
}

#[test]
fn a_specification_survives_json_and_drops_covariates_without_data() {
    let mut data = counting("2026-01-01T00:00:00Z", 60, "Europe/Madrid", "PT1H");
    let grid = data.target.grid();
    covariate(&mut data, "empty", SeriesKind::Weather, true, Column::new(grid, &[]).0);
    covariate(&mut data, "full", SeriesKind::Weather, true, column(grid, SignedDuration::ZERO, |_| 1.0));
    let spec = FeatureSpec::for_dataset(&data, hours(&data, 24));
    assert_eq!(spec.covariates.len(), 1);
    let json = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<FeatureSpec>(&json).unwrap(), spec);
}

#[test]
fn degenerate_calls_do_not_panic() {
    let data = counting("2026-01-01T00:00:00Z", 3, "Pacific/Apia", "P1D");
    let horizon = hours(&data, 6000);
    let spec = FeatureSpec { week_lags: 255, day_lags: 255, ..FeatureSpec::for_dataset(&data, horizon) };
    assert_eq!(build(&data, &spec, &[], horizon).rows(), 0);
    let off_grid = at("2026-01-02T00:00:00Z").plus_micros(7);
    let matrix = build(&data, &spec, &[Time::MAX, off_grid, Time::MIN], hours(&data, 3));
    assert_eq!(matrix.rows(), 9);
    assert_eq!(matrix.keys[0].origin, Time::MIN);
    assert_eq!(build(&data, &spec, &[Time::MAX], horizon).rows(), 6000);
}
