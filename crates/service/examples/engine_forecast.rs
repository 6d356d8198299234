//! Measures whole forecasts, from the store to the answer: one at a time, a thousand in one batch, a thousand models.
//!
//! `cargo run --release -p forewatt-service --example engine_forecast [SERIES] [FAMILY]` prints one JSON document.
//! Everything lives in a temporary folder. Wall times suffer from whoever else uses the machine; the processor's time
//! beside them hardly does.

mod shared;

use std::sync::Arc;
use std::time::Instant;

use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_HOUR};
use forewatt_domain::{
    Alias, Covariate, Location, Observation, Recipe, Resolution, Series, SeriesKind, SeriesName, Time,
    VersionId,
};
use forewatt_model::artifact::{self, Artifact};
use forewatt_service::Service;
use forewatt_service::config::Config;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::train::TrainRequest;
use forewatt_store::{
    Backend, NewVersion, ObservationStore, SeriesStore, Sqlite, SqliteOptions, VersionStore,
};
use serde_json::{Value, json};

type AnyError = Box<dyn std::error::Error>;

/// Days of data of the series that is learned from.
const LONG_DAYS: i64 = 400;
/// Days of data of every other series: as many as a forecast reads.
const SHORT_DAYS: i64 = 60;
/// Forecasts asked for one after the other.
const SINGLES: usize = 500;
/// As many are asked before, so that pages and models are warm.
const WARM_UP: usize = 50;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let family = arguments.next().unwrap_or_else(|| "ensemble".to_owned());
    let folder = tempfile::tempdir()?;
    let store: Backend = Sqlite::open(folder.path(), SqliteOptions::default()).await?.into();
    let bench = Bench { service: open(&store)?, store, count };
    let first = bench.learn(&family).await?;
    let single = bench.singles().await?;
    bench.spread(&first).await?;
    bench.service.close().await;

    // A fresh service has no model in memory.
    let store: Backend = Sqlite::open(folder.path(), SqliteOptions::default()).await?.into();
    let bench = Bench { service: open(&store)?, store, count };
    let before = resident_bytes();
    let cold = bench.batch(1).await?;
    let after = resident_bytes();
    let warm = bench.batch(2).await?;
    let residents = bench.service.resident_models().await;
    let artifact_bytes = bench.store.get_version(&first).await?.map_or(0, |version| version.artifact_bytes);
    say(&json!({
        "family": family, "series": count, "artifact_bytes": artifact_bytes, "single": single,
        "batch_models_not_loaded": cold, "batch": warm,
        "resident_models": residents.models, "resident_estimated_bytes": residents.bytes,
        "resident_bytes_before": before, "resident_bytes_after": after,
    }));
    bench.service.close().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
fn say(document: &Value) {
    println!("{document}");
}

/// A service and the store beneath it.
struct Bench {
    service: Service,
    store: Backend,
    count: usize,
}

fn at(micros: i64) -> Time {
    Time::from_seconds(1_704_067_200).plus_micros(micros)
}

fn now() -> Time {
    at(LONG_DAYS * MICROS_PER_DAY)
}

fn name(i: usize) -> Result<SeriesName, AnyError> {
    Ok(format!("load-{i:04}").parse()?)
}

fn open(store: &Backend) -> Result<Service, AnyError> {
    Ok(Service::with_store(store.clone(), config()?, Arc::new(now)))
}

/// The defaults, with room for a thousand series in one batch.
fn config() -> Result<Config, AnyError> {
    let mut config = shared::defaults()?;
    config.forecast.batch_max = 10_000;
    config.forecast.batch_values_max = 10_000_000;
    config.forecast.issued_queue_max = 10_000;
    config.cache.models_max_bytes = 4_000_000_000;
    config.limits.list_max = 10_000;
    Ok(config)
}

fn described(name: SeriesName, kind: SeriesKind, unit: &str) -> Result<Series, AnyError> {
    Ok(Series {
        name,
        kind,
        unit: unit.to_owned(),
        resolution: Resolution::HOUR,
        time_zone: "Europe/Madrid".parse()?,
        location: Some(Location::new(40.4, -3.7)?),
        holiday_region: Some("ES".to_owned()),
        parent: None,
    })
}

/// A number between -0.5 and 0.5 that looks random.
fn noise(i: i64) -> f64 {
    let mixed = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f64 / f64::from(1 << 24) - 0.5
}

fn temperature(hour: i64) -> f64 {
    let day = (hour as f64 / 24.0 / 365.25 * std::f64::consts::TAU).cos();
    let of_day = ((hour % 24) as f64 / 24.0 * std::f64::consts::TAU - 2.0).sin();
    15.0 - 9.0 * day + 4.0 * of_day + 2.0 * noise(hour / 24)
}

fn load(hour: i64, salt: i64) -> f64 {
    let angle = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
    let weekend = if (hour / 24) % 7 >= 5 { 120.0 } else { 0.0 };
    let weather = 6.0 * (temperature(hour) - 18.0).abs();
    1_000.0 + 200.0 * (angle - 2.0).sin() - weekend + weather + 40.0 * noise(hour + 1_000_003 * salt)
}

