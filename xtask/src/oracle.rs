//! `cargo xtask oracle`: comparisons with other programs on random cases, too heavy for every test run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;

/// What `foreign` compares.
const FOREIGN: &str =
    "Answers of random LightGBM and XGBoost models, read here, with the libraries' own (Python with pip).";
/// What it needs in Python.
const PACKAGES: [&str; 3] = ["lightgbm", "xgboost", "numpy"];

/// Lists the comparisons or runs one; the exit code is 1 when something differs.
///
/// # Errors
/// When there is no such comparison or a program it needs cannot be had.
pub fn run(name: Option<&str>, cases: u32, seed: u32) -> anyhow::Result<ExitCode> {
    match name {
        None => writeln!(std::io::stdout(), "{:<16} {FOREIGN}", "foreign")?,
        Some("foreign") => return foreign(&crate::root(), cases, seed),
        Some(other) => anyhow::bail!("there is no comparison `{other}`; known: foreign"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Python makes models and answers, an example of `forewatt-model` reads and compares them as they come.
fn foreign(root: &Path, cases: u32, seed: u32) -> anyhow::Result<ExitCode> {
    let python = python(root)?;
    let mut maker = Command::new(python)
        .arg(root.join("crates/model/tests/foreign/make.py"))
        .args(["random", &cases.to_string(), &seed.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the maker of models")?;
    let models = maker.stdout.take().context("the maker of models has no output")?;
    let compared = Command::new("cargo")
        .args(["run", "--quiet", "--package", "forewatt-model", "--example", "compare_foreign"])
        .current_dir(root)
        .stdin(models)
        .status()
        .context("comparing the answers")?;
    anyhow::ensure!(maker.wait()?.success(), "the maker of models failed; its output is above");
    Ok(if compared.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A Python of its own under `target/`, with the libraries in it.
fn python(root: &Path) -> anyhow::Result<PathBuf> {
    let home = root.join("target").join("oracle");
    let python = home.join("bin").join("python");
    if !python.exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    }
    done(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    Ok(python)
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    anyhow::ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
