//! `forewatt jobs`: what runs in the background of a server on the same data folder.

use clap::Subcommand;
use forewatt_service::JobRecord;

use super::context::Context;
use crate::table::Table;

const EXAMPLES: &str = "\
Examples:
  forewatt jobs list
  forewatt jobs list --limit 5 --json
  forewatt jobs show 0198f1c2-5f0e-7cc3-a1b2-3c4d5e6f7a8b";

/// What to do with jobs.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub enum Command {
    /// The latest jobs, newest first
    #[command(after_long_help = EXAMPLES)]
    List {
        /// At most this many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
    },
    /// One job with its input and its result
    #[command(after_long_help = EXAMPLES)]
    Show {
        /// The job's id, as `jobs list` shows it
        id: String,
    },
}

/// Reads jobs from the store.
pub fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async move |service| match command {
        Command::List { limit } => {
            let jobs = service.list_jobs(Some(limit)).await?;
            if out.json {
                return out.document(&jobs);
            }
            if jobs.is_empty() {
                return Ok(out.text("no jobs yet: POST /v1/train submits one to a running server")?);
            }
            Ok(out.text(&table(&jobs))?)
        }
        // A job is a document; there is no better form for its input and result.
        Command::Show { id } => out.document(&service.job(&id).await?),
    })
}

fn table(jobs: &[JobRecord]) -> String {
    let mut table = Table::new(&["id", "kind", "state", ">done", "created", "message"]);
    for job in jobs {
        let state = serde_json::to_value(job.state).ok();
        table.row([
            job.id.clone(),
            job.kind.clone(),
            state.as_ref().and_then(|s| s.as_str()).unwrap_or("?").to_owned(),
            format!("{:.0} %", job.progress * 100.0),
            job.created_at.to_string(),
            job.message.clone(),
        ]);
    }
    table.render()
}
