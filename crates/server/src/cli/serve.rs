//! `forewatt serve`: REST and gRPC from start to graceful end.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use forewatt_service::Service;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::context::Context;
use super::exit;
use crate::config::Config;
use crate::tls::Certificates;
use crate::{http, telemetry};

const EXAMPLES: &str = "\
Examples:
  forewatt serve
  forewatt serve --grpc-listen 127.0.0.1:9090   gRPC there and not beside REST
  forewatt serve --listen 127.0.0.1:9000 --data-dir /var/lib/forewatt
  forewatt serve --listen 127.0.0.1:0        a free port; the address is printed

Others than this computer's own addresses are accepted with auth.required = true: then every request needs \
a key (`forewatt keys create`). tls.cert_file encrypts connections. SIGTERM and Ctrl-C let open requests finish.";

/// Flags of `serve`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Address and port for gRPC alone [default: that of --listen]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub grpc_listen: Option<String>,
}

/// Serves until a signal ends it.
pub fn run(context: &Context, _args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(async {
        // The port first: a second server must not touch the first one's jobs.
        let ports = Ports::bind(context).await?;
        let opened = open(context, &context.config().store.data_dir).await?;
        let config = context.config().clone();
        let interval = Duration::from_millis(config.store.upkeep_interval_ms);
        opened.service.start_upkeep(interval, move |service| config.upkeep(service.now()));
        opened.service.start_sources();
        opened.service.start_webhooks();
        opened.service.start_cache();
        serve(context, ports, opened, serde_json::json!({})).await
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

/// The ports that are served.
pub struct Ports {
    /// REST, and gRPC where it has no port of its own.
    http: TcpListener,
    /// gRPC alone.
    grpc: Option<TcpListener>,
    /// What encrypts both; `None` for plain connections.
    tls: Option<Certificates>,
}

impl Ports {
    /// Takes the configured ports.
    ///
    /// # Errors
    /// A text that names the port and the flag that chooses another.
    pub async fn bind(context: &Context) -> anyhow::Result<Self> {
        let config = context.config();
        let tls = config.tls.is_on().then(|| Certificates::read(&config.tls)).transpose();
        let tls = tls.map_err(|error| exit::refused(format!("{error:#}")))?;
        let http = bind(config.listen()?, "--listen").await?;
        let grpc = match config.grpc_listen()? {
            Some(address) => Some(bind(address, "--grpc-listen").await?),
            None => None,
        };
        if let Some(certificates) = &tls {
            certificates.watch();
        }
        Ok(Self { http, grpc, tls })
    }

    /// Where REST is.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.http.local_addr().context("the port has no address")
    }

    fn grpc_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        self.grpc.as_ref().map(TcpListener::local_addr).transpose().context("the port of gRPC has no address")
    }
}

async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen(address, flag, &error))
}

fn cannot_listen(address: SocketAddr, flag: &str, error: &io::Error) -> anyhow::Error {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => exit::not_now(format!(
            "port {port} is in use by another program: choose another with `{flag} {}:{}`, or any free one with `{flag} {}:0`",
            address.ip(),
            if port == u16::MAX { 8081 } else { port + 1 },
            address.ip()
        )),
        ErrorKind::PermissionDenied => exit::refused(format!(
            "this user may not listen on port {port}: choose one above 1023 with `{flag} {}:8080`",
            address.ip()
        )),
        _ => exit::refused(format!(
            "cannot listen on {address}: {error}; choose another address with `{flag}`"
        )),
    }
}

