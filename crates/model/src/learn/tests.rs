//! Every family by its recipe: exactness, coverage, missing values, levels, determinism.

use super::*;
use crate::synthetic::{self, Shape};
use forewatt_domain::{Choice, Horizon, Resolution};

pub(super) fn recipe(family: Family, levels: &str) -> Recipe {
    Recipe {
        target: "load".parse().unwrap(),
        family,
        covariates: vec![],
        resolution: Resolution::HOUR,
        horizon: Horizon::from_steps(24, Resolution::HOUR).unwrap(),
        levels: QuantileLevels::parse(levels).unwrap(),
        origin_every_steps: 24,
        daily: false,
        any_hour: false,
        training_days: None,
        non_negative: false,
        choice: Choice::default(),
        seed: 7,
    }
}

/// Neither the ones that need years of temperatures or whole courses nor the one that is brought in: their own tests
/// have them.
fn learned(family: Family) -> bool {
    !matches!(family, Family::Scenario | Family::Imported | Family::Windows)
}

fn shares(data: &TrainingSet, answer: &Predictions) -> Vec<f64> {
    let rows = data.target.len();
    let below = |l: usize| (0..rows).filter(|&i| data.target[i] <= answer.row(i)[l]).count();
    (0..answer.levels).map(|l| below(l) as f64 / rows as f64).collect()
}

#[test]
fn every_family_answers_every_row_finitely_whatever_is_missing() {
    let mut data = synthetic::training(Shape { days: 120, ..Shape::default() });
    for family in Family::ALL.into_iter().filter(|family| learned(*family)) {
        let model = learn(&recipe(family, "0.05,0.5,0.95"), &data).unwrap();
        assert_eq!((model.family(), model.levels().len()), (family, 3));
        assert!(!model.coverage().is_empty(), "{family}: {:?}", model.notes());
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30] {
            let kept = data.features.values.clone();
            data.features.values[..24 * synthetic::NAMES.len()].fill(value);
            let answer = model.predict(&data.features).unwrap();
            assert_eq!(answer.mean.len(), data.target.len());
            data.features.values = kept;
        }
    }
}

#[test]
fn the_naive_stays_exact_through_the_whole_path() {
    let data = synthetic::training(Shape::default());
    let model = learn(&recipe(Family::SeasonalNaive, "0.1,0.9"), &data).unwrap();
    let answer = model.predict(&data.features).unwrap();
    assert!((0..data.target.len()).all(|i| answer.mean[i] == data.features.row(i)[0]));
}

#[test]
fn calibration_mends_coverage_where_the_noise_has_grown() {
    // The noise triples 4/5 through the history: the first fit is too sure, the held-out forecasts tell.
    let shape = Shape { days: 500, horizon: 24, every: 24, noise: 3.0, shift: Some((0.72, 3.0)), seed: 5 };
    let (early, late) = synthetic::cut(&synthetic::training(shape), 0.9);
    let model = learn(&recipe(Family::Linear, "0.1,0.5,0.9"), &early).unwrap();
    let calibrated = model.predict(&late.features).unwrap();
    let shares = shares(&late, &calibrated);
    assert!((shares[2] - shares[0] - 0.8).abs() < 0.1, "{shares:?}, {:?}", model.notes());
}

#[test]
fn too_little_history_is_fitted_without_calibration_and_says_so() {
    let data = synthetic::training(Shape { days: 12, ..Shape::default() });
    let model = learn(&recipe(Family::SeasonalEmpirical, "0.1,0.9"), &data).unwrap();
    assert!(model.coverage().is_empty());
    assert!(model.notes().iter().any(|note| note.contains("not calibrated")));
    let none = data.filter(|_| false);
    for family in Family::ALL.into_iter().filter(|family| learned(*family)) {
        assert!(
            matches!(
                learn(&recipe(family, "0.5"), &none),
                Err(ModelError::TooFewRows { .. } | ModelError::TooFewDays { .. })
            ),
            "{family}"
        );
    }
}

