//! How often each model was asked and how long it took, in this process.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use forewatt_service::access;
use forewatt_service::domain::{Time, VersionId};

/// Models that are counted. They are series and versions that exist, so only a registry larger than this leaves any out.
const MODELS_MAX: usize = 100_000;

/// Where the time of one question went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    last: Instant,
    input: Duration,
    compute: Duration,
    output: Duration,
}

impl Spent {
    pub(super) fn begin() -> Self {
        Self { last: Instant::now(), input: Duration::ZERO, compute: Duration::ZERO, output: Duration::ZERO }
    }

    fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now - self.last;
        self.last = now;
        lap
    }

    /// The tensors are read.
    pub(super) fn read(&mut self) {
        self.input = self.lap();
    }

    /// The model has answered.
    pub(super) fn asked(&mut self) {
        self.compute = self.lap();
    }

    /// The answer's tensors are made.
    pub(super) fn written(&mut self) {
        self.output = self.lap();
    }
}

/// A count and the time it took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// All together, in ns.
    pub ns: u64,
}

impl Sum {
    fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.ns = self.ns.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// What is told of one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// When it last answered, in ms since 1970; 0 when never.
    pub last_ms: u64,
    /// Questions that were answered.
    pub success: Sum,
    /// Questions that failed.
    pub fail: Sum,
    /// Reading the tensors.
    pub input: Sum,
    /// The model.
    pub infer: Sum,
    /// Making the answer's tensors.
    pub output: Sum,
}

/// The statistics of all models. The lock is held for a few additions.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<(String, String), Told>>);

impl Tally {
    pub(super) fn add(&self, name: &str, version: &str, spent: &Spent, answered: bool, now: Time) {
        // A poisoned lock only means that another thread panicked: the sums are whole.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), version.to_owned());
        if all.len() >= MODELS_MAX && !all.contains_key(&key) {
            return;
        }
        let told = all.entry(key).or_default();
        let whole = spent.input + spent.compute + spent.output;
        if !answered {
            told.fail.add(whole);
            return;
        }
        told.last_ms = u64::try_from(now.micros() / 1_000).unwrap_or(0);
        told.success.add(whole);
        told.input.add(spent.input);
        told.infer.add(spent.compute);
        told.output.add(spent.output);
    }

    /// One model; zeros when nobody asked it.
    pub fn of(&self, name: &str, version: &str) -> Told {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&(name.to_owned(), version.to_owned())).copied().unwrap_or_default()
    }

    /// Every model that was asked and that the caller may name, by name and version.
    pub fn all(&self) -> Vec<((String, String), Told)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = |name: &str| {
            name.parse().is_ok_and(|name| access::covers(&name))
                || VersionId::from_text(name).is_some_and(|id| access::covers_version(&id))
        };
        all.iter().filter(|((name, _), _)| mine(name)).map(|(key, told)| (key.clone(), *told)).collect()
    }
}
