//! Which store this is, in PostgreSQL.

use super::Postgres;
use super::failure::when;
use crate::{IdentityStore, Result};

impl IdentityStore for Postgres {
    async fn identity(&self) -> Result<String> {
        let doing = "reading the store's identity";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let read = sqlx::query_scalar("SELECT id FROM identity").fetch_one(&mut *reader);
        read.await.map_err(when(doing))
    }

    async fn renew_identity(&self) -> Result<()> {
        let doing = "giving the store a new identity";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        sqlx::query("UPDATE identity SET id = replace(gen_random_uuid()::text, '-', '')")
            .execute(&mut *transaction)
            .await
            .map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }
}
