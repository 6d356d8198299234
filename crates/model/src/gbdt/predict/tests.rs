//! All walks give the same bits, and smaller forests say about the same.

use forewatt_domain::{QuantileLevels, Time};
use proptest::prelude::*;

use super::node::Split;
use super::*;
use crate::gbdt::{Booster, Params};
use crate::matrix::{DayClass, RowKey, TrainingSet};
use crate::predict::Fit as _;
use crate::random::Random;

fn matrix(columns: usize, values: Vec<f32>) -> FeatureMatrix {
    let key = |i: usize| RowKey {
        origin: Time::from_seconds(i as i64 * 3600),
        valid_time: Time::from_seconds(i as i64 * 3600),
        lead: 0,
        slot_of_day: (i % 24) as u16,
        day_class: DayClass::Workday,
        day_of_year: 1,
        local_day: (i / 24) as i32,
    };
    let keys = (0..values.len() / columns).map(key).collect();
    FeatureMatrix { names: (0..columns).map(|c| format!("x{c}")).collect(), keys, values, windows: None }
}

fn split(random: &mut Random, features: usize, start: usize) -> Split {
    let missing_right = random.below(2) == 0;
    let threshold = random.below(6) as u8;
    Split { feature: random.below(features) as u16, threshold, missing_right, start: start as u8 }
}

fn grow(random: &mut Random, features: usize, (from, to): (usize, usize), splits: &mut Vec<Split>) {
    if from < to {
        // Leaning to one side, as trees grown leaf by leaf do.
        let root = from + random.below(to - from).min(random.below(to - from));
        grow(random, features, (from, root), splits);
        splits.push(split(random, features, from));
        grow(random, features, (root + 1, to), splits);
    }
}

fn forest(random: &mut Random, features: usize, knots: usize, leaves: usize, trees: usize) -> Stored {
    let levels: Vec<f64> = (1..=knots).map(|i| i as f64 / (knots + 1) as f64).collect();
    let feature =
        |i: usize| Feature { name: format!("x{i}"), cuts: (0..5).map(|c| c as f32 / 5.0).collect() };
    let mut stored =
        Stored::new(levels, (0..knots).collect(), (0..features).map(feature).collect(), (3.0, 2.0));
    for _ in 0..trees {
        let leaves = 1 + random.below(leaves);
        let mut splits = Vec::new();
        grow(random, features, (0, leaves - 1), &mut splits);
        let (low, high) = (random.below(knots), random.below(knots));
        let value = |i: usize, random: &mut Random| {
            let moved = (low.min(high)..=low.max(high)).contains(&(i % knots));
            if moved { random.below(1000) as f32 / 500.0 - 1.0 } else { 0.0 }
        };
        let values = (0..leaves * knots).map(|i| value(i, random)).collect();
        stored.trees.push(Plain { splits, values });
    }
    stored
}

fn cells(random: &mut Random, count: usize) -> Vec<f32> {
    let cell = |random: &mut Random| match random.below(9) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        i => i as f32 / 8.0 - 0.2,
    };
    (0..count).map(|_| cell(random)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn one_row_and_many_get_the_same_bits_and_the_sum_of_the_leaves(
        seed in any::<u64>(),
        features in prop::sample::select(vec![1_usize, 16, 17, 40, 64, 65, 300]),
        knots in prop::sample::select(vec![1_usize, 3, 9, 19]),
        leaves in prop::sample::select(vec![2_usize, 17, 33, 34, 128, 129, 256]),
    ) {
        let random = &mut Random::new(seed, 1);
        let stored = forest(random, features, knots, leaves, 12);
        let rows = matrix(features, cells(random, features * 70));
        for precision in [Precision::F32, Precision::I16, Precision::I8] {
            let packed = Forest::packed(stored.clone(), precision);
            prop_assert_eq!(packed.trees(), 12);
            let many = packed.predict(&rows).unwrap();
            let columns = packed.columns(&rows).unwrap();
            let (mut mean, mut quantiles) = ([0.0], vec![0.0; knots]);
            for row in 0..70 {
                packed.predict_into(rows.row(row), features, &columns, &mut mean, &mut quantiles);
                prop_assert_eq!((mean[0], &quantiles[..]), (many.mean[row], many.row(row)), "row {}", row);
            }
            let mut sums: Vec<f32> = stored.start.clone();
            let codes = packed.codes(&columns, rows.row(7));
            for tree in &stored.trees {
                let leaf = tree.leaf(|feature| codes[feature]);
                sums.iter_mut().zip(&tree.values[leaf * knots..]).for_each(|(sum, value)| *sum += value);
            }
            sums.sort_unstable_by(f32::total_cmp);
            let rounding = match precision {
                Precision::F32 => 1e-4,
                Precision::I16 => 1e-3,
                Precision::I8 => 12.0 * 2.0 / 254.0,
            };
            for (sum, quantile) in sums.iter().zip(many.row(7)) {
                prop_assert!((sum * 2.0 + 3.0 - quantile).abs() < rounding, "{} for {}", quantile, sum);
            }
            let back: Forest = postcard::from_bytes(&postcard::to_allocvec(&packed).unwrap()).unwrap();
            prop_assert_eq!(back, packed);
        }
    }
}

