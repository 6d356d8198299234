//! Single values and short bursts far from what is usual at their time of day, and wrong signs.

use forewatt_domain::SeriesKind;

use super::frame::{Frame, runs};
use super::stats::{figure, median, quantile, scale_around_zero};
use super::{FindingKind, Findings, LISTED_MAX, Severity};

/// Days on each side whose value at the same time of day makes the usual value.
const SIDE_DAYS: usize = 7;
/// Fewer neighbours than this tell nothing.
const LEAST_NEIGHBOURS: usize = 5;

/// Finds negative values of kinds that have none.
pub(super) fn signs(frame: &mut Frame, findings: &mut Findings) {
    if !matches!(frame.kind, SeriesKind::Load | SeriesKind::Solar | SeriesKind::Wind) {
        return;
    }
    let mut sizes: Vec<f64> = frame.values.iter().map(|v| v.abs()).collect();
    let Some(large) = quantile(&mut sizes, 0.99).filter(|l| *l > 0.0) else { return };
    let present = frame.present().max(1) as f64;
    // Plants draw a little at night; meters wobble around zero.
    let tolerance = if frame.kind == SeriesKind::Load { 0.0 } else { 0.03 * large };
    let negative = |v: f64| v < -tolerance;
    let share = frame.values.iter().filter(|v| negative(**v)).count() as f64 / present;
    let found = runs(frame.len(), |i| negative(frame.values[i]));
    let (Some(first), Some(last)) = (found.first(), found.last()) else { return };
    let count: usize = found.iter().map(std::ops::Range::len).sum();
    if share > 0.02 && frame.kind == SeriesKind::Load && share < 0.9 && found.len() as f64 > 10.0 * share {
        let scattered = count < 3 * frame.per_day * found.len();
        if scattered {
            let evidence = format!(
                "{:.1} % of the values are negative: a net load, or a sign error; not masked",
                100.0 * share
            );
            findings.add_count(
                FindingKind::Sign,
                Severity::Info,
                frame,
                first.start..last.end,
                (count as u64, evidence),
            );
            return;
        }
    }
    if share > 0.3 {
        let evidence = format!(
            "{:.0} % of the values are negative: the sign may be reversed; not masked, for little would be left",
            100.0 * share
        );
        findings.add_count(
            FindingKind::Sign,
            Severity::Error,
            frame,
            first.start..last.end,
            (count as u64, evidence),
        );
        return;
    }
    let total = found.len();
    for (i, run) in found.into_iter().enumerate() {
        if i < LISTED_MAX {
            let lowest = frame.values[run.clone()].iter().copied().fold(f64::INFINITY, f64::min);
            let more = if i + 1 == LISTED_MAX && total > LISTED_MAX {
                format!("; {} more runs like it", total - LISTED_MAX)
            } else {
                String::new()
            };
            let evidence = format!(
                "{} of kind {} cannot be negative; masked: the sign or the value is wrong{more}",
                figure(lowest) + &frame.unit_text(),
                frame.kind
            );
            findings.add(FindingKind::Sign, Severity::Error, frame, run.clone(), evidence);
        }
        findings.mask(frame, run);
    }
}

/// Finds jumps away from the usual course that end within three hours.
pub(super) fn spikes(frame: &mut Frame, findings: &mut Findings) {
    let residuals = residuals(frame);
    let Some(scales) = Scales::of(frame, &residuals) else { return };
    let longest = frame.steps(3).max(2);
    let mut found: Vec<(f64, std::ops::Range<usize>)> = Vec::new();
    let mut i = 1;
    while i < residuals.len() {
        match scales.burst(frame, &residuals, i, longest) {
            Some((size, run)) => {
                i = run.end;
                found.push((size, run));
            }
            None => i += 1,
        }
    }
    // A price spike is news and a gust is weather, not an error.
    let real = matches!(frame.kind, SeriesKind::Price | SeriesKind::Weather);
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total = found.len();
    for (n, (size, run)) in found.into_iter().enumerate() {
        let worst = run
            .clone()
            .max_by(|a, b| residuals[*a].abs().total_cmp(&residuals[*b].abs()))
            .unwrap_or(run.start);
        let (value, usual) = (frame.values[worst], frame.values[worst] - residuals[worst]);
        if n < LISTED_MAX {
            let more = if n + 1 == LISTED_MAX && total > LISTED_MAX {
                format!("; {} smaller spikes like it", total - LISTED_MAX)
            } else {
                String::new()
            };
            let why = if real {
                "not masked: prices and weather do this"
            } else {
                "masked: such a jump and return is a fault of the meter"
            };
            let evidence = format!(
                "{}{} where {} is usual at this time of day, {size:.0} times the usual deviation; {why}{more}",
                figure(value),
                frame.unit_text(),
                figure(usual)
            );
            let severity = if real { Severity::Info } else { Severity::Warning };
            findings.add(FindingKind::Spike, severity, frame, run.clone(), evidence);
        }
        if !real {
            findings.mask(frame, run);
        }
    }
}

