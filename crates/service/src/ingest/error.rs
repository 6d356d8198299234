//! Why a file or body is refused as a whole, and how to mend it.

use forewatt_store::Error as StoreError;

/// A refusal. Nothing was written unless it comes from the store half-way.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be read.
    #[error("the file cannot be read after line {line}: {detail}")]
    Io {
        /// The last whole line.
        line: u64,
        /// What the system said.
        detail: String,
    },
    /// Gzip ends early or is damaged.
    #[error("the gzip file is damaged or cut off after line {line} ({detail}): fetch or compress it again")]
    Gzip {
        /// The last whole line.
        line: u64,
        /// What the decoder said.
        detail: String,
    },
    /// Too many bytes came out.
    #[error("the file is refused after {bytes} bytes: {why}")]
    TooLarge {
        /// Bytes read so far, decompressed.
        bytes: u64,
        /// Which limit, and the mend.
        why: String,
    },
    /// Not a text table.
    #[error("this is not a CSV file but {what}: {mend}")]
    NotCsv {
        /// What it looks like.
        what: &'static str,
        /// How to make CSV of it.
        mend: &'static str,
    },
    /// There is no data row.
    #[error("the file has no {what}: a CSV file with a header line and at least one row is needed")]
    Empty {
        /// `header` or `rows to read`.
        what: &'static str,
    },
    /// The header lacks a column.
    #[error("there is no column `{column}`; the header on line {line} has: {known}{hint}")]
    UnknownColumn {
        /// What was asked for.
        column: String,
        /// The header's line.
        line: u64,
        /// The names, cut when many.
        known: String,
        /// A similar name, or a word about the delimiter.
        hint: String,
    },
    /// The header names a needed column twice.
    #[error("the header has the column `{column}` more than once: rename one of them")]
    RepeatedColumn {
        /// Which.
        column: String,
    },
    /// The options contradict themselves or a limit.
    #[error("{problem}")]
    Options {
        /// What is wrong, with the mend.
        problem: String,
    },
    /// Two readings are possible and nothing in the file decides.
    #[error("{what} (line {line}: `{example}`): {mend}")]
    Undecided {
        /// What is open.
        what: String,
        /// A line that shows it.
        line: u64,
        /// The field on that line.
        example: String,
        /// The options that settle it.
        mend: String,
    },
    /// Lines speak against each other.
    #[error("{what}: line {line_a} has `{example_a}`, line {line_b} has `{example_b}`: {mend}")]
    Contradiction {
        /// What contradicts itself.
        what: String,
        /// One line.
        line_a: u64,
        /// Its field.
        example_a: String,
        /// A line that speaks against it.
        line_b: u64,
        /// Its field.
        example_b: String,
        /// The options that settle it.
        mend: String,
    },
    /// No step between times could be found, or it does not suit.
    #[error("the step between times {problem}: {mend}")]
    Resolution {
        /// What is wrong.
        problem: String,
        /// How to mend it.
        mend: String,
    },
    /// A limit of the import.
    #[error("{what} exceed the limit of {limit}: {mend}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// The limit with its unit.
        limit: String,
        /// How to mend it.
        mend: &'static str,
    },
    /// A body is not the JSON that is expected.
    #[error("the body is refused: {problem}")]
    Json {
        /// Where and what, with the mend.
        problem: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reader was told to stop, or died.
    #[error("the import was stopped before its end: run it again, what is stored already stays as it is")]
    Stopped,
}

impl ImportError {
    /// A limit or damage found inside a reader travels as `io::Error`; this brings it back.
    pub(super) fn from_io(error: std::io::Error, line: u64, gzip: bool) -> Self {
        let detail = error.to_string();
        if let Some(Ok(inner)) = error.into_inner().map(|inner| inner.downcast::<Self>()) {
            return *inner;
        }
        if gzip { Self::Gzip { line, detail } } else { Self::Io { line, detail } }
    }
}
