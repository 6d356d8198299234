//! What losses, weights, categories, monotone features, separate forests and further trees must do.

use std::collections::BTreeMap;

use super::*;

fn point(loss: Loss, trees: usize) -> PointBooster {
    PointBooster { params: Params { trees, ..Params::default() }, loss }
}

const LOSSES: [Loss; 4] =
    [Loss::Squared, Loss::Absolute, Loss::Huber { delta: 1.0 }, Loss::Tweedie { power: 1.5 }];

/// Rows with an hour of the day, of which every one has its own target, in no order.
fn hours(rows: usize, seed: u64) -> TrainingSet {
    let mut random = Random::new(seed, 5);
    let mut values = Vec::with_capacity(rows * 2);
    let mut target = Vec::with_capacity(rows);
    for _ in 0..rows {
        let hour = random.below(24);
        values.extend([hour as f32, uniform(&mut random)]);
        target.push(((hour * 11) % 24) as f32 + 0.5 * noise(&mut random));
    }
    TrainingSet { features: matrix(2, values), target, past: None, courses: None }
}

fn error(forest: &Forest, data: &TrainingSet) -> f32 {
    let predictions = forest.predict(&data.features).unwrap();
    let errors = predictions.mean.iter().zip(&data.target).map(|(mean, y)| (mean - y).abs());
    errors.sum::<f32>() / data.target.len() as f32
}

#[test]
fn the_number_of_threads_changes_no_objective() {
    let data = wavy(1200, 31);
    let weights: Vec<f32> = (0..1200).map(|i| (i % 5) as f32).collect();
    let params = Params {
        trees: 24,
        categorical: vec!["feature 3".to_owned()],
        monotone: BTreeMap::from([("feature 2".to_owned(), Monotone::Rising)]),
        ..Params::default()
    };
    for weights in [None, Some(weights.as_slice())] {
        let lesson = Lesson { data: &data, weights };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let points =
                    LOSSES.map(|loss| PointBooster { params: params.clone(), loss }.learn(lesson).unwrap());
                let forests = [false, true].map(|separate| {
                    let params = Params { separate, ..params.clone() };
                    let booster = Booster { params };
                    let forest = booster.learn(lesson, &QuantileLevels::deciles()).unwrap();
                    let more = booster.go_on(&forest, lesson).unwrap();
                    (forest, more)
                });
                (points, forests)
            })
        };
        let one = on(1);
        assert_eq!(one, on(2));
        assert_eq!(one, on(4));
    }
}

#[test]
fn each_loss_finds_its_number() {
    // The target is 4 on one half of the rows, and 0 with a tenth of outliers on the other.
    let mut data = wavy(4000, 32);
    for i in 0..4000 {
        let high = data.features.row(i)[0] > 0.5;
        data.target[i] = match (high, i % 10) {
            (true, _) => 4.0,
            (false, 0) => 20.0,
            (false, _) => 0.0,
        };
    }
    let at = |loss: Loss| {
        let params = Params { trees: 150, leaves: 3, held_out_share: 0.0, ..Params::default() };
        let forest = PointBooster { params, loss }.learn((&data).into()).unwrap();
        let values = forest.predict(&data.features).unwrap();
        let average = |high: bool| {
            let rows: Vec<usize> = (0..4000).filter(|&i| (data.features.row(i)[0] > 0.5) == high).collect();
            rows.iter().map(|&i| values[i]).sum::<f32>() / rows.len() as f32
        };
        (average(true), average(false))
    };
    let close = |found: (f32, f32), wanted: (f32, f32), within: f32| {
        let fits = (found.0 - wanted.0).abs() < within && (found.1 - wanted.1).abs() < within;
        assert!(fits, "{found:?} instead of {wanted:?}");
    };
    close(at(Loss::Squared), (4.0, 2.0), 0.3);
    close(at(Loss::Absolute), (4.0, 0.0), 0.3);
    // Of every ten rows one pulls by delta and nine by their distance: 9 x = 1.
    close(at(Loss::Huber { delta: 1.0 }), (4.0, 0.11), 0.3);
    close(at(Loss::Tweedie { power: 1.5 }), (4.0, 2.0), 0.3);
}

