//! The models everything else must beat, and the last rungs of the fallback ladder.

pub mod season_steps;
mod seasonal_empirical;
mod seasonal_naive;

pub use seasonal_empirical::{SeasonalEmpirical, SeasonalEmpiricalModel};
pub(crate) use seasonal_naive::LADDER;
pub use seasonal_naive::{SeasonalNaive, SeasonalNaiveModel};
