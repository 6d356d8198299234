//! The audit log: a line for every changed series, and for refused requests as many as a minute may have.

use std::sync::{Mutex, PoisonError};

use forewatt_domain::recipe::hex;
use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_domain::{SeriesName, Time};
use forewatt_store::{AuditEntry, AuditStore, SeriesStore, VersionStore};
use sha2::{Digest, Sha256};

use super::{Call, Change, current, may_name};
use crate::Service;
use crate::error::Result;

/// Lines in one answer when the caller names no limit.
const LINES_DEFAULT: u32 = 1_000;

impl Service {
    /// To be asked before a series is changed: refuses what the present call may not name, and remembers for the audit
    /// log what the series was.
    pub(crate) async fn will_change(&self, name: &SeriesName) -> Result<()> {
        may_name(name)?;
        let Some(call) = current().filter(|call| !call.knows_change(name)) else { return Ok(()) };
        let before = self.digest_of(name).await?;
        call.changes().push(Change { series: name.clone(), before });
        Ok(())
    }

    /// A digest of what there is of a series: its description, how far its data reach, its aliases.
    async fn digest_of(&self, name: &SeriesName) -> Result<Option<String>> {
        let Some((series, state)) = self.store.get_series(name).await? else { return Ok(None) };
        let aliases = self.store.aliases(name).await?;
        // Text, numbers and maps always serialise.
        let text = serde_json::to_vec(&(series, state, aliases)).unwrap_or_default();
        Ok(Some(hex(&Sha256::digest(&text))))
    }

    /// Writes what a call changed into the audit log: a line a series; nothing when it changed none.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audit_call(&self, call: &Call, action: &str, outcome: &str, request_id: &str) -> Result<()> {
        let changes = call.changes().clone();
        let mut lines = Vec::with_capacity(changes.len());
        for Change { series, before } in changes {
            let after = self.digest_of(&series).await?;
            lines.push(AuditEntry {
                at: crate::system_now(),
                actor: call.actor().to_owned(),
                action: action.to_owned(),
                outcome: outcome.to_owned(),
                series: Some(series),
                before,
                after,
                request_id: request_id.to_owned(),
                count: 1,
            });
        }
        if lines.is_empty() { Ok(()) } else { Ok(self.store.append_audit(&lines).await?) }
    }

    /// Writes a line about something that is no series.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audit_line(
        &self,
        actor: &str,
        action: &str,
        outcome: &str,
        request_id: &str,
        count: u32,
    ) -> Result<()> {
        let text = str::to_owned;
        let entry = AuditEntry {
            at: crate::system_now(),
            actor: text(actor),
            action: text(action),
            outcome: text(outcome),
            series: None,
            before: None,
            after: None,
            request_id: text(request_id),
            count,
        };
        Ok(self.store.append_audit(&[entry]).await?)
    }

    /// Writes that the present caller changed something that is no series, such as a webhook.
    pub(crate) async fn note_change(&self, action: &str, what: &str) -> Result<()> {
        let call = current();
        let actor = call.as_ref().map_or("command line", |call| call.actor());
        self.audit_line(actor, action, what, "", 1).await
    }

    /// Lines of the audit log, newest first, from `since` on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_audit(&self, since: Option<Time>, limit: Option<u32>) -> Result<Vec<AuditEntry>> {
        let limit = limit.unwrap_or(LINES_DEFAULT).min(self.config.limits.list_max);
        Ok(self.store.list_audit(since, limit).await?)
    }
}

/// Decides which refusals get a line, so that whoever is refused cannot fill the disk.
#[derive(Debug)]
pub struct RefusalLog {
    max_per_minute: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    minute: i64,
    written: u32,
    unwritten: u32,
}

impl RefusalLog {
    /// At most so many lines a minute.
    #[must_use]
    pub fn new(max_per_minute: u32) -> Self {
        Self { max_per_minute, window: Mutex::default() }
    }

    /// How many refusals the line of this one stands for: itself and those before it that got none; `None` when it gets
    /// none either.
    pub fn note(&self, now: Time) -> Option<u32> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.micros().div_euclid(60 * MICROS_PER_SECOND);
        if minute != window.minute {
            (window.minute, window.written) = (minute, 0);
        }
        if window.written >= self.max_per_minute {
            window.unwritten = window.unwritten.saturating_add(1);
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.unwritten).saturating_add(1))
    }
}
