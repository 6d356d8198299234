//! Who may work, who waits and who is refused: the rules of admission, without a clock and without threads.

use std::collections::VecDeque;

use super::gradient::Gradient;
use super::{AdmissionConfig, Class, Refusal};

/// Of the places for all work, the lower classes may take this share at most, in quarters, so that work of a higher
/// class finds one at once.
const QUARTERS: [usize; Class::COUNT] = [4, 3, 2];
/// Weight of the newest latency in the typical one.
const TYPICAL_WEIGHT: f64 = 0.1;

/// Somebody who waits.
#[derive(Debug)]
struct Waiting<W> {
    ticket: u64,
    whom: W,
}

/// One class of work.
#[derive(Debug)]
struct Lane<W> {
    limit: Gradient,
    at_work: usize,
    waiting: VecDeque<Waiting<W>>,
    /// How long a piece of work takes, in microseconds, by and large; 0 before the first.
    typical_micros: f64,
    /// Whether the last look found it slower than it should be.
    slow: bool,
}

/// What is told to one who asks for a place.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Begin.
    Admitted,
    /// Wait; the ticket names the place in the queue.
    Waits(u64),
    /// Do not wait.
    Refused(Refusal),
}

/// How a class stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Pieces of work it may do at once.
    pub limit: usize,
    /// Pieces it does.
    pub at_work: usize,
    /// Pieces that wait.
    pub waiting: usize,
}

/// All classes. `W` is how one who waits is told; times are microseconds of any steady clock.
#[derive(Debug)]
pub struct Line<W> {
    lanes: [Lane<W>; Class::COUNT],
    places: usize,
    queue_max: usize,
    wait_max_micros: u64,
    adaptive: bool,
    next_ticket: u64,
}

impl<W> Line<W> {
    /// Nobody at work; at most `places` pieces of work at once over all classes.
    #[must_use]
    pub fn new(config: &AdmissionConfig, places: usize, processors: usize) -> Self {
        let places = places.max(1);
        let least = if config.limit_min == 0 { 2 * processors } else { config.limit_min };
        let lane = |class: Class| {
            let least = if class == Class::Interactive { least } else { 1 };
            let begin = if config.limit_initial == 0 { 4 * processors } else { config.limit_initial };
            let initial = if config.adaptive { begin } else { places };
            Lane {
                limit: Gradient::new(initial, least.min(places), places, config.tolerance),
                at_work: 0,
                waiting: VecDeque::new(),
                typical_micros: 0.0,
                slow: false,
            }
        };
        Self {
            lanes: Class::ALL.map(lane),
            places,
            queue_max: config.queue_max,
            wait_max_micros: config.queue_wait_max_ms * 1_000,
            adaptive: config.adaptive,
            next_ticket: 0,
        }
    }

    /// How a class stands.
    #[must_use]
    pub fn standing(&self, class: Class) -> Standing {
        let lane = &self.lanes[class as usize];
        Standing { limit: lane.limit.limit(), at_work: lane.at_work, waiting: lane.waiting.len() }
    }

