//! `cargo xtask clients`: foreign clients with their default settings against a server that runs already.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

/// Which server and which client.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A Python that has `tritonclient[http,grpc]`.
    #[arg(long, value_name = "PATH", default_value = "python3")]
    python: String,
    /// Where REST is.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    http: String,
    /// Where gRPC is, when not beside REST.
    #[arg(long, value_name = "ADDRESS:PORT")]
    grpc: Option<String>,
    /// A series with a champion that answers 24 hours; its version 1 must be there.
    #[arg(long, value_name = "NAME")]
    series: String,
    /// A version that takes features without times: one of the family gbdt.
    #[arg(long, value_name = "VERSION")]
    rows: String,
}

/// Runs the client; its exit code is ours.
///
/// # Errors
/// When Python cannot be started.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let script = crate::root().join("xtask/clients/oip_client.py");
    let mut command = Command::new(&options.python);
    command.arg(&script).args([
        "--http",
        &options.http,
        "--series",
        &options.series,
        "--rows",
        &options.rows,
    ]);
    if let Some(grpc) = &options.grpc {
        command.args(["--grpc", grpc]);
    }
    let status = command.status().with_context(|| {
        format!(
            "cannot run `{}`: name a Python with `--python`, after `pip install 'tritonclient[http,grpc]'`",
            options.python
        )
    })?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
