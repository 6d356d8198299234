//! Accuracy on public data: every model of the real executable beside naive, official and published forecasts.
//!
//! `cargo xtask bench accuracy [TASK]` runs `forewatt backtest` for each task and model, keeps what is finished
//! and writes `docs/benchmarks/accuracy.md`; `docs/benchmarks/README.md` says how to repeat it.

mod cache;
pub mod data;
mod epf;
mod ett;
mod exe;
mod gefcom_load;
mod load;
mod m4;
pub mod metrics;
mod page;
mod task;
mod tasks;
mod wind;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;

use cache::{Cache, ModelResult, RunResult, Summary, TaskResult, digest};
use data::Source;
use exe::{Cost, Executable};
use metrics::Metrics;
use task::{Input, Part, Task};
use tasks::TASKS;

/// What the benchmark is about, for the list.
pub const ABOUT: &str = "Every model on public data, beside naive, official and published forecasts.";

/// Flags of the accuracy benchmark.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Options {
    /// Of accuracy: only this task; `list` names them all. Of engine: only this part
    pub task: Option<String>,
    /// Of accuracy: run again what is already finished
    #[arg(long)]
    pub fresh: bool,
    /// Of accuracy: a small part of every task, to try the harness; the page goes to the target folder
    #[arg(long)]
    pub quick: bool,
    /// Of accuracy: only these models
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Of accuracy: measure this executable instead of building one
    #[arg(long, value_name = "FILE")]
    pub executable: Option<PathBuf>,
}

impl Options {
    /// Whether none is given, as other benchmarks want it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.task.is_none()
            && !self.fresh
            && !self.quick
            && self.models.is_empty()
            && self.executable.is_none()
    }
}

/// What a run of the benchmark holds in its hands.
struct Bench<'a> {
    options: &'a Options,
    source: Source,
    cache: Cache,
    executable: Executable,
    /// Where backtests leave their files.
    work: PathBuf,
}

/// Runs the tasks asked for and writes the page; the page's path.
///
/// # Errors
/// When a task or model is unknown, the data are missing, or a backtest failed (the page is written all the same).
pub fn run(root: &Path, options: &Options) -> anyhow::Result<Option<PathBuf>> {
    if options.task.as_deref() == Some("list") {
        list()?;
        return Ok(None);
    }
    let tasks = select(options)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("bench-accuracy").join(if options.quick { "quick" } else { "full" });
    let work = folder.join("work").join(std::process::id().to_string());
    sweep(&folder.join("work"));
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let bench = Bench {
        options,
        source: Source {
            folder: data::folder(root).canonicalize().unwrap_or_default(),
            quick: options.quick,
        },
        cache: Cache::new(folder.clone(), options.fresh),
        executable: Executable::find(root, &target, options.executable.as_deref())?,
        work,
    };
    anyhow::ensure!(
        bench.source.folder.is_dir(),
        "there is no folder {}: set FOREWATT_BENCH_DATA to the public data's",
        data::folder(root).display()
    );
    let mut failed = 0;
    for task in tasks {
        failed += bench.task(task).with_context(|| format!("task {}", task.name))?;
    }
    std::fs::remove_dir_all(&bench.work)?;
    let path =
        if options.quick { folder.join("accuracy.md") } else { root.join("docs/benchmarks/accuracy.md") };
    std::fs::write(&path, bench.page()).with_context(|| format!("cannot write {}", path.display()))?;
    anyhow::ensure!(failed == 0, "{failed} models could not be measured; {} says why", path.display());
    Ok(Some(path))
}

fn list() -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    for task in TASKS {
        let optional = if task.optional { " (only when named)" } else { "" };
        writeln!(out, "{:<16} {}{optional}", task.name, task.title)?;
    }
    Ok(())
}

fn select(options: &Options) -> anyhow::Result<Vec<&'static Task>> {
    for model in &options.models {
        anyhow::ensure!(
            task::POOL_MODELS.iter().chain(task::FAR_MODELS).any(|known| known == model),
            "there is no model `{model}`; known: {}",
            task::POOL_MODELS.join(", ")
        );
    }
    let Some(name) = &options.task else {
        return Ok(TASKS.iter().filter(|task| !task.optional).collect());
    };
    let known = || TASKS.iter().map(|task| task.name).collect::<Vec<_>>().join(", ");
    let found = TASKS.iter().find(|task| task.name == name);
    Ok(vec![found.with_context(|| format!("there is no task `{name}`; known: {}", known()))?])
}

