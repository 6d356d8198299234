//! What is done now and then: partitions made ahead and dropped, single old observations let go.

use std::collections::BTreeSet;
use std::ops::DerefMut as _;

use forewatt_domain::{SeriesKind, Time};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::partitions::{Month, attached};
use super::stamp::Stamp;
use super::{LOCK_CLASS, LOCK_PARTITIONS, LOCK_UPKEEP, Postgres, lock};
use crate::columns::{parse, time};
use crate::postgres::failure::when;
use crate::{Result, Upkeep, UpkeepDone, UpkeepStore};

const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock($1, $2)";
const SERIES: &str =
    "SELECT id, kind, first_valid_time FROM series WHERE first_valid_time IS NOT NULL ORDER BY id";
const LOCK_ROW: &str = "SELECT FROM series WHERE id = $1 FOR NO KEY UPDATE";
const DELETE: &str = "DELETE FROM observation WHERE series_id = $1 AND valid_time < $2";
const SHRINK: &str = "UPDATE series SET revision = revision + 1, observations = observations - $2, \
     first_valid_time = (SELECT min(valid_time) FROM observation WHERE series_id = $1), \
     last_valid_time = (SELECT max(valid_time) FROM observation WHERE series_id = $1) WHERE id = $1";

impl UpkeepStore for Postgres {
    async fn upkeep(&self, upkeep: &Upkeep) -> Result<UpkeepDone> {
        let doing = "looking after partitions and old observations";
        // Held open to the end: one node at a time, and the others need not wait.
        let mut turn = self.primary.begin().await.map_err(when(doing))?;
        if !take_turn(&mut turn).await.map_err(when(doing))? {
            return Ok(UpkeepDone::default());
        }
        let done = self.look_after(upkeep).await.map_err(when(doing))?;
        turn.commit().await.map_err(when(doing))?;
        Ok(done)
    }
}

async fn take_turn(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let patience = "SET LOCAL idle_in_transaction_session_timeout = 0";
    sqlx::raw_sql(patience).execute(&mut *connection).await?;
    let query = sqlx::query_scalar(TRY_LOCK).bind(LOCK_CLASS).bind(LOCK_UPKEEP);
    query.fetch_one(connection).await
}

/// A series with data: its key, kind and first valid time.
type Held = (i64, SeriesKind, Time);

impl Postgres {
    async fn look_after(&self, upkeep: &Upkeep) -> sqlx::Result<UpkeepDone> {
        let mut ahead = BTreeSet::new();
        let mut next = Month::of(upkeep.now);
        for _ in 0..=upkeep.ahead_months {
            let Some(month) = next else { break };
            ahead.insert(month);
            next = Month::of(month.to);
        }
        let made = self.make_months(ahead).await?;
        let mut done = UpkeepDone { partitions_made: made as u64, ..UpkeepDone::default() };
        let all = self.held().await?;
        // What every series has let go of, whole partitions hold nothing else.
        let keeps_from = all.iter().map(|(_, kind, _)| upkeep.keeps_from(*kind).unwrap_or(Time::MIN)).min();
        if let Some(keeps_from) = keeps_from {
            let mut reader = self.primary.reader().await?;
            let there = attached(&mut reader).await?;
            drop(reader);
            for month in there.into_iter().filter(|month| month.to <= keeps_from) {
                done.observations_dropped += self.drop_month(month).await?;
                done.partitions_dropped += 1;
            }
        }
        for (id, kind, first) in self.held().await? {
            if let Some(from) = upkeep.keeps_from(kind).filter(|from| first < *from) {
                done.observations_dropped += self.delete_before(id, from).await?;
            }
        }
        Ok(done)
    }

    async fn held(&self) -> sqlx::Result<Vec<Held>> {
        let mut reader = self.primary.reader().await?;
        let query = sqlx::query(SERIES);
        let held = |row: PgRow| Ok((row.try_get(0)?, parse(&row, 1)?, time(&row, 2)?));
        query.try_map(held).fetch_all(reader.deref_mut()).await
    }

    /// Drops a partition and everything in it; returns how much that was. Readers and writers of all observations wait
    /// for the moment this takes, so it gives up quickly when it must wait itself, and is tried again next time.
    async fn drop_month(&self, month: Month) -> sqlx::Result<u64> {
        let table = month.table();
        let mut transaction = self.primary.begin().await?;
        let patience = "SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '2s'";
        sqlx::raw_sql(patience).execute(&mut *transaction).await?;
        lock(&mut transaction, LOCK_PARTITIONS).await?;
        // The series first and then the tables, in the order in which writers take their locks.
        let counted: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT series_id, count(*) FROM {table} GROUP BY series_id ORDER BY series_id"
        )))
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
        for (id, _) in &counted {
            sqlx::query(LOCK_ROW).bind(id).execute(&mut *transaction).await?;
        }
        let sql = format!("ALTER TABLE observation DETACH PARTITION {table}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *transaction).await?;
        // Nobody can have written since: counting again sees what came in between.
        let counted: Vec<(i64, i64)> = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT series_id, count(*) FROM {table} GROUP BY series_id ORDER BY series_id"
        )))
        .persistent(false)
        .fetch_all(&mut *transaction)
        .await?;
        sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE {table}"))).execute(&mut *transaction).await?;
        for (id, count) in &counted {
            sqlx::query(SHRINK).bind(id).bind(count).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        self.months.forget();
        Ok(counted.iter().map(|(_, count)| count.unsigned_abs()).sum())
    }

    async fn delete_before(&self, id: i64, from: Time) -> sqlx::Result<u64> {
        let mut transaction = self.primary.begin().await?;
        sqlx::raw_sql("SET LOCAL statement_timeout = '10min'").execute(&mut *transaction).await?;
        sqlx::query(LOCK_ROW).bind(id).execute(&mut *transaction).await?;
        let query = sqlx::query(DELETE).bind(id).bind(Stamp(from));
        let gone = query.execute(&mut *transaction).await?.rows_affected();
        if gone > 0 {
            let query = sqlx::query(SHRINK).bind(id).bind(i64::try_from(gone).unwrap_or(i64::MAX)); // fewer rows than that
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(gone)
    }
}
