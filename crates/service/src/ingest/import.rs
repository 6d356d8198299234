//! The import: parse on one thread, write on another, and report what became of every row.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::Arc;

use forewatt_domain::{Location, Observation, Resolution, Series, SeriesKind, SeriesName, Time, Zone};
use forewatt_store::{ObservationStore, SeriesStore, WriteOutcome};
use tokio::sync::mpsc;

use super::error::ImportError;
use super::inspect::inspect;
use super::options::ImportOptions;
use super::parse::{Batch, parse};
use super::report::{Reason, Report, Tally};
use super::source::Source;

/// How series that do not exist yet are described.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SeriesDefaults {
    /// Empty when not told.
    pub unit: String,
    /// Guessed from the names when `None`, and the report says so.
    pub kind: Option<SeriesKind>,
    /// The zone naive times were read in, else UTC, when `None`.
    pub time_zone: Option<Zone>,
    /// Where it is.
    pub location: Option<Location>,
    /// Whose holidays shape it.
    pub holiday_region: Option<String>,
}

/// What the reading thread tells.
enum Message {
    /// Bytes read so far in all passes together.
    Bytes(u64),
    Batches(Vec<Batch>, Resolution),
}

/// How many messages may wait: a few batches, so memory stays bounded when the store is slow.
const WAITING_MAX: usize = 4;
/// The file is read this many times.
const PASSES: u64 = 3;

/// Imports a source: parses, creates series that do not exist, writes, and reports.
///
/// `progress` gets bytes done and bytes in all. With `dry_run` nothing is created or written. Running it again
/// changes nothing: the same observations are found unchanged.
///
/// # Errors
/// [`ImportError`] when the file is refused, reading fails or the store fails. What was written before stays.
pub async fn import<S>(
    store: &S,
    source: Arc<dyn Source>,
    mut options: ImportOptions,
    defaults: &SeriesDefaults,
    dry_run: bool,
    progress: impl Fn(u64, u64) + Send + Sync,
    now: Time,
) -> Result<Report, ImportError>
where
    S: SeriesStore + ObservationStore + Sync,
{
    let (existing, anchors) = existing(store, &options).await?;
    settle_resolution(&mut options, &existing)?;
    let total = source.byte_len();
    let (send, mut receive) = mpsc::channel(WAITING_MAX);
    let given = options.clone();
    let reader = tokio::task::spawn_blocking(move || read(source, &given, &send));
    let mut writer = Writer {
        store,
        options: &options,
        defaults,
        dry_run,
        now,
        existing,
        anchors,
        notes: Vec::new(),
        written: HashMap::new(),
    };
    writer.note_ignored_defaults();
    while let Some(message) = receive.recv().await {
        match message {
            Message::Bytes(bytes) => progress((bytes / PASSES).min(total), total),
            Message::Batches(batches, resolution) => writer.write(batches, resolution).await?,
        }
    }
    let mut report = reader.await.map_err(|_| ImportError::Stopped)??;
    progress(total, total);
    report.dry_run = dry_run;
    writer.finish(&mut report);
    Ok(report)
}

/// The series that exist, by name, and the first valid time of those that hold values.
async fn existing<S: SeriesStore>(
    store: &S,
    options: &ImportOptions,
) -> Result<(HashMap<SeriesName, Series>, HashMap<SeriesName, Time>), ImportError> {
    let (mut found, mut anchors) = (HashMap::new(), HashMap::new());
    for column in &options.columns {
        if let Some((series, state)) = store.get_series(&column.series).await? {
            anchors.extend(state.first_valid_time.map(|first| (column.series.clone(), first)));
            found.insert(column.series.clone(), series);
        }
    }
    Ok((found, anchors))
}

/// A series that exists sets the step.
fn settle_resolution(
    options: &mut ImportOptions,
    existing: &HashMap<SeriesName, Series>,
) -> Result<(), ImportError> {
    let mut series = options.columns.iter().filter_map(|c| existing.get(&c.series));
    let Some(first) = series.next() else { return Ok(()) };
    let given = options.resolution.unwrap_or(first.resolution);
    if let Some(other) = std::iter::once(first).chain(series).find(|s| s.resolution != given) {
        return Err(ImportError::Resolution {
            problem: format!("is to be {given}, but the series `{}` has {}", other.name, other.resolution),
            mend: "import into a series of another name, or leave --resolution out".to_owned(),
        });
    }
    options.resolution = Some(given);
    Ok(())
}

/// The blocking half.
fn read(
    source: Arc<dyn Source>,
    options: &ImportOptions,
    send: &mpsc::Sender<Message>,
) -> Result<Report, ImportError> {
    let metered = Metered { inner: source, send: send.clone(), pass: std::sync::atomic::AtomicU64::new(0) };
    let inspection = inspect(&metered, options)?;
    let resolution = inspection.detected.resolution;
    parse(&metered, options, &inspection, &mut |batches| {
        send.blocking_send(Message::Batches(batches, resolution)).map_err(|_| ImportError::Stopped)
    })
}

