//! Everything from one store into another: begun again it goes on, and each series is compared by checksum.

use forewatt_domain::recipe::hex;
use forewatt_domain::{Forecast, ModelVersion, Observation, Series, SeriesName, Time};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    Backend, Error, ForecastKey, ForecastStore, JobState, JobStore, KeyStore, LabelStore, NewVersion,
    ObservationRange, ObservationStore, QualityStore, Result, SeriesState, SeriesStore, SourceStore,
    VersionStore, WebhookStore,
};

/// About how many observations are read and written at a time.
const ROWS_AT_ONCE: u64 = 100_000;
/// Forecasts read at a time.
const FORECASTS_AT_ONCE: u32 = 200;
/// Series listed at a time.
const SERIES_AT_ONCE: u32 = 1_000;
/// Jobs copied at most, the newest: older ones are history that nobody asks for.
const JOBS_MAX: u32 = 10_000;
/// Keys copied at most, the newest.
const KEYS_MAX: u32 = 100_000;

/// What was copied of one series, and that it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MigratedSeries {
    /// Its name.
    pub series: SeriesName,
    /// Observations, revisions included.
    pub observations: u64,
    /// Issued forecasts.
    pub forecasts: u64,
    /// SHA-256 of all of both, equal in both stores.
    pub sha256: String,
    /// Whether it was there already, whole.
    pub was_there: bool,
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Migrated {
    /// Series by name.
    pub series: Vec<MigratedSeries>,
    /// Model versions with their artifacts and aliases.
    pub versions: u64,
    /// Records of finished jobs.
    pub jobs: u64,
    /// Keys of the API. The audit log stays where it was written.
    pub keys: u64,
}

/// Copies a whole store; the other may hold part of it from an earlier try, or other series. `progress` gets series
/// done, series in all, and the one at work.
///
/// # Errors
/// [`Error::Conflict`] when the target has something else under the same name, or when the copy differs because
/// somebody wrote meanwhile. What was copied stays and is not copied again.
pub async fn migrate(
    from: &Backend,
    to: &Backend,
    now: Time,
    progress: impl Fn(usize, usize, &SeriesName),
) -> Result<Migrated> {
    let all = every_series(from).await?;
    let mut done = Migrated::default();
    // A series' versions need it to be there, and a parent may be another's.
    for (series, _) in &all {
        to.put_series(series, now).await?;
    }
    for (i, (series, state)) in all.iter().enumerate() {
        progress(i, all.len(), &series.name);
        done.series.push(copy_series(from, to, series, state).await?);
    }
    let mut versions = from.list_versions(None, u32::MAX).await?;
    versions.reverse(); // the oldest first: numbers are given in order, and parents come before children
    for version in versions {
        copy_version(from, to, version).await?;
        done.versions += 1;
    }
    for (series, _) in &all {
        copy_aliases(from, to, &series.name).await?;
        if let Some(quality) = from.latest_quality(&series.name).await? {
            to.put_quality(&quality).await?;
        }
        for label in from.labels(&series.name).await? {
            to.put_label(&label).await?;
        }
    }
    for job in from.list_jobs(JOBS_MAX).await? {
        if matches!(job.state, JobState::Succeeded | JobState::Failed) {
            to.put_job(&job).await?;
            done.jobs += 1;
        }
    }
    copy_outward(from, to).await?;
    let mut keys = from.list_keys(KEYS_MAX).await?;
    keys.reverse();
    for key in keys {
        if to.get_key(&key.id).await?.is_none() {
            to.add_key(&key).await?;
        }
        done.keys += 1;
    }
    Ok(done)
}

/// Sources, receivers, and what is still to be told to them.
async fn copy_outward(from: &Backend, to: &Backend) -> Result<()> {
    for source in from.list_sources(u32::MAX).await? {
        to.put_source(&source).await?;
    }
    for webhook in from.list_webhooks(u32::MAX).await? {
        to.put_webhook(&webhook).await?;
    }
    for dead in [false, true] {
        to.add_deliveries(&from.list_deliveries(dead, u32::MAX).await?, u32::MAX).await?;
    }
    Ok(())
}

