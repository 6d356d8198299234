//! Day-ahead load forecasts on public data, every model beside the official forecast where there is one.
//!
//! The data are not part of the repository: `FOREWATT_BENCH_DATA` names their folder (default `../shared/data`).

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::Row;

const MODELS: [&str; 5] = ["seasonal-naive", "seasonal-empirical", "linear", "gbdt", "ensemble"];

/// One public data set and the year to forecast.
struct Task {
    name: &'static str,
    file: &'static str,
    /// Keep only the rows whose first field is this.
    only: Option<&'static str>,
    time: &'static str,
    target: &'static str,
    official: Option<&'static str>,
    /// Further arguments of `forewatt backtest`.
    arguments: &'static [&'static str],
    from: &'static str,
    to: &'static str,
}

const SPAIN_WEATHER: &str = "temp_barcelona:temperature,temp_bilbao:temperature,temp_madrid:temperature,temp_seville:temperature,temp_valencia:temperature";

const fn authority(
    name: &'static str,
    code: &'static str,
    zone: &'static str,
    from: &'static str,
    to: &'static str,
) -> Task {
    Task {
        name,
        file: "eia930_54ba_2017_2020.csv.gz",
        only: Some(code),
        time: "time_utc",
        target: "demand_mw",
        official: Some("demand_forecast_mw"),
        arguments: match zone.as_bytes()[0] {
            b'E' => &["--time-zone", "UTC", "--civil-zone", "America/New_York", "--holidays", "US"],
            b'C' => &["--time-zone", "UTC", "--civil-zone", "America/Chicago", "--holidays", "US"],
            _ => &["--time-zone", "UTC", "--civil-zone", "America/Los_Angeles", "--holidays", "US-CA"],
        },
        from,
        to,
    }
}

const TASKS: &[Task] = &[
    Task {
        name: "Spain 2017, observed temperatures",
        file: "spain_2015_2017.csv.gz",
        only: None,
        time: "local_time_madrid",
        target: "load_mw",
        official: Some("load_forecast_tso_mw"),
        arguments: &[
            "--time-zone",
            "Europe/Madrid",
            "--ambiguous",
            "earlier",
            "--holidays",
            "ES",
            "--unit",
            "MW",
            "--known-ahead",
            SPAIN_WEATHER,
        ],
        from: "2017-01-01",
        to: "2018-01-01",
    },
    authority("PJM 7/2018-6/2019", "PJM", "Eastern", "2018-07-01T04:00:00Z", "2019-07-01T04:00:00Z"),
    authority("CISO 7/2019-6/2020", "CISO", "Pacific", "2019-07-01T07:00:00Z", "2020-07-01T07:00:00Z"),
    Task {
        name: "Victoria 2014, observed temperature",
        file: "vic_elec_30min_2012_2014.csv.gz",
        only: None,
        time: "Time",
        target: "Demand",
        official: None,
        arguments: &[
            "--time-zone",
            "UTC",
            "--civil-zone",
            "Australia/Melbourne",
            "--holidays",
            "AU-VIC",
            "--known-ahead",
            "Temperature:temperature",
        ],
        from: "2013-12-31T13:00:00Z",
        to: "2014-12-31T13:00:00Z",
    },
    Task {
        name: "Delhi 3/2012-3/2013, observed temperature",
        file: "delhi_hourly_2010_2013.csv.gz",
        only: None,
        time: "timestamp",
        target: "load_mw",
        official: None,
        arguments: &[
            "--time-zone",
            "Asia/Kolkata",
            "--holidays",
            "IN",
            "--known-ahead",
            "temp_c:temperature",
        ],
        from: "2012-03-01",
        to: "2013-03-01",
    },
];