#[test]
fn a_tweedie_mean_is_above_zero_and_what_suits_no_loss_is_refused() {
    let mut data = wavy(1500, 33);
    data.target.iter_mut().enumerate().for_each(|(i, y)| *y = if i % 3 == 0 { *y } else { 0.0 });
    let booster = point(Loss::Tweedie { power: 1.3 }, 100);
    let forest = booster.learn((&data).into()).unwrap();
    let strange = matrix(5, vec![f32::NAN; 10]);
    for features in [&data.features, &strange] {
        assert!(forest.predict(features).unwrap().iter().all(|&v| v > 0.0 && v.is_finite()));
    }
    let text = serde_json::to_string(&forest).unwrap();
    let back: PointForest = serde_json::from_str(&text).unwrap();
    assert_eq!(back.predict(&data.features).unwrap(), forest.predict(&data.features).unwrap());
    data.target[7] = -1.0;
    let refused = |loss: Loss, word: &str| {
        let error = point(loss, 10).learn((&data).into()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(Loss::Tweedie { power: 1.3 }, "row 7");
    refused(Loss::Tweedie { power: 2.0 }, "between 1 and 2");
    refused(Loss::Huber { delta: f64::NAN }, "above 0");
    let error = point(Loss::Squared, 10).go_on(&forest, (&data).into()).unwrap_err().to_string();
    assert!(error.contains("Tweedie"), "{error}");
}

#[test]
fn rows_count_by_their_weights() {
    let mut data = wavy(3000, 34);
    // Every second row is nonsense, and weighs nothing.
    let weights: Vec<f32> = (0..3000).map(|i| if i % 2 == 0 { 2.0 } else { 0.0 }).collect();
    let clean = data.clone();
    data.target.iter_mut().skip(1).step_by(2).for_each(|y| *y += 500.0);
    let lesson = Lesson { data: &data, weights: Some(&weights) };
    let forest = quick().learn(lesson, &QuantileLevels::deciles()).unwrap();
    assert!(error(&forest, &clean) < 1.2, "{}", error(&forest, &clean));
    let squared = point(Loss::Squared, 200).learn(lesson).unwrap().predict(&clean.features).unwrap();
    let off = squared.iter().zip(&clean.target).map(|(v, y)| (v - y).abs()).sum::<f32>() / 3000.0;
    assert!(off < 1.2, "{off}");
    let refused = |weights: &[f32], word: &str| {
        let lesson = Lesson { data: &data, weights: Some(weights) };
        let error = quick().learn(lesson, &QuantileLevels::deciles()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(&weights[1..], "one per row");
    refused(&vec![-1.0; 3000], "row 0");
    refused(&vec![0.0; 3000], "too few");
}

#[test]
fn categories_are_told_apart_by_few_splits() {
    let (data, fresh) = (hours(4000, 35), hours(2000, 36));
    let params = Params { trees: 30, leaves: 4, learning_rate: 0.3, ..Params::default() };
    let named = Params { categorical: vec!["feature 0".to_owned()], ..params.clone() };
    let levels = QuantileLevels::deciles();
    let as_number = Booster { params }.fit(&data, &levels).unwrap();
    let as_name = Booster { params: named.clone() }.fit(&data, &levels).unwrap();
    let (number, name) = (error(&as_number, &fresh), error(&as_name, &fresh));
    assert!(name < 0.6 * number, "{name} against {number}");
    let text = serde_json::to_string(&as_name).unwrap();
    assert_eq!(serde_json::from_str::<Forest>(&text).unwrap(), as_name);
    // Hours that never were, and none at all.
    assert_sound(&as_name.predict(&matrix(2, vec![99.0, 0.5, f32::NAN, 0.5, -3.0, 0.5])).unwrap());
    let unknown = Params { categorical: vec!["no such".to_owned()], ..named };
    let error = Booster { params: unknown }.fit(&data, &levels).unwrap_err().to_string();
    assert!(error.contains("no such"), "{error}");
}

#[test]
fn separate_forests_move_one_level_each() {
    let (data, fresh) = (wavy(4000, 37), wavy(2000, 38));
    let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
    let shared = quick().fit(&data, &levels).unwrap();
    let separate = Booster { params: Params { separate: true, ..quick().params } };
    let separate = separate.fit(&data, &levels).unwrap();
    let moved = |leaf: &[f32]| leaf.iter().filter(|step| **step != 0.0).count();
    let (mut leaves, mut moving) = (0, 0);
    for values in separate.leaf_values() {
        leaves += values.len() / 3;
        moving += values.chunks(3).map(moved).sum::<usize>();
        assert!(values.chunks(3).all(|leaf| moved(leaf) <= 1));
    }
    assert!(leaves > 0 && moving > leaves / 2, "{moving} of {leaves} leaves move a level");
    let loss = |forest: &Forest| {
        let predictions = forest.predict(&fresh.features).unwrap();
        assert_sound(&predictions);
        pinball(&predictions, &levels, &fresh.target)
    };
    assert!(loss(&separate) < 1.05 * loss(&shared), "{} {}", loss(&separate), loss(&shared));
}

#[test]
fn further_trees_learn_what_has_changed() {
    let (old, mut new) = (wavy(3000, 39), wavy(1500, 40));
    new.target.iter_mut().for_each(|y| *y += 8.0);
    let levels = QuantileLevels::deciles();
    let before = quick().fit(&old, &levels).unwrap();
    let after = quick().go_on(&before, (&new).into()).unwrap();
    assert!(after.trees() > before.trees());
    assert!(error(&before, &new) > 6.0 && error(&after, &new) < 2.0, "{}", error(&after, &new));
    let squared = point(Loss::Squared, 60);
    let first = squared.learn((&old).into()).unwrap();
    let second = squared.go_on(&first, (&new).into()).unwrap();
    let bias = |forest: &PointForest| {
        let values = forest.predict(&new.features).unwrap();
        values.iter().zip(&new.target).map(|(v, y)| f64::from(v - y)).sum::<f64>() / 1500.0
    };
    assert!(bias(&first) < -6.0 && bias(&second).abs() < 2.0, "{} {}", bias(&first), bias(&second));
    let narrow = TrainingSet { features: matrix(1, vec![0.0; 3000]), ..old };
    assert!(quick().go_on(&before, (&narrow).into()).is_err());
}

/// The most by which forecasts fall where they should not, as the first feature goes up.
fn greatest_fall(forest: &Forest, direction: f32, rest: &[[f32; 4]]) -> f32 {
    let mut fall = 0.0_f32;
    for rest in rest {
        let grid = (0..40).flat_map(|i| [&[i as f32 / 39.0][..], rest].concat());
        let predictions = forest.predict(&matrix(5, grid.collect())).unwrap();
        assert_sound(&predictions);
        for i in 1..40 {
            let pairs = predictions.row(i - 1).iter().zip(predictions.row(i));
            let means = (&predictions.mean[i - 1], &predictions.mean[i]);
            for (before, after) in pairs.chain([means]) {
                fall = fall.max(direction * (before - after));
            }
        }
    }
    fall
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn monotone_features_are_followed_at_every_level(seed in any::<u64>(), rising in any::<bool>(), heavy in any::<bool>()) {
        let data = wavy(400, seed);
        let mut random = Random::new(seed, 9);
        let rest: Vec<[f32; 4]> = (0..6).map(|_| std::array::from_fn(|_| uniform(&mut random))).collect();
        let weights: Vec<f32> = (0..400).map(|_| 0.1 + uniform(&mut random)).collect();
        let lesson = Lesson { data: &data, weights: heavy.then_some(weights.as_slice()) };
        let (monotone, direction) = if rising { (Monotone::Rising, 1.0) } else { (Monotone::Falling, -1.0) };
        let free = Params { trees: 40, leaf_rows: 5, learning_rate: 0.2, ..Params::default() };
        let monotone = BTreeMap::from([("feature 0".to_owned(), monotone)]);
        let bound = Params { monotone, ..free.clone() };
        let levels = QuantileLevels::deciles();
        let fall = |params: Params| {
            greatest_fall(&Booster { params }.learn(lesson, &levels).unwrap(), direction, &rest)
        };
        let held = fall(bound);
        prop_assert!(held <= 1e-4, "falls by {held}");
        // Noise alone makes a free forest rise and fall.
        prop_assert!(fall(free) > 0.01);
    }
}
