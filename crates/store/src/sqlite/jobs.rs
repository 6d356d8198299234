//! Records of background jobs in SQLite.

use forewatt_domain::Time;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::failure::when;
use crate::columns::{self, to_json};
use crate::given::{check_job, state_word};
use crate::{JobRecord, JobStore, Result};

macro_rules! select_jobs {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, payload, state, progress, message, result, created_at, updated_at FROM job ",
            $rest
        )
    };
}
const BY_ID: &str = select_jobs!("WHERE id = ?1");
const NEWEST: &str = select_jobs!("ORDER BY created_at DESC, id DESC LIMIT ?1");
const PUT: &str = "INSERT INTO job (id, kind, payload, state, progress, message, result, created_at, updated_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO UPDATE SET \
                   kind = ?2, payload = ?3, state = ?4, progress = ?5, message = ?6, result = ?7, \
                   created_at = ?8, updated_at = ?9";
const FAIL_ORPHANS: &str = "UPDATE job SET state = 'failed', message = ?2, updated_at = ?1 \
                            WHERE state IN ('queued', 'running')";

impl JobStore for Sqlite {
    async fn put_job(&self, job: &JobRecord) -> Result<()> {
        check_job(job)?;
        sqlx::query(PUT)
            .bind(&job.id)
            .bind(&job.kind)
            .bind(to_json(&job.payload)?)
            .bind(state_word(job.state))
            .bind(job.progress)
            .bind(&job.message)
            .bind(job.result.as_ref().map(to_json).transpose()?)
            .bind(job.created_at.micros())
            .bind(job.updated_at.micros())
            .execute(&self.writer)
            .await
            .map_err(when("keeping a job's record"))?;
        Ok(())
    }

    async fn get_job(&self, id: &str) -> Result<Option<JobRecord>> {
        sqlx::query(BY_ID)
            .bind(id)
            .try_map(|row: SqliteRow| columns::job(&row))
            .fetch_optional(&self.readers)
            .await
            .map_err(when("reading a job's record"))
    }

    async fn list_jobs(&self, limit: u32) -> Result<Vec<JobRecord>> {
        sqlx::query(NEWEST)
            .bind(i64::from(limit))
            .try_map(|row: SqliteRow| columns::job(&row))
            .fetch_all(&self.readers)
            .await
            .map_err(when("listing jobs"))
    }

    async fn fail_orphans(&self, now: Time, message: &str) -> Result<u64> {
        let done = sqlx::query(FAIL_ORPHANS)
            .bind(now.micros())
            .bind(message)
            .execute(&self.writer)
            .await
            .map_err(when("failing orphaned jobs"))?;
        Ok(done.rows_affected())
    }
}
