//! Observations in SQLite: bulk writes in one transaction, as-of reads in one range of the key.

use std::sync::LazyLock;

use forewatt_domain::{Observation, SeriesName, Time};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row, Sqlite as Driver, SqliteConnection};

use super::Sqlite;
use super::direct::{self, Keep, Question};
use super::failure::when;
use super::series::id_of;
use crate::given::{check_observations, key_order, undecodable};
use crate::{ObservationRange, ObservationStore, Result, WriteOutcome};

/// Rows in one statement: enough that its fixed cost vanishes, few enough that its text stays small.
const ROWS_PER_STATEMENT: usize = 1_000;

/// Every revision known at an instant, in the order of the key; of each valid time the last one counts.
pub(super) const AS_OF: &str = "SELECT valid_time, available_at, value FROM observation \
                     WHERE series_id = (SELECT id FROM series WHERE name = ?1) \
                     AND valid_time >= ?2 AND valid_time < ?3 AND available_at <= ?4 \
                     ORDER BY valid_time, available_at";
pub(super) const REVISIONS: &str = "SELECT valid_time, available_at, value FROM observation \
                         WHERE series_id = (SELECT id FROM series WHERE name = ?1) \
                         AND valid_time >= ?2 AND valid_time < ?3 ORDER BY valid_time, available_at";
/// The least and greatest of old and new; `min(a, b)` is NULL when one is, hence the `coalesce`.
const UPDATE_STATE: &str = "UPDATE series SET revision = revision + 1, observations = observations + ?2, \
     first_valid_time = min(coalesce(first_valid_time, ?3), ?3), \
     last_valid_time = max(coalesce(last_valid_time, ?4), ?4), \
     last_available_at = max(coalesce(last_available_at, ?5), ?5) WHERE id = ?1";

static INSERT_FULL: LazyLock<String> = LazyLock::new(|| insert_sql(ROWS_PER_STATEMENT));
static COMPARE_FULL: LazyLock<String> = LazyLock::new(|| compare_sql(ROWS_PER_STATEMENT));

/// `rows` times `row`, with commas. Parameters go unnumbered: SQLite looks up the name of a numbered one in a list,
/// which makes binding thousands of them quadratic.
fn rows_sql(before: &str, row: impl Fn(usize) -> String, rows: usize, after: &str) -> String {
    let list: Vec<String> = (0..rows).map(row).collect();
    format!("{before}{}{after}", list.join(","))
}

/// Keeps what is there: the first value written under a key stays.
fn insert_sql(rows: usize) -> String {
    let before = "INSERT INTO observation (series_id, valid_time, available_at, value) VALUES ";
    rows_sql(before, |_| "(?,?,?,?)".to_owned(), rows, " ON CONFLICT DO NOTHING")
}

/// Which of the given rows (counted from 0) have another value than the stored one.
fn compare_sql(rows: usize) -> String {
    let before = "WITH given (k, s, v, a, x) AS (VALUES ";
    let after = ") SELECT k FROM given CROSS JOIN observation \
                 WHERE series_id = s AND valid_time = v AND available_at = a AND value IS NOT x";
    rows_sql(before, |k| format!("({k},?,?,?,?)"), rows, after)
}

impl ObservationStore for Sqlite {
    async fn write_observations(
        &self,
        series: &SeriesName,
        observations: &[Observation],
    ) -> Result<WriteOutcome> {
        check_observations(series, observations)?;
        let doing = "writing observations";
        let order = key_order(observations);
        let mut transaction = self.begin_write(doing).await?;
        let id = id_of(&mut transaction, series, doing).await?;
        let mut stored = 0;
        let mut conflicts = Vec::new();
        for chunk in order.chunks(ROWS_PER_STATEMENT) {
            let rows = Rows { id, observations, chunk };
            let new = rows.insert(&mut transaction).await.map_err(when(doing))?;
            stored += new;
            if new < chunk.len() as u64 {
                let differing = rows.compare(&mut transaction).await.map_err(when(doing))?;
                conflicts.extend(differing.into_iter().filter_map(|k| chunk.get(k).copied()));
            }
        }
        if stored > 0 {
            update_state(&mut transaction, id, stored, observations).await.map_err(when(doing))?;
        }
        transaction.commit().await.map_err(when(doing))?;
        conflicts.sort_unstable();
        let conflict_count = conflicts.len() as u64;
        conflicts.truncate(WriteOutcome::MAX_CONFLICTS);
        Ok(WriteOutcome {
            stored,
            unchanged: observations.len() as u64 - stored - conflict_count,
            conflicts,
            conflict_count,
        })
    }

