//! The Forewatt executable: configuration, command line and transports.

mod cli;
mod config;
mod dashboard;
mod error;
mod grpc;
mod http;
mod oip;
mod plot;
mod sample;
mod table;
mod telemetry;
mod tls;

use std::process::ExitCode;

/// Many short-lived feature matrices and JSON buffers on many threads: mimalloc returns them faster than libc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
