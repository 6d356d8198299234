//! The probabilistic layer: several ways to foretell quantiles, raced against one another by level.
//!
//! | way | what it says |
//! |---|---|
//! | past errors | the mixture's own errors in units of disagreement and recent size (`errors`) |
//! | adapted errors | the same at levels that move until they cover what they should (`adaptive`) |
//! | plain errors | the mixture's own errors as they were: historical simulation |
//! | regression | quantile regression averaging over the members (`averaging`) |
//! | members | every member with quantiles of its own past errors, mixed by CRPS learning (`crps`) |
//!
//! The ways are experts too: CRPS learning mixes them level by level.

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::adaptive::Adaptive;
use super::averaging::Averaging;
use super::crps::{Crps, GRID};
use super::errors::{Errors, Fan, Outlook, normal_quantile};

/// The ways, in the order of their weights.
pub const WAYS: [&str; 5] = ["past errors", "adapted errors", "plain errors", "regression", "members"];
/// What each is trusted with at first.
const TRUST: [f64; 5] = [0.3, 0.35, 0.05, 0.1, 0.2];

/// All that is learned about quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fans {
    errors: Errors,
    adaptive: Adaptive,
    averaging: Averaging,
    /// The errors of every member.
    own: Vec<Errors>,
    members: Crps,
    race: Crps,
}

/// What is said about a day.
#[derive(Debug, Clone)]
pub struct FanSaid {
    /// Of the mixture: its corrected level and its unit.
    pub outlook: Outlook,
    /// The errors of the mixture at every output, as they were known.
    fans: Vec<Fan>,
    own: Vec<Outlook>,
    /// Quantiles by member, `outputs x grid` each.
    by_member: Vec<Array2<f32>>,
    /// Quantiles by way.
    by_way: Vec<Array2<f32>>,
    /// The mixture of the ways, `outputs x grid`, rising.
    quantiles: Array2<f32>,
}

impl Fans {
    /// Of so many members' answers to so many outputs.
    #[must_use]
    pub fn new(members: usize, outputs: usize) -> Self {
        Self {
            errors: Errors::new(outputs),
            adaptive: Adaptive::new(outputs, &GRID),
            averaging: Averaging::new(members, outputs),
            own: vec![Errors::new(outputs); members],
            members: Crps::new(&vec![1.0; members], outputs),
            race: Crps::new(&TRUST, outputs),
        }
    }

    /// The day ahead, from the mixture, the members (`members x outputs`) and their disagreement at every output.
    #[must_use]
    pub fn answer(&self, mixture: &[f32], members: &Array2<f32>, spread: &[f32]) -> FanSaid {
        let outlook = self.errors.outlook(mixture, spread);
        let own: Vec<Outlook> =
            self.own.iter().zip(members.rows()).map(|(e, row)| e.outlook(&row.to_vec(), spread)).collect();
        // Sorting past errors is most of the work of a day.
        let fans: Vec<Fan> = (0..mixture.len()).into_par_iter().map(|h| self.errors.fan(h)).collect();
        let of_member =
            |(errors, outlook): (&Errors, &Outlook)| around(outlook, |h| errors.fan(h).quantiles(&GRID));
        let by_member: Vec<Array2<f32>> = self.own.par_iter().zip(&own).map(of_member).collect();
        let past = around(&outlook, |h| fans[h].quantiles(&GRID));
        let adapted = around(&outlook, |h| fans[h].quantiles(&self.adaptive.at(h)));
        let bare = Outlook { level: mixture.to_vec(), unit: vec![1.0; mixture.len()] };
        let plain = around(&bare, |h| self.errors.plain_fan(h).quantiles(&GRID));
        let regression = self.averaging.quantiles(members, &outlook).unwrap_or_else(|| past.clone());
        let mixed = self.members.combine(&by_member);
        let by_way = vec![past, adapted, plain, regression, mixed];
        let quantiles = self.race.combine(&by_way);
        FanSaid { outlook, fans, own, by_member, by_way, quantiles }
    }

    /// Learns from what happened on a day; NaN where that is unknown.
    pub fn learn(
        &mut self,
        mixture: &[f32],
        members: &Array2<f32>,
        spread: &[f32],
        said: &FanSaid,
        actual: &[f32],
    ) {
        let outlook = &said.outlook;
        for (h, actual) in actual.iter().enumerate() {
            let error = (actual - outlook.level[h]) / outlook.unit[h];
            if let Some(share) = said.fans[h].share(error) {
                self.adaptive.learn(h, share);
            }
        }
        self.race.learn(&said.by_way, &said.quantiles, actual);
        self.members.learn(&said.by_member, &said.by_way[WAYS.len() - 1], actual);
        self.averaging.learn(members, outlook, actual);
        for ((errors, row), outlook) in self.own.iter_mut().zip(members.rows()).zip(&said.own) {
            errors.learn(&row.to_vec(), spread, outlook, actual);
        }
        self.errors.learn(mixture, spread, outlook, actual);
    }

    /// The weights of the ways and of the members among themselves, averaged over the day and the levels.
    #[must_use]
    pub fn weights(&self) -> (Vec<f64>, Vec<f64>) {
        (self.race.weights(), self.members.weights())
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, members: usize, outputs: usize) -> bool {
        self.errors.is_sound(outputs)
            && self.adaptive.is_sound(outputs, GRID.len())
            && self.averaging.is_sound(members, outputs)
            && self.own.len() == members
            && self.own.iter().all(|errors| errors.is_sound(outputs))
            && self.members.is_sound(members, outputs)
            && self.race.is_sound(WAYS.len(), outputs)
    }
}

