//! Which values of two forecasts are about the same thing, and what is left out.

use std::collections::BTreeMap;

use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_HOUR};
use forewatt_domain::{Time, Zone};
use serde::{Deserialize, Serialize};

/// One forecast value.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastRow {
    /// When its forecast began; `None` when that is not known, as for most third parties' files.
    pub forecast_start: Option<Time>,
    /// What it is about.
    pub valid_time: Time,
    /// What came true; NaN when this side does not know.
    pub actual: f64,
    /// The expected value; finite.
    pub mean: f64,
    /// One value per level, not falling; empty without levels.
    pub quantiles: Vec<f64>,
}

/// Everything one side forecast.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecasts {
    /// The levels of every row's quantiles, rising; empty when there are none.
    pub levels: Vec<f64>,
    /// In any order. Of two rows with the same start and valid time the later in the list counts.
    pub rows: Vec<ForecastRow>,
}

/// How values found their counterparts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// By forecast start and valid time: both sides knew equally much.
    StartAndValidTime,
    /// By valid time: the newest forecast of each side that begins early enough.
    ValidTime,
}

/// What became of one side's rows; they add up to `rows`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SideCount {
    /// Rows given.
    pub rows: usize,
    /// Compared.
    pub matched: usize,
    /// Left out: begun too late for the lead asked for.
    pub too_late: usize,
    /// Left out: a newer forecast of this side, or a later row, is about the same.
    pub replaced: usize,
    /// Left out: the other side has nothing about it.
    pub without_counterpart: usize,
    /// Left out: what came true is not known.
    pub without_actual: usize,
    /// Mean lead time of the compared rows in hours; `None` when the forecast starts are not known.
    pub mean_lead_hours: Option<f64>,
}

/// Two values about the same, by their places in the rows of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pair {
    pub a: usize,
    pub b: usize,
    pub actual: f64,
    /// The lead of the first side, else of the second; `None` when neither is known.
    pub lead_hours: Option<f64>,
    /// The longer lead of both, 0 when neither is known.
    pub longest_lead_hours: f64,
    /// The civil day of the forecast start, else of the valid time, in days since 1970.
    pub day: i64,
}

/// The pairs in time order, and what was left out.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matched {
    pub by: MatchedBy,
    pub pairs: Vec<Pair>,
    pub a: SideCount,
    pub b: SideCount,
    /// Pairs for which both sides know what came true and differ by more than a thousandth of its usual size.
    pub actuals_differ: usize,
}

/// A place among forecasts: valid time first, so that pairs come in time order.
type Key = (Time, Option<Time>);

/// Pairs two forecasts up. With `lead_micros`, or when no start is shared, by valid time alone.
pub(super) fn pair_up(a: &Forecasts, b: &Forecasts, lead_micros: Option<i64>, zone: &Zone) -> Matched {
    let (mut by, mut places) = (MatchedBy::StartAndValidTime, [exact(a), exact(b)]);
    let share_a_start = places[0].keys().any(|key| key.1.is_some() && places[1].contains_key(key));
    if lead_micros.is_some() || !share_a_start {
        by = MatchedBy::ValidTime;
        let lead = lead_micros.unwrap_or(0);
        places = [newest(a, lead), newest(b, lead)];
    }
    let too_late = |side: &Forecasts| match (by, lead_micros.unwrap_or(0)) {
        (MatchedBy::StartAndValidTime, _) => 0,
        (MatchedBy::ValidTime, lead) => side.rows.iter().filter(|row| !is_early(row, lead)).count(),
    };
    let mut counts = [(a, &places[0]), (b, &places[1])].map(|(side, places)| {
        let (rows, too_late) = (side.rows.len(), too_late(side));
        SideCount { rows, too_late, replaced: rows - too_late - places.len(), ..SideCount::default() }
    });
    let mut pairs = Vec::new();
    let mut both_known = Vec::new();
    for (key, &i) in &places[0] {
        let Some(&j) = places[1].get(key) else { continue };
        let (row_a, row_b) = (&a.rows[i], &b.rows[j]);
        let actual = if row_a.actual.is_finite() { row_a.actual } else { row_b.actual };
        if !actual.is_finite() {
            counts.iter_mut().for_each(|count| count.without_actual += 1);
            continue;
        }
        if row_b.actual.is_finite() && row_a.actual.is_finite() {
            both_known.push((row_a.actual, row_b.actual));
        }
        pairs.push(pair((i, row_a), (j, row_b), actual, zone));
    }
    for (count, places) in counts.iter_mut().zip(&places) {
        count.matched = pairs.len();
        count.without_counterpart = places.len() - pairs.len() - count.without_actual;
    }
    counts[0].mean_lead_hours = mean_lead(pairs.iter().map(|pair| &a.rows[pair.a]));
    counts[1].mean_lead_hours = mean_lead(pairs.iter().map(|pair| &b.rows[pair.b]));
    Matched { by, pairs, a: counts[0], b: counts[1], actuals_differ: differing(&both_known) }
}

/// Places by start and valid time.
fn exact(side: &Forecasts) -> BTreeMap<Key, usize> {
    side.rows.iter().enumerate().map(|(i, row)| ((row.valid_time, row.forecast_start), i)).collect()
}

/// For every valid time the newest forecast that begins at least so long before it.
fn newest(side: &Forecasts, lead_micros: i64) -> BTreeMap<Key, usize> {
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    for (i, row) in side.rows.iter().enumerate().filter(|(_, row)| is_early(row, lead_micros)) {
        let place = places.entry((row.valid_time, None)).or_insert(i);
        if row.forecast_start >= side.rows[*place].forecast_start {
            *place = i;
        }
    }
    places
}

