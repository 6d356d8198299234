//! `forewatt sources`: places that data are fetched from.

use std::collections::BTreeMap;

use clap::Subcommand;
use forewatt_domain::SeriesName;
use forewatt_service::Service;
use forewatt_service::sources::{SourceKind, SourceSpec};
use jiff::SignedDuration;

use super::arguments;
use super::context::Context;
use super::output::Output;
use crate::table::{Table, count};

const EXAMPLES: &str = "\
Examples:
  forewatt sources add madrid --kind open-meteo --every 1h \\
      --url 'https://api.open-meteo.com/v1/forecast?latitude=40.4&longitude=-3.7&hourly=temperature_2m&forecast_days=3' \\
      --series temperature_2m=madrid.temperature
  forewatt sources add es-prices --kind entsoe --every 1h --token-env FOREWATT_SOURCE_ENTSOE \\
      --url 'https://web-api.tp.entsoe.eu/api?documentType=A44&in_Domain=10YES-REE------0&out_Domain=10YES-REE------0&periodStart={from}&periodEnd={to}&securityToken={token}' \\
      --series price=es.price
  forewatt sources run madrid
  forewatt sources list
  forewatt sources remove madrid

A running server fetches what is due. What differs from what was known is kept as known since then; a series that is \
not there yet is made from the first answer.";

/// What to do with sources.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub enum Command {
    /// All sources and how they do
    #[command(after_long_help = EXAMPLES)]
    List,
    /// Add a source, or take the place of the one of that name
    #[command(after_long_help = EXAMPLES)]
    Add(AddArgs),
    /// Fetch a source now
    #[command(after_long_help = EXAMPLES)]
    Run {
        /// The source's name
        name: String,
    },
    /// Take a source away; what it brought stays
    #[command(after_long_help = EXAMPLES)]
    Remove {
        /// The source's name
        name: String,
    },
}

/// Flags of `sources add`.
#[derive(Debug, clap::Args)]
pub struct AddArgs {
    /// A name for it
    name: SeriesName,
    /// How its answers are read
    #[arg(long, value_parser = kind)]
    kind: SourceKind,
    /// Where; {from} {to} {from_date} {to_date} {token} are filled in
    #[arg(long)]
    url: String,
    /// Which column of the answer goes to which series (repeat for more)
    #[arg(long = "series", value_name = "COLUMN=SERIES", value_parser = column, required = true)]
    series: Vec<(String, SeriesName)>,
    /// From one run to the next: 15min, 1h
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    every: SignedDuration,
    /// Hours before now that {from} stands for
    #[arg(long, default_value_t = 24, value_name = "HOURS")]
    past_hours: u32,
    /// Hours after now that {to} stands for
    #[arg(long, default_value_t = 48, value_name = "HOURS")]
    ahead_hours: u32,
    /// Environment variable of the server that holds {token}: FOREWATT_SOURCE_...
    #[arg(long, value_name = "VARIABLE")]
    token_env: Option<String>,
}

fn kind(text: &str) -> Result<SourceKind, String> {
    text.parse().map_err(|error: forewatt_service::Error| error.message)
}

fn column(text: &str) -> Result<(String, SeriesName), String> {
    let (column, series) =
        text.split_once('=').ok_or("write COLUMN=SERIES, such as temperature_2m=city.temperature")?;
    let series = series.parse::<SeriesName>().map_err(|error| error.to_string())?;
    Ok((column.to_owned(), series))
}

/// Does what is asked.
pub fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async move |service| match command {
        Command::List => list(service, out).await,
        Command::Add(args) => add(service, out, args).await,
        Command::Run { name } => {
            let run = service.run_source(&name).await?;
            if out.json { out.document(&run) } else { Ok(out.text(&run.message)?) }
        }
        Command::Remove { name } => {
            service.remove_source(&name).await?;
            Ok(out.text(&format!("`{name}` is no longer fetched"))?)
        }
    })
}

async fn add(service: &Service, out: Output, args: AddArgs) -> anyhow::Result<()> {
    let spec = SourceSpec {
        name: args.name,
        kind: args.kind,
        url: args.url,
        series: args.series.into_iter().collect::<BTreeMap<_, _>>(),
        every_seconds: u32::try_from(args.every.as_secs()).unwrap_or(u32::MAX),
        past_hours: args.past_hours,
        ahead_hours: args.ahead_hours,
        token_env: args.token_env,
    };
    let info = service.put_source(&spec).await?;
    if out.json {
        return out.document(&info);
    }
    let name = &spec.name;
    Ok(out.text(&format!(
        "`{name}` is due now: a running server fetches it, or `forewatt sources run {name}`"
    ))?)
}

async fn list(service: &Service, out: Output) -> anyhow::Result<()> {
    let all = service.list_sources().await?;
    if out.json {
        return out.document(&all);
    }
    if all.is_empty() {
        return Ok(out.text("no sources yet: `forewatt sources add --help` shows how to add one")?);
    }
    let mut table = Table::new(&["source", "kind", ">every s", "next", ">failures", "last"]);
    for info in &all {
        let kind = SourceKind::NAMES[info.spec.kind as usize];
        table.row([
            info.spec.name.to_string(),
            kind.to_owned(),
            count(info.spec.every_seconds.into()),
            info.next_at.to_string(),
            count(info.failures.into()),
            info.last.as_ref().map_or_else(|| "-".to_owned(), |run| run.message.clone()),
        ]);
    }
    Ok(out.text(&table.render())?)
}
