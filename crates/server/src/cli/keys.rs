//! `forewatt keys`: make, list, replace and revoke the keys of the API.

use clap::Subcommand;
use forewatt_domain::{Reach, Scope};
use forewatt_service::KeyRecord;
use forewatt_service::Service;
use forewatt_service::access::{MadeKey, NewKey};

use super::context::{self, Context};
use super::exit;
use super::output::Output;
use crate::table::Table;

const EXAMPLES: &str = "\
Examples:
  forewatt keys create dashboard --scope read
  forewatt keys create meter-gateway --scope write --series \"city.*\" --days 365
  forewatt keys create trainer --scope read --scope train
  forewatt keys list
  forewatt keys rotate 3f9c0a1b2d4e --overlap-hours 48
  forewatt keys revoke 3f9c0a1b2d4e

A key is shown once, when it is made; only its digest is kept. Clients send it as \
`Authorization: Bearer fw_...`. A server on the same data sees a new or revoked key within auth.keys_ttl_ms.";

/// What to do with keys.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub enum Command {
    /// Make a key and show it, this once
    #[command(after_long_help = EXAMPLES)]
    Create {
        /// Whose it is, for lists and the audit log
        name: String,
        /// What it may do: read, write, train or admin (repeat for several)
        #[arg(long, value_name = "SCOPE", required = true)]
        scope: Vec<Scope>,
        /// Series it may name, with * for any characters (repeat for several) [default: *]
        #[arg(long, value_name = "PATTERN")]
        series: Vec<String>,
        /// Days until it ends [default: never]
        #[arg(long, value_name = "N")]
        days: Option<u32>,
    },
    /// Every key: what it may do and whether it still opens
    #[command(after_long_help = EXAMPLES)]
    List,
    /// Make a key in place of another, with its rights; both open for a while
    #[command(after_long_help = EXAMPLES)]
    Rotate {
        /// The id of the old key, as `keys list` shows it
        id: String,
        /// Hours until the old key ends
        #[arg(long, value_name = "N", default_value_t = 24)]
        overlap_hours: u32,
        /// Days until the new key ends [default: never]
        #[arg(long, value_name = "N")]
        days: Option<u32>,
    },
    /// End a key for good
    #[command(after_long_help = EXAMPLES)]
    Revoke {
        /// The key's id, as `keys list` shows it
        id: String,
    },
}

/// Does what is asked.
pub fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let (out, by) = (context.out, context::user());
    context.with_service(async move |service| match command {
        Command::Create { name, scope, series, days } => {
            let series = if series.is_empty() { Ok(Reach::all()) } else { Reach::try_from(series) };
            let series = series.map_err(|error| exit::usage(format!("--series: {error}")))?;
            let made = service.create_key(&NewKey { name, scopes: scope, series, days }, &by).await?;
            show(out, &made)
        }
        Command::Rotate { id, overlap_hours, days } => {
            show(out, &service.rotate_key(&id, overlap_hours, days, &by).await?)?;
            out.note(&format!("`{id}` opens for at most {overlap_hours} more hours"));
            Ok(())
        }
        Command::Revoke { id } => {
            let record = service.revoke_key(&id, &by).await?;
            if out.json { out.document(&record) } else { Ok(out.text(&format!("`{id}` opens no more"))?) }
        }
        Command::List => list(service, out).await,
    })
}

fn show(out: Output, made: &MadeKey) -> anyhow::Result<()> {
    if out.json {
        return out.document(made);
    }
    out.text(&made.key)?;
    out.note("this is the only time the key is shown: keep it where secrets are kept");
    Ok(())
}

async fn list(service: &Service, out: Output) -> anyhow::Result<()> {
    let keys = service.list_keys().await?;
    if out.json {
        return out.document(&keys);
    }
    if keys.is_empty() {
        return Ok(out.text("no keys yet: `forewatt keys create NAME --scope read` makes one")?);
    }
    let mut table = Table::new(&["id", "name", "scopes", "series", "created", "ends", "state"]);
    for key in &keys {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        table.row([
            key.id.clone(),
            key.name.clone(),
            scopes.join(" "),
            key.series.patterns().join(" "),
            key.created_at.to_string(),
            key.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
            state(key),
        ]);
    }
    Ok(out.text(&table.render())?)
}

fn state(key: &KeyRecord) -> String {
    if let Some(at) = key.revoked_at {
        return format!("revoked {at}");
    }
    if key.expires_at.is_some_and(|at| at <= forewatt_service::system_now()) {
        return "ended".to_owned();
    }
    key.successor.as_ref().map_or_else(|| "open".to_owned(), |next| format!("replaced by {next}"))
}
