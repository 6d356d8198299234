//! Results of quality checks in SQLite.

use forewatt_domain::SeriesName;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::failure::when;
use super::series::id_of;
use crate::columns::{self, to_json};
use crate::given::check_quality;
use crate::{QualityRecord, QualityStore, Result};

const PUT: &str = "INSERT INTO quality (series_id, checked_at, revision, score, findings) \
                   VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (series_id, checked_at) \
                   DO UPDATE SET revision = ?3, score = ?4, findings = ?5";
const LATEST: &str = "SELECT checked_at, revision, score, findings FROM quality \
                      WHERE series_id = (SELECT id FROM series WHERE name = ?1) \
                      ORDER BY checked_at DESC LIMIT 1";

impl QualityStore for Sqlite {
    async fn put_quality(&self, record: &QualityRecord) -> Result<()> {
        let revision = check_quality(record)?;
        let doing = "keeping a quality check";
        let mut transaction = self.begin_write(doing).await?;
        let series = id_of(&mut transaction, &record.series, doing).await?;
        sqlx::query(PUT)
            .bind(series)
            .bind(record.checked_at.micros())
            .bind(revision)
            .bind(record.score)
            .bind(to_json(&record.findings)?)
            .execute(&mut *transaction)
            .await
            .map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }

    async fn latest_quality(&self, series: &SeriesName) -> Result<Option<QualityRecord>> {
        sqlx::query(LATEST)
            .bind(series.as_str())
            .try_map(|row: SqliteRow| columns::quality(&row, series))
            .fetch_optional(&self.readers)
            .await
            .map_err(when("reading a quality check"))
    }
}
