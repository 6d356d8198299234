//! Who calls, which series that caller may name, and what the call changed and cost; the same for every transport.
//!
//! A transport runs the use cases inside [`Call::scope`]. Wherever a use case finds a series or a version by name, it
//! asks whether the present call may name it, before it looks for it: so no route can forget to ask, and what is not
//! there is refused as what is somebody else's. Work without a call (upkeep, the command line's own) may name everything.

mod audit;
pub mod config;
mod keys;
pub mod oidc;
mod rate;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use forewatt_domain::{Reach, SeriesName, VersionId};

use crate::error::{Error, ErrorKind, Result};

pub use audit::RefusalLog;
pub use keys::{Guard, KEY_PREFIX, MadeKey, NewKey, Refusal};
pub use oidc::{Oidc, Subject};
pub use rate::{Denied, Entered, Limiter, Standing, Why};

tokio::task_local! {
    static CALL: Arc<Call>;
}

/// What every refusal for want of a right says: nothing about what there is.
pub const FORBIDDEN: &str =
    "this caller may not do this; a key names its scopes and its series when it is made";

/// The most series of one call whose change is told one by one.
const CHANGES_MAX: usize = 1_000;

/// One request or command on its way through the use cases.
#[derive(Debug)]
pub struct Call {
    actor: String,
    /// `None`: every series.
    reach: Option<Reach>,
    changes: Mutex<Vec<Change>>,
    values: AtomicU64,
    refused: AtomicBool,
}

/// A series that a call was about to change, and what it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub series: SeriesName,
    pub before: Option<String>,
}

impl Call {
    /// A call by somebody who may name these series.
    #[must_use]
    pub fn new(actor: impl Into<String>, reach: &Reach) -> Arc<Self> {
        let reach = (!reach.is_all()).then(|| reach.clone());
        Arc::new(Self {
            actor: actor.into(),
            reach,
            changes: Mutex::default(),
            values: AtomicU64::new(0),
            refused: AtomicBool::new(false),
        })
    }

    /// Who calls.
    #[must_use]
    pub fn actor(&self) -> &str {
        &self.actor
    }

    /// Runs work as this call.
    pub async fn scope<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> T {
        CALL.scope(Arc::clone(self), work).await
    }

    /// Runs a step of work as this call: for streams, which are polled after their request was answered.
    pub fn step<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        CALL.sync_scope(Arc::clone(self), work)
    }

    /// Whether anything was changed, or was about to be.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes().is_empty()
    }

    /// Values asked for and sent until now: steps times levels of forecasts, observations read and written.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values.load(Ordering::Relaxed)
    }

    /// Whether it named a series that it may not name.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    fn covers(&self, name: &SeriesName) -> bool {
        self.reach.as_ref().is_none_or(|reach| reach.covers(name))
    }

    fn changes(&self) -> std::sync::MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn knows_change(&self, name: &SeriesName) -> bool {
        let changes = self.changes();
        changes.len() >= CHANGES_MAX || changes.iter().any(|change| change.series == *name)
    }
}

/// The call that is at work here.
pub(crate) fn current() -> Option<Arc<Call>> {
    CALL.try_with(Arc::clone).ok()
}

/// Work for a task of its own that goes on as the present call.
pub(crate) fn carried<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let call = current();
    async move {
        match call {
            Some(call) => call.scope(work).await,
            None => work.await,
        }
    }
}

/// Whether the present call may name a series.
#[must_use]
pub fn covers(name: &SeriesName) -> bool {
    CALL.try_with(|call| call.covers(name)).unwrap_or(true)
}

/// Whether the present call may name every series.
pub(crate) fn covers_all() -> bool {
    CALL.try_with(|call| call.reach.is_none()).unwrap_or(true)
}

/// Whether the present call may name a version: its series decides.
#[must_use]
pub fn covers_version(id: &VersionId) -> bool {
    covers_all() || series_of(id).is_some_and(|name| covers(&name))
}

/// Refuses a series that the present call may not name.
///
/// # Errors
/// `Forbidden`, in the same words whether there is such a series or not.
pub(crate) fn may_name(name: &SeriesName) -> Result<()> {
    if covers(name) { Ok(()) } else { Err(refuse()) }
}

/// Refuses a version of such a series.
pub(crate) fn may_name_version(id: &VersionId) -> Result<()> {
    if covers_version(id) { Ok(()) } else { Err(refuse()) }
}

/// Remembers for the audit log that the present call was refused.
fn refuse() -> Error {
    let _ = CALL.try_with(|call| call.refused.store(true, Ordering::Relaxed)); // without a call nothing is refused
    forbidden()
}

/// The refusal of whatever the caller has no right to.
#[must_use]
pub fn forbidden() -> Error {
    Error::new(ErrorKind::Forbidden, FORBIDDEN)
}

/// Counts values towards the cost of the present call.
pub(crate) fn charge(values: usize) {
    // Without a call nobody is charged.
    let _ = CALL.try_with(|call| call.values.fetch_add(values as u64, Ordering::Relaxed));
}

/// The series of a version: its id is the series' name, `-v` and a number.
fn series_of(id: &VersionId) -> Option<SeriesName> {
    let (series, number) = id.as_str().rsplit_once("-v")?;
    let counts = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    series.parse().ok().filter(|_| counts)
}
