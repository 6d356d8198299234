//! The command line of the development tasks: `cargo xtask test`, `bench`, `clients`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development tasks of Forewatt.
#[derive(Parser)]
#[command(name = "cargo xtask", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check and test; the last line says how many passed and failed.
    Test {
        /// Leave out documentation, documentation tests and the check of dependencies.
        #[arg(long)]
        quick: bool,
    },
    /// Run a benchmark and write docs/benchmarks/NAME.md; without a name, list them.
    Bench {
        /// Which one.
        name: Option<String>,
        #[command(flatten)]
        accuracy: xtask::bench::accuracy::Options,
    },
    /// Run foreign clients of the inference protocol against a server that runs already.
    Clients(xtask::clients::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Test { quick } => xtask::test::run(quick),
        Task::Clients(options) => xtask::clients::run(&options),
        Task::Bench { name, accuracy } => xtask::bench::run(name.as_deref(), &accuracy),
    }
}
