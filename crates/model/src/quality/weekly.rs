//! Weeks that run on other days than the rest, and dates whose day and month look swapped.

use jiff::civil::Date;

use super::frame::{Frame, runs};
use super::stats::{correlation, median};
use super::{FindingKind, Findings, Severity};

/// Days in a window whose week is compared with the rest.
const WINDOW: usize = 28;
/// Weeks are compared only where the typical window agrees with the rest at least this well.
const LEAST_AGREEMENT: f64 = 0.75;
/// A year with fewer days known is not judged for swapped dates.
const LEAST_DAYS_OF_YEAR: usize = 150;

/// Finds windows whose week is shifted, and years in which days up to the twelfth contradict the others.
pub(super) fn week(frame: &mut Frame, findings: &mut Findings) {
    let deviations = deviations(frame);
    let first_day = frame.first_day;
    let weekday = |day: usize| (first_day + day as i64 + 3).rem_euclid(7) as usize; // 1970-01-01 was a Thursday
    let Some(usual) = usual_week(&deviations, weekday) else { return };
    let agreement = |days: &[usize], shift: usize| {
        let expected = days.iter().map(|d| usual[(weekday(*d) + shift) % 7]);
        correlation(days.iter().map(|d| deviations[*d]), expected)
    };
    swapped_dates(frame, findings, &deviations, |days| agreement(days, 0));
    let windows: Vec<Vec<usize>> = (0..frame.days.saturating_sub(WINDOW - 1))
        .step_by(7)
        .map(|from| (from..from + WINDOW).filter(|d| deviations[*d].is_finite()).collect())
        .collect();
    let usable = |days: &Vec<usize>| days.len() >= WINDOW / 2;
    let mut levels: Vec<f64> = windows.iter().filter(|w| usable(w)).map(|w| agreement(w, 0)).collect();
    if levels.len() < 6 || median(&mut levels).is_none_or(|m| m < LEAST_AGREEMENT) {
        return; // no week worth speaking of
    }
    let shifted = |window: &Vec<usize>| -> Option<usize> {
        let plain = agreement(window, 0);
        let best = (1..7).map(|s| (s, agreement(window, s))).max_by(|a, b| a.1.total_cmp(&b.1))?;
        (usable(window) && plain < 0.2 && best.1 > 0.8).then_some(best.0)
    };
    for run in runs(windows.len(), |w| shifted(&windows[w]).is_some()) {
        let shift = shifted(&windows[run.start]).unwrap_or(0);
        let slots = frame.slots_of_days(run.start * 7, (run.end - 1) * 7 + WINDOW);
        let days = if shift > 3 { shift as i64 - 7 } else { shift as i64 };
        let evidence = format!(
            "working days and weekends fall {} day(s) {} than in the rest of the series: the dates are wrong; masked: they teach wrong weekdays",
            days.abs(),
            if days < 0 { "later" } else { "earlier" }
        );
        findings.add(FindingKind::ShiftedWeek, Severity::Error, frame, slots.clone(), evidence);
        findings.mask(frame, slots);
    }
}

/// Each day's mean over the mean of the week around it, minus one; NaN where unknown.
fn deviations(frame: &Frame) -> Vec<f64> {
    let daily = frame.daily(|values| Some(values.iter().sum::<f64>() / values.len().max(1) as f64));
    let spread = {
        let mut sizes: Vec<f64> = daily.iter().map(|d| d.abs()).collect();
        median(&mut sizes).unwrap_or(0.0).max(f64::MIN_POSITIVE)
    };
    (0..daily.len())
        .map(|day| {
            let week = daily.get(day.wrapping_sub(3)..day + 4).unwrap_or_default();
            let known: Vec<f64> = week.iter().copied().filter(|v| v.is_finite()).collect();
            let enough = known.len() >= 6;
            let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
            if enough { (daily[day] - mean) / spread } else { f64::NAN }
        })
        .collect()
}

/// The median deviation of each weekday; `None` when one is unknown.
fn usual_week(deviations: &[f64], weekday: impl Fn(usize) -> usize) -> Option<[f64; 7]> {
    let mut lists: [Vec<f64>; 7] = Default::default();
    for (day, deviation) in deviations.iter().enumerate().filter(|(_, d)| d.is_finite()) {
        lists[weekday(day)].push(*deviation);
    }
    let mut usual = [0.0; 7];
    for (slot, list) in usual.iter_mut().zip(&mut lists) {
        *slot = median(list)?;
    }
    Some(usual)
}

/// Judges each calendar year: with swapped dates, the days 1 to 12 of its months come from all over the year and
/// show no week, while the days from the 15th on do.
fn swapped_dates(
    frame: &mut Frame,
    findings: &mut Findings,
    deviations: &[f64],
    agreement: impl Fn(&[usize]) -> f64,
) {
    let date = |day: usize| {
        Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(frame.first_day + day as i64))
    };
    let dates: Vec<Date> = (0..frame.days).map(date).collect();
    let known = |day: &usize| deviations[*day].is_finite();
    let mut swapped: Vec<(usize, usize, f64, f64)> = Vec::new();
    let mut from = 0;
    while from < dates.len() {
        let year = dates[from].year();
        let to = dates.partition_point(|d| d.year() <= year);
        // Days next to the twelfth are left out: their week holds days of both sorts.
        let early: Vec<usize> =
            (from..to).filter(|d| (2..=11).contains(&dates[*d].day())).filter(known).collect();
        let late: Vec<usize> =
            (from..to).filter(|d| (16..=28).contains(&dates[*d].day())).filter(known).collect();
        let (e, l) = (agreement(&early), agreement(&late));
        if early.len() + late.len() >= LEAST_DAYS_OF_YEAR && e < 0.35 && l > 0.7 {
            swapped.push((from, to, e, l));
        }
        from = to;
    }
    for (from, to, e, l) in swapped {
        let wrong: Vec<usize> =
            (from..to).filter(|d| dates[*d].day() <= 12 && dates[*d].day() != dates[*d].month()).collect();
        let evidence = format!(
            "the days 1 to 12 of each month show no week (correlation {e:.2}), the later ones do ({l:.2}): day and month are swapped; those days are masked, import the file again with --time-format"
        );
        let slots = frame.slots_of_days(from, to);
        let count = (wrong.len() * frame.per_day) as u64;
        findings.add_count(FindingKind::DateOrder, Severity::Error, frame, slots, (count, evidence));
        for day in wrong {
            let slots = frame.slots_of_days(day, day + 1);
            findings.mask(frame, slots);
        }
    }
}
