//! Sources, receivers and deliveries in PostgreSQL.

use forewatt_domain::Time;
use sqlx::Postgres as Driver;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;

use super::Postgres;
use super::failure::when;
use super::stamp::Stamp;
use crate::Result;
use crate::columns::{self, to_json};
use crate::outward::{DeliveryEnd, DeliveryRecord, SourceRecord, SourceStore, WebhookRecord, WebhookStore};

const PUT_SOURCE: &str = "INSERT INTO source (name, spec, due_at, failures, last) \
     VALUES ($1, $2::json, $3, $4, $5::json) ON CONFLICT (name) DO UPDATE SET spec = $2::json, due_at = $3, failures = $4, last = $5::json";
const LIST_SOURCES: &str =
    "SELECT name, spec::text, due_at, failures, last::text FROM source ORDER BY name LIMIT $1";
const TAKE_SOURCE: &str = "UPDATE source SET due_at = $2 WHERE name = \
     (SELECT name FROM source WHERE due_at <= $1 ORDER BY due_at, name LIMIT 1 FOR UPDATE SKIP LOCKED) \
     RETURNING name, spec::text, due_at, failures, last::text";
const END_SOURCE: &str = "UPDATE source SET due_at = $2, failures = $3, last = $4::json WHERE name = $1";
const PUT_WEBHOOK: &str = "INSERT INTO webhook (id, spec, created_at) VALUES ($1, $2::json, $3) \
     ON CONFLICT (id) DO UPDATE SET spec = $2::json, created_at = $3";
const LIST_WEBHOOKS: &str = "SELECT id, spec::text, created_at FROM webhook ORDER BY id LIMIT $1";
const ADD: &str = "INSERT INTO delivery (id, webhook, event, body, created_at, due_at, attempts, dead, error) \
     SELECT $1::text, $2::text, $3::text, $4::text, $5::timestamptz, $6::timestamptz, $7::bigint, $8::boolean, \
     $9::text WHERE EXISTS (SELECT 1 FROM webhook WHERE id = $2::text) \
     AND ($8::boolean OR (SELECT count(*) FROM delivery WHERE NOT dead) < $10::bigint) ON CONFLICT (id) DO NOTHING";
macro_rules! columns {
    () => {
        "id, webhook, event, body, created_at, due_at, attempts, dead, error"
    };
}
const TAKE: &str = concat!(
    "WITH due AS MATERIALIZED (SELECT id FROM delivery WHERE NOT dead AND due_at <= $1 ORDER BY due_at, id \
     LIMIT $3 FOR UPDATE SKIP LOCKED) \
     UPDATE delivery SET due_at = $2, attempts = attempts + 1 WHERE id IN (SELECT id FROM due) RETURNING ",
    columns!()
);
const LIST: &str = concat!("SELECT ", columns!(), " FROM delivery WHERE dead = $1 ORDER BY id LIMIT $2");
const DONE: &str = "DELETE FROM delivery WHERE id = $1";
const AGAIN: &str = "UPDATE delivery SET due_at = $2, error = $3 WHERE id = $1 AND NOT dead";
const BURY: &str = "UPDATE delivery SET dead = TRUE, error = $2 WHERE id = $1";
const MAKE_ROOM: &str = "DELETE FROM delivery WHERE dead AND id NOT IN \
     (SELECT id FROM delivery WHERE dead ORDER BY id DESC LIMIT $1)";
const REPLAY: &str =
    "UPDATE delivery SET dead = FALSE, attempts = 0, due_at = $2, error = '' WHERE id = $1 AND dead";

/// A statement with its values.
type Bound<'q> = Query<'q, Driver, PgArguments>;

impl Postgres {
    /// Runs one statement in a transaction; how many rows it changed.
    async fn change(&self, query: Bound<'_>, doing: &str) -> Result<u64> {
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let done = query.execute(&mut *transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))?;
        Ok(done.rows_affected())
    }

    /// Runs one statement in a transaction; the rows it gives.
    async fn take<T: Send + Unpin>(
        &self,
        query: Bound<'_>,
        row: fn(&PgRow) -> sqlx::Result<T>,
        doing: &str,
    ) -> Result<Vec<T>> {
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let query = query.try_map(|found: PgRow| row(&found));
        let taken = query.fetch_all(&mut *transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))?;
        Ok(taken)
    }

    /// Reads rows.
    async fn find<T: Send + Unpin>(
        &self,
        query: Bound<'_>,
        row: fn(&PgRow) -> sqlx::Result<T>,
        doing: &str,
    ) -> Result<Vec<T>> {
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let query = query.try_map(|found: PgRow| row(&found));
        query.fetch_all(&mut *reader).await.map_err(when(doing))
    }
}

