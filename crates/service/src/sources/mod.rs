//! Sources: places that data are fetched from on a schedule, each answer kept as a vintage of when it came.

mod answer;
mod entsoe;
mod open_meteo;
mod schedule;
mod units;
mod url;

use std::collections::BTreeMap;

use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_domain::{Observation, Series, SeriesName, Time, Zone};
use forewatt_store::{ObservationRange, ObservationStore, SeriesStore, SourceRecord, SourceStore};
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::observations::NewObservation;
use crate::resilience::Call;
use crate::series::nearest;
use answer::{Column, Document};

/// A source is fetched at most so often.
const EVERY_SECONDS_MIN: u32 = 60;
/// And at least so often.
const EVERY_SECONDS_MAX: u32 = 31 * 86_400;
/// Columns of one source.
const SERIES_MAX: usize = 100;
/// The furthest a time window may reach, in hours.
const WINDOW_HOURS_MAX: u32 = 24 * 366;

/// What a source answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// JSON as Open-Meteo's forecast API answers: `hourly` or `minutely_15` columns with their units.
    OpenMeteo,
    /// XML as ENTSO-E's transparency platform answers: documents of IEC 62325-351 with points by position.
    Entsoe,
}

impl SourceKind {
    /// The words that name the kinds.
    pub const NAMES: [&'static str; 2] = ["open-meteo", "entsoe"];
}

impl std::str::FromStr for SourceKind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "open-meteo" => Ok(Self::OpenMeteo),
            "entsoe" => Ok(Self::Entsoe),
            _ => Err(Error::invalid(format!("`{text}` is not a kind of source: use open-meteo or entsoe"))),
        }
    }
}

/// What is fetched, from where and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Its name, by the rules of the names of series.
    pub name: SeriesName,
    /// How its answers are read.
    pub kind: SourceKind,
    /// Where. `{from}`, `{to}` (`202601312300`), `{from_date}`, `{to_date}` (`2026-01-31`), all UTC, and `{token}` are
    /// filled in.
    pub url: String,
    /// Which column of the answer goes to which series: `temperature_2m` -> `city.temperature`.
    pub series: BTreeMap<String, SeriesName>,
    /// Seconds from one run to the next.
    pub every_seconds: u32,
    /// Hours before now that `{from}` stands for.
    #[serde(default = "past_hours")]
    pub past_hours: u32,
    /// Hours after now that `{to}` stands for.
    #[serde(default = "ahead_hours")]
    pub ahead_hours: u32,
    /// The environment variable that holds `{token}`; it begins with `FOREWATT_SOURCE_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<String>,
}

/// Hours before now when a source says nothing else.
const fn past_hours() -> u32 {
    24
}

/// Hours after now when a source says nothing else.
const fn ahead_hours() -> u32 {
    48
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRun {
    /// When it was done.
    pub at: Time,
    /// Whether something could be fetched and kept.
    pub ok: bool,
    /// In words: what came, or why nothing did.
    pub message: String,
    /// What each series got.
    #[serde(default)]
    pub series: Vec<SeriesRun>,
}

/// What one series got from a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesRun {
    /// Which.
    pub series: SeriesName,
    /// Values in the answer.
    pub read: u64,
    /// Values that were new or differ from what was known: these are kept as known since now.
    pub stored: u64,
    /// Values that were known already.
    pub unchanged: u64,
}

/// A source and how it does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceInfo {
    /// What is fetched.
    #[serde(flatten)]
    pub spec: SourceSpec,
    /// When it is fetched next.
    pub next_at: Time,
    /// How often it has failed in a row.
    pub failures: u32,
    /// How the last run ended.
    pub last: Option<SourceRun>,
}

