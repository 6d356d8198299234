//! Labels of series and versions in PostgreSQL.

use forewatt_domain::SeriesName;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::failure::when;
use super::series::id_of;
use crate::Result;
use crate::labels::{Label, LabelKey, LabelKind, LabelStore, check_label};

const COUNT: &str =
    "SELECT count(*) FROM label WHERE series_id = $1 AND NOT (version = $2 AND kind = $3 AND name = $4)";
const PUT: &str = "INSERT INTO label (series_id, version, kind, name, value) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (series_id, version, kind, name) DO UPDATE SET value = $5";
const REMOVE: &str = "DELETE FROM label WHERE series_id = $1 AND version = $2 AND kind = $3 AND name = $4";
const ALL: &str = "SELECT version, kind, name, value FROM label \
                   WHERE series_id = (SELECT id FROM series WHERE name = $1) ORDER BY version COLLATE \"C\", kind COLLATE \"C\", name COLLATE \"C\"";

impl LabelStore for Postgres {
    async fn put_label(&self, label: &Label) -> Result<()> {
        let (doing, key) = ("keeping a label", &label.key);
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let series = id_of(&mut transaction, &key.series, doing).await?;
        let query =
            sqlx::query_scalar(COUNT).bind(series).bind(&key.version).bind(key.kind.as_str()).bind(&key.name);
        check_label(label, query.fetch_one(&mut *transaction).await.map_err(when(doing))?)?;
        let query = sqlx::query(PUT).bind(series).bind(&key.version).bind(key.kind.as_str());
        let query = query.bind(&key.name).bind(&label.value);
        query.execute(&mut *transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }

    async fn remove_label(&self, key: &LabelKey) -> Result<bool> {
        let doing = "taking a label away";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let series = id_of(&mut transaction, &key.series, doing).await?;
        let query =
            sqlx::query(REMOVE).bind(series).bind(&key.version).bind(key.kind.as_str()).bind(&key.name);
        let done = query.execute(&mut *transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))?;
        Ok(done.rows_affected() > 0)
    }

    async fn labels(&self, series: &SeriesName) -> Result<Vec<Label>> {
        let doing = "reading labels";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        sqlx::query(ALL)
            .bind(series.as_str())
            .try_map(|row: PgRow| {
                let kind: String = row.try_get(1)?;
                let (version, name) = (row.try_get(0)?, row.try_get(2)?);
                let key = LabelKey { series: series.clone(), version, kind: LabelKind::of(&kind)?, name };
                Ok(Label { key, value: row.try_get(3)? })
            })
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))
    }
}
