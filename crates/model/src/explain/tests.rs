//! What explanations promise: they add up, are exact where they say so, and name the right cause.

use forewatt_domain::{Choice, Family, Horizon, QuantileLevels, Recipe, Resolution};

use super::member::{Shares, Task, of_model};
use super::trees::{Trees, Walker};
use super::*;
use crate::gbdt::{Booster, Forest, Params};
use crate::learn::{Model, learn};
use crate::matrix::TrainingSet;
use crate::member::{Member, Purpose};
use crate::predict::Fit;
use crate::synthetic::{self, Normal, Shape};

const EVALUATIONS: usize = 200_000;
/// Hours between forecast starts that are no whole days apart: mixtures are of rows then.
const NOT_DAILY: usize = 7;

fn recipe(family: Family) -> Recipe {
    Recipe {
        target: "load".parse().unwrap(),
        family,
        covariates: vec![],
        resolution: Resolution::HOUR,
        horizon: Horizon::from_steps(24, Resolution::HOUR).unwrap(),
        levels: QuantileLevels::parse("0.1,0.5,0.9").unwrap(),
        origin_every_steps: 24,
        training_days: None,
        non_negative: false,
        choice: Choice::default(),
        daily: false,
        any_hour: false,
        seed: 1,
    }
}

/// Training rows, the rows of the last origin, and those of the `days` origins before it.
fn data(shape: Shape, days: usize) -> (TrainingSet, FeatureMatrix, FeatureMatrix) {
    let all = synthetic::training(shape);
    let (rows, per_origin) = (all.target.len(), shape.horizon);
    let early = all.filter(|i| i < rows - per_origin);
    let last = all.features.select(&(rows - per_origin..rows).collect::<Vec<_>>());
    let before =
        all.features.select(&(rows - per_origin * (days + 1)..rows - per_origin).collect::<Vec<_>>());
    (early, last, before)
}

/// The greatest distance of reference + contributions + bound from the mean.
fn gap(explanation: &Explanation) -> f64 {
    let of_row = |row: &RowExplanation| {
        let told = row.by_group.iter().sum::<f64>() + row.bound.map_or(0.0, |(_, share)| share);
        (row.reference + told - row.mean).abs() / (1.0 + row.mean.abs())
    };
    explanation.rows.iter().map(of_row).fold(0.0, f64::max)
}

#[test]
fn contributions_add_up_for_every_family() {
    let (early, last, before) = data(Shape { days: 60, every: NOT_DAILY, ..Shape::default() }, 24);
    let background = Background::usual(&last, before);
    for family in
        [Family::SeasonalNaive, Family::SeasonalEmpirical, Family::Linear, Family::Gbdt, Family::Ensemble]
    {
        let model = learn(&recipe(family), &early).unwrap();
        let explanation = explain(&model, &last, &background, EVALUATIONS).unwrap();
        assert_eq!((explanation.method, explanation.rows.len()), (Method::Features, 24), "{family}");
        assert!(gap(&explanation) < 1e-5, "{family}: {}", gap(&explanation));
        let shares = |threads| {
            let work = || explain(&model, &last, &background, EVALUATIONS).unwrap();
            let rows = synthetic::in_pool(threads, work).rows;
            rows.into_iter().map(|row| (row.by_feature, row.by_group, row.bound)).collect::<Vec<_>>()
        };
        assert_eq!(shares(1), shares(4), "{family}");
        let mean = model.predict(&last).unwrap().mean;
        for (row, mean) in explanation.rows.iter().zip(mean) {
            assert_eq!(row.mean, f64::from(mean), "{family}");
            let moved: f64 = row.by_group.iter().map(|share| share.abs()).sum();
            // The line of the bounds is a remark, not the explanation.
            let bound = row.bound.map_or(0.0, |(_, share)| share.abs());
            assert!(bound <= 0.2 * moved + 0.5, "{family}: {:?} beside {moved}", row.bound);
        }
    }
}

