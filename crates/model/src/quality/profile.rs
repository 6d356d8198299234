//! Stretches whose daily course runs early or late against the days around them.
//!
//! Two fortnights before and after each day are cross-correlated at every shift. A change that another shift
//! explains far better than none is a turn of the clock; stretches between turns keep a shift, and the shift most
//! days share is taken as right.

use forewatt_domain::SeriesKind;

use super::frame::Frame;
use super::stats::correlation;
use super::{FindingKind, Findings, Severity};

/// Days in each of the two profiles compared.
const WINDOW: usize = 14;
/// Steps of a day in a profile, at most.
const BINS_MAX: usize = 48;
/// More days than these are needed to tell.
const LEAST_DAYS: usize = 2 * WINDOW + 7;

/// Finds and masks stretches with a shifted clock.
pub(super) fn shifted_clock(frame: &mut Frame, findings: &mut Findings) {
    let bins = frame.per_day.min(BINS_MAX);
    if !frame.per_day.is_multiple_of(bins)
        || bins < 12
        || frame.days < LEAST_DAYS
        || frame.kind == SeriesKind::Wind
    {
        return;
    }
    let sums = Sums::new(frame, bins);
    let turns = turns(&sums, frame.days);
    if turns.is_empty() {
        return;
    }
    // Shift of every stretch against the first, in bins.
    let mut stretches: Vec<(usize, usize, i64)> = Vec::new();
    let (mut from, mut shift) = (0, 0);
    for turn in &turns {
        stretches.push((from, turn.day, shift));
        (from, shift) = (turn.day, shift + turn.shift);
    }
    stretches.push((from, frame.days, shift));
    let wrap = |s: i64| (s + bins as i64 / 2).rem_euclid(bins as i64) - bins as i64 / 2;
    stretches.iter_mut().for_each(|s| s.2 = wrap(s.2));
    let days_with = |shift: i64| stretches.iter().filter(|s| s.2 == shift).map(|s| s.1 - s.0).sum::<usize>();
    let right = stretches.iter().map(|s| s.2).max_by_key(|s| (days_with(*s), -s.abs())).unwrap_or(0);
    for (from, to, shift) in stretches.iter().filter(|s| s.2 != right) {
        let hours = wrap(shift - right) as f64 * 24.0 / bins as f64;
        let turn = turns.iter().find(|t| t.day == *from || t.day == *to);
        let (plain, best) = turn.map_or((0.0, 0.0), |t| (t.plain, t.best));
        let slots = frame.slots_of_days(*from, *to);
        let word = if hours > 0.0 { "late" } else { "early" };
        let evidence = format!(
            "the daily course runs {:.1} hours {word} against the days around it (correlation {plain:.2}, shifted {best:.2}): a wrong time zone or a shifted clock; masked: it teaches wrong hours",
            hours.abs()
        );
        findings.add(FindingKind::ShiftedClock, Severity::Error, frame, slots.clone(), evidence);
        findings.mask(frame, slots);
    }
}

/// Running sums of daily profiles, so that the profile of any stretch costs one subtraction a bin.
struct Sums {
    bins: usize,
    /// `days + 1` rows of sums and of counts.
    sums: Vec<f64>,
    counts: Vec<f64>,
}

impl Sums {
    fn new(frame: &Frame, bins: usize) -> Self {
        let per_bin = frame.per_day / bins;
        let mut sums = vec![0.0; (frame.days + 1) * bins];
        let mut counts = sums.clone();
        for (i, value) in frame.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            let bin = (frame.tod[i] as usize / per_bin).min(bins - 1);
            let at = (frame.day[i] as usize + 1) * bins + bin;
            sums[at] += value;
            counts[at] += 1.0;
        }
        for at in bins..sums.len() {
            sums[at] += sums[at - bins];
            counts[at] += counts[at - bins];
        }
        Self { bins, sums, counts }
    }

    /// The mean course of days `from..to`; `None` when a time of day has too few values.
    fn profile(&self, from: usize, to: usize) -> Option<Vec<f64>> {
        let mean = |bin: usize| {
            let (a, b) = (from * self.bins + bin, to * self.bins + bin);
            let count = self.counts[b] - self.counts[a];
            (count * 3.0 >= (to - from) as f64).then(|| (self.sums[b] - self.sums[a]) / count)
        };
        (0..self.bins).map(mean).collect()
    }
}

/// A day on which the clock turns.
struct Turn {
    day: usize,
    /// How much later the course runs from here on, in bins.
    shift: i64,
    plain: f64,
    best: f64,
}

impl Turn {
    /// How much of what is unexplained the shift explains.
    fn gain(&self) -> f64 {
        self.best - self.plain
    }
}

fn turns(sums: &Sums, days: usize) -> Vec<Turn> {
    let candidates: Vec<Turn> = (WINDOW..=days - WINDOW).filter_map(|day| turn_at(sums, day)).collect();
    let mut kept: Vec<Turn> = Vec::new();
    let mut by_gain = candidates;
    by_gain.sort_by(|a, b| b.gain().total_cmp(&a.gain()));
    for turn in by_gain {
        if kept.iter().all(|k| k.day.abs_diff(turn.day) >= WINDOW) {
            kept.push(turn);
        }
    }
    kept.sort_by_key(|t| t.day);
    kept
}

/// Compares the fortnights before and after the start of a day.
fn turn_at(sums: &Sums, day: usize) -> Option<Turn> {
    let before = sums.profile(day - WINDOW, day)?;
    let after = sums.profile(day, day + WINDOW)?;
    let bins = sums.bins;
    let at = |shift: usize| {
        let moved = (0..bins).map(|i| after[(i + shift) % bins]);
        correlation(before.iter().copied(), moved)
    };
    let plain = at(0);
    if plain > 0.985 {
        return None; // spares the other shifts
    }
    // Of shifts that explain alike, the smallest: courses with two humps look alike half a day apart.
    let all: Vec<f64> = (0..bins).map(at).collect();
    let best = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let signed = |s: usize| if s > bins / 2 { s as i64 - bins as i64 } else { s as i64 };
    let near = (1..bins).filter(|s| all[*s] >= best - 0.01);
    let shift = near.map(signed).min_by_key(|s| s.abs())?;
    // The shift must explain nearly everything, and most of what no shift leaves open. An hour changes little, so
    // only there little is asked for.
    let short = shift.unsigned_abs() as usize * 24 <= bins + bins / 2;
    let explains =
        best > 0.965 && 1.0 - best < 0.3 * (1.0 - plain) && plain < if short { 0.985 } else { 0.9 };
    explains.then_some(Turn { day, shift, plain, best })
}
