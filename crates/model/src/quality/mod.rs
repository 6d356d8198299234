//! What is wrong with a series' data: findings with evidence, a score, and the stretches training must not learn from.
//!
//! Every check is robust (medians, median absolute deviations) and kind-aware: zeros at night are right for a solar
//! plant and negative values for a price. Checks run from coarse to fine, each on what the ones before left over.

mod frame;
mod gaps;
mod levels;
mod profile;
mod spikes;
mod stats;
mod weekly;

#[cfg(test)]
mod tests;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Series, Time};
use serde::Serialize;

use frame::Frame;

/// How many findings of one kind are listed; the rest is summed up in one more.
pub const LISTED_MAX: usize = 20;

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Values are missing.
    Gap,
    /// The newest value is old.
    Stale,
    /// One value over and over.
    Flatline,
    /// A value, or a few, far from what is usual at their time.
    Spike,
    /// Negative where the kind cannot be.
    Sign,
    /// The level changes from one day to the next and stays.
    LevelShift,
    /// Values a thousand or a million times too large or too small.
    Unit,
    /// The daily course runs early or late: a wrong time zone or a shifted clock.
    ShiftedClock,
    /// The week runs on other days: wrong dates.
    ShiftedWeek,
    /// Day and month look swapped.
    DateOrder,
    /// Too little data, or too scattered, for the other checks.
    Unchecked,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it.
    Warning,
    /// Wrong, as far as figures can tell.
    Error,
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// How much it matters.
    pub severity: Severity,
    /// The first valid time concerned.
    pub from: Time,
    /// The first valid time not concerned any more.
    pub to: Time,
    /// How many values (or missing steps) it is about.
    pub count: u64,
    /// The figures that show it, and why it is masked if it is.
    pub evidence: String,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// 0 (useless) to 1 (complete and plausible).
    pub score: f64,
    /// The share of steps that have a value, 0 to 1.
    pub completeness: f64,
    /// By kind, the weightiest first within a kind.
    pub findings: Vec<Finding>,
    /// Stretches training leaves out, by time, not overlapping; end excluded.
    pub masked: Vec<(Time, Time)>,
}

/// Checks the values of a series, by rising time, as known at one instant.
///
/// `upto` is the end of the time values are expected for; the last value's period ends it when `None`. Linear in
/// the number of steps but for short sorts; values off the grid of the first one are ignored.
#[must_use]
pub fn check(series: &Series, observations: &[(Time, f64)], upto: Option<Time>) -> Report {
    let mut findings = Findings::default();
    let Some(mut frame) = Frame::new(series, observations, upto) else {
        return unchecked(series, observations);
    };
    let completeness = gaps::gaps(&frame, upto, &mut findings);
    if frame.present() >= 4 * frame.per_day && frame.present() >= 8 {
        levels::units(&mut frame, &mut findings);
        spikes::signs(&mut frame, &mut findings);
        gaps::flatlines(&mut frame, &mut findings);
        spikes::spikes(&mut frame, &mut findings);
        profile::shifted_clock(&mut frame, &mut findings);
        weekly::week(&mut frame, &mut findings);
        levels::shifts(&frame, &mut findings);
    } else if frame.present() > 0 {
        let evidence = format!("{} values are too few for the other checks", frame.present());
        findings.add(FindingKind::Unchecked, Severity::Info, &frame, 0..frame.len(), evidence);
    }
    findings.report(&frame, completeness)
}

