//! The executable under test: found or built, run with a limit, measured, and its output read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::cache::digest;

/// A backtest that takes longer has failed.
const RUN_MAX: Duration = Duration::from_secs(12 * 3_600);
/// How often a running backtest's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// This much of the end of an error message is kept, in bytes.
const MESSAGE_MAX_BYTES: usize = 600;

/// The executable.
#[derive(Debug, Clone)]
pub struct Executable {
    /// Where it lies.
    pub path: PathBuf,
    /// The hash of its bytes: another build is another subject.
    pub hash: String,
    /// What it calls itself.
    pub version: String,
    /// The families of models it can learn.
    pub families: Vec<String>,
}

/// One forecast value and what came true.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Forecast start, seconds since 1970.
    pub start: i64,
    /// The start of the period forecast, seconds since 1970.
    pub valid: i64,
    /// What came true; NaN when nobody knows.
    pub actual: f64,
    /// The forecast mean.
    pub mean: f64,
    /// One value a level.
    pub quantiles: Vec<f64>,
}

/// What a backtest wrote.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Forecasts {
    /// Quantile levels, rising.
    pub levels: Vec<f64>,
    /// Every forecast value.
    pub rows: Vec<Row>,
}

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// From start to end, in seconds.
    pub wall_s: f64,
    /// The most memory that was resident, in MiB, looked at every 5 ms.
    pub peak_mib: f64,
}

impl Executable {
    /// The given executable, else the release build of the repository.
    ///
    /// # Errors
    /// When it cannot be built, read or asked.
    pub fn find(root: &Path, target: &Path, given: Option<&Path>) -> anyhow::Result<Self> {
        let path = match given {
            Some(path) => path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?,
            None => build(root, target)?,
        };
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let version = said(Command::new(&path).arg("--version"))?.trim().to_owned();
        let families = families(&said(Command::new(&path).args(["backtest", "--help"]))?);
        anyhow::ensure!(!families.is_empty(), "`forewatt backtest --help` names no model families");
        Ok(Self { path, hash: digest(&[&bytes]), version, families })
    }

