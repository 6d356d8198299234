//! Reading observations from files and request bodies: pure parsers in constant memory, and the import that writes
//! what they read.
//!
//! A file is read three times: once for how it is written ([`inspect`]), once for which times occur (the same
//! call), and once for its values ([`parse`]). Nothing is guessed: what a file leaves open is refused with the
//! option that settles it.

mod error;
mod evidence;
pub mod import;
mod inspect;
pub mod json;
mod layout;
mod numbers;
mod options;
mod parse;
mod place;
mod report;
mod rows;
mod seen;
mod slots;
mod source;
mod survey;
mod times;

#[cfg(test)]
mod tests;

pub use error::ImportError;
pub use import::{SeriesDefaults, import};
pub use inspect::{Detected, Inspection, inspect};
pub use layout::header;
pub use options::{Ambiguous, Availability, ColumnMap, Decimal, ImportOptions, Labels, Limits, RowFilter};
pub use parse::{BATCH_MAX, Batch, Sink, parse};
pub use report::{Gaps, LabelGaps, Reason, RepeatedHour, Report, SeriesReport, Tally};
pub use source::{BytesSource, FileSource, Source};
pub use times::{EpochUnit, TimeFormat, TimeOrder};
