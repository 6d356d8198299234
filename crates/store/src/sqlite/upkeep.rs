//! Old observations let go, in SQLite. There are no partitions: room is made by writing.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::failure::when;
use crate::columns::parse;
use crate::{Result, Upkeep, UpkeepDone, UpkeepStore};

const SERIES: &str =
    "SELECT id, kind, first_valid_time FROM series WHERE first_valid_time IS NOT NULL ORDER BY id";
const DELETE: &str = "DELETE FROM observation WHERE series_id = ?1 AND valid_time < ?2";
const SHRINK: &str = "UPDATE series SET revision = revision + 1, observations = observations - ?2, \
     first_valid_time = (SELECT min(valid_time) FROM observation WHERE series_id = ?1), \
     last_valid_time = (SELECT max(valid_time) FROM observation WHERE series_id = ?1) WHERE id = ?1";

impl UpkeepStore for Sqlite {
    async fn upkeep(&self, upkeep: &Upkeep) -> Result<UpkeepDone> {
        let doing = "letting go of old observations";
        let all: Vec<(i64, _, i64)> = sqlx::query(SERIES)
            .try_map(|row: SqliteRow| Ok((row.try_get(0)?, parse(&row, 1)?, row.try_get(2)?)))
            .fetch_all(&self.readers)
            .await
            .map_err(when(doing))?;
        let mut done = UpkeepDone::default();
        for (id, kind, first) in all {
            let Some(from) = upkeep.keeps_from(kind).filter(|from| first < from.micros()) else { continue };
            // A series at a time, so that other writers get their turn.
            let mut transaction = self.begin_write(doing).await?;
            let query = sqlx::query(DELETE).bind(id).bind(from.micros());
            let gone = query.execute(&mut *transaction).await.map_err(when(doing))?.rows_affected();
            let gone_signed = i64::try_from(gone).unwrap_or(i64::MAX); // no table has more rows
            let query = sqlx::query(SHRINK).bind(id).bind(gone_signed);
            query.execute(&mut *transaction).await.map_err(when(doing))?;
            transaction.commit().await.map_err(when(doing))?;
            done.observations_dropped += gone;
        }
        Ok(done)
    }
}
