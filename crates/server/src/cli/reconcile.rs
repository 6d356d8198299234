//! `forewatt reconcile`: a series and its parts, with forecasts that add up.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use forewatt_domain::{QuantileLevels, SeriesName, Zone};
use forewatt_service::reconcile::{ErrorSource, Method, ReconcileRequest, Reconciled, ReconciledSeries};
use jiff::SignedDuration;

use super::arguments::{self, When};
use super::context::Context;
use super::exit;
use super::forecast::local;
use super::output::Output;
use crate::table::{Table, count, number};

const EXAMPLES: &str = "\
Examples:
  forewatt reconcile city.load
  forewatt reconcile city.load --method bottom-up --horizon 24h
  forewatt reconcile city.load --quantiles 0.05,0.5,0.95 --json

Parts are the series that name it as their parent (`forewatt series set PART --parent city.load`), and theirs. \
mint weighs every series by how its past errors move with the others'; wls by their size alone; ols and \
wls-structural need no past errors; bottom-up keeps the smallest parts, top-down keeps the whole. The past errors \
are those of forecasts as issued, or of a quick backtest while there are too few. A part without a champion is \
stood in for by a quick model, and the answer says so.";

/// Flags of `reconcile`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The series that is the sum of its parts
    parent: SeriesName,
    /// How to make forecasts add up
    #[arg(long, value_name = "NAME", default_value = "mint", value_parser = method())]
    method: Method,
    /// How far [default: forecast.horizon of the configuration, or the models' if that is shorter]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    horizon: Option<SignedDuration>,
    /// Quantile levels, rising [default: forecast.levels of the configuration]
    #[arg(long, value_name = "LEVELS", value_parser = arguments::levels)]
    quantiles: Option<QuantileLevels>,
    /// Use only what was known at this instant: RFC 3339 or local to the series
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    as_of: Option<When>,
    /// Start of the first period forecast: RFC 3339 or local to the series [default: now]
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    start: Option<When>,
}

fn method() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::NAMES).try_map(|name| name.parse::<Method>())
}

/// Asks the service and shows the answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async |service| {
        let zone = service.series(&args.parent).await?.series.time_zone.clone();
        let answer = service.reconcile(&request(args, &zone)?).await?;
        if out.json { out.document(&answer) } else { Ok(out.text(&report(&answer, &zone, out))?) }
    })
}

fn request(args: &Args, zone: &Zone) -> anyhow::Result<ReconcileRequest> {
    let resolve = |flag: &str, when: Option<When>| {
        when.map(|w| w.resolve(zone).map_err(|error| exit::usage(format!("{flag}: {error}")))).transpose()
    };
    Ok(ReconcileRequest {
        method: args.method,
        horizon: args.horizon,
        levels: args.quantiles.clone(),
        as_of: resolve("--as-of", args.as_of)?,
        forecast_start: resolve("--start", args.start)?,
        ..ReconcileRequest::new(args.parent.clone())
    })
}

fn report(answer: &Reconciled, zone: &Zone, out: Output) -> String {
    let steps = answer.series.first().map_or(0, |one| one.points.len());
    let mut text = out.heading(&format!(
        "{} and {} parts, from {}",
        answer.parent,
        answer.series.len() - 1,
        local(answer.forecast_start, zone)
    ));
    let source = match answer.errors.source {
        ErrorSource::Issued => "of issued forecasts",
        ErrorSource::Backtest => "of a quick backtest",
        ErrorSource::None => "known",
    };
    text.push_str(&format!(
        "\n{} with {} past errors {source}",
        answer.method,
        count(answer.errors.steps as u64)
    ));
    if let Some(shrinkage) = answer.errors.shrinkage {
        text.push_str(&format!(", correlations shrunk by {:.0} %", 100.0 * shrinkage));
    }
    let unit = if answer.unit.is_empty() { String::new() } else { format!(" {}", answer.unit) };
    text.push_str(&format!(
        "\nwhole and parts were {}{unit} apart on average, now nothing\n",
        number(answer.base_gap)
    ));
    if let Some(reason) = &answer.degraded {
        text.push_str(&format!("degraded: {reason}\n"));
    }
    for other in &answer.left_out {
        text.push_str(&format!("left out: {} {}\n", other.series, other.reason));
    }
    text.push('\n');
    text.push_str(&table(answer));
    text.push_str(&format!(
        "means over {steps} steps{}\n",
        if unit.is_empty() { unit } else { format!(", in{unit}") }
    ));
    text
}

/// One row a series: its forecast alone and reconciled, averaged over all steps.
fn table(answer: &Reconciled) -> String {
    let levels: Vec<&String> = answer
        .series
        .first()
        .and_then(|one| one.points.first())
        .map_or_else(Vec::new, |p| p.quantiles.keys().collect());
    let outer: Vec<&str> =
        levels.first().into_iter().chain(levels.last()).map(|name| name.as_str()).collect();
    let names: Vec<String> = outer.iter().map(|level| format!(">q{level}")).collect();
    let mut headings = vec!["series", "model", ">alone", ">reconciled", ">change"];
    headings.extend(names.iter().map(String::as_str));
    let mut table = Table::new(&headings);
    for one in &answer.series {
        let base = mean(one, |point| point.base_mean);
        let reconciled = mean(one, |point| point.mean);
        let model = match (&one.model_version, &one.stand_in) {
            (Some(version), _) => version.to_string(),
            (None, Some(why)) => format!("stand-in {}", why.split(':').next().unwrap_or_default()),
            (None, None) => String::new(),
        };
        let mut row =
            vec![one.series.to_string(), model, number(base), number(reconciled), signed(reconciled - base)];
        let quantile =
            |level: &&str| number(mean(one, |p| p.quantiles.get(*level).copied().unwrap_or(f64::NAN)));
        row.extend(outer.iter().map(quantile));
        table.row(row);
    }
    table.render()
}

fn mean(one: &ReconciledSeries, value: impl Fn(&forewatt_service::reconcile::ReconciledPoint) -> f64) -> f64 {
    one.points.iter().map(value).sum::<f64>() / one.points.len().max(1) as f64
}

fn signed(value: f64) -> String {
    let text = number(value);
    if value > 0.0 { format!("+{text}") } else { text }
}
