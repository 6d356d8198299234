//! HTTP/1.1 and TLS on pooled connections, dialled only to addresses that the guard let through.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::{HOST, HeaderValue, USER_AGENT};
use hyper::{Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::Service;

use super::call::{Answer, Call, Failure};
use super::guard::{Guard, Refused};

/// Idle connections kept for one peer.
const IDLE_PER_PEER_MAX: usize = 4;
/// How long one may stay idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Who we are.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("forewatt/", env!("CARGO_PKG_VERSION")));

/// The connections of one client.
pub(super) struct Wire {
    client: Client<HttpsConnector<Dial>, Full<Bytes>>,
    body_max_bytes: usize,
}

impl Wire {
    pub(super) fn new(guard: Arc<Guard>, connect: Duration, body_max_bytes: usize) -> Self {
        let dial = Dial { guard, connect };
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .wrap_connector(dial);
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_PER_PEER_MAX)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { client, body_max_bytes }
    }

    /// One exchange, to the last byte of the answer.
    pub(super) async fn send(&self, call: &Call, url: &Uri) -> Result<Answer, Failure> {
        let mut request = Request::new(Full::new(call.body.clone()));
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = url.clone();
        *request.headers_mut() = call.headers.clone();
        request.headers_mut().remove(HOST); // the client writes that of the URL
        request.headers_mut().insert(USER_AGENT, AGENT);
        let response = self.client.request(request).await.map_err(|error| told(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, self.body_max_bytes).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return Failure::TooLarge { max_bytes: self.body_max_bytes };
            }
            Failure::Connection(deepest(&*error))
        })?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }
}

/// A failure of the client as ours: the guard's word wherever it lies in the chain.
fn told(error: &hyper_util::client::legacy::Error) -> Failure {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(found) = cause {
        let inside = found.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(refused) = inside.and_then(|inner| inner.downcast_ref::<Refused>()) {
            return Failure::Forbidden(refused.clone());
        }
        cause = found.source();
    }
    Failure::Connection(deepest(error))
}

/// The first cause, which says most: `connection refused`, and not `client error (Connect)`.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Resolves, checks and dials in one step, so that the address checked is the address called.
#[derive(Clone)]
pub(super) struct Dial {
    guard: Arc<Guard>,
    connect: Duration,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (guard, connect) = (Arc::clone(&self.guard), self.connect);
        Box::pin(async move {
            let dialled = tokio::time::timeout(connect, dial(&guard, &url)).await;
            dialled.unwrap_or_else(|_| {
                Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection in {} ms", connect.as_millis()),
                ))
            })
        })
    }
}

async fn dial(guard: &Guard, url: &Uri) -> io::Result<TokioIo<TcpStream>> {
    let mut last = io::Error::other("the name has no address");
    for address in guard.resolve(url).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(TokioIo::new(stream));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
