//! An adaptive limit on work at once: it grows while work is as quick as it can be, and shrinks when it queues.
//!
//! The idea is that of Netflix's `Gradient2` and Envoy's adaptive concurrency: by Little's law, work beyond what the
//! machine does at once only makes each piece slower, so the ratio of the quickest to the present latency tells by how
//! much the limit is too high. The quickest is forgotten slowly, so that a model that has become slower for good is not
//! taken for a crowd for ever.

/// Pieces of work that one look at the latency needs at least.
const SAMPLES_MIN: usize = 16;
/// At most so many are kept; the look is taken then, however short it was.
const SAMPLES_MAX: usize = 256;
/// How long one look lasts at least, in microseconds.
const WINDOW_MICROS: u64 = 100_000;
/// After so long the quickest latency seen counts twice, in microseconds: five minutes.
const DOUBLING_MICROS: f64 = 300e6;
/// No look shrinks the limit by more than this.
const GRADIENT_MIN: f64 = 0.5;
/// Work quicker than this is quick, whatever was seen before, in microseconds: the clock and the scheduler make as much.
const QUICK_MICROS: f64 = 5_000.0;

/// The limit of one class of work and what it was learned from. Times are microseconds of any steady clock.
#[derive(Debug, Clone)]
pub struct Gradient {
    limit: f64,
    least: f64,
    most: f64,
    tolerance: f64,
    quickest_micros: Option<f64>,
    samples: Vec<u32>,
    window_began: Option<u64>,
    most_at_once: usize,
}

impl Gradient {
    /// A limit that begins at `initial` and stays within `least` and `most`, both at least 1; work may become
    /// `tolerance` times slower than the quickest before the limit shrinks.
    #[must_use]
    pub fn new(initial: usize, least: usize, most: usize, tolerance: f64) -> Self {
        let least = least.max(1);
        let most = most.max(least);
        Self {
            limit: initial.clamp(least, most) as f64,
            least: least as f64,
            most: most as f64,
            tolerance,
            quickest_micros: None,
            samples: Vec::new(),
            window_began: None,
            most_at_once: 0,
        }
    }

    /// Pieces of work that may be done at once.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit as usize // at least 1 and far below any usize
    }

    /// Whether the limit could shrink.
    #[must_use]
    pub fn can_shrink(&self) -> bool {
        self.limit > self.least
    }

    /// Takes note of a piece of work that is done: how long it took, and how many were at work with it. Returns the
    /// gradient when a look is complete: 1 when all is well, less when work is slower than it should be.
    pub fn record(&mut self, now: u64, latency_micros: u64, at_once: usize) -> Option<f64> {
        let began = *self.window_began.get_or_insert(now.saturating_sub(latency_micros));
        self.samples.push(u32::try_from(latency_micros).unwrap_or(u32::MAX));
        self.most_at_once = self.most_at_once.max(at_once);
        let lasted = now.saturating_sub(began);
        let complete = self.samples.len() >= SAMPLES_MIN && lasted >= WINDOW_MICROS;
        if !complete && self.samples.len() < SAMPLES_MAX {
            return None;
        }
        let middle = self.samples.len() / 2;
        let median = f64::from(*self.samples.select_nth_unstable(middle).1);
        let known = self.quickest_micros.unwrap_or(median);
        let quickest = median.min(known * (lasted as f64 / DOUBLING_MICROS).exp2());
        self.quickest_micros = Some(quickest);
        self.samples.clear();
        self.window_began = Some(now);
        let allowed = (self.tolerance * quickest).max(QUICK_MICROS);
        Some((allowed / median.max(1.0)).clamp(GRADIENT_MIN, 1.0))
    }

    /// Moves the limit by a gradient. It grows only when it was used, so that a quiet night does not lift it.
    pub fn follow(&mut self, gradient: f64) {
        // What may queue beside the work itself, so that a limit that is too low can find out.
        let next = self.limit * gradient + self.limit.sqrt();
        let used = self.most_at_once * 2 >= self.limit();
        self.most_at_once = 0;
        if next < self.limit || used {
            self.limit = next.clamp(self.least, self.most);
        }
    }

    /// Shrinks the limit because others, who matter more, are slow.
    pub fn yield_by(&mut self, gradient: f64) {
        self.limit = (self.limit * gradient).max(self.least);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that does `width` pieces at once in `micros` each: with more at once each takes longer.
    fn run(gradient: &mut Gradient, now: &mut u64, looks: usize, micros: u64, width: usize) {
        for _ in 0..looks {
            let at_once = gradient.limit();
            let latency = micros * at_once.div_ceil(width).max(1) as u64;
            let told = loop {
                *now += latency / at_once as u64 + 1;
                if let Some(told) = gradient.record(*now, latency, at_once) {
                    break told;
                }
            };
            gradient.follow(told);
        }
    }

    #[test]
    fn a_limit_finds_what_the_machine_can_do() {
        let (mut gradient, mut now) = (Gradient::new(4, 2, 1_000, 2.0), 0);
        run(&mut gradient, &mut now, 200, 20_000, 16);
        let limit = gradient.limit();
        assert!((16..=48).contains(&limit), "{limit}: sixteen are done at once, twice as slow is still well");
        run(&mut gradient, &mut now, 60, 20_000, 4);
        assert!(gradient.limit() < limit, "a smaller machine has a smaller limit: {}", gradient.limit());
        assert!(gradient.limit() >= 4);
    }

    #[test]
    fn a_limit_that_is_not_used_does_not_grow_and_bounds_hold() {
        let mut gradient = Gradient::new(10, 2, 12, 2.0);
        for _ in 0..50 {
            gradient.follow(1.0);
        }
        assert_eq!(gradient.limit(), 10);
        for look in 0..50_u64 {
            for i in 0..SAMPLES_MAX as u64 {
                if let Some(told) = gradient.record(look * 1_000_000 + i, 10, 10) {
                    gradient.follow(told);
                }
            }
        }
        assert_eq!(gradient.limit(), 12, "used and quick");
        for _ in 0..50 {
            gradient.yield_by(0.5);
        }
        assert_eq!((gradient.limit(), gradient.can_shrink()), (2, false));
    }

    #[test]
    fn what_became_slower_for_good_is_believed_in_the_end() {
        let mut gradient = Gradient::new(8, 2, 100, 2.0);
        let mut now = 0;
        let mut look = |latency: u64| loop {
            now += 20_000;
            if let Some(told) = gradient.record(now, latency, 8) {
                break told;
            }
        };
        assert_eq!(look(10_000), 1.0);
        assert!(look(100_000) < 1.0);
        let looks = (0..10_000).find(|_| look(100_000) == 1.0);
        assert!(looks.is_some_and(|looks| looks > 100), "neither at once nor never: {looks:?}");
        assert_eq!(look(4_000), 1.0, "quick is quick");
    }
}
