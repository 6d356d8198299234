//! Whether answering questions of rows together pays: distinct questions, many at once, by the processor time they take.
//!
//! `cargo run --release -p forewatt-service --example batching -- QUESTIONS AT_ONCE together|alone`: a model of the family
//! gbdt is learned, the questions are asked, and every answer is compared with that of another order of asking.

mod shared;

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::sync::Arc;

use forewatt_domain::{Resolution, Series, SeriesKind, Time, Zone};
use forewatt_service::Service;
use forewatt_service::config::Config;
use forewatt_service::infer::{Inferred, Rows};
use forewatt_service::observations::NewObservation;
use forewatt_service::train::TrainRequest;
use forewatt_store::Sqlite;
use futures::stream::{self, StreamExt as _};

type AnyError = Box<dyn Error + Send + Sync>;

/// Days of the series.
const DAYS: i64 = 120;

fn now() -> Time {
    Time::from_seconds(1_767_225_600)
}

fn config(enabled: bool) -> Result<Config, AnyError> {
    let mut config = shared::defaults()?;
    config.train.family = "gbdt".to_owned();
    config.train.backtest_days = 3;
    config.batching.enabled = enabled;
    Ok(config)
}

/// The `serial`-th question: one row that no other question has.
fn question(serial: u64, columns: usize) -> Rows {
    let value = |column: u64| {
        let mixed = (serial * 131 + column + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        800.0 + (mixed >> 40) as f32 / 30_000.0
    };
    Rows { values: (0..columns as u64).map(value).collect(), times: None }
}

/// What a question was answered, in one number.
fn print_of(said: &Inferred) -> u64 {
    let mut hasher = DefaultHasher::new();
    said.mean.iter().chain(&said.quantiles).for_each(|value| value.to_bits().hash(&mut hasher));
    hasher.finish()
}

/// Processor time of this process so far, in seconds.
fn processor_seconds() -> Result<f64, AnyError> {
    let stat = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanos: f64 = stat.split_whitespace().next().ok_or("no schedstat")?.parse()?;
    let tasks = std::fs::read_dir("/proc/self/task")?.flatten().map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(0.0)
    });
    Ok(tasks.sum::<f64>().max(nanos) / 1e9)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, questions, at_once, how] = arguments.as_slice() else {
        return Err("usage: batching QUESTIONS AT_ONCE together|alone".into());
    };
    let (questions, at_once): (u64, usize) = (questions.parse()?, at_once.parse()?);
    let store = Sqlite::in_memory().await?.into();
    let service = Service::with_store(store, config(how == "together")?, Arc::new(now));
    let name: forewatt_domain::SeriesName = "load".parse()?;
    service
        .put_series(&Series {
            name: name.clone(),
            kind: SeriesKind::Load,
            unit: "MW".to_owned(),
            resolution: Resolution::HOUR,
            time_zone: Zone::utc(),
            location: None,
            holiday_region: None,
            parent: None,
        })
        .await?;
    let observed = (0..DAYS * 24).map(|hour| {
        let valid_time = now().plus_micros((hour - DAYS * 24) * 3_600_000_000);
        let wave = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
        NewObservation {
            valid_time,
            available_at: None,
            value: 1_000.0 + 200.0 * wave.sin() + (hour * 7_919 % 61) as f64,
        }
    });
    service.write_observations(&name, &observed.collect::<Vec<_>>()).await?;
    let request = TrainRequest {
        model: "gbdt".parse().ok(),
        horizon: Some("PT24H".to_owned()),
        ..TrainRequest::new(name)
    };
    let id = service.train(&request, Arc::new(|_, _| ())).await?.version.id;
    let columns = service.signature(&id).await?.features.len();
    let ask = |serial: u64| {
        let (service, id) = (service.clone(), id.clone());
        async move {
            let said = tokio::spawn(async move { service.infer(&id, question(serial, columns)).await }).await;
            (serial, said.ok().and_then(Result::ok).map(|said| print_of(&said)))
        }
    };
    let mut prints = vec![None; usize::try_from(questions)?];
    let began = processor_seconds()?;
    let mut answers = stream::iter(0..questions).map(ask).buffer_unordered(at_once);
    while let Some((serial, print)) = answers.next().await {
        prints[serial as usize] = print;
    }
    drop(answers);
    let spent = processor_seconds()? - began;
    // Backwards, everyone has other neighbours: who gets another's answer gets a different one now.
    let mut again = stream::iter((0..questions).rev()).map(ask).buffer_unordered(at_once / 2 + 1);
    let mut crossed = 0;
    while let Some((serial, print)) = again.next().await {
        crossed += u64::from(print.is_none() || prints[serial as usize] != print);
    }
    writeln!(
        std::io::stdout(),
        "{how}: {questions} questions of one row of {columns} features, {at_once} at once: {:.1} us of processor time each, {crossed} crossed",
        spent * 1e6 / questions as f64
    )?;
    if crossed == 0 { Ok(()) } else { Err(format!("{crossed} answers were another's").into()) }
}
