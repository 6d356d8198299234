//! The reading: rows become observations, in batches, and everything that does not is counted with its line.

use std::collections::HashMap;

use forewatt_domain::{Observation, SeriesName, Time};

use super::error::ImportError;
use super::inspect::Inspection;
use super::numbers::{self, is_missing};
use super::options::{Availability, ImportOptions};
use super::place::{Period, Turn};
use super::report::{Gaps, LISTED_GAPS, Reason, RepeatedHour, Report, SeriesReport, Tally};
use super::rows::{Record, Row, Rows, shown};
use super::slots::{SlotSet, check_memory};
use super::source::Source;
use super::times::{Stamp, civil_of, civil_text};

/// The most observations of one series in a batch.
pub const BATCH_MAX: usize = 50_000;

/// Observations of one series in the file's order, with the lines they stand on.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Whose.
    pub series: SeriesName,
    /// At most [`BATCH_MAX`].
    pub observations: Vec<Observation>,
    /// One line number an observation.
    pub lines: Vec<u64>,
}

/// Takes batches as they fill.
pub type Sink<'a> = &'a mut dyn FnMut(Vec<Batch>) -> Result<(), ImportError>;

/// Reads the source as `inspection` of the same source says and hands batches to `sink`.
///
/// The report's counts of stored and unchanged observations are 0: only the sink's owner knows them.
///
/// # Errors
/// [`ImportError`] when reading fails, a limit is exceeded or the sink refuses. Bad rows are no error.
pub fn parse(
    source: &dyn Source,
    options: &ImportOptions,
    inspection: &Inspection,
    sink: Sink<'_>,
) -> Result<Report, ImportError> {
    let mut parser = Parser::new(options, inspection);
    let mut rows = Rows::open(source, &options.limits, inspection.layout.shape())?;
    loop {
        match rows.next()? {
            Row::End => break,
            Row::Bad(line, reason, example) => {
                parser.report.rows_read += 1;
                parser.report.reject(reason, line, || example);
            }
            Row::Good(line) => {
                parser.report.rows_read += 1;
                parser.row(line, rows.record())?;
                if parser.batches.iter().any(|b| b.observations.len() >= BATCH_MAX) {
                    sink(parser.take_batches())?;
                }
            }
        }
    }
    let rest = parser.take_batches();
    if !rest.is_empty() {
        sink(rest)?;
    }
    Ok(parser.finish())
}

/// The first row of a time that comes more than once.
struct First {
    line: u64,
    /// One per column; NaN where it had none.
    values: Vec<f64>,
}

struct Parser<'a> {
    options: &'a ImportOptions,
    inspection: &'a Inspection,
    report: Report,
    batches: Vec<Batch>,
    /// Slots with a value, per column.
    slots: Vec<SlotSet>,
    /// Rows of times that repeat, by valid time.
    repeats: HashMap<i64, First>,
    /// Lines on which a reading of a repeated hour was seen, by label.
    turns: HashMap<i64, Vec<u64>>,
    values: Vec<f64>,
    since_check: u32,
}

impl<'a> Parser<'a> {
    fn new(options: &'a ImportOptions, inspection: &'a Inspection) -> Self {
        let series = |c: &super::options::ColumnMap| SeriesReport {
            column: c.column.clone(),
            series: c.series.clone(),
            values: 0,
            missing: Tally::default(),
            gaps: Gaps::default(),
            first: None,
            last: None,
            stored: 0,
            unchanged: 0,
        };
        let report = Report {
            rows_read: 0,
            rows_filtered: 0,
            dry_run: false,
            stored: 0,
            unchanged: 0,
            rejected: Default::default(),
            duplicates_dropped: Tally::default(),
            repeated_hours: 0,
            repeated: Vec::new(),
            label_gaps: inspection.label_gaps.clone(),
            series: options.columns.iter().map(series).collect(),
            resolution: inspection.detected.resolution,
            from: None,
            to: None,
            detected: inspection.detected.clone(),
            warnings: inspection.warnings.clone(),
        };
        let batch = |c: &super::options::ColumnMap| Batch {
            series: c.series.clone(),
            observations: Vec::new(),
            lines: Vec::new(),
        };
        Self {
            options,
            inspection,
            report,
            batches: options.columns.iter().map(batch).collect(),
            slots: vec![SlotSet::default(); options.columns.len()],
            repeats: HashMap::new(),
            turns: HashMap::new(),
            values: vec![f64::NAN; options.columns.len()],
            since_check: 0,
        }
    }

