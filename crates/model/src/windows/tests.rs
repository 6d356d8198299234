//! Tests of models of windows, on steps of four hours so that the networks are small.

use std::sync::Arc;

use forewatt_domain::{Family, Horizon, QuantileLevels, Recipe, Resolution};

use super::frame::{Course, Shape, fill, places};
use super::ridge::{Own, median, squares};
use crate::artifact::{Artifact, decode, encode};
use crate::learn::learn;
use crate::matrix::{Courses, FeatureMatrix, TrainingSet, Windows};
use crate::predict::{ModelError, Predict};
use crate::random::Random;
use crate::synthetic;

/// Steps of four hours, so that the networks are small.
const DAY: usize = 6;
const SHAPE: Shape = Shape { season: DAY, horizon: DAY };

fn recipe() -> Recipe {
    let resolution = Resolution::from_seconds(4 * 3600).unwrap();
    Recipe {
        target: "load".parse().unwrap(),
        family: Family::Windows,
        covariates: vec![],
        resolution,
        horizon: Horizon::from_steps(6, resolution).unwrap(),
        levels: QuantileLevels::parse("0.1,0.5,0.9").unwrap(),
        origin_every_steps: 6,
        daily: false,
        any_hour: false,
        training_days: None,
        non_negative: false,
        choice: Default::default(),
        seed: 4,
    }
}

/// Days of a series whose daily shape drifts and whose weekends are low, of any size.
fn course(seed: u64, days: usize, size: f32) -> Vec<f32> {
    let mut random = Random::new(seed, 1);
    let (mut drift, phase) = (0.0_f32, random.uniform() as f32);
    let value = |step: usize| {
        drift = 0.8 * drift + 0.6 * random.normal() as f32;
        let turn = std::f32::consts::TAU * (step as f32 / DAY as f32 + phase);
        let weekend = if (step / DAY) % 7 < 5 { 0.0 } else { -6.0 };
        size * (50.0 + 10.0 * turn.sin() + weekend + drift)
    };
    (0..DAY * days).map(value).collect()
}

fn pool(series: u64, days: usize) -> Vec<Vec<f32>> {
    (0..series).map(|i| course(i, days, 1.0 + 10.0 * i as f32)).collect()
}

/// Rows that ask for the day after a window.
fn question(window: &[f32]) -> FeatureMatrix {
    let shape = synthetic::Shape { days: 1, horizon: 24, ..synthetic::Shape::default() };
    let mut features = synthetic::training(shape).features;
    features = features.select(&(0..DAY).collect::<Vec<_>>());
    let origins = vec![features.keys[0].origin];
    features.windows = Some(Arc::new(Windows { length: window.len(), origins, values: window.to_vec() }));
    features
}

fn training(courses: Vec<Vec<f32>>) -> TrainingSet {
    let mut data = synthetic::training(synthetic::Shape { days: 3, ..synthetic::Shape::default() });
    data.courses = Some(Arc::new(Courses { season: DAY, courses }));
    data
}

#[test]
fn many_short_series_teach_one_another() {
    let mut courses = pool(12, 29);
    let truth: Vec<Vec<f32>> = courses.iter_mut().map(|course| course.split_off(DAY * 28)).collect();
    let model = learn(&recipe(), &training(courses.clone())).unwrap();
    let answer = model.predict(&question(&courses[0][DAY * 14..])).unwrap();
    let error = |said: &[f32]| said.iter().zip(&truth[0]).map(|(a, b)| (a - b).abs()).sum::<f32>();
    let naive = error(&courses[0][DAY * 27..]);
    assert!(error(&answer.mean) < 0.6 * naive, "{} and {naive}", error(&answer.mean));
    let inside = |i: usize| (answer.row(i)[0]..=answer.row(i)[2]).contains(&truth[0][i]);
    let inside = (0..DAY).filter(|&i| inside(i)).count();
    assert!(inside >= 3, "{inside} of 6 within 80 %");
    assert!(model.notes().iter().any(|note| note.contains("of 12 series")), "{:?}", model.notes());
    assert!(model.notes().iter().any(|note| note.contains("held-out windows")), "{:?}", model.notes());
}

#[test]
fn a_series_of_another_size_is_answered_in_its_size() {
    let courses = pool(4, 40);
    let model = learn(&recipe(), &training(courses.clone())).unwrap();
    let window = &courses[0][DAY * 26..];
    let large: Vec<f32> = window.iter().map(|v| 1000.0 * v).collect();
    // The own regression knows one size only; the others answer in the window's.
    let shape = SHAPE.tell(window);
    let scaled = SHAPE.tell(&large);
    assert!((scaled.unit / shape.unit - 1000.0).abs() < 0.1);
    let apart = shape.inputs.iter().zip(&scaled.inputs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-3, "{apart}");
    let shifted: Vec<f32> = window.iter().map(|v| v + 500.0).collect();
    let told = SHAPE.tell(&shifted);
    let apart = shape.inputs.iter().zip(&told.inputs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-2, "{apart}");
    assert!(model.predict(&question(&large)).unwrap().mean.iter().all(|v| v.is_finite()));
}

