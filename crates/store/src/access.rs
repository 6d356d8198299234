//! Keys of the API and the log of what was changed, as a store keeps them.

use std::future::Future;

use forewatt_domain::{Reach, Scope, SeriesName, Time};
use serde::Serialize;

use crate::Result;

/// A key as it is kept: everything but the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRecord {
    /// The public part of the key.
    pub id: String,
    /// Whose it is, in the words of whoever made it.
    pub name: String,
    /// SHA-256 of the key's whole text, in hex.
    #[serde(skip)]
    pub sha256: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Which series it may name.
    pub series: Reach,
    /// When it was made.
    pub created_at: Time,
    /// When it ends; `None` for never.
    pub expires_at: Option<Time>,
    /// When it was revoked.
    pub revoked_at: Option<Time>,
    /// The id of the key that took its place.
    pub successor: Option<String>,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEntry {
    /// When.
    pub at: Time,
    /// Who: `key 3f.. (name)`, `anonymous`, `cli user`.
    pub actor: String,
    /// What was asked for: `POST /v1/train`, `forewatt import`.
    pub action: String,
    /// What came of it: a status, or why it was refused.
    pub outcome: String,
    /// The series that was changed, when it was one.
    pub series: Option<SeriesName>,
    /// A digest of the series before: its description, revision and aliases; `None` when there was none.
    pub before: Option<String>,
    /// The same afterwards.
    pub after: Option<String>,
    /// Under which the server's log knows the request; empty on the command line.
    pub request_id: String,
    /// How many like it this line stands for.
    pub count: u32,
}

/// Keys of the API.
pub trait KeyStore {
    /// Keeps a new key; [`crate::Error::Conflict`] when there is one of this id.
    fn add_key(&self, key: &KeyRecord) -> impl Future<Output = Result<()>> + Send;
    /// One key.
    fn get_key(&self, id: &str) -> impl Future<Output = Result<Option<KeyRecord>>> + Send;
    /// Keys, newest first, at most `limit`.
    fn list_keys(&self, limit: u32) -> impl Future<Output = Result<Vec<KeyRecord>>> + Send;
    /// Ends a key for good. Revoking it again changes nothing.
    fn revoke_key(&self, id: &str, at: Time) -> impl Future<Output = Result<()>> + Send;
    /// Keeps `next` in place of `id`, which ends at `ends_at` if not sooner: both or neither. A key that is revoked or
    /// has a successor is a [`crate::Error::Conflict`].
    fn rotate_key(
        &self,
        id: &str,
        ends_at: Time,
        next: &KeyRecord,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// The log of changes and refusals. Nothing of it can be changed or deleted.
pub trait AuditStore {
    /// Adds lines, all or none.
    fn append_audit(&self, entries: &[AuditEntry]) -> impl Future<Output = Result<()>> + Send;
    /// Lines from `since` on, newest first, at most `limit`.
    fn list_audit(
        &self,
        since: Option<Time>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AuditEntry>>> + Send;
}