/// Serves on open ports until SIGTERM or Ctrl-C, lets open requests finish, and closes the service.
///
/// `story` is an object whose fields join the document that `--json` prints.
pub async fn serve(
    context: &Context,
    ports: Ports,
    Opened { service, metrics }: Opened,
    story: Value,
) -> anyhow::Result<()> {
    let state = http::AppState::new(service.clone(), metrics, options(context.config(), &ports));
    announce(context, &ports, story)?;
    warn_of_clear_keys(context.config());
    let server = &context.config().server;
    let grace = Duration::from_millis(server.shutdown_timeout_ms);
    let (close, closing) = watch::channel(false);
    let out_of_patience = async {
        signal().await;
        drain(&state, Duration::from_millis(server.drain_ms), signal()).await;
        close.send_replace(true);
        tracing::info!("stopping: open requests have {} ms to finish", grace.as_millis());
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = answer(ports, &state, &closing) => ended.context("the server failed")?,
        () = out_of_patience => tracing::warn!("some requests did not finish in time"),
    }
    // What trains now ends with this process: its record must not say it still runs.
    service.fail_orphaned_jobs().await?;
    service.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Says from now on that the server is not ready, and waits while it still answers, until whoever sends requests has
/// noticed. `hurry` ends the wait.
async fn drain(state: &http::AppState, wait: Duration, hurry: impl Future<Output = ()>) {
    state.stop();
    if wait.is_zero() {
        return;
    }
    tracing::info!("not ready: requests are taken for another {} ms", wait.as_millis());
    tokio::select! {
        () = tokio::time::sleep(wait) => (),
        () = hurry => (),
    }
}

/// Answers on every port until it is told to close them and what is open has ended.
async fn answer(ports: Ports, state: &http::AppState, closing: &watch::Receiver<bool>) -> io::Result<()> {
    let stopped = || {
        let mut closing = closing.clone();
        async move {
            let _ = closing.wait_for(|closing| *closing).await; // fails only without a sender, an end too
        }
    };
    let tls = ports.tls.as_ref();
    let http = on_port(ports.http, tls, http::router(state.clone()), stopped());
    let grpc = async {
        let Some(port) = ports.grpc else { return Ok(()) };
        on_port(port, tls, http::grpc_router(state.clone()), stopped()).await
    };
    tokio::try_join!(http, grpc).map(drop)
}

/// Answers on one port, encrypted where there are certificates.
async fn on_port(
    port: TcpListener,
    tls: Option<&Certificates>,
    router: Router,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    match tls {
        Some(certificates) => {
            axum::serve(certificates.listen(port)?, router).with_graceful_shutdown(stopped).await
        }
        None => axum::serve(port, router).with_graceful_shutdown(stopped).await,
    }
}

/// The configuration as the HTTP server reads it.
fn options(config: &Config, ports: &Ports) -> http::HttpOptions {
    let server = &config.server;
    http::HttpOptions {
        // At most 1 GiB by the configuration's own check.
        body_max_bytes: usize::try_from(server.body_max_bytes).unwrap_or(usize::MAX),
        request_timeout: Duration::from_millis(server.request_timeout_ms),
        concurrency_max: server.concurrency_max,
        admission: config.admission.clone(),
        loopback_only: config.is_loopback_only(),
        dashboard: server.dashboard,
        grpc: ports.grpc.is_none(),
        auth: config.auth.clone(),
        rate_limit: config.limits(),
        cors_origins: config.cors.allowed_origins.clone(),
    }
}

fn announce(context: &Context, ports: &Ports, mut story: Value) -> anyhow::Result<()> {
    let scheme = if ports.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", ports.address()?);
    let grpc = ports.grpc_address()?;
    if context.out.json {
        if let Value::Object(fields) = &mut story {
            fields.insert("listening".to_owned(), Value::from(url));
            fields.insert("pid".to_owned(), Value::from(std::process::id()));
            if let Some(grpc) = grpc {
                fields.insert("grpc".to_owned(), Value::from(grpc.to_string()));
            }
        }
        return context.out.document(&story);
    }
    let page = if context.config().server.dashboard { ": the page at /, the API at /docs" } else { "" };
    let grpc = grpc.map_or_else(|| "gRPC on the same port".to_owned(), |grpc| format!("gRPC on {grpc}"));
    Ok(context.out.text(&format!("Forewatt listens on {url}{page}; {grpc}. Ctrl-C stops it."))?)
}

/// Keys that others can read on their way are no keys.
fn warn_of_clear_keys(config: &Config) {
    if !config.is_loopback_only() && !config.tls.is_on() {
        tracing::warn!("keys travel unencrypted: set tls.cert_file, or let a proxy on this computer encrypt");
    }
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
            let first = bind("127.0.0.1:0".parse().unwrap(), "--listen").await.unwrap();
            let address = first.local_addr().unwrap();
            let text = bind(address, "--grpc-listen").await.unwrap_err().to_string();
            assert!(text.contains(&address.port().to_string()) && text.contains("--grpc-listen"), "{text}");
        });
    }

    #[tokio::test]
    async fn a_draining_server_answers_but_is_not_ready() {
        let server = http::tests::empty().await;
        assert_eq!(server.get("/health/ready").await.status, 200);
        let (hurry, hurried) = tokio::sync::oneshot::channel::<()>();
        let mut drained = std::pin::pin!(drain(&server.state, Duration::from_secs(3_600), async {
            let _ = hurried.await;
        }));
        assert!(futures::poll!(drained.as_mut()).is_pending(), "it waits");
        let detail = server.get("/health/ready").await.problem(503);
        assert!(detail.contains("about to stop"), "{detail}");
        assert_eq!(server.get("/v2/health/ready").await.status, 503);
        assert_eq!(server.get("/health/live").await.status, 200);
        assert_eq!(server.get("/v1/series").await.status, 200, "requests are still answered");
        hurry.send(()).unwrap();
        drained.await; // a second signal ends the wait
    }

    #[tokio::test]
    async fn without_a_balancer_nothing_waits() {
        let server = http::tests::empty().await;
        let drained = std::pin::pin!(drain(&server.state, Duration::ZERO, std::future::pending()));
        assert!(futures::poll!(drained).is_ready());
        assert!(server.state.is_stopping());
    }
}
