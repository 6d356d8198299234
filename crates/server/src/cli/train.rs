//! `forewatt train`: learn a model version, backtest it, promote it when it is better.

use std::sync::Arc;

use forewatt_domain::{Covariate, Family, QuantileLevels, SeriesName};
use forewatt_service::jobs::Progress;
use forewatt_service::train::{TrainReport, TrainRequest};
use indicatif::ProgressBar;
use jiff::SignedDuration;

use super::arguments;
use super::choice::ChoiceArgs;
use super::context::Context;
use super::models;

const EXAMPLES: &str = "\
Examples:
  forewatt train city.load
  forewatt train city.load --model linear --horizon 24h
  forewatt train city.load --known-ahead city.temperature.forecast --past-only city.solar
  forewatt train city.load --no-promote --json
  forewatt train city.price --known-ahead city.load.forecast --model auto --budget 10m

Without --known-ahead and --past-only the weather and temperature series at the same location are read. \
The new version becomes champion when it beats the present one on the same backtest (mean pinball loss). \
lear, mlp, gp and auto learn whole days: they forecast at local midnight with what was known then and answer from \
that until the next.";

/// Flags of `train`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The series to forecast
    series: SeriesName,
    /// Model family [default: train.family of the configuration]
    #[arg(long, value_name = "NAME", value_parser = arguments::family())]
    model: Option<Family>,
    /// How far it must see [default: forecast.horizon of the configuration]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    horizon: Option<SignedDuration>,
    /// Quantile levels it learns, rising [default: the deciles]
    #[arg(long, value_name = "LEVELS", value_parser = arguments::levels)]
    quantiles: Option<QuantileLevels>,
    /// Series whose values are known for the time forecast (weather forecasts, auction results)
    #[arg(long, value_name = "SERIES,...", value_delimiter = ',')]
    known_ahead: Vec<SeriesName>,
    /// Series of which only the past is known
    #[arg(long, value_name = "SERIES,...", value_delimiter = ',')]
    past_only: Vec<SeriesName>,
    /// Read no other series, not even the weather at the same location
    #[arg(long, conflicts_with_all = ["known_ahead", "past_only"])]
    alone: bool,
    /// Learn from at most this many days before now
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    training_days: Option<u32>,
    /// Days at the end of the data its backtest covers [default: train.backtest_days of the configuration]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    backtest_days: Option<u32>,
    /// Seed of everything random [default: train.seed of the configuration]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// About how long it may take; with --model auto: it tries learners from the cheapest on as long as there is time
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    budget: Option<SignedDuration>,
    /// Only register the version; the champion stays
    #[arg(long)]
    no_promote: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
}

impl Args {
    fn request(self) -> TrainRequest {
        let named = |names: Vec<SeriesName>, known_ahead| {
            names.into_iter().map(move |series| Covariate { series, known_ahead })
        };
        let covariates: Vec<Covariate> =
            named(self.known_ahead, true).chain(named(self.past_only, false)).collect();
        TrainRequest {
            model: self.model,
            covariates: (self.alone || !covariates.is_empty()).then_some(covariates),
            horizon: self.horizon.map(|h| h.to_string()),
            quantiles: self.quantiles,
            training_days: self.training_days,
            backtest_days: self.backtest_days,
            choice: self.choice.into(),
            seed: self.seed,
            budget: self.budget.map(|budget| budget.to_string()),
            promote: !self.no_promote,
            ..TrainRequest::new(self.series)
        }
    }
}

/// Trains here and now; a running server on the same data folder sees the result within `cache.series_ttl_ms`.
pub fn run(context: &Context, args: Args) -> anyhow::Result<()> {
    let out = context.out;
    let bar = out.work_bar();
    let request = args.request();
    let report = context.with_service(async |service| Ok(service.train(&request, follow(&bar)).await?));
    bar.finish_and_clear();
    let report = report?;
    if out.json {
        return out.document(&report);
    }
    Ok(out.text(&format!("{}\n{}", models::describe(&report.version, out), verdict(&report)))?)
}

/// A progress bar as the service tells progress.
#[must_use]
pub fn follow(bar: &ProgressBar) -> Progress {
    let bar = bar.clone();
    Arc::new(move |share: f64, doing: &str| {
        bar.set_position((share.clamp(0.0, 1.0) * 1000.0) as u64);
        if bar.message() != doing {
            bar.set_message(doing.to_owned());
        }
    })
}

/// Whether the version answers from now on, and why.
#[must_use]
pub fn verdict(report: &TrainReport) -> String {
    let id = &report.version.id;
    if report.promoted {
        format!("{id} is the champion: {}", report.promotion)
    } else {
        format!("{id} was not promoted: {}", report.promotion)
    }
}
