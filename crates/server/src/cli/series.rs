//! `forewatt series`: list, show, describe and check series.

use anyhow::Context as _;
use clap::Subcommand;
use forewatt_domain::{Location, Resolution, Series, SeriesKind, SeriesName, Zone};
use forewatt_service::{ErrorKind, QualityRecord, SeriesInfo, Service};
use serde_json::{Value, json};

use super::arguments;
use super::context::Context;
use super::exit;
use super::output::Output;
use crate::table::{Table, count};

const LIST: &str = "\
Examples:
  forewatt series list
  forewatt series list --json | jq '.[].name'";
const SHOW: &str = "\
Examples:
  forewatt series show city.load
  forewatt series show city.load --json";
const SET: &str = "\
Examples:
  forewatt series set city.load --unit MW --location 40.42,-3.70 --holidays ES
  forewatt series set new.load --kind load --resolution PT15M --time-zone Europe/Madrid

What is not given stays as it is. A new series needs --resolution and --time-zone.";
const CHECK: &str = "\
Examples:
  forewatt series check city.load
  forewatt series check city.load --json

Looks for gaps, flat lines, spikes, sign errors, level shifts, stretches with a shifted clock and implausible \
units. The score runs from 0 (useless) to 1 (complete and plausible) and is kept with the series.";

/// What to do with series.
#[derive(Debug, Subcommand)]
#[command(after_long_help = LIST)]
pub enum Command {
    /// All series with their reach
    #[command(after_long_help = LIST)]
    List,
    /// One series: description, data, models, quality
    #[command(after_long_help = SHOW)]
    Show {
        /// The series' name
        name: SeriesName,
    },
    /// Describe a series, new or existing
    #[command(after_long_help = SET)]
    Set(SetArgs),
    /// Check a series' data and keep the findings
    #[command(after_long_help = CHECK)]
    Check {
        /// The series' name
        name: SeriesName,
    },
}

/// Flags of `series set`.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// The series' name
    name: SeriesName,
    /// What it measures
    #[arg(long, value_parser = arguments::kind())]
    kind: Option<SeriesKind>,
    /// Unit of its values: MW, kWh, EUR/MWh, degC
    #[arg(long)]
    unit: Option<String>,
    /// Step between values: PT15M, 30min, 1h; fixed once there are data
    #[arg(long)]
    resolution: Option<Resolution>,
    /// IANA time zone its people live by
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<Zone>,
    /// Where it is, in degrees north and east
    #[arg(long, value_name = "LAT,LON", value_parser = arguments::location, allow_hyphen_values = true)]
    location: Option<Location>,
    /// Region whose public holidays shape it: ES, US-CA, AU-VIC
    #[arg(long, value_name = "REGION")]
    holidays: Option<String>,
    /// Series this one is a part of
    #[arg(long, value_name = "SERIES")]
    parent: Option<SeriesName>,
}

/// Does what is asked.
pub fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async move |service| match command {
        Command::List => list(service, out).await,
        Command::Show { name } => show(service, out, &name).await,
        Command::Set(args) => set(service, out, args).await,
        Command::Check { name } => check(service, out, &name).await,
    })
}

async fn list(service: &Service, out: Output) -> anyhow::Result<()> {
    let all = service.list_series(None, None).await?;
    if out.json {
        return out.document(&all);
    }
    if all.is_empty() {
        return Ok(out.text(
            "no series yet: `forewatt import FILE --series NAME --time COLUMN --value COLUMN` makes one",
        )?);
    }
    let mut table =
        Table::new(&["series", "kind", "unit", "step", "zone", ">values", "from", "to", "champion"]);
    for info in &all {
        let (series, state) = (&info.series, &info.state);
        let time = |t: Option<forewatt_domain::Time>| t.map_or_else(|| "-".to_owned(), |t| t.to_string());
        table.row([
            series.name.to_string(),
            series.kind.to_string(),
            series.unit.clone(),
            series.resolution.to_string(),
            series.time_zone.to_string(),
            count(state.observations),
            time(state.first_valid_time),
            time(state.last_valid_time),
            info.champion().map_or_else(|| "-".to_owned(), ToString::to_string),
        ]);
    }
    Ok(out.text(&table.render())?)
}