/// A source that tells how far it is read.
struct Metered {
    inner: Arc<dyn Source>,
    send: mpsc::Sender<Message>,
    pass: std::sync::atomic::AtomicU64,
}

impl Source for Metered {
    fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        // The header's look is the pass before the first.
        let pass = self.pass.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let before = pass.saturating_sub(1).min(PASSES - 1) * self.inner.byte_len();
        let (inner, send) = (self.inner.open()?, self.send.clone());
        Ok(Box::new(MeteredReader { inner, send, before, done: 0, told: 0 }))
    }
    fn byte_len(&self) -> u64 {
        self.inner.byte_len()
    }
}

struct MeteredReader {
    inner: Box<dyn Read + Send>,
    send: mpsc::Sender<Message>,
    before: u64,
    done: u64,
    told: u64,
}

impl Read for MeteredReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.done += n as u64;
        if self.done - self.told > 1 << 18 {
            self.told = self.done;
            let told = self.send.blocking_send(Message::Bytes(self.before + self.done));
            told.map_err(|_| io::Error::other(ImportError::Stopped))?; // the caller has gone: stop reading
        }
        Ok(n)
    }
}

/// What became of one series' observations.
#[derive(Default)]
struct Written {
    stored: u64,
    unchanged: u64,
    conflicts: Tally,
}

struct Writer<'a, S> {
    store: &'a S,
    options: &'a ImportOptions,
    defaults: &'a SeriesDefaults,
    dry_run: bool,
    now: Time,
    existing: HashMap<SeriesName, Series>,
    /// An instant on the grid of each series that holds values.
    anchors: HashMap<SeriesName, Time>,
    notes: Vec<String>,
    written: HashMap<SeriesName, Written>,
}

impl<S: SeriesStore + ObservationStore + Sync> Writer<'_, S> {
    async fn write(&mut self, batches: Vec<Batch>, resolution: Resolution) -> Result<(), ImportError> {
        for batch in batches {
            self.create(&batch.series, resolution).await?;
            self.check_phase(&batch, resolution)?;
            if self.dry_run {
                continue;
            }
            let outcome = self.store.write_observations(&batch.series, &batch.observations).await?;
            if self.options.revise && outcome.conflict_count > 0 {
                self.revise(&batch).await?;
            } else {
                self.count(&batch, &outcome);
            }
        }
        Ok(())
    }

    /// A file whose periods begin at other minutes than the series' must not mix two grids in it.
    fn check_phase(&self, batch: &Batch, resolution: Resolution) -> Result<(), ImportError> {
        let (Some(first), Some(anchor)) = (batch.observations.first(), self.anchors.get(&batch.series))
        else {
            return Ok(());
        };
        if first.valid_time.micros_since(*anchor) % resolution.micros() == 0 {
            return Ok(());
        }
        Err(ImportError::Resolution {
            problem: format!(
                "fits, but not its phase: a period of the file begins at {}, those of `{}` lie whole {resolution} from {anchor}",
                first.valid_time, batch.series
            ),
            mend: "import into a series of another name".to_owned(),
        })
    }

    /// Writes the values that differ from what is stored as corrections that become known now.
    async fn revise(&mut self, batch: &Batch) -> Result<(), ImportError> {
        for from in (0..batch.observations.len()).step_by(WriteOutcome::MAX_CONFLICTS) {
            let to = (from + WriteOutcome::MAX_CONFLICTS).min(batch.observations.len());
            let part = Batch {
                series: batch.series.clone(),
                observations: batch.observations[from..to].to_vec(),
                lines: batch.lines[from..to].to_vec(),
            };
            let mut outcome = self.store.write_observations(&part.series, &part.observations).await?;
            let corrected = outcome
                .conflicts
                .iter()
                .map(|&i| Observation { available_at: self.now, ..part.observations[i] });
            let corrected: Vec<Observation> = corrected.collect();
            let revised = self.store.write_observations(&part.series, &corrected).await?;
            outcome.stored += revised.stored;
            outcome.unchanged += revised.unchanged;
            outcome.conflicts = revised.conflicts.iter().map(|&i| outcome.conflicts[i]).collect();
            outcome.conflict_count = revised.conflict_count;
            self.count(&part, &outcome);
        }
        Ok(())
    }

    /// What is told about a series that exists already is not applied, and that is said.
    fn note_ignored_defaults(&mut self) {
        let told = self.defaults;
        for (name, series) in &self.existing {
            let differs = (!told.unit.is_empty() && told.unit != series.unit)
                || told.kind.is_some_and(|kind| kind != series.kind)
                || (told.location.is_some() && told.location != series.location)
                || (told.holiday_region.is_some() && told.holiday_region != series.holiday_region);
            if differs {
                self.notes.push(format!(
                    "`{name}` exists and keeps its description: change unit, kind, location or holidays with `forewatt series set {name}`"
                ));
            }
        }
    }

    /// Creates the series when its first values arrive, so a file of rubbish leaves no empty series behind.
    async fn create(&mut self, name: &SeriesName, resolution: Resolution) -> Result<(), ImportError> {
        if self.existing.contains_key(name) {
            return Ok(());
        }
        let column = self.options.columns.iter().find(|c| c.series == *name);
        let column = column.map_or("", |c| c.column.as_str());
        let kind = self.defaults.kind.unwrap_or_else(|| {
            let kind = guess_kind(name.as_str(), column);
            self.notes.push(format!(
                "the series `{name}` is taken as of kind `{kind}` by its name (--kind sets another)"
            ));
            kind
        });
        let zone = self.defaults.time_zone.clone().or_else(|| self.options.time_zone.clone());
        let series = Series {
            name: name.clone(),
            kind,
            unit: self.defaults.unit.clone(),
            resolution,
            time_zone: zone.unwrap_or_else(Zone::utc),
            location: self.defaults.location,
            holiday_region: self.defaults.holiday_region.clone(),
            parent: None,
        };
        if !self.dry_run {
            self.store.put_series(&series, self.now).await?;
        }
        self.existing.insert(name.clone(), series);
        Ok(())
    }

    fn count(&mut self, batch: &Batch, outcome: &WriteOutcome) {
        let written = self.written.entry(batch.series.clone()).or_default();
        written.stored += outcome.stored;
        written.unchanged += outcome.unchanged;
        for i in &outcome.conflicts {
            let (Some(line), Some(o)) = (batch.lines.get(*i), batch.observations.get(*i)) else { continue };
            let example = || format!("{} of {} at {}", o.value, batch.series, o.valid_time);
            written.conflicts.add(*line, example);
        }
        let listed = outcome.conflicts.len() as u64;
        written.conflicts.count += outcome.conflict_count.saturating_sub(listed);
    }

    fn finish(mut self, report: &mut Report) {
        for series in &mut report.series {
            let Some(written) = self.written.remove(&series.series) else { continue };
            (series.stored, series.unchanged) = (written.stored, written.unchanged);
            report.stored += written.stored;
            report.unchanged += written.unchanged;
            if written.conflicts.count > 0 {
                let tally = report.rejected.entry(Reason::ConflictsWithStored).or_default();
                tally.count += written.conflicts.count;
                tally.lines.extend(written.conflicts.lines);
                tally.lines.truncate(super::report::LISTED_LINES);
                tally.example = tally.example.take().or(written.conflicts.example);
            }
        }
        report.warnings.append(&mut self.notes);
    }
}