/// Whether a row's forecast begins long enough before its valid time; an unknown start is believed.
fn is_early(row: &ForecastRow, lead_micros: i64) -> bool {
    row.forecast_start.is_none_or(|start| row.valid_time.micros_since(start) >= lead_micros)
}

fn pair(
    (a, row_a): (usize, &ForecastRow),
    (b, row_b): (usize, &ForecastRow),
    actual: f64,
    zone: &Zone,
) -> Pair {
    let begun = row_a.forecast_start.or(row_b.forecast_start).unwrap_or(row_a.valid_time);
    let local = begun.micros() + zone.offset_micros(begun);
    let leads = [lead_hours(row_a), lead_hours(row_b)];
    Pair {
        a,
        b,
        actual,
        lead_hours: leads[0].or(leads[1]),
        longest_lead_hours: leads.into_iter().flatten().fold(0.0, f64::max),
        day: local.div_euclid(MICROS_PER_DAY),
    }
}

fn lead_hours(row: &ForecastRow) -> Option<f64> {
    Some(row.valid_time.micros_since(row.forecast_start?) as f64 / MICROS_PER_HOUR as f64)
}

fn mean_lead<'a>(rows: impl Iterator<Item = &'a ForecastRow>) -> Option<f64> {
    let (count, sum) = rows.filter_map(lead_hours).fold((0.0, 0.0), |(n, sum), lead| (n + 1.0, sum + lead));
    (count > 0.0).then(|| sum / count)
}

/// How many of the pairs of actuals are not the same value, written with another number of digits.
fn differing(both: &[(f64, f64)]) -> usize {
    let usual = both.iter().map(|(a, _)| a.abs()).sum::<f64>() / both.len().max(1) as f64;
    both.iter().filter(|(a, b)| (a - b).abs() > 1e-3 * usual).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hour: i64) -> Time {
        Time::from_micros(hour * MICROS_PER_HOUR)
    }

    fn row(start: Option<i64>, valid: i64, actual: f64) -> ForecastRow {
        let mean = start.unwrap_or(-1) as f64;
        ForecastRow {
            forecast_start: start.map(hour),
            valid_time: hour(valid),
            actual,
            mean,
            quantiles: vec![],
        }
    }

    fn side(rows: Vec<ForecastRow>) -> Forecasts {
        Forecasts { levels: vec![], rows }
    }

    /// Every row is somewhere.
    fn adds_up(count: &SideCount) {
        let parts = count.matched
            + count.too_late
            + count.replaced
            + count.without_counterpart
            + count.without_actual;
        assert_eq!(parts, count.rows, "{count:?}");
    }

    #[test]
    fn shared_starts_match_exactly() {
        let a = side(vec![
            row(Some(0), 1, 5.0),
            row(Some(0), 2, 5.0),
            row(Some(1), 2, 6.0),
            row(Some(0), 1, 5.0),
        ]);
        let b = side(vec![row(Some(1), 2, 9.0), row(Some(0), 2, f64::NAN), row(Some(9), 10, 1.0)]);
        let matched = pair_up(&a, &b, None, &Zone::utc());
        assert_eq!(matched.by, MatchedBy::StartAndValidTime);
        let found: Vec<_> = matched.pairs.iter().map(|p| (p.a, p.b, p.actual, p.lead_hours)).collect();
        assert_eq!(found, [(1, 1, 5.0, Some(2.0)), (2, 0, 6.0, Some(1.0))]);
        assert_eq!(
            (matched.a.replaced, matched.a.without_counterpart, matched.b.without_counterpart),
            (1, 1, 1)
        );
        assert_eq!(matched.actuals_differ, 1);
        adds_up(&matched.a);
        adds_up(&matched.b);
    }

    #[test]
    fn without_shared_starts_the_newest_answers() {
        let a = side(vec![row(Some(0), 30, 1.0), row(Some(24), 30, 1.0), row(Some(24), 31, f64::NAN)]);
        let b = side(vec![row(None, 30, f64::NAN), row(None, 31, f64::NAN)]);
        let matched = pair_up(&a, &b, None, &Zone::utc());
        assert_eq!(matched.by, MatchedBy::ValidTime);
        assert_eq!(
            (matched.pairs[0].a, matched.pairs[0].lead_hours, matched.pairs[0].day),
            (1, Some(6.0), 1)
        );
        assert_eq!((matched.a.replaced, matched.a.without_actual, matched.b.without_actual), (1, 1, 1));
        assert_eq!((matched.a.mean_lead_hours, matched.b.mean_lead_hours), (Some(6.0), None));
        adds_up(&matched.a);
        let far = pair_up(&a, &b, Some(12 * MICROS_PER_HOUR), &Zone::utc());
        assert_eq!((far.pairs[0].a, far.pairs[0].lead_hours, far.a.too_late), (0, Some(30.0), 2));
        adds_up(&far.a);
        adds_up(&far.b);
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let day = |zone: &str| {
            let (a, b) = (side(vec![row(Some(23), 25, 1.0)]), side(vec![row(None, 25, 1.0)]));
            pair_up(&a, &b, None, &zone.parse().unwrap()).pairs[0].day
        };
        assert_eq!((day("UTC"), day("Europe/Oslo")), (0, 1));
    }
}
