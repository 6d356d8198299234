//! Three clocks of a call: to connect, for one try, and for everything with its retries.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::call::Failure;
use crate::config::OutwardConfig;

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From dialling to a connection.
    pub connect: Duration,
    /// One try, from the connection to the last byte of the answer.
    pub request: Duration,
    /// All tries with the waits between them, and the wait for a place.
    pub total: Duration,
}

impl Timeouts {
    /// The configured times.
    #[must_use]
    pub fn new(config: &OutwardConfig) -> Self {
        Self {
            connect: Duration::from_millis(config.connect_timeout_ms),
            request: Duration::from_millis(config.request_timeout_ms),
            total: Duration::from_millis(config.total_timeout_ms),
        }
    }

    /// When a call that begins now must have ended.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.total
    }

    /// Runs one try within its own time and what is left of the whole.
    ///
    /// # Errors
    /// [`Failure::Timeout`], or the try's own.
    pub async fn within<T>(
        &self,
        deadline: Instant,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let end = deadline.min(Instant::now() + self.request);
        match tokio::time::timeout_at(end, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Timeout { after: self.request.min(self.total) }),
        }
    }
}

/// Waits, unless that would pass the deadline: then there is no use in waiting.
pub async fn pause(wait: Duration, deadline: Instant) -> bool {
    let fits = Instant::now() + wait < deadline;
    if fits {
        tokio::time::sleep(wait).await;
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Timeouts =
        Timeouts { connect: Duration::ZERO, request: Duration::ZERO, total: Duration::from_secs(3_600) };

    #[tokio::test]
    async fn a_try_that_never_ends_is_ended() {
        let never = std::future::pending::<Result<(), Failure>>();
        assert!(matches!(NONE.within(NONE.deadline(), never).await, Err(Failure::Timeout { .. })));
    }

    #[tokio::test]
    async fn a_wait_beyond_the_deadline_is_not_begun() {
        assert!(!pause(Duration::from_secs(3_600), Instant::now()).await);
        assert!(pause(Duration::ZERO, NONE.deadline()).await);
    }
}
