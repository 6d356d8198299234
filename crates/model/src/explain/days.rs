//! Mixtures of whole days: groups of inputs switch for all rows of a forecast start at once.
//!
//! Such a model reads the whole course of a day, so a coalition of groups is a day of its own: its groups are those of
//! the explained day, the others those of one reference day. One answer tells of all lead times together.

use std::ops::Range;

use rayon::prelude::*;

use super::game::Game;
use super::grouped::differing;
use super::member::{Shares, Task};
use super::reference_values;
use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict};

/// A row of a whole day costs about as much as so many rows of a model of rows: Gaussian processes and networks read
/// the course of the day, and a day of 24 rows takes 5 to 20 ms.
const EVALUATIONS_PER_ROW: usize = 64;
/// Orders of joining that are drawn at the least: one and its reverse.
const ORDERS_MIN: usize = 2;

/// How contributions to a day were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Asked {
    /// Groups that differ from the reference.
    pub groups: usize,
    /// Coalitions asked.
    pub coalitions: usize,
    /// Orders of joining drawn; `None` when all coalitions were asked.
    pub orders: Option<usize>,
}

/// The usual day: every row with the means of its references, and about what the explained row is about.
pub(super) fn mean_day(
    rows: &FeatureMatrix,
    background: &FeatureMatrix,
    references: &[Vec<usize>],
) -> FeatureMatrix {
    let of_row = |(i, of_row): (usize, &Vec<usize>)| {
        if of_row.is_empty() { rows.row(i).to_vec() } else { reference_values(background, of_row) }
    };
    let values = references.iter().enumerate().flat_map(of_row).collect();
    FeatureMatrix { names: rows.names.clone(), keys: rows.keys.clone(), values, windows: None }
}

/// Contributions by group to every row of every forecast start, and how those of the largest game were found.
///
/// The first reference of a row is its reference. What changes when the reference day is asked as the explained one
/// (other lead times, other rows beside) counts as calendar, so that the answer for the reference and the
/// contributions add up to the answer.
///
/// # Errors
/// As [`Predict::predict`].
pub(super) fn attribute(
    model: &(impl Predict + Sync),
    task: &Task<'_>,
) -> Result<(Shares, Asked), ModelError> {
    let mut shares = Shares::new(task);
    let references = model.predict(task.background)?.mean;
    let mut largest = Asked::default();
    let starts = starts(task.rows);
    for rows in &starts {
        let day = Day::new(task, rows.clone());
        let budget = task.evaluations_max / (EVALUATIONS_PER_ROW * task.rows.rows().max(1));
        let players = day.active.len();
        let game = Game::new(players, budget.max(ORDERS_MIN * (players + 1)), 0);
        let coalitions = game.coalitions();
        let values: Vec<Vec<f32>> = coalitions
            .par_iter()
            .map(|c| Ok(model.predict(&day.mixed(c))?.mean))
            .collect::<Result<_, _>>()?;
        if coalitions.len() >= largest.coalitions {
            largest = Asked { groups: players, coalitions: coalitions.len(), orders: game.drawn() };
        }
        for (lead, row) in rows.clone().enumerate() {
            let Some(&reference) = task.of(row).first() else { continue };
            let worth: Vec<f64> = values.iter().map(|of_day| f64::from(of_day[lead])).collect();
            for (&group, share) in day.active.iter().zip(game.shares(&worth)) {
                *shares.group_mut(row, group) += share;
            }
            *shares.group_mut(row, task.grouping.calendar) += worth[0] - f64::from(references[reference]);
        }
    }
    Ok((shares, largest))
}

/// The rows of every forecast start.
fn starts(rows: &FeatureMatrix) -> Vec<Range<usize>> {
    let mut next = 0;
    let chunks = rows.keys.chunk_by(|a, b| a.origin == b.origin);
    chunks
        .map(|keys| {
            let first = next;
            next += keys.len();
            first..next
        })
        .collect()
}

/// A forecast start and its reference day.
struct Day<'a> {
    task: &'a Task<'a>,
    rows: Range<usize>,
    /// Every row and its reference. A row without one stays as it is: nothing of it changed.
    pairs: Vec<(&'a [f32], &'a [f32])>,
    /// Groups that differ anywhere in the day.
    active: Vec<usize>,
}

impl<'a> Day<'a> {
    fn new(task: &'a Task<'a>, rows: Range<usize>) -> Self {
        let pair = |row: usize| {
            let own = task.rows.row(row);
            // Nights take part too: what is known of them says something of the day.
            (own, task.references[row].first().map_or(own, |&r| task.background.row(r)))
        };
        let pairs: Vec<_> = rows.clone().map(pair).collect();
        let active = differing(task.grouping, &pairs);
        Self { task, rows, pairs, active }
    }

