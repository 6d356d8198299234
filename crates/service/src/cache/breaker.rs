//! A breaker: whoever fails again and again is left alone for a while, then tried with a single question.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whether the other side is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is; so many calls have failed since the last that succeeded.
    Closed {
        /// Failures in a row.
        failures: u32,
    },
    /// It is not.
    Open {
        /// When it was given up.
        since: Instant,
    },
    /// One call tries whether it is back.
    HalfOpen {
        /// When that call began. Its caller may have left, so this does not last either.
        since: Instant,
    },
}

/// The state, and when it changes. It is told the time, so that it can be tried without waiting.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: Mutex<State>,
    failures_max: u32,
    retry: Duration,
}

impl Breaker {
    /// Closed; opens after so many failures in a row, and lets one call through after `retry`.
    pub(crate) fn new(failures_max: u32, retry: Duration) -> Self {
        Self { state: Mutex::new(State::Closed { failures: 0 }), failures_max: failures_max.max(1), retry }
    }

    pub(crate) fn state(&self) -> State {
        *self.lock()
    }

    /// Whether a call may be made now.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => true,
            State::Open { since } | State::HalfOpen { since } => {
                let again = now.saturating_duration_since(since) >= self.retry;
                if again {
                    *state = State::HalfOpen { since: now };
                }
                again
            }
        }
    }

    /// A call succeeded; tells whether this ended a time without the other side.
    pub(crate) fn succeeded(&self) -> bool {
        let before = std::mem::replace(&mut *self.lock(), State::Closed { failures: 0 });
        !matches!(before, State::Closed { .. })
    }

    /// A call failed.
    pub(crate) fn failed(&self, now: Instant) {
        let mut state = self.lock();
        *state = match *state {
            State::Closed { failures } if failures + 1 < self.failures_max => {
                State::Closed { failures: failures + 1 }
            }
            // A call that began before it opened tells nothing new: the wait is not made longer.
            State::Open { since } => State::Open { since },
            State::Closed { .. } | State::HalfOpen { .. } => State::Open { since: now },
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing can panic while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_secs(1);

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_after_one_success() {
        let (breaker, start) = (Breaker::new(3, RETRY), Instant::now());
        breaker.failed(start);
        breaker.failed(start);
        assert!(!breaker.succeeded(), "it was never open");
        breaker.failed(start);
        breaker.failed(start);
        assert_eq!(breaker.state(), State::Closed { failures: 2 });
        assert!(breaker.admits(start));
        breaker.failed(start);
        assert_eq!(breaker.state(), State::Open { since: start });
        assert!(!breaker.admits(start + RETRY / 2));
        let later = start + RETRY;
        assert!(breaker.admits(later), "one tries");
        assert!(!breaker.admits(later + RETRY / 2), "and one only");
        breaker.failed(later);
        assert!(!breaker.admits(later + RETRY / 2), "it waits again");
        assert!(breaker.admits(later + RETRY));
        assert!(breaker.succeeded());
        assert_eq!(breaker.state(), State::Closed { failures: 0 });
    }

    #[test]
    fn a_trial_whose_caller_left_is_followed_by_another() {
        let (breaker, start) = (Breaker::new(1, RETRY), Instant::now());
        breaker.failed(start);
        assert!(breaker.admits(start + RETRY), "its caller leaves and tells nothing");
        assert!(breaker.admits(start + 2 * RETRY));
    }
}
