//! The nouns of energy forecasting and their invariants; no IO, no clock, no maths library.
//!
//! Every instant is UTC ([`Time`]); civil time exists only in [`civil`] and [`calendar`].

pub mod access;
pub mod calendar;
pub mod choice;
pub mod civil;
pub mod forecast;
pub mod grid;
pub mod observation;
pub mod recipe;
pub mod series;
pub mod time;
pub mod version;

pub use access::{Reach, Scope};
pub use choice::{Choice, Inputs, Penalty, Transform, TreeExtra};
pub use civil::{CivilTime, Zone};
pub use forecast::{Forecast, ForecastPoint, QuantileLevels};
pub use grid::{Horizon, Resolution, TimeGrid};
pub use observation::Observation;
pub use recipe::{Covariate, Family, Recipe};
pub use series::{Location, Series, SeriesKind, SeriesName};
pub use time::Time;
pub use version::{Alias, ModelVersion, VersionId};
