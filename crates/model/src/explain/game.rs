//! Games of few players, told by asking coalitions: all of them, or those of some orders of joining.
//!
//! With few players all coalitions are asked and the values are exact (Shapley, 1953); with many, some orders of
//! joining are drawn and every other is the reverse of the one before (Mitchell et al., 2022), which still adds up.

/// With more players than this, coalitions are drawn instead of asked all: 4096 answers at once are enough.
const EXACT_PLAYERS_MAX: usize = 12;
/// Orders of joining, at most.
const ORDERS_MAX: usize = 32;

/// Whether each player takes part.
pub(super) type Coalition = Vec<bool>;

/// Which coalitions to ask, and what their values say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Game {
    players: usize,
    /// Orders drawn; empty when all coalitions are asked.
    orders: Vec<Vec<usize>>,
}

impl Game {
    /// The most that about `budget` answers can tell of a game.
    pub fn new(players: usize, budget: usize, seed: u64) -> Self {
        if players <= EXACT_PLAYERS_MAX && 1 << players <= budget.max(1) {
            return Self { players, orders: Vec::new() };
        }
        let count = (budget / (players + 1)).clamp(1, ORDERS_MAX);
        Self { players, orders: orders(players, count, seed) }
    }

    /// How many orders were drawn; `None` when all coalitions are asked.
    pub fn drawn(&self) -> Option<usize> {
        (!self.orders.is_empty()).then_some(self.orders.len())
    }

    /// The coalitions to ask, the empty one first: which players take part.
    pub fn coalitions(&self) -> Vec<Coalition> {
        if self.orders.is_empty() {
            let members = |number: usize| (0..self.players).map(|i| number >> i & 1 == 1).collect();
            return (0..1_usize << self.players).map(members).collect();
        }
        self.orders.iter().flat_map(|order| chain(order)).collect()
    }

    /// One share a player from the values of [`Game::coalitions`].
    pub fn shares(&self, values: &[f64]) -> Vec<f64> {
        if self.orders.is_empty() {
            return exact(values, self.players);
        }
        let mut shares = vec![0.0; self.players];
        for (order, values) in self.orders.iter().zip(values.chunks_exact(self.players + 1)) {
            for (step, &player) in order.iter().enumerate() {
                shares[player] += (values[step + 1] - values[step]) / self.orders.len() as f64;
            }
        }
        shares
    }
}

/// Shapley values from the values of all coalitions, by the definition.
fn exact(values: &[f64], players: usize) -> Vec<f64> {
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
fn chain(order: &[usize]) -> Vec<Coalition> {
    let mut coalition = vec![false; order.len()];
    let mut coalitions = vec![coalition.clone()];
    for &player in order {
        coalition[player] = true;
        coalitions.push(coalition.clone());
    }
    coalitions
}

/// Orders of joining, every second one the reverse of the one before; the same for the same seed.
fn orders(players: usize, count: usize, seed: u64) -> Vec<Vec<usize>> {
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
    fn what_a_budget_allows_is_asked_and_nobody_is_left_out() {
        let game = Game::new(3, 8, 0);
        assert_eq!((game.drawn(), game.coalitions().len()), (None, 8));
        let game = Game::new(3, 7, 0);
        assert_eq!((game.drawn(), game.coalitions().len()), (Some(1), 4));
        // More players than a machine word has bits: worth by head count, alike for all.
        let game = Game::new(100, 500, 0);
        let coalitions = game.coalitions();
        let heads: Vec<f64> =
            coalitions.iter().map(|c| c.iter().filter(|member| **member).count() as f64).collect();
        assert_eq!((game.drawn(), heads.len()), (Some(4), 404));
        assert!(game.shares(&heads).iter().all(|share| (share - 1.0).abs() < 1e-12));
        assert_eq!(Game::new(0, 0, 0).shares(&[3.0]), Vec::<f64>::new());
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
        let (no, yes) = (false, true);
        assert_eq!(chain(&[2, 0, 1]), [[no, no, no], [no, no, yes], [yes, no, yes], [yes, yes, yes]]);
        assert_eq!(orders(5, 7, 3), drawn, "the same seed, the same orders");
    }
}
