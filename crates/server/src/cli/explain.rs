//! `forewatt explain`: which inputs moved a forecast, and by how much.

use forewatt_domain::{SeriesName, VersionId, Zone};
use forewatt_service::explain::{
    ExplainRequest, Explained, FEATURES_DEFAULT, FEATURES_MAX, GroupShare, Since,
};
use forewatt_service::forecast::ForecastRequest;
use jiff::SignedDuration;

use super::arguments::{self, When, resolve};
use super::context::Context;
use super::forecast::local;
use super::models::version_id;
use super::output::Output;
use crate::table::{Table, number};

const EXAMPLES: &str = "\
Examples:
  forewatt explain city.load                     against the usual at the same time of day
  forewatt explain city.load --horizon 24h --features 10
  forewatt explain city.load --since previous    why it changed since the last one issued
  forewatt explain city.load --as-of 2026-01-31T12:00 --since 2026-01-31T06:00
  forewatt explain city.load --json              what /v1/series/NAME/forecast:explain answers";
/// Rows of the table; longer forecasts show every n-th step.
const TABLE_ROWS: usize = 24;
/// Causes named for one step.
const CAUSES: usize = 3;

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The series
    series: SeriesName,
    /// How far [default: forecast.horizon of the configuration, or the model's if that is shorter]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    horizon: Option<SignedDuration>,
    /// Use only what was known at this instant: RFC 3339 or local to the series
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    as_of: Option<When>,
    /// Start of the first period forecast: RFC 3339 or local to the series [default: now]
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    start: Option<When>,
    /// Explain the change since an earlier forecast of the same times: `previous` (the last one issued) or an
    /// instant [default: compare with the usual]
    #[arg(long, value_name = "PREVIOUS", value_parser = earlier)]
    since: Option<Earlier>,
    /// How many features to tell
    #[arg(long, value_name = "N", default_value_t = FEATURES_DEFAULT as u32,
        value_parser = clap::value_parser!(u32).range(1..=FEATURES_MAX as i64))]
    features: u32,
    /// Which version is explained [default: the champion]
    #[arg(long, value_name = "VERSION", value_parser = version_id)]
    version_id: Option<VersionId>,
}

/// An earlier forecast as people name it.
#[derive(Debug, Clone, Copy)]
enum Earlier {
    Previous,
    At(When),
}

fn earlier(text: &str) -> Result<Earlier, String> {
    if text == "previous" {
        return Ok(Earlier::Previous);
    }
    arguments::when(text).map(Earlier::At).map_err(|error| format!("write `previous`, or {error}"))
}

/// Asks the service and shows the answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async |service| {
        let info = service.series(&args.series).await?;
        let zone = &info.series.time_zone;
        let explained = service.explain(&request(args, zone)?).await?;
        if out.json {
            return out.document(&explained);
        }
        Ok(out.text(&shown(&explained, zone, out))?)
    })
}

fn request(args: &Args, zone: &Zone) -> anyhow::Result<ExplainRequest> {
    let since = match args.since {
        None => None,
        Some(Earlier::Previous) => Some(Since::Previous),
        Some(Earlier::At(when)) => resolve("--since", Some(when), zone)?.map(Since::Instant),
    };
    let forecast = ForecastRequest {
        horizon: args.horizon,
        as_of: resolve("--as-of", args.as_of, zone)?,
        forecast_start: resolve("--start", args.start, zone)?,
        version: args.version_id.clone(),
        ..ForecastRequest::new(args.series.clone())
    };
    Ok(ExplainRequest { forecast, since, features: args.features as usize })
}

fn shown(explained: &Explained, zone: &Zone, out: Output) -> String {
    let total = &explained.total;
    let per_step = |sum: f64| sum / total.steps.max(1) as f64;
    let mut text =
        out.heading(&format!("{}, from {}", explained.series, local(explained.forecast_start, zone)));
    text.push_str(&format!(
        "\n{}: {} a step on average, {} against {}\n",
        explained.model_version,
        with_unit(&number(per_step(total.mean)), &explained.unit),
        signed(per_step(total.mean) - per_step(total.reference)),
        number(per_step(total.reference)),
    ));
    text.push_str(&format!("compared with {}\n", explained.reference.text));
    if !explained.by_feature {
        text.push_str(&format!("told {}\n", explained.method));
    }
    if let Some(reason) = &explained.degraded {
        text.push_str(&format!("degraded: {reason}\n"));
    }
    let value = |value: Option<f64>| value.map_or_else(String::new, number);
    let mut table = Table::new(&["what moved it", ">a step", ">now", ">reference"]);
    for share in total.groups.iter().filter(|share| share.contribution != 0.0) {
        let moved = signed(per_step(share.contribution));
        table.row([share.label.clone(), moved, value(share.value), value(share.reference_value)]);
    }
    for share in total.adjustments.iter().filter(|share| shows(per_step(share.contribution))) {
        table.row([share.label.clone(), signed(per_step(share.contribution))]);
    }
    text.push_str(&format!("\n{}", table.render()));
    if !total.features.is_empty() {
        let mut table = Table::new(&["strongest features", ">a step", ">now", ">reference"]);
        for share in &total.features {
            let moved = signed(per_step(share.contribution));
            table.row([share.label.clone(), moved, value(share.value), value(share.reference_value)]);
        }
        text.push_str(&format!("\n{}", table.render()));
    }
    text.push_str(&format!("\n{}{zone} time\n", by_step(explained, zone)));
    text
}

/// A line a step: what it is, against what, and the strongest causes.
fn by_step(explained: &Explained, zone: &Zone) -> String {
    let mut table = Table::new(&["time", ">mean", ">reference", "because of"]);
    let every = explained.points.len().div_ceil(TABLE_ROWS).max(1);
    for point in explained.points.iter().step_by(every) {
        let night = point.adjustments.iter().find(|share| share.kind == "night");
        let because = night.map_or_else(|| causes(&point.groups), |share| share.label.clone());
        let (mean, reference) = (number(point.mean), number(point.reference));
        table.row([local(point.valid_time, zone), mean, reference, because]);
    }
    table.render()
}

fn causes(groups: &[GroupShare]) -> String {
    let strongest = groups.iter().filter(|share| share.contribution != 0.0).take(CAUSES);
    let named = strongest.map(|share| {
        let name = share.group.strip_prefix("covariate:").unwrap_or(&share.group).replace('_', " ");
        format!("{name} {}", signed(share.contribution))
    });
    named.collect::<Vec<_>>().join(", ")
}

/// Whether a figure is more than noughts as it is printed.
fn shows(value: f64) -> bool {
    number(value).contains(|c: char| ('1'..='9').contains(&c))
}

/// A difference with its sign.
pub fn signed(value: f64) -> String {
    let text = number(value);
    if value >= 0.0 && text != "-" { format!("+{text}") } else { text }
}

fn with_unit(text: &str, unit: &str) -> String {
    if unit.is_empty() { text.to_owned() } else { format!("{text} {unit}") }
}