impl SourceStore for Postgres {
    async fn put_source(&self, source: &SourceRecord) -> Result<()> {
        let query = sqlx::query(PUT_SOURCE)
            .bind(&source.name)
            .bind(to_json(&source.spec)?)
            .bind(Stamp(source.due_at))
            .bind(i64::from(source.failures))
            .bind(source.last.as_ref().map(to_json).transpose()?);
        self.change(query, "keeping a source").await.map(drop)
    }

    async fn list_sources(&self, limit: u32) -> Result<Vec<SourceRecord>> {
        self.find(sqlx::query(LIST_SOURCES).bind(i64::from(limit)), columns::source, "listing sources").await
    }

    async fn remove_source(&self, name: &str) -> Result<bool> {
        let query = sqlx::query("DELETE FROM source WHERE name = $1").bind(name);
        Ok(self.change(query, "taking a source away").await? > 0)
    }

    async fn take_due_source(&self, now: Time, until: Time) -> Result<Option<SourceRecord>> {
        let query = sqlx::query(TAKE_SOURCE).bind(Stamp(now)).bind(Stamp(until));
        Ok(self.take(query, columns::source, "finding a source that is due").await?.pop())
    }

    async fn end_source_run(
        &self,
        name: &str,
        due_at: Time,
        failures: u32,
        last: &serde_json::Value,
    ) -> Result<()> {
        let query = sqlx::query(END_SOURCE).bind(name).bind(Stamp(due_at)).bind(i64::from(failures));
        self.change(query.bind(to_json(last)?), "keeping how a source's run ended").await.map(drop)
    }
}

impl WebhookStore for Postgres {
    async fn put_webhook(&self, webhook: &WebhookRecord) -> Result<()> {
        let query = sqlx::query(PUT_WEBHOOK).bind(&webhook.id).bind(to_json(&webhook.spec)?);
        self.change(query.bind(Stamp(webhook.created_at)), "keeping a webhook").await.map(drop)
    }

    async fn list_webhooks(&self, limit: u32) -> Result<Vec<WebhookRecord>> {
        self.find(sqlx::query(LIST_WEBHOOKS).bind(i64::from(limit)), columns::webhook, "listing webhooks")
            .await
    }

    async fn remove_webhook(&self, id: &str) -> Result<bool> {
        let query = sqlx::query("DELETE FROM webhook WHERE id = $1").bind(id);
        Ok(self.change(query, "taking a webhook away").await? > 0)
    }

    /// Nodes that add at the same moment may together pass `waiting_max` by what each of them adds.
    async fn add_deliveries(&self, deliveries: &[DeliveryRecord], waiting_max: u32) -> Result<u64> {
        let doing = "keeping deliveries";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let mut added = 0;
        for delivery in deliveries {
            let query = sqlx::query(ADD)
                .bind(&delivery.id)
                .bind(&delivery.webhook)
                .bind(&delivery.event)
                .bind(&delivery.body)
                .bind(Stamp(delivery.created_at))
                .bind(Stamp(delivery.due_at))
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
        let query = sqlx::query(TAKE).bind(Stamp(now)).bind(Stamp(until)).bind(i64::from(limit));
        let mut taken = self.take(query, columns::delivery, "finding deliveries that are due").await?;
        taken.sort_by(|a, b| a.id.cmp(&b.id)); // RETURNING promises no order
        Ok(taken)
    }

    async fn end_delivery(&self, id: &str, end: &DeliveryEnd) -> Result<()> {
        let doing = "keeping how a delivery ended";
        let query = match end {
            DeliveryEnd::Done => sqlx::query(DONE).bind(id),
            DeliveryEnd::Again { at, error } => sqlx::query(AGAIN).bind(id).bind(Stamp(*at)).bind(error),
            DeliveryEnd::Dead { error, .. } => sqlx::query(BURY).bind(id).bind(error),
        };
        self.change(query, doing).await?;
        if let DeliveryEnd::Dead { keep, .. } = end {
            self.change(sqlx::query(MAKE_ROOM).bind(i64::from(*keep)), doing).await?;
        }
        Ok(())
    }

    async fn list_deliveries(&self, dead: bool, limit: u32) -> Result<Vec<DeliveryRecord>> {
        let query = sqlx::query(LIST).bind(dead).bind(i64::from(limit));
        self.find(query, columns::delivery, "listing deliveries").await
    }

    async fn replay_delivery(&self, id: &str, now: Time) -> Result<bool> {
        let query = sqlx::query(REPLAY).bind(id).bind(Stamp(now));
        Ok(self.change(query, "replaying a delivery").await? > 0)
    }
}
