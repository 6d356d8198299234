//! Observations in PostgreSQL: arrays for small writes, COPY for bulk, as-of reads in one range of the key.

use forewatt_domain::{Observation, SeriesName, Time};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres as Driver, Row};

use super::Postgres;
use super::failure::{is_missing_partition, when};
use super::pool::Reader;
use super::series::check_series;
use super::stamp::Stamp;
use crate::columns::{count, time};
use crate::given::{check_observations, key_order, no_series, undecodable};
use crate::{ObservationRange, ObservationStore, Result, WriteOutcome};

/// From so many rows on, COPY costs less than arrays.
const BULK_ROWS: usize = 2_000;
/// Bytes sent to the server at a time.
const COPY_CHUNK_BYTES: usize = 256 * 1_024;
/// Bytes of one row in COPY's binary format.
const COPY_ROW_BYTES: usize = 2 + 4 * (4 + 8);

macro_rules! of_series {
    () => {
        "series_id = (SELECT id FROM series WHERE name = $1)"
    };
}
/// Read backwards along the key, the first row of each valid time is its newest.
pub(super) const AS_OF: &str = concat!(
    "SELECT DISTINCT ON (valid_time) valid_time, available_at, value FROM observation WHERE ",
    of_series!(),
    " AND valid_time >= $2 AND valid_time < $3 AND available_at <= $4 \
     ORDER BY valid_time DESC, available_at DESC"
);
/// The same for series with many revisions: each step seeks the newest of the next valid time, back in time.
pub(super) const AS_OF_CROWDED: &str = concat!(
    "WITH RECURSIVE newest (valid_time, available_at, value) AS (\
     (SELECT valid_time, available_at, value FROM observation WHERE ",
    of_series!(),
    " AND valid_time >= $2 AND valid_time < $3 AND available_at <= $4 \
     ORDER BY valid_time DESC, available_at DESC LIMIT 1) \
     UNION ALL SELECT o.* FROM newest n CROSS JOIN LATERAL (\
     SELECT valid_time, available_at, value FROM observation WHERE ",
    of_series!(),
    " AND valid_time >= $2 AND valid_time < n.valid_time AND available_at <= $4 \
     ORDER BY valid_time DESC, available_at DESC LIMIT 1) o) \
     SELECT valid_time, available_at, value FROM newest"
);
pub(super) const REVISIONS: &str = concat!(
    "SELECT valid_time, available_at, value FROM observation WHERE ",
    of_series!(),
    " AND valid_time >= $2 AND valid_time < $3 ORDER BY valid_time, available_at"
);
/// Writers of one series queue here.
pub(super) const LOCK_SERIES: &str = "SELECT id FROM series WHERE name = $1 FOR NO KEY UPDATE";
/// Keeps what is there: the first value written under a key stays.
pub(super) const INSERT: &str = "INSERT INTO observation (series_id, valid_time, available_at, value) \
                      SELECT $1, v, a, x FROM unnest($2, $3, $4) AS given (v, a, x) ON CONFLICT DO NOTHING";
/// Positions (from 1) of given rows whose stored value is another.
pub(super) const COMPARE: &str = "SELECT k FROM unnest($2, $3, $4) WITH ORDINALITY AS given (v, a, x, k) \
     CROSS JOIN LATERAL (SELECT value FROM observation \
     WHERE series_id = $1 AND valid_time = v AND available_at = a OFFSET 0) AS stored \
     WHERE value IS DISTINCT FROM x";
/// Whether anything of a series is stored between two valid times, ends included.
pub(super) const ANY_BETWEEN: &str = "SELECT EXISTS (SELECT FROM observation \
                           WHERE series_id = $1 AND valid_time >= $2 AND valid_time <= $3)";
const STAGE: &str = "CREATE TEMPORARY TABLE given (series_id bigint, valid_time timestamptz, \
                     available_at timestamptz, value double precision) ON COMMIT DROP";
const COPY_STAGE: &str = "COPY given FROM STDIN (FORMAT binary)";
const COPY_STRAIGHT: &str = "COPY observation FROM STDIN (FORMAT binary)";
/// The staging table is read in the order it was written, so of equal keys the first is kept.
const MERGE: &str = "INSERT INTO observation (series_id, valid_time, available_at, value) \
                     SELECT series_id, valid_time, available_at, value FROM given ON CONFLICT DO NOTHING";
/// The least and greatest of old and new; they leave out NULLs.
const UPDATE_STATE: &str = "UPDATE series SET revision = revision + 1, observations = observations + $2, \
     first_valid_time = least(first_valid_time, $3), last_valid_time = greatest(last_valid_time, $4), \
     last_available_at = greatest(last_available_at, $5) WHERE id = $1 RETURNING revision";

