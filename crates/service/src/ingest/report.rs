//! What an import read, stored and rejected, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;

use forewatt_domain::{Resolution, SeriesName, Time};
use serde::Serialize;

use super::inspect::Detected;

/// How many line numbers, gaps or hours are listed one by one; all are counted.
pub const LISTED_LINES: usize = 1_000;
/// How many runs of lines a rendered tally shows.
const SHOWN_RUNS: usize = 30;
/// How many gaps and repeated hours are listed one by one.
pub const LISTED_GAPS: usize = 50;

/// Why a row or value was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// More or fewer fields than the header.
    WrongFieldCount,
    /// A quote that is not closed.
    UnterminatedQuote,
    /// The line exceeds the limit.
    LineTooLong,
    /// The time field is empty.
    MissingTime,
    /// The time field is no time of the file's format.
    BadTime,
    /// Outside 1900 to 2200.
    TimeOutOfRange,
    /// The clocks skipped this reading.
    SkippedHour,
    /// The clocks showed this reading twice and the file holds it once.
    AmbiguousHour,
    /// Not on the grid of the resolution.
    OffGrid,
    /// The availability field is no time.
    BadAvailability,
    /// The value is not a number.
    NotANumber,
    /// The value is infinite.
    NotFinite,
    /// The value's size exceeds 1e15.
    Absurd,
    /// Another row of the file gives this time another value.
    ConflictingDuplicate,
    /// The store holds another value for this time and availability.
    ConflictsWithStored,
}

impl Reason {
    /// The reason in words, with the mend where there is one.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::WrongFieldCount => "another number of fields than the header",
            Self::UnterminatedQuote => "a quote that is never closed",
            Self::LineTooLong => "longer than a line may be",
            Self::MissingTime => "no time",
            Self::BadTime => "not a time in the file's format (--time-format sets another)",
            Self::TimeOutOfRange => "a time outside the years 1900 to 2200",
            Self::SkippedHour => "a clock reading that was skipped in spring",
            Self::AmbiguousHour => {
                "a clock reading that came twice in autumn, once in the file (--ambiguous earlier|later settles it)"
            }
            Self::OffGrid => "a time between the steps of the resolution",
            Self::BadAvailability => "no usable availability time",
            Self::NotANumber => "not a number (--decimal point|comma sets the notation)",
            Self::NotFinite => "an infinite value",
            Self::Absurd => "a value beyond 1e15",
            Self::ConflictingDuplicate => "the time came before with another value; the first one counts",
            Self::ConflictsWithStored => {
                "another value is stored for this time and availability; it stays (--revise keeps the new one as a correction known now; --available-at and --available-after say when it became known)"
            }
        }
    }
}

/// A count with the first lines it comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The first `LISTED_LINES` line numbers.
    pub lines: Vec<u64>,
    /// What the first one looked like.
    pub example: Option<String>,
}

impl Tally {
    /// Counts one more.
    pub fn add(&mut self, line: u64, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.lines.len() < LISTED_LINES && self.lines.last() != Some(&line) {
            self.lines.push(line);
        }
        if self.example.is_none() {
            self.example = Some(example());
        }
    }

    /// `5 (lines 5, 9-11, 20; first: "abc")`.
    fn text(&self) -> String {
        let runs = runs(&self.lines);
        let cut = runs.len() > SHOWN_RUNS || self.count > self.lines.len() as u64;
        let more = if cut { ", ..." } else { "" };
        let lines: Vec<String> = runs.into_iter().take(SHOWN_RUNS).collect();
        let plural = if self.lines.len() > 1 { "lines" } else { "line" };
        let example = self.example.as_ref().map_or(String::new(), |e| format!("; first: {e}"));
        format!("{} ({plural} {}{more}{example})", self.count, lines.join(", "))
    }
}

/// Neighbouring lines together: `9-11`.
fn runs(lines: &[u64]) -> Vec<String> {
    let together = lines.chunk_by(|a, b| *b == a + 1);
    together
        .map(|run| match (run, run.len()) {
            ([only], _) => only.to_string(),
            (_, length) => format!("{}-{}", run[0], run[length - 1]),
        })
        .collect()
}

/// Runs of missing steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Gaps {
    /// How many runs.
    pub count: u64,
    /// How many steps they miss together.
    pub steps: u64,
    /// The first `LISTED_GAPS` runs: first missing time, first time after it.
    pub first: Vec<(Time, Time)>,
}

/// One series' share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesReport {
    /// The column.
    pub column: String,
    /// The series it feeds.
    pub series: SeriesName,
    /// Values taken from the file.
    pub values: u64,
    /// Fields without a value: empty, `NA`, `MISSING`, ...
    pub missing: Tally,
    /// Runs without values between the first and the last.
    pub gaps: Gaps,
    /// First valid time.
    pub first: Option<Time>,
    /// Last valid time.
    pub last: Option<Time>,
    /// New in the store.
    pub stored: u64,
    /// In the store already with the same value.
    pub unchanged: u64,
}

/// An hour the clocks showed twice and the file holds twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepeatedHour {
    /// The label as the file's clock shows it.
    pub label: String,
    /// The lines taken as the earlier and the later hour, in the file's order.
    pub lines: (u64, u64),
}

