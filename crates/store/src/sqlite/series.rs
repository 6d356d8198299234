//! Series and how far their data reach, in SQLite.

use forewatt_domain::{Series, SeriesName, Time};
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite as Driver, SqliteConnection, Transaction};

use super::Sqlite;
use super::failure::when;
use crate::columns;
use crate::given::{check_resolution, no_series};
use crate::{Result, SeriesState, SeriesStore};

macro_rules! select_series {
    ($rest:literal) => {
        concat!(
            "SELECT name, kind, unit, resolution_seconds, time_zone, latitude, longitude, holiday_region, parent, \
             revision, observations, first_valid_time, last_valid_time, last_available_at FROM series ",
            $rest
        )
    };
}
const BY_NAME: &str = select_series!("WHERE name = ?1");
const FROM_NAME: &str = select_series!("WHERE name > ?1 ORDER BY name LIMIT ?2");
const ID: &str = "SELECT id FROM series WHERE name = ?1";
const INSERT: &str = "INSERT INTO series (name, kind, unit, resolution_seconds, time_zone, latitude, longitude, \
                      holiday_region, parent, created_at, updated_at) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)";
const UPDATE: &str = "UPDATE series SET kind = ?2, unit = ?3, resolution_seconds = ?4, time_zone = ?5, \
                      latitude = ?6, longitude = ?7, holiday_region = ?8, parent = ?9, updated_at = ?10, \
                      revision = revision + 1 WHERE name = ?1";

impl SeriesStore for Sqlite {
    async fn put_series(&self, series: &Series, now: Time) -> Result<()> {
        let doing = "describing a series";
        let mut transaction = self.begin_write(doing).await?;
        let existing = sqlx::query(BY_NAME)
            .bind(series.name.as_str())
            .try_map(|row: SqliteRow| columns::series(&row))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(when(doing))?;
        match existing {
            Some((same, _)) if same == *series => return Ok(()),
            Some((old, state)) => {
                check_resolution(series, &old, &state)?;
                write(UPDATE, series, now, &mut transaction).await.map_err(when(doing))?;
            }
            None => write(INSERT, series, now, &mut transaction).await.map_err(when(doing))?,
        }
        transaction.commit().await.map_err(when(doing))
    }

    async fn get_series(&self, name: &SeriesName) -> Result<Option<(Series, SeriesState)>> {
        sqlx::query(BY_NAME)
            .bind(name.as_str())
            .try_map(|row: SqliteRow| columns::series(&row))
            .fetch_optional(&self.readers)
            .await
            .map_err(when("reading a series"))
    }

    async fn list_series(
        &self,
        after: Option<&SeriesName>,
        limit: u32,
    ) -> Result<Vec<(Series, SeriesState)>> {
        sqlx::query(FROM_NAME)
            .bind(after.map_or("", SeriesName::as_str)) // no name is empty, so every name follows ""
            .bind(i64::from(limit))
            .try_map(|row: SqliteRow| columns::series(&row))
            .fetch_all(&self.readers)
            .await
            .map_err(when("listing series"))
    }
}

/// The key of a series in the other tables.
pub(super) async fn id_of(connection: &mut SqliteConnection, name: &SeriesName, doing: &str) -> Result<i64> {
    sqlx::query_scalar(ID)
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(when(doing))?
        .ok_or_else(|| no_series(name))
}

impl Sqlite {
    /// Tells an empty answer from an unknown series, where the answer's own query cannot.
    pub(super) async fn check_series(&self, name: &SeriesName, doing: &str) -> Result<()> {
        let mut connection = self.readers.acquire().await.map_err(when(doing))?;
        id_of(&mut connection, name, doing).await.map(|_| ())
    }
}

async fn write(
    sql: &'static str,
    series: &Series,
    now: Time,
    transaction: &mut Transaction<'static, Driver>,
) -> sqlx::Result<()> {
    sqlx::query(sql)
        .bind(series.name.as_str())
        .bind(series.kind.as_str())
        .bind(&series.unit)
        .bind(i64::from(series.resolution.seconds()))
        .bind(String::from(series.time_zone.clone()))
        .bind(series.location.map(|l| l.latitude))
        .bind(series.location.map(|l| l.longitude))
        .bind(series.holiday_region.as_deref())
        .bind(series.parent.as_ref().map(SeriesName::as_str))
        .bind(now.micros())
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
