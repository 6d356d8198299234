//! The look before the reading: two passes that settle how the file is written, or refuse it.

use std::fmt;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Resolution, Zone};
use serde::Serialize;

use super::error::ImportError;
use super::evidence::TimeEvidence;
use super::layout::Layout;
use super::numbers::{NumberEvidence, is_missing};
use super::options::{Availability, Decimal, ImportOptions, Labels};
use super::place::Placer;
use super::report::LabelGaps;
use super::rows::{Row, Rows};
use super::source::Source;
use super::survey::Survey;
use super::times::{TimeFormat, TimeOrder};

/// How a file was understood.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Detected {
    /// The character between fields.
    pub delimiter: char,
    /// The decimal character.
    pub decimal: Decimal,
    /// The format of the times.
    pub time: TimeFormat,
    /// The zone naive times were read in; `None` when every time carries an offset.
    pub time_zone: Option<Zone>,
    /// Which end of its period a time marks.
    pub labels: Labels,
    /// The step between values.
    pub resolution: Resolution,
    /// The newest rows come first.
    pub descending: bool,
}

impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delimiter = match self.delimiter {
            '\t' => "tab".to_owned(),
            other => format!("`{other}`"),
        };
        let decimal = match self.decimal {
            Decimal::Point => "decimal point",
            Decimal::Comma => "decimal comma",
        };
        let order = match (&self.time.custom, self.time.order) {
            (Some(format), _) => format!("times as `{format}`"),
            (None, TimeOrder::DayFirst) => "day-first dates".to_owned(),
            (None, TimeOrder::MonthFirst) => "month-first dates".to_owned(),
            (None, TimeOrder::Named) => "dates with named months".to_owned(),
            (None, TimeOrder::Epoch(unit)) => format!("times as {unit:?} since 1970").to_lowercase(),
            (None, _) => "ISO dates".to_owned(),
        };
        let zone = match &self.time_zone {
            Some(zone) => format!("clocks of {zone}"),
            None => "times with offsets".to_owned(),
        };
        let labels = match self.labels {
            Labels::Start => "start",
            Labels::End => "end",
        };
        let newest = if self.descending { ", newest first" } else { "" };
        write!(
            f,
            "{delimiter} between fields, {decimal}, {order}, {zone}, times mark the {labels} of {}{newest}",
            self.resolution
        )
    }
}

/// What [`inspect`] found; [`super::parse`] reads by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// How the file is written.
    pub detected: Detected,
    /// What a reader must know.
    pub warnings: Vec<String>,
    /// Gaps between naive labels as written.
    pub label_gaps: Option<LabelGaps>,
    pub(super) layout: Layout,
    pub(super) available: Option<TimeFormat>,
    pub(super) survey: Survey,
    pub(super) placer: Placer,
}

/// Reads the whole source twice and settles everything the options leave open.
///
/// # Errors
/// [`ImportError`] when the source cannot be read or the file leaves something open; the text names the option
/// that settles it.
pub fn inspect(source: &dyn Source, options: &ImportOptions) -> Result<Inspection, ImportError> {
    let layout = Layout::find(source, options)?;
    let notation = Notation::read(source, options, &layout)?;
    let time = notation.time.settle(&options.time_column, options.time_zone.as_ref())?;
    let available = match (&notation.available, &options.available) {
        (Some(evidence), Availability::Column(column)) => {
            Some(evidence.settle(column, options.time_zone.as_ref())?)
        }
        _ => None,
    };
    let (decimal, number_note) = match options.decimal {
        Some(decimal) => (decimal, None),
        None => notation.numbers.settle(layout.delimiter)?,
    };
    let survey = survey(source, options, &layout, &time)?;
    let (resolution, step_note) = match options.resolution {
        Some(resolution) => (resolution, None),
        None => survey.resolution()?,
    };
    let mut warnings: Vec<String> = number_note.into_iter().chain(step_note).collect();
    let naive = notation.time.naive();
    let labels = settle_labels(&survey, options, naive, resolution, &mut warnings)?;
    let placer = placer(&survey, options, (naive, labels, resolution));
    notation_notes(&notation, &layout, &placer, &mut warnings);
    let zone = options.time_zone.clone().filter(|_| naive);
    let label_gaps =
        zone.as_ref().filter(|_| !placer.dates).map(|zone| survey.label_gaps(zone, labels, resolution));
    let detected = Detected {
        delimiter: char::from(layout.delimiter),
        decimal,
        time,
        time_zone: zone,
        labels,
        resolution,
        descending: survey.descending(),
    };
    Ok(Inspection { detected, warnings, label_gaps, layout, available, survey, placer })
}

/// What the first pass collects.
struct Notation {
    time: TimeEvidence,
    available: Option<TimeEvidence>,
    numbers: NumberEvidence,
}

