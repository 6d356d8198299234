//! Sources, receivers and deliveries in SQLite.

use forewatt_domain::Time;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::failure::when;
use crate::Result;
use crate::columns::{self, json, time, to_json};
use crate::outward::{DeliveryEnd, DeliveryRecord, SourceRecord, SourceStore, WebhookRecord, WebhookStore};

const PUT_SOURCE: &str = "INSERT INTO source (name, spec, due_at, failures, last) VALUES (?1, ?2, ?3, ?4, ?5) \
     ON CONFLICT (name) DO UPDATE SET spec = ?2, due_at = ?3, failures = ?4, last = ?5";
const LIST_SOURCES: &str = "SELECT name, spec, due_at, failures, last FROM source ORDER BY name LIMIT ?1";
const TAKE_SOURCE: &str = "UPDATE source SET due_at = ?2 WHERE name = \
     (SELECT name FROM source WHERE due_at <= ?1 ORDER BY due_at, name LIMIT 1) \
     RETURNING name, spec, due_at, failures, last";
const END_SOURCE: &str = "UPDATE source SET due_at = ?2, failures = ?3, last = ?4 WHERE name = ?1";
const PUT_WEBHOOK: &str = "INSERT INTO webhook (id, spec, created_at) VALUES (?1, ?2, ?3) \
     ON CONFLICT (id) DO UPDATE SET spec = ?2, created_at = ?3";
const LIST_WEBHOOKS: &str = "SELECT id, spec, created_at FROM webhook ORDER BY id LIMIT ?1";
const ADD: &str = "INSERT INTO delivery (id, webhook, event, body, created_at, due_at, attempts, dead, error) \
     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE EXISTS (SELECT 1 FROM webhook WHERE id = ?2) \
     AND (?8 OR (SELECT count(*) FROM delivery WHERE dead = 0) < ?10) ON CONFLICT (id) DO NOTHING";
macro_rules! columns {
    () => {
        "id, webhook, event, body, created_at, due_at, attempts, dead, error"
    };
}
const TAKE: &str = concat!(
    "UPDATE delivery SET due_at = ?2, attempts = attempts + 1 WHERE id IN \
     (SELECT id FROM delivery WHERE dead = 0 AND due_at <= ?1 ORDER BY due_at, id LIMIT ?3) RETURNING ",
    columns!()
);
const LIST: &str = concat!("SELECT ", columns!(), " FROM delivery WHERE dead = ?1 ORDER BY id LIMIT ?2");
const DONE: &str = "DELETE FROM delivery WHERE id = ?1";
const AGAIN: &str = "UPDATE delivery SET due_at = ?2, error = ?3 WHERE id = ?1 AND dead = 0";
const BURY: &str = "UPDATE delivery SET dead = 1, error = ?2 WHERE id = ?1";
const MAKE_ROOM: &str = "DELETE FROM delivery WHERE dead = 1 AND id NOT IN \
     (SELECT id FROM delivery WHERE dead = 1 ORDER BY id DESC LIMIT ?1)";
const REPLAY: &str =
    "UPDATE delivery SET dead = 0, attempts = 0, due_at = ?2, error = '' WHERE id = ?1 AND dead = 1";

impl SourceStore for Sqlite {
    async fn put_source(&self, source: &SourceRecord) -> Result<()> {
        sqlx::query(PUT_SOURCE)
            .bind(&source.name)
            .bind(to_json(&source.spec)?)
            .bind(source.due_at.micros())
            .bind(i64::from(source.failures))
            .bind(source.last.as_ref().map(to_json).transpose()?)
            .execute(&self.writer)
            .await
            .map_err(when("keeping a source"))?;
        Ok(())
    }

    async fn list_sources(&self, limit: u32) -> Result<Vec<SourceRecord>> {
        let query = sqlx::query(LIST_SOURCES).bind(i64::from(limit)).try_map(|row| columns::source(&row));
        query.fetch_all(&self.readers).await.map_err(when("listing sources"))
    }

    async fn remove_source(&self, name: &str) -> Result<bool> {
        let query = sqlx::query("DELETE FROM source WHERE name = ?1").bind(name);
        let done = query.execute(&self.writer).await.map_err(when("taking a source away"))?;
        Ok(done.rows_affected() > 0)
    }

    async fn take_due_source(&self, now: Time, until: Time) -> Result<Option<SourceRecord>> {
        let query = sqlx::query(TAKE_SOURCE).bind(now.micros()).bind(until.micros());
        let query = query.try_map(|row| columns::source(&row));
        query.fetch_optional(&self.writer).await.map_err(when("finding a source that is due"))
    }

