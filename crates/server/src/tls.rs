//! Encrypted connections (TLS 1.2 and 1.3 by rustls): certificates that can change while the server runs, and, where it
//! is wanted, clients that must show one of their own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::config::TlsConfig;

/// Connections that are agreed on and wait for the server to take them up.
const READY_MAX: usize = 64;
/// How long to rest after the system gave no connection: it may be out of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// The certificates in force. Cheap to clone: all clones are one.
#[derive(Clone)]
pub struct Certificates(Arc<Inner>);

struct Inner {
    config: TlsConfig,
    now: RwLock<(Vec<u8>, TlsAcceptor)>,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// A text that names the key of the configuration and the file.
    pub fn read(config: &TlsConfig) -> anyhow::Result<Self> {
        let now = RwLock::new(read(config)?);
        Ok(Self(Arc::new(Inner { config: config.clone(), now })))
    }

    /// Reads the files again; tells whether they had changed. What cannot be read leaves the old ones in force.
    ///
    /// # Errors
    /// As [`Certificates::read`].
    pub fn refresh(&self) -> anyhow::Result<bool> {
        let fresh = read(&self.0.config)?;
        let mut now = self.0.now.write().unwrap_or_else(PoisonError::into_inner);
        let changed = now.0 != fresh.0;
        if changed {
            *now = fresh;
        }
        Ok(changed)
    }

    /// Looks at the files now and then, and at once after SIGHUP, until the runtime ends.
    pub fn watch(&self) {
        let certificates = self.clone();
        tokio::spawn(async move {
            let mut ticks =
                tokio::time::interval(Duration::from_millis(certificates.0.config.reload_interval_ms));
            let mut hangup = Hangup::new();
            loop {
                tokio::select! {
                    _ = ticks.tick() => (),
                    () = hangup.heard() => (),
                }
                match certificates.refresh() {
                    Ok(true) => tracing::info!("new certificates are in force for new connections"),
                    Ok(false) => (),
                    Err(error) => {
                        tracing::error!(error = %format!("{error:#}"), "the certificates stay as they were");
                    }
                }
            }
        });
    }

    fn acceptor(&self) -> TlsAcceptor {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Takes connections from a port. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system does not tell the port's address.
    pub fn listen(&self, port: TcpListener) -> io::Result<TlsListener> {
        let address = port.local_addr()?;
        let (ready, inbox) = mpsc::channel(READY_MAX);
        let task = tokio::spawn(accept(port, self.clone(), ready)).abort_handle();
        Ok(TlsListener { inbox, address, task })
    }
}

/// The bytes of all files, and what they say.
fn read(config: &TlsConfig) -> anyhow::Result<(Vec<u8>, TlsAcceptor)> {
    let file = |key: &str, path: &Path| {
        std::fs::read(path).with_context(|| format!("tls.{key}: cannot read {}", path.display()))
    };
    let mut bytes = file("cert_file", &config.cert_file)?;
    let chain =
        certificates(&bytes).with_context(|| format!("tls.cert_file: {}", config.cert_file.display()))?;
    let key_bytes = file("private_key_file", &config.private_key_file)?;
    let place = || format!("tls.private_key_file: {}", config.private_key_file.display());
    let key = PrivateKeyDer::from_pem_slice(&key_bytes)
        .map_err(|e| anyhow::anyhow!("{e:?}"))
        .with_context(place)?;
    bytes.extend(key_bytes);
    let provider = Arc::new(ring::default_provider());
    let clients: Arc<dyn ClientCertVerifier> = if config.client_ca_file.as_os_str().is_empty() {
        Arc::new(NoClientAuth)
    } else {
        let place = || format!("tls.client_ca_file: {}", config.client_ca_file.display());
        let ca_bytes = file("client_ca_file", &config.client_ca_file)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&ca_bytes).with_context(place)? {
            roots.add(certificate).with_context(place)?;
        }
        bytes.extend(ca_bytes);
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .with_context(place)?
    };
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("tls: no version of the protocol is left")?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .context("tls.cert_file: the certificate and the private key do not belong together")?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((bytes, TlsAcceptor::from(Arc::new(server))))
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| anyhow::anyhow!("not PEM: {error:?}"))?;
    if all.is_empty() { anyhow::bail!("holds no certificate in PEM") } else { Ok(all) }
}

/// A port whose connections are agreed on in the background: a client that is slow to agree holds up no other.
pub struct TlsListener {
    inbox: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    task: AbortHandle,
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.task.abort(); // closes the port
    }
}

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.inbox.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await, // the runtime is ending
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

async fn accept(
    port: TcpListener,
    certificates: Certificates,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let config = &certificates.0.config;
    let (places, patience) =
        (Arc::new(Semaphore::new(config.handshakes_max)), Duration::from_millis(config.handshake_timeout_ms));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, address) = match port.accept().await {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let (acceptor, ready) = (certificates.acceptor(), ready.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(patience, acceptor.accept(stream)).await {
                // Where nobody takes it up the server is stopping.
                Ok(Ok(stream)) => drop(ready.send((stream, address)).await),
                Ok(Err(error)) => tracing::debug!(%error, %address, "a client did not agree on a connection"),
                Err(_) => tracing::debug!(%address, "a client took too long to agree on a connection"),
            }
            drop(place);
        });
    }
}

/// SIGHUP, where there is such a thing.
struct Hangup(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

impl Hangup {
    #[cfg(unix)]
    fn new() -> Self {
        Self(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok())
    }

    #[cfg(not(unix))]
    fn new() -> Self {
        Self()
    }

    async fn heard(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
