//! A circuit breaker: after some failures in a row a peer is left alone for a while, then probed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::call::Failure;
use crate::config::OutwardConfig;

/// When a breaker opens and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open the first time; twice as long after every failed probe.
    pub open: Duration,
    /// The longest it stays open.
    pub open_max: Duration,
    /// Probes at once while half open.
    pub probes: u32,
}

impl BreakerLimits {
    /// The configured limits.
    #[must_use]
    pub fn new(config: &OutwardConfig) -> Self {
        Self {
            failures: config.breaker_failures.max(1),
            open: Duration::from_millis(config.breaker_open_ms),
            open_max: Duration::from_millis(config.breaker_open_max_ms),
            probes: config.breaker_probes.max(1),
        }
    }
}

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass; so many have failed in a row.
    Closed {
        /// Failures since the last success.
        failures: u32,
    },
    /// No call passes before an instant.
    Open {
        /// From then on probes pass.
        until: Instant,
        /// How often it opened without a success in between.
        times: u32,
    },
    /// Probes pass, and the first to end decides.
    HalfOpen {
        /// Probes at work.
        probes: u32,
        /// How often it opened before.
        times: u32,
    },
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
        }
    }
}

/// The breaker of one peer.
#[derive(Debug)]
pub struct Breaker {
    kind: &'static str,
    limits: BreakerLimits,
    state: Mutex<State>,
}

/// Leave to call once; tell it how the call went. Dropped untold (the caller went away), it decides nothing.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    breaker: Arc<Breaker>,
    probe: bool,
    told: bool,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(kind: &'static str, limits: BreakerLimits) -> Self {
        let state = State::Closed { failures: 0 };
        gauge(kind, state).increment(1.0);
        Self { kind, limits, state: Mutex::new(state) }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        *self.lock()
    }

    /// Whether nothing would be lost by forgetting it.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        self.state() == State::Closed { failures: 0 }
    }

    /// May a call pass now?
    ///
    /// # Errors
    /// [`Failure::Open`] with how long the peer is left alone.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Failure> {
        let mut state = self.lock();
        let probe = match *state {
            State::Closed { .. } => false,
            State::Open { until, .. } if now < until => {
                return Err(Failure::Open { wait: until.duration_since(now) });
            }
            State::Open { times, .. } => {
                self.change(&mut state, State::HalfOpen { probes: 1, times });
                true
            }
            State::HalfOpen { probes, .. } if probes >= self.limits.probes => {
                return Err(Failure::Open { wait: self.limits.open });
            }
            State::HalfOpen { probes, times } => {
                self.change(&mut state, State::HalfOpen { probes: probes + 1, times });
                true
            }
        };
        Ok(Permit { breaker: Arc::clone(self), probe, told: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is plain data and every change is one assignment: a panic cannot leave it half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, state: &mut State, next: State) {
        if state.as_str() != next.as_str() {
            gauge(self.kind, *state).decrement(1.0);
            gauge(self.kind, next).increment(1.0);
        }
        *state = next;
    }

    fn settle(&self, healthy: bool, probe: bool, now: Instant) {
        let mut state = self.lock();
        let next = match (*state, healthy) {
            // What was under way when it opened tells nothing new.
            (State::Open { .. }, _) => return,
            (State::HalfOpen { .. }, _) if !probe => return,
            (_, true) => State::Closed { failures: 0 },
            (State::HalfOpen { times, .. }, false) => self.opened(now, times.saturating_add(1)),
            (State::Closed { failures }, false) if failures + 1 >= self.limits.failures => {
                self.opened(now, 1)
            }
            (State::Closed { failures }, false) => State::Closed { failures: failures + 1 },
        };
        self.change(&mut state, next);
    }

    fn opened(&self, now: Instant, times: u32) -> State {
        metrics::counter!("forewatt_outward_breaker_opened_total", "kind" => self.kind).increment(1);
        let longer = self.limits.open.saturating_mul(1 << times.saturating_sub(1).min(16));
        State::Open { until: now + longer.min(self.limits.open_max), times }
    }

    /// A probe that nobody waits for any more makes room for another.
    fn give_back(&self) {
        let mut state = self.lock();
        if let State::HalfOpen { probes, times } = *state {
            self.change(&mut state, State::HalfOpen { probes: probes.saturating_sub(1), times });
        }
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        gauge(self.kind, self.state()).decrement(1.0);
    }
}

impl Permit {
    /// Tells how the call went.
    pub fn report(mut self, healthy: bool, now: Instant) {
        self.told = true;
        self.breaker.settle(healthy, self.probe, now);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.probe && !self.told {
            self.breaker.give_back();
        }
    }
}

/// How many peers stand so.
fn gauge(kind: &'static str, state: State) -> metrics::Gauge {
    metrics::gauge!("forewatt_outward_peers", "kind" => kind, "breaker" => state.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits {
        failures: 3,
        open: Duration::from_secs(10),
        open_max: Duration::from_secs(25),
        probes: 1,
    };

    fn breaker() -> (Arc<Breaker>, Instant) {
        (Arc::new(Breaker::new("test", LIMITS)), Instant::now())
    }

    fn fail(breaker: &Arc<Breaker>, now: Instant, times: u32) {
        for _ in 0..times {
            breaker.admit(now).unwrap().report(false, now);
        }
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_them_does_not() {
        let (breaker, now) = breaker();
        fail(&breaker, now, 2);
        breaker.admit(now).unwrap().report(true, now);
        fail(&breaker, now, 2);
        assert_eq!(breaker.state(), State::Closed { failures: 2 });
        fail(&breaker, now, 1);
        assert_eq!(breaker.state(), State::Open { until: now + LIMITS.open, times: 1 });
        assert!(matches!(breaker.admit(now), Err(Failure::Open { wait }) if wait == LIMITS.open));
    }

    #[test]
    fn one_probe_decides_and_each_failed_one_doubles_the_rest() {
        let (breaker, start) = breaker();
        fail(&breaker, start, 3);
        let mut now = start;
        for seconds in [20, 25, 25] {
            let State::Open { until, .. } = breaker.state() else { panic!("{:?}", breaker.state()) };
            now = until;
            let probe = breaker.admit(now).unwrap();
            assert!(breaker.admit(now).is_err(), "a second probe must wait");
            probe.report(false, now);
            let State::Open { until, .. } = breaker.state() else { panic!("{:?}", breaker.state()) };
            assert_eq!(until.duration_since(now), Duration::from_secs(seconds));
        }
        now += LIMITS.open_max;
        breaker.admit(now).unwrap().report(true, now);
        assert_eq!(breaker.state(), State::Closed { failures: 0 });
    }

    #[test]
    fn a_probe_that_was_given_up_makes_room() {
        let (breaker, now) = breaker();
        fail(&breaker, now, 3);
        let later = now + LIMITS.open;
        drop(breaker.admit(later).unwrap());
        breaker.admit(later).unwrap().report(true, later);
        assert!(breaker.is_untouched());
    }

    #[test]
    fn what_began_before_it_opened_changes_nothing() {
        let (breaker, now) = breaker();
        let early = breaker.admit(now).unwrap();
        fail(&breaker, now, 3);
        early.report(true, now);
        assert!(matches!(breaker.state(), State::Open { .. }));
    }
}
