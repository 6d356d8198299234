//! Persistence behind one contract: a trait per noun, and backends that pass the same suite.

pub mod error;
pub mod rows;
pub mod traits;

pub use error::{Error, Result};
pub use rows::{
    ForecastQuery, IssuedPoint, JobRecord, JobState, NewVersion, ObservationRange, QualityRecord,
    SeriesState, WriteOutcome,
};
pub use traits::{ForecastStore, JobStore, ObservationStore, QualityStore, SeriesStore, VersionStore};
