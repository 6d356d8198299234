//! The command line of the development tasks: `cargo xtask test`, `cargo xtask bench`.

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
    /// Compare with what others make of the same; without a name, list the comparisons.
    Oracle {
        /// Which one.
        name: Option<String>,
        /// How many random cases.
        #[arg(long, default_value_t = 400)]
        cases: u32,
        /// The seed of the first.
        #[arg(long, default_value_t = 1)]
        seed: u32,
    },
    /// Run a benchmark and write docs/benchmarks/NAME.md; without a name, list them.
    Bench {
        /// Which one.
        name: Option<String>,
        #[command(flatten)]
        accuracy: xtask::bench::accuracy::Options,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().task {
        Task::Test { quick } => xtask::test::run(quick),
        Task::Oracle { name, cases, seed } => xtask::oracle::run(name.as_deref(), cases, seed),
        Task::Bench { name, accuracy } => xtask::bench::run(name.as_deref(), &accuracy),
    }
}
