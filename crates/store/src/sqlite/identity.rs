//! Which store this is, in SQLite.

use super::Sqlite;
use super::failure::when;
use crate::{IdentityStore, Result};

impl IdentityStore for Sqlite {
    async fn identity(&self) -> Result<String> {
        let read = sqlx::query_scalar("SELECT id FROM identity").fetch_one(&self.readers);
        read.await.map_err(when("reading the store's identity"))
    }

    async fn renew_identity(&self) -> Result<()> {
        let doing = "giving the store a new identity";
        let mut transaction = self.begin_write(doing).await?;
        sqlx::query("UPDATE identity SET id = lower(hex(randomblob(16)))")
            .execute(&mut *transaction)
            .await
            .map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }
}
