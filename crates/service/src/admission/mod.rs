//! Admission: which requests are worked on now, which wait for a moment, which are refused early and cheaply.

mod gradient;
mod line;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::Counter;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use gradient::Gradient;
pub use line::{Line, Standing, Verdict};

/// What a request is to others: the order is that of importance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody looks at the screen.
    Interactive,
    /// Many at once, or much data.
    Batch,
    /// What may as well be done later.
    Background,
}

impl Class {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All, the most important first; each stands at its own number.
    pub const ALL: [Self; Self::COUNT] = [Self::Interactive, Self::Batch, Self::Background];

    /// The word for it in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Batch => "batch",
            Self::Background => "background",
        }
    }
}

/// `[admission]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdmissionConfig {
    /// Whether limits follow the latency; else each class may fill its share of `server.concurrency_max`.
    pub adaptive: bool,
    /// The least that the limit of interactive requests falls to; 0 for twice the processors.
    pub limit_min: usize,
    /// Where every class begins; 0 for four times the processors.
    pub limit_initial: usize,
    /// How many times slower than the quickest work may become before a limit shrinks.
    pub tolerance: f64,
    /// Requests of each class that may wait.
    pub queue_max: usize,
    /// The longest a request may wait, in ms.
    pub queue_wait_max_ms: u64,
}

/// Why a request was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// As many wait as may.
    Full,
    /// Its turn would not come, or did not come, in time.
    Late,
}

/// What is counted of one class.
struct Meters {
    full: Counter,
    late: Counter,
    gone_waiting: Counter,
    gone_working: Counter,
}

impl Meters {
    fn of(class: Class) -> Self {
        let class = class.as_str();
        let refused = |reason| metrics::counter!("forewatt_admission_refused_total", "class" => class, "reason" => reason);
        let gone = |stage| metrics::counter!("forewatt_admission_abandoned_total", "class" => class, "stage" => stage);
        Self {
            full: refused("full"),
            late: refused("late"),
            gone_waiting: gone("waiting"),
            gone_working: gone("working"),
        }
    }
}

/// The gate to all work of a server.
pub struct Admission {
    line: Mutex<Line<oneshot::Sender<Place>>>,
    began: Instant,
    meters: [Meters; Class::COUNT],
    places: usize,
}

impl Admission {
    /// An empty house with `places` for work at once over all classes.
    #[must_use]
    pub fn new(config: &AdmissionConfig, places: usize) -> Arc<Self> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            line: Mutex::new(Line::new(config, places, processors)),
            began: Instant::now(),
            meters: Class::ALL.map(Meters::of),
            places: places.max(1),
        })
    }

    /// Waits for a place, but not in vain: work that could not be done by `deadline` is refused as soon as that shows.
    /// Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Refusal`], counted.
    pub async fn enter(self: &Arc<Self>, class: Class, deadline: Instant) -> Result<Place, Refusal> {
        let left = deadline.saturating_duration_since(Instant::now());
        let (tell, told) = oneshot::channel();
        let (verdict, wait_max) = {
            let mut line = self.line();
            (line.ask(class, micros(left), tell), Duration::from_micros(line.wait_max_micros()))
        };
        let refusal = match verdict {
            Verdict::Admitted => return Ok(self.place(class)),
            Verdict::Refused(refusal) => refusal,
            Verdict::Waits(ticket) => {
                let mut waiter = Waiter { admission: self, class, ticket, settled: false };
                let turn = tokio::time::timeout(left.min(wait_max), told).await;
                waiter.settled = true;
                match turn {
                    Ok(Ok(place)) => return Ok(place),
                    // The sender is dropped with the house alone.
                    Ok(Err(_)) | Err(_) => {
                        self.line().give_up(class, ticket);
                        Refusal::Late
                    }
                }
            }
        };
        match refusal {
            Refusal::Full => self.meters[class as usize].full.increment(1),
            Refusal::Late => self.meters[class as usize].late.increment(1),
        }
        Err(refusal)
    }

    /// A place if there is one now.
    #[must_use]
    pub fn try_enter(self: &Arc<Self>, class: Class) -> Option<Place> {
        let free = self.line().try_enter(class);
        free.then(|| self.place(class))
    }

    /// Whether more than `share` (0 to 1) of all places are taken, or somebody waits.
    #[must_use]
    pub fn is_crowded(&self, share: f64) -> bool {
        let line = self.line();
        line.at_work() as f64 > share * self.places as f64
            || Class::ALL.iter().any(|&class| line.standing(class).waiting > 0)
    }

    /// How a class stands.
    #[must_use]
    pub fn standing(&self, class: Class) -> Standing {
        self.line().standing(class)
    }

    /// Sets the gauges of `/metrics`.
    pub fn tell(&self) {
        for class in Class::ALL {
            let Standing { limit, at_work, waiting } = self.standing(class);
            let class = class.as_str();
            metrics::gauge!("forewatt_admission_limit", "class" => class).set(limit as f64);
            metrics::gauge!("forewatt_admission_in_flight", "class" => class).set(at_work as f64);
            metrics::gauge!("forewatt_admission_waiting", "class" => class).set(waiting as f64);
        }
    }

    fn place(self: &Arc<Self>, class: Class) -> Place {
        Place { admission: Arc::clone(self), class, began: Instant::now(), finished: false }
    }

    fn line(&self) -> MutexGuard<'_, Line<oneshot::Sender<Place>>> {
        // Nothing under the lock panics; if it did, the counts would still be whole.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(self: &Arc<Self>, class: Class, latency: Option<Duration>) {
        let now = micros(self.began.elapsed());
        let turns = self.line().leave(class, now, latency.map(micros));
        for (class, tell) in turns {
            // One who has just left gives his place back by dropping it.
            drop(tell.send(self.place(class)));
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// One who waits; when he is dropped before his turn, he leaves the queue.
struct Waiter<'a> {
    admission: &'a Arc<Admission>,
    class: Class,
    ticket: u64,
    settled: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if !self.settled && self.admission.line().give_up(self.class, self.ticket) {
            self.admission.meters[self.class as usize].gone_waiting.increment(1);
        }
    }
}

