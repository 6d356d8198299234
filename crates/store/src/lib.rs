//! Persistence behind one contract: a trait per noun, and backends that pass the same suite.

pub mod access;
pub mod artifacts;
pub mod backend;
mod columns;
#[cfg(test)]
pub mod contract;
pub mod doctor;
pub mod error;
mod given;
pub mod labels;
pub mod migrate;
pub mod outward;
pub mod postgres;
pub mod rows;
pub mod sqlite;
pub mod traits;

pub use access::{AuditEntry, AuditStore, KeyRecord, KeyStore};
pub use backend::Backend;
pub use error::{Error, Result};
pub use labels::{Label, LabelKey, LabelKind, LabelStore};
pub use outward::{DeliveryEnd, DeliveryRecord, SourceRecord, SourceStore, WebhookRecord, WebhookStore};
pub use postgres::{PoolStatus, Postgres, PostgresOptions};
pub use rows::{
    AliasMove, ForecastKey, ForecastQuery, IssuedPoint, JobRecord, JobState, NewVersion, ObservationRange,
    QualityRecord, SeriesState, Upkeep, UpkeepDone, WriteOutcome,
};
pub use sqlite::{Sqlite, SqliteOptions};
pub use traits::{
    ForecastStore, IdentityStore, JobStore, ObservationStore, QualityStore, SeriesStore, UpkeepStore,
    VersionStore,
};
