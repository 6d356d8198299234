//! A look at the store that the configuration names.

use std::path::Path;

pub use forewatt_store::doctor::{Finding, Weight};
use forewatt_store::{Postgres, Sqlite};

use crate::StoreOptions;
use crate::error::Result;

/// Looks at the store without opening, creating or upgrading it.
///
/// # Errors
/// When there is none, or it cannot be reached or read.
pub async fn examine(data_dir: &Path, options: &StoreOptions) -> Result<Vec<Finding>> {
    Ok(match &options.postgres {
        Some(postgres) => Postgres::examine(postgres).await?,
        None => Sqlite::examine(data_dir).await?,
    })
}