impl FanSaid {
    /// Quantiles at any levels, row-major, one row of rising values per output: between those of the grid by the
    /// normal distribution's scale, beyond them along it.
    #[must_use]
    pub fn at(&self, levels: &[f64]) -> Vec<f32> {
        let places: Vec<(usize, f32)> = levels.iter().map(|&level| between(level)).collect();
        let of_output = |h: usize| {
            let row = self.quantiles.row(h);
            places.iter().map(move |&(i, share)| row[i] + share * (row[i + 1] - row[i])).collect::<Vec<_>>()
        };
        (0..self.quantiles.nrows()).flat_map(of_output).collect()
    }
}

/// The step of the grid that a level belongs to and how much of it lies below; negative or above 1 beyond the grid.
fn between(level: f64) -> (usize, f32) {
    let above = GRID.partition_point(|g| *g < level).clamp(1, GRID.len() - 1);
    let (low, high) = (normal_quantile(GRID[above - 1]), normal_quantile(GRID[above]));
    (above - 1, ((normal_quantile(level) - low) / (high - low)) as f32)
}

/// Levels with quantiles in units around them, `outputs x grid`.
fn around(outlook: &Outlook, quantiles: impl Fn(usize) -> Vec<f32>) -> Array2<f32> {
    let mut all = Array2::zeros((outlook.level.len(), GRID.len()));
    for (h, mut row) in all.rows_mut().into_iter().enumerate() {
        let pairs = row.iter_mut().zip(quantiles(h));
        pairs.for_each(|(to, q)| *to = outlook.level[h] + outlook.unit[h] * q);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const HOURS: usize = 12;
    const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

    /// Days whose errors are skewed and grow with the disagreement; the last `scored` days are told to `tell`.
    fn roll(days: usize, mut tell: impl FnMut(usize, &FanSaid, &[f32])) -> Fans {
        let (mut fans, mut random) = (Fans::new(2, HOURS), Random::new(3, 0));
        for day in 0..days {
            let size = 0.5 + 2.0 * random.uniform() as f32;
            let members =
                Array2::from_shape_fn((2, HOURS), |(m, _)| if m == 0 { 20.0 + size } else { 20.0 - size });
            let (mixture, spread) = ([20.0; HOURS], [size; HOURS]);
            let error = |_| 20.0 + size * ((0.5 * random.normal()).exp() as f32 - 1.0);
            let actual: Vec<f32> = (0..HOURS).map(error).collect();
            let said = fans.answer(&mixture, &members, &spread);
            tell(day, &said, &actual);
            fans.learn(&mixture, &members, &spread, &said, &actual);
        }
        fans
    }

    #[test]
    fn the_race_covers_what_it_says_and_is_about_as_sharp_as_the_best_way() {
        let (mut below, mut all) = ([0.0; LEVELS.len()], 0.0);
        let mut losses = [0.0; WAYS.len() + 1];
        let fans = roll(500, |day, said, actual| {
            if day < 200 {
                return;
            }
            let quantiles = said.at(&LEVELS);
            for (row, actual) in quantiles.chunks_exact(LEVELS.len()).zip(actual) {
                assert!(row.is_sorted());
                below.iter_mut().zip(row).for_each(|(b, q)| *b += f64::from(u8::from(actual <= q)));
                all += 1.0;
            }
            let ways = said.by_way.iter().chain([&said.quantiles]);
            for (loss, way) in losses.iter_mut().zip(ways) {
                for ((h, l), q) in way.indexed_iter() {
                    *loss += crate::metrics::pinball(GRID[l], f64::from(*q), f64::from(actual[h]));
                }
            }
        });
        for (below, level) in below.iter().zip(LEVELS) {
            assert!((below / all - level).abs() < 0.03, "{} at {level}", below / all);
        }
        let best = losses[..WAYS.len()].iter().copied().fold(f64::INFINITY, f64::min);
        assert!(losses[WAYS.len()] < 1.02 * best, "{losses:?}");
        let (ways, members) = fans.weights();
        assert!((ways.iter().sum::<f64>() - 1.0).abs() < 1e-9 && members.len() == 2, "{ways:?}");
        assert!(fans.is_sound(2, HOURS) && !fans.is_sound(1, HOURS));
    }

    #[test]
    fn levels_off_the_grid_lie_between_and_beyond_it() {
        roll(3, |_, said, _| {
            let quantiles = said.at(&[0.001, 0.01, 0.33, 0.5, 0.995]);
            let row = said.quantiles.row(0);
            assert_eq!((quantiles[1], quantiles[3]), (row[0], row[8]));
            assert!(quantiles[..5].is_sorted() && row[6] < quantiles[2] && quantiles[2] < row[7]);
            assert!(quantiles[0] < row[0] && quantiles[4] > row[16]);
        });
    }

    #[test]
    fn a_member_without_numbers_leaves_quantiles_to_the_rest() {
        let mut fans = roll(80, |_, _, _| {});
        let members = Array2::from_shape_fn((2, HOURS), |(m, _)| if m == 0 { 20.5 } else { f32::NAN });
        for _ in 0..3 {
            let said = fans.answer(&[20.0; HOURS], &members, &[0.5; HOURS]);
            assert!(said.at(&LEVELS).iter().all(|q| q.is_finite()), "{:?}", said.quantiles);
            fans.learn(&[20.0; HOURS], &members, &[0.5; HOURS], &said, &[21.0; HOURS]);
        }
        assert!(fans.is_sound(2, HOURS));
    }
}
