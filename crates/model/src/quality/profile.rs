//! Stretches whose daily course runs early or late against the days around them.
//!
//! Two fortnights before and after each day are cross-correlated at every shift. A change that another shift
//! explains far better than none, between weeks that are steady in themselves (seasons are not), is a turn of the
//! clock. Stretches between turns keep a shift, and the shift most days share is taken as right.

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
/// Shifts below this many hours are told but never masked: seasons and clock changes move loads as much.
const MASKED_HOURS: f64 = 1.5;
/// When more than this share of the days would be masked, nobody can say which part is right.
const MASKED_SHARE_MAX: f64 = 0.35;

/// Days between turns of an hour that look like summer time: it lasts five to eight months.
const CLOCK_CHANGE_DAYS: std::ops::RangeInclusive<usize> = 120..=250;

/// A stretch between turns: days from and to, and its shift against the first stretch in bins.
type Stretch = (usize, usize, i64);

/// Finds stretches with a shifted clock, and masks those that are beyond doubt.
pub(super) fn shifted_clock(frame: &mut Frame, findings: &mut Findings) {
    // The air knows no clock: the course of weather wanders by hours with winds and seasons.
    let by_clock =
        matches!(frame.kind, SeriesKind::Load | SeriesKind::Solar | SeriesKind::Price | SeriesKind::Other);
    let bins = frame.per_day.min(BINS_MAX);
    if !frame.per_day.is_multiple_of(bins) || bins < 12 || frame.days < LEAST_DAYS || !by_clock {
        return;
    }
    let all = turns(&Sums::new(frame, bins), frame.days);
    let hour = (bins / 24).max(1) as i64;
    let (hourly, mut turns): (Vec<Turn>, Vec<Turn>) = all.into_iter().partition(|t| t.shift.abs() <= hour);
    let pairs = out_and_back(hourly);
    if pairs.iter().any(|(a, b)| CLOCK_CHANGE_DAYS.contains(&(b.day - a.day))) {
        told_clock_changes(frame, findings, &pairs);
    } else {
        turns.extend(pairs.into_iter().flat_map(|(a, b)| [a, b]));
        turns.sort_by_key(|t| t.day);
    }
    let (shifted, right) = stretches(&turns, frame.days, bins);
    let wrap = |s: i64| (s + bins as i64 / 2).rem_euclid(bins as i64) - bins as i64 / 2;
    let hours_of = |shift: i64| wrap(shift - right) as f64 * 24.0 / bins as f64;
    let all_days = frame.days;
    let doubtless = |s: &Stretch| {
        // A stretch at an end of the series has one turn to show; half a day is then too easily a change of season.
        let open = s.0 == 0 || s.1 == all_days;
        let hours = hours_of(s.2).abs();
        s.2 != right && hours >= MASKED_HOURS && (!open || hours <= 10.0)
    };
    let days: usize = shifted.iter().filter(|s| doubtless(s)).map(|s| s.1 - s.0).sum();
    let few = days as f64 <= MASKED_SHARE_MAX * frame.days as f64;
    for stretch in shifted.iter().filter(|s| s.2 != right) {
        let (from, to, shift) = *stretch;
        let turn = turns.iter().find(|t| t.day == from || t.day == to);
        let (plain, best) = turn.map_or((0.0, 0.0), |t| (t.plain, t.best));
        let masked = few && doubtless(stretch);
        let word = if hours_of(shift) > 0.0 { "late" } else { "early" };
        let evidence = format!(
            "the daily course runs {:.1} hours {word} against the days around it (correlation {plain:.2}, shifted {best:.2}): a wrong time zone or a shifted clock; {}",
            hours_of(shift).abs(),
            if masked { "masked: it teaches wrong hours" } else { "not masked: it may be real" }
        );
        let severity = if masked { Severity::Error } else { Severity::Warning };
        let slots = frame.slots_of_days(from, to);
        findings.add(FindingKind::ShiftedClock, severity, frame, slots.clone(), evidence);
        if masked {
            findings.mask(frame, slots);
        }
    }
}

/// Turns of an hour that a turn back follows; others are seasons.
fn out_and_back(turns: Vec<Turn>) -> Vec<(Turn, Turn)> {
    let mut pairs = Vec::new();
    let mut open: Option<Turn> = None;
    for turn in turns {
        match open.take() {
            Some(first) if first.shift == -turn.shift => pairs.push((first, turn)),
            _ => open = Some(turn),
        }
    }
    pairs
}

/// One finding for all turns that look like clock changes.
fn told_clock_changes(frame: &Frame, findings: &mut Findings, pairs: &[(Turn, Turn)]) {
    let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else { return };
    let evidence = format!(
        "the daily course moves by an hour and back {} time(s), months apart, as clocks with summer time do: is {} the time zone these people live by? not masked",
        pairs.len(),
        frame.zone
    );
    let slots = frame.slots_of_days(first.0.day, last.1.day);
    findings.add(FindingKind::ShiftedClock, Severity::Warning, frame, slots, evidence);
}

/// The stretches between turns, and the shift most days share.
fn stretches(turns: &[Turn], days: usize, bins: usize) -> (Vec<Stretch>, i64) {
    let wrap = |s: i64| (s + bins as i64 / 2).rem_euclid(bins as i64) - bins as i64 / 2;
    let mut all: Vec<Stretch> = Vec::new();
    let (mut from, mut shift) = (0, 0);
    for turn in turns {
        all.push((from, turn.day, shift));
        (from, shift) = (turn.day, wrap(shift + turn.shift));
    }
    all.push((from, days, shift));
    let days_with = |shift: i64| all.iter().filter(|s| s.2 == shift).map(|s| s.1 - s.0).sum::<usize>();
    let right = all.iter().map(|s| s.2).max_by_key(|s| (days_with(*s), -s.abs())).unwrap_or(0);
    (all, right)
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
    (explains && is_steady(sums, day, shift)).then_some(Turn { day, shift, plain, best })
}

/// The week before and the week after differ by the shift, and each is like the week beyond it. Where seasons move
/// the course, the weeks within a side differ half as much as those across.
fn is_steady(sums: &Sums, day: usize, shift: i64) -> bool {
    let week = WINDOW / 2;
    let profile = |from: usize| sums.profile(from, from + week);
    let weeks = (profile(day - WINDOW), profile(day - week), profile(day), profile(day + week));
    let (Some(before2), Some(before), Some(after), Some(after2)) = weeks else { return false };
    let alike = |a: &[f64], b: &[f64], shift: i64| {
        let moved = |i: usize| b[(i as i64 + shift).rem_euclid(b.len() as i64) as usize];
        1.0 - correlation(a.iter().copied(), (0..b.len()).map(moved))
    };
    let across = alike(&before, &after, 0);
    let explained = alike(&before, &after, shift);
    let within = alike(&before2, &before, 0).max(alike(&after, &after2, 0));
    within < 0.3 * across && explained < 0.35 * across
}
