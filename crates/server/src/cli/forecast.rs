//! `forewatt forecast`: a table and a chart, or the API's own document.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use forewatt_domain::{Forecast, QuantileLevels, SeriesName, Time, VersionId, Zone};
use forewatt_service::Service;
use forewatt_service::cache::Answer;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::observations::ObservationQuery;
use jiff::SignedDuration;

use super::arguments::{self, When};
use super::context::Context;
use super::models::version_id;
use super::output::Output;
use crate::plot::{Chart, FanPoint, render};
use crate::table::{Table, number};

const EXAMPLES: &str = "\
Examples:
  forewatt forecast city.load
  forewatt forecast city.load --horizon 24h --quantiles 0.05,0.5,0.95
  forewatt forecast city.load --start 2026-01-31 --json   a past day, with its data
  forewatt forecast city.load --threshold 350                with P(value > 350)
  forewatt forecast city.load --output tomorrow.csv
  forewatt forecast --all                                    every series that has a champion
  forewatt forecast --all --quantiles 0.1,0.9 --output all.csv";
/// Hours of history drawn before the forecast, at most.
const HISTORY_HOURS: i64 = 96;
/// Rows of the table; longer forecasts show every n-th step.
const TABLE_ROWS: usize = 48;

/// Flags of `forecast`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// The series
    #[arg(required_unless_present = "all")]
    series: Option<SeriesName>,
    /// Every series that has a champion, in one batch; each is answered or refused on its own
    #[arg(long, conflicts_with_all = ["series", "version_id"])]
    all: bool,
    /// How far [default: forecast.horizon of the configuration, or the model's if that is shorter]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    pub(super) horizon: Option<SignedDuration>,
    /// Quantile levels, rising [default: forecast.levels of the configuration]
    #[arg(long, value_name = "LEVELS", value_parser = arguments::levels)]
    pub(super) quantiles: Option<QuantileLevels>,
    /// Use only what was known at this instant: RFC 3339 or local to the series
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    pub(super) as_of: Option<When>,
    /// Start of the first period forecast: RFC 3339 or local to the series [default: now]
    #[arg(long, value_name = "TIME", value_parser = arguments::when)]
    pub(super) start: Option<When>,
    /// Also tell the probability of a value above this one
    #[arg(long, value_name = "VALUE", value_parser = arguments::finite, allow_negative_numbers = true)]
    pub(super) threshold: Option<f64>,
    /// Which version answers [default: the champion]
    #[arg(long, value_name = "VERSION", value_parser = version_id)]
    version_id: Option<VersionId>,
    /// Also write the forecast to a CSV file: valid_time,mean,q0.1,... (with --all: series,valid_time,...)
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// No chart
    #[arg(long)]
    no_plot: bool,
}

/// Asks the service and shows the answer.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    match &args.series {
        Some(series) => one(context, args, series),
        None => super::forecast_all::run(context, args),
    }
}

fn one(context: &Context, args: &Args, series: &SeriesName) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async |service| {
        let info = service.series(series).await?;
        let zone = &info.series.time_zone;
        let answer = service.forecast(&request(args, series, zone)?).await?;
        if let Some(path) = &args.output {
            write_csv(path, &answer.forecast)?;
        }
        if out.json {
            // The service's own bytes: the CLI and the API cannot disagree.
            return Ok(out.text(&String::from_utf8_lossy(&answer.json))?);
        }
        let mut text = summary(&answer, zone, out);
        if !args.no_plot {
            text.push('\n');
            text.push_str(&chart(service, &answer.forecast, zone, out).await?);
        }
        text.push('\n');
        text.push_str(&table(&answer, zone));
        Ok(out.text(&text)?)
    })
}

/// The question about a series; times without an offset are those of its clocks.
pub(super) fn request(args: &Args, series: &SeriesName, zone: &Zone) -> anyhow::Result<ForecastRequest> {
    Ok(ForecastRequest {
        horizon: args.horizon,
        levels: args.quantiles.clone(),
        as_of: arguments::resolve("--as-of", args.as_of, zone)?,
        forecast_start: arguments::resolve("--start", args.start, zone)?,
        threshold: args.threshold,
        version: args.version_id.clone(),
        ..ForecastRequest::new(series.clone())
    })
}

fn summary(answer: &Answer, zone: &Zone, out: Output) -> String {
    let forecast = &answer.forecast;
    let mut text =
        out.heading(&format!("{}, from {}", forecast.series, local(forecast.forecast_start, zone)));
    text.push_str(&format!(
        "\n{} with data up to {}, quality {:.2}\n",
        forecast.model_version,
        local(forecast.data_watermark, zone),
        forecast.quality
    ));
    if let Some(reason) = &forecast.degraded {
        text.push_str(&format!("degraded: {reason}\n"));
    }
    text
}