#[test]
fn through_compressed_tails_and_bounds_a_linear_model_adds_up() {
    let (mut early, last, before) = data(Shape { days: 120, ..Shape::default() }, 14);
    let mut normal = Normal(3);
    early.target.iter_mut().for_each(|value| {
        if normal.uniform() < 0.03 {
            *value += 4000.0 * normal.uniform() as f32;
        }
    });
    let member =
        Member::fit(Family::Linear, 1, &early, &recipe(Family::Linear).levels, Purpose::Use).unwrap();
    assert!(member.describe().unwrap().contains("heavy tails compressed"), "{:?}", member.describe());
    let mut wild = last.clone();
    let column = wild.column("lag_week_1").unwrap();
    let width = wild.columns();
    wild.values.chunks_exact_mut(width).step_by(2).for_each(|row| row[column] = 1e9);
    for rows in [&last, &wild] {
        let grouping = Grouping::new(&rows.names);
        let task = task(rows, &before, &grouping);
        let model = Model::Single(member.clone());
        let shares = of_model(&model, &task).unwrap();
        let (to, from) = (member.predict(rows).unwrap().mean, switched(&model, &task));
        for i in 0..rows.rows() {
            let told: f64 = shares.row(i).0.iter().sum();
            let difference = f64::from(to[i]) - from[i];
            assert!((told - difference).abs() < 1e-3 * (1.0 + difference.abs()), "{told} {difference}");
        }
    }
}

/// Every row against the same lead of every earlier origin.
fn task<'a>(rows: &'a FeatureMatrix, before: &'a FeatureMatrix, grouping: &'a Grouping) -> Task<'a> {
    let background = Background::usual(rows, before.clone());
    let references = (0..rows.rows()).map(|i| background.of(i).to_vec()).collect();
    let dark = vec![false; rows.rows()];
    Task { rows, background: before, references, dark, grouping, evaluations_max: EVALUATIONS }
}

/// The mean answer for each row's references, asked as what the row is about.
fn switched(model: &Model, task: &Task<'_>) -> Vec<f64> {
    let of_row = |(i, references): (usize, &Vec<usize>)| {
        let keys = vec![task.rows.keys[i]; references.len()];
        let rows = FeatureMatrix { keys, ..task.background.select(references) };
        mean(model.predict(&rows).unwrap().mean.into_iter().map(f64::from))
    };
    task.references.iter().enumerate().map(of_row).collect()
}

/// What a forest says of codes, tree by tree.
fn sum(trees: &Trees, codes: &[u8]) -> f64 {
    let leaf = |tree: &trees::Tree| {
        let mut at = if tree.splits.is_empty() { !0 } else { 0 };
        while at >= 0 {
            let split = tree.splits[at as usize];
            let left = codes[split.feature as usize].wrapping_sub(split.shift) <= split.threshold;
            at = split.children[usize::from(!left)];
        }
        tree.values[!at as usize]
    };
    trees.trees.iter().map(leaf).sum()
}

/// Shapley values by their definition: the mean over all orders, counted by subsets.
fn by_definition(players: usize, worth: impl Fn(u32) -> f64) -> Vec<f64> {
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    let n = players as u32;
    (0..n)
        .map(|player| {
            let without = (0..1_u32 << n).filter(|s| s >> player & 1 == 0);
            without
                .map(|s| {
                    let size = s.count_ones();
                    let weight = factorial(size) * factorial(n - size - 1) / factorial(n);
                    weight * (worth(s | 1 << player) - worth(s))
                })
                .sum()
        })
        .collect()
}