/// Removes what interrupted runs left behind: the folders of processes that are gone.
fn sweep(work: &Path) {
    for entry in std::fs::read_dir(work).into_iter().flatten().flatten() {
        if !Path::new("/proc").join(entry.file_name()).exists() {
            // What cannot be removed is in no one's way.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

/// A line for whoever waits; a closed terminal is no reason to stop.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

impl Bench<'_> {
    /// Runs a task's models and keeps what they reached; how many failed.
    fn task(&self, task: &Task) -> anyhow::Result<usize> {
        let parts = task.parts(&self.source)?;
        let first = parts.first().context("the task has no parts")?;
        let protocols: Vec<String> = parts.iter().map(Part::protocol).collect::<anyhow::Result<_>>()?;
        let protocol = digest(&protocols.iter().map(String::as_bytes).collect::<Vec<_>>());
        let mut result = self.cache.result(task.name);
        if result.protocol != protocol {
            // Results of another split or of other arguments stand beside nothing that is measured now.
            result = TaskResult { protocol, ..TaskResult::default() };
        }
        result.command = first.command();
        result.anchors = anchors(&parts);
        let mut failed = 0;
        for model in task.models {
            if !self.options.models.is_empty() && !self.options.models.iter().any(|name| name == model) {
                continue;
            }
            if !self.executable.families.iter().any(|family| family == model) {
                tell(&format!("{} {model}: this executable does not know it", task.name));
                continue;
            }
            result.failures.remove(*model);
            match self.model(task, model, &parts, &protocols) {
                Ok(reached) => {
                    tell(&told(task, model, &reached));
                    result.models.insert((*model).to_owned(), reached);
                }
                Err(error) => {
                    tell(&format!("{} {model} FAILED: {error:#}", task.name));
                    result.models.remove(*model);
                    result.failures.insert((*model).to_owned(), self.without_paths(&format!("{error:#}")));
                    failed += 1;
                }
            }
            self.cache.keep_result(task.name, &result)?;
        }
        self.cache.keep_result(task.name, &result)?;
        Ok(failed)
    }

    /// Every part of a task with one model, several at once where the task says so.
    fn model(
        &self,
        task: &Task,
        model: &str,
        parts: &[Part],
        protocols: &[String],
    ) -> anyhow::Result<ModelResult> {
        if model == task::POOLED {
            let runs = self.pooled(task, parts, protocols)?;
            return Ok(self.reached(parts, &runs));
        }
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        let work = |worker: usize| {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let (Some(part), Some(protocol)) = (parts.get(i), protocols.get(i)) else { break };
                let run = self.part(task, model, part, protocol, worker);
                if run.is_err() {
                    next.store(parts.len(), Ordering::Relaxed);
                }
                // A poisoned lock only means that the other worker panicked: the list is still one.
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.push((i, run));
                if parts.len() > 1 && done.len().is_multiple_of(parts.len().div_ceil(10)) {
                    tell(&format!("{} {model}: {} of {} parts", task.name, done.len(), parts.len()));
                }
            }
        };
        std::thread::scope(|scope| {
            for worker in 1..task.at_once {
                let work = &work;
                scope.spawn(move || work(worker));
            }
            work(0);
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(i, _)| *i);
        let runs: Vec<RunResult> = done.into_iter().map(|(_, run)| run).collect::<anyhow::Result<_>>()?;
        Ok(self.reached(parts, &runs))
    }

    fn reached(&self, parts: &[Part], runs: &[RunResult]) -> ModelResult {
        ModelResult {
            summary: summary(
                parts.iter().map(|part| part.name.as_str()).zip(runs.iter().map(|r| &r.metrics)),
            ),
            wall_s: runs.iter().map(|run| run.wall_s).sum(),
            peak_mib: runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max),
            executable: self.executable.hash.clone(),
        }
    }

    /// All parts by one backtest, unless it is finished already; its cost is put down to the first part.
    fn pooled(&self, task: &Task, parts: &[Part], protocols: &[String]) -> anyhow::Result<Vec<RunResult>> {
        let key = |protocol: &String| {
            digest(&[protocol.as_str(), &self.executable.hash, cache::SCORING].map(str::as_bytes))
        };
        let keyed = || parts.iter().zip(protocols.iter().map(key));
        let finished = keyed().map(|(part, key)| self.cache.run(task.runs, task::POOLED, &part.name, &key));
        if let Some(runs) = finished.collect::<Option<Vec<RunResult>>>() {
            return Ok(runs);
        }
        let pooled = task.pooled(&self.source)?.context("the task's parts cannot be learned together")?;
        let (output, cost) =
            self.run(task::POOLED, &pooled.input, pooled.arguments, &self.work.join("0"), false)?;
        let forecasts = exe::read_pooled(&output)?;
        let mut cost = Some(cost);
        keyed()
            .map(|(part, key)| {
                let said =
                    forecasts.get(&part.name).with_context(|| format!("no forecasts of {}", part.name))?;
                let metrics = (part.score)(said);
                anyhow::ensure!(
                    !metrics.is_empty(),
                    "{}: the forecasts are not of the rows to be scored",
                    part.name
                );
                let (wall_s, peak_mib) = cost.take().map_or((0.0, 0.0), |cost| (cost.wall_s, cost.peak_mib));
                let run = RunResult { metrics, wall_s, peak_mib };
                self.cache.keep_run(task.runs, task::POOLED, &part.name, &key, &run)?;
                Ok(run)
            })
            .collect()
    }

    /// One backtest of the executable: where its output lies, and what it cost.
    fn run(
        &self,
        model: &str,
        input: &Input,
        arguments: Vec<String>,
        folder: &Path,
        one_thread: bool,
    ) -> anyhow::Result<(PathBuf, Cost)> {
        std::fs::create_dir_all(folder)?;
        let output = folder.join("output.csv");
        let input = match input {
            Input::File(path) => path.clone(),
            Input::Text(text) => {
                let path = folder.join("input.csv");
                std::fs::write(&path, text.as_bytes())?;
                path
            }
        };
        let mut all = vec!["--file".to_owned(), input.to_string_lossy().into_owned()];
        all.extend(arguments);
        all.extend(["--model", model, "--no-plot", "--output"].map(str::to_owned));
        all.push(output.to_string_lossy().into_owned());
        let cost = self.executable.backtest(&all, folder, one_thread)?;
        Ok((output, cost))
    }

    /// One backtest, unless it is finished already.
    fn part(
        &self,
        task: &Task,
        model: &str,
        part: &Part,
        protocol: &str,
        worker: usize,
    ) -> anyhow::Result<RunResult> {
        let subject = [protocol, &self.executable.hash, cache::SCORING].map(str::as_bytes);
        let key = digest(&subject);
        if let Some(run) = self.cache.run(task.runs, model, &part.name, &key) {
            return Ok(run);
        }
        let folder = self.work.join(worker.to_string());
        let arguments = part.arguments_for(model);
        let (output, cost) = self.run(model, &part.input, arguments, &folder, task.at_once > 1)?;
        let metrics = (part.score)(&exe::read_output(&output)?);
        anyhow::ensure!(!metrics.is_empty(), "{}: the forecasts are not of the rows to be scored", part.name);
        let run = RunResult { metrics, wall_s: cost.wall_s, peak_mib: cost.peak_mib };
        self.cache.keep_run(task.runs, model, &part.name, &key, &run)?;
        Ok(run)
    }

    /// A message that can stand on the page: the machine's folders are no one's business.
    fn without_paths(&self, message: &str) -> String {
        let folders = [&self.work, &self.source.folder];
        let text = folders
            .iter()
            .fold(message.to_owned(), |text, folder| text.replace(&format!("{}/", folder.display()), ""));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn page(&self) -> String {
        page::render(&page::Content {
            machine: &super::machine(),
            version: &self.executable.version,
            executable: &self.executable.hash,
            quick: self.options.quick,
            tasks: TASKS.iter().map(|task| (task, self.cache.result(task.name))).collect(),
        })
    }
}

fn told(task: &Task, model: &str, reached: &ModelResult) -> String {
    let scores = task.columns.iter().filter_map(|column| {
        let score = reached.summary.metrics.get(column.key)?;
        Some(format!("{} {score:.*}", column.key, column.digits))
    });
    format!("{} {model}: {} in {:.1} s", task.name, scores.collect::<Vec<_>>().join(", "), reached.wall_s)
}

/// The scores of each part and their mean.
fn summary<'a>(parts: impl Iterator<Item = (&'a str, &'a Metrics)>) -> Summary {
    let parts: Vec<(String, Metrics)> =
        parts.map(|(name, metrics)| (name.to_owned(), metrics.clone())).collect();
    let all: Vec<&Metrics> = parts.iter().map(|(_, metrics)| metrics).collect();
    Summary { metrics: metrics::mean_of_all(&all), parts }
}

/// The other forecasts that all parts have.
fn anchors(parts: &[Part]) -> Vec<(String, Summary)> {
    let Some(first) = parts.first() else { return Vec::new() };
    let of_all = |name: &String| {
        let scored = parts.iter().filter_map(|part| {
            let (_, metrics) = part.anchors.iter().find(|(anchor, _)| anchor == name)?;
            Some((part.name.as_str(), metrics))
        });
        (name.clone(), summary(scored))
    };
    first.anchors.iter().map(|(name, _)| of_all(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_processes_left_is_swept() {
        let work = std::env::temp_dir().join(format!("forewatt-accuracy-sweep-{}", std::process::id()));
        let (ours, dead) = (work.join(std::process::id().to_string()), work.join("no-process"));
        std::fs::create_dir_all(&ours).unwrap();
        std::fs::create_dir_all(dead.join("0")).unwrap();
        sweep(&work);
        assert!(ours.exists() && !dead.exists());
        std::fs::remove_dir_all(work).unwrap();
    }

    #[test]
    fn unknown_tasks_and_models_are_refused_with_those_there_are() {
        let named = |task: &str| Options { task: Some(task.to_owned()), ..Options::default() };
        assert!(select(&named("nothing")).unwrap_err().to_string().contains("epf-np"));
        assert_eq!(select(&named("etth1-720")).unwrap().len(), 1);
        let all = select(&Options::default()).unwrap();
        assert!(all.iter().all(|task| task.name != "etth1-720") && all.len() > 15);
        let models = Options { models: vec!["oracle".to_owned()], ..Options::default() };
        assert!(select(&models).unwrap_err().to_string().contains("seasonal-naive"));
        assert!(Options::default().is_empty() && !models.is_empty());
    }
}