#[test]
fn targets_that_are_no_numbers_are_left_out_and_named() {
    let mut data = synthetic::training(Shape { days: 60, ..Shape::default() });
    data.target[5] = f32::NAN;
    let model = learn(&recipe(Family::SeasonalNaive, "0.5"), &data).unwrap();
    assert!(model.notes()[0].starts_with("1 of "), "{:?}", model.notes());
    data.target.pop();
    assert!(matches!(learn(&recipe(Family::SeasonalNaive, "0.5"), &data), Err(ModelError::Numeric { .. })));
}

#[test]
fn other_levels_contain_the_learned_ones() {
    let data = synthetic::training(Shape { days: 120, ..Shape::default() });
    let model = learn(&recipe(Family::Linear, "0.1,0.5,0.9"), &data).unwrap();
    let learned = model.predict(&data.features).unwrap();
    let wanted = QuantileLevels::parse("0.01,0.1,0.25,0.5,0.9,0.999").unwrap();
    let other = model.predict_levels(&data.features, &wanted).unwrap();
    for i in 0..data.target.len() {
        assert!(other.row(i).is_sorted());
        assert_eq!([other.row(i)[1], other.row(i)[3], other.row(i)[4]], learned.row(i));
    }
    assert_eq!(model.predict_levels(&data.features, model.levels()).unwrap(), learned);
}

#[test]
fn what_never_falls_below_zero_is_not_foretold_to() {
    let mut data = synthetic::training(Shape { days: 120, ..Shape::default() });
    let hours = |i: usize| data.features.keys[i].slot_of_day;
    let night: Vec<bool> = (0..data.target.len()).map(|i| hours(i) < 8).collect();
    data.target.iter_mut().zip(&night).for_each(|(v, &n)| *v = if n { 0.0 } else { (*v - 80.0).max(0.0) });
    let model = learn(&recipe(Family::Linear, "0.05,0.95"), &data).unwrap();
    let wanted = QuantileLevels::parse("0.001,0.5").unwrap();
    let answer = model.predict_levels(&data.features, &wanted).unwrap();
    assert!(answer.mean.iter().chain(&answer.quantiles).all(|&v| v >= 0.0));
}

#[test]
fn columns_are_found_by_name_and_missed_by_name() {
    let data = synthetic::training(Shape { days: 90, ..Shape::default() });
    let model = learn(&recipe(Family::Gbdt, "0.1,0.5,0.9"), &data).unwrap();
    let mut other = data.features.clone();
    other.names.swap(0, 10);
    let width = other.columns();
    other.values.chunks_exact_mut(width).for_each(|row| row.swap(0, 10));
    assert_eq!(model.predict(&other).unwrap(), model.predict(&data.features).unwrap());
    other.names[10] = "else".to_owned();
    let name = "lag_week_1".to_owned();
    assert_eq!(model.predict(&other), Err(ModelError::MissingFeature { name }));
}

#[test]
fn one_and_four_threads_learn_the_same_bits() {
    let data = synthetic::training(Shape { days: 90, ..Shape::default() });
    let run = || {
        let model = learn(&recipe(Family::Ensemble, "0.1,0.5,0.9"), &data).unwrap();
        let answer = model.predict(&data.features).unwrap();
        (model, answer)
    };
    assert_eq!(synthetic::in_pool(1, run), synthetic::in_pool(4, run));
}

#[test]
fn the_sun_is_down_at_night_whatever_the_family() {
    let mut data = synthetic::training(Shape { days: 120, ..Shape::default() });
    data.features.names[11] = "clear_sky_ghi".to_owned();
    for i in 0..data.features.rows() {
        let hour = i % 24;
        let sun = if (6..18).contains(&hour) { 500.0 } else { 0.0 };
        data.features.values[i * synthetic::NAMES.len() + 11] = sun;
        if sun == 0.0 {
            data.target[i] = 0.0;
        }
        data.target[i] = data.target[i].max(0.0);
    }
    for family in [Family::Linear, Family::Gbdt] {
        let model = learn(&recipe(family, "0.1,0.5,0.9"), &data).unwrap();
        let answer = model.predict(&data.features).unwrap();
        let wide = model.predict_levels(&data.features, &QuantileLevels::parse("0.99").unwrap()).unwrap();
        for i in 0..24 {
            let dark = !(6..18).contains(&i);
            assert_eq!(
                answer.row(i).iter().all(|q| *q == 0.0) && wide.row(i)[0] == 0.0,
                dark,
                "{family} at {i}"
            );
        }
    }
}