fn small_forest() -> (Forest, FeatureMatrix) {
    let mut set = synthetic::training(Shape { days: 60, ..Shape::default() });
    let kept: Vec<String> = ["lag_week_1", "lag_day_2", "hour_sin", "weekend", "cov:temperature", "last_1"]
        .map(str::to_owned)
        .to_vec();
    set.features = set.features.with_columns(&kept).unwrap().into_owned();
    let params = Params { trees: 24, leaves: 9, held_out_share: 0.0, ..Params::default() };
    let forest = Booster { params }.fit(&set, &QuantileLevels::parse("0.1,0.5,0.9").unwrap()).unwrap();
    (forest, set.features)
}

#[test]
fn trees_are_explained_exactly() {
    let (forest, rows) = small_forest();
    let trees = forest.mean_trees();
    let walker = Walker::new(&trees);
    let positions = forest.positions(&rows).unwrap();
    let codes = |i: usize| forest.codes(&positions, rows.row(i));
    let mut largest = 0.0_f64;
    for (a, b) in [(0, 700), (3, 1001), (30, 555), (41, 42), (10, 10), (777, 20), (1300, 6)] {
        let (row, reference) = (codes(a), codes(b));
        let mut found = vec![0.0; row.len()];
        walker.add(&row, &reference, &mut found);
        let expected = by_definition(row.len(), |coalition| {
            let mixed: Vec<u8> =
                (0..row.len()).map(|f| if coalition >> f & 1 == 1 { row[f] } else { reference[f] }).collect();
            sum(&trees, &mixed)
        });
        for (share, expected) in found.iter().zip(&expected) {
            assert!((share - expected).abs() < 1e-9, "{found:?} {expected:?}");
            largest = largest.max(share.abs());
        }
    }
    assert!(largest > 1.0, "the forest says something: {largest}");
}

#[test]
fn trees_of_numbers_move_as_the_mean_does() {
    let (forest, rows) = small_forest();
    let trees = forest.mean_trees();
    let positions = forest.positions(&rows).unwrap();
    let value = |i: usize| sum(&trees, &forest.codes(&positions, rows.row(i)));
    let mean = forest.predict(&rows).unwrap().mean;
    let off: Vec<f64> =
        (0..rows.rows()).map(|i| (f64::from(mean[i]) - value(i)) - (f64::from(mean[0]) - value(0))).collect();
    let exact = off.iter().filter(|gap| gap.abs() < 1e-3).count();
    // Rows whose quantiles crossed differ a little.
    assert!(exact * 10 > off.len() * 8, "{exact} of {}", off.len());
    assert!(off.iter().all(|gap| gap.abs() < 3.0));
}

#[test]
fn groups_of_a_linear_model_are_the_sums_of_its_features() {
    let (early, last, before) = data(Shape { days: 90, ..Shape::default() }, 5);
    let levels = recipe(Family::Linear).levels;
    let member = Member::fit(Family::Linear, 1, &early, &levels, Purpose::Use).unwrap();
    let grouping = Grouping::new(&last.names);
    let task = task(&last, &before, &grouping);
    let model = Model::Single(member.clone());
    let (opened, asked) = (of_model(&model, &task).unwrap(), grouped::attribute(&member, &task).unwrap());
    let by_group = |shares: &Shares, i: usize| {
        let (features, undivided) = shares.row(i);
        let mut sums = undivided.to_vec();
        features.iter().zip(&grouping.of_column).for_each(|(share, &group)| sums[group] += share);
        sums
    };
    for i in 0..last.rows() {
        for (a, b) in by_group(&opened, i).iter().zip(by_group(&asked, i)) {
            assert!((a - b).abs() < 2e-3, "{a} {b}");
        }
    }
    // With fewer answers than coalitions, orders are drawn; the sum stays exact.
    let drawn = Task { evaluations_max: 2_000, ..task };
    let shares = grouped::attribute(&member, &drawn).unwrap();
    let (to, from) = (member.predict(&last).unwrap().mean, switched(&model, &drawn));
    for i in 0..last.rows() {
        let told: f64 = by_group(&shares, i).iter().sum();
        assert!((told - (f64::from(to[i]) - from[i])).abs() < 2e-3);
    }
}