/// Runs every model on every task.
///
/// # Errors
/// When the data are missing or a backtest fails.
pub fn run(root: &Path) -> anyhow::Result<Vec<Row>> {
    let data = data_folder(root);
    let built =
        Command::new("cargo").current_dir(root).args(["build", "--release", "-p", "forewatt"]).status()?;
    anyhow::ensure!(built.success(), "the release build failed");
    let folder = std::env::temp_dir().join(format!("forewatt-dayahead-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut rows = Vec::new();
    for task in TASKS {
        let text = extract(&data.join(task.file), task.only)?;
        let csv = folder.join("input.csv");
        std::fs::write(&csv, &text)?;
        let mut official = None;
        for model in MODELS {
            let output = folder.join("out.csv");
            backtest(root, task, model, &csv, &output)?;
            let forecasts = read_output(&output)?;
            let ours = mape(forecasts.iter().map(|f| (f.actual, f.mean)));
            if official.is_none() {
                official =
                    task.official.map(|column| official_mape(&text, task, column, &forecasts)).transpose()?;
            }
            rows.push(Row {
                what: format!("{}: {model}", task.name),
                unit: "MAPE %".to_owned(),
                ours,
                peer: official,
            });
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(rows)
}

/// Where the public data lie.
#[must_use]
pub fn data_folder(root: &Path) -> PathBuf {
    std::env::var_os("FOREWATT_BENCH_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from)
}

fn extract(path: &Path, only: Option<&str>) -> anyhow::Result<String> {
    let file =
        std::fs::File::open(path).with_context(|| format!("{} (set FOREWATT_BENCH_DATA)", path.display()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    let Some(only) = only else { return Ok(text) };
    let prefix = format!("{only},");
    let kept: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(i, line)| *i == 0 || line.starts_with(&prefix))
        .map(|(_, line)| line)
        .collect();
    Ok(kept.join("\n"))
}

fn backtest(root: &Path, task: &Task, model: &str, csv: &Path, output: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(root.join("target/release/forewatt"));
    command.arg("backtest").arg("--file").arg(csv).args(["--time", task.time, "--target", task.target]);
    command.args(task.arguments).args([
        "--from",
        task.from,
        "--to",
        task.to,
        "--every",
        "24h",
        "--horizon",
        "24h",
    ]);
    command.args(["--refit", "28d", "--kind", "load", "--model", model, "--json", "--output"]).arg(output);
    let result = command.output()?;
    anyhow::ensure!(result.status.success(), "{command:?}: {}", String::from_utf8_lossy(&result.stderr));
    Ok(())
}

/// One line of a backtest's output.
struct Forecast {
    valid_time: String,
    actual: f64,
    mean: f64,
}

fn read_output(path: &Path) -> anyhow::Result<Vec<Forecast>> {
    let text = std::fs::read_to_string(path)?;
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        Some(Forecast {
            valid_time: (*fields.get(1)?).to_owned(),
            actual: fields.get(2)?.parse().ok()?,
            mean: fields.get(3)?.parse().ok()?,
        })
    };
    Ok(text.lines().skip(1).filter_map(parse).collect())
}

/// The official forecast's error on the rows that were scored: its column lies beside the actual, so the values
/// are matched by the actual and the order of the rows, which is the file's.
fn official_mape(text: &str, task: &Task, column: &str, scored: &[Forecast]) -> anyhow::Result<f64> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().context("an empty file")?.split(',').collect();
    let at = |name: &str| {
        header.iter().position(|field| *field == name).with_context(|| format!("no column {name}"))
    };
    let (time, official) = (at(task.time)?, at(column)?);
    let mut by_time = HashMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        if let Some(value) = fields.get(official).and_then(|field| field.parse::<f64>().ok()) {
            by_time.insert(fields[time].to_owned(), value);
        }
    }
    let zone = if task.time.ends_with("utc") { "UTC" } else { "Europe/Madrid" };
    let tz = jiff::tz::TimeZone::get(zone)?;
    let pairs = scored.iter().filter_map(|forecast| {
        let instant: jiff::Timestamp = forecast.valid_time.parse().ok()?;
        let local = tz.to_datetime(instant).strftime("%Y-%m-%d %H:%M:%S").to_string();
        Some((forecast.actual, *by_time.get(&local)?))
    });
    Ok(mape(pairs))
}

fn mape(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (actual, forecast) in
        pairs.filter(|(actual, forecast)| *actual != 0.0 && actual.is_finite() && forecast.is_finite())
    {
        sum += ((actual - forecast) / actual).abs();
        count += 1.0;
    }
    100.0 * sum / count
}
