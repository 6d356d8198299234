//! Levels: values in another unit, and changes that come overnight and stay.

use forewatt_domain::SeriesKind;

use super::frame::{Frame, runs};
use super::stats::{MAD_TO_SIGMA, figure, median, quantile};
use super::{FindingKind, Findings, LISTED_MAX, Severity};

/// Days on each side that a shift of the level must last.
const WINDOW: usize = 14;

/// Finds days a power of a thousand off the rest, and Kelvin among Celsius or Fahrenheit.
pub(super) fn units(frame: &mut Frame, findings: &mut Findings) {
    let sizes = frame.daily(|values| {
        values.iter_mut().for_each(|v| *v = v.abs());
        quantile(values, 0.9)
    });
    let mut sorted = sizes.clone();
    let Some(usual) = median(&mut sorted).filter(|m| *m > 0.0) else { return };
    let kelvin = frame.kind == SeriesKind::Temperature;
    // Still air, clouds and the price of surplus come near zero by themselves; only large values betray a unit there.
    let small_counts = matches!(frame.kind, SeriesKind::Load);
    let factor = |day: usize| -> Option<i32> {
        let ratio = sizes[day] / usual;
        if kelvin {
            let mixed = (sizes[day] > 200.0 && usual < 130.0) || (sizes[day] < 130.0 && usual > 200.0);
            return mixed.then_some(0);
        }
        let decades = ratio.log10();
        let thousands = (decades / 3.0).round();
        let near = thousands != 0.0 && thousands.abs() <= 3.0 && (decades - 3.0 * thousands).abs() < 0.45;
        (near && (thousands > 0.0 || small_counts)).then_some(thousands as i32)
    };
    let found = runs(frame.days, |day| factor(day).is_some());
    for (i, days) in found.into_iter().enumerate() {
        let thousands = factor(days.start).unwrap_or(0);
        let slots = frame.slots_of_days(days.start, days.end);
        if i < LISTED_MAX {
            let what = if kelvin {
                "as of another scale".to_owned()
            } else {
                format!("about 1e{} times the usual", 3 * thousands)
            };
            let evidence = format!(
                "values around {}{} where {} is usual, {what}: another unit; masked: one such value outweighs a thousand right ones",
                figure(sizes[days.start]),
                frame.unit_text(),
                figure(usual)
            );
            findings.add(FindingKind::Unit, Severity::Error, frame, slots.clone(), evidence);
        }
        findings.mask(frame, slots);
    }
}

/// Finds days on which the level changes at once and stays changed for two weeks, beyond what seasons explain.
pub(super) fn shifts(frame: &Frame, findings: &mut Findings) {
    if !matches!(
        frame.kind,
        SeriesKind::Load | SeriesKind::Other | SeriesKind::Price | SeriesKind::Temperature
    ) {
        return;
    }
    let daily = frame.daily(median);
    if daily.len() < 2 * WINDOW {
        return;
    }
    let middle = |from: usize, to: usize| {
        let mut values = daily[from..to.min(daily.len())].to_vec();
        let days = values.len();
        values.retain(|v| v.is_finite());
        (values.len() * 2 > days).then(|| median(&mut values)).flatten()
    };
    let changes: Vec<f64> = (0..daily.len())
        .map(|day| {
            if day < WINDOW || day + WINDOW > daily.len() {
                return f64::NAN;
            }
            middle(day, day + WINDOW).zip(middle(day - WINDOW, day)).map_or(f64::NAN, |(b, a)| b - a)
        })
        .collect();
    let mut sizes: Vec<f64> = changes.iter().map(|c| c.abs()).collect();
    let Some(usual) = median(&mut sizes) else { return };
    let least = least_shift(frame, &daily);
    let mut found: Vec<usize> = (0..daily.len())
        .filter(|&day| {
            let size = changes[day].abs();
            // Against the usual change of a fortnight, and against the spread within one.
            size > least && size > 7.0 * MAD_TO_SIGMA * usual && is_sharp(&daily, day, changes[day])
        })
        .collect();
    found.sort_by(|a, b| changes[*b].abs().total_cmp(&changes[*a].abs()));
    let mut kept: Vec<usize> = Vec::new();
    for day in found {
        if kept.len() < LISTED_MAX && kept.iter().all(|k| k.abs_diff(day) >= WINDOW) {
            kept.push(day);
        }
    }
    let severity = if frame.kind == SeriesKind::Price { Severity::Info } else { Severity::Warning };
    for day in kept {
        let (before, after) = (middle(day - WINDOW, day), middle(day, day + WINDOW));
        let evidence = format!(
            "daily medians go from {} to {}{} within a day and stay for two weeks; not masked: it may be real",
            figure(before.unwrap_or(f64::NAN)),
            figure(after.unwrap_or(f64::NAN)),
            frame.unit_text()
        );
        findings.add(
            FindingKind::LevelShift,
            severity,
            frame,
            frame.slots_of_days(day, day + WINDOW),
            evidence,
        );
    }
}

/// The least change worth reporting: a quarter of the level, or the whole of the yearly range for temperatures.
fn least_shift(frame: &Frame, daily: &[f64]) -> f64 {
    let mut values = daily.to_vec();
    let range = quantile(&mut values, 0.95).unwrap_or(0.0) - quantile(&mut values, 0.05).unwrap_or(0.0);
    let level = median(&mut values).unwrap_or(0.0).abs();
    match frame.kind {
        SeriesKind::Temperature => 0.6 * range,
        SeriesKind::Price => level.max(0.5 * range),
        _ => (0.25 * level).max(0.3 * range),
    }
}

/// Most of the change happens between one day and the next: compared over weeks on either side, the days next to
/// the change already have their side's level.
fn is_sharp(daily: &[f64], day: usize, change: f64) -> bool {
    let (Some(before), Some(after)) = (daily.get(day - WINDOW..day), daily.get(day..day + WINDOW)) else {
        return false;
    };
    let spread = |side: &[f64]| {
        let mut values = side.to_vec();
        let center = median(&mut values)?;
        let mut deviations: Vec<f64> = side.iter().map(|v| (v - center).abs()).collect();
        quantile(&mut deviations, 0.75)
    };
    // Half of each side's days stay within a third of the change: neither a trend nor a season does that.
    let steady = |side| spread(side).is_some_and(|s| s < change.abs() / 3.0);
    let near = |side: &[f64], last: bool| {
        let mut week = if last { side[WINDOW - 3..].to_vec() } else { side[..3].to_vec() };
        median(&mut week)
    };
    let local = near(after, false).zip(near(before, true)).map_or(0.0, |(b, a)| b - a);
    steady(before) && steady(after) && local / change > 0.6
}