impl SourceSpec {
    /// Refuses what could never be fetched.
    fn check(&self) -> Result<()> {
        if !(EVERY_SECONDS_MIN..=EVERY_SECONDS_MAX).contains(&self.every_seconds) {
            return Err(Error::invalid(format!(
                "a source is fetched every {EVERY_SECONDS_MIN} s to 31 days, not every {} s",
                self.every_seconds
            )));
        }
        if self.series.is_empty() || self.series.len() > SERIES_MAX {
            return Err(Error::invalid(format!(
                "a source feeds 1 to {SERIES_MAX} series: say which column goes to which, such as temperature_2m=city.temperature"
            )));
        }
        if self.past_hours.max(self.ahead_hours) > WINDOW_HOURS_MAX {
            return Err(Error::invalid(format!(
                "a window reaches at most {WINDOW_HOURS_MAX} hours each way"
            )));
        }
        url::check(self)
    }
}

impl Service {
    /// Adds a source, or takes the place of the one of that name; its first run is due at once.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that may not be called or a schedule that cannot be, `TooLarge` beyond
    /// `outward.sources.sources_max`.
    pub async fn put_source(&self, spec: &SourceSpec) -> Result<SourceInfo> {
        spec.check()?;
        self.outward.sources.check_url(&url::without_places(&spec.url))?;
        let known = self.store.list_sources(u32::MAX).await?;
        let max = self.config.outward.sources.sources_max;
        if known.len() >= max && !known.iter().any(|one| one.name == spec.name.as_str()) {
            let message =
                format!("there are {max} sources already (outward.sources.sources_max): remove one");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let record = SourceRecord {
            name: spec.name.to_string(),
            spec: to_json(spec)?,
            due_at: self.now(),
            failures: 0,
            last: None,
        };
        self.store.put_source(&record).await?;
        self.note_change("put source", &record.name).await?;
        info_of(record)
    }

    /// All sources by name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_sources(&self) -> Result<Vec<SourceInfo>> {
        self.store.list_sources(self.config.limits.list_max).await?.into_iter().map(info_of).collect()
    }

    /// Takes a source away; what it brought stays.
    ///
    /// # Errors
    /// `NotFound` with the nearest name.
    pub async fn remove_source(&self, name: &str) -> Result<()> {
        if !self.store.remove_source(name).await? {
            return Err(self.no_source(name).await);
        }
        self.note_change("remove source", name).await
    }

    /// Fetches a source now, whatever its schedule, and keeps how it went.
    ///
    /// # Errors
    /// `NotFound`; why nothing could be fetched or kept.
    pub async fn run_source(&self, name: &str) -> Result<SourceRun> {
        let known = self.store.list_sources(u32::MAX).await?;
        match known.into_iter().find(|record| record.name == name) {
            Some(record) => self.run_taken(record).await,
            None => Err(self.no_source(name).await),
        }
    }