/// Leave to work. Dropped before [`Place::finish`], the client has gone: that is counted, and its time tells nothing.
pub struct Place {
    admission: Arc<Admission>,
    class: Class,
    began: Instant,
    finished: bool,
}

impl Place {
    /// The work is done, well or not.
    pub fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.finished {
            self.admission.meters[self.class as usize].gone_working.increment(1);
        }
        self.admission.leave(self.class, self.finished.then(|| self.began.elapsed()));
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn house(places: usize, queue_max: usize) -> Arc<Admission> {
        let config = AdmissionConfig {
            adaptive: false,
            limit_min: 1,
            limit_initial: 1,
            tolerance: 2.0,
            queue_max,
            queue_wait_max_ms: 60_000,
        };
        Admission::new(&config, places)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[tokio::test]
    async fn places_pass_from_hand_to_hand() {
        let house = house(1, 2);
        let first = house.enter(Class::Batch, later()).await.unwrap();
        let mut low = Box::pin(house.enter(Class::Background, later()));
        let mut high = Box::pin(house.enter(Class::Interactive, later()));
        assert!((&mut low).now_or_never().is_none() && (&mut high).now_or_never().is_none());
        assert!(house.is_crowded(1.0));
        first.finish();
        assert!((&mut low).now_or_never().is_none(), "the higher class goes first");
        high.await.unwrap().finish();
        low.await.unwrap().finish();
        assert_eq!(house.standing(Class::Interactive).at_work, 0);
        assert!(!house.is_crowded(0.5));
    }

    #[tokio::test]
    async fn who_leaves_the_queue_or_the_work_gives_the_place_back() {
        let house = house(1, 2);
        let first = house.enter(Class::Interactive, later()).await.unwrap();
        let mut waiting = Box::pin(house.enter(Class::Interactive, later()));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(house.standing(Class::Interactive).waiting, 1);
        drop(waiting);
        assert_eq!(house.standing(Class::Interactive).waiting, 0);
        // His turn came, but he had gone before he took it.
        let mut waiting = Box::pin(house.enter(Class::Interactive, later()));
        assert!((&mut waiting).now_or_never().is_none());
        drop(first);
        assert_eq!(house.standing(Class::Interactive).at_work, 1);
        drop(waiting);
        assert_eq!(house.standing(Class::Interactive).at_work, 0);
        assert!(house.try_enter(Class::Interactive).is_some());
    }

    #[tokio::test]
    async fn a_full_queue_and_a_passed_deadline_are_refused_at_once() {
        let house = house(1, 1);
        let _first = house.try_enter(Class::Interactive).unwrap();
        assert!(house.try_enter(Class::Interactive).is_none());
        let refused = house.enter(Class::Interactive, Instant::now()).await.err();
        assert_eq!(refused, Some(Refusal::Late));
        let mut waiting = Box::pin(house.enter(Class::Interactive, later()));
        assert!((&mut waiting).now_or_never().is_none());
        assert_eq!(house.enter(Class::Interactive, later()).await.err(), Some(Refusal::Full));
    }
}
