//! Model versions, aliases and their history in PostgreSQL; the artifacts lie beside it.

use std::collections::BTreeMap;

use forewatt_domain::{Alias, ModelVersion, SeriesName, Time, VersionId};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::Postgres;
use super::failure::when;
use super::observations::LOCK_SERIES;
use super::stamp::Stamp;
use crate::columns::{self, parse, to_json};
use crate::given::{check_version, no_series, short_number};
use crate::{AliasMove, Error, NewVersion, Result, VersionStore};

macro_rules! select_versions {
    ($rest:literal) => {
        concat!(
            "SELECT v.name, s.name, v.recipe::text, v.recipe_id, v.parent, v.created_at, v.trained_from, v.trained_to, \
             v.as_of, v.metrics::text, v.notes::text, v.artifact_sha256, v.artifact_bytes \
             FROM version v JOIN series s ON s.id = v.series_id ",
            $rest
        )
    };
}
pub(super) const BY_NAME: &str = select_versions!("WHERE v.name = $1");
pub(super) const OF_SERIES: &str = select_versions!("WHERE s.name = $1 ORDER BY v.number DESC LIMIT $2");
const OF_ALL: &str = select_versions!("ORDER BY v.id DESC LIMIT $1");
const NEXT_NUMBER: &str = "SELECT coalesce(max(number), 0) + 1 FROM version WHERE series_id = $1";
const ID: &str = "SELECT id, series_id FROM version WHERE name = $1";
const INSERT: &str = "INSERT INTO version (series_id, number, name, recipe, recipe_id, parent, created_at, \
                      trained_from, trained_to, as_of, metrics, notes, artifact_sha256, artifact_bytes) \
                      VALUES ($1, $2, $3, $4::json, $5, $6, $7, $8, $9, $10, $11::json, $12::json, $13, $14)";
const ALIASES: &str = "SELECT a.alias, v.name FROM alias a JOIN version v ON v.id = a.version_id \
                       WHERE a.series_id = (SELECT id FROM series WHERE name = $1)";
const ALIAS: &str = "SELECT version_id FROM alias WHERE series_id = $1 AND alias = $2";
const SET_ALIAS: &str = "INSERT INTO alias (series_id, alias, version_id) VALUES ($1, $2, $3) \
                         ON CONFLICT (series_id, alias) DO UPDATE SET version_id = $3";
const KEEP_MOVE: &str = "INSERT INTO alias_history (series_id, alias, version_id, previous_id, moved_at, reason) \
                         VALUES ($1, $2, $3, $4, $5, $6)";
const MOVES: &str = "SELECT h.alias, v.name, p.name, h.moved_at, h.reason FROM alias_history h \
                     JOIN version v ON v.id = h.version_id LEFT JOIN version p ON p.id = h.previous_id \
                     WHERE h.series_id = (SELECT id FROM series WHERE name = $1) ORDER BY h.id DESC LIMIT $2";

impl VersionStore for Postgres {
    async fn add_version(&self, version: NewVersion) -> Result<ModelVersion> {
        check_version(&version)?;
        self.artifacts.size(&version.artifact_sha256).await?;
        let doing = "registering a model version";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let series = lock_series(&mut transaction, &version.series, doing).await?;
        if let Some(parent) = &version.parent {
            find(&mut transaction, parent, doing).await?;
        }
        let number: i64 = sqlx::query_scalar(NEXT_NUMBER)
            .bind(series)
            .fetch_one(&mut *transaction)
            .await
            .map_err(when(doing))?;
        let id = VersionId::new(&version.series, short_number(&version, number)?);
        let version = version.with_id(id);
        insert(&mut transaction, series, number, &version).await?;
        transaction.commit().await.map_err(when(doing))?;
        Ok(version)
    }

    async fn get_version(&self, id: &VersionId) -> Result<Option<ModelVersion>> {
        let doing = "reading a model version";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        sqlx::query(BY_NAME)
            .bind(id.as_str())
            .try_map(|row: PgRow| columns::version(&row))
            .fetch_optional(&mut *reader)
            .await
            .map_err(when(doing))
    }

