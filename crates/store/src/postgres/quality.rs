//! Results of quality checks in PostgreSQL.

use forewatt_domain::SeriesName;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::failure::when;
use super::series::id_of;
use super::stamp::Stamp;
use crate::columns::{self, to_json};
use crate::given::check_quality;
use crate::{QualityRecord, QualityStore, Result};

const PUT: &str = "INSERT INTO quality (series_id, checked_at, revision, score, findings) \
                   VALUES ($1, $2, $3, $4, $5::json) ON CONFLICT (series_id, checked_at) \
                   DO UPDATE SET revision = $3, score = $4, findings = $5::json";
pub(super) const LATEST: &str = "SELECT checked_at, revision, score, findings::text FROM quality \
                      WHERE series_id = (SELECT id FROM series WHERE name = $1) \
                      ORDER BY checked_at DESC LIMIT 1";

impl QualityStore for Postgres {
    async fn put_quality(&self, record: &QualityRecord) -> Result<()> {
        let revision = check_quality(record)?;
        let doing = "keeping a quality check";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let series = id_of(&mut transaction, &record.series, doing).await?;
        sqlx::query(PUT)
            .bind(series)
            .bind(Stamp(record.checked_at))
            .bind(revision)
            .bind(record.score)
            .bind(to_json(&record.findings)?)
            .execute(&mut *transaction)
            .await
            .map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }

    async fn latest_quality(&self, series: &SeriesName) -> Result<Option<QualityRecord>> {
        let doing = "reading a quality check";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        sqlx::query(LATEST)
            .bind(series.as_str())
            .try_map(|row: PgRow| columns::quality(&row, series))
            .fetch_optional(&mut *reader)
            .await
            .map_err(when(doing))
    }
}
