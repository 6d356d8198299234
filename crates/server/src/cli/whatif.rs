//! `forewatt whatif`: a forecast as if its covariates were different.

use std::collections::BTreeMap;

use forewatt_domain::{QuantileLevels, SeriesName, Time, VersionId, Zone};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::whatif::{Change, Override, WhatIf, WhatIfRequest};
use jiff::SignedDuration;

use super::arguments::{self, When, resolve};
use super::context::Context;
use super::explain::signed;
use super::forecast::local;
use super::models::version_id;
use super::output::Output;
use crate::table::{Table, number};

const EXAMPLES: &str = "\
Examples:
  forewatt whatif city.load --add city.temperature=+2          two degrees warmer
  forewatt whatif city.solar --scale city.irradiance=0.7       clouds
  forewatt whatif city.load --add t=-3 --from 2026-01-31T06:00 --to 2026-01-31T12:00
  forewatt whatif city.load --scale wind=0 --add wind=5        the value 5 throughout
  forewatt whatif city.load --add t=2 --json                   what the API answers";
/// Rows of the table; longer forecasts show every n-th step.
const TABLE_ROWS: usize = 48;

/// Flags of `whatif`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group = clap::ArgGroup::new("changes").required(true).multiple(true).args(["add", "scale"]))]
pub struct Args {
    /// The series
    series: SeriesName,
    /// Add to every known value of a covariate, after --scale; may be repeated
    #[arg(long, value_name = "NAME=NUMBER", value_parser = change)]
    add: Vec<(SeriesName, f64)>,
    /// Multiply every known value of a covariate; may be repeated
    #[arg(long, value_name = "NAME=NUMBER", value_parser = change)]
    scale: Vec<(SeriesName, f64)>,
    /// First valid time changed: RFC 3339 or local to the series [default: the forecast start]
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    from: Option<When>,
    /// First valid time not changed [default: the end of what the forecast reads]
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    to: Option<When>,
    /// How far [default: forecast.horizon of the configuration, or the model's if that is shorter]
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
    /// Which version answers [default: the champion]
    #[arg(long, value_name = "VERSION", value_parser = version_id)]
    version_id: Option<VersionId>,
}

/// Reads `temperature=+2`.
fn change(text: &str) -> Result<(SeriesName, f64), String> {
    let Some((name, figure)) = text.split_once('=') else {
        return Err("write NAME=NUMBER, such as city.temperature=+2".to_owned());
    };
    let name = name.trim().parse::<SeriesName>().map_err(|error| error.to_string())?;
    Ok((name, arguments::finite(figure.trim())?))
}

/// Asks the service and shows the answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async |service| {
        let info = service.series(&args.series).await?;
        let zone = &info.series.time_zone;
        let answer = service.whatif(&request(args, zone)?).await?;
        if out.json {
            return out.document(&answer);
        }
        Ok(out.text(&shown(&answer, zone, out))?)
    })
}

fn request(args: &Args, zone: &Zone) -> anyhow::Result<WhatIfRequest> {
    let forecast = ForecastRequest {
        horizon: args.horizon,
        levels: args.quantiles.clone(),
        as_of: resolve("--as-of", args.as_of, zone)?,
        forecast_start: resolve("--start", args.start, zone)?,
        version: args.version_id.clone(),
        ..ForecastRequest::new(args.series.clone())
    };
    let window = (resolve("--from", args.from, zone)?, resolve("--to", args.to, zone)?);
    Ok(WhatIfRequest { forecast, overrides: overrides(args, window) })
}

/// One change for each covariate; what is said of it twice adds up and multiplies.
fn overrides(args: &Args, (from, to): (Option<Time>, Option<Time>)) -> Vec<Override> {
    let mut changes: BTreeMap<SeriesName, (f64, f64)> = BTreeMap::new();
    for (name, by) in &args.add {
        changes.entry(name.clone()).or_insert((0.0, 1.0)).0 += by;
    }
    for (name, by) in &args.scale {
        changes.entry(name.clone()).or_insert((0.0, 1.0)).1 *= by;
    }
    let change = |(covariate, (add, scale))| {
        let change = Change::Shift { add, scale };
        Override { covariate, change, from, to }
    };
    changes.into_iter().map(change).collect()
}

fn shown(answer: &WhatIf, zone: &Zone, out: Output) -> String {
    let mut text = out.heading(&format!("{}, from {}", answer.series, local(answer.forecast_start, zone)));
    text.push_str(&format!("\n{}; {}\n", answer.model_version, answer.note));
    if let Some(reason) = &answer.degraded {
        text.push_str(&format!("degraded: {reason}\n"));
    }
    for applied in &answer.overrides {
        let before = applied.mean_before.map_or_else(|| "unknown".to_owned(), number);
        text.push_str(&format!(
            "{}: {} steps from {} on, {before} -> {} on average\n",
            applied.covariate,
            applied.steps,
            local(applied.from, zone),
            number(applied.mean_after)
        ));
    }
    let mut table = Table::new(&["time", ">forecast", ">changed", ">difference"]);
    let every = answer.points.len().div_ceil(TABLE_ROWS).max(1);
    for point in answer.points.iter().step_by(every) {
        let mean = &point.mean;
        let figures = [number(mean.base), number(mean.changed), signed(mean.difference)];
        table.row([local(point.valid_time, zone)].into_iter().chain(figures));
    }
    let steps = answer.points.len().max(1) as f64;
    let (base, changed) = (answer.total.base / steps, answer.total.changed / steps);
    let average = "on average".to_owned();
    table.row([average, number(base), number(changed), signed(answer.total.difference / steps)]);
    let unit = if answer.unit.is_empty() { String::new() } else { format!("values in {}, ", answer.unit) };
    text.push_str(&format!("\n{}{unit}{zone} time\n", table.render()));
    text
}
