//! What a forest must learn, survive and repeat.

mod choices;

use forewatt_domain::{QuantileLevels, Time};
use proptest::prelude::*;

use super::*;
use crate::matrix::{DayClass, FeatureMatrix, RowKey};
use crate::predict::{Predict, Predictions};
use crate::random::Random;

fn uniform(random: &mut Random) -> f32 {
    (random.next() >> 40) as f32 / (1_u64 << 24) as f32
}

/// About normal, standard deviation 1.
fn noise(random: &mut Random) -> f32 {
    (0..12).map(|_| uniform(random)).sum::<f32>() - 6.0
}

fn matrix(columns: usize, values: Vec<f32>) -> FeatureMatrix {
    let key = |i: usize| {
        let day = (i / 24) as i32;
        RowKey {
            origin: Time::from_seconds(i64::from(day) * 86_400),
            valid_time: Time::from_seconds(i as i64 * 3600),
            lead: (i % 24) as u32,
            slot_of_day: (i % 24) as u16,
            day_class: DayClass::Workday,
            day_of_year: 1,
            local_day: day,
        }
    };
    FeatureMatrix {
        names: (0..columns).map(|c| format!("feature {c}")).collect(),
        keys: (0..values.len() / columns.max(1)).map(key).collect(),
        values,
        windows: None,
    }
}

/// Five uniform features; the middle is wavy in two of them, the noise grows with a third.
fn wavy(rows: usize, seed: u64) -> TrainingSet {
    let mut random = Random::new(seed, 7);
    let values: Vec<f32> = (0..rows * 5).map(|_| uniform(&mut random)).collect();
    let features = matrix(5, values);
    let target = (0..rows).map(|i| {
        let x = features.row(i);
        middle(x) + (0.2 + x[2]) * noise(&mut random)
    });
    let target = target.collect();
    TrainingSet { features, target, past: None, courses: None }
}

fn middle(x: &[f32]) -> f32 {
    50.0 + 5.0 * (6.0 * x[0]).sin() + 4.0 * x[0] * x[1]
}

fn quick() -> Booster {
    Booster { params: Params { trees: 200, ..Params::default() } }
}

fn pinball(predictions: &Predictions, levels: &QuantileLevels, target: &[f32]) -> f64 {
    let row = |(i, &y): (usize, &f32)| {
        let pairs = levels.as_slice().iter().zip(predictions.row(i));
        pairs
            .map(|(&level, &value)| {
                let error = f64::from(y) - f64::from(value);
                (level * error).max((level - 1.0) * error)
            })
            .sum::<f64>()
    };
    target.iter().enumerate().map(row).sum::<f64>() / (target.len() * levels.len()) as f64
}

fn assert_sound(predictions: &Predictions) {
    assert!(predictions.mean.iter().chain(&predictions.quantiles).all(|v| v.is_finite()));
    let rows = predictions.quantiles.chunks_exact(predictions.levels);
    assert!(rows.into_iter().all(|row| row.windows(2).all(|w| w[0] <= w[1])));
}

#[test]
fn learns_the_shape_and_the_spread() {
    let levels = QuantileLevels::deciles();
    let forest = Booster::default().fit(&wavy(8000, 1), &levels).unwrap();
    let fresh = wavy(4000, 2);
    let predictions = forest.predict(&fresh.features).unwrap();
    assert_sound(&predictions);
    for (q, &level) in levels.as_slice().iter().enumerate() {
        let below = (0..4000).filter(|&i| fresh.target[i] <= predictions.row(i)[q]).count();
        let coverage = below as f64 / 4000.0;
        assert!((coverage - level).abs() < 0.04, "level {level} covers {coverage}");
    }
    // The width of the inner 80 % of a normal distribution is 2.56 standard deviations.
    let width = |low: f32, high: f32| {
        let rows: Vec<usize> =
            (0..4000).filter(|&i| (low..high).contains(&fresh.features.row(i)[2])).collect();
        let sum: f32 = rows.iter().map(|&i| predictions.row(i)[8] - predictions.row(i)[0]).sum();
        sum / rows.len() as f32 / 2.56
    };
    assert!((width(0.0, 0.2) - 0.3).abs() < 0.15, "{}", width(0.0, 0.2));
    assert!((width(0.8, 1.0) - 1.1).abs() < 0.2, "{}", width(0.8, 1.0));
    let error: f32 = (0..4000).map(|i| (predictions.mean[i] - middle(fresh.features.row(i))).abs()).sum();
    assert!(error / 4000.0 < 0.35, "the mean errs by {}", error / 4000.0);
}

