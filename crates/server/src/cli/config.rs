//! `forewatt config`: check and print the configuration.

use clap::Subcommand;

use super::context::Context;

const EXAMPLES: &str = "\
Examples:
  forewatt config print
  forewatt config print --json
  FOREWATT_SERVER__LISTEN=127.0.0.1:9000 forewatt config check
  forewatt config check --config deploy/forewatt.toml";

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
#[command(after_long_help = EXAMPLES)]
pub enum Command {
    /// Check the configuration and say nothing more than that it is good
    #[command(after_long_help = EXAMPLES)]
    Check,
    /// Print every key with its comment, value and source; secrets are hidden
    #[command(after_long_help = EXAMPLES)]
    Print,
}

/// Prints; the configuration was checked when it was loaded.
pub fn run(context: &Context, command: &Command) -> anyhow::Result<()> {
    let out = context.out;
    match command {
        Command::Check if out.json => out.document(&serde_json::json!({ "ok": true })),
        Command::Check => Ok(out.text("the configuration is good")?),
        Command::Print if out.json => out.document(&context.loaded.to_json()?),
        Command::Print => Ok(out.text(&context.loaded.to_toml())?),
    }
}