    async fn read_as_of(&self, range: &ObservationRange, at: Time) -> Result<Vec<Observation>> {
        let numbers = vec![range.from.micros(), range.to.micros(), at.micros()];
        self.read(range, AS_OF, numbers, Keep::Last, "reading observations as of an instant").await
    }

    async fn read_revisions(&self, range: &ObservationRange) -> Result<Vec<Observation>> {
        let numbers = vec![range.from.micros(), range.to.micros()];
        self.read(range, REVISIONS, numbers, Keep::All, "reading revisions").await
    }
}

impl Sqlite {
    async fn read(
        &self,
        range: &ObservationRange,
        sql: &'static str,
        numbers: Vec<i64>,
        keep: Keep,
        doing: &'static str,
    ) -> Result<Vec<Observation>> {
        let question = Question { sql, name: range.series.to_string(), numbers, keep };
        let found = direct::observations(&self.readers, question, doing).await?;
        if found.is_empty() {
            self.check_series(&range.series, doing).await?;
        }
        Ok(found)
    }
}

/// The rows of one statement.
struct Rows<'a> {
    id: i64,
    observations: &'a [Observation],
    chunk: &'a [usize],
}

impl Rows<'_> {
    /// How many were new.
    async fn insert(&self, connection: &mut SqliteConnection) -> sqlx::Result<u64> {
        let query = self.bind(&INSERT_FULL, insert_sql);
        Ok(query.execute(connection).await?.rows_affected())
    }

    /// Positions in the chunk whose stored value differs from the given one.
    async fn compare(&self, connection: &mut SqliteConnection) -> sqlx::Result<Vec<usize>> {
        let query = self.bind(&COMPARE_FULL, compare_sql);
        let position = |row: SqliteRow| {
            let k: i64 = row.try_get(0)?;
            usize::try_from(k).map_err(undecodable)
        };
        query.try_map(position).fetch_all(connection).await
    }

    /// Full chunks reuse one prepared statement; the rest is not worth a place in the cache.
    fn bind(
        &self,
        full: &'static LazyLock<String>,
        sql: fn(usize) -> String,
    ) -> Query<'static, Driver, SqliteArguments> {
        let mut query = if self.chunk.len() == ROWS_PER_STATEMENT {
            sqlx::query(AssertSqlSafe(full.as_str()))
        } else {
            // The text holds nothing but numbers of our own and parameters.
            sqlx::query(AssertSqlSafe(sql(self.chunk.len()))).persistent(false)
        };
        for &i in self.chunk {
            let seen = &self.observations[i];
            query = query
                .bind(self.id)
                .bind(seen.valid_time.micros())
                .bind(seen.available_at.micros())
                .bind(seen.value);
        }
        query
    }
}

/// Rows that were there already do not widen the state: it covers them.
async fn update_state(
    connection: &mut SqliteConnection,
    id: i64,
    stored: u64,
    observations: &[Observation],
) -> sqlx::Result<()> {
    let valid = observations.iter().map(|o| o.valid_time.micros());
    sqlx::query(UPDATE_STATE)
        .bind(id)
        .bind(i64::try_from(stored).unwrap_or(i64::MAX)) // at most WRITE_MAX_OBSERVATIONS
        .bind(valid.clone().min())
        .bind(valid.max())
        .bind(observations.iter().map(|o| o.available_at.micros()).max())
        .execute(connection)
        .await?;
    Ok(())
}
