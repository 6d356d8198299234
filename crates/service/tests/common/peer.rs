//! Another machine as tests need it: it says what it is told to, slows, breaks and lies, and remembers what it was asked.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What it answers.
#[derive(Debug, Clone)]
pub enum Say {
    /// This status with this body.
    Body(u16, String),
    /// Nothing, ever.
    Nothing,
    /// It promises a longer body than it sends, and hangs up.
    Cut(String),
}

/// What it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `GET /path HTTP/1.1` and the headers, as they came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Asked {
    /// A header's value; empty when absent.
    pub fn header(&self, name: &str) -> String {
        let wanted = format!("{name}:");
        let found = self.head.lines().find(|line| line.to_lowercase().starts_with(&wanted));
        found.map_or_else(String::new, |line| line[wanted.len()..].trim().to_owned())
    }
}

/// It listens on this computer until it is dropped.
pub struct Peer {
    url: String,
    say: Arc<Mutex<Say>>,
    asked: watch::Receiver<Vec<Asked>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Peer {
    pub async fn start(say: Say) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (remember, asked) = watch::channel(Vec::new());
        let (say, remember) = (Arc::new(Mutex::new(say)), Arc::new(remember));
        let says = Arc::clone(&say);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&says), Arc::clone(&remember)));
            }
        });
        Self { url, say, asked, serving }
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// From now on it answers so.
    pub fn says(&self, say: Say) {
        *self.say.lock().unwrap() = say;
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.borrow().clone()
    }

    /// Waits until it was asked so often.
    pub async fn asked_times(&self, count: usize) -> Vec<Asked> {
        let mut asked = self.asked.clone();
        asked.wait_for(|all| all.len() >= count).await.unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(mut stream: TcpStream, say: Arc<Mutex<Say>>, remember: Arc<watch::Sender<Vec<Asked>>>) {
    let Some(asked) = read(&mut stream).await else { return };
    let say = say.lock().unwrap().clone();
    remember.send_modify(|all| all.push(asked));
    let (status, body, length) = match say {
        Say::Body(status, body) => (status, body.clone(), body.len()),
        Say::Cut(body) => (200, body.clone(), body.len() + 100),
        Say::Nothing => {
            let _ = stream.read(&mut [0]).await; // until the other side gives up
            return;
        }
    };
    let head = format!(
        "HTTP/1.1 {status} So\r\ncontent-length: {length}\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n"
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await; // the other side may be gone
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    loop {
        let mut some = [0; 4_096];
        let count = stream.read(&mut some).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&some[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let asked = Asked { head: head.to_owned(), body: body.to_owned() };
        if body.len() >= asked.header("content-length").parse().unwrap_or(0) {
            return Some(asked);
        }
    }
}