#[test]
fn a_cause_is_named_and_what_did_not_change_is_not() {
    let (early, last, _) = data(Shape { days: 100, every: NOT_DAILY, ..Shape::default() }, 1);
    let column = last.column("cov:temperature").unwrap();
    let mut colder = last.clone();
    let width = colder.columns();
    colder.values.chunks_exact_mut(width).for_each(|row| row[column] -= 6.0);
    for family in [Family::Linear, Family::Gbdt, Family::Ensemble] {
        let model = learn(&recipe(family), &early).unwrap();
        let background = Background::same_times(&last, colder.clone());
        let explanation = explain(&model, &last, &background, EVALUATIONS).unwrap();
        assert!(gap(&explanation) < 1e-5);
        for row in &explanation.rows {
            for (feature, share) in explanation.features.iter().zip(&row.by_feature) {
                assert!(feature == "cov:temperature" || share.abs() < 1e-9, "{family} {feature} {share}");
            }
            assert!((row.values[column] - row.reference_values[column] - 6.0).abs() < 1e-4);
        }
        let total: f64 = explanation.rows.iter().map(|row| row.by_feature[column]).sum();
        assert!(total > 24.0, "{family}: six degrees are worth nine of the load: {total}");
    }
}

#[test]
fn nights_are_told_as_nights() {
    let mut data = synthetic::training(Shape { days: 120, ..Shape::default() });
    let column = data.features.names.len() - 1;
    data.features.names[column] = "clear_sky_ghi".to_owned();
    let width = data.features.columns();
    for i in 0..data.target.len() {
        let dark = !(6..18).contains(&data.features.keys[i].slot_of_day);
        data.features.values[i * width + column] = if dark { 0.0 } else { 500.0 };
        if dark {
            data.target[i] = 0.0;
        }
    }
    let rows = data.target.len();
    let last = data.features.select(&(rows - 24..rows).collect::<Vec<_>>());
    let before = data.features.select(&(rows - 240..rows - 24).collect::<Vec<_>>());
    let model = learn(&Recipe { non_negative: true, ..recipe(Family::Linear) }, &data).unwrap();
    let background = Background::usual(&last, before);
    let explanation = explain(&model, &last, &background, EVALUATIONS).unwrap();
    assert!(gap(&explanation) < 1e-5);
    for row in &explanation.rows {
        let dark = !(6..18).contains(&row.key.slot_of_day);
        assert_eq!(matches!(row.bound, Some((Bound::Night, _))), dark, "{:?}", row.bound);
        assert!(!dark || (row.mean == 0.0 && row.by_group.iter().all(|share| *share == 0.0)));
        assert!(dark || row.reference > 50.0, "a row by day is not compared with nights");
    }
}

#[test]
fn a_row_without_anything_like_it_is_refused_and_work_is_bounded() {
    let (early, last, before) = data(Shape { days: 60, ..Shape::default() }, 14);
    let model = learn(&recipe(Family::SeasonalNaive), &early).unwrap();
    let nothing = Background::usual(&last, before.select(&[]));
    assert!(matches!(explain(&model, &last, &nothing, EVALUATIONS), Err(ModelError::Numeric { .. })));
    let background = Background::usual(&last, before);
    let few = explain(&model, &last, &background, 1).unwrap();
    assert!(gap(&few) < 1e-5, "one reference a row is the least there can be");
    let one = FeatureMatrix { keys: last.keys[..1].to_vec(), ..last.select(&[0]) };
    let shared = explain(&model, &last, &Background::same_times(&last, one), EVALUATIONS).unwrap();
    assert_eq!(shared.rows.iter().map(|row| row.key).collect::<Vec<_>>(), last.keys[..1]);
    let first = explain(&model, &last, &background.only(0..3), EVALUATIONS).unwrap();
    assert_eq!(first.rows.iter().map(|row| row.key).collect::<Vec<_>>(), last.keys[..3]);
}
