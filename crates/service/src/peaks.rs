//! How well a backtest told peaks: exceedances, each local day's peak, and errors where the values are high.

use std::ops::Range;

use forewatt_domain::Zone;
use forewatt_model::backtest::{BacktestRow, Outcome};
use forewatt_model::metrics::{self, Scored};

pub use forewatt_model::metrics::{DayPeaks, Detection, PeakAt, Peaks};

/// Scores the peaks of a backtest; days are those of `zone`.
///
/// `None` when no actual is known or the threshold is not a number.
#[must_use]
pub fn of_backtest(outcome: &Outcome, zone: &Zone, at: PeakAt) -> Option<Peaks> {
    let rows: Vec<Scored<'_>> = outcome.rows.iter().map(scored).collect();
    metrics::peaks(&rows, &outcome.levels, at, &whole_days(&outcome.rows, zone))
}

fn scored(row: &BacktestRow) -> Scored<'_> {
    Scored {
        lead_hours: row.valid_time.micros_since(row.forecast_start) as f64 / 3.6e9,
        actual: f64::from(row.actual),
        mean: f64::from(row.mean),
        quantiles: &row.quantiles,
    }
}

/// The spans of rows in which one forecast covers one whole local day, whether it has 23, 24 or 25 hours.
fn whole_days(rows: &[BacktestRow], zone: &Zone) -> Vec<Range<usize>> {
    let steps = rows.windows(2).filter(|pair| pair[0].forecast_start == pair[1].forecast_start);
    let Some(step) = steps.map(|pair| pair[1].valid_time.micros_since(pair[0].valid_time)).min() else {
        return Vec::new();
    };
    let date = |row: &BacktestRow| zone.civil(row.valid_time).date;
    let same_day =
        |a: &BacktestRow, b: &BacktestRow| a.forecast_start == b.forecast_start && date(a) == date(b);
    let mut start = 0;
    let mut days = Vec::new();
    for day in rows.chunk_by(same_day) {
        let span = start..start + day.len();
        start = span.end;
        if day.len() as i64 * step >= zone.day_micros(date(&day[0])) {
            days.push(span);
        }
    }
    days
}

#[cfg(test)]
mod tests {
    use forewatt_domain::Time;

    use super::*;

    fn rows(start: &str, hours: i64) -> Vec<BacktestRow> {
        let start: Time = start.parse().unwrap();
        let row = |hour: i64| BacktestRow {
            forecast_start: start,
            valid_time: start.plus_micros(hour * 3_600_000_000),
            actual: 1.0,
            mean: 1.0,
            quantiles: vec![1.0],
        };
        (0..hours).map(row).collect()
    }

    #[test]
    fn days_are_local_and_whole() {
        let zone: Zone = "Europe/Madrid".parse().unwrap();
        // Local midnight of the day before the clocks go forward: 24 hours, then 23.
        let spring = rows("2026-03-27T23:00:00Z", 24 + 23);
        assert_eq!(whole_days(&spring, &zone), [0..24, 24..47]);
        let only = |rows: &[BacktestRow]| {
            whole_days(rows, &zone).iter().map(|d| (d.start, d.end)).collect::<Vec<_>>()
        };
        assert_eq!(only(&spring[..46]), [(0, 24)], "an hour is missing");
        assert_eq!(only(&spring[1..]), [(23, 46)], "the first day began before the forecast");
        let both = [rows("2026-06-01T22:00:00Z", 24), rows("2026-06-02T22:00:00Z", 24)].concat();
        assert_eq!(whole_days(&both, &zone), [0..24, 24..48], "each forecast has its day");
        assert!(whole_days(&[], &zone).is_empty());
    }
}