#[test]
fn one_and_four_threads_learn_the_same_windows() {
    let data = training(pool(3, 40));
    let work = || learn(&recipe(), &data).unwrap();
    assert_eq!(synthetic::in_pool(1, work), synthetic::in_pool(4, work));
}

#[test]
fn what_is_written_answers_as_what_was_learned() {
    let courses = pool(2, 40);
    let model = learn(&recipe(), &training(courses.clone())).unwrap();
    let artifact = Artifact { model, spec: vec![1_u32], recipe: recipe() };
    let bytes = encode(&artifact).unwrap();
    let back: Artifact<Vec<u32>> = decode(&bytes).unwrap();
    let asked = question(&courses[0][DAY * 26..]);
    assert_eq!(artifact.model.predict(&asked).unwrap(), back.model.predict(&asked).unwrap());
}

#[test]
fn gaps_are_filled_by_the_day_before_and_long_ones_teach_nothing() {
    let mut values = vec![1.0, 2.0, f32::NAN, f32::NAN, 5.0, f32::NAN];
    fill(&mut values, 2);
    assert_eq!(values, [1.0, 2.0, 1.0, 2.0, 5.0, 2.0]);
    let mut late = vec![f32::NAN, 3.0];
    fill(&mut late, DAY);
    assert_eq!(late, [3.0, 3.0]);
    let mut course = course(1, 40, 1.0);
    course[DAY * 20..DAY * 24].fill(f32::NAN);
    let known = Course::new(&course, DAY);
    let span = (0, course.len());
    let origins = known.origins(span, 1, SHAPE);
    assert!(!origins.contains(&(DAY * 21)) && origins.contains(&(DAY * 16)), "no target is a filled value");
    assert!(!origins.contains(&(DAY * 25)), "four unknown days of fourteen are too many");
    assert!(
        origins.contains(&(DAY * 35)) && origins.contains(&(DAY * 39)) && !origins.contains(&(DAY * 39 + 1))
    );
}

#[test]
fn places_cover_the_hours_of_the_day_and_end_in_time() {
    let courses: Vec<Course> = pool(2, 60).iter().map(|values| Course::new(values, DAY)).collect();
    let spans = [(0, DAY * 50), (DAY * 30, DAY * 60)];
    let found = places(&courses, &spans, 100, SHAPE);
    assert!((60..=120).contains(&found.len()), "{}", found.len());
    let hours: std::collections::BTreeSet<usize> = found.iter().map(|(_, origin)| origin % DAY).collect();
    assert_eq!(hours.len(), DAY);
    assert!(found.iter().all(|&(i, origin)| origin >= spans[i].0 && origin + DAY <= spans[i].1));
}

#[test]
fn ridges_are_at_their_optimum_and_the_median_shrugs_off_outliers() {
    let mut random = Random::new(2, 2);
    let x = ndarray::Array2::from_shape_simple_fn((400, 3), || random.normal() as f32);
    let truth = ndarray::arr2(&[[2.0_f32], [-1.0], [0.5]]);
    let mut y = x.dot(&truth);
    let same = squares(&x, &y, &vec![1.0; 400]);
    // The normal equations: X'(y - Xb) = penalty * n * b.
    let slope = x.t().dot(&(&y - &x.dot(&same))) - &same * (0.1 * 400.0);
    assert!(slope.iter().all(|v| v.abs() < 0.02), "{slope}");
    for i in 0..20 {
        y[(i * 20, 0)] = 300.0;
    }
    let apart = |found: &ndarray::Array2<f32>| (found - &same).iter().map(|v| v.abs()).fold(0.0, f32::max);
    let (mean, robust) = (apart(&squares(&x, &y, &vec![1.0; 400])), apart(&median(&x, &y)));
    assert!(robust < 0.2 && robust < 0.3 * mean, "{robust} and {mean}");
}

#[test]
fn an_own_regression_that_learned_nothing_answers_the_day_before() {
    let course = course(5, 20, 1.0);
    let known = Course::new(&course, DAY);
    let window = known.window(DAY * 14, SHAPE);
    let answer = Own::learn(&known, DAY * 14, SHAPE).answer(window, SHAPE);
    assert_eq!(answer, window[window.len() - DAY..]);
}

#[test]
fn what_cannot_be_learned_or_asked_says_why() {
    let short = learn(&recipe(), &training(vec![course(1, 15, 1.0)])).unwrap_err();
    assert!(matches!(short, ModelError::TooFewRows { family: "windows", .. }), "{short}");
    let mut data = training(pool(1, 60));
    let model = learn(&recipe(), &data).unwrap();
    let mut blind = question(&[f32::NAN; DAY * 14]);
    let unknown = model.predict(&blind).unwrap_err().to_string();
    assert!(unknown.contains("two weeks before"), "{unknown}");
    blind.windows = None;
    assert!(matches!(model.predict(&blind), Err(ModelError::MissingFeature { .. })));
    data.courses = None;
    assert!(learn(&recipe(), &data).unwrap_err().to_string().contains("whole courses"));
    let fine = Courses { season: 1440, courses: vec![vec![1.0; 1440 * 30]] };
    data.courses = Some(Arc::new(fine));
    assert!(learn(&recipe(), &data).unwrap_err().to_string().contains("15 minutes"));
}