#[test]
fn beats_the_quantiles_of_all_rows_and_comes_near_the_truth() {
    let (data, fresh) = (wavy(6000, 3), wavy(3000, 4));
    let deciles = QuantileLevels::deciles();
    let forest = quick().fit(&data, &deciles).unwrap();
    let loss = pinball(&forest.predict(&fresh.features).unwrap(), &deciles, &fresh.target);
    let of = |level: &f64| levels::quantile(&mut data.target.clone(), *level);
    let flat = Predictions {
        mean: vec![0.0; 3000],
        quantiles: deciles.as_slice().iter().map(of).collect::<Vec<_>>().repeat(3000),
        levels: 9,
    };
    let unconditional = pinball(&flat, &deciles, &fresh.target);
    assert!(loss < 0.25 * unconditional, "{loss} against {unconditional}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let data = wavy(3000, 5);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let forest = quick().fit(&data, &QuantileLevels::deciles()).unwrap();
            let predictions = forest.predict(&data.features).unwrap();
            (forest, predictions)
        })
    };
    let one = on(1);
    assert_eq!(one, on(4));
    assert_eq!(one, on(1), "and neither does doing it again");
    let other = Booster { params: Params { seed: 2, ..quick().params } };
    assert_ne!(other.fit(&data, &QuantileLevels::deciles()).unwrap(), one.0, "the seed does");
}

#[test]
fn missing_values_are_learned_and_survived() {
    let mut data = wavy(6000, 6);
    // Where the first feature is missing the target is far above; the fifth is never known.
    for i in 0..6000 {
        if i % 5 == 0 {
            data.features.values[i * 5] = f32::NAN;
            data.target[i] = 90.0 + (i % 7) as f32;
        }
        data.features.values[i * 5 + 4] = f32::NAN;
    }
    let forest = quick().fit(&data, &QuantileLevels::deciles()).unwrap();
    let predictions = forest.predict(&data.features).unwrap();
    assert_sound(&predictions);
    assert!((predictions.row(0)[4] - 93.0).abs() < 2.0, "{}", predictions.row(0)[4]);
    assert!(predictions.row(1)[8] < 70.0, "{}", predictions.row(1)[8]);
    // Features that were always known in training, or are infinite now.
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let strange = matrix(5, vec![value; 50]);
        assert_sound(&forest.predict(&strange).unwrap());
    }
}

#[test]
fn columns_are_found_by_name() {
    let data = wavy(2000, 8);
    let forest = quick().fit(&data, &QuantileLevels::deciles()).unwrap();
    let rows = data.features.keys.len();
    let turned = FeatureMatrix {
        names: data.features.names.iter().rev().cloned().chain(["extra".to_owned()]).collect(),
        keys: data.features.keys.clone(),
        values: (0..rows)
            .flat_map(|i| data.features.row(i).iter().rev().copied().chain([1.0]).collect::<Vec<_>>())
            .collect(),
        windows: None,
    };
    assert_eq!(forest.predict(&turned).unwrap(), forest.predict(&data.features).unwrap());
    let error = forest.predict(&matrix(1, vec![0.0])).unwrap_err();
    assert!(matches!(error, ModelError::MissingFeature { .. }), "{error}");
    assert!(forest.predict(&matrix(5, Vec::new())).unwrap().mean.is_empty());
}

#[test]
fn a_written_forest_reads_back_the_same_and_a_damaged_one_is_refused() {
    let data = wavy(1500, 9);
    let forest = quick().fit(&data, &QuantileLevels::deciles()).unwrap();
    let text = serde_json::to_string(&forest).unwrap();
    let back: Forest = serde_json::from_str(&text).unwrap();
    assert_eq!(back, forest);
    assert_eq!(back.predict(&data.features).unwrap(), forest.predict(&data.features).unwrap());
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    let damage = |path: &str, to: serde_json::Value| {
        let mut damaged = whole.clone();
        let part = damaged.pointer_mut(path).unwrap_or_else(|| panic!("no {path}"));
        assert_ne!(*part, to, "{path}");
        *part = to;
        assert!(serde_json::from_value::<Forest>(damaged).is_err(), "{path}");
    };
    damage("/1/knots/0", 7.into());
    damage("/1/levels/0", (-0.1).into());
    damage("/1/start", vec![0.5].into());
    damage("/1/names/0", serde_json::Value::Null);
    damage("/1/cuts/0", serde_json::json!({ "Exact": [3.0, 2.0] }));
    damage("/1/groups/0/trees", 1_000_000.into());
    damage("/1/groups/0/slots", 17.into());
    damage("/1/groups/0/low", 8.into());
    damage("/1/groups/0/width", 0.into());
    damage("/1/wide", true.into());
    damage("/1/precision", "i8".into());
    // The first tree reads a feature that is not there; its first split begins after itself.
    damage("/2/0", 200.into());
    damage(&format!("/2/{}", 2 * whole[1]["groups"][0]["slots"].as_u64().unwrap()), 9.into());
    damage("/2", vec![0_u8; 64].into());
}

#[test]
fn targets_of_any_size_are_learned_alike() {
    let data = wavy(2000, 10);
    let levels = QuantileLevels::deciles();
    let predict = |data: &TrainingSet| quick().fit(data, &levels).unwrap().predict(&data.features).unwrap();
    let plain = predict(&data);
    for (factor, offset) in [(1e6_f32, 0.0_f32), (1e-6, 0.0), (4.0, -1000.0)] {
        let mut scaled = data.clone();
        scaled.target.iter_mut().for_each(|y| *y = *y * factor + offset);
        let found = predict(&scaled);
        let pairs = plain.quantiles.iter().zip(&found.quantiles);
        let off = pairs.filter(|(a, b)| ((*b - offset) / factor - *a).abs() > 0.2).count();
        assert!(off * 100 < plain.quantiles.len(), "{factor}: {off} of {} differ", plain.quantiles.len());
    }
}

