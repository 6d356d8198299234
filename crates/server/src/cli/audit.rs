//! `forewatt audit`: who changed what, and who was refused.

use forewatt_domain::Time;

use super::context::Context;
use crate::table::Table;

const EXAMPLES: &str = "\
Examples:
  forewatt audit
  forewatt audit --since 2026-03-01T00:00:00Z --limit 50
  forewatt audit --json

The log only grows: the store refuses to change or delete a line. `before` and `after` are digests of the series: \
equal digests, and nothing of it changed.";

/// Flags of `audit`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Only from this instant on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<Time>,
    /// At most this many lines, the newest
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
}

/// Characters of a digest in the table.
const DIGEST_CHARS: usize = 8;

/// Reads the log from the store.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async |service| {
        let lines = service.list_audit(args.since, Some(args.limit)).await?;
        if out.json {
            return out.document(&lines);
        }
        if lines.is_empty() {
            return Ok(out.text("nothing was changed or refused yet")?);
        }
        let mut table = Table::new(&["at", "who", "what", "outcome", "series", "before", "after", ">times"]);
        let short = |digest: &Option<String>| {
            digest.as_ref().map_or_else(|| "-".to_owned(), |text| text.chars().take(DIGEST_CHARS).collect())
        };
        for line in &lines {
            table.row([
                line.at.to_string(),
                line.actor.clone(),
                line.action.clone(),
                line.outcome.clone(),
                line.series.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
                short(&line.before),
                short(&line.after),
                line.count.to_string(),
            ]);
        }
        Ok(out.text(&table.render())?)
    })
}