    fn row(&mut self, line: u64, record: &Record) -> Result<(), ImportError> {
        let layout = &self.inspection.layout;
        if !layout.wants(record) {
            self.report.rows_filtered += 1;
            return Ok(());
        }
        let text = record.field(layout.time);
        if is_missing(text) {
            self.report.reject(Reason::MissingTime, line, || shown(text));
            return Ok(());
        }
        let read = self.inspection.detected.time.stamp(text).and_then(|stamp| {
            let turn = self.turn(line, stamp);
            Ok((stamp, self.inspection.placer.place(stamp, turn)?))
        });
        let read = read.and_then(|(stamp, period)| Ok((stamp, period, self.available(record, period)?)));
        let (stamp, period, available) = match read {
            Ok(read) => read,
            Err(reason) => {
                self.report.reject(reason, line, || format!("`{}`", shown(text)));
                return Ok(());
            }
        };
        self.read_values(line, record);
        let vintages = matches!(self.options.available, Availability::Column(_));
        let label = stamp.micros;
        if !vintages && self.inspection.survey.is_repeated(label) && !self.keep_new(line, text, period) {
            return Ok(());
        }
        self.emit(line, period, available)
    }

    /// Which of its two occurrences a reading of a repeated hour is; the file's order decides.
    fn turn(&mut self, line: u64, stamp: Stamp) -> Turn {
        let (placer, survey) = (&self.inspection.placer, &self.inspection.survey);
        // Vintages repeat every time, and so does a file pasted together twice: their order says nothing.
        let day_before = stamp.micros - 86_400_000_000;
        let telling = !matches!(self.options.available, Availability::Column(_))
            && survey.is_repeated(stamp.micros)
            && !survey.is_repeated(day_before);
        if !telling || !placer.is_twofold(stamp) {
            return Turn::Unknown;
        }
        let seen = self.turns.entry(stamp.micros).or_default();
        if seen.len() < 2 {
            seen.push(line);
        } else {
            return Turn::Later; // a third time: compared with the second
        }
        if let [first, second] = seen[..] {
            self.report.repeated_hours += 1;
            if self.report.repeated.len() < LISTED_GAPS {
                let label = civil_text(stamp.micros);
                self.report.repeated.push(RepeatedHour { label, lines: (first, second) });
            }
        }
        let rising = !self.inspection.detected.descending;
        if (seen.len() == 1) == rising { Turn::Earlier } else { Turn::Later }
    }

    fn available(&self, record: &Record, period: Period) -> Result<Time, Reason> {
        match (&self.options.available, &self.inspection.available, self.inspection.layout.available) {
            (Availability::Known, ..) => Ok(Time::MIN),
            (Availability::After(delay), ..) => Ok(period.end + *delay),
            (Availability::Column(_), Some(format), Some(column)) => {
                let stamp = format.stamp(record.field(column)).map_err(|_| Reason::BadAvailability)?;
                if !super::survey::RANGE.contains(&stamp.micros) {
                    return Err(Reason::BadAvailability);
                }
                if !stamp.naive {
                    return Ok(Time::from_micros(stamp.micros));
                }
                use forewatt_domain::civil::Reading;
                // Of two instants the later one: nothing may count as known too early.
                match self.inspection.placer.zone.read(civil_of(stamp.micros)) {
                    Reading::Once(time) | Reading::Never(time) | Reading::Twice(_, time) => Ok(time),
                }
            }
            _ => Ok(period.end),
        }
    }

    fn read_values(&mut self, line: u64, record: &Record) {
        for (i, column) in self.inspection.layout.values.iter().enumerate() {
            let text = record.field(*column);
            self.values[i] = f64::NAN;
            if is_missing(text) {
                let word = || if text.is_empty() { "empty".to_owned() } else { format!("`{}`", shown(text)) };
                self.report.series[i].missing.add(line, word);
                continue;
            }
            match numbers::parse(text, self.inspection.detected.decimal) {
                Ok(value) => self.values[i] = value,
                Err(reason) => {
                    let name = &self.options.columns[i].column;
                    self.report.reject(reason, line, || format!("`{}` in `{name}`", shown(text)));
                }
            }
        }
    }

