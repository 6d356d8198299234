//! `forewatt webhooks`: who is told of events, and what could not be told.

use clap::Subcommand;
use forewatt_domain::SeriesName;
use forewatt_service::Service;
use forewatt_service::webhooks::{EventKind, NewWebhook};

use super::context::Context;
use super::output::Output;
use crate::table::{Table, count};

const EXAMPLES: &str = "\
Examples:
  forewatt webhooks add https://example.com/hook
  forewatt webhooks add https://example.com/hook --event model.promoted --series city.load
  forewatt webhooks list
  forewatt webhooks dead
  forewatt webhooks replay 0198f1c2-5f0e-7cc3-a1b2-3c4d5e6f7a8b
  forewatt webhooks remove 0198f1c2-5f0e-7cc3-a1b2-3c4d5e6f7a8b

A running server posts events, signed with the secret that `add` shows once: the header Forewatt-Signature is \
t=SECONDS,v1=HEX, the HMAC-SHA256 of SECONDS.BODY. Refuse what is older than five minutes.";

/// What to do with webhooks.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub enum Command {
    /// All receivers
    #[command(after_long_help = EXAMPLES)]
    List,
    /// Add a receiver; shows its secret, once
    #[command(after_long_help = EXAMPLES)]
    Add {
        /// Where events are posted
        url: String,
        /// Which: forecast.ready, model.trained or model.promoted; repeat for more [default: all]
        #[arg(long = "event", value_name = "EVENT", value_parser = event)]
        events: Vec<EventKind>,
        /// Only events of this series
        #[arg(long)]
        series: Option<SeriesName>,
    },
    /// Take a receiver away, and what waits for it
    #[command(after_long_help = EXAMPLES)]
    Remove {
        /// The receiver's id
        id: String,
    },
    /// Deliveries that were given up, the oldest first
    #[command(after_long_help = EXAMPLES)]
    Dead {
        /// At most this many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: u32,
    },
    /// Send a dead letter on its way again
    #[command(after_long_help = EXAMPLES)]
    Replay {
        /// The dead letter's id
        id: String,
    },
}

fn event(text: &str) -> Result<EventKind, String> {
    text.parse().map_err(|error: forewatt_service::Error| error.message)
}

/// Does what is asked.
pub fn run(context: &Context, command: Command) -> anyhow::Result<()> {
    let out = context.out;
    context.with_service(async move |service| match command {
        Command::List => list(service, out).await,
        Command::Add { url, events, series } => {
            let made = service.add_webhook(NewWebhook { url, events, series }).await?;
            if out.json {
                return out.document(&made);
            }
            let secret = made.secret.unwrap_or_default();
            Ok(out.text(&format!("{}\nsecret, shown only now: {secret}", made.id))?)
        }
        Command::Remove { id } => {
            service.remove_webhook(&id).await?;
            Ok(out.text(&format!("`{id}` is told nothing more"))?)
        }
        Command::Dead { limit } => dead(service, out, limit).await,
        Command::Replay { id } => {
            service.replay_dead_letter(&id).await?;
            Ok(out.text(&format!("`{id}` is on its way: a running server delivers it"))?)
        }
    })
}

async fn list(service: &Service, out: Output) -> anyhow::Result<()> {
    let all = service.list_webhooks().await?;
    if out.json {
        return out.document(&all);
    }
    if all.is_empty() {
        return Ok(out.text("no webhooks yet: `forewatt webhooks add URL` adds one")?);
    }
    let mut table = Table::new(&["id", "url", "events", "series"]);
    for hook in &all {
        let events: Vec<&str> = hook.events.iter().map(|event| event.as_str()).collect();
        let series = hook.series.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
        table.row([hook.id.clone(), hook.url.clone(), events.join(" "), series]);
    }
    Ok(out.text(&table.render())?)
}

async fn dead(service: &Service, out: Output, limit: u32) -> anyhow::Result<()> {
    let all = service.dead_letters(Some(limit)).await?;
    if out.json {
        return out.document(&all);
    }
    if all.is_empty() {
        return Ok(out.text("no dead letters")?);
    }
    let mut table = Table::new(&["id", "webhook", "event", ">tries", "since", "why"]);
    for letter in &all {
        table.row([
            letter.id.clone(),
            letter.webhook.clone(),
            letter.event.clone(),
            count(letter.attempts.into()),
            letter.created_at.to_string(),
            letter.error.clone(),
        ]);
    }
    Ok(out.text(&table.render())?)
}
