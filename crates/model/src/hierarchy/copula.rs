//! Which values come together: the empirical copula of past errors, by their ranks.

use super::Errors;

/// Samples drawn at least; fewer past errors are used several times, each time elsewhere within its rank.
const SAMPLES_MIN: usize = 200;
/// Samples drawn at most; of more past errors some are chosen by the seed.
const SAMPLES_MAX: usize = 500;

/// Levels of joint samples: one row a sample, one column a node. Every node's levels are spread evenly over 0 to 1,
/// so each keeps its own distribution, and a row has the ranks that its past errors had together.
#[derive(Debug, Clone, PartialEq)]
pub struct Copula {
    nodes: usize,
    levels: Vec<f64>,
}

impl Copula {
    /// The dependence of past errors (the Schaake shuffle of Clark et al., J. Hydrometeorology 5 (2004) 243-262,
    /// with errors in place of observations, as Jeon, Panagiotelis and Petropoulos, EJOR 279 (2019), reconcile).
    ///
    /// Equal errors are ranked by the seed. Without errors the nodes are independent.
    #[must_use]
    pub fn new(errors: &Errors, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut rows: Vec<usize> = (0..errors.rows()).collect();
        random.shuffle(&mut rows);
        rows.truncate(SAMPLES_MAX);
        if rows.is_empty() {
            return Self::independent(errors.nodes(), seed);
        }
        let ranks = (0..errors.nodes()).map(|node| {
            let past: Vec<f64> = rows.iter().map(|&row| errors.at(row, node)).collect();
            ranks(&past, &mut random)
        });
        Self::of_ranks(&ranks.collect::<Vec<_>>())
    }

    /// Nodes that know nothing of each other.
    #[must_use]
    pub fn independent(nodes: usize, seed: u64) -> Self {
        let mut random = Random(seed);
        let shuffled = (0..nodes).map(|_| {
            let mut ranks: Vec<usize> = (0..SAMPLES_MIN).collect();
            random.shuffle(&mut ranks);
            ranks
        });
        Self::of_ranks(&shuffled.collect::<Vec<_>>())
    }

    /// How many samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.levels.len() / self.nodes.max(1)
    }

    /// The levels of one sample, one a node, each inside 0 to 1.
    #[must_use]
    pub fn sample(&self, sample: usize) -> &[f64] {
        &self.levels[sample * self.nodes..(sample + 1) * self.nodes]
    }

    /// From every node's ranks, 0 up, one a past row.
    fn of_ranks(ranks: &[Vec<usize>]) -> Self {
        let rows = ranks.first().map_or(0, Vec::len);
        let passes = SAMPLES_MIN.div_ceil(rows.max(1));
        let mut levels = Vec::with_capacity(passes * rows * ranks.len());
        for pass in 0..passes {
            let inside = (pass as f64 + 0.5) / passes as f64;
            for row in 0..rows {
                levels.extend(ranks.iter().map(|ranks| (ranks[row] as f64 + inside) / rows as f64));
            }
        }
        Self { nodes: ranks.len(), levels }
    }
}

/// The rank of every value, 0 up; equal values in random order.
fn ranks(values: &[f64], random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    random.shuffle(&mut order);
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b])); // stable: equal ones stay shuffled
    let mut ranks = vec![0; values.len()];
    order.into_iter().enumerate().for_each(|(rank, place)| ranks[place] = rank);
    ranks
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fisher and Yates.
    fn shuffle(&mut self, items: &mut [usize]) {
        for i in (1..items.len()).rev() {
            let other = (((self.next() >> 32) * (i as u64 + 1)) >> 32) as usize;
            items.swap(i, other);
        }
    }
}