    /// The day with the groups of a coalition, and the others as in the reference day.
    fn mixed(&self, coalition: &[bool]) -> FeatureMatrix {
        let grouping = self.task.grouping;
        let takes_part = |group: &usize| {
            self.active.iter().position(|active| active == group).is_some_and(|place| coalition[place])
        };
        let own: Vec<bool> = grouping.of_column.iter().map(takes_part).collect();
        let mixed = |(row, reference): &(&'a [f32], &'a [f32])| {
            let cell = |c: usize| if own[c] { row[c] } else { reference[c] };
            (0..own.len()).map(cell).collect::<Vec<f32>>()
        };
        FeatureMatrix {
            names: self.task.rows.names.clone(),
            keys: self.task.rows.keys[self.rows.clone()].to_vec(),
            values: self.pairs.iter().flat_map(mixed).collect(),
            windows: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{Choice, Family, Horizon, QuantileLevels, Recipe, Resolution};

    use super::*;
    use crate::explain::{Background, Explanation, Grouping, Method, explain};
    use crate::learn::{FittedModel, Model, learn};
    use crate::matrix::TrainingSet;
    use crate::predict::Predictions;
    use crate::synthetic::{self, Shape};

    const EVALUATIONS: usize = 200_000;

    /// Answers every row with the product of two sums over its day, and refuses anything but one whole day.
    struct Product;

    impl Predict for Product {
        fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
            assert_eq!(features.rows(), 3, "a day is asked whole");
            let sum = |c: usize| (0..features.rows()).map(|i| features.row(i)[c]).sum::<f32>();
            let mean = vec![sum(0) * sum(1); features.rows()];
            Ok(Predictions { quantiles: mean.clone(), mean, levels: 1 })
        }
    }

    fn three_rows(values: [f32; 6]) -> FeatureMatrix {
        let keys = synthetic::training(Shape { days: 1, horizon: 3, ..Shape::default() }).features.keys;
        let names = ["cov:wind", "lag_day_1"].map(str::to_owned).to_vec();
        FeatureMatrix { names, keys, values: values.to_vec(), windows: None }
    }

    #[test]
    fn groups_switch_for_all_rows_of_a_start_at_once() {
        let (rows, reference) =
            (three_rows([2.0, 1.0, 3.0, 1.0, 5.0, 2.0]), three_rows([1.0, 1.0, 1.0, 0.0, 2.0, 0.0]));
        let grouping = Grouping::new(&rows.names);
        let place = |id: &str| grouping.groups.iter().position(|group| group.id == id).unwrap();
        // Two orders of two groups are more than all their coalitions, so the answer is exact in any case.
        for evaluations_max in [EVALUATIONS, 1] {
            let task = Task {
                rows: &rows,
                background: &reference,
                references: (0..3).map(|row| vec![row]).collect(),
                dark: vec![false, true, false],
                grouping: &grouping,
                evaluations_max,
            };
            let (shares, asked) = attribute(&Product, &task).unwrap();
            assert_eq!(asked, Asked { groups: 2, coalitions: 4, orders: None });
            // From 4 x 1 to 10 x 4: half of what a sum adds beside the other's old value and half beside the new.
            for row in [0, 2] {
                let undivided = shares.row(row).1;
                assert_eq!(undivided[place("covariate:wind")], 6.0 * 2.5);
                assert_eq!(undivided[place("own_past")], 3.0 * 7.0);
            }
            assert!(shares.row(1).1.iter().all(|share| *share == 0.0), "a night needs no explanation");
        }
    }

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

    /// Forecast starts of every hour whose temperature whole days read, and a model of the daily ones.
    fn taught(family: Family) -> (TrainingSet, FittedModel) {
        let mut all = synthetic::training(Shape { days: 70, every: 1, ..Shape::default() });
        *all.features.names.last_mut().unwrap() = "cov:temperature:day_before".to_owned();
        let end = all.features.keys.last().unwrap().origin;
        let keys = &all.features.keys;
        // As the last start, but earlier: 23 o'clock.
        let daily =
            all.filter(|i| keys[i].origin < end && keys[i].slot_of_day == ((23 + keys[i].lead) % 24) as u16);
        let model = learn(&recipe(family), &daily).unwrap();
        assert!(matches!(model.model(), Model::Days(_)));
        (all, model)
    }

    /// The rows of the start so many hours before the last.
    fn start(all: &TrainingSet, back: usize) -> FeatureMatrix {
        let first = all.features.rows() - 24 * (back + 1);
        all.features.select(&(first..first + 24).collect::<Vec<_>>())
    }

    /// The greatest distance of reference + contributions from the mean, nothing of it put down to what came after.
    fn gap(explanation: &Explanation) -> f64 {
        let of_row = |row: &crate::explain::RowExplanation| {
            assert_eq!(row.bound, None, "neither bounds nor nights are here");
            (row.reference + row.by_group.iter().sum::<f64>() - row.mean).abs() / (1.0 + row.mean.abs())
        };
        explanation.rows.iter().map(of_row).fold(0.0, f64::max)
    }

    #[test]
    fn contributions_to_whole_days_add_up_on_any_number_of_threads() {
        for family in [Family::Lear, Family::Ensemble] {
            let (all, model) = taught(family);
            let last = start(&all, 0);
            let before = (1..=10).rev().map(|day| start(&all, 24 * day));
            let mut usual =
                FeatureMatrix { names: last.names.clone(), keys: vec![], values: vec![], windows: None };
            before.for_each(|day| {
                usual.keys.extend(day.keys);
                usual.values.extend(day.values);
            });
            let background = Background::usual(&last, usual);
            let work = || explain(&model, &last, &background, EVALUATIONS).unwrap();
            let explanation = synthetic::in_pool(1, work);
            assert!(gap(&explanation) < 1e-5, "{family}: {}", gap(&explanation));
            let told = |e: &Explanation| e.rows.iter().map(|row| row.by_group.clone()).collect::<Vec<_>>();
            assert_eq!(told(&explanation), told(&synthetic::in_pool(4, work)), "{family}");
            assert!(matches!(explanation.method, Method::WholeDays { orders: None, .. }), "{family}");
            let mean = model.predict(&last).unwrap().mean;
            for (row, mean) in explanation.rows.iter().zip(mean) {
                assert_eq!(row.mean, f64::from(mean));
                assert!(row.by_feature.iter().all(|share| *share == 0.0));
                let moved: f64 = row.by_group.iter().map(|share| share.abs()).sum();
                assert!(moved > 1.0, "{family}: {moved}");
            }
            // The reference is the forecast for the mean inputs of the ten days.
            let mean_inputs = explanation.rows.iter().flat_map(|row| row.reference_values.clone()).collect();
            let usual_day = FeatureMatrix { values: mean_inputs, ..last.clone() };
            let foretold = model.predict(&usual_day).unwrap().mean;
            assert!(
                explanation.rows.iter().zip(foretold).all(|(row, said)| row.reference == f64::from(said))
            );
            let column = last.column("cov:temperature").unwrap();
            let by_hand = (1..=10).map(|day| start(&all, 24 * day).row(3)[column]).sum::<f32>() / 10.0;
            assert!((usual_day.row(3)[column] - by_hand).abs() < 1e-4, "{by_hand}");
            // Few answers: orders are drawn, and the sum stays exact.
            let few = explain(&model, &last, &background, 1).unwrap();
            assert!(gap(&few) < 1e-5 && matches!(few.method, Method::WholeDays { orders: Some(2), .. }));
            // A part of the horizon is told as the whole is.
            let part = explain(&model, &last, &background.clone().only(0..5), EVALUATIONS).unwrap();
            assert_eq!(told(&part), told(&explanation)[..5]);
        }
    }

    #[test]
    fn a_changed_covariate_is_named_for_whole_days_and_nothing_else() {
        for family in [Family::Lear, Family::Ensemble] {
            let (all, model) = taught(family);
            let last = start(&all, 0);
            let column = last.column("cov:temperature").unwrap();
            let mut colder = last.clone();
            let width = colder.columns();
            colder.values.chunks_exact_mut(width).for_each(|row| row[column] -= 6.0);
            let foretold = model.predict(&colder).unwrap().mean;
            let background = Background::same_times(&last, colder);
            let explanation = explain(&model, &last, &background, EVALUATIONS).unwrap();
            let groups = &explanation.grouping.groups;
            let temperature = groups.iter().position(|g| g.id == "covariate:temperature").unwrap();
            let mut total = 0.0;
            for (row, foretold) in explanation.rows.iter().zip(foretold) {
                assert_eq!(row.reference, f64::from(foretold));
                total += row.by_group[temperature];
                let others = row.by_group.iter().enumerate().filter(|(g, _)| *g != temperature);
                assert!(others.into_iter().all(|(_, share)| *share == 0.0), "{family}: {:?}", row.by_group);
            }
            assert!(gap(&explanation) < 1e-5);
            assert!(total > 24.0, "{family}: six degrees are worth nine of the load: {total}");
        }
    }

    #[test]
    fn what_changed_since_an_earlier_start_is_told_of_the_times_in_common() {
        let (all, model) = taught(Family::Lear);
        let (last, older) = (start(&all, 0), start(&all, 1));
        let foretold = model.predict(&older).unwrap().mean;
        let mean = model.predict(&last).unwrap().mean;
        let explanation = explain(&model, &last, &Background::same_times(&last, older), EVALUATIONS).unwrap();
        assert_eq!(explanation.rows.len(), 23);
        assert!(gap(&explanation) < 1e-5);
        for (i, row) in explanation.rows.iter().enumerate() {
            assert_eq!((row.mean, row.reference), (f64::from(mean[i]), f64::from(foretold[i + 1])));
        }
    }
}
