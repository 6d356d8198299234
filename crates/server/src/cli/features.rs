//! `forewatt features`: what models read, by name or as a table for models that are made elsewhere.

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use forewatt_domain::{Covariate, SeriesName};
use forewatt_service::feature_table::{FeatureRequest, Layout};
use jiff::SignedDuration;
use serde_json::json;

use super::arguments;
use super::backtest::refuse_unwritable;
use super::context::Context;

const EXAMPLES: &str = "\
Examples:
  forewatt features --series city.load
  forewatt features --series city.load --horizon 24h --output city.csv
  forewatt features --series city.load --known-ahead city.temperature.forecast --output city.csv

Without --output the names are listed. With it, the rows that a training would learn from are written as CSV: \
forecast_start,valid_time,lead,target and the features, each row made of what was known at its forecast_start. \
Beside it, FILE.layout.json says how the features are made: give it to `forewatt models import --layout`, so that a \
model trained on the table is asked with the same features. A colon in a name is written as two underscores.";

/// Flags of `features`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The series to forecast
    #[arg(long, value_name = "NAME")]
    series: SeriesName,
    #[command(flatten)]
    what: What,
    /// Use only forecast starts of the last so many days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    training_days: Option<u32>,
    /// Write the rows to this CSV file, and how they are made to FILE.layout.json
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What features are made of.
#[derive(Debug, clap::Args)]
pub struct What {
    /// How far ahead [default: forecast.horizon of the configuration]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    pub horizon: Option<SignedDuration>,
    /// Series whose values are known for the time forecast [default: the weather at the same location]
    #[arg(long, value_name = "SERIES,...", value_delimiter = ',')]
    known_ahead: Vec<SeriesName>,
    /// Series of which only the past is known
    #[arg(long, value_name = "SERIES,...", value_delimiter = ',')]
    past_only: Vec<SeriesName>,
    /// Read no other series, not even the weather at the same location
    #[arg(long, conflicts_with_all = ["known_ahead", "past_only"])]
    alone: bool,
}

impl What {
    /// The series to read; `None` for the default.
    #[must_use]
    pub fn covariates(&self) -> Option<Vec<Covariate>> {
        let named = |names: &[SeriesName], known_ahead| {
            let named = |series: &SeriesName| Covariate { series: series.clone(), known_ahead };
            names.iter().map(named).collect::<Vec<_>>()
        };
        let all = [named(&self.known_ahead, true), named(&self.past_only, false)].concat();
        (self.alone || !all.is_empty()).then_some(all)
    }
}

/// Lists the features or writes them.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let out = context.out;
    let request = FeatureRequest {
        series: args.series.clone(),
        covariates: args.what.covariates(),
        horizon: args.what.horizon.map(|horizon| horizon.to_string()),
        training_days: args.training_days,
    };
    let Some(path) = &args.output else {
        let layout = context.with_service(async |service| Ok(service.feature_layout(&request).await?))?;
        let names = layout.names();
        return if out.json { out.document(&names) } else { Ok(out.text(&names.join("\n"))?) };
    };
    refuse_unwritable(path)?;
    let table = context.with_service(async |service| Ok(service.feature_table(&request).await?))?;
    let writing = || format!("writing {}", path.display());
    let file = std::fs::File::create(path).with_context(writing)?;
    table.write_csv(&mut BufWriter::new(file)).with_context(writing)?;
    let layout = layout_path(path);
    write_layout(&layout, &table.layout)?;
    let features = table.layout.names().len();
    if out.json {
        return out.document(&json!({ "rows": table.rows(), "features": features, "layout": layout }));
    }
    let told = format!(
        "{} rows of {features} features in {}, their layout in {}",
        table.rows(),
        path.display(),
        layout.display()
    );
    Ok(out.text(&told)?)
}

/// `city.csv.layout.json` for `city.csv`.
fn layout_path(table: &Path) -> PathBuf {
    let mut name = table.as_os_str().to_owned();
    name.push(".layout.json");
    name.into()
}

fn write_layout(path: &Path, layout: &Layout) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(layout)? + "\n";
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}