impl ObservationStore for Postgres {
    async fn write_observations(
        &self,
        series: &SeriesName,
        observations: &[Observation],
    ) -> Result<WriteOutcome> {
        check_observations(series, observations)?;
        let doing = "writing observations";
        self.make_room(observations).await.map_err(when(doing))?;
        let mut written = self.write(series, observations).await;
        if written.as_ref().is_err_and(is_missing_partition) {
            // A node dropped a partition after this one had seen it; nothing was written, so it can be tried again.
            self.months.forget();
            self.make_room(observations).await.map_err(when(doing))?;
            written = self.write(series, observations).await;
        }
        written.map_err(when(doing))?.ok_or_else(|| no_series(series))
    }

    async fn read_as_of(&self, range: &ObservationRange, at: Time) -> Result<Vec<Observation>> {
        let crowded = self.known.is_crowded(&range.series);
        let sql = if crowded { AS_OF_CROWDED } else { AS_OF };
        let query = sqlx::query(sql).bind(range.series.as_str());
        let query = query.bind(Stamp(range.from)).bind(Stamp(range.to)).bind(Stamp(at));
        let mut found = self.read(range, query, "reading observations").await?;
        found.reverse();
        Ok(found)
    }

    async fn read_revisions(&self, range: &ObservationRange) -> Result<Vec<Observation>> {
        let query = sqlx::query(REVISIONS).bind(range.series.as_str());
        let query = query.bind(Stamp(range.from)).bind(Stamp(range.to));
        self.read(range, query, "reading revisions").await
    }
}

impl Postgres {
    /// Writes in one transaction; `None` when there is no such series.
    async fn write(
        &self,
        series: &SeriesName,
        observations: &[Observation],
    ) -> sqlx::Result<Option<WriteOutcome>> {
        let mut transaction = self.primary.begin().await?;
        let id = sqlx::query_scalar(LOCK_SERIES).bind(series.as_str());
        let Some(id) = id.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        let order = key_order(observations);
        let slice = Slice { id, observations, order: &order };
        let (stored, mut conflicts) = if observations.len() < BULK_ROWS {
            slice.write_arrays(&mut transaction).await?
        } else {
            slice.write_bulk(&mut transaction).await?
        };
        let revision = match stored {
            0 => None,
            _ => Some(slice.update_state(&mut transaction, stored).await?),
        };
        transaction.commit().await?;
        if let Some(revision) = revision {
            self.known.wrote(series, revision);
        }
        conflicts.sort_unstable();
        let conflict_count = conflicts.len() as u64;
        conflicts.truncate(WriteOutcome::MAX_CONFLICTS);
        let unchanged = observations.len() as u64 - stored - conflict_count;
        Ok(Some(WriteOutcome { stored, unchanged, conflicts, conflict_count }))
    }

    async fn read(
        &self,
        range: &ObservationRange,
        query: Query<'_, Driver, PgArguments>,
        doing: &str,
    ) -> Result<Vec<Observation>> {
        let mut reader = self.reader_of(&range.series).await.map_err(when(doing))?;
        let found = query
            .try_map(|row: PgRow| {
                Ok(Observation {
                    valid_time: time(&row, 0)?,
                    available_at: time(&row, 1)?,
                    value: row.try_get(2)?,
                })
            })
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))?;
        if found.is_empty() {
            check_series(&mut reader, &range.series, doing).await?;
        }
        Ok(found)
    }

    /// A connection to the replica when it has caught up with all that this node has seen of the series, else to the
    /// primary. Answers are cached under the revision seen, so older data must not come under a newer revision.
    async fn reader_of(&self, series: &SeriesName) -> sqlx::Result<Reader> {
        if let Some(replica) = self.replica.as_ref().filter(|replica| !replica.rests())
            && let Some(seen) = self.known.revision(series)
        {
            let caught_up = async {
                let mut reader = replica.reader().await?;
                let query = sqlx::query_scalar("SELECT revision FROM series WHERE name = $1");
                let there: Option<i64> = query.bind(series.as_str()).fetch_optional(&mut *reader).await?;
                let there = there.and_then(|revision| u64::try_from(revision).ok());
                Ok::<_, sqlx::Error>(there.filter(|revision| *revision >= seen).map(|_| reader))
            };
            match caught_up.await {
                Ok(Some(reader)) => return Ok(reader),
                Ok(None) => {}
                Err(_) => replica.failed(), // the primary answers as well
            }
        }
        self.primary.reader().await
    }
}

/// Rows to write under the lock of their series, and the order of their keys.
struct Slice<'a> {
    id: i64,
    observations: &'a [Observation],
    order: &'a [usize],
}