/// Steps between the labels as the file writes them, before clock changes are understood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LabelGaps {
    /// Runs of labels that do not occur.
    pub count: u64,
    /// How many of these runs are nothing but readings the clocks skipped: nothing is missing there.
    pub skipped_by_clocks: u64,
    /// The first `LISTED_GAPS` runs: the labels before and after.
    pub first: Vec<(String, String)>,
}

/// The outcome of an import.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Rows below the header, blank lines not counted.
    pub rows_read: u64,
    /// Rows left out by a filter.
    pub rows_filtered: u64,
    /// Whether nothing was to be written.
    pub dry_run: bool,
    /// New observations; 0 in a dry run.
    pub stored: u64,
    /// Observations stored already.
    pub unchanged: u64,
    /// Rows and values not taken.
    pub rejected: BTreeMap<Reason, Tally>,
    /// Rows that repeat a time with the same values.
    pub duplicates_dropped: Tally,
    /// Repeated hours found twice, counted.
    pub repeated_hours: u64,
    /// The first of them.
    pub repeated: Vec<RepeatedHour>,
    /// Gaps in the labels as written, for naive times.
    pub label_gaps: Option<LabelGaps>,
    /// One entry a column.
    pub series: Vec<SeriesReport>,
    /// The step between values.
    pub resolution: Resolution,
    /// First valid time of all series.
    pub from: Option<Time>,
    /// Last valid time of all series.
    pub to: Option<Time>,
    /// How the file was read.
    pub detected: Detected,
    /// What a reader must know.
    pub warnings: Vec<String>,
}

impl Report {
    /// Counts a rejection.
    pub fn reject(&mut self, reason: Reason, line: u64, example: impl FnOnce() -> String) {
        self.rejected.entry(reason).or_default().add(line, example);
    }

    /// How many rows and values were rejected.
    #[must_use]
    pub fn rejected_count(&self) -> u64 {
        self.rejected.values().map(|t| t.count).sum()
    }

    /// How many values were taken from the file.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.series.iter().map(|s| s.values).sum()
    }

    /// The report in lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![format!("read        {} rows{}", self.rows_read, self.filtered_text())];
        out.push(format!("understood  {}", self.detected));
        out.push(if self.dry_run {
            format!("stored      nothing (dry run); {} values would be written", self.values())
        } else {
            format!("stored      {} new, {} unchanged", self.stored, self.unchanged)
        });
        if let (Some(from), Some(to)) = (self.from, self.to) {
            out.push(format!("from, to    {from}, {to}, every {}", self.resolution));
        }
        for (reason, tally) in &self.rejected {
            out.push(format!("rejected    {}: {}", reason.text(), tally.text()));
        }
        if self.duplicates_dropped.count > 0 {
            out.push(format!("duplicates  same values, dropped: {}", self.duplicates_dropped.text()));
        }
        self.push_clock_lines(&mut out);
        for series in &self.series {
            push_series_lines(&mut out, series, self.series.len() > 1);
        }
        out.extend(self.warnings.iter().map(|w| format!("note        {w}")));
        out
    }

    fn filtered_text(&self) -> String {
        if self.rows_filtered == 0 {
            return String::new();
        }
        format!(", {} of them left out by --only", self.rows_filtered)
    }

    fn push_clock_lines(&self, out: &mut Vec<String>) {
        if self.repeated_hours > 0 {
            let named: Vec<String> = self
                .repeated
                .iter()
                .map(|r| format!("{} (lines {} and {})", r.label, r.lines.0, r.lines.1))
                .collect();
            out.push(format!(
                "clocks      {} readings came twice in autumn, kept as the earlier and the later: {}",
                self.repeated_hours,
                named.join(", ")
            ));
        }
        let Some(gaps) = self.label_gaps.as_ref().filter(|g| g.count > 0) else {
            return;
        };
        let named: Vec<String> = gaps.first.iter().map(|(a, b)| format!("{a} > {b}")).collect();
        out.push(format!(
            "labels      {} gaps between times as written, {} of them only readings the clocks skipped in spring: {}",
            gaps.count,
            gaps.skipped_by_clocks,
            named.join(", ")
        ));
    }
}

fn push_series_lines(out: &mut Vec<String>, series: &SeriesReport, several: bool) {
    let name = if several { format!("{}: ", series.series) } else { String::new() };
    if several {
        out.push(format!("series      {name}{} values from `{}`", series.values, series.column));
    }
    if series.missing.count > 0 {
        out.push(format!("missing     {name}{}", series.missing.text()));
    }
    if series.gaps.count > 0 {
        let listed: Vec<String> = series.gaps.first.iter().map(|(a, b)| format!("{a}..{b}")).collect();
        let more = if series.gaps.count > listed.len() as u64 { ", ..." } else { "" };
        out.push(format!(
            "gaps        {name}{} ({} steps): {}{more}",
            series.gaps.count,
            series.gaps.steps,
            listed.join(", ")
        ));
    } else if series.values > 0 {
        out.push(format!("gaps        {name}none"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_lines_are_named_together() {
        let mut tally = Tally::default();
        [5, 9, 10, 11, 20].into_iter().for_each(|line| tally.add(line, || format!("on {line}")));
        assert_eq!(tally.text(), "5 (lines 5, 9-11, 20; first: on 5)");
        (0..200).for_each(|i| tally.add(100 + 2 * i, String::new));
        assert!(tally.text().contains("..."), "{}", tally.text());
    }
}
