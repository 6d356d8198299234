//! `forewatt serve`: the HTTP server from start to graceful end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use forewatt_service::Service;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use tokio::net::TcpListener;

use super::context::Context;
use super::exit;
use crate::config::ServerConfig;
use crate::{http, telemetry};

const EXAMPLES: &str = "\
Examples:
  forewatt serve
  forewatt serve --listen 127.0.0.1:9000 --data-dir /var/lib/forewatt
  forewatt serve --listen 127.0.0.1:0        a free port; the address is printed

Only this computer's own addresses are accepted: there is no authentication yet. To serve others, put a \
proxy with authentication in front. SIGTERM and Ctrl-C let open requests finish.";

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

/// Serves until a signal ends it.
pub fn run(context: &Context, _args: &Args) -> anyhow::Result<()> {
    let address = context.config().listen()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(async {
        // The port first: a second server must not touch the first one's jobs.
        let listener = bind(address).await?;
        let opened = open(context, &context.config().store.data_dir).await?;
        let config = context.config().clone();
        let interval = Duration::from_millis(config.store.upkeep_interval_ms);
        opened.service.start_upkeep(interval, move |service| config.upkeep(service.now()));
        serve(context, listener, opened, serde_json::json!({})).await
    });
    runtime.shutdown_background();
    result
}

/// A service that will be served, and where its metrics are read.
pub struct Opened {
    /// The service.
    pub service: Service,
    metrics: PrometheusHandle,
}

/// Opens the service and marks jobs that a stopped server left behind.
pub async fn open(context: &Context, data_dir: &Path) -> anyhow::Result<Opened> {
    // The recorder first: the service takes its counters from it once and for all.
    let metrics = telemetry::start_metrics().context("cannot start metrics")?;
    let service = context.open(data_dir).await?;
    let orphans = service.fail_orphaned_jobs().await?;
    if orphans > 0 {
        tracing::warn!(orphans, "jobs of a server that stopped are marked as failed");
    }
    Ok(Opened { service, metrics })
}

/// Takes the port.
///
/// # Errors
/// A text that names the port and the flag that chooses another.
pub async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen(address, &error))
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => exit::not_now(format!(
            "port {port} is in use by another program: choose another with `--listen {}:{}`, or any free one with `--listen {}:0`",
            address.ip(),
            if port == u16::MAX { 8081 } else { port + 1 },
            address.ip()
        )),
        ErrorKind::PermissionDenied => exit::refused(format!(
            "this user may not listen on port {port}: choose one above 1023 with `--listen {}:8080`",
            address.ip()
        )),
        _ => exit::refused(format!(
            "cannot listen on {address}: {error}; choose another address with `--listen`"
        )),
    }
}

/// Serves on an open port until SIGTERM or Ctrl-C, lets open requests finish, and closes the service.
///
/// `story` is an object whose fields join the document that `--json` prints.
pub async fn serve(
    context: &Context,
    listener: TcpListener,
    Opened { service, metrics }: Opened,
    story: Value,
) -> anyhow::Result<()> {
    let address = listener.local_addr().context("the port has no address")?;
    let state = http::AppState::new(service.clone(), metrics, options(&context.config().server));
    let router = http::router(state);
    announce(context, address, story)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        signal().await;
        let _ = stop.send(()); // the receiver only goes when the server has ended already
    });
    let grace = Duration::from_millis(context.config().server.shutdown_timeout_ms);
    let out_of_patience = async {
        if stopped.await.is_ok() {
            tracing::info!("stopping: open requests have {} ms to finish", grace.as_millis());
            tokio::time::sleep(grace).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        ended = server => ended.context("the server failed")?,
        () = out_of_patience => tracing::warn!("some requests did not finish in time"),
    }
    // What trains now ends with this process: its record must not say it still runs.
    service.fail_orphaned_jobs().await?;
    service.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// The configuration as the HTTP server reads it.
fn options(server: &ServerConfig) -> http::HttpOptions {
    http::HttpOptions {
        // At most 1 GiB by the configuration's own check.
        body_max_bytes: usize::try_from(server.body_max_bytes).unwrap_or(usize::MAX),
        request_timeout: Duration::from_millis(server.request_timeout_ms),
        concurrency_max: server.concurrency_max,
        loopback_only: true,
        dashboard: server.dashboard,
    }
}

fn announce(context: &Context, address: SocketAddr, mut story: Value) -> anyhow::Result<()> {
    let url = format!("http://{address}");
    if context.out.json {
        if let Value::Object(fields) = &mut story {
            fields.insert("listening".to_owned(), Value::from(url));
            fields.insert("pid".to_owned(), Value::from(std::process::id()));
        }
        return context.out.document(&story);
    }
    let page = if context.config().server.dashboard { ": the page at /, the API at /docs" } else { "" };
    Ok(context.out.text(&format!("Forewatt listens on {url}{page}. Ctrl-C stops it."))?)
}

/// Waits for Ctrl-C or SIGTERM.
async fn signal() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await; // no handler could be installed: the other signal still works
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                () = ctrl_c => (),
                _ = terminate.recv() => (),
            },
            Err(_) => ctrl_c.await,
        }
    }
    #[cfg(not(unix))]
    ctrl_c.await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_port_is_named_with_the_mend() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
            let address = first.local_addr().unwrap();
            let text = bind(address).await.unwrap_err().to_string();
            assert!(text.contains(&address.port().to_string()) && text.contains("--listen"), "{text}");
        });
    }
}