async fn every_series(store: &Backend) -> Result<Vec<(Series, SeriesState)>> {
    let mut all: Vec<(Series, SeriesState)> = Vec::new();
    loop {
        let after = all.last().map(|(series, _)| series.name.clone());
        let page = store.list_series(after.as_ref(), SERIES_AT_ONCE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

async fn copy_series(
    from: &Backend,
    to: &Backend,
    series: &Series,
    state: &SeriesState,
) -> Result<MigratedSeries> {
    let name = &series.name;
    let there = to.get_series(name).await?.map_or(0, |(_, state)| state.observations);
    // Reading is much cheaper than writing, so what may be whole is looked at first.
    if there == state.observations {
        let (before, after) = (checksum(from, name, state).await?, checksum(to, name, state).await?);
        if before == after {
            return Ok(before.report(name, true));
        }
    }
    for range in windows(name, state) {
        let observations = from.read_revisions(&range).await?;
        for slice in observations.chunks(ROWS_AT_ONCE as usize) {
            write(to, name, slice).await?;
        }
    }
    let mut after = None;
    loop {
        let page = from.list_forecasts(name, after.as_ref(), FORECASTS_AT_ONCE).await?;
        let Some(last) = page.last() else { break };
        after = Some(ForecastKey::of(last));
        for forecast in &page {
            to.put_forecast(forecast).await?;
        }
    }
    let (before, copied) = (checksum(from, name, state).await?, checksum(to, name, state).await?);
    if before == copied {
        return Ok(before.report(name, false));
    }
    Err(Error::Conflict {
        what: "series",
        name: name.to_string(),
        difference: format!(
            "{} observations and {} forecasts with checksum {} became {} and {} with {}; stop whoever writes to \
             either store, and start again",
            before.observations,
            before.forecasts,
            before.sha256,
            copied.observations,
            copied.forecasts,
            copied.sha256
        ),
    })
}

async fn write(to: &Backend, name: &SeriesName, slice: &[Observation]) -> Result<()> {
    let outcome = to.write_observations(name, slice).await?;
    let Some(first) = outcome.conflicts.first().map(|&i| slice[i]) else { return Ok(()) };
    Err(Error::Conflict {
        what: "observations of",
        name: name.to_string(),
        difference: format!(
            "{} values in the target differ, the first about {} known at {}; move into an empty database",
            outcome.conflict_count, first.valid_time, first.available_at
        ),
    })
}

/// What two stores must agree on.
#[derive(Debug, PartialEq, Eq)]
struct Checksum {
    observations: u64,
    forecasts: u64,
    sha256: String,
}

impl Checksum {
    fn report(self, series: &SeriesName, was_there: bool) -> MigratedSeries {
        let Self { observations, forecasts, sha256 } = self;
        MigratedSeries { series: series.clone(), observations, forecasts, sha256, was_there }
    }
}

/// Of every observation and forecast within the reach that the source had, in order, bit by bit.
async fn checksum(store: &Backend, name: &SeriesName, state: &SeriesState) -> Result<Checksum> {
    let mut hash = Sha256::new();
    let (mut observations, mut forecasts) = (0, 0);
    for range in windows(name, state) {
        for seen in store.read_revisions(&range).await? {
            hash.update(seen.valid_time.micros().to_le_bytes());
            hash.update(seen.available_at.micros().to_le_bytes());
            hash.update(seen.value.to_bits().to_le_bytes());
            observations += 1;
        }
    }
    let mut after = None;
    loop {
        let page = store.list_forecasts(name, after.as_ref(), FORECASTS_AT_ONCE).await?;
        let Some(last) = page.last() else { break };
        after = Some(ForecastKey::of(last));
        forecasts += page.len() as u64;
        page.iter().for_each(|forecast| add_forecast(&mut hash, forecast));
    }
    Ok(Checksum { observations, forecasts, sha256: hex(&hash.finalize()) })
}

fn add_forecast(hash: &mut Sha256, forecast: &Forecast) {
    for time in [forecast.forecast_start, forecast.issued_at, forecast.data_watermark] {
        hash.update(time.micros().to_le_bytes());
    }
    for text in [forecast.model_version.as_str(), &forecast.unit, forecast.degraded.as_deref().unwrap_or("")]
    {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let levels = forecast.levels.as_slice().iter();
    for number in levels.chain([&forecast.quality]) {
        hash.update(number.to_bits().to_le_bytes());
    }
    for point in &forecast.points {
        hash.update(point.valid_time.micros().to_le_bytes());
        for number in point.quantiles.iter().chain([&point.mean]) {
            hash.update(number.to_bits().to_le_bytes());
        }
    }
}

/// Ranges of valid time that together hold all observations, each about as many as are read at once.
fn windows(name: &SeriesName, state: &SeriesState) -> Vec<ObservationRange> {
    let (Some(first), Some(last)) = (state.first_valid_time, state.last_valid_time) else {
        return Vec::new();
    };
    let end = last.plus_micros(1);
    let count = i64::try_from(state.observations / ROWS_AT_ONCE + 1).unwrap_or(i64::MAX);
    let step = end.micros_since(first) / count + 1;
    let mut ranges = Vec::new();
    let mut from = first;
    while from < end {
        let to = from.plus_micros(step).min(end);
        ranges.push(ObservationRange { series: name.clone(), from, to });
        from = to;
    }
    ranges
}

async fn copy_version(from: &Backend, to: &Backend, version: ModelVersion) -> Result<()> {
    let name = version.id.to_string();
    let differs = |difference| Err(Error::Conflict { what: "model version", name: name.clone(), difference });
    let artifact = from.get_artifact(&version.artifact_sha256).await?;
    to.put_artifact(&artifact).await?;
    let there = match to.get_version(&version.id).await? {
        Some(there) => there,
        None => to.add_version(unnumbered(version.clone())).await?,
    };
    if there == version {
        return Ok(());
    }
    if there.id == version.id {
        return differs("the target has another of that name; move into an empty database".to_owned());
    }
    differs(format!("it became {} in the target; move into an empty database", there.id))
}

fn unnumbered(version: ModelVersion) -> NewVersion {
    NewVersion {
        series: version.series,
        recipe: version.recipe,
        parent: version.parent,
        created_at: version.created_at,
        trained_from: version.trained_from,
        trained_to: version.trained_to,
        as_of: version.as_of,
        metrics: version.metrics,
        notes: version.notes,
        artifact_sha256: version.artifact_sha256,
        artifact_bytes: version.artifact_bytes,
    }
}

/// Moves are made again in their order, those of an earlier try left out.
async fn copy_aliases(from: &Backend, to: &Backend, name: &SeriesName) -> Result<()> {
    let (mut moves, mut there) =
        (from.alias_moves(name, u32::MAX).await?, to.alias_moves(name, u32::MAX).await?);
    moves.reverse();
    there.reverse();
    if !moves.starts_with(&there) {
        return Err(Error::Conflict {
            what: "aliases of",
            name: name.to_string(),
            difference: "they moved otherwise in the target; move into an empty database".to_owned(),
        });
    }
    for one in &moves[there.len()..] {
        to.set_alias(name, one.alias, &one.to, one.moved_at, &one.reason).await?;
    }
    Ok(())
}