    /// Pieces of work of all classes.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.lanes.iter().map(|lane| lane.at_work).sum()
    }

    /// The longest that anyone waits, in microseconds.
    #[must_use]
    pub fn wait_max_micros(&self) -> u64 {
        self.wait_max_micros
    }

    /// Asks for a place for work that must be done within `left_micros`.
    pub fn ask(&mut self, class: Class, left_micros: u64, whom: W) -> Verdict {
        if self.lanes[class as usize].waiting.is_empty() && self.is_free(class) {
            self.lanes[class as usize].at_work += 1;
            return Verdict::Admitted;
        }
        let lane = &mut self.lanes[class as usize];
        if lane.waiting.len() >= self.queue_max {
            return Verdict::Refused(Refusal::Full);
        }
        // By Little's law; whoever would wait in vain is told before he has waited.
        let wait = (lane.waiting.len() + 1) as f64 * lane.typical_micros / lane.limit.limit() as f64;
        if wait > left_micros.min(self.wait_max_micros) as f64 {
            return Verdict::Refused(Refusal::Late);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        lane.waiting.push_back(Waiting { ticket, whom });
        Verdict::Waits(ticket)
    }

    /// Takes a place only if there is one now.
    pub fn try_enter(&mut self, class: Class) -> bool {
        let free = self.lanes[class as usize].waiting.is_empty() && self.is_free(class);
        self.lanes[class as usize].at_work += usize::from(free);
        free
    }

    /// One who waits has left; false when his turn has come already.
    pub fn give_up(&mut self, class: Class, ticket: u64) -> bool {
        let waiting = &mut self.lanes[class as usize].waiting;
        let found = waiting.iter().position(|waiting| waiting.ticket == ticket);
        found.is_some_and(|at| waiting.remove(at).is_some())
    }

    /// A piece of work has ended, at `now` after `latency_micros`; `None` when it broke off and tells nothing. Returns
    /// whose turn it is: they are counted as at work already.
    pub fn leave(&mut self, class: Class, now: u64, latency_micros: Option<u64>) -> Vec<(Class, W)> {
        let at_once = self.lanes[class as usize].at_work;
        if let Some(latency) = latency_micros {
            self.learn(class, now, latency, at_once);
        }
        self.lanes[class as usize].at_work = at_once.saturating_sub(1);
        let mut turns = Vec::new();
        for class in Class::ALL {
            while self.is_free(class) {
                let Some(next) = self.lanes[class as usize].waiting.pop_front() else { break };
                self.lanes[class as usize].at_work += 1;
                turns.push((class, next.whom));
            }
        }
        turns
    }

    /// A slow look at one class makes the lowest class that is at work give way first.
    fn learn(&mut self, class: Class, now: u64, latency: u64, at_once: usize) {
        let lane = &mut self.lanes[class as usize];
        let newest = latency as f64;
        lane.typical_micros = if lane.typical_micros == 0.0 {
            newest
        } else {
            lane.typical_micros + TYPICAL_WEIGHT * (newest - lane.typical_micros)
        };
        if !self.adaptive {
            return;
        }
        let Some(gradient) = lane.limit.record(now, latency, at_once) else { return };
        lane.slow = gradient < 1.0;
        let (above, rest) = self.lanes.split_at_mut(class as usize);
        let (own, below) = rest.split_at_mut(1);
        if gradient < 1.0 {
            let payer = below.iter_mut().rev().find(|lane| lane.at_work > 0 && lane.limit.can_shrink());
            match payer {
                Some(payer) => payer.limit.yield_by(gradient),
                None => own[0].limit.follow(gradient),
            }
        } else if !above.iter().any(|lane| lane.slow && lane.at_work > 0) {
            // What a class has yielded it does not take back while a higher one is slow.
            own[0].limit.follow(gradient);
        }
    }

    /// Whether a class may begin one more: within its limit and its share of all places, and no higher class waits.
    fn is_free(&self, class: Class) -> bool {
        let lane = &self.lanes[class as usize];
        let share = (self.places * QUARTERS[class as usize] / 4).max(1);
        let higher_waits = self.lanes[..class as usize].iter().any(|lane| !lane.waiting.is_empty());
        lane.at_work < lane.limit.limit() && self.at_work() < share && !higher_waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: u64 = 60_000_000;

    fn config() -> AdmissionConfig {
        AdmissionConfig {
            adaptive: false,
            limit_min: 1,
            limit_initial: 4,
            tolerance: 2.0,
            queue_max: 3,
            queue_wait_max_ms: 1_000,
        }
    }

    fn names(turns: Vec<(Class, &'static str)>) -> Vec<&'static str> {
        turns.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn the_higher_class_goes_first_and_queues_are_bounded() {
        let mut line = Line::new(&config(), 1, 1);
        assert_eq!(line.ask(Class::Batch, LONG, "at work"), Verdict::Admitted);
        for (class, name) in [
            (Class::Background, "c"),
            (Class::Batch, "b"),
            (Class::Interactive, "a1"),
            (Class::Interactive, "a2"),
        ] {
            assert!(matches!(line.ask(class, LONG, name), Verdict::Waits(_)), "{name}");
        }
        assert!(matches!(line.ask(Class::Interactive, LONG, "a3"), Verdict::Waits(_)));
        assert_eq!(line.ask(Class::Interactive, LONG, "a4"), Verdict::Refused(Refusal::Full));
        let mut order = names(line.leave(Class::Batch, 0, None));
        for class in [Class::Interactive, Class::Interactive, Class::Interactive, Class::Batch] {
            order.extend(names(line.leave(class, 0, None)));
        }
        assert_eq!(order, ["a1", "a2", "a3", "b", "c"]);
        assert_eq!(line.at_work(), 1);
    }

    #[test]
    fn lower_classes_leave_room_for_higher_ones() {
        let mut line = Line::new(&config(), 8, 1);
        let begun = |line: &mut Line<&'static str>, class| (0..10).filter(|_| line.try_enter(class)).count();
        assert_eq!(begun(&mut line, Class::Background), 4);
        assert_eq!(begun(&mut line, Class::Batch), 2);
        assert_eq!(begun(&mut line, Class::Interactive), 2);
        assert_eq!(line.at_work(), 8);
    }

    #[test]
    fn whoever_would_wait_in_vain_is_told_at_once() {
        let mut line = Line::new(&config(), 1, 1);
        assert!(line.try_enter(Class::Interactive));
        line.leave(Class::Interactive, 400_000, Some(400_000));
        assert!(line.try_enter(Class::Interactive));
        assert_eq!(line.ask(Class::Interactive, 300_000, "hurried"), Verdict::Refused(Refusal::Late));
        assert!(matches!(line.ask(Class::Interactive, LONG, "patient"), Verdict::Waits(_)));
        assert!(matches!(line.ask(Class::Interactive, LONG, "second"), Verdict::Waits(_)));
        // The third would wait 1.2 s, and nobody waits more than 1 s.
        assert_eq!(line.ask(Class::Interactive, LONG, "third"), Verdict::Refused(Refusal::Late));
    }

    #[test]
    fn while_a_higher_class_waits_no_lower_one_begins() {
        let config = AdmissionConfig { adaptive: true, limit_initial: 1, ..config() };
        let mut line = Line::new(&config, 100, 1);
        assert_eq!(line.ask(Class::Interactive, LONG, "at work"), Verdict::Admitted);
        assert!(matches!(line.ask(Class::Interactive, LONG, "waits for its limit"), Verdict::Waits(_)));
        assert!(!line.try_enter(Class::Batch));
        assert!(matches!(line.ask(Class::Background, LONG, "low"), Verdict::Waits(_)));
        assert_eq!(names(line.leave(Class::Interactive, 0, None)), ["waits for its limit", "low"]);
    }

    #[test]
    fn who_left_the_queue_is_not_called() {
        let mut line = Line::new(&config(), 1, 1);
        assert!(line.try_enter(Class::Interactive));
        let Verdict::Waits(ticket) = line.ask(Class::Interactive, LONG, "gone") else { panic!("no queue") };
        line.ask(Class::Interactive, LONG, "next");
        assert!(line.give_up(Class::Interactive, ticket));
        assert!(!line.give_up(Class::Interactive, ticket));
        assert_eq!(names(line.leave(Class::Interactive, 0, None)), ["next"]);
    }

    #[test]
    fn when_the_higher_class_is_slow_the_lowest_pays() {
        let config = AdmissionConfig { adaptive: true, limit_initial: 64, ..config() };
        let mut line: Line<()> = Line::new(&config, 1_000, 2);
        for class in Class::ALL {
            assert!(line.try_enter(class));
        }
        let mut now = 0;
        let mut look = |line: &mut Line<()>, latency: u64| {
            for _ in 0..20 {
                now += 10_000;
                line.leave(Class::Interactive, now, Some(latency));
                assert!(line.try_enter(Class::Interactive));
            }
        };
        look(&mut line, 10_000);
        let limits = |line: &Line<()>| Class::ALL.map(|class| line.standing(class).limit);
        assert_eq!(limits(&line), [64, 64, 64]);
        look(&mut line, 100_000);
        let after = limits(&line);
        assert!(after[2] < 64 && after[0] == 64 && after[1] == 64, "{after:?}");
        for _ in 0..20 {
            look(&mut line, 100_000);
        }
        let after = limits(&line);
        assert!(after[2] == 1 && after[1] == 1 && after[0] < 64, "{after:?}");
        // Its own work is quick enough, but it does not grow while the higher class is slow.
        for i in 0..100 {
            line.leave(Class::Batch, 10_000_000 + i * 10_000, Some(1_000));
            assert!(line.try_enter(Class::Batch));
        }
        assert_eq!(limits(&line)[1], 1);
    }
}
