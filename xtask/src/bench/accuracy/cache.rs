//! Finished results as small JSON files, so that an interrupted benchmark goes on where it stopped.
//!
//! `FOLDER/runs/TASK/MODEL/PART-KEY.json` holds the scores of one backtest; the key is a hash of everything they
//! depend on. `FOLDER/results/TASK.json` holds what the page shows of a task.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::metrics::Metrics;

/// Counts up when a score is computed in another way, so that older results are not taken for new ones.
pub const SCORING: &str = "1";

/// The scores and costs of one backtest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The scores.
    pub metrics: Metrics,
    /// Seconds from start to end.
    pub wall_s: f64,
    /// The most resident memory in MiB.
    pub peak_mib: f64,
}

/// Scores of a task: over all its parts, and of each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// The mean over the parts.
    pub metrics: Metrics,
    /// By part, in the task's order.
    pub parts: Vec<(String, Metrics)>,
}

/// What a model reached.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ModelResult {
    /// Its scores.
    pub summary: Summary,
    /// Seconds of all backtests together.
    pub wall_s: f64,
    /// The most memory of any backtest in MiB.
    pub peak_mib: f64,
    /// The hash of the executable that was measured.
    pub executable: String,
}

/// What is known of a task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct TaskResult {
    /// The hash of the task's protocol: results of another one are not comparable.
    pub protocol: String,
    /// The command that made the first part, without paths.
    pub command: String,
    /// Naive, official and published forecasts, scored here on the same rows.
    pub anchors: Vec<(String, Summary)>,
    /// By model.
    pub models: BTreeMap<String, ModelResult>,
    /// Why a model has no result.
    pub failures: BTreeMap<String, String>,
}

/// The folder of results.
#[derive(Debug, Default)]
pub struct Cache {
    folder: PathBuf,
    /// Read no backtest that another process made.
    fresh: bool,
    /// What this one made: two tasks may share a backtest.
    made: Mutex<BTreeSet<PathBuf>>,
}

impl Cache {
    /// A folder of results; a `fresh` one does not read what other processes made.
    pub fn new(folder: PathBuf, fresh: bool) -> Self {
        Self { folder, fresh, made: Mutex::default() }
    }

    /// A finished backtest.
    pub fn run(&self, task: &str, model: &str, part: &str, key: &str) -> Option<RunResult> {
        let path = self.run_path(task, model, part, key);
        if self.fresh && !self.made().contains(&path) {
            return None;
        }
        // An unreadable result is computed again.
        read(&path)
    }

    fn made(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        // A poisoned lock only means that another thread panicked: the set is still one.
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a finished backtest.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_run(
        &self,
        task: &str,
        model: &str,
        part: &str,
        key: &str,
        run: &RunResult,
    ) -> anyhow::Result<()> {
        let path = self.run_path(task, model, part, key);
        write(&path, run)?;
        self.made().insert(path);
        Ok(())
    }

    fn run_path(&self, task: &str, model: &str, part: &str, key: &str) -> PathBuf {
        let safe = part.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        self.folder.join("runs").join(task).join(model).join(format!("{safe}-{}.json", &key[..16]))
    }

    /// What is known of a task; nothing when nothing is.
    pub fn result(&self, task: &str) -> TaskResult {
        read(&self.result_path(task)).unwrap_or_default()
    }

    /// Keeps what is known of a task.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep_result(&self, task: &str, result: &TaskResult) -> anyhow::Result<()> {
        write(&self.result_path(task), result)
    }

    fn result_path(&self, task: &str) -> PathBuf {
        self.folder.join("results").join(format!("{task}.json"))
    }
}

/// SHA-256 of several byte strings in hexadecimal; where one ends matters.
pub fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// Writes beside and renames, so that an interruption leaves no half of a file.
fn write<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", path.display());
    std::fs::create_dir_all(path.parent().unwrap_or(path)).with_context(told)?;
    let beside = path.with_extension("new");
    std::fs::write(&beside, serde_json::to_vec_pretty(value)?).with_context(told)?;
    std::fs::rename(&beside, path).with_context(told)
}

#[cfg(test)]
mod tests {
    use super::super::metrics::named;
    use super::*;

    #[test]
    fn results_come_back_unless_the_key_differs_or_fresh_ones_are_wanted() {
        let folder = std::env::temp_dir().join(format!("forewatt-accuracy-cache-{}", std::process::id()));
        let cache = Cache::new(folder.clone(), false);
        let run = RunResult { metrics: named(&[("MAE", 0.1)]), wall_s: 1.5, peak_mib: 2.0 };
        let (key, other) = (digest(&[b"a", b"b"]), digest(&[b"ab", b""]));
        cache.keep_run("t", "m", "zone 1/a", &key, &run).unwrap();
        assert_eq!(cache.run("t", "m", "zone 1/a", &key), Some(run.clone()));
        assert_eq!(cache.run("t", "m", "zone 1/a", &other), None);
        assert_eq!(cache.run("t", "other", "zone 1/a", &key), None);
        let fresh = Cache::new(folder.clone(), true);
        assert_eq!(fresh.run("t", "m", "zone 1/a", &key), None);
        fresh.keep_run("t", "m", "zone 1/a", &key, &run).unwrap();
        assert_eq!(fresh.run("t", "m", "zone 1/a", &key), Some(run));
        let result = TaskResult { protocol: "p".to_owned(), ..TaskResult::default() };
        cache.keep_result("t", &result).unwrap();
        assert_eq!((cache.result("t"), cache.result("u")), (result, TaskResult::default()));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_digest_is_sha_256() {
        assert_eq!(digest(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