/// The quality of the last `days` days before `start`, 0 to 1: what a forecast made at `start` stands on.
///
/// Half of the weight lies on the last day. Masked values count as missing.
#[must_use]
pub fn recent_score(series: &Series, observations: &[(Time, f64)], start: Time, days: u32) -> f64 {
    let step = series.resolution.micros();
    let window = i64::from(days.clamp(1, 400)) * MICROS_PER_DAY;
    let (from, last_day) = (start.plus_micros(-window), start.plus_micros(-MICROS_PER_DAY.min(window)));
    // Three weeks more than asked for, so that the checks have something to compare with.
    let read_from = from.plus_micros(-21 * MICROS_PER_DAY);
    let at = |time: Time| observations.partition_point(|(t, _)| *t < time);
    let seen = &observations[at(read_from)..at(start).max(at(read_from))];
    let report = check(series, seen, Some(start));
    let share = |from: Time| {
        let expected = (start.micros_since(from) / step).max(1) as f64;
        let masked = |t: Time| {
            let after = report.masked.partition_point(|(a, _)| *a <= t);
            after > 0 && t < report.masked[after - 1].1
        };
        let good = seen.iter().filter(|(t, v)| *t >= from && v.is_finite() && !masked(*t)).count();
        (good as f64 / expected).min(1.0)
    };
    0.5 * share(last_day) + 0.5 * share(from)
}

fn unchecked(series: &Series, observations: &[(Time, f64)]) -> Report {
    let (Some(first), Some(last)) = (observations.first(), observations.last()) else {
        return Report { score: 0.0, completeness: 0.0, findings: Vec::new(), masked: Vec::new() };
    };
    let step = series.resolution.micros();
    let steps = (last.0.micros_since(first.0) / step + 1).max(1) as f64;
    let completeness = (observations.len() as f64 / steps).min(1.0);
    let finding = Finding {
        kind: FindingKind::Unchecked,
        severity: Severity::Warning,
        from: first.0,
        to: last.0.plus_micros(step),
        count: observations.len() as u64,
        evidence: format!("{} values in {steps:.0} steps are too scattered to check", observations.len()),
    };
    Report { score: completeness, completeness, findings: vec![finding], masked: Vec::new() }
}

/// Findings and masks as they come.
#[derive(Default)]
struct Findings {
    all: Vec<Finding>,
    masked: Vec<(usize, usize)>,
}

impl Findings {
    fn add(
        &mut self,
        kind: FindingKind,
        severity: Severity,
        frame: &Frame,
        slots: std::ops::Range<usize>,
        evidence: String,
    ) {
        let count = slots.len() as u64;
        self.add_count(kind, severity, frame, slots, (count, evidence));
    }

    fn add_count(
        &mut self,
        kind: FindingKind,
        severity: Severity,
        frame: &Frame,
        slots: std::ops::Range<usize>,
        (count, evidence): (u64, String),
    ) {
        let (from, to) = (frame.time(slots.start), frame.time(slots.end));
        self.all.push(Finding { kind, severity, from, to, count, evidence });
    }

    /// Takes slots out of training and out of the checks that follow.
    fn mask(&mut self, frame: &mut Frame, slots: std::ops::Range<usize>) {
        let end = slots.end.min(frame.len());
        let start = slots.start.min(end);
        frame.values[start..end].fill(f64::NAN);
        self.masked.push((start, end));
    }

    fn report(mut self, frame: &Frame, completeness: f64) -> Report {
        self.masked.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::new();
        for (start, end) in self.masked.into_iter().filter(|(a, b)| a < b) {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        let masked: usize = merged.iter().map(|(a, b)| b - a).sum();
        let count = |severity| self.all.iter().filter(|f| f.severity == severity).count() as f64;
        let blame = (0.02 * count(Severity::Error) + 0.005 * count(Severity::Warning)).min(0.25);
        let masked_share = masked as f64 / frame.len().max(1) as f64;
        // What is masked was present as a rule, so it counts like what is missing.
        let score = (completeness - masked_share - blame).clamp(0.0, 1.0);
        self.all.sort_by_key(|f| (f.kind, std::cmp::Reverse((f.severity, f.count))));
        let masked = merged.iter().map(|(a, b)| (frame.time(*a), frame.time(*b))).collect();
        Report { score, completeness, findings: self.all, masked }
    }
}
