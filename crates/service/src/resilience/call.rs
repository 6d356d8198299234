//! A call, its answer, and every way it can fail.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, Method, StatusCode};

use super::guard::Refused;
use crate::error::{Error, ErrorKind};

/// What is asked of a peer.
#[derive(Debug, Clone)]
pub struct Call {
    /// `GET`, `POST`, `PURGE`.
    pub method: Method,
    /// Where.
    pub url: String,
    /// Beside `host` and `user-agent`.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Bytes,
    /// Whether asking twice is as good as once: only then is it tried again.
    pub idempotent: bool,
}

impl Call {
    /// A question that changes nothing.
    #[must_use]
    pub fn get(url: String) -> Self {
        Self { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), idempotent: true }
    }
}

/// What came back, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, within `outward.body_max_bytes`.
    pub body: Bytes,
}

/// Why a call gave nothing. The texts name no secret: URLs are left out, for they may hold one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The URL or its address is not for us to call.
    #[error(transparent)]
    Forbidden(#[from] Refused),
    /// No place came free.
    #[error("too many calls of this kind are under way: try again")]
    Busy,
    /// The breaker of the peer is open.
    #[error("the peer failed often in a row and is left alone for another {} ms", wait.as_millis())]
    Open {
        /// How long still.
        wait: Duration,
    },
    /// It took too long.
    #[error("no whole answer came within {} ms", after.as_millis())]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// No connection, or it broke.
    #[error("the connection failed: {0}")]
    Connection(String),
    /// The answer is longer than we read.
    #[error("the answer is longer than {max_bytes} bytes (outward.body_max_bytes)")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// A status of an error.
    #[error("the peer answered {status}{detail}")]
    Status {
        /// Which.
        status: u16,
        /// The beginning of what it said.
        detail: String,
    },
    /// The answer is not what it should be.
    #[error("the answer cannot be used: {0}")]
    Garbage(String),
}

impl Failure {
    /// The word for metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Forbidden(_) => "forbidden",
            Self::Busy => "busy",
            Self::Open { .. } => "open",
            Self::Timeout { .. } => "timeout",
            Self::Connection(_) => "connection",
            Self::TooLarge { .. } => "too_large",
            Self::Status { .. } => "status",
            Self::Garbage(_) => "garbage",
        }
    }

    /// Whether the peer is to blame: then its breaker counts it.
    #[must_use]
    pub const fn is_peers_fault(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Connection(_) | Self::TooLarge { .. } | Self::Garbage(_) => true,
            Self::Status { status, .. } => *status >= 500,
            Self::Forbidden(_) | Self::Busy | Self::Open { .. } => false,
        }
    }

    /// Whether another try may do better.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Connection(_) => true,
            Self::Status { status, .. } => matches!(*status, 408 | 429 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let kind = match &failure {
            Failure::Forbidden(_) => ErrorKind::InvalidInput,
            Failure::Timeout { .. } => ErrorKind::Timeout,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, failure.to_string())
    }
}

/// The most that is told of an error's body, in characters.
const DETAIL_MAX: usize = 200;

/// Reads an answer: statuses of errors are failures, redirections too (they could lead anywhere).
pub(super) fn judge<T>(answer: &Answer, read: impl Fn(&Answer) -> Result<T, String>) -> Result<T, Failure> {
    if answer.status.is_success() {
        return read(answer).map_err(Failure::Garbage);
    }
    let said = String::from_utf8_lossy(&answer.body);
    let said: String = said.chars().take(DETAIL_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let detail = match (answer.status.is_redirection(), said.trim()) {
        (true, _) => ": redirections are not followed, give the address it leads to".to_owned(),
        (false, "") => String::new(),
        (false, said) => format!(": {said}"),
    };
    Err(Failure::Status { status: answer.status.as_u16(), detail })
}