impl Notation {
    fn read(source: &dyn Source, options: &ImportOptions, layout: &Layout) -> Result<Self, ImportError> {
        let mut this = Self {
            time: TimeEvidence::new(options.time_format.as_deref()),
            available: layout.available.map(|_| TimeEvidence::new(None)),
            numbers: NumberEvidence::default(),
        };
        let (mut rows, mut wanted) = (Rows::open(source, &options.limits, layout.shape())?, 0_u64);
        loop {
            let line = match rows.next()? {
                Row::End => break,
                Row::Bad(..) => continue,
                Row::Good(line) => line,
            };
            let record = rows.record();
            if !layout.wants(record) {
                continue;
            }
            wanted += 1;
            this.time.observe(line, record.field(layout.time));
            if let (Some(evidence), Some(column)) = (&mut this.available, layout.available) {
                evidence.observe(line, record.field(column));
            }
            for column in &layout.values {
                let text = record.field(*column);
                if options.decimal.is_none() && !is_missing(text) {
                    this.numbers.observe(line, text);
                }
            }
        }
        if wanted == 0 {
            return Err(ImportError::Empty { what: "rows to read" });
        }
        Ok(this)
    }
}

/// The second pass.
fn survey(
    source: &dyn Source,
    options: &ImportOptions,
    layout: &Layout,
    time: &TimeFormat,
) -> Result<Survey, ImportError> {
    let mut survey = Survey::default();
    let mut rows = Rows::open(source, &options.limits, layout.shape())?;
    loop {
        match rows.next()? {
            Row::End => return Ok(survey),
            Row::Bad(..) => {}
            Row::Good(_) => {
                let record = rows.record();
                if layout.wants(record)
                    && let Ok(stamp) = time.stamp(record.field(layout.time))
                {
                    survey.observe(stamp, options)?;
                }
            }
        }
    }
}

/// Starts unless the caller says ends; refused when the clock changes in the file contradict an unsaid start.
fn settle_labels(
    survey: &Survey,
    options: &ImportOptions,
    naive: bool,
    resolution: Resolution,
    warnings: &mut Vec<String>,
) -> Result<Labels, ImportError> {
    let Some(zone) = options.time_zone.as_ref().filter(|_| naive) else {
        return Ok(options.labels.unwrap_or(Labels::Start));
    };
    let votes = survey.label_votes(zone, resolution);
    let labels = options.labels.unwrap_or(Labels::Start);
    if labels == Labels::Start && votes.speaks_for_ends() {
        let example = votes.example.clone().unwrap_or_else(|| "a skipped hour in spring".to_owned());
        if options.labels.is_none() {
            return Err(ImportError::Options {
                problem: format!(
                    "the times look like the ends of their periods: around the clock changes of {zone}, {} labels come twice one step after the repeated hour and {} stand at an hour the clocks skipped (such as {example}). Give --labels end, or --labels start to read them as starts all the same",
                    votes.end, votes.skipped_then_hole
                ),
            });
        }
        warnings.push(format!(
            "the times look like the ends of their periods (clock changes such as {example}): --labels end would read them so"
        ));
    }
    if labels == Labels::End && votes.start > 0 && votes.end == 0 {
        warnings.push(
            "the repeated hours look as if times marked the start of their periods: --labels start would read them so"
                .to_owned(),
        );
    }
    if votes.skipped > votes.skipped_then_hole + 1 && votes.start == 0 && votes.end == 0 {
        warnings.push(format!(
            "{} times stand at hours the clocks of {zone} skipped and no hour comes twice: the file may be in UTC or in winter time all year (--time-zone UTC, or a fixed zone such as Etc/GMT+5)",
            votes.skipped
        ));
    }
    Ok(labels)
}

fn placer(
    survey: &Survey,
    options: &ImportOptions,
    (naive, labels, resolution): (bool, Labels, Resolution),
) -> Placer {
    let mut placer = Placer {
        zone: options.time_zone.clone().unwrap_or_else(Zone::utc),
        labels,
        resolution,
        phase: 0,
        ambiguous: options.ambiguous,
        dates: naive && resolution.micros() == MICROS_PER_DAY,
    };
    let start = |micros| placer.start(super::times::Stamp { micros, naive });
    placer.phase = survey.phase(resolution.micros(), start);
    placer
}

fn notation_notes(notation: &Notation, layout: &Layout, placer: &Placer, warnings: &mut Vec<String>) {
    if layout.latin1 {
        warnings.push("the header is not UTF-8 and was read as Latin-1".to_owned());
    }
    if notation.time.mixed_offsets() {
        warnings.push(format!("some times carry an offset, others were read in {}", placer.zone));
    }
    if placer.dates {
        warnings.push(format!(
            "one value a day: each is kept at 00:00 UTC of its date and known when the day has ended in {}",
            placer.zone
        ));
    }
    if notation.numbers.grouped > 0 {
        warnings.push("thousands separators were understood and left out".to_owned());
    }
}