    async fn end_source_run(
        &self,
        name: &str,
        due_at: Time,
        failures: u32,
        last: &serde_json::Value,
    ) -> Result<()> {
        sqlx::query(END_SOURCE)
            .bind(name)
            .bind(due_at.micros())
            .bind(i64::from(failures))
            .bind(to_json(last)?)
            .execute(&self.writer)
            .await
            .map_err(when("keeping how a source's run ended"))?;
        Ok(())
    }
}

impl WebhookStore for Sqlite {
    async fn put_webhook(&self, webhook: &WebhookRecord) -> Result<()> {
        let query = sqlx::query(PUT_WEBHOOK).bind(&webhook.id).bind(to_json(&webhook.spec)?);
        let query = query.bind(webhook.created_at.micros());
        query.execute(&self.writer).await.map_err(when("keeping a webhook"))?;
        Ok(())
    }

    async fn list_webhooks(&self, limit: u32) -> Result<Vec<WebhookRecord>> {
        let row = |row: SqliteRow| {
            Ok(WebhookRecord { id: row.try_get(0)?, spec: json(&row, 1)?, created_at: time(&row, 2)? })
        };
        let query = sqlx::query(LIST_WEBHOOKS).bind(i64::from(limit)).try_map(row);
        query.fetch_all(&self.readers).await.map_err(when("listing webhooks"))
    }

    async fn remove_webhook(&self, id: &str) -> Result<bool> {
        let query = sqlx::query("DELETE FROM webhook WHERE id = ?1").bind(id);
        let done = query.execute(&self.writer).await.map_err(when("taking a webhook away"))?;
        Ok(done.rows_affected() > 0)
    }

    async fn add_deliveries(&self, deliveries: &[DeliveryRecord], waiting_max: u32) -> Result<u64> {
        let doing = "keeping deliveries";
        let mut transaction = self.begin_write(doing).await?;
        let mut added = 0;
        for delivery in deliveries {
            let query = sqlx::query(ADD)
                .bind(&delivery.id)
                .bind(&delivery.webhook)
                .bind(&delivery.event)
                .bind(&delivery.body)
                .bind(delivery.created_at.micros())
                .bind(delivery.due_at.micros())
                .bind(i64::from(delivery.attempts))
                .bind(delivery.dead)
                .bind(&delivery.error)
                .bind(i64::from(waiting_max));
            added += query.execute(&mut *transaction).await.map_err(when(doing))?.rows_affected();
        }
        transaction.commit().await.map_err(when(doing))?;
        Ok(added)
    }

    async fn take_due_deliveries(&self, now: Time, until: Time, limit: u32) -> Result<Vec<DeliveryRecord>> {
        let query = sqlx::query(TAKE).bind(now.micros()).bind(until.micros()).bind(i64::from(limit));
        let taken = query.try_map(|row| columns::delivery(&row)).fetch_all(&self.writer).await;
        let mut taken = taken.map_err(when("finding deliveries that are due"))?;
        taken.sort_by(|a, b| a.id.cmp(&b.id)); // RETURNING promises no order
        Ok(taken)
    }

    async fn end_delivery(&self, id: &str, end: &DeliveryEnd) -> Result<()> {
        let doing = "keeping how a delivery ended";
        let mut transaction = self.begin_write(doing).await?;
        let query = match end {
            DeliveryEnd::Done => sqlx::query(DONE).bind(id),
            DeliveryEnd::Again { at, error } => sqlx::query(AGAIN).bind(id).bind(at.micros()).bind(error),
            DeliveryEnd::Dead { error, .. } => sqlx::query(BURY).bind(id).bind(error),
        };
        query.execute(&mut *transaction).await.map_err(when(doing))?;
        if let DeliveryEnd::Dead { keep, .. } = end {
            let query = sqlx::query(MAKE_ROOM).bind(i64::from(*keep));
            query.execute(&mut *transaction).await.map_err(when(doing))?;
        }
        transaction.commit().await.map_err(when(doing))
    }

    async fn list_deliveries(&self, dead: bool, limit: u32) -> Result<Vec<DeliveryRecord>> {
        let query =
            sqlx::query(LIST).bind(dead).bind(i64::from(limit)).try_map(|row| columns::delivery(&row));
        query.fetch_all(&self.readers).await.map_err(when("listing deliveries"))
    }

    async fn replay_delivery(&self, id: &str, now: Time) -> Result<bool> {
        let query = sqlx::query(REPLAY).bind(id).bind(now.micros());
        let done = query.execute(&self.writer).await.map_err(when("replaying a delivery"))?;
        Ok(done.rows_affected() > 0)
    }
}
