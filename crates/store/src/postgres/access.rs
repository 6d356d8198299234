//! Keys and the audit log in PostgreSQL.

use forewatt_domain::{SeriesName, Time};
use sqlx::postgres::{PgArguments, PgRow};

use super::Postgres;
use super::failure::when;
use super::stamp::Stamp;
use crate::columns::{self, to_json};
use crate::given::{key_conflict, no_key, taken_key};
use crate::{AuditEntry, AuditStore, KeyRecord, KeyStore, Result};

macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, sha256, scopes::text, series::text, created_at, expires_at, revoked_at, successor FROM api_key ",
            $rest
        )
    };
}
const BY_ID: &str = select_keys!("WHERE id = $1");
const NEWEST: &str = select_keys!("ORDER BY created_at DESC, id DESC LIMIT $1");
const ADD: &str = "INSERT INTO api_key (id, name, sha256, scopes, series, created_at, expires_at, revoked_at, successor) \
                   VALUES ($1, $2, $3, $4::json, $5::json, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING";
const REVOKE: &str = "UPDATE api_key SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1";
const REPLACE: &str = "UPDATE api_key SET expires_at = least(expires_at, $2), successor = $3 \
                       WHERE id = $1 AND revoked_at IS NULL AND successor IS NULL";
const APPEND: &str = "INSERT INTO audit (at, actor, action, outcome, series, before, after, request_id, count) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const LIST: &str = "SELECT at, actor, action, outcome, series, before, after, request_id, count FROM audit \
                    WHERE at >= $1 ORDER BY at DESC, id DESC LIMIT $2";

impl KeyStore for Postgres {
    async fn add_key(&self, key: &KeyRecord) -> Result<()> {
        let doing = "keeping a key";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let done = insert(key)?.execute(&mut *transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))?;
        if done.rows_affected() == 0 { Err(taken_key(key)) } else { Ok(()) }
    }

    async fn get_key(&self, id: &str) -> Result<Option<KeyRecord>> {
        let doing = "reading a key";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let query = sqlx::query(BY_ID).bind(id).try_map(|row: PgRow| columns::key(&row));
        query.fetch_optional(&mut *reader).await.map_err(when(doing))
    }

    async fn list_keys(&self, limit: u32) -> Result<Vec<KeyRecord>> {
        let doing = "listing keys";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let query = sqlx::query(NEWEST).bind(i64::from(limit)).try_map(|row: PgRow| columns::key(&row));
        query.fetch_all(&mut *reader).await.map_err(when(doing))
    }

    async fn revoke_key(&self, id: &str, at: Time) -> Result<()> {
        let doing = "revoking a key";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let query = sqlx::query(REVOKE).bind(id).bind(Stamp(at));
        let done = query.execute(&mut *transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))?;
        if done.rows_affected() == 0 { Err(no_key(id)) } else { Ok(()) }
    }

    async fn rotate_key(&self, id: &str, ends_at: Time, next: &KeyRecord) -> Result<()> {
        let doing = "replacing a key";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let query = sqlx::query(REPLACE).bind(id).bind(Stamp(ends_at)).bind(&next.id);
        let done = query.execute(&mut *transaction).await.map_err(when(doing))?;
        if done.rows_affected() == 0 {
            let query = sqlx::query(BY_ID).bind(id).fetch_optional(&mut *transaction);
            let known = query.await.map_err(when(doing))?.is_some();
            return Err(if known { key_conflict(id) } else { no_key(id) });
        }
        let added = insert(next)?.execute(&mut *transaction).await.map_err(when(doing))?;
        if added.rows_affected() == 0 {
            return Err(taken_key(next)); // the transaction is rolled back
        }
        transaction.commit().await.map_err(when(doing))
    }
}

impl AuditStore for Postgres {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Result<()> {
        let doing = "writing the audit log";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        for entry in entries {
            sqlx::query(APPEND)
                .bind(Stamp(entry.at))
                .bind(&entry.actor)
                .bind(&entry.action)
                .bind(&entry.outcome)
                .bind(entry.series.as_ref().map(SeriesName::as_str))
                .bind(&entry.before)
                .bind(&entry.after)
                .bind(&entry.request_id)
                .bind(i64::from(entry.count))
                .execute(&mut *transaction)
                .await
                .map_err(when(doing))?;
        }
        transaction.commit().await.map_err(when(doing))
    }

    async fn list_audit(&self, since: Option<Time>, limit: u32) -> Result<Vec<AuditEntry>> {
        let doing = "reading the audit log";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        sqlx::query(LIST)
            .bind(Stamp(since.unwrap_or(Time::MIN)))
            .bind(i64::from(limit))
            .try_map(|row: PgRow| columns::audit_entry(&row))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))
    }
}

fn insert(key: &KeyRecord) -> Result<sqlx::query::Query<'_, sqlx::Postgres, PgArguments>> {
    Ok(sqlx::query(ADD)
        .bind(&key.id)
        .bind(&key.name)
        .bind(&key.sha256)
        .bind(to_json(&key.scopes)?)
        .bind(to_json(&key.series)?)
        .bind(Stamp(key.created_at))
        .bind(key.expires_at.map(Stamp))
        .bind(key.revoked_at.map(Stamp))
        .bind(&key.successor))
}
