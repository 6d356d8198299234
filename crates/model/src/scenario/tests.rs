//! A load that follows a known temperature, and answers whatever is missing.

use std::sync::Arc;

use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_HOUR};

use forewatt_domain::{Choice, Family, Horizon, Recipe};

use super::*;
use crate::learn::{Model, learn};
use crate::matrix::{DayClass, Past};
use crate::random::Random;
use crate::synthetic::in_pool;

const DAYS: usize = 5 * 365;

/// Degrees by hour: a season and weather that lasts for days.
fn temperatures(days: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed, 0);
    let mut weather = 0.0;
    let value = |hour: usize| {
        weather = 0.99 * weather + 0.6 * random.normal() as f32;
        12.0 - 10.0 * (std::f32::consts::TAU * hour as f32 / 8766.0).cos() + weather
    };
    (0..days * 24).map(value).collect()
}

/// Heating below 15 degrees, a shape of the day, quieter weekends.
fn load(hour: usize, temperature: f32) -> f32 {
    let weekend = if (hour / 24 + 3) % 7 >= 5 { -10.0 } else { 0.0 };
    let shape = 10.0 * (std::f32::consts::TAU * (hour % 24) as f32 / 24.0).sin();
    100.0 + shape + weekend + 2.0 * (15.0 - temperature).max(0.0)
}

fn key(origin: usize, lead: usize) -> RowKey {
    let (hour, day) = (origin + lead, ((origin + lead) / 24) as i32);
    RowKey {
        origin: Time::from_micros(origin as i64 * MICROS_PER_HOUR),
        valid_time: Time::from_micros(hour as i64 * MICROS_PER_HOUR),
        lead: lead as u32,
        slot_of_day: (hour % 24) as u16,
        day_class: match (day + 3).rem_euclid(7) {
            5 => DayClass::Saturday,
            6 => DayClass::Sunday,
            _ => DayClass::Workday,
        },
        day_of_year: (day % 365 + 1) as u16,
        local_day: day,
    }
}

fn rows(origins: impl Iterator<Item = usize>, leads: usize) -> FeatureMatrix {
    let keys = origins.flat_map(|origin| (0..leads).map(move |lead| key(origin, lead))).collect();
    FeatureMatrix { names: vec![], keys, values: vec![], windows: None }
}

fn training(temperature: &[f32], end: usize) -> TrainingSet {
    let features = rows((24 * 7..end - 240).step_by(240), 240);
    let hour = |key: &RowKey| (key.valid_time.micros() / MICROS_PER_HOUR) as usize;
    let target = features.keys.iter().map(|key| load(hour(key), temperature[hour(key)])).collect();
    let past = Past {
        start: Time::from_micros(0),
        step_micros: MICROS_PER_HOUR,
        values: temperature[..end].to_vec(),
    };
    TrainingSet { features, target, past: Some(Arc::new(past)), courses: None }
}

fn levels() -> QuantileLevels {
    QuantileLevels::parse("0.1,0.5,0.9").unwrap()
}

#[test]
fn quantiles_hold_what_they_say_over_months_ahead() {
    let temperature = temperatures(DAYS, 3);
    let start = (DAYS - 365) * 24;
    let (mut inside, mut wide, mut count) = (0, 0.0, 0);
    let model = Scenario.fit(&training(&temperature, start), &levels()).unwrap();
    // One fit, asked about every month of the year after it.
    let asked = rows((0..12).map(|month| start + month * 720), 720);
    let answer = model.predict(&asked).unwrap();
    for (i, key) in asked.keys.iter().enumerate() {
        let hour = (key.valid_time.micros() / MICROS_PER_HOUR) as usize;
        let (row, actual) = (answer.row(i), load(hour, temperature[hour]));
        inside += usize::from(row[0] <= actual && actual <= row[2]);
        (wide, count) = (wide + row[2] - row[0], count + 1);
        assert!(row.is_sorted() && row.iter().all(|q| q.is_finite()));
    }
    let share = inside as f64 / f64::from(count);
    assert!((0.65..0.95).contains(&share), "{share}");
    assert!(wide / (count as f32) < 25.0, "{} wide: the season tells more", wide / count as f32);
    assert!(model.is_sound(&levels()) && !model.is_sound(&QuantileLevels::deciles()));
}

#[test]
fn the_first_day_follows_the_weather_there_is() {
    let mut temperature = temperatures(DAYS, 4);
    let end = (DAYS - 200) * 24 - 3;
    let asked = rows(std::iter::once(end), 240);
    let mild = Scenario.fit(&training(&temperature, end), &levels()).unwrap().predict(&asked).unwrap();
    temperature[end - 48..end].iter_mut().for_each(|value| *value -= 12.0);
    let cold = Scenario.fit(&training(&temperature, end), &levels()).unwrap().predict(&asked).unwrap();
    let rise = |lead: usize| cold.mean[lead] - mild.mean[lead];
    assert!(rise(0) > 3.0, "{}", rise(0));
    assert!(rise(200).abs() < 0.5 * rise(0), "{} after {}", rise(200), rise(0));
}