    /// Runs a backtest; `one_thread` where several run at once.
    ///
    /// # Errors
    /// When it fails or takes too long; the message is the end of what it said.
    pub fn backtest(&self, arguments: &[String], folder: &Path, one_thread: bool) -> anyhow::Result<Cost> {
        let said = folder.join("said.txt");
        let mut command = Command::new(&self.path);
        command.arg("backtest").args(arguments).current_dir(folder);
        // The benchmark is about the defaults, not about whoever runs it.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FOREWATT_"))
        {
            command.env_remove(name);
        }
        if one_thread {
            command.env("RAYON_NUM_THREADS", "1");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(std::fs::File::create(&said)?);
        let cost = measure(&mut command.spawn().context("starting the executable")?)?;
        cost.with_context(|| {
            let text = std::fs::read_to_string(&said).unwrap_or_default();
            let text = text.trim();
            let from = text.ceil_char_boundary(text.len().saturating_sub(MESSAGE_MAX_BYTES));
            format!("forewatt backtest {}: {}", arguments.join(" "), &text[from..])
        })
    }
}

/// What a run cost; none when it failed.
fn measure(child: &mut Child) -> anyhow::Result<Option<Cost>> {
    let begin = Instant::now();
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_mib: f64 = 0.0;
    loop {
        // Once the process has ended its memory is no longer told, so the last look counts.
        let told = std::fs::read_to_string(&status_file).unwrap_or_default();
        peak_mib = peak_mib.max(high_water_mib(&told).unwrap_or(0.0));
        if let Some(status) = child.try_wait()? {
            let cost = Cost { wall_s: begin.elapsed().as_secs_f64(), peak_mib };
            return Ok(status.success().then_some(cost));
        }
        if begin.elapsed() > RUN_MAX {
            child.kill()?;
            child.wait()?;
            anyhow::bail!("a backtest took longer than {} s and was stopped", RUN_MAX.as_secs());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn high_water_mib(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

fn build(root: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    let built =
        Command::new("cargo").current_dir(root).args(["build", "--release", "-p", "forewatt"]).status()?;
    anyhow::ensure!(built.success(), "the release build failed: mend it, or name a build with --executable");
    Ok(target.join("release/forewatt"))
}

fn said(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    anyhow::ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The possible values of `--model`, as the help names them.
fn families(help: &str) -> Vec<String> {
    let values = help
        .split_once("--model ")
        .and_then(|(_, rest)| rest.split_once("[possible values: "))
        .and_then(|(_, rest)| rest.split_once(']'));
    let Some((values, _)) = values else { return Vec::new() };
    values.split(',').map(|value| value.trim().to_owned()).collect()
}

/// Reads what `--output` wrote.
///
/// # Errors
/// When the file cannot be read or a line of it is not as documented.
pub fn read_output(path: &Path) -> anyhow::Result<Forecasts> {
    parse_output(&read(path)?)
}

/// Reads what `--with-peers --output` wrote, by series.
///
/// # Errors
/// As [`read_output`].
pub fn read_pooled(path: &Path) -> anyhow::Result<BTreeMap<String, Forecasts>> {
    let text = read(path)?;
    let mut lines = text.lines();
    let header = lines.next().and_then(|header| header.strip_prefix("series,"));
    let header = header.context("the output has no column `series`")?;
    let mut by_series: BTreeMap<&str, String> = BTreeMap::new();
    for line in lines {
        let (series, rest) = line.split_once(',').with_context(|| format!("cannot read `{line}`"))?;
        let text = by_series.entry(series).or_insert_with(|| format!("{header}\n"));
        text.push_str(rest);
        text.push('\n');
    }
    by_series.into_iter().map(|(series, text)| Ok((series.to_owned(), parse_output(&text)?))).collect()
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn parse_output(text: &str) -> anyhow::Result<Forecasts> {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let levels = header
        .strip_prefix("forecast_start,valid_time,actual,mean")
        .with_context(|| format!("unknown columns: {header}"))?;
    let levels: Result<Vec<f64>, _> = levels.split(",q").skip(1).map(str::parse).collect();
    let levels = levels.with_context(|| format!("unknown levels: {header}"))?;
    let row = |line: &str| parse_row(line, levels.len()).with_context(|| format!("cannot read `{line}`"));
    let rows = lines.map(row).collect::<anyhow::Result<_>>()?;
    Ok(Forecasts { levels, rows })
}

fn parse_row(line: &str, levels: usize) -> Option<Row> {
    let mut fields = line.split(',');
    let mut time = || Some(fields.next()?.parse::<jiff::Timestamp>().ok()?.as_second());
    let (start, valid) = (time()?, time()?);
    let actual = fields.next()?;
    let actual = if actual.is_empty() { f64::NAN } else { actual.parse().ok()? };
    let numbers: Option<Vec<f64>> = fields.map(|field| field.parse().ok()).collect();
    let (mean, quantiles) = numbers?.split_first().map(|(mean, rest)| (*mean, rest.to_vec()))?;
    (quantiles.len() == levels).then_some(Row { start, valid, actual, mean, quantiles })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_the_families() {
        let help =
            "--kind <K>\n [possible values: load]\n --model <NAME>\n Family\n [possible values: a-b, c]\n";
        assert_eq!(families(help), ["a-b", "c"]);
        assert_eq!(families("no such flag [possible values: a]"), [""; 0]);
    }

    #[test]
    fn outputs_are_read_with_levels_and_unknown_actuals() {
        let text = "forecast_start,valid_time,actual,mean,q0.1,q0.5\n\
                    1970-01-01T00:00:00Z,1970-01-01T01:00:00Z,,2,1,2.5\n";
        let forecasts = parse_output(text).unwrap();
        assert_eq!(forecasts.levels, [0.1, 0.5]);
        let row = &forecasts.rows[0];
        assert_eq!((row.start, row.valid, row.mean), (0, 3_600, 2.0));
        assert!(row.actual.is_nan() && row.quantiles == [1.0, 2.5]);
        assert!(parse_output(&format!("{text}1970-01-01T00:00:00Z,x,1,2,3,4")).is_err());
        assert!(parse_output(&format!("{text}1970-01-01T00:00:00Z,1970-01-01T00:00:00Z,1,2,3")).is_err());
        assert!(parse_output("time,mean\n").is_err());
    }

    #[test]
    fn the_high_water_mark_is_read_in_mebibytes() {
        assert_eq!(high_water_mib("Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t1 kB\n"), Some(2.0));
        assert_eq!(high_water_mib(""), None);
    }
}
