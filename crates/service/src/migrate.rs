//! Moving a whole store to another place or kind.

use std::path::Path;

use forewatt_domain::SeriesName;

pub use forewatt_store::migrate::{Migrated, MigratedSeries};

use crate::error::Result;
use crate::{StoreOptions, open_store, system_now};

/// A store: its data folder and how it is opened.
pub type Place<'a> = (&'a Path, &'a StoreOptions);

/// Copies everything of one store into another and compares it by checksum; begun again it goes on. `progress` gets
/// series done, series in all, and the one at work. Nobody may write to either meanwhile.
///
/// # Errors
/// When a store cannot be opened, the target holds something else, or the copy differs.
pub async fn migrate_store(
    from: Place<'_>,
    to: Place<'_>,
    progress: impl Fn(usize, usize, &SeriesName),
) -> Result<Migrated> {
    let source = open_store(from.0, from.1).await?;
    let target = open_store(to.0, to.1).await?;
    let outcome = forewatt_store::migrate::migrate(&source, &target, system_now(), progress).await;
    source.close().await;
    target.close().await;
    Ok(outcome?)
}
