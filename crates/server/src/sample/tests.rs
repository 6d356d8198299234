//! Tests of the built-in sample: complete, additive, and nothing measured before its time.

use std::collections::BTreeMap;

use forewatt_domain::observation::as_of;

use super::*;

const YEAR_HOURS: usize = 8760;

fn sample() -> BTreeMap<String, SampleSeries> {
    let all = read().unwrap();
    all.into_iter().map(|s| (s.series.name.to_string(), s)).collect()
}

fn final_values(series: &SampleSeries) -> Vec<Observation> {
    as_of(&series.observations, Time::MAX)
}

#[test]
fn it_holds_every_series_with_its_description() {
    let all = sample();
    assert_eq!(all.len(), 2 * (HOMES_COUNT + 1) + 6);
    let home = &all["home-17.solar"].series;
    assert_eq!(home.parent.as_ref().map(ToString::to_string).as_deref(), Some("district.solar"));
    assert_eq!((home.kind, home.unit.as_str()), (SeriesKind::Solar, "kW"));
    assert_eq!(home.time_zone.name(), "America/Los_Angeles");
    assert_eq!(home.holiday_region.as_deref(), Some("US-CA"));
    for series in all.values().filter_map(|s| s.series.parent.as_ref()) {
        assert!(all.contains_key(series.as_str()), "{series} is a parent and must be there");
    }
}

#[test]
fn parents_come_before_their_parts() {
    let mut seen = Vec::new();
    for sample in read().unwrap() {
        assert!(sample.series.parent.as_ref().is_none_or(|p| seen.contains(p)));
        seen.push(sample.series.name);
    }
}

#[test]
fn a_year_of_hours_less_the_one_the_source_lacks() {
    let all = sample();
    let load = final_values(&all["district.load"]);
    // The wall clock shows one hour of 6 November 2016 twice; the source has one row for both.
    assert_eq!(load.len(), YEAR_HOURS - 1);
    assert_eq!(load[0].valid_time.to_string(), "2016-08-01T07:00:00Z");
    assert_eq!(load[load.len() - 1].valid_time.to_string(), "2017-08-01T06:00:00Z");
    let gaps: Vec<String> = load
        .windows(2)
        .filter(|pair| pair[1].valid_time.micros_since(pair[0].valid_time) != MICROS_PER_HOUR)
        .map(|pair| hours_after(pair[0].valid_time, 1).to_string())
        .collect();
    assert_eq!(gaps, ["2016-11-06T09:00:00Z"]);
    let temperature = &all["weather.temperature"].observations;
    let measured = temperature.iter().filter(|o| o.available_at > o.valid_time).count();
    assert_eq!(measured, YEAR_HOURS);
}

#[test]
fn the_district_is_the_sum_of_its_homes() {
    let all = sample();
    for what in ["load", "solar"] {
        let total = &all[&format!("district.{what}")].observations;
        for (row, district) in total.iter().enumerate() {
            let sum: f64 = (1..=HOMES_COUNT)
                .map(|home| all[&format!("home-{home:02}.{what}")].observations[row].value)
                .sum();
            assert!((sum - district.value).abs() < 1e-9, "{what} at {}", district.valid_time);
        }
    }
    let first = final_values(&all["home-01.load"])[0];
    assert!((first.value - 2.276).abs() < 1e-12, "the source says 2.2758 kWh in the first hour");
}

#[test]
fn every_observation_is_ordered_unique_and_finite() {
    for (name, series) in sample() {
        let keys: Vec<_> = series.observations.iter().map(|o| (o.valid_time, o.available_at)).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        assert!(series.observations.iter().all(|o| o.value.is_finite()), "{name}");
    }
}

#[test]
fn weather_vintages_precede_the_measurement() {
    let all = sample();
    let humidity = &all["weather.humidity"].observations;
    let noon: Time = "2017-02-01T20:00:00Z".parse().unwrap();
    let leads: Vec<i64> = humidity
        .iter()
        .filter(|o| o.valid_time == noon)
        .map(|o| o.valid_time.micros_since(o.available_at) / MICROS_PER_HOUR)
        .collect();
    assert_eq!(leads, [24, 12, 6, -1]);
    assert_eq!(humidity.len(), 4 * YEAR_HOURS);
}

#[test]
fn tomorrow_has_weather_and_price_but_no_measurement() {
    let all = sample();
    let end: Time = "2017-08-01T07:00:00Z".parse().unwrap();
    for (name, ahead) in [("weather.temperature", 23), ("weather.direct", 23), ("price", 24)] {
        let known = as_of(&all[name].observations, hours_after(end, 0));
        let beyond = known.iter().filter(|o| o.valid_time >= end).count();
        assert!(beyond >= ahead, "{name}: {beyond} hours of tomorrow are known");
    }
    assert!(all["district.load"].observations.iter().all(|o| o.valid_time < end));
}

#[test]
fn the_sun_shines_by_day_in_both_seasons() {
    // Catches a wrong clock: generation follows local time, which changes its offset twice a year.
    let all = sample();
    let solar = &all["district.solar"].observations;
    for (night, day) in
        [("2016-08-05T12:00:00Z", "2016-08-05T19:00:00Z"), ("2016-12-05T14:00:00Z", "2016-12-05T20:00:00Z")]
    {
        let at = |text: &str| {
            let time: Time = text.parse().unwrap();
            solar.iter().find(|o| o.valid_time == time).unwrap().value
        };
        assert!(at(night) < 0.01, "{night}");
        assert!(at(day) > 10.0, "{day}");
    }
}
