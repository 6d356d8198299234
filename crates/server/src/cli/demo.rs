//! `forewatt demo`: from the built-in year of 17 solar homes to served forecasts in under a minute.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use forewatt_domain::{ModelVersion, SeriesName};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::observations::NewObservation;
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, Service};
use serde_json::{Value, json};

use super::context::Context;
use super::output::Output;
use super::train::{follow, verdict};
use super::{forecast, serve};
use crate::sample;
use crate::table::{Table, count, number};

const EXAMPLES: &str = "\
Examples:
  forewatt demo
  forewatt demo --data-dir /tmp/demo --listen 127.0.0.1:9000
  forewatt demo --no-serve --json

The sample is real: load and solar generation of 17 homes in Fontana, California, one year from 1 August 2016, \
with weather forecasts as they were known then (CityLearn 2022, MIT). It is imported, checked, learned from, \
backtested against the baselines and served. The clock of the demo stands in that year, so that its forecasts \
are as fresh as they were. A second start finds everything in place.";
/// What the demo learns to forecast.
const TARGETS: [&str; 5] =
    ["district.load", "district.solar", "home-01.load", "home-02.load", "home-03.load"];
/// The demo's now, two days before the data end: midnight of 30 July 2017 in Fontana. Weather forecasts reach a day
/// beyond it, and what came true can be compared.
const NOW: &str = "2017-07-30T07:00:00Z";
/// Rows a training of the demo reads at most: two cores must be through with all targets within a minute.
const ROWS_MAX: usize = 60_000;
/// The configuration the next commands use, in the demo's data folder.
const CONFIG_FILE: &str = "forewatt.toml";

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Stop once everything is learned
    #[arg(long)]
    no_serve: bool,
}

/// What one target came to.
struct Learned {
    version: ModelVersion,
    quality: Option<f64>,
}

/// Prepares whatever is missing, tells about it, and serves.
pub fn run(context: &Context, args: &Args, data_dir_given: bool) -> anyhow::Result<()> {
    let context = demo_context(context, data_dir_given);
    let data_dir = context.config().store.data_dir.clone();
    let address = context.config().listen()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(async {
        // The port first: nobody wants to learn after a minute that it is taken.
        let ports = if args.no_serve { None } else { Some(serve::Ports::bind(&context).await?) };
        let address = ports.as_ref().and_then(|ports| ports.address().ok()).unwrap_or(address);
        let opened = serve::open(&context, &data_dir).await?;
        let prepared = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err(super::exit::interrupted()),
            prepared = prepare(&context, &opened.service, address) => prepared,
        };
        match (prepared, ports) {
            (Ok(story), Some(ports)) => serve::serve(&context, ports, opened, story).await,
            (prepared, _) => {
                opened.service.close().await;
                let story = prepared?;
                if context.out.json { context.out.document(&story) } else { Ok(()) }
            }
        }
    });
    runtime.shutdown_background();
    result
}

/// The user's configuration with the demo's folder and clock.
fn demo_context(context: &Context, data_dir_given: bool) -> Context {
    let mut context = context.clone();
    let config = &mut context.loaded.config;
    if !data_dir_given {
        config.store.data_dir = config.store.data_dir.join("demo");
    }
    // The sample and its clock stay out of a real database.
    config.store.url.clear();
    config.store.read_url.clear();
    if config.forecast.fixed_now.is_empty() {
        config.forecast.fixed_now = NOW.to_owned();
    }
    config.train.rows_max = config.train.rows_max.min(ROWS_MAX);
    context
}

/// Does what is missing and tells what came of it: at once, or as the document it returns.
async fn prepare(context: &Context, service: &Service, address: SocketAddr) -> anyhow::Result<Value> {
    let (out, started) = (context.out, Instant::now());
    if !is_prepared(service).await? {
        import(service, out).await?;
        for target in TARGETS {
            learn(service, out, target).await?;
        }
        say(out, &format!("ready after {:.1} s", started.elapsed().as_secs_f64()))?;
    }
    let config = write_config(context)?;
    tell(context, service, &config, address).await
}