fn wavy(rows: usize, seed: u64) -> TrainingSet {
    let mut random = Random::new(seed, 7);
    let uniform = |random: &mut Random| random.below(1 << 20) as f32 / (1 << 20) as f32;
    let values: Vec<f32> = (0..rows * 5).map(|_| uniform(&mut random)).collect();
    let features = matrix(5, values);
    let target = (0..rows).map(|i| {
        let x = features.row(i);
        let noise: f32 = (0..12).map(|_| uniform(&mut random)).sum::<f32>() - 6.0;
        50.0 + 5.0 * (6.0 * x[0]).sin() + 4.0 * x[0] * x[1] + (0.2 + x[2]) * noise
    });
    let target = target.collect();
    TrainingSet { features, target, past: None, courses: None }
}

fn loss(forest: &Forest, data: &TrainingSet) -> f64 {
    let predictions = forest.predict(&data.features).unwrap();
    let row = |i: usize| {
        let pairs = forest.levels().iter().zip(predictions.row(i));
        pairs.map(|(&level, &value)| crate::gbdt::levels::pinball(level, data.target[i], value)).sum::<f64>()
    };
    (0..data.target.len()).map(row).sum()
}

#[test]
fn smaller_forests_say_about_the_same() {
    let (data, fresh) = (wavy(5000, 1), wavy(4000, 2));
    let booster = Booster { params: Params { trees: 240, ..Params::default() } };
    let whole = booster.fit(&data, &QuantileLevels::deciles()).unwrap();
    let size = |forest: &Forest| postcard::to_allocvec(forest).unwrap().len() as f64;
    let compare = |small: &Forest| (size(small) / size(&whole), loss(small, &fresh) / loss(&whole, &fresh));
    let (bytes, worse) = compare(&whole.with_precision(Precision::I16));
    assert!(bytes < 0.57 && (worse - 1.0).abs() < 2e-4, "{bytes} {worse}");
    let eight = whole.with_precision(Precision::I8);
    let (bytes, worse) = compare(&eight);
    assert!(bytes < 0.36 && worse < 1.002, "{bytes} {worse}");
    let pruned = eight.pruned(&data.features, Prune { trees: 0.6, leaves: 17 }).unwrap();
    let (bytes, worse) = compare(&pruned);
    assert!(pruned.trees() < whole.trees() && bytes < 0.16 && worse < 1.01, "{bytes} {worse}");
    let useless = whole.feature_names().any(|name| name == "x4");
    assert!(useless, "noise is split on somewhere");
    let stump = whole.pruned(&data.features, Prune { trees: 1e-9, leaves: 2 }).unwrap();
    assert_eq!((stump.trees(), stump.feature_names().count()), (1, 1), "what nothing asks for is gone");
    assert!(whole.pruned(&matrix(1, vec![0.0]), Prune { trees: 0.5, leaves: 9 }).is_err());
}

#[test]
fn bins_that_nothing_asks_for_go_without_a_trace() {
    let random = &mut Random::new(3, 3);
    let stored = forest(random, 9, 3, 9, 5);
    let rows = matrix(9, cells(random, 9 * 200));
    let whole = Forest::packed(stored.clone(), Precision::F32);
    let mut fewer = stored;
    shrink::drop_unused(&mut fewer);
    let cuts = |features: &[Feature]| features.iter().map(|feature| feature.cuts.len()).sum::<usize>();
    assert!(cuts(&fewer.features) < 9 * 5);
    assert_eq!(Forest::packed(fewer, Precision::F32).predict(&rows), whole.predict(&rows));
}
