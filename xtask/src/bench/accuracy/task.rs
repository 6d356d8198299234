//! What a task of the accuracy benchmark is: its backtests, its columns, its anchors and its goals.

use std::path::PathBuf;
use std::sync::Arc;

use super::cache::digest;
use super::data::Source;
use super::exe::Forecasts;
use super::metrics::Metrics;
use super::{epf, ett, gefcom_load, load, m4, wind};

/// The models asked of the executable, simplest first; one it does not know is passed over.
pub const MODELS: &[&str] =
    &["seasonal-naive", "seasonal-empirical", "linear", "gbdt", "lear", "mlp", "gp", "ensemble", "auto"];

/// [`MODELS`], and the one that learns many series together.
pub const POOL_MODELS: &[&str] = &[
    "seasonal-naive",
    "seasonal-empirical",
    "linear",
    "gbdt",
    "lear",
    "mlp",
    "gp",
    "ensemble",
    "auto",
    POOLED,
];

/// Models that go on from what they learned the day before: where others are fitted anew every few weeks, they are
/// every day, for about the same cost.
const DAILY: &[&str] = &["lear", "mlp", "gp", "ensemble", "auto"];

/// Those asked for forecasts of a month: models of whole days answer no more than some weeks.
pub const FAR_MODELS: &[&str] =
    &["seasonal-naive", "seasonal-empirical", "linear", "gbdt", "scenario", "ensemble", "auto"];

/// A row of the list of benchmarks.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// The word on the command line.
    pub name: &'static str,
    /// The task whose backtests this one scores: its own name, or another's.
    pub runs: &'static str,
    /// The heading.
    pub title: &'static str,
    /// Data, split and metric, in sentences.
    pub about: &'static str,
    /// Which models are asked.
    pub models: &'static [&'static str],
    /// What is shown; the first column is the main score.
    pub columns: &'static [Column],
    /// What others have published.
    pub published: &'static [Published],
    /// What we want to reach.
    pub goals: &'static [Goal],
    /// Run only when it is named.
    pub optional: bool,
    /// How many backtests run at once, each on one thread when it is more than one.
    pub at_once: usize,
    /// Where the backtests come from.
    pub kind: Kind,
}

/// A score that is shown.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name among the scores.
    pub key: &'static str,
    /// Digits after the point.
    pub digits: usize,
}

/// A forecast that others have published, by its scores.
#[derive(Debug, Clone, Copy)]
pub struct Published {
    /// Whose.
    pub name: &'static str,
    /// Scores by column.
    pub scores: &'static [(&'static str, f64)],
}

/// A score to reach; smaller is better for all of them.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// The model it is set for; none: for our best.
    pub model: Option<&'static str>,
    /// The score.
    pub key: &'static str,
    /// What it must not exceed.
    pub bound: Bound,
    /// Why this figure.
    pub why: &'static str,
}

/// The figure of a goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// Less than this.
    Below(f64),
    /// At most so many times another forecast's score.
    Times(f64, &'static str),
}

/// Where the backtests come from.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Day-ahead electricity prices.
    Epf(&'static epf::Market),
    /// GEFCom2014 load.
    GefcomLoad,
    /// GEFCom2014 wind.
    Wind,
    /// M4 hourly.
    M4,
    /// `ETTh1`, so many steps.
    Ett(usize),
    /// Day-ahead load of an area.
    Load(&'static load::Area),
}

/// One backtest of a task.
pub struct Part {
    /// Its name within the task.
    pub name: String,
    /// What is read.
    pub input: Input,
    /// Arguments of `forewatt backtest` beside file, model and output.
    pub arguments: Vec<String>,
    /// The scores of its output.
    pub score: Box<dyn Fn(&Forecasts) -> Metrics + Send + Sync>,
    /// Other forecasts, scored on the same rows.
    pub anchors: Vec<(String, Metrics)>,
}

/// What a backtest reads.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file of the data folder as it is.
    File(PathBuf),
    /// CSV made from one.
    Text(Arc<String>),
}

/// One backtest that answers all parts, for a model that learns from all of them together.
pub struct Pooled {
    /// What is read: a column a part, named as the part.
    pub input: Input,
    /// Arguments of `forewatt backtest` beside file, model and output.
    pub arguments: Vec<String>,
}

/// The model that learns many series together.
pub const POOLED: &str = "windows";

impl Task {
    /// The backtest of all parts together, where the task has one.
    ///
    /// # Errors
    /// As [`Task::parts`].
    pub fn pooled(&self, source: &Source) -> anyhow::Result<Option<Pooled>> {
        match self.kind {
            Kind::M4 => m4::pooled(source).map(Some),
            Kind::Ett(steps) => ett::pooled(steps, source).map(Some),
            _ => Ok(None),
        }
    }

    /// The task's backtests.
    ///
    /// # Errors
    /// When the data are missing or not as expected.
    pub fn parts(&self, source: &Source) -> anyhow::Result<Vec<Part>> {
        match self.kind {
            Kind::Epf(market) => epf::parts(market, source),
            Kind::GefcomLoad => gefcom_load::parts(source),
            Kind::Wind => wind::parts(source),
            Kind::M4 => m4::parts(source),
            Kind::Ett(steps) => ett::parts(steps, source),
            Kind::Load(area) => load::parts(area, source),
        }
    }
}

impl Part {
    /// The arguments for a model: those that learn day by day are fitted anew every day.
    #[must_use]
    pub fn arguments_for(&self, model: &str) -> Vec<String> {
        let mut arguments = self.arguments.clone();
        let interval = arguments.iter().position(|argument| argument == "--refit").map(|flag| flag + 1);
        if let Some(interval) = interval.filter(|&i| arguments.get(i).is_some_and(|span| span != "never"))
            && DAILY.contains(&model)
        {
            arguments[interval] = "24h".to_owned();
        }
        arguments
    }

    /// A hash of everything that its output depends on beside model and executable.
    ///
    /// # Errors
    /// When the file cannot be found.
    pub fn protocol(&self) -> anyhow::Result<String> {
        let arguments = self.arguments.join("\n");
        let input = match &self.input {
            // The public files never change; another length is another file.
            Input::File(path) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                format!("{name} {}", std::fs::metadata(path)?.len())
            }
            Input::Text(text) => digest(&[text.as_bytes()]),
        };
        Ok(digest(&[self.name.as_bytes(), arguments.as_bytes(), input.as_bytes()]))
    }

    /// The command without paths, for readers.
    pub fn command(&self) -> String {
        let file = match &self.input {
            Input::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Input::Text(_) => "PART.csv".to_owned(),
        };
        let quote = |argument: &String| match argument.contains([' ', '%']) {
            true => format!("'{argument}'"),
            false => argument.clone(),
        };
        let arguments: Vec<String> = self.arguments.iter().map(quote).collect();
        format!("forewatt backtest --file {file} {} --model MODEL --output OUT.csv", arguments.join(" "))
    }
}

/// Arguments from text, split at white space.
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A column.
pub const fn column(key: &'static str, digits: usize) -> Column {
    Column { key, digits }
}

/// A published forecast.
pub const fn published(name: &'static str, scores: &'static [(&'static str, f64)]) -> Published {
    Published { name, scores }
}

/// A goal for our best model.
pub const fn goal(key: &'static str, bound: Bound, why: &'static str) -> Goal {
    Goal { model: None, key, bound, why }
}