/// Whether an earlier start went through to the end.
async fn is_prepared(service: &Service) -> anyhow::Result<bool> {
    for target in TARGETS {
        match service.series(&target.parse()?).await {
            Ok(info) if info.champion().is_some() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Writes every series of the sample with all its vintages; writing again changes nothing.
async fn import(service: &Service, out: Output) -> anyhow::Result<()> {
    let started = Instant::now();
    let all = tokio::task::spawn_blocking(sample::read)
        .await
        .context("reading the sample ended unexpectedly")??;
    let (series, mut values) = (all.len(), 0);
    for item in all {
        service.put_series(&item.series).await?;
        let new: Vec<NewObservation> = item
            .observations
            .iter()
            .map(|o| NewObservation {
                valid_time: o.valid_time,
                available_at: Some(o.available_at),
                value: o.value,
            })
            .collect();
        values += new.len() as u64;
        for some in new.chunks(service.config().limits.write_points_max.max(1)) {
            service.write_observations(&item.series.name, some).await?;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    say(
        out,
        &format!("imported {series} series, {} values with their vintages, in {seconds:.1} s", count(values)),
    )
}

/// Checks, trains, backtests and promotes one target, unless an earlier start did.
async fn learn(service: &Service, out: Output, target: &str) -> anyhow::Result<()> {
    let name: SeriesName = target.parse()?;
    if service.series(&name).await?.champion().is_some() {
        return Ok(());
    }
    let started = Instant::now();
    let quality = service.check_series(&name).await?;
    let bar = out.work_bar();
    let report = service.train(&TrainRequest::new(name), follow(&bar)).await;
    bar.finish_and_clear();
    let report = report.with_context(|| format!("learning {target}"))?;
    let seconds = started.elapsed().as_secs_f64();
    say(out, &format!("{target}: quality {:.2}, {} in {seconds:.1} s", quality.score, verdict(&report)))
}

/// A line of the story, unless one JSON document is wanted.
fn say(out: Output, text: &str) -> anyhow::Result<()> {
    if out.json {
        out.note(text);
        return Ok(());
    }
    Ok(out.text(text)?)
}

/// A configuration for the next commands: the demo's folder and clock.
fn write_config(context: &Context) -> anyhow::Result<PathBuf> {
    let data_dir = &context.config().store.data_dir;
    let path = data_dir.join(CONFIG_FILE);
    if path.exists() {
        return Ok(path);
    }
    let folder =
        std::fs::canonicalize(data_dir).with_context(|| format!("finding {}", data_dir.display()))?;
    let text = format!(
        "# Written by `forewatt demo` for the commands that follow it: its data and its clock.\n\
         [store]\ndata_dir = {}\n\n[forecast]\nfixed_now = {}\n",
        toml_text(&folder),
        Value::from(context.config().forecast.fixed_now.as_str())
    );
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// A path as TOML text: JSON's escapes are TOML's.
fn toml_text(path: &Path) -> String {
    Value::from(path.to_string_lossy().into_owned()).to_string()
}

/// The table, a chart and what to try next; or all of it as a document for later.
async fn tell(
    context: &Context,
    service: &Service,
    config: &Path,
    address: SocketAddr,
) -> anyhow::Result<Value> {
    let out = context.out;
    let mut learned = Vec::new();
    for target in TARGETS {
        let info = service.series(&target.parse()?).await?;
        let Some(champion) = info.champion() else { continue };
        let quality = service.latest_quality(&info.series.name).await?.map(|record| record.score);
        learned.push(Learned { version: service.version(champion).await?, quality });
    }
    let document = |l: &Learned| json!({ "version": l.version, "quality": l.quality });
    let documents: Vec<Value> = learned.iter().map(document).collect();
    let story = json!({ "learned": documents, "config": config });
    if out.json {
        return Ok(story);
    }
    let first: SeriesName = TARGETS[0].parse()?;
    let answer = service.forecast(&ForecastRequest::new(first.clone())).await?;
    let zone = service.series(&first).await?.series.time_zone.clone();
    let chart = forecast::chart(service, &answer.forecast, &zone, out).await?;
    out.text(&format!("\n{}\n{chart}\n{}", table(&learned), next_commands(config, address)))?;
    Ok(story)
}

/// Champions beside the seasonal naive on the same backtest.
fn table(learned: &[Learned]) -> String {
    let mut table = Table::new(&[
        "series",
        "champion",
        "model",
        ">quality",
        ">MAE",
        ">naive MAE",
        ">rMAE",
        ">pinball",
        ">coverage 80 %",
    ]);
    for Learned { version, quality } in learned {
        let metric = |name: &str| version.metrics.get(name).copied().unwrap_or(f64::NAN);
        table.row([
            version.series.to_string(),
            version.id.to_string(),
            version.recipe.family.to_string(),
            quality.map_or_else(|| "-".to_owned(), |q| format!("{q:.2}")),
            number(metric("mae")),
            number(metric("seasonal-naive/mae")),
            number(metric("rmae")),
            number(metric("pinball")),
            number(metric("coverage_80")),
        ]);
    }
    table.render()
}

fn next_commands(config: &Path, address: SocketAddr) -> String {
    let config = config.display();
    format!(
        "Try next, in another terminal:\n  \
         forewatt forecast district.solar --config {config}\n  \
         forewatt series list --config {config}\n  \
         forewatt backtest --series home-01.load --from 2017-07-01 --to 2017-07-28 --model linear --config {config}\n  \
         forewatt train home-04.load --config {config}\n  \
         curl 'http://{address}/v1/series/district.load/forecast?horizon=PT24H'\n"
    )
}