/// Hours of load known when they are over.
fn loads(from_day: i64, salt: i64) -> Vec<Observation> {
    (from_day * 24..LONG_DAYS * 24)
        .map(|hour| Observation {
            valid_time: at(hour * MICROS_PER_HOUR),
            available_at: at((hour + 1) * MICROS_PER_HOUR),
            value: load(hour, salt),
        })
        .collect()
}

/// Temperatures as three daily forecasts foretold them.
fn temperatures() -> Vec<Observation> {
    let hours = (0..(LONG_DAYS + 3) * 24).flat_map(|hour| {
        (0..3).map(move |ahead| {
            let issued = (hour / 24 - ahead) * MICROS_PER_DAY;
            let value = temperature(hour) + 0.5 * ahead as f64 * noise(hour * 3 + ahead);
            Observation { valid_time: at(hour * MICROS_PER_HOUR), available_at: at(issued), value }
        })
    });
    hours.filter(|seen| seen.available_at <= now()).collect()
}

impl Bench {
    /// The series and the temperature its model reads, and a model of it.
    async fn learn(&self, family: &str) -> Result<VersionId, AnyError> {
        let weather: SeriesName = "temperature".parse()?;
        let series = described(weather.clone(), SeriesKind::Temperature, "degC")?;
        self.store.put_series(&series, now()).await?;
        self.store.write_observations(&weather, &temperatures()).await?;
        self.store.put_series(&described(name(0)?, SeriesKind::Load, "MW")?, now()).await?;
        self.store.write_observations(&name(0)?, &loads(0, 0)).await?;
        let request = TrainRequest {
            model: Some(family.parse()?),
            covariates: Some(vec![Covariate { series: weather, known_ahead: true }]),
            ..TrainRequest::new(name(0)?)
        };
        Ok(self.service.train(&request, Arc::new(|_, _| ())).await?.version.id)
    }

    /// The other series, each with data and an artifact of its own.
    async fn spread(&self, first: &VersionId) -> Result<(), AnyError> {
        let version = self.store.get_version(first).await?.ok_or("the trained version is gone")?;
        let bytes = self.store.get_artifact(&version.artifact_sha256).await?;
        let artifact: Artifact = artifact::decode(&bytes)?;
        for i in 1..self.count {
            let name = name(i)?;
            self.store.put_series(&described(name.clone(), SeriesKind::Load, "MW")?, now()).await?;
            self.store.write_observations(&name, &loads(LONG_DAYS - SHORT_DAYS, i as i64)).await?;
            let recipe = Recipe { target: name.clone(), ..version.recipe.clone() };
            let bytes = artifact::encode(&Artifact { recipe: recipe.clone(), ..artifact.clone() })?;
            let new = NewVersion {
                series: name.clone(),
                recipe,
                parent: None,
                created_at: now(),
                trained_from: version.trained_from,
                trained_to: version.trained_to,
                as_of: version.as_of,
                metrics: version.metrics.clone(),
                notes: version.notes.clone(),
                artifact_sha256: self.store.put_artifact(&bytes).await?,
                artifact_bytes: bytes.len() as u64,
            };
            let id = self.store.add_version(new).await?.id;
            self.store.set_alias(&name, Alias::Champion, &id, now(), "measuring").await?;
        }
        Ok(())
    }

    /// A question nobody asked before: another instant of knowledge each time.
    fn question(&self, i: usize, serial: usize) -> Result<ForecastRequest, AnyError> {
        let as_of = now().plus_micros(serial as i64);
        Ok(ForecastRequest { as_of: Some(as_of), ..ForecastRequest::new(name(i)?) })
    }

    async fn singles(&self) -> Result<Value, AnyError> {
        let mut took = Vec::with_capacity(SINGLES);
        let mut cpu = 0.0;
        for serial in 0..WARM_UP + SINGLES {
            let question = self.question(0, 1_000 + serial)?;
            if serial == WARM_UP {
                cpu = cpu_seconds();
            }
            let begun = Instant::now();
            self.service.forecast(&question).await?;
            if serial >= WARM_UP {
                took.push(begun.elapsed().as_secs_f64());
            }
        }
        let cpu = (cpu_seconds() - cpu) / SINGLES as f64;
        took.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| 1e3 * took[((took.len() as f64 * share) as usize).min(took.len() - 1)];
        Ok(json!({ "p50_ms": at(0.5), "p99_ms": at(0.99), "cpu_ms": 1e3 * cpu }))
    }

    async fn batch(&self, serial: usize) -> Result<Value, AnyError> {
        let questions = (0..self.count).map(|i| self.question(i, serial)).collect::<Result<Vec<_>, _>>()?;
        let (begun, cpu) = (Instant::now(), cpu_seconds());
        let answers = self.service.forecast_batch(questions).await?;
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        for answer in answers {
            let points = answer?.forecast.points.len();
            if points != 48 {
                return Err(format!("{points} points instead of 48").into());
            }
        }
        Ok(json!({ "wall_ms": 1e3 * wall, "cpu_ms": 1e3 * cpu }))
    }
}

/// User and system time of this process so far (fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|text| text.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}

/// Resident memory of this process, in bytes.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or(0) << 10
}
