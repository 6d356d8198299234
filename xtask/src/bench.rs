//! `cargo xtask bench`: the registry of benchmarks and the page each one leaves behind.
//!
//! A benchmark is a function that measures and returns rows; add it to [`BENCHES`]. The page is written
//! to `docs/benchmarks/NAME.md` without dates, so that a run changes it only where figures change. `accuracy`
//! and `engine` stand beside them: their pages have more than one table.

pub mod accuracy;
pub mod engine;
mod http;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;

/// Every benchmark whose page is one table.
pub const BENCHES: &[Bench] = &[Bench {
    name: "http",
    about: "Cached and uncached forecasts over HTTP beside a bare axum route that returns the same bytes.",
    run: http::run,
}];

/// A benchmark.
#[derive(Debug, Clone, Copy)]
pub struct Bench {
    /// The word on the command line and the name of the page.
    pub name: &'static str,
    /// What is measured against what, in one sentence.
    pub about: &'static str,
    /// Measures; the folder is the root of the repository.
    pub run: fn(&Path) -> anyhow::Result<Vec<Row>>,
}

/// One measured figure beside a peer's.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The unit of both figures: `ms`, `rows/s`.
    pub unit: String,
    /// Forewatt's figure.
    pub ours: f64,
    /// The peer's figure in the same run, where there is a peer.
    pub peer: Option<f64>,
}

/// Lists the benchmarks or runs one and writes its page.
///
/// # Errors
/// When there is no such benchmark, it fails, or its page cannot be written.
pub fn run(name: Option<&str>, options: &accuracy::Options) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    let Some(name) = name else {
        writeln!(out, "{:<16} {}", "accuracy", accuracy::ABOUT)?;
        writeln!(out, "{:<16} {}", "engine", engine::ABOUT)?;
        for bench in BENCHES {
            writeln!(out, "{:<16} {}", bench.name, bench.about)?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let root = crate::root();
    if name == "accuracy" {
        if let Some(path) = accuracy::run(&root, options)? {
            writeln!(out, "wrote {}", path.display())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    if name == "engine" {
        let part = options.task.clone();
        let rest = accuracy::Options { task: None, ..options.clone() };
        anyhow::ensure!(rest.is_empty(), "`engine` takes the name of a part and no flags");
        return engine::run(&root, part.as_deref());
    }
    anyhow::ensure!(options.is_empty(), "only `accuracy` takes a task and flags");
    let known =
        || BENCHES.iter().map(|b| b.name).chain(["accuracy", "engine"]).collect::<Vec<_>>().join(", ");
    let bench = BENCHES
        .iter()
        .find(|bench| bench.name == name)
        .with_context(|| format!("there is no benchmark `{name}`; known: {}", known()))?;
    let rows = (bench.run)(&root)?;
    let path = write_page(&root, bench.name, bench.about, &rows)?;
    writeln!(out, "wrote {}", path.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes `docs/benchmarks/NAME.md` and returns its path.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write_page(root: &Path, name: &str, about: &str, rows: &[Row]) -> anyhow::Result<PathBuf> {
    let folder = root.join("docs").join("benchmarks");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(format!("{name}.md"));
    let text = page(name, about, &machine(), rows);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The page's text.
#[must_use]
pub fn page(name: &str, about: &str, machine: &str, rows: &[Row]) -> String {
    let mut text =
        format!("# {name}\n\n{about}\n\nMachine: {machine}\n\nMade by `cargo xtask bench {name}`.\n\n");
    text.push_str("| what | unit | ours | peer | ours / peer |\n|---|---|---:|---:|---:|\n");
    for row in rows {
        let ratio = row.peer.filter(|peer| *peer != 0.0).map(|peer| row.ours / peer);
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            row.what,
            row.unit,
            figure(row.ours),
            row.peer.map_or_else(String::new, figure),
            ratio.map_or_else(String::new, figure)
        );
    }
    text
}

/// Three significant digits: a benchmark's further digits are noise.
pub(crate) fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - magnitude).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// Processor, cores, memory, system and compiler in one line, as far as they can be found out.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor =
        field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kibibytes = field(&read("/proc/meminfo"), "MemTotal")
        .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
        .unwrap_or(0);
    let compiler = Command::new("rustc").arg("--version").output();
    let compiler = compiler.map_or_else(
        |_| "unknown rustc".to_owned(),
        |output| String::from_utf8_lossy(output.stdout.trim_ascii()).into_owned(),
    );
    let memory = kibibytes >> 20;
    format!("{processor}, {cores} cores, {memory} GiB, {}, {compiler}", std::env::consts::OS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: &str, ours: f64, peer: Option<f64>) -> Row {
        Row { what: what.to_owned(), unit: "ms".to_owned(), ours, peer }
    }

    #[test]
    fn a_page_has_ours_the_peer_and_the_ratio() {
        let text =
            page("serve", "A forecast.", "a box", &[row("cached", 0.5, Some(2.0)), row("cold", 12.34, None)]);
        assert!(text.contains("| cached | ms | 0.500 | 2.00 | 0.250 |"), "{text}");
        assert!(text.contains("| cold | ms | 12.3 |  |  |"), "{text}");
        assert!(text.contains("cargo xtask bench serve"));
    }

    #[test]
    fn figures_keep_three_digits() {
        for (value, text) in [(123_456.0, "123456"), (0.001_234, "0.00123"), (0.0, "0"), (-9.876, "-9.88")] {
            assert_eq!(figure(value), text);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = BENCHES.iter().map(|bench| bench.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BENCHES.len());
    }

    #[test]
    fn an_unknown_name_is_refused() {
        let none = accuracy::Options::default();
        assert!(run(Some("no-such-benchmark"), &none).is_err());
        let fresh = accuracy::Options { fresh: true, ..none };
        assert!(run(Some("http"), &fresh).unwrap_err().to_string().contains("only `accuracy`"));
    }
}
