//! Joint errors of all parts: of their issued forecasts, or of a quick backtest where those are too few.

use std::collections::BTreeMap;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{QuantileLevels, Time, VersionId};
use forewatt_model::hierarchy::Errors;
use forewatt_store::{ForecastQuery, ForecastStore};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

use super::parts::{Measured, Parts};
use super::rehearsal::PAST_DAYS;
use crate::Service;
use crate::error::{ErrorKind, Result};

/// Quick backtests at once: each uses every core for a part of its time.
pub(super) const REHEARSALS_AT_ONCE: usize = 4;

/// Where past errors come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorSource {
    /// Forecasts as they were issued, at half the horizon, by the champions that answer now.
    Issued,
    /// A quick backtest of every part on the last weeks, without covariates.
    Backtest,
    /// There are none.
    None,
}

/// Errors of all parts at the same steps, and where they come from.
pub(super) struct Past {
    pub source: ErrorSource,
    pub errors: Errors,
    /// What to say when there are none.
    pub reason: Option<String>,
}

/// The start, the instant of knowledge and the steps of a reconciliation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub start: Time,
    pub as_of: Time,
    pub steps: usize,
}

impl Service {
    /// The range of valid times whose errors are looked at: four weeks, or what one read may return.
    pub(super) fn past_range(&self, parts: &Parts, start: Time) -> (Time, Time) {
        let step = parts.series[0].0.resolution.micros();
        let most = i64::try_from(self.config.limits.read_points_max).unwrap_or(i64::MAX);
        let span = (PAST_DAYS * MICROS_PER_DAY).min(most.saturating_mul(step));
        (start.plus_micros(-span), start)
    }

    /// Joint errors: issued ones when every part has a champion and enough of them, else rehearsed ones; `levels` are
    /// those of the forecasts that stand-ins will be asked for.
    pub(super) async fn past(
        &self,
        parts: &Parts,
        champions: &[Option<VersionId>],
        measured: &Measured,
        moment: Moment,
        levels: &QuantileLevels,
    ) -> Result<Past> {
        let nodes = parts.series.len();
        let issued = self.issued_errors(parts, champions, measured, moment).await?;
        if issued.rows() >= Errors::rows_needed(nodes) {
            return Ok(Past { source: ErrorSource::Issued, errors: issued, reason: None });
        }
        let when = (moment.start, moment.as_of);
        // Who has no champion will be asked for a forecast too: one backtest gives both.
        let ahead = champions.iter().map(|champion| champion.is_none().then(|| levels.clone()));
        let scenes: Vec<_> = parts.series.iter().cloned().zip(ahead).collect();
        let each = scenes.into_iter().map(|(part, ahead)| {
            let service = self.clone();
            async move { service.rehearse(&part, when, moment.steps, ahead.as_ref()).await }
        });
        let played = futures::stream::iter(each).buffered(REHEARSALS_AT_ONCE).try_collect::<Vec<_>>().await;
        match played {
            Ok(played) => {
                let all: Vec<_> = played.iter().map(|p| p.errors.clone()).collect();
                let (source, errors) = (ErrorSource::Backtest, joint(&all)?);
                Ok(Past { source, errors, reason: None })
            }
            Err(error) if error.kind == ErrorKind::InsufficientData => {
                let reason = Some(error.message);
                Ok(Past { source: ErrorSource::None, errors: Errors::new(nodes, &[])?, reason })
            }
            Err(error) => Err(error),
        }
    }

    /// Errors of what the champions of now have issued, at half the horizon; no rows when a part has none.
    async fn issued_errors(
        &self,
        parts: &Parts,
        champions: &[Option<VersionId>],
        measured: &Measured,
        moment: Moment,
    ) -> Result<Errors> {
        let (from, to) = self.past_range(parts, moment.start);
        let lead_micros = (moment.steps as i64 / 2) * parts.series[0].0.resolution.micros();
        self.issued.flush().await;
        let limit = u32::try_from(self.config.limits.read_points_max).unwrap_or(u32::MAX);
        let mut all: Vec<BTreeMap<Time, f64>> = Vec::with_capacity(parts.series.len());
        for (place, champion) in champions.iter().enumerate() {
            let Some(champion) = champion else { return Ok(Errors::new(parts.series.len(), &[])?) };
            let query = ForecastQuery::FixedLead { lead_micros, from, to };
            let points = self.store.read_forecasts(parts.name(place), query, limit).await?;
            let known = points
                .into_iter()
                .filter(|p| p.model_version == *champion && p.issued_at <= moment.as_of)
                .filter_map(|p| Some((p.valid_time, measured[place].get(&p.valid_time)? - p.mean)));
            all.push(known.collect());
        }
        joint(&all)
    }
}

/// The steps at which every part's error is known.
fn joint<K: Ord>(all: &[BTreeMap<K, f64>]) -> Result<Errors> {
    let nodes = all.len();
    let rows: Vec<Vec<f64>> = all.first().map_or_else(Vec::new, |first| {
        first.keys().filter_map(|key| all.iter().map(|errors| errors.get(key).copied()).collect()).collect()
    });
    Ok(Errors::new(nodes, &rows)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_known_of_all_are_joint() {
        let first = BTreeMap::from([(1, 0.1), (2, 0.2), (4, 0.4)]);
        let second = BTreeMap::from([(2, 2.0), (3, 3.0), (4, 4.0)]);
        let errors = joint(&[first, second]).unwrap();
        assert_eq!((errors.rows(), errors.nodes()), (2, 2));
        assert_eq!((errors.at(0, 0), errors.at(1, 1)), (0.2, 4.0));
    }
}