/// Each value minus the median of the same time of day in the fortnight around it; NaN where that is unknown.
fn residuals(frame: &Frame) -> Vec<f64> {
    let mut neighbours: Vec<f64> = Vec::with_capacity(2 * SIDE_DAYS);
    let mut out = Vec::with_capacity(frame.len());
    for (i, value) in frame.values.iter().enumerate() {
        neighbours.clear();
        let (day, tod) = (frame.day[i] as usize, frame.tod[i] as usize);
        if !value.is_nan() {
            let days = day.saturating_sub(SIDE_DAYS)..(day + SIDE_DAYS + 1).min(frame.days);
            neighbours.extend(days.filter(|d| *d != day).map(|d| frame.at(d, tod)).filter(|v| !v.is_nan()));
        }
        let known = neighbours.len() >= LEAST_NEIGHBOURS;
        out.push(if known { value - median(&mut neighbours).unwrap_or(f64::NAN) } else { f64::NAN });
    }
    out
}

/// What deviations and changes of deviations are usual.
struct Scales {
    /// By time of day.
    deviation: Vec<f64>,
    /// From one step to the next.
    change: f64,
    /// How many of them make a spike.
    factor: f64,
    /// Below this a value is usual for its kind even when unusual for its hour: clouds and calms are no faults.
    usual_up_to: f64,
    range: f64,
}

impl Scales {
    fn of(frame: &Frame, residuals: &[f64]) -> Option<Self> {
        let all = scale_around_zero(residuals.iter().copied());
        let mut values = frame.values.clone();
        let range = quantile(&mut values, 0.99)? - quantile(&mut values, 0.01)?;
        let floor = (0.5 * all).max(0.02 * range);
        let mut by_tod: Vec<Vec<f64>> = vec![Vec::new(); frame.per_day];
        for (r, tod) in residuals.iter().zip(&frame.tod) {
            if let Some(list) = by_tod.get_mut(*tod as usize).filter(|_| r.is_finite()) {
                list.push(*r);
            }
        }
        let deviation: Vec<f64> =
            by_tod.into_iter().map(|list| scale_around_zero(list.into_iter()).max(floor)).collect();
        let changes = residuals.windows(2).map(|w| w[1] - w[0]);
        let mut sizes: Vec<f64> = changes.map(f64::abs).collect();
        // The 90th percentile rather than the median: clouds and market hours change in fits and starts.
        let change = quantile(&mut sizes, 0.9)? / 1.645;
        let factor: f64 = match frame.kind {
            SeriesKind::Load | SeriesKind::Temperature => 6.0,
            SeriesKind::Price => 10.0,
            SeriesKind::Solar | SeriesKind::Wind | SeriesKind::Weather | SeriesKind::Other => 9.0,
        };
        // Single homes leap where cities do not: what one value in two hundred does is no fault.
        let sizes = residuals
            .iter()
            .zip(&frame.tod)
            .map(|(r, tod)| r.abs() / deviation.get(*tod as usize).copied().unwrap_or(f64::NAN));
        let leap = quantile(&mut sizes.collect(), 0.995)?;
        let usual_up_to = match frame.kind {
            SeriesKind::Solar | SeriesKind::Wind => 1.15 * quantile(&mut values, 0.995)?,
            _ => f64::NEG_INFINITY,
        };
        let change = change.max(0.01 * range);
        (range > 0.0).then_some(Self {
            deviation,
            change,
            factor: factor.max(1.6 * leap),
            usual_up_to,
            range,
        })
    }

    /// A burst that starts at `i`: a jump, at most `longest` values far out, and a return. Its size in deviations.
    fn burst(
        &self,
        frame: &Frame,
        residuals: &[f64],
        i: usize,
        longest: usize,
    ) -> Option<(f64, std::ops::Range<usize>)> {
        let (before, first) = (residuals[i - 1], residuals[i]);
        if !before.is_finite() || !first.is_finite() {
            return None;
        }
        let scale = self.deviation.get(frame.tod[i] as usize).copied()?;
        let jump = (8.0 * self.change).max(0.6 * self.factor * scale);
        let size = first.abs() / scale;
        let at_night = (frame.values[i] - first).abs() < 0.01 * self.range && first > 0.2 * self.range;
        if frame.values[i] < self.usual_up_to && !at_night {
            return None;
        }
        if size < self.factor || (first - before).abs() < jump {
            return None;
        }
        let far = |r: f64| (r - before) * (first - before).signum() > 0.5 * jump;
        let back =
            (i + 1..=i + longest).find(|j| residuals.get(*j).is_none_or(|r| r.is_finite() && !far(*r)))?;
        (back < residuals.len()).then_some((size, i..back))
    }
}
