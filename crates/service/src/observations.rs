//! Reading and writing observations.

use std::sync::Arc;

use forewatt_domain::observation::Observation;
use forewatt_domain::{SeriesName, Time};
use forewatt_store::{ObservationRange, ObservationStore, WriteOutcome};
use serde::Serialize;

use crate::Service;
use crate::access::{charge, may_name};
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::{self, ImportOptions, Report, SeriesDefaults, Source};
use crate::series::check_region;

/// Which observations to read.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservationQuery {
    /// Whose.
    pub series: SeriesName,
    /// First valid time; a week before `to` when absent.
    pub from: Option<Time>,
    /// First valid time not included; after the last one when absent.
    pub to: Option<Time>,
    /// What was known then; now when absent.
    pub as_of: Option<Time>,
}

/// Observations read, and how they were asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObservationPage {
    /// Whose.
    pub series: SeriesName,
    /// The unit of the values.
    pub unit: String,
    /// First valid time asked for.
    pub from: Time,
    /// First valid time not included.
    pub to: Time,
    /// The instant of knowledge.
    pub as_of: Time,
    /// By rising valid time.
    pub observations: Vec<Observation>,
}

/// A value to write; without availability it counts as known when its period has ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewObservation {
    /// The start of the period.
    pub valid_time: Time,
    /// When it became known.
    pub available_at: Option<Time>,
    /// The value.
    pub value: f64,
}

/// Values in one range read, however it was asked for.
const DAYS_BY_DEFAULT_MICROS: i64 = 7 * forewatt_domain::time::MICROS_PER_DAY;

impl Service {
    /// For every valid time in the range, the newest value known at `as_of`.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput` for a reversed range, `TooLarge` for one with more values than the limit.
    pub async fn read_observations(&self, query: &ObservationQuery) -> Result<ObservationPage> {
        let info = self.series(&query.series).await?;
        let step = info.series.resolution;
        let as_of = query.as_of.unwrap_or_else(|| self.now());
        let data_end =
            info.state.last_valid_time.map_or(as_of, |last| last.plus_micros(step.micros()).min(as_of));
        let to = query.to.unwrap_or(data_end);
        let from = query.from.unwrap_or_else(|| to.plus_micros(-DAYS_BY_DEFAULT_MICROS));
        self.check_range(from, to, step.micros())?;
        let range = ObservationRange { series: query.series.clone(), from, to };
        let observations = self.store.read_as_of(&range, as_of).await?;
        charge(observations.len());
        let unit = info.series.unit.clone();
        Ok(ObservationPage { series: query.series.clone(), unit, from, to, as_of, observations })
    }

    /// Refuses reversed ranges and those with more steps than one read may return.
    pub(crate) fn check_range(&self, from: Time, to: Time, step_micros: i64) -> Result<()> {
        if to <= from {
            return Err(Error::invalid(format!(
                "the range is reversed or empty: `to` ({to}) must lie after `from` ({from})"
            )));
        }
        let steps = to.micros_since(from) / step_micros;
        let max = self.config.limits.read_points_max;
        if steps > i64::try_from(max).unwrap_or(i64::MAX) {
            let message =
                format!("{from} to {to} holds {steps} values, the limit is {max}: ask for a shorter range");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    /// Imports a file or a body in CSV, creating series that do not exist yet; `progress` gets bytes done and in all.
    ///
    /// # Errors
    /// `InvalidInput` for a file that cannot be read or leaves something open (the message names the option that
    /// settles it), `TooLarge` beyond a limit, store failures.
    pub async fn import(
        &self,
        source: Arc<dyn Source>,
        options: ImportOptions,
        defaults: &SeriesDefaults,
        dry_run: bool,
        progress: impl Fn(u64, u64) + Send + Sync,
    ) -> Result<Report> {
        check_region(defaults.holiday_region.as_deref())?;
        let names: Vec<SeriesName> = options.columns.iter().map(|map| map.series.clone()).collect();
        for name in &names {
            // A rehearsal changes nothing, but tells what there is.
            if dry_run { may_name(name)? } else { self.will_change(name).await? }
        }
        let report =
            ingest::import(&self.store, source, options, defaults, dry_run, progress, self.now()).await;
        for name in &names {
            self.forget_series(name).await;
        }
        Ok(report?)
    }

    /// Writes observations; acknowledged means durable, and writing the same again changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` naming the first value that is not finite or lies off the series' grid.
    pub async fn write_observations(
        &self,
        name: &SeriesName,
        new: &[NewObservation],
    ) -> Result<WriteOutcome> {
        let info = self.series(name).await?;
        self.will_change(name).await?;
        charge(new.len());
        let max = self.config.limits.write_points_max;
        if new.len() > max {
            let message = format!("{} observations in one write, the limit is {max}: split them", new.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let step = info.series.resolution;
        // The first value of a series settles where its periods begin.
        let anchor = match info.state.first_valid_time {
            Some(first) => first,
            None => new.first().map_or(Time::MIN, |item| item.valid_time),
        };
        let mut observations = Vec::with_capacity(new.len());
        for (i, item) in new.iter().enumerate() {
            if !item.value.is_finite() {
                return Err(Error::invalid(format!("observations[{i}].value is not a finite number")));
            }
            if step.floor(item.valid_time, anchor) != item.valid_time {
                let message = format!(
                    "observations[{i}].valid_time {} is not on the grid of `{name}`: its values start every {step} from {anchor}",
                    item.valid_time
                );
                return Err(Error::invalid(message));
            }
            let ended = item.valid_time.plus_micros(step.micros());
            let available_at = item.available_at.unwrap_or(ended);
            observations.push(Observation { valid_time: item.valid_time, available_at, value: item.value });
        }
        let outcome = self.store.write_observations(name, &observations).await?;
        self.forget_series(name).await;
        Ok(outcome)
    }
}
