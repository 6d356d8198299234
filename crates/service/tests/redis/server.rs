//! A private Redis for one test, and a wire to it that can be cut or held up.

use std::os::unix::net::UnixStream as Probe;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

/// How to get it.
const INSTALL: &str = "Redis is missing; run as root: apt-get update && apt-get install -y --no-install-recommends redis-server";

/// A server on a socket in a temporary folder and nowhere else, stopped with this value.
pub struct Redis {
    process: Child,
    folder: tempfile::TempDir,
}

impl Redis {
    /// Starts one; `None` where it is not installed and nobody insists on it.
    pub fn start() -> Option<Self> {
        let known = Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if !known.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("CI").is_none(), "{INSTALL}");
            eprintln!("SKIPPED: {INSTALL}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let process = launch(&folder);
        Some(Self { process, folder })
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.folder).display())
    }

    /// Ends the server as a crash would, and starts it again without what it held.
    pub fn restart(&mut self) {
        self.stop();
        self.process = launch(&self.folder);
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(socket(&self.folder));
    }

    /// What it answers to a command.
    pub async fn ask<T: redis::FromRedisValue>(&self, words: &[&[u8]]) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| {
            command.arg(*word);
        });
        command.query_async(&mut connection).await.unwrap()
    }

    /// Names of what it holds that end so.
    pub async fn keys(&self, end: &str) -> Vec<String> {
        self.ask(&[b"KEYS", format!("*{end}").as_bytes()]).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

fn socket(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("redis.sock")
}

fn launch(folder: &tempfile::TempDir) -> Child {
    let socket = socket(folder);
    let mut process = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while Probe::connect(&socket).is_err() {
        assert!(process.try_wait().unwrap().is_none(), "redis-server ended at once");
        std::thread::yield_now();
    }
    process
}

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Bytes pass.
    Open,
    /// Connections stay, bytes wait.
    Held,
    /// Connections are broken, and new ones at once.
    Cut,
}

/// A wire between a node and Redis: a TCP port on this computer.
pub struct Wire {
    way: Arc<watch::Sender<Way>>,
    port: u16,
}

impl Wire {
    pub async fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let (ways, socket) = (Arc::clone(&way), socket(&redis.folder));
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (mut ways, socket) = (ways.subscribe(), socket.clone());
                tokio::spawn(async move {
                    if *ways.borrow() == Way::Cut {
                        return;
                    }
                    let Ok(far) = UnixStream::connect(&socket).await else { return };
                    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                    let passing = ways.clone();
                    tokio::select! {
                        () = pass(near_in, far_out, passing.clone()) => (),
                        () = pass(far_in, near_out, passing) => (),
                        _ = ways.wait_for(|way| *way == Way::Cut) => (),
                    }
                });
            }
        });
        Self { way, port }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut ways: watch::Receiver<Way>,
) {
    let mut bytes = [0; 4_096];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if ways.wait_for(|way| *way == Way::Open).await.is_err()
            || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
    }
}