async fn show(service: &Service, out: Output, name: &SeriesName) -> anyhow::Result<()> {
    let info = service.series(name).await?;
    let quality = service.latest_quality(name).await?;
    if out.json {
        let mut document = serde_json::to_value(&*info)?;
        if let Value::Object(fields) = &mut document {
            let score = quality.as_ref().map(|q| json!({ "score": q.score, "checked_at": q.checked_at }));
            fields.insert("quality".to_owned(), score.unwrap_or(Value::Null));
        }
        return out.document(&document);
    }
    Ok(out.text(&describe(&info, quality.as_ref(), out))?)
}

fn describe(info: &SeriesInfo, quality: Option<&QualityRecord>, out: Output) -> String {
    let (series, state) = (&info.series, &info.state);
    let none = || "-".to_owned();
    let mut table = Table::new(&["", ""]);
    let mut row = |key: &str, value: String| table.row([key.to_owned(), value]);
    row("kind", series.kind.to_string());
    row("unit", if series.unit.is_empty() { none() } else { series.unit.clone() });
    row("step", series.resolution.to_string());
    row("time zone", series.time_zone.to_string());
    row("location", series.location.map_or_else(none, |l| format!("{}, {}", l.latitude, l.longitude)));
    row("holidays", series.holiday_region.clone().unwrap_or_else(none));
    row("part of", series.parent.as_ref().map_or_else(none, ToString::to_string));
    row("observations", count(state.observations));
    let reach = state.first_valid_time.zip(state.last_valid_time);
    row("valid times", reach.map_or_else(none, |(first, last)| format!("{first} to {last}")));
    row("newest known at", state.last_available_at.map_or_else(none, |t| t.to_string()));
    for (alias, version) in &info.aliases {
        row(alias.as_str(), version.to_string());
    }
    let score = quality.map(|q| format!("{:.2} (checked {})", q.score, q.checked_at));
    row("quality", score.unwrap_or_else(|| format!("not checked: forewatt series check {}", series.name)));
    let text = table.render();
    // The table's heading row is empty.
    format!("{}\n{}", out.heading(series.name.as_str()), text.trim_start_matches('\n'))
}

async fn set(service: &Service, out: Output, args: SetArgs) -> anyhow::Result<()> {
    let known = match service.series(&args.name).await {
        Ok(info) => Some(info.series.clone()),
        Err(error) if error.kind == ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let created = known.is_none();
    let before = match known {
        Some(series) => series,
        None => blank(&args)?,
    };
    let series = Series {
        name: args.name,
        kind: args.kind.unwrap_or(before.kind),
        unit: args.unit.unwrap_or(before.unit),
        resolution: args.resolution.unwrap_or(before.resolution),
        time_zone: args.time_zone.unwrap_or(before.time_zone),
        location: args.location.or(before.location),
        holiday_region: args.holidays.or(before.holiday_region),
        parent: args.parent.or(before.parent),
    };
    service.put_series(&series).await?;
    if out.json {
        return out.document(&series);
    }
    Ok(out.text(&format!("{} {}", if created { "created" } else { "changed" }, series.name))?)
}

/// A new series before its flags; the two things nobody can guess are asked for.
fn blank(args: &SetArgs) -> anyhow::Result<Series> {
    let missing = |flag: &str, example: &str| {
        exit::usage(format!("`{}` is new: give its {flag} too, such as {flag} {example}", args.name))
    };
    Ok(Series {
        name: args.name.clone(),
        kind: SeriesKind::Other,
        unit: String::new(),
        resolution: args.resolution.ok_or_else(|| missing("--resolution", "PT1H"))?,
        time_zone: args.time_zone.clone().ok_or_else(|| missing("--time-zone", "Europe/Madrid"))?,
        location: None,
        holiday_region: None,
        parent: None,
    })
}

async fn check(service: &Service, out: Output, name: &SeriesName) -> anyhow::Result<()> {
    let record = service.check_series(name).await.with_context(|| format!("checking {name}"))?;
    if out.json {
        return out.document(&record);
    }
    Ok(out.text(&findings(&record, out))?)
}

/// The score and every finding on a line of its own.
pub fn findings(record: &QualityRecord, out: Output) -> String {
    let heading = out.heading(&format!("{}: quality {:.2}", record.series, record.score));
    let list = record.findings.get("findings").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if list.is_empty() {
        return format!("{heading}, nothing found\n");
    }
    let mut table = Table::new(&["severity", "finding", "from", "to", "evidence"]);
    for finding in list {
        let field = |key: &str| match finding.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) if !other.is_null() => other.to_string(),
            _ => String::new(),
        };
        table.row([field("severity"), field("kind"), field("from"), field("to"), field("evidence")]);
    }
    format!("{heading}\n{}", table.render())
}