#[test]
fn a_constant_target_is_forecast_as_it_is() {
    let mut data = wavy(500, 11);
    data.target.iter_mut().for_each(|y| *y = -3.5);
    let forest = quick().fit(&data, &QuantileLevels::deciles()).unwrap();
    let predictions = forest.predict(&data.features).unwrap();
    assert!(predictions.mean.iter().chain(&predictions.quantiles).all(|&v| v == -3.5));
}

#[test]
fn a_target_that_is_mostly_zero_keeps_its_zeros() {
    let mut data = wavy(4000, 12);
    for i in 0..4000 {
        let day = data.features.row(i)[1] > 0.6;
        data.target[i] = if day { 100.0 * data.features.row(i)[0] } else { 0.0 };
    }
    let forest = Booster::default().fit(&data, &QuantileLevels::deciles()).unwrap();
    let predictions = forest.predict(&data.features).unwrap();
    let night: Vec<usize> = (0..4000).filter(|&i| data.features.row(i)[1] < 0.58).collect();
    let average = |of: &dyn Fn(usize) -> f32| night.iter().map(|&i| of(i)).sum::<f32>() / night.len() as f32;
    let (high, mean) = (average(&|i| predictions.row(i)[8]), average(&|i| predictions.mean[i]));
    assert!(high < 4.0 && mean.abs() < 1.0, "{high} {mean}");
}

#[test]
fn what_cannot_be_learned_is_refused() {
    let levels = QuantileLevels::deciles();
    let error = quick().fit(&wavy(99, 13), &levels).unwrap_err();
    assert!(matches!(error, ModelError::TooFewRows { rows: 99, needed: MIN_ROWS, .. }), "{error}");
    let mut data = wavy(200, 13);
    data.target[17] = f32::NAN;
    let error = quick().fit(&data, &levels).unwrap_err().to_string();
    assert!(error.contains("17"), "{error}");
    data.target.pop();
    assert!(quick().fit(&data, &levels).is_err());
}

#[test]
fn any_number_of_levels_can_be_asked_for() {
    let (data, fresh) = (wavy(4000, 14), wavy(2000, 15));
    let percentiles: Vec<f64> = (1..100).map(|i| f64::from(i) / 100.0).collect();
    for levels in [vec![0.5], vec![0.9], vec![0.05, 0.95], percentiles] {
        let levels = QuantileLevels::new(levels).unwrap();
        let predictions = quick().fit(&data, &levels).unwrap().predict(&fresh.features).unwrap();
        assert_eq!(predictions.levels, levels.len());
        assert_sound(&predictions);
        for (q, level) in levels.as_slice().iter().enumerate() {
            let below = (0..2000).filter(|&i| fresh.target[i] <= predictions.row(i)[q]).count();
            assert!((below as f64 / 2000.0 - level).abs() < 0.06, "{level}: {below}");
        }
        let bias = (0..2000).map(|i| predictions.mean[i] - fresh.target[i]).sum::<f32>() / 2000.0;
        assert!(bias.abs() < 0.1, "{bias}");
    }
}

#[test]
fn noise_stops_early() {
    let mut data = wavy(3000, 16);
    let mut random = Random::new(1, 1);
    data.target.iter_mut().for_each(|y| *y = noise(&mut random));
    let forest = Booster::default().fit(&data, &QuantileLevels::deciles()).unwrap();
    assert!(forest.trees() < 100, "{}", forest.trees());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_matrix_makes_it_panic(
        rows in 100_usize..200,
        columns in 0_usize..10,
        seed in any::<u64>(),
        levels in 1_usize..4,
        kind in 0_u8..4,
    ) {
        let mut random = Random::new(seed, 3);
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN_POSITIVE, 0.0, -0.0, 1.0];
        let cell = |random: &mut Random| if kind == 0 { uniform(random) } else { odd[random.below(8)] };
        let values = (0..rows * columns).map(|_| cell(&mut random)).collect();
        let mut features = matrix(1, vec![0.0; rows]);
        features.names = (0..columns).map(|c| format!("feature {c}")).collect();
        features.values = values;
        let huge = if kind == 3 { f32::MAX } else { 1.0 };
        let target = (0..rows).map(|_| (uniform(&mut random) * 2.0 - 1.0) * huge).collect();
        let levels = QuantileLevels::new((1..=levels).map(|i| i as f64 / 5.0).collect()).unwrap();
        let booster = Booster { params: Params { trees: 20, leaf_rows: 3, ..Params::default() } };
        let data = TrainingSet { features, target, past: None, courses: None };
        let forest = booster.fit(&data, &levels).unwrap();
        assert_sound(&forest.predict(&data.features).unwrap());
        let back: Forest = serde_json::from_str(&serde_json::to_string(&forest).unwrap()).unwrap();
        prop_assert_eq!(back, forest);
    }
}