    /// Whether no further repeated time can be remembered.
    fn repeats_full(&self) -> bool {
        self.repeats.len() * self.values.len().max(1) >= self.options.limits.max_duplicates
    }

    /// Compares a row with the first of its time; leaves the values that are new. False when there are none.
    fn keep_new(&mut self, line: u64, text: &[u8], period: Period) -> bool {
        if self.repeats_full() && !self.repeats.contains_key(&period.valid.micros()) {
            return true; // the store tells equal from different
        }
        let first = self
            .repeats
            .entry(period.valid.micros())
            .or_insert_with(|| First { line, values: vec![f64::NAN; self.values.len()] });
        let (mut same, mut fresh, mut other) = (false, false, None);
        for (i, (value, kept)) in self.values.iter_mut().zip(&mut first.values).enumerate() {
            if kept.is_nan() {
                fresh |= !value.is_nan();
                *kept = *value;
            } else if !value.is_nan() {
                if value == kept {
                    same = true;
                } else {
                    other = Some((i, *kept, *value));
                }
                *value = f64::NAN;
            }
        }
        let earlier = first.line;
        if let Some((i, kept, value)) = other {
            let column = &self.options.columns[i].column;
            self.report.reject(Reason::ConflictingDuplicate, line, || {
                format!(
                    "`{}` has {value} in `{column}` on line {line} and {kept} on line {earlier}",
                    shown(text)
                )
            });
        } else if same {
            self.report
                .duplicates_dropped
                .add(line, || format!("`{}`, first on line {earlier}", shown(text)));
        }
        fresh
    }

    fn emit(&mut self, line: u64, period: Period, available_at: Time) -> Result<(), ImportError> {
        let slot = self.inspection.placer.slot(period.valid);
        for (i, value) in self.values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            let batch = &mut self.batches[i];
            batch.observations.push(Observation { valid_time: period.valid, available_at, value: *value });
            batch.lines.push(line);
            self.slots[i].insert(slot);
            self.report.series[i].values += 1;
        }
        self.since_check += 1;
        if self.since_check > 1000 {
            self.since_check = 0;
            let bytes = self.slots.iter().map(SlotSet::bytes).sum();
            check_memory(bytes, self.options.limits.max_slot_bytes)?;
        }
        Ok(())
    }

    fn take_batches(&mut self) -> Vec<Batch> {
        let full = self.batches.iter_mut().filter(|b| !b.observations.is_empty());
        full.map(|b| Batch {
            series: b.series.clone(),
            observations: std::mem::take(&mut b.observations),
            lines: std::mem::take(&mut b.lines),
        })
        .collect()
    }

    fn finish(mut self) -> Report {
        for (series, slots) in self.report.series.iter_mut().zip(&self.slots) {
            let mut previous: Option<i64> = None;
            for slot in slots.iter() {
                let missing = slot - previous.unwrap_or(slot - 1) - 1;
                if let (Some(before), 1..) = (previous, missing) {
                    series.gaps.count += 1;
                    series.gaps.steps += missing.unsigned_abs();
                    if series.gaps.first.len() < LISTED_GAPS {
                        let time = |s| self.inspection.placer.time_of(s);
                        series.gaps.first.push((time(before + 1), time(slot)));
                    }
                }
                series.first.get_or_insert(self.inspection.placer.time_of(slot));
                previous = Some(slot);
            }
            series.last = previous.map(|slot| self.inspection.placer.time_of(slot));
        }
        self.report.from = self.report.series.iter().filter_map(|s| s.first).min();
        self.report.to = self.report.series.iter().filter_map(|s| s.last).max();
        self.notes();
        self.report
    }

    fn notes(&mut self) {
        let vintages = matches!(self.options.available, Availability::Column(_));
        if self.inspection.survey.has_repeats() && vintages {
            self.report.warnings.push(
                "times repeat, as vintages do: rows with the same time and availability are compared when they are written"
                    .to_owned(),
            );
        }
        if self.repeats_full() {
            self.report.warnings.push(format!(
                "more than {} times repeat: the rest is compared with what is stored",
                self.repeats.len()
            ));
        }
        if self.report.values() == 0 {
            self.report.warnings.push("no value could be taken from the file".to_owned());
        }
    }
}
