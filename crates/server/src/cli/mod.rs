//! The command line: one file a command, results on standard output, everything else on standard error.

mod arguments;
mod audit;
mod backtest;
mod backtest_report;
mod backup;
mod choice;
mod compare;
mod compare_report;
mod config;
mod context;
mod demo;
mod doctor;
mod exit;
mod explain;
mod features;
mod forecast;
mod forecast_all;
mod import;
mod jobs;
mod keys;
mod migrate_store;
mod models;
mod models_import;
mod optimize;
mod output;
mod reconcile;
mod series;
mod serve;
mod sources;
#[cfg(test)]
mod tests;
mod train;
mod webhooks;
mod whatif;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Loaded, Sources};
use crate::telemetry;
use context::Context;
use output::Output;

/// What the executable accepts.
#[derive(Debug, Parser)]
#[command(
    name = "forewatt",
    version,
    about = "Energy forecasts with honest uncertainty: data, models, backtests and serving in one executable",
    after_long_help = format!("{START}\n\n{}", exit::HELP),
    after_help = "`forewatt --help` shows how to start and the exit codes.",
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const START: &str = "\
Start here:
  forewatt demo                       learn from a real year of 17 solar homes and serve it
  forewatt import load.csv --series city.load --time time --value mw \\
      --time-zone Europe/Madrid
  forewatt train city.load            learn, backtest, promote when better
  forewatt forecast city.load         tomorrow in the terminal
  forewatt serve                      the same over HTTP, with a page at /";

/// Flags of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Configuration file [default: ./forewatt.toml if it exists]
    #[arg(long, global = true, value_name = "FILE", env = "FOREWATT_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// Folder of the database and the models [default: forewatt-data]
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print one JSON document and nothing else on standard output
    #[arg(long, global = true)]
    json: bool,
    /// Say more (repeat for debug and trace)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Say only errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// No colours, as with NO_COLOR
    #[arg(long, global = true)]
    no_color: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve forecasts over HTTP, with a page at /
    Serve(serve::Args),
    /// Learn from the built-in sample of 17 solar homes, then serve it
    Demo(demo::Args),
    /// Import observations from a CSV file
    Import(import::Args),
    /// List, show, describe and check series
    #[command(subcommand)]
    Series(series::Command),
    /// Learn a model version of a series and promote it when it is better
    Train(train::Args),
    /// Forecast a series, or all of them
    Forecast(forecast::Args),
    /// Tell why a forecast is what it is, or why it changed
    Explain(explain::Args),
    /// Forecast a series as if its covariates were different
    Whatif(whatif::Args),
    /// Forecast a series and its parts so that they add up
    Reconcile(reconcile::Args),
    /// Score a model on the past, from the store or straight from a file
    Backtest(Box<backtest::Args>),
    /// Test whether one forecast is better than another: files, versions, a third party's
    Compare(compare::Args),
    /// List what models read of a series, or write it as a table for other tools
    Features(features::Args),
    /// List, show, import and promote model versions
    #[command(subcommand)]
    Models(models::Command),
    /// List and show background jobs
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// List, add, run and remove sources that data are fetched from
    #[command(subcommand)]
    Sources(sources::Command),
    /// List, add and remove receivers of events; show and replay what could not be delivered
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Make, list, replace and revoke the keys of the API
    #[command(subcommand)]
    Keys(keys::Command),
    /// Show who changed what, and who was refused
    Audit(audit::Args),
    /// Move everything into another store: from SQLite to PostgreSQL, or back
    MigrateStore(migrate_store::Args),
    /// Look whether the store is well, and say what to do
    Doctor(doctor::Args),
    /// Copy the whole store into a folder while it is used
    Backup(backup::BackupArgs),
    /// Make the store of the data folder out of a backup
    Restore(backup::RestoreArgs),
    /// Check and print the configuration
    #[command(subcommand)]
    Config(config::Command),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let name = matches.subcommand_name().unwrap_or_default().to_owned();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli, name) {
        Ok(()) => ExitCode::from(exit::OK),
        Err(error) => exit::report(&error),
    }
}

fn run(cli: Cli, name: String) -> anyhow::Result<()> {
    let Cli { global, command } = cli;
    let loaded = Loaded::read(&sources(&global, &command))?;
    let out = Output::new(global.json, global.quiet, global.no_color);
    let serves = matches!(command, Command::Serve(_) | Command::Demo(_));
    let filter = log_filter(&global, &loaded.config.log.level, serves);
    telemetry::start_logs(&loaded.config.log, &filter, !global.no_color);
    let data_dir_given = global.data_dir.is_some();
    let context = Context { loaded, out, command: name };
    match command {
        Command::Serve(args) => serve::run(&context, &args),
        Command::Demo(args) => demo::run(&context, &args, data_dir_given),
        Command::Import(args) => import::run(&context, &args),
        Command::Series(command) => series::run(&context, command),
        Command::Train(args) => train::run(&context, args),
        Command::Forecast(args) => forecast::run(&context, &args),
        Command::Explain(args) => explain::run(&context, &args),
        Command::Whatif(args) => whatif::run(&context, &args),
        Command::Reconcile(args) => reconcile::run(&context, &args),
        Command::Backtest(args) => backtest::run(&context, *args),
        Command::Compare(args) => compare::run(&context, &args),
        Command::Features(args) => features::run(&context, &args),
        Command::Models(command) => models::run(&context, command),
        Command::Jobs(command) => jobs::run(&context, command),
        Command::Doctor(args) => doctor::run(&context, &args),
        Command::Sources(command) => sources::run(&context, command),
        Command::Webhooks(command) => webhooks::run(&context, command),
        Command::Keys(command) => keys::run(&context, command),
        Command::Audit(args) => audit::run(&context, &args),
        Command::MigrateStore(args) => migrate_store::run(&context, &args),
        Command::Backup(args) => backup::backup(&context, &args),
        Command::Restore(args) => backup::restore(&context, &args),
        Command::Config(command) => config::run(&context, &command),
    }
}

fn sources(global: &Global, command: &Command) -> Sources {
    let mut flags = Vec::new();
    if let Some(data_dir) = &global.data_dir {
        flags.push(("--data-dir", "store.data_dir", data_dir.to_string_lossy().into_owned()));
    }
    let listen = match command {
        Command::Serve(args) => args.listen.as_ref(),
        Command::Demo(args) => args.listen.as_ref(),
        _ => None,
    };
    if let Some(listen) = listen {
        flags.push(("--listen", "server.listen", listen.clone()));
    }
    if let Command::Serve(serve::Args { grpc_listen: Some(listen), .. }) = command {
        flags.push(("--grpc-listen", "server.grpc_listen", listen.clone()));
    }
    // Variables that are not UTF-8 cannot be ours: keys and values are TOML.
    let environment = std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Sources { file: global.config.clone(), environment, flags }
}

/// Servers log as configured; other commands only warnings, for their result is what matters. Flags change both.
fn log_filter(global: &Global, configured: &str, serves: bool) -> String {
    let level = match (global.verbose, global.quiet) {
        (_, true) => "error",
        (0, _) if serves => configured,
        (0, _) => "warn",
        (1, _) if !serves => "info",
        (1 | 2, _) => "info,forewatt=debug,forewatt_service=debug,forewatt_store=debug",
        _ => "trace",
    };
    level.to_owned()
}
