//! Series and how far their data reach, in PostgreSQL.

use forewatt_domain::{Series, SeriesName, Time};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::failure::when;
use super::stamp::Stamp;
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
pub(super) const BY_NAME: &str = select_series!("WHERE name = $1");
/// Locks the row against writers of data and of the description, but not against rows that refer to it.
const BY_NAME_LOCKED: &str = select_series!("WHERE name = $1 FOR NO KEY UPDATE");
pub(super) const FROM_NAME: &str = select_series!("WHERE name > $1 ORDER BY name LIMIT $2");
pub(super) const ID: &str = "SELECT id FROM series WHERE name = $1";
const INSERT: &str = "INSERT INTO series (name, kind, unit, resolution_seconds, time_zone, latitude, longitude, \
                      holiday_region, parent, created_at, updated_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) ON CONFLICT (name) DO NOTHING";
const UPDATE: &str = "UPDATE series SET kind = $2, unit = $3, resolution_seconds = $4, time_zone = $5, \
                      latitude = $6, longitude = $7, holiday_region = $8, parent = $9, updated_at = $10, \
                      revision = revision + 1 WHERE name = $1";

impl SeriesStore for Postgres {
    async fn put_series(&self, series: &Series, now: Time) -> Result<()> {
        let doing = "describing a series";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let found = locked(&mut transaction, &series.name).await.map_err(when(doing))?;
        if found.is_none() && write(INSERT, series, now, &mut transaction).await.map_err(when(doing))? == 1 {
            return transaction.commit().await.map_err(when(doing));
        }
        let found = match found {
            Some(found) => found,
            // Another node made it in this very moment.
            None => locked(&mut transaction, &series.name)
                .await
                .map_err(when(doing))?
                .ok_or_else(|| no_series(&series.name))?,
        };
        let (old, state) = found;
        if old == *series {
            return Ok(());
        }
        check_resolution(series, &old, &state)?;
        write(UPDATE, series, now, &mut transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }

    async fn get_series(&self, name: &SeriesName) -> Result<Option<(Series, SeriesState)>> {
        let doing = "reading a series";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let found = sqlx::query(BY_NAME)
            .bind(name.as_str())
            .try_map(|row: PgRow| columns::series(&row))
            .fetch_optional(&mut *reader)
            .await
            .map_err(when(doing))?;
        if let Some((series, state)) = &found {
            self.known.saw(series, state);
        }
        Ok(found)
    }

    async fn list_series(
        &self,
        after: Option<&SeriesName>,
        limit: u32,
    ) -> Result<Vec<(Series, SeriesState)>> {
        let doing = "listing series";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        sqlx::query(FROM_NAME)
            .bind(after.map_or("", SeriesName::as_str)) // no name is empty, so every name follows ""
            .bind(i64::from(limit))
            .try_map(|row: PgRow| columns::series(&row))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))
    }
}

async fn locked(
    connection: &mut PgConnection,
    name: &SeriesName,
) -> sqlx::Result<Option<(Series, SeriesState)>> {
    let query = sqlx::query(BY_NAME_LOCKED).bind(name.as_str());
    query.try_map(|row: PgRow| columns::series(&row)).fetch_optional(connection).await
}

/// The key of a series in the other tables.
pub(super) async fn id_of(connection: &mut PgConnection, name: &SeriesName, doing: &str) -> Result<i64> {
    sqlx::query_scalar(ID)
        .bind(name.as_str())
        .fetch_optional(connection)
        .await
        .map_err(when(doing))?
        .ok_or_else(|| no_series(name))
}

/// Tells an empty answer from an unknown series, where the answer's own query cannot.
pub(super) async fn check_series(
    connection: &mut PgConnection,
    name: &SeriesName,
    doing: &str,
) -> Result<()> {
    id_of(connection, name, doing).await.map(drop)
}

async fn write(
    sql: &'static str,
    series: &Series,
    now: Time,
    connection: &mut PgConnection,
) -> sqlx::Result<u64> {
    let done = sqlx::query(sql)
        .bind(series.name.as_str())
        .bind(series.kind.as_str())
        .bind(&series.unit)
        .bind(i64::from(series.resolution.seconds()))
        .bind(String::from(series.time_zone.clone()))
        .bind(series.location.map(|l| l.latitude))
        .bind(series.location.map(|l| l.longitude))
        .bind(series.holiday_region.as_deref())
        .bind(series.parent.as_ref().map(SeriesName::as_str))
        .bind(Stamp(now))
        .execute(connection)
        .await?;
    Ok(done.rows_affected())
}
