//! Records of background jobs in PostgreSQL, each with the node that works on it.

use forewatt_domain::Time;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::failure::when;
use super::nodes::NODE_CLASS;
use super::stamp::Stamp;
use crate::columns::{self, to_json};
use crate::given::{check_job, state_word};
use crate::{JobRecord, JobStore, Result};

macro_rules! select_jobs {
    ($rest:literal) => {
        concat!(
            "SELECT id, kind, payload::text, state, progress, message, result::text, created_at, updated_at FROM job ",
            $rest
        )
    };
}
pub(super) const BY_ID: &str = select_jobs!("WHERE id = $1");
pub(super) const NEWEST: &str = select_jobs!("ORDER BY created_at DESC, id DESC LIMIT $1");
/// A job stays with the node that took it up.
const PUT: &str = "INSERT INTO job (id, kind, payload, state, progress, message, result, created_at, updated_at, node) \
                   VALUES ($1, $2, $3::json, $4, $5, $6, $7::json, $8, $9, $10) ON CONFLICT (id) DO UPDATE SET \
                   kind = $2, payload = $3::json, state = $4, progress = $5, message = $6, result = $7::json, \
                   created_at = $8, updated_at = $9";
/// $3 is this node, $4 the class of the nodes' locks: who holds none is gone.
const FAIL_ORPHANS: &str = "UPDATE job SET state = 'failed', message = $2, updated_at = $1 \
     WHERE state IN ('queued', 'running') AND (node = $3 OR NOT EXISTS (SELECT FROM pg_locks \
     WHERE locktype = 'advisory' AND classid::bigint = $4 AND objid::bigint = node AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))";

impl JobStore for Postgres {
    async fn put_job(&self, job: &JobRecord) -> Result<()> {
        check_job(job)?;
        let doing = "keeping a job's record";
        let node = self.node.number().await.map_err(when(doing))?;
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        sqlx::query(PUT)
            .bind(&job.id)
            .bind(&job.kind)
            .bind(to_json(&job.payload)?)
            .bind(state_word(job.state))
            .bind(job.progress)
            .bind(&job.message)
            .bind(job.result.as_ref().map(to_json).transpose()?)
            .bind(Stamp(job.created_at))
            .bind(Stamp(job.updated_at))
            .bind(node)
            .execute(&mut *transaction)
            .await
            .map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }

    async fn get_job(&self, id: &str) -> Result<Option<JobRecord>> {
        let doing = "reading a job's record";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let query = sqlx::query(BY_ID).bind(id).try_map(|row: PgRow| columns::job(&row));
        query.fetch_optional(&mut *reader).await.map_err(when(doing))
    }

    async fn list_jobs(&self, limit: u32) -> Result<Vec<JobRecord>> {
        let doing = "listing jobs";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let query = sqlx::query(NEWEST).bind(i64::from(limit)).try_map(|row: PgRow| columns::job(&row));
        query.fetch_all(&mut *reader).await.map_err(when(doing))
    }

    /// Jobs of this node and of nodes that are gone; those of other living nodes stay.
    async fn fail_orphans(&self, now: Time, message: &str) -> Result<u64> {
        let doing = "failing orphaned jobs";
        let node = self.node.known_number().await;
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let done = sqlx::query(FAIL_ORPHANS)
            .bind(Stamp(now))
            .bind(message)
            .bind(node)
            .bind(i64::from(NODE_CLASS))
            .execute(&mut *transaction)
            .await
            .map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))?;
        Ok(done.rows_affected())
    }
}