impl Slice<'_> {
    fn rows(&self) -> impl Iterator<Item = &Observation> {
        self.order.iter().map(|&i| &self.observations[i])
    }

    /// How many were new, and the indexes of those whose stored value differs.
    async fn write_arrays(&self, connection: &mut PgConnection) -> sqlx::Result<(u64, Vec<usize>)> {
        let stored = self.bind(INSERT).execute(&mut *connection).await?.rows_affected();
        let conflicts = self.conflicts(connection, stored).await?;
        Ok((stored, conflicts))
    }

    async fn write_bulk(&self, connection: &mut PgConnection) -> sqlx::Result<(u64, Vec<usize>)> {
        if self.is_new(connection).await? {
            let stored = self.copy(COPY_STRAIGHT, connection).await?;
            return Ok((stored, Vec::new()));
        }
        sqlx::query(STAGE).persistent(false).execute(&mut *connection).await?;
        self.copy(COPY_STAGE, connection).await?;
        // Not kept prepared: the staging table is another one each time.
        let merged = sqlx::query(MERGE).persistent(false).execute(&mut *connection).await?;
        let conflicts = self.conflicts(connection, merged.rows_affected()).await?;
        Ok((merged.rows_affected(), conflicts))
    }

    /// Whether no key can be there already: each is given once, and nothing is stored between the first and the last.
    /// Nobody else can write to the series meanwhile.
    async fn is_new(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        let key = |i: usize| (self.observations[i].valid_time, self.observations[i].available_at);
        let ([first, .., last], true) =
            (self.order, self.order.windows(2).all(|pair| key(pair[0]) < key(pair[1])))
        else {
            return Ok(false);
        };
        let query = sqlx::query_scalar(ANY_BETWEEN).bind(self.id);
        let query = query.bind(Stamp(key(*first).0)).bind(Stamp(key(*last).0));
        query.fetch_one(connection).await.map(|any: bool| !any)
    }

    /// Sends the rows in COPY's binary format, <https://www.postgresql.org/docs/current/sql-copy.html>.
    async fn copy(&self, sql: &'static str, connection: &mut PgConnection) -> sqlx::Result<u64> {
        let mut copy = connection.copy_in_raw(sql).await?;
        let mut buffer = Vec::with_capacity(COPY_CHUNK_BYTES + COPY_ROW_BYTES);
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"); // no flags, no extension
        for row in self.rows() {
            buffer.extend_from_slice(&4_i16.to_be_bytes());
            let times = [Stamp(row.valid_time).to_bytes(), Stamp(row.available_at).to_bytes()];
            for field in [self.id.to_be_bytes(), times[0], times[1], row.value.to_be_bytes()] {
                buffer.extend_from_slice(&8_i32.to_be_bytes());
                buffer.extend_from_slice(&field);
            }
            if buffer.len() >= COPY_CHUNK_BYTES {
                copy.send(&buffer[..]).await?;
                buffer.clear();
            }
        }
        buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        copy.send(&buffer[..]).await?;
        copy.finish().await
    }

    /// The indexes of those whose stored value differs; there are none when all were new.
    async fn conflicts(&self, connection: &mut PgConnection, stored: u64) -> sqlx::Result<Vec<usize>> {
        if stored == self.order.len() as u64 {
            return Ok(Vec::new());
        }
        let position = |row: PgRow| usize::try_from(row.try_get::<i64, _>(0)? - 1).map_err(undecodable);
        let differing = self.bind(COMPARE).try_map(position).fetch_all(connection).await?;
        Ok(differing.into_iter().filter_map(|k| self.order.get(k).copied()).collect())
    }

    fn bind(&self, sql: &'static str) -> Query<'static, Driver, PgArguments> {
        sqlx::query(sql)
            .bind(self.id)
            .bind(self.rows().map(|o| Stamp(o.valid_time)).collect::<Vec<_>>())
            .bind(self.rows().map(|o| Stamp(o.available_at)).collect::<Vec<_>>())
            .bind(self.rows().map(|o| o.value).collect::<Vec<_>>())
    }

    /// Rows that were there already do not widen the state: it covers them. Returns the new revision.
    async fn update_state(&self, connection: &mut PgConnection, stored: u64) -> sqlx::Result<u64> {
        let valid = self.observations.iter().map(|o| o.valid_time);
        let query = sqlx::query(UPDATE_STATE)
            .bind(self.id)
            .bind(i64::try_from(stored).unwrap_or(i64::MAX)) // at most as many as one write may have
            .bind(valid.clone().min().map(Stamp))
            .bind(valid.max().map(Stamp))
            .bind(self.observations.iter().map(|o| o.available_at).max().map(Stamp));
        query.try_map(|row: PgRow| count(&row, 0)).fetch_one(connection).await
    }
}
