//! Observations and the as-of rule.

use serde::{Deserialize, Serialize};

use crate::Time;

/// A value of a series: about `valid_time`, known since `available_at`.
///
/// A measurement, a vintage of a weather forecast (known before its valid time) and a third party's
/// forecast are all observations: one concept serves them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The start of the period the value is about.
    pub valid_time: Time,
    /// When the value became known.
    pub available_at: Time,
    /// The value in the series' unit; finite.
    pub value: f64,
}

/// For every valid time, the observation with the greatest `available_at` <= `at`, ordered by valid time.
///
/// This is the reference: every store's SQL must equal it. Among observations with the same valid time
/// and the same `available_at` (a store keeps only one) the last in the slice wins.
#[must_use]
pub fn as_of(observations: &[Observation], at: Time) -> Vec<Observation> {
    let mut known: Vec<Observation> = observations.iter().copied().filter(|o| o.available_at <= at).collect();
    known.sort_by_key(|o| (o.valid_time, o.available_at)); // stable: later in the slice stays later
    known.reverse();
    known.dedup_by_key(|o| o.valid_time);
    known.reverse();
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(valid: i64, available: i64, value: f64) -> Observation {
        Observation {
            valid_time: Time::from_seconds(valid),
            available_at: Time::from_seconds(available),
            value,
        }
    }

    #[test]
    fn the_newest_value_known_then() {
        let all = [seen(10, 30, 3.0), seen(10, 20, 2.0), seen(20, 25, 5.0), seen(10, 5, 1.0)];
        assert_eq!(as_of(&all, Time::from_seconds(4)), []);
        assert_eq!(as_of(&all, Time::from_seconds(5)), [seen(10, 5, 1.0)]);
        assert_eq!(as_of(&all, Time::from_seconds(29)), [seen(10, 20, 2.0), seen(20, 25, 5.0)]);
        assert_eq!(as_of(&all, Time::MAX), [seen(10, 30, 3.0), seen(20, 25, 5.0)]);
    }
}
