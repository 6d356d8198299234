//! Persistence behind one contract: a trait per noun, and backends that pass the same suite.

pub mod artifacts;
#[cfg(test)]
pub mod contract;
pub mod error;
mod given;
pub mod postgres;
pub mod rows;
pub mod sqlite;
pub mod traits;

pub use error::{Error, Result};
pub use postgres::{Postgres, PostgresOptions};
pub use rows::{
    AliasMove, ForecastQuery, IssuedPoint, JobRecord, JobState, NewVersion, ObservationRange, QualityRecord,
    SeriesState, WriteOutcome,
};
pub use sqlite::{Sqlite, SqliteOptions};
pub use traits::{ForecastStore, JobStore, ObservationStore, QualityStore, SeriesStore, VersionStore};

/// The backend the service is built on.
pub type Backend = Sqlite;