#[test]
fn nothing_from_the_origin_on_is_asked() {
    let mut temperature = temperatures(DAYS, 5);
    let history = |values: &[f32]| {
        let past =
            Past { start: Time::from_micros(0), step_micros: MICROS_PER_HOUR, values: values.to_vec() };
        History::new(&past, 24).unwrap()
    };
    let origin = (DAYS - 300) * 24;
    let time = Time::from_micros(origin as i64 * MICROS_PER_HOUR);
    let before = history(&temperature).courses(time, 744);
    temperature[origin..].iter_mut().for_each(|value| *value = 1e4);
    assert_eq!(before, history(&temperature).courses(time, 744));
    assert_eq!(before.len(), 4 * 9, "every year at every shift");
    temperature[origin - 1] = 1e4;
    assert_ne!(before, history(&temperature).courses(time, 744), "the value before it is");
}

#[test]
fn gaps_early_origins_and_far_ones_are_answered() {
    let mut temperature = temperatures(DAYS, 6);
    temperature[5000..9000].iter_mut().for_each(|value| *value = f32::NAN);
    let mut data = training(&temperature, DAYS * 24);
    data = data.filter(|i| data.target[i].is_finite() && data.features.keys[i].slot_of_day != 7);
    let model = Scenario.fit(&data, &levels()).unwrap();
    let asked = rows([0, 24 * 30, DAYS * 24, DAYS * 48].into_iter(), 400);
    let answer = model.predict(&asked).unwrap();
    assert!(answer.mean.iter().chain(&answer.quantiles).all(|v| v.is_finite() && (0.0..400.0).contains(v)));
    let bytes = postcard::to_allocvec(&model).unwrap();
    assert_eq!(postcard::from_bytes::<ScenarioModel>(&bytes).unwrap(), model);
}

#[test]
fn what_it_cannot_learn_from_is_said() {
    let temperature = temperatures(DAYS, 7);
    let data = training(&temperature, DAYS * 24);
    let blind = TrainingSet { past: None, ..data.clone() };
    assert!(Scenario.fit(&blind, &levels()).unwrap_err().to_string().contains("kind temperature"));
    let short = data.filter(|i| data.features.keys[i].origin.micros() < 90 * MICROS_PER_DAY);
    assert!(matches!(Scenario.fit(&short, &levels()), Err(ModelError::TooFewRows { .. })));
}

#[test]
fn equal_rows_give_equal_bits_on_any_number_of_threads() {
    let data = training(&temperatures(DAYS, 8), DAYS * 24);
    let asked = rows(std::iter::once(DAYS * 24), 100);
    let run = || {
        let model = Scenario.fit(&data, &levels()).unwrap();
        model.predict(&asked).unwrap()
    };
    assert_eq!(in_pool(1, run), in_pool(4, run));
}

#[test]
fn mixtures_for_a_month_weigh_it_by_held_out_years_and_are_not_calibrated() {
    let temperature = temperatures(DAYS, 9);
    let end = (DAYS - 60) * 24;
    let mut data = training(&temperature, end);
    let recipe = Recipe {
        target: "load".parse().unwrap(),
        covariates: vec![],
        resolution: "PT1H".parse().unwrap(),
        horizon: Horizon::from_steps(480, "PT1H".parse().unwrap()).unwrap(),
        family: Family::Auto,
        levels: levels(),
        training_days: None,
        origin_every_steps: 240,
        daily: false,
        any_hour: false,
        seed: 1,
        non_negative: true,
        choice: Choice::default(),
    };
    data.features = rows((24 * 7..end - 480).step_by(240), 480);
    let hour = |key: &RowKey| (key.valid_time.micros() / MICROS_PER_HOUR) as usize;
    data.target = data.features.keys.iter().map(|key| load(hour(key), temperature[hour(key)])).collect();
    let model = learn(&recipe, &data).unwrap();
    let Model::Ensemble(mixture) = model.model() else { panic!("{:?}", model.notes()) };
    let place = mixture.members().iter().position(|m| m.family() == Family::Scenario).unwrap();
    assert!(mixture.weights().at(0)[place] > 0.5, "{:?}", model.notes());
    assert!(model.coverage().is_empty() && model.notes().iter().any(|n| n.contains("too long to calibrate")));
    let asked = rows(std::iter::once(end), 480);
    let score = |answer: &Predictions| {
        let loss = |i: usize| {
            let actual = f64::from(load(end + i, temperature[end + i]));
            let pairs = levels().as_slice().to_vec().into_iter().zip(answer.row(i));
            pairs.map(|(level, &q)| crate::metrics::pinball(level, f64::from(q), actual)).sum::<f64>()
        };
        (0..480).map(loss).sum::<f64>()
    };
    let empirical = learn(&Recipe { family: Family::SeasonalEmpirical, ..recipe }, &data).unwrap();
    let (ours, theirs) = (score(&model.predict(&asked).unwrap()), score(&empirical.predict(&asked).unwrap()));
    assert!(ours < 1.02 * theirs, "{ours} beside {theirs}");
}
