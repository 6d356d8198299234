//! Checking a series' data, and keeping what was found.

use forewatt_domain::{Observation, Series, SeriesName, Time};
use forewatt_model::quality;
use forewatt_store::{ObservationRange, ObservationStore, QualityRecord, QualityStore};

use crate::error::{Error, ErrorKind, Result};
use crate::{Service, blocking};

impl Service {
    /// Checks what is known of a series now (or between two valid times) and keeps the result.
    ///
    /// # Errors
    /// `NotFound`; `InsufficientData` for a series without observations.
    pub async fn check_series(&self, name: &SeriesName) -> Result<QualityRecord> {
        let info = self.series(name).await?;
        let observations = self.known_observations(name).await?;
        if observations.is_empty() {
            let message = format!("`{name}` has no observations to check: import some first");
            return Err(Error::new(ErrorKind::InsufficientData, message));
        }
        let (series, now) = (info.series.clone(), self.now());
        let report = blocking(move || check(&series, &observations, now)).await?;
        self.keep_quality(name, info.state.revision, &report).await
    }

    /// The newest kept result.
    ///
    /// # Errors
    /// `NotFound` for an unknown series.
    pub async fn latest_quality(&self, name: &SeriesName) -> Result<Option<QualityRecord>> {
        self.series(name).await?;
        Ok(self.store.latest_quality(name).await?)
    }

    pub(crate) async fn keep_quality(
        &self,
        name: &SeriesName,
        revision: u64,
        report: &quality::Report,
    ) -> Result<QualityRecord> {
        let findings = serde_json::to_value(report)
            .map_err(|error| Error::internal(format!("encoding the findings: {error}")))?;
        let record = QualityRecord {
            series: name.clone(),
            checked_at: self.now(),
            revision,
            score: report.score,
            findings,
        };
        self.store.put_quality(&record).await?;
        Ok(record)
    }

    /// All values known now.
    async fn known_observations(&self, name: &SeriesName) -> Result<Vec<Observation>> {
        let range = ObservationRange { series: name.clone(), from: Time::MIN, to: Time::MAX };
        Ok(self.store.read_as_of(&range, self.now()).await?)
    }
}

/// The model crate's check on observations of one instant of knowledge.
pub(crate) fn check(series: &Series, observations: &[Observation], now: Time) -> quality::Report {
    let values: Vec<(Time, f64)> = observations.iter().map(|o| (o.valid_time, o.value)).collect();
    let upto =
        observations.last().map(|last| last.valid_time.plus_micros(series.resolution.micros()).min(now));
    quality::check(series, &values, upto)
}