    async fn no_source(&self, name: &str) -> Error {
        let known = self.store.list_sources(self.config.limits.list_max).await.unwrap_or_default();
        let hint = match nearest(name, known.iter().map(|record| record.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`forewatt sources list` shows what there is".to_owned(),
        };
        Error::new(ErrorKind::NotFound, format!("there is no source `{name}`; {hint}"))
    }

    /// Fetches once and keeps how it went, and when it is due again.
    async fn run_taken(&self, record: SourceRecord) -> Result<SourceRun> {
        let spec: SourceSpec = spec_of(&record)?;
        let outcome = self.fetch(&spec).await;
        let result = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::counter!("forewatt_source_runs_total", "result" => result).increment(1);
        let failures = if outcome.is_ok() { 0 } else { record.failures.saturating_add(1) };
        let run = match &outcome {
            Ok(run) => run.clone(),
            Err(error) => {
                SourceRun { at: self.now(), ok: false, message: error.message.clone(), series: Vec::new() }
            }
        };
        let wait = schedule::wait_seconds(spec.every_seconds, failures);
        let due_at = self.now().plus_micros(i64::from(wait) * MICROS_PER_SECOND);
        self.store.end_source_run(&record.name, due_at, failures, &to_json(&run)?).await?;
        outcome
    }

    /// Asks, reads, and keeps what is new.
    async fn fetch(&self, spec: &SourceSpec) -> Result<SourceRun> {
        let now = self.now();
        let call = Call::get(url::filled(spec, now)?);
        let document: Document = self
            .outward
            .sources
            .send(&call, |answer| match spec.kind {
                SourceKind::OpenMeteo => open_meteo::read(&answer.body),
                SourceKind::Entsoe => entsoe::read(&answer.body),
            })
            .await?;
        if let Some(reason) = document.empty {
            let message = format!("the source has nothing for this time: {reason}");
            return Ok(SourceRun { at: now, ok: true, message, series: Vec::new() });
        }
        // All columns are looked at before any is kept: a source that lies in one is not to be believed in another.
        let mut good = Vec::new();
        for (variable, name) in &spec.series {
            let column = document.column(variable)?;
            column.check(now)?;
            let series = self.series_for(name, column).await?;
            good.push((series, column));
        }
        let mut run = SourceRun { at: now, ok: true, message: String::new(), series: Vec::new() };
        for (series, column) in good {
            run.series.push(self.keep_column(&series, column, now).await?);
        }
        let (read, stored) =
            run.series.iter().fold((0, 0), |(read, stored), s| (read + s.read, stored + s.stored));
        run.message = format!("{read} values read, {stored} new or changed");
        Ok(run)
    }

    /// The series that a column goes to, made from the answer when there is none yet; the units must agree.
    async fn series_for(&self, name: &SeriesName, column: &Column) -> Result<Series> {
        let Some((series, _)) = self.store.get_series(name).await? else {
            let series = Series {
                name: name.clone(),
                kind: units::kind(&column.unit),
                unit: units::plain(&column.unit),
                resolution: column.step,
                time_zone: Zone::utc(),
                location: column.location,
                holiday_region: None,
                parent: None,
            };
            self.put_series(&series).await?;
            return Ok(series);
        };
        if !series.unit.is_empty() && !units::same(&series.unit, &column.unit) {
            return Err(Error::invalid(format!(
                "`{}` comes in `{}` and the series `{name}` is in `{}`: ask the source for that unit, or feed another series",
                column.name, column.unit, series.unit
            )));
        }
        if series.resolution != column.step {
            return Err(Error::invalid(format!(
                "`{}` comes every {} and the series `{name}` has a step of {}",
                column.name, column.step, series.resolution
            )));
        }
        Ok(series)
    }

    /// Keeps what differs from what was known, as known since `now`: what is the same is no new vintage.
    async fn keep_column(&self, series: &Series, column: &Column, now: Time) -> Result<SeriesRun> {
        let read = column.points.len() as u64;
        let mut run = SeriesRun { series: series.name.clone(), read, stored: 0, unchanged: 0 };
        let (Some(first), Some(last)) = (column.points.first(), column.points.last()) else { return Ok(run) };
        let range =
            ObservationRange { series: series.name.clone(), from: first.0, to: last.0.plus_micros(1) };
        let known = self.store.read_as_of(&range, now).await?;
        let known: BTreeMap<Time, f64> =
            known.into_iter().map(|Observation { valid_time, value, .. }| (valid_time, value)).collect();
        let new: Vec<NewObservation> = column
            .points
            .iter()
            .filter(|(valid_time, value)| known.get(valid_time) != Some(value))
            .map(|&(valid_time, value)| NewObservation { valid_time, available_at: Some(now), value })
            .collect();
        run.unchanged = read - new.len() as u64;
        if !new.is_empty() {
            run.stored = self.write_observations(&series.name, &new).await?.stored;
        }
        Ok(run)
    }
}

fn spec_of(record: &SourceRecord) -> Result<SourceSpec> {
    serde_json::from_value(record.spec.clone()).map_err(|error| {
        Error::internal(format!("the source `{}` cannot be read back: {error}", record.name))
    })
}

fn info_of(record: SourceRecord) -> Result<SourceInfo> {
    let spec = spec_of(&record)?;
    let last = record.last.map(serde_json::from_value).transpose();
    let last = last.map_err(|error| Error::internal(format!("the last run cannot be read back: {error}")))?;
    Ok(SourceInfo { spec, next_at: record.due_at, failures: record.failures, last })
}

fn to_json<T: Serialize>(value: &T) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|error| Error::internal(format!("encoding a source: {error}")))
}
