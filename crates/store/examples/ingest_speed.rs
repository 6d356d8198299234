//! Measures bulk ingest and as-of reads of the SQLite store in a temporary folder.
//!
//! `cargo run --release -p forewatt-store --example ingest_speed [MILLION_ROWS]`

use std::fmt::Display;
use std::time::{Duration, Instant};

use forewatt_domain::time::MICROS_PER_HOUR;
use forewatt_domain::{Observation, Resolution, Series, SeriesKind, SeriesName, Time, Zone};
use forewatt_store::{ObservationRange, ObservationStore, SeriesStore, Sqlite, SqliteOptions};

type AnyError = Box<dyn std::error::Error>;
const SLICE: usize = 50_000;
const HOUR: i64 = MICROS_PER_HOUR;

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let millions: usize = std::env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let store = Sqlite::open(folder.path(), SqliteOptions::default()).await?;
    // Hourly measurements, and weather forecasts: 24 vintages of every hour.
    for (name, vintages) in [("measured", 1), ("forecast", 24)] {
        let name: SeriesName = name.parse()?;
        store.put_series(&described(&name)?, Time::MIN).await?;
        let rows = millions * 500_000;
        ingest(&store, &name, rows, vintages, "new").await?;
        ingest(&store, &name, rows / 4, vintages, "there already").await?;
        for points in [168, 720] {
            read(&store, &name, rows / vintages, points).await?;
        }
    }
    let size = std::fs::metadata(folder.path().join("forewatt.db"))?.len();
    say(format_args!("database {} MiB", size >> 20));
    store.close().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
fn say(line: impl Display) {
    println!("{line}");
}

fn described(name: &SeriesName) -> Result<Series, AnyError> {
    Ok(Series {
        name: name.clone(),
        kind: SeriesKind::Load,
        unit: "MW".to_owned(),
        resolution: Resolution::HOUR,
        time_zone: "UTC".parse::<Zone>()?,
        location: None,
        holiday_region: None,
        parent: None,
    })
}

/// Row `i` of a series with so many vintages of every hour, from 1800 on.
fn row(i: usize, vintages: usize) -> Observation {
    let valid_time = Time::MIN.plus_micros((i / vintages) as i64 * HOUR);
    Observation {
        valid_time,
        available_at: valid_time.plus_micros((1 + i % vintages) as i64 * HOUR),
        value: (i as f64).sin() * 1e3,
    }
}

async fn ingest(
    store: &Sqlite,
    name: &SeriesName,
    rows: usize,
    vintages: usize,
    what: &str,
) -> Result<(), AnyError> {
    let mut spent = Duration::ZERO;
    let mut stored = 0;
    for start in (0..rows).step_by(SLICE) {
        let slice: Vec<_> = (start..rows.min(start + SLICE)).map(|i| row(i, vintages)).collect();
        let begun = Instant::now();
        stored += store.write_observations(name, &slice).await?.stored;
        spent += begun.elapsed();
    }
    let rate = rows as f64 / spent.as_secs_f64();
    say(format_args!("{name}: {rows} rows {what}, {stored} stored: {rate:.0} rows/s"));
    Ok(())
}

/// Reads ranges spread over the series as of the middle of their vintages.
async fn read(store: &Sqlite, name: &SeriesName, hours: usize, points: usize) -> Result<(), AnyError> {
    let mut took = Vec::new();
    for i in 0..500_usize {
        let first = i.wrapping_mul(7_919_777) % (hours - points);
        let from = Time::MIN.plus_micros(first as i64 * HOUR);
        let range =
            ObservationRange { series: name.clone(), from, to: from.plus_micros(points as i64 * HOUR) };
        let begun = Instant::now();
        let found = store.read_as_of(&range, range.to.plus_micros(12 * HOUR)).await?;
        took.push(begun.elapsed());
        if found.len() != points {
            return Err(format!("{} of {points} points came back", found.len()).into());
        }
    }
    took.sort_unstable();
    let (p50, p95) = (took[took.len() / 2], took[took.len() * 95 / 100]);
    say(format_args!("{name}: {points} points as of: p50 {p50:?}, p95 {p95:?}"));
    Ok(())
}
