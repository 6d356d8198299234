//! Shapley values of groups of features for any model: it is only asked, never opened.
//!
//! Every coalition of groups takes its features from the row and the others from the reference. With few groups all
//! coalitions are asked and the values are exact (Shapley, 1953); with many, some orders of joining are drawn and
//! every other is the reverse of the one before (Mitchell et al., 2022), which still adds up.

use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict};

use super::member::{Shares, Task};

/// With more groups than this, coalitions are drawn instead of asked all: 4096 rows at once are enough.
const EXACT_GROUPS_MAX: usize = 12;
/// Orders of joining per pair of row and reference, at most.
const ORDERS_MAX: usize = 32;

/// Contributions by group, for a model of which nothing else is known.
pub(super) fn attribute(model: &impl Predict, task: &Task<'_>) -> Result<Shares, ModelError> {
    let mut shares = Shares::new(task);
    let budget = task.evaluations_max / task.pairs().max(1);
    for row in 0..task.rows.rows() {
        let references = &task.references[row];
        for (n, &reference) in references.iter().enumerate() {
            let pair = Pair { task, row, reference, active: active(task, row, reference) };
            let found = pair.shares(model, budget, n as u64)?;
            for (&group, share) in pair.active.iter().zip(found) {
                *shares.group_mut(row, group) += share / references.len() as f64;
            }
        }
    }
    Ok(shares)
}

/// Groups in which the two rows differ: the others contribute nothing.
fn active(task: &Task<'_>, row: usize, reference: usize) -> Vec<usize> {
    let (a, b) = (task.rows.row(row), task.background.row(reference));
    let differs = |c: usize| a[c].to_bits() != b[c].to_bits() && !(a[c].is_nan() && b[c].is_nan());
    (0..task.grouping.groups.len())
        .filter(|&g| (0..a.len()).any(|c| task.grouping.of_column[c] == g && differs(c)))
        .collect()
}

struct Pair<'a> {
    task: &'a Task<'a>,
    row: usize,
    reference: usize,
    active: Vec<usize>,
}

impl Pair<'_> {
    /// One share per active group.
    fn shares(&self, model: &impl Predict, budget: usize, seed: u64) -> Result<Vec<f64>, ModelError> {
        let players = self.active.len();
        if players == 0 {
            return Ok(Vec::new());
        }
        if players <= EXACT_GROUPS_MAX && 1 << players <= budget {
            let every: Vec<u64> = (0..1_u64 << players).collect();
            return Ok(exact(&self.ask(model, &every)?, players));
        }
        let orders = orders(players, (budget / (players + 1)).clamp(1, ORDERS_MAX), seed);
        let coalitions: Vec<u64> = orders.iter().flat_map(|order| chain(order)).collect();
        let values = self.ask(model, &coalitions)?;
        let mut shares = vec![0.0; players];
        for (order, values) in orders.iter().zip(values.chunks_exact(players + 1)) {
            for (step, &player) in order.iter().enumerate() {
                shares[player] += (values[step + 1] - values[step]) / orders.len() as f64;
            }
        }
        Ok(shares)
    }

    /// The expected value of every coalition: bit `i` says that the `i`-th active group is the row's.
    fn ask(&self, model: &impl Predict, coalitions: &[u64]) -> Result<Vec<f64>, ModelError> {
        let (row, reference) = (self.task.rows.row(self.row), self.task.background.row(self.reference));
        let bit: Vec<Option<usize>> =
            self.task.grouping.of_column.iter().map(|g| self.active.iter().position(|a| a == g)).collect();
        let mut values = Vec::with_capacity(coalitions.len() * row.len());
        for coalition in coalitions {
            let of_row = |c: usize| bit[c].is_some_and(|bit| coalition >> bit & 1 == 1);
            values.extend((0..row.len()).map(|c| if of_row(c) { row[c] } else { reference[c] }));
        }
        let matrix = FeatureMatrix {
            names: self.task.rows.names.clone(),
            keys: vec![self.task.rows.keys[self.row]; coalitions.len()],
            values,
        };
        Ok(model.predict(&matrix)?.mean.into_iter().map(f64::from).collect())
    }
}

/// Shapley values from the values of all coalitions, by the definition.
pub(super) fn exact(values: &[f64], players: usize) -> Vec<f64> {
    // |S|! (n - |S| - 1)! / n! = 1 / (n * binomial(n - 1, |S|))
    let mut weights = vec![1.0 / players as f64; players];
    for size in 1..players {
        weights[size] = weights[size - 1] * size as f64 / (players - size) as f64;
    }
    let share = |player: usize| {
        let without = (0..values.len()).filter(|coalition| coalition >> player & 1 == 0);
        without.map(|s| weights[s.count_ones() as usize] * (values[s | 1 << player] - values[s])).sum()
    };
    (0..players).map(share).collect()
}

/// The coalitions of an order, from none to all.
pub(super) fn chain(order: &[usize]) -> Vec<u64> {
    let mut coalition = 0;
    std::iter::once(0)
        .chain(order.iter().map(|player| {
            coalition |= 1 << player;
            coalition
        }))
        .collect()
}

/// Orders of joining, every second one the reverse of the one before; the same for the same seed.
pub(super) fn orders(players: usize, count: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let mut below = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut drawn: Vec<Vec<usize>> = Vec::with_capacity(count);
    while drawn.len() < count {
        let reverse =
            drawn.last().filter(|_| drawn.len() % 2 == 1).map(|o| o.iter().rev().copied().collect());
        drawn.push(reverse.unwrap_or_else(|| {
            let mut order: Vec<usize> = (0..players).collect();
            (1..players).rev().for_each(|i| order.swap(i, below(i + 1)));
            order
        }));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_values_of_games_known_by_heart() {
        // Gloves: player 0 has a left one, 1 and 2 a right one each; a pair is worth 1.
        let gloves: Vec<f64> = (0..8).map(|s| f64::from(u8::from(s & 1 == 1 && s & 6 != 0))).collect();
        let shares = exact(&gloves, 3);
        for (share, expected) in shares.iter().zip([4.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0]) {
            assert!((share - expected).abs() < 1e-12, "{shares:?}");
        }
        assert_eq!(exact(&[1.0, 5.0], 1), [4.0]);
    }

    #[test]
    fn orders_come_with_their_reverse_and_hold_everyone() {
        let drawn = orders(5, 7, 3);
        assert_eq!(drawn.len(), 7);
        for pair in drawn.chunks_exact(2) {
            assert!(pair[0].iter().eq(pair[1].iter().rev()));
        }
        for order in &drawn {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert_eq!(chain(&[2, 0, 1]), [0, 4, 5, 7]);
        assert_eq!(orders(5, 7, 3), drawn, "the same seed, the same orders");
    }
}
