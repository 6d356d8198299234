//! Whole forecasts in process: one at a time, a thousand in one batch, a thousand models in memory, the demo's memory.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use super::Section;
use crate::bench::{figure, http};

/// Series of the batch, and models in memory.
const SERIES: usize = 1_000;

/// What `crates/service/examples/engine_forecast.rs` prints.
#[derive(Debug, Deserialize)]
struct Measured {
    family: String,
    series: usize,
    artifact_bytes: u64,
    single: Single,
    batch_models_not_loaded: Whole,
    batch: Whole,
    resident_models: u64,
    resident_estimated_bytes: u64,
    resident_bytes_before: u64,
    resident_bytes_after: u64,
}

/// One forecast after the other.
#[derive(Debug, Deserialize)]
struct Single {
    p50_ms: f64,
    p99_ms: f64,
    cpu_ms: f64,
}

/// All in one call.
#[derive(Debug, Deserialize)]
struct Whole {
    wall_ms: f64,
    cpu_ms: f64,
}

/// Builds and runs the example, and the demo server for its memory.
///
/// # Errors
/// When a build fails, the example or the demo does not run, or what it prints is not understood.
pub fn section(root: &Path) -> anyhow::Result<Section> {
    let built = Command::new("cargo")
        .current_dir(root)
        .args(["build", "--release", "-p", "forewatt-service", "--example", "engine_forecast"])
        .status()?;
    anyhow::ensure!(built.success(), "the release build of the example failed");
    let release = http::release_folder(root);
    let output = Command::new(release.join("examples/engine_forecast")).arg(SERIES.to_string()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "engine_forecast failed: {said}");
    let measured = serde_json::from_slice(&output.stdout).context("what engine_forecast printed")?;
    Ok(Section {
        title: "Whole forecasts".to_owned(),
        markdown: markdown(&measured, http::demo_resident_mib(root)?),
    })
}

fn markdown(measured: &Measured, demo_mib: f64) -> String {
    let Measured { family, series, single, batch, batch_models_not_loaded: cold, .. } = measured;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let grown = measured.resident_bytes_after.saturating_sub(measured.resident_bytes_before);
    let mut text = format!(
        "As-of read from SQLite with warm pages, features, 9 quantiles x 48 h, calibrated, encoded; nothing from the \
         answer cache. A model of the family `{family}` ({:.0} kB), hourly load with a temperature known ahead. \
         Processor time is that of all threads.\n\n| what | unit | figure | goal |\n|---|---|---:|---:|\n",
        measured.artifact_bytes as f64 / 1e3
    );
    let rows = [
        ("one forecast, p50".to_owned(), "ms", single.p50_ms, "1"),
        ("one forecast, p99".to_owned(), "ms", single.p99_ms, "3"),
        ("one forecast, processor time".to_owned(), "ms", single.cpu_ms, ""),
        (format!("{series} series in one batch"), "ms", batch.wall_ms, "500"),
        ("the same, processor time".to_owned(), "ms", batch.cpu_ms, ""),
        ("the same, no model loaded before".to_owned(), "ms", cold.wall_ms, ""),
        ("the same, processor time".to_owned(), "ms", cold.cpu_ms, ""),
        (
            format!("{} models in memory, with their answers", measured.resident_models),
            "MiB",
            mib(grown),
            "954",
        ),
        (
            "as estimated for `cache.models_max_bytes`".to_owned(),
            "MiB",
            mib(measured.resident_estimated_bytes),
            "",
        ),
        ("the demo server, resident".to_owned(), "MiB", demo_mib, "150"),
    ];
    for (what, unit, value, goal) in rows {
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "| {what} | {unit} | {} | {goal} |", figure(value));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_example_prints_becomes_a_table() {
        let printed = r#"{"family":"ensemble","series":1000,"artifact_bytes":587586,
            "single":{"p50_ms":0.5,"p99_ms":1.5,"cpu_ms":0.75},
            "batch_models_not_loaded":{"wall_ms":3000.0,"cpu_ms":5000.0},"batch":{"wall_ms":450.0,"cpu_ms":800.0},
            "resident_models":1000,"resident_estimated_bytes":1048576,
            "resident_bytes_before":1048576,"resident_bytes_after":3145728}"#;
        let text = markdown(&serde_json::from_str(printed).unwrap(), 120.0);
        for row in [
            "| one forecast, p50 | ms | 0.500 | 1 |",
            "| 1000 series in one batch | ms | 450 | 500 |",
            "| 1000 models in memory, with their answers | MiB | 2.00 | 954 |",
            "| the demo server, resident | MiB | 120 | 150 |",
        ] {
            assert!(text.contains(row), "{row} is not in {text}");
        }
    }
}
