//! The same scores by lead time.

use serde::{Deserialize, Serialize};

use super::{Metrics, Scored, score};

/// Where one bucket of lead times ends and the next begins, in hours.
const EDGES_HOURS: [f64; 9] = [0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 48.0, 72.0, 168.0];

/// The scores of the forecasts whose lead time lies in a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeadMetrics {
    /// Hours from the forecast start at which the bucket begins.
    pub from_hours: f64,
    /// Where it ends (excluded); `None` for the last, which is open.
    pub to_hours: Option<f64>,
    /// The scores.
    pub metrics: Metrics,
}

/// Every bucket: where it begins and where it ends (excluded, `None` for the last), in hours; shortest first.
pub fn lead_buckets() -> impl Iterator<Item = (f64, Option<f64>)> {
    EDGES_HOURS.iter().enumerate().map(|(i, &from_hours)| (from_hours, EDGES_HOURS.get(i + 1).copied()))
}

/// [`score`] for each bucket of lead times that has a known actual, shortest first.
#[must_use]
pub fn by_lead(rows: &[Scored<'_>], levels: &[f64], scale: Option<f64>) -> Vec<LeadMetrics> {
    let bucket = |(from_hours, to_hours): (f64, Option<f64>)| {
        let inside =
            |row: &&Scored<'_>| row.lead_hours >= from_hours && to_hours.is_none_or(|to| row.lead_hours < to);
        let metrics = score(rows.iter().filter(inside).copied(), levels, scale)?;
        Some(LeadMetrics { from_hours, to_hours, metrics })
    };
    lead_buckets().filter_map(bucket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_bucket() {
        let row = |hours: f64| Scored { lead_hours: hours, actual: hours, mean: 0.0, quantiles: &[0.0] };
        let rows: Vec<Scored<'_>> = (0..400).map(|i| row(f64::from(i) / 2.0)).collect();
        let buckets = by_lead(&rows, &[0.5], None);
        assert_eq!(buckets.iter().map(|b| b.metrics.count).sum::<usize>(), rows.len());
        assert_eq!((buckets[0].metrics.count, buckets[0].metrics.mae), (2, 0.25));
        assert_eq!(buckets.last().map(|b| b.to_hours), Some(None));
        assert_eq!(by_lead(&rows[..2], &[0.5], None).len(), 1);
    }
}