    async fn list_versions(&self, series: Option<&SeriesName>, limit: u32) -> Result<Vec<ModelVersion>> {
        let query = match series {
            Some(name) => sqlx::query(OF_SERIES).bind(name.as_str()),
            None => sqlx::query(OF_ALL),
        };
        let doing = "listing model versions";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        query
            .bind(i64::from(limit))
            .try_map(|row: PgRow| columns::version(&row))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))
    }

    async fn aliases(&self, series: &SeriesName) -> Result<BTreeMap<Alias, VersionId>> {
        let doing = "reading aliases";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        let pairs = sqlx::query(ALIASES)
            .bind(series.as_str())
            .try_map(|row: PgRow| Ok((parse(&row, 0)?, columns::version_id(&row, 1)?)))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))?;
        Ok(pairs.into_iter().collect())
    }

    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: Alias,
        id: &VersionId,
        now: Time,
        reason: &str,
    ) -> Result<()> {
        let doing = "moving an alias";
        let mut transaction = self.primary.begin().await.map_err(when(doing))?;
        let series_id = lock_series(&mut transaction, series, doing).await?;
        let (version, owner) = find(&mut transaction, id, doing).await?;
        if owner != series_id {
            return Err(Error::Invalid {
                what: "alias",
                name: alias.as_str().to_owned(),
                detail: format!("{id} is not a version of {series}; name one of its own versions"),
            });
        }
        let previous: Option<i64> = sqlx::query_scalar(ALIAS)
            .bind(series_id)
            .bind(alias.as_str())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(when(doing))?;
        if previous == Some(version) {
            return Ok(()); // a retried move is one move
        }
        let query = sqlx::query(SET_ALIAS).bind(series_id).bind(alias.as_str()).bind(version);
        query.execute(&mut *transaction).await.map_err(when(doing))?;
        let query = sqlx::query(KEEP_MOVE).bind(series_id).bind(alias.as_str()).bind(version);
        let query = query.bind(previous).bind(Stamp(now)).bind(reason);
        query.execute(&mut *transaction).await.map_err(when(doing))?;
        transaction.commit().await.map_err(when(doing))
    }

    async fn alias_moves(&self, series: &SeriesName, limit: u32) -> Result<Vec<AliasMove>> {
        let doing = "reading an alias' history";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        sqlx::query(MOVES)
            .bind(series.as_str())
            .bind(i64::from(limit))
            .try_map(|row: PgRow| columns::alias_move(&row))
            .fetch_all(&mut *reader)
            .await
            .map_err(when(doing))
    }

    async fn put_artifact(&self, bytes: &[u8]) -> Result<String> {
        self.artifacts.put(bytes).await
    }

    async fn get_artifact(&self, sha256: &str) -> Result<Vec<u8>> {
        self.artifacts.get(sha256).await
    }
}

/// The key of a series, whose other writers wait until the transaction ends: numbers and moves must not overtake.
async fn lock_series(connection: &mut PgConnection, name: &SeriesName, doing: &str) -> Result<i64> {
    let query = sqlx::query_scalar(LOCK_SERIES).bind(name.as_str());
    let id = query.fetch_optional(connection).await.map_err(when(doing))?;
    id.ok_or_else(|| no_series(name))
}

/// A version's key and that of its series.
async fn find(connection: &mut PgConnection, id: &VersionId, doing: &str) -> Result<(i64, i64)> {
    sqlx::query_as(ID)
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(when(doing))?
        .ok_or_else(|| Error::NotFound { what: "model version", name: id.to_string() })
}

async fn insert(
    connection: &mut PgConnection,
    series: i64,
    number: i64,
    version: &ModelVersion,
) -> Result<()> {
    let bytes = i64::try_from(version.artifact_bytes).map_err(|e| Error::Invalid {
        what: "model version",
        name: version.id.to_string(),
        detail: format!("its artifact's size: {e}"),
    })?;
    sqlx::query(INSERT)
        .bind(series)
        .bind(number)
        .bind(version.id.as_str())
        .bind(to_json(&version.recipe)?)
        .bind(&version.recipe_id)
        .bind(version.parent.as_ref().map(VersionId::as_str))
        .bind(Stamp(version.created_at))
        .bind(Stamp(version.trained_from))
        .bind(Stamp(version.trained_to))
        .bind(Stamp(version.as_of))
        .bind(to_json(&version.metrics)?)
        .bind(to_json(&version.notes)?)
        .bind(&version.artifact_sha256)
        .bind(bytes)
        .execute(connection)
        .await
        .map_err(when("registering a model version"))?;
    Ok(())
}
