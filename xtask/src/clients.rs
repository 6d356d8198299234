//! `cargo xtask clients`: foreign clients with their default settings against a server that runs already.

use std::process::{Command, ExitCode};

use anyhow::Context as _;

/// Whose client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Client {
    /// tritonclient, over HTTP and gRPC.
    Oip,
    /// mlflow-skinny.
    Mlflow,
}

/// Which server and which client.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Whose client.
    #[arg(long, value_enum, default_value = "oip")]
    client: Client,
    /// A Python that has `tritonclient[http,grpc]`, or `mlflow-skinny`.
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
    /// A version that takes features without times: one of the family gbdt. For `oip` alone.
    #[arg(long, value_name = "VERSION", required_if_eq("client", "oip"))]
    rows: Option<String>,
}

/// Runs the client; its exit code is ours.
///
/// # Errors
/// When Python cannot be started.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (script, package) = match options.client {
        Client::Oip => ("oip_client.py", "tritonclient[http,grpc]"),
        Client::Mlflow => ("mlflow_client.py", "mlflow-skinny"),
    };
    let mut command = Command::new(&options.python);
    command.arg(crate::root().join("xtask/clients").join(script));
    command.args(["--http", &options.http, "--series", &options.series]);
    if options.client == Client::Oip {
        if let Some(rows) = &options.rows {
            command.args(["--rows", rows]);
        }
        if let Some(grpc) = &options.grpc {
            command.args(["--grpc", grpc]);
        }
    }
    let status = command.status().with_context(|| {
        format!(
            "cannot run `{}`: name a Python with `--python`, after `pip install '{package}'`",
            options.python
        )
    })?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
