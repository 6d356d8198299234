//! Completeness, gaps, stale ends and flatlines.

use forewatt_domain::{SeriesKind, Time};

use super::frame::{Frame, runs};
use super::stats::figure;
use super::{FindingKind, Findings, LISTED_MAX, Severity};

/// Counts missing steps, lists the long gaps and sums up the short ones; returns the completeness.
pub(super) fn gaps(frame: &Frame, upto: Option<Time>, findings: &mut Findings) -> f64 {
    let mut all = runs(frame.len(), |i| frame.values[i].is_nan());
    let missing: usize = all.iter().map(std::ops::Range::len).sum();
    let completeness = 1.0 - missing as f64 / frame.len().max(1) as f64;
    let behind = all.last().filter(|g| g.end == frame.len()).cloned();
    if let Some(gap) = behind.filter(|_| upto.is_some()) {
        all.pop();
        let hours = frame.hours(gap.len());
        let severity = if hours > 48.0 { Severity::Warning } else { Severity::Info };
        let evidence = format!("the newest value is {} older than expected", span(hours));
        findings.add(FindingKind::Stale, severity, frame, gap, evidence);
    }
    let (mut long, short): (Vec<_>, Vec<_>) = all.into_iter().partition(|g| g.len() >= frame.per_day.max(2));
    long.sort_by_key(|g| std::cmp::Reverse(g.len()));
    let rest = long.split_off(long.len().min(LISTED_MAX));
    for gap in long {
        let hours = frame.hours(gap.len());
        let severity = if hours > 24.0 * 30.0 { Severity::Error } else { Severity::Warning };
        findings.add(FindingKind::Gap, severity, frame, gap, format!("no value for {}", span(hours)));
    }
    let mut others: Vec<_> = rest.into_iter().chain(short).collect();
    others.sort_by_key(|g| g.start);
    if let (Some(first), Some(last)) = (others.first(), others.last()) {
        let steps: usize = others.iter().map(std::ops::Range::len).sum();
        let longest = others.iter().map(std::ops::Range::len).max().unwrap_or(0);
        let evidence = format!(
            "{} {}gaps with {steps} missing values, the longest of {}",
            others.len(),
            if longest < frame.per_day { "short " } else { "further " },
            span(frame.hours(longest))
        );
        let share = steps as f64 / frame.len().max(1) as f64;
        let severity = if share > 0.02 { Severity::Warning } else { Severity::Info };
        findings.add_count(
            FindingKind::Gap,
            severity,
            frame,
            first.start..last.end,
            (steps as u64, evidence),
        );
    }
    completeness
}

/// A duration for people.
pub(super) fn span(hours: f64) -> String {
    if hours >= 72.0 {
        format!("{:.1} days", hours / 24.0)
    } else if hours >= 2.0 {
        format!("{hours:.1} hours")
    } else {
        format!("{:.0} minutes", hours * 60.0)
    }
}

/// Runs of one value that are longer than the kind and the data's rounding explain.
pub(super) fn flatlines(frame: &mut Frame, findings: &mut Findings) {
    let equal = equal_runs(frame);
    let by_chance = longest_by_chance(frame, &equal);
    let (low, high) =
        frame.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if low >= high {
        let evidence = format!("every value is {}", figure(low));
        findings.add(FindingKind::Flatline, Severity::Error, frame, 0..frame.len(), evidence);
        return;
    }
    let count = |end: f64| frame.values.iter().filter(|v| **v == end).count();
    let (at_low, at_high, present) = (count(low), count(high), frame.present().max(1) as f64);
    let mut found: Vec<_> = equal
        .into_iter()
        .filter(|run| run.len() as f64 > by_chance && run.len() >= 4)
        .filter(|run| {
            let value = frame.values[run.start];
            let at_end = if value == low { Some(at_low) } else { (value == high).then_some(at_high) };
            // How often the series is at its lowest or highest value beside this run.
            let share = at_end.map(|count| count.saturating_sub(run.len()) as f64 / present);
            let needed = hours_needed(frame, value, share);
            needed.is_some_and(|hours| frame.hours(run.len()) >= hours)
        })
        .collect();
    found.sort_by_key(|run| std::cmp::Reverse(run.len()));
    let total = found.len();
    for (i, run) in found.into_iter().enumerate() {
        let (hours, value) = (frame.hours(run.len()), frame.values[run.start]);
        if i < LISTED_MAX {
            let more = if i == LISTED_MAX - 1 && total > LISTED_MAX {
                format!("; {} shorter runs like it are masked too", total - LISTED_MAX)
            } else {
                String::new()
            };
            let evidence = format!(
                "{}{} without a change for {} (by chance at most {by_chance:.0} steps); masked: a stuck meter teaches that nothing happens{more}",
                figure(value),
                frame.unit_text(),
                span(hours)
            );
            let severity = if hours >= 48.0 { Severity::Error } else { Severity::Warning };
            findings.add(FindingKind::Flatline, severity, frame, run.clone(), evidence);
        }
        findings.mask(frame, run);
    }
}

/// Runs of at least two equal values.
fn equal_runs(frame: &Frame) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let mut start = 0;
    for i in 1..=frame.len() {
        if i < frame.len() && frame.values[i] == frame.values[i - 1] {
            continue;
        }
        if i - start >= 2 {
            out.push(start..i);
        }
        start = i;
    }
    out
}

/// Three times the longest run that values rounded like these give by chance: `ln n / ln(1 / p)` for a
/// probability p that neighbours are equal (Erdos and Renyi, 1970).
fn longest_by_chance(frame: &Frame, equal: &[std::ops::Range<usize>]) -> f64 {
    let ordinary = equal.iter().filter(|run| run.len() < frame.per_day.max(4));
    let pairs: usize = ordinary.map(|run| run.len() - 1).sum();
    let n = frame.present().max(2) as f64;
    let p = (pairs as f64 / n).clamp(1e-6, 0.95);
    3.0 * n.ln() / (1.0 / p).ln()
}

/// From how many hours on a run is suspicious; `None` when it never is.
fn hours_needed(frame: &Frame, value: f64, share_at_end: Option<f64>) -> Option<f64> {
    let extreme = share_at_end.is_some();
    let steps = frame.hours(4); // never fewer than four steps
    let hours: f64 = match frame.kind {
        // A home that is often at its floor is asleep or away.
        SeriesKind::Load if share_at_end.is_some_and(|share| share > 0.005) => 48.0,
        SeriesKind::Load => 6.0,
        SeriesKind::Solar if value == 0.0 && frame.polar => return None,
        SeriesKind::Solar if value == 0.0 => 72.0,
        SeriesKind::Solar => 5.0,
        SeriesKind::Wind if extreme || value == 0.0 => 96.0,
        SeriesKind::Wind => 12.0,
        SeriesKind::Price if value == 0.0 || extreme => 240.0,
        SeriesKind::Price => 72.0,
        SeriesKind::Temperature => 24.0,
        SeriesKind::Weather | SeriesKind::Other if value == 0.0 || extreme => return None,
        SeriesKind::Weather | SeriesKind::Other => 48.0,
    };
    Some(hours.max(steps))
}
