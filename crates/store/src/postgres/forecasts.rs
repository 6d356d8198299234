//! Issued forecasts in PostgreSQL.
//!
//! "As of" and "fixed lead" walk the valid times of the range and seek one answer for each in an index, so a
//! read costs the same whether a valid time was forecast once or a thousand times.

use forewatt_domain::{Forecast, SeriesName, Time, VersionId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::failure::when;
use super::series::{check_series, id_of};
use super::stamp::Stamp;
use crate::columns;
use crate::given::check_forecast;
use crate::{ForecastKey, ForecastQuery, ForecastStore, IssuedPoint, ObservationRange, Result};

const INSERT: &str = "INSERT INTO forecast (series_id, forecast_start, issued_at, model_version, data_watermark, \
                      unit, quality, degraded, levels, first_valid_time, last_valid_time) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING RETURNING id";
/// $6 holds the quantiles of all points one after another, $7 of each.
const INSERT_POINTS: &str = "INSERT INTO forecast_point (forecast_id, series_id, forecast_start, issued_at, \
     valid_time, mean, quantiles) SELECT $1, $2, $3, $4, v, m, ($6)[(k - 1) * $7 + 1 : k * $7] \
     FROM unnest($5, $8) WITH ORDINALITY AS given (v, m, k)";

macro_rules! select_points {
    ($rest:expr) => {
        concat!(
            "SELECT f.forecast_start, f.issued_at, f.model_version, p.valid_time, p.mean, f.levels, p.quantiles ",
            $rest
        )
    };
}
pub(super) const BY_START: &str = select_points!(
    "FROM forecast f JOIN forecast_point p ON p.forecast_id = f.id WHERE f.id = (\
     SELECT id FROM forecast WHERE forecast_start = $2 \
     AND series_id = (SELECT id FROM series WHERE name = $1) ORDER BY issued_at DESC, id DESC LIMIT 1) \
     ORDER BY p.valid_time LIMIT $3"
);
macro_rules! of_series {
    () => {
        "series_id = (SELECT id FROM series WHERE name = $1)"
    };
}
/// $1 series, $2 from, $3 to, $4 what the condition needs, $5 limit. `valid` steps from one valid time to the
/// next in the index; then the newest forecast for each is sought, among equals the one stored last. Each lookup is
/// limited to one row, which keeps it a lookup whatever the planner thinks of the tables.
macro_rules! newest_for_each_valid_time {
    ($condition:literal, $newest_first:literal) => {
        concat!(
            "WITH RECURSIVE valid (t) AS ((SELECT valid_time FROM forecast_point WHERE ",
            of_series!(),
            " AND valid_time >= $2 AND valid_time < $3 ORDER BY valid_time LIMIT 1) \
             UNION ALL SELECT n.valid_time FROM valid CROSS JOIN LATERAL (\
             SELECT valid_time FROM forecast_point WHERE ",
            of_series!(),
            " AND valid_time > t AND valid_time < $3 ORDER BY valid_time LIMIT 1) n) ",
            select_points!("FROM valid CROSS JOIN LATERAL (SELECT * FROM forecast_point WHERE "),
            of_series!(),
            " AND valid_time = t AND ",
            $condition,
            " ORDER BY ",
            $newest_first,
            " LIMIT 1) p CROSS JOIN LATERAL (SELECT * FROM forecast WHERE id = p.forecast_id LIMIT 1) f \
             ORDER BY t LIMIT $5"
        )
    };
}
pub(super) const AS_OF: &str =
    newest_for_each_valid_time!("issued_at <= $4", "issued_at DESC, forecast_start DESC, forecast_id DESC");
/// $4 is the lead in microseconds.
pub(super) const FIXED_LEAD: &str = newest_for_each_valid_time!(
    "forecast_start <= t - $4 * interval '1 microsecond'",
    "forecast_start DESC, issued_at DESC, forecast_id DESC"
);
/// $1 series, $2 version, $3 from, $4 to, $5 limit. The version's forecasts come from their index by start and issue,
/// and only those that reach into the range are looked into.
pub(super) const BY_VERSION: &str = select_points!(
    "FROM forecast f CROSS JOIN LATERAL (SELECT * FROM forecast_point WHERE forecast_id = f.id \
     AND valid_time >= $3 AND valid_time < $4 ORDER BY valid_time OFFSET 0) p \
     WHERE f.series_id = (SELECT id FROM series WHERE name = $1) AND f.model_version = $2 \
     AND f.last_valid_time >= $3 AND f.first_valid_time < $4 \
     ORDER BY f.forecast_start, f.issued_at, p.valid_time LIMIT $5"
);

/// $1 series, $2 to $4 the key before, $5 limit.
pub(super) const LIST: &str = "SELECT id, forecast_start, issued_at, model_version, data_watermark, unit, quality, \
     degraded, levels FROM forecast WHERE series_id = (SELECT id FROM series WHERE name = $1) \
     AND (forecast_start, issued_at, model_version) > ($2, $3, $4) \
     ORDER BY forecast_start, issued_at, model_version LIMIT $5";
pub(super) const POINTS: &str =
    "SELECT valid_time, mean, quantiles FROM forecast_point WHERE forecast_id = $1 ORDER BY valid_time";

impl ForecastStore for Postgres {
    async fn put_forecast(&self, forecast: &Forecast) -> Result<()> {
        check_forecast(forecast)?;
        let doing = "keeping a forecast";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let series = id_of(&mut transaction, &forecast.series, doing).await?;
        let id = insert(&mut transaction, series, forecast).await.map_err(when(doing))?;
        let Some(id) = id else {
            return Ok(()); // it is there already, and an issued forecast never changes
        };
        let points = &forecast.points;
        sqlx::query(INSERT_POINTS)
            .bind(id)
            .bind(series)
            .bind(Stamp(forecast.forecast_start))
            .bind(Stamp(forecast.issued_at))
            .bind(points.iter().map(|p| Stamp(p.valid_time)).collect::<Vec<_>>())
            .bind(points.iter().flat_map(|p| p.quantiles.iter().copied()).collect::<Vec<_>>())
            .bind(i32::try_from(forecast.levels.len()).unwrap_or(i32::MAX)) // fewer than a hundred
            .bind(points.iter().map(|p| p.mean).collect::<Vec<_>>())
            .execute(&mut *transaction)
            .await
            .map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }

    async fn read_forecasts(
        &self,
        series: &SeriesName,
        query: ForecastQuery,
        limit: u32,
    ) -> Result<Vec<IssuedPoint>> {
        let doing = "reading forecasts";
        let ask = |sql: &'static str| sqlx::query(sql).bind(series.as_str());
        let limit = i64::from(limit);
        let bound = match query {
            ForecastQuery::Start { forecast_start } => ask(BY_START).bind(Stamp(forecast_start)),
            ForecastQuery::AsOf { at, from, to } => {
                ask(AS_OF).bind(Stamp(from)).bind(Stamp(to)).bind(Stamp(at))
            }
            ForecastQuery::FixedLead { lead_micros, from, to } => {
                // As a double, which is exact up to 285 years.
                ask(FIXED_LEAD).bind(Stamp(from)).bind(Stamp(to)).bind(lead_micros as f64)
            }
        };
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let points = bound
            .bind(limit)
            .try_map(|row: PgRow| columns::issued_point(&row))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))?;
        if points.is_empty() {
            check_series(&mut reader, series, doing).await?;
        }
        Ok(points)
    }

    async fn list_forecasts(
        &self,
        series: &SeriesName,
        after: Option<&ForecastKey>,
        limit: u32,
    ) -> Result<Vec<Forecast>> {
        let doing = "listing forecasts";
        // No version is empty and no time is before the first: every key follows this one.
        let first = (Time::MIN, Time::MIN, "");
        let (start, issued, version) =
            after.map_or(first, |key| (key.forecast_start, key.issued_at, key.model_version.as_str()));
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let mut all = sqlx::query(LIST)
            .bind(series.as_str())
            .bind(Stamp(start))
            .bind(Stamp(issued))
            .bind(version)
            .bind(i64::from(limit))
            .try_map(|row: PgRow| columns::forecast(&row, series))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))?;
        for (id, forecast) in &mut all {
            let query = sqlx::query(POINTS).bind(*id).try_map(|row: PgRow| columns::forecast_point(&row));
            forecast.points = query.fetch_all(&mut *reader).await.map_err(when(doing))?;
        }
        if all.is_empty() {
            check_series(&mut reader, series, doing).await?;
        }
        Ok(all.into_iter().map(|(_, forecast)| forecast).collect())
    }

    async fn read_issued_by(
        &self,
        version: &VersionId,
        range: &ObservationRange,
        limit: u32,
    ) -> Result<Vec<IssuedPoint>> {
        let doing = "reading the forecasts of a version";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let points = sqlx::query(BY_VERSION)
            .bind(range.series.as_str())
            .bind(version.as_str())
            .bind(Stamp(range.from))
            .bind(Stamp(range.to))
            .bind(i64::from(limit))
            .try_map(|row: PgRow| columns::issued_point(&row))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))?;
        if points.is_empty() {
            check_series(&mut reader, &range.series, doing).await?;
        }
        Ok(points)
    }
}

async fn insert(
    connection: &mut PgConnection,
    series: i64,
    forecast: &Forecast,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(INSERT)
        .bind(series)
        .bind(Stamp(forecast.forecast_start))
        .bind(Stamp(forecast.issued_at))
        .bind(forecast.model_version.as_str())
        .bind(Stamp(forecast.data_watermark))
        .bind(&forecast.unit)
        .bind(forecast.quality)
        .bind(forecast.degraded.as_deref())
        .bind(forecast.levels.as_slice())
        .bind(forecast.points.first().map(|p| Stamp(p.valid_time)))
        .bind(forecast.points.last().map(|p| Stamp(p.valid_time)))
        .fetch_optional(connection)
        .await
}
