//! What every backend does alike with what it is given: the checks before a write, and the words of columns.

use forewatt_domain::{Forecast, ForecastPoint, Observation, Series, SeriesName};

use crate::{Error, JobRecord, JobState, KeyRecord, NewVersion, QualityRecord, Result, SeriesState};

/// The most observations one write may have.
pub const WRITE_MAX_OBSERVATIONS: usize = 1_000_000;

/// Observations that can never be stored are refused before anything is.
pub(crate) fn check_observations(series: &SeriesName, observations: &[Observation]) -> Result<()> {
    let refuse = |detail| Err(Error::Invalid { what: "observations of", name: series.to_string(), detail });
    if observations.len() > WRITE_MAX_OBSERVATIONS {
        let count = observations.len();
        return refuse(format!(
            "{count} were given in one write, the limit is {WRITE_MAX_OBSERVATIONS}; write them in slices"
        ));
    }
    match observations.iter().position(|o| !o.value.is_finite()) {
        None => Ok(()),
        Some(i) => refuse(format!(
            "number {} (counted from 0), about {}, has the value {}; leave missing values out",
            i, observations[i].valid_time, observations[i].value
        )),
    }
}

/// The slice's indexes in the order of the key: rising keys append to the tree instead of searching it.
/// Among equal keys the earlier index comes first, so the first given value is the one kept.
pub(crate) fn key_order(observations: &[Observation]) -> Vec<usize> {
    let key = |o: &Observation| (o.valid_time, o.available_at);
    let mut order: Vec<usize> = (0..observations.len()).collect();
    if !observations.is_sorted_by_key(key) {
        order.sort_by_key(|&i| key(&observations[i]));
    }
    order
}

/// A resolution stays once there are observations at it.
pub(crate) fn check_resolution(new: &Series, old: &Series, state: &SeriesState) -> Result<()> {
    if new.resolution == old.resolution || state.observations == 0 {
        return Ok(());
    }
    Err(Error::Conflict {
        what: "series",
        name: new.name.to_string(),
        difference: format!(
            "its {} observations are {} apart and the new resolution is {}; keep {}, or store under another name",
            state.observations, old.resolution, new.resolution, old.resolution
        ),
    })
}

/// A forecast that cannot be is refused before anything is kept.
pub(crate) fn check_forecast(forecast: &Forecast) -> Result<()> {
    let refuse = |detail: String| {
        Err(Error::Invalid { what: "forecast of", name: forecast.series.to_string(), detail })
    };
    if let Err(error) = forecast.check() {
        return refuse(error.to_string());
    }
    if !forecast.quality.is_finite() {
        return refuse(format!("its quality is {}; give a number from 0 to 1", forecast.quality));
    }
    let rises = |w: &[ForecastPoint]| w[0].valid_time < w[1].valid_time;
    match forecast.points.windows(2).find(|w| !rises(w)) {
        None => Ok(()),
        Some(w) => refuse(format!(
            "{} follows {}; give its points by rising valid time, each once",
            w[1].valid_time, w[0].valid_time
        )),
    }
}

/// Scores are numbers.
pub(crate) fn check_version(version: &NewVersion) -> Result<()> {
    match version.metrics.iter().find(|(_, score)| !score.is_finite()) {
        None => Ok(()),
        Some((metric, score)) => Err(Error::Invalid {
            what: "model version of",
            name: version.series.to_string(),
            detail: format!("its metric {metric} is {score}; leave out a metric that has no value"),
        }),
    }
}

/// A series' next version number as its id holds it.
pub(crate) fn short_number(version: &NewVersion, number: i64) -> Result<u32> {
    u32::try_from(number).map_err(|_| Error::Invalid {
        what: "model version of",
        name: version.series.to_string(),
        detail: "it has as many versions as can be numbered; use another series".to_owned(),
    })
}

/// The revision as a column holds it, when revision and score are such as can be stored.
pub(crate) fn check_quality(record: &QualityRecord) -> Result<i64> {
    i64::try_from(record.revision).ok().filter(|_| record.score.is_finite()).ok_or_else(|| Error::Invalid {
        what: "quality of",
        name: record.series.to_string(),
        detail: format!("its score is {}, its revision {}", record.score, record.revision),
    })
}

/// Progress is a number.
pub(crate) fn check_job(job: &JobRecord) -> Result<()> {
    if job.progress.is_finite() {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "job",
        name: job.id.clone(),
        detail: format!("its progress is {}; give a number from 0 to 1", job.progress),
    })
}

/// A job's state as the column says it.
pub(crate) fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
    }
}

/// What the column says as a job's state.
pub(crate) fn state_of(word: &str) -> sqlx::Result<JobState> {
    match word {
        "queued" => Ok(JobState::Queued),
        "running" => Ok(JobState::Running),
        "succeeded" => Ok(JobState::Succeeded),
        "failed" => Ok(JobState::Failed),
        other => Err(undecodable(format!("`{other}` is not a job's state"))),
    }
}

/// Lets a row's decoder report a domain error through sqlx.
pub(crate) fn undecodable(error: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(error.to_string().into())
}

/// There is no such series.
pub(crate) fn no_series(name: &SeriesName) -> Error {
    Error::NotFound { what: "series", name: name.to_string() }
}

/// There is no such key.
pub(crate) fn no_key(id: &str) -> Error {
    Error::NotFound { what: "key", name: id.to_owned() }
}

/// Another key has this id.
pub(crate) fn taken_key(key: &KeyRecord) -> Error {
    Error::Conflict { what: "key", name: key.id.clone(), difference: "make another one".to_owned() }
}

/// A key that is not the last of its line cannot be replaced.
pub(crate) fn key_conflict(id: &str) -> Error {
    let difference = "it is revoked or was replaced before: make a new one".to_owned();
    Error::Conflict { what: "key", name: id.to_owned(), difference }
}
