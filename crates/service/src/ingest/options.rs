//! What the caller of an import settles: columns, times, numbers, availability and limits.

use forewatt_domain::{Resolution, SeriesName, Zone};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// Which column feeds which series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMap {
    /// The column's name in the header.
    pub column: String,
    /// The series its values belong to.
    pub series: SeriesName,
}

/// Reads only the rows in which a column holds a word, for files that list many things below each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The column's name in the header.
    pub column: String,
    /// What its field must be, spaces around it ignored.
    pub value: String,
}

/// Which end of its period a time in the file marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// `01:00` is about 01:00 to 02:00.
    Start,
    /// `01:00` is about 00:00 to 01:00 ("hour ending").
    End,
}

/// What an hour the clocks showed twice means when the file holds it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ambiguous {
    /// The first time round, in summer time.
    Earlier,
    /// The second time round, in winter time.
    Later,
}

/// When the values became known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Availability {
    /// When the period they are about had ended.
    #[default]
    AtPeriodEnd,
    /// At the time in this column: one file may then hold several vintages of one valid time.
    Column(String),
    /// This long after the end of the period.
    After(SignedDuration),
    /// All along (a calendar, a tariff).
    Known,
}

/// The character before the fraction of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decimal {
    /// `1234.5`, perhaps `1,234.5`.
    Point,
    /// `1234,5`, perhaps `1.234,5`.
    Comma,
}

/// Bounds on what one import may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, in bytes; longer ones are rejected.
    pub max_line_bytes: usize,
    /// The most bytes after decompression.
    pub max_bytes: u64,
    /// The most bytes a byte of gzip may become, judged once 16 MiB came out.
    pub max_gzip_ratio: u64,
    /// The most value columns.
    pub max_columns: usize,
    /// The most memory for remembering which times were seen, in bytes.
    pub max_slot_bytes: usize,
    /// The most values of repeated times that are remembered for comparing within the file; the store judges the rest.
    pub max_duplicates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_line_bytes: 1 << 20,
            max_bytes: 1 << 38,
            max_gzip_ratio: 400,
            max_columns: 1_000,
            max_slot_bytes: 128 << 20,
            max_duplicates: 1_000_000,
        }
    }
}

/// Everything the caller settles; what is `None` is detected, and refused when the file leaves it open.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// The value columns, at least one.
    pub columns: Vec<ColumnMap>,
    /// The column of valid times.
    pub time_column: String,
    /// The zone whose clocks naive times were read from.
    pub time_zone: Option<Zone>,
    /// A strptime format; detected when `None`.
    pub time_format: Option<String>,
    /// Start when `None`, unless the file's clock changes speak for ends: then it is refused.
    pub labels: Option<Labels>,
    /// Single readings of a repeated hour are rejected when `None`.
    pub ambiguous: Option<Ambiguous>,
    /// When the values became known.
    pub available: Availability,
    /// Detected when `None`.
    pub decimal: Option<Decimal>,
    /// Detected among `,` `;` tab and `|` when `None`.
    pub delimiter: Option<u8>,
    /// The most frequent distance between neighbouring times when `None`.
    pub resolution: Option<Resolution>,
    /// A value that differs from the stored one of the same availability is kept as a correction known now; else it
    /// is rejected.
    pub revise: bool,
    /// Only rows that match all of these are read.
    pub only: Vec<RowFilter>,
    /// Bounds.
    pub limits: Limits,
}

impl ImportOptions {
    /// Everything else detected or at its default.
    #[must_use]
    pub fn new(time_column: &str, columns: Vec<ColumnMap>) -> Self {
        Self {
            columns,
            time_column: time_column.to_owned(),
            time_zone: None,
            time_format: None,
            labels: None,
            ambiguous: None,
            available: Availability::default(),
            decimal: None,
            delimiter: None,
            resolution: None,
            revise: false,
            only: Vec::new(),
            limits: Limits::default(),
        }
    }
}