/// A kind by the words in a series' and its column's name.
fn guess_kind(series: &str, column: &str) -> SeriesKind {
    const WORDS: [(&str, SeriesKind); 22] = [
        ("windspeed", SeriesKind::Weather),
        ("irradiance", SeriesKind::Weather),
        ("radiation", SeriesKind::Weather),
        ("humidity", SeriesKind::Weather),
        ("cloud", SeriesKind::Weather),
        ("ghi", SeriesKind::Weather),
        ("dni", SeriesKind::Weather),
        ("kmh", SeriesKind::Weather),
        ("temperature", SeriesKind::Temperature),
        ("temp", SeriesKind::Temperature),
        ("solar", SeriesKind::Solar),
        ("pv", SeriesKind::Solar),
        ("photovoltaic", SeriesKind::Solar),
        ("wind", SeriesKind::Wind),
        ("price", SeriesKind::Price),
        ("eur", SeriesKind::Price),
        ("usd", SeriesKind::Price),
        ("load", SeriesKind::Load),
        ("demand", SeriesKind::Load),
        ("consumption", SeriesKind::Load),
        ("mw", SeriesKind::Load),
        ("kwh", SeriesKind::Load),
    ];
    let text = format!("{series} {column}").to_lowercase().replace("wind_speed", "windspeed");
    let tokens: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let found = WORDS.iter().find(|(word, _)| tokens.contains(word));
    found.map_or(SeriesKind::Other, |(_, kind)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_name() {
        for (series, column, kind) in [
            ("spain.load", "load_mw", SeriesKind::Load),
            ("a", "wind_kmh", SeriesKind::Weather),
            ("a", "wind_speed", SeriesKind::Weather),
            ("a", "price_spot_eur_mwh", SeriesKind::Price),
            ("a", "temp_madrid", SeriesKind::Temperature),
            ("pjme", "PJME_MW", SeriesKind::Load),
            ("x", "y", SeriesKind::Other),
        ] {
            assert_eq!(guess_kind(series, column), kind, "{series} {column}");
        }
    }
}