/// The last days before the forecast and its fan.
pub async fn chart(
    service: &Service,
    forecast: &Forecast,
    zone: &Zone,
    out: Output,
) -> anyhow::Result<String> {
    let start = forecast.forecast_start;
    let query = ObservationQuery {
        series: forecast.series.clone(),
        from: Some(start.plus_micros(-HISTORY_HOURS * forewatt_domain::time::MICROS_PER_HOUR)),
        to: Some(start),
        as_of: Some(forecast.issued_at),
    };
    let history = service.read_observations(&query).await?.observations;
    let history: Vec<(Time, f64)> = history.iter().map(|o| (o.valid_time, o.value)).collect();
    let levels = forecast.levels.as_slice();
    let fan: Vec<FanPoint> =
        forecast.points.iter().map(|p| fan_point(p.valid_time, levels, &p.quantiles)).collect();
    let chart = Chart {
        title: out.heading(forecast.series.as_str()),
        unit: &forecast.unit,
        zone,
        measured: ("measured", &history),
        fan: &fan,
        band: band_name(levels),
    };
    Ok(render(&chart, out.look()))
}

/// The outermost quantiles and the one nearest the median.
#[must_use]
pub fn fan_point(time: Time, levels: &[f64], quantiles: &[f64]) -> FanPoint {
    let middle = levels.iter().zip(quantiles).min_by(|a, b| (a.0 - 0.5).abs().total_cmp(&(b.0 - 0.5).abs()));
    FanPoint {
        time,
        low: quantiles.first().copied().unwrap_or(f64::NAN),
        middle: middle.map_or(f64::NAN, |(_, value)| *value),
        high: quantiles.last().copied().unwrap_or(f64::NAN),
    }
}

/// `10-90 %`.
#[must_use]
pub fn band_name(levels: &[f64]) -> String {
    let percent =
        |level: Option<&f64>| level.map_or_else(String::new, |l| format!("{}", (l * 1e4).round() / 1e2));
    format!("{}-{} %", percent(levels.first()), percent(levels.last()))
}

fn table(answer: &Answer, zone: &Zone) -> String {
    let forecast = &answer.forecast;
    let levels = forecast.levels.as_slice();
    // Wide forecasts show the outermost levels and the middle; the CSV and the JSON have them all.
    let shown: Vec<usize> = if levels.len() <= 5 {
        (0..levels.len()).collect()
    } else {
        vec![0, levels.len() / 2, levels.len() - 1]
    };
    let names: Vec<String> = shown.iter().map(|&i| format!(">q{}", levels[i])).collect();
    let above = answer.threshold.map(|t| format!(">P(above {})", number(t)));
    let mut headings: Vec<&str> = vec!["time", ">mean"];
    headings.extend(names.iter().map(String::as_str).chain(above.as_deref()));
    let mut table = Table::new(&headings);
    let every = forecast.points.len().div_ceil(TABLE_ROWS).max(1);
    for (i, point) in forecast.points.iter().enumerate().step_by(every) {
        let mut row = vec![local(point.valid_time, zone), number(point.mean)];
        row.extend(shown.iter().map(|&q| point.quantiles.get(q).map_or_else(String::new, |v| number(*v))));
        row.extend(answer.probability_above.as_ref().and_then(|p| p.get(i)).map(|p| format!("{p:.2}")));
        table.row(row);
    }
    let unit =
        if forecast.unit.is_empty() { String::new() } else { format!("values in {}, ", forecast.unit) };
    format!("{}{unit}{zone} time\n", table.render())
}

/// `Tue 2026-01-31 15:00`.
#[must_use]
pub fn local(time: Time, zone: &Zone) -> String {
    let civil = zone.civil(time);
    let minute = civil.second_of_day / 60;
    format!("{} {:02}:{:02}", civil.date.strftime("%a %Y-%m-%d"), minute / 60, minute % 60)
}

fn write_csv(path: &Path, forecast: &Forecast) -> anyhow::Result<()> {
    let mut text = "valid_time,mean".to_owned();
    forecast.levels.as_slice().iter().for_each(|level| text.push_str(&format!(",q{level}")));
    text.push('\n');
    for point in &forecast.points {
        text.push_str(&format!("{},{}", point.valid_time, point.mean));
        point.quantiles.iter().for_each(|q| text.push_str(&format!(",{q}")));
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fan_takes_the_outermost_levels_and_the_middle() {
        let at = Time::from_seconds(0);
        let point = fan_point(at, &[0.1, 0.4, 0.9], &[1.0, 2.0, 3.0]);
        assert_eq!(point, FanPoint { time: at, low: 1.0, middle: 2.0, high: 3.0 });
        assert_eq!(band_name(&[0.025, 0.5, 0.975]), "2.5-97.5 %");
        assert_eq!(local(at, &"Europe/Madrid".parse().unwrap()), "Thu 1970-01-01 01:00");
    }
}
