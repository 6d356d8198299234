//! Lines, fields and rows of a CSV file in constant memory, each with its line number.
//!
//! Follows RFC 4180, with one guard it lacks: a quote that is never closed costs its own line, not the rest of
//! the file. That, and lines of bounded length, is why this is not a general CSV reader.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};

use super::error::ImportError;
use super::options::Limits;
use super::report::Reason;
use super::source::{Source, open_text};

/// How many lines one quoted field may span.
const MAX_QUOTED_LINES: usize = 16;

/// Physical lines with a limit on their length.
struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    gzip: bool,
    max_bytes: usize,
    /// The number of the last line read, from 1.
    number: u64,
    /// Lines read ahead in vain.
    again: VecDeque<(u64, Vec<u8>)>,
}

#[derive(PartialEq, Eq)]
enum Line {
    Whole,
    TooLong,
    End,
}

impl Lines {
    fn open(source: &dyn Source, limits: &Limits) -> Result<Self, ImportError> {
        let (reader, gzip) = open_text(source, limits)?;
        Ok(Self {
            input: BufReader::with_capacity(1 << 16, reader),
            gzip,
            max_bytes: limits.max_line_bytes,
            number: 0,
            again: VecDeque::new(),
        })
    }

    /// Reads the next line without its end into `line`.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<Line, ImportError> {
        line.clear();
        if let Some((number, text)) = self.again.pop_front() {
            self.number = number;
            *line = text;
            return Ok(Line::Whole);
        }
        let (number, gzip) = (self.number, self.gzip);
        let fail = |e| ImportError::from_io(e, number, gzip);
        let limit = self.max_bytes as u64 + 2; // room for the line's end
        let read = self.input.by_ref().take(limit).read_until(b'\n', line).map_err(fail)?;
        if read == 0 {
            return Ok(Line::End);
        }
        self.number += 1;
        let whole = line.last() == Some(&b'\n');
        if whole {
            line.pop();
            line.pop_if(|b| *b == b'\r');
        }
        if line.len() <= self.max_bytes {
            return Ok(Line::Whole);
        }
        if !whole {
            self.skip_rest().map_err(fail)?;
        }
        line.truncate(200);
        Ok(Line::TooLong)
    }

    fn skip_rest(&mut self) -> std::io::Result<()> {
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let end = chunk.iter().position(|b| *b == b'\n');
            let used = end.map_or(chunk.len(), |i| i + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// One row's fields.
#[derive(Default)]
pub(super) struct Record {
    raw: Vec<u8>,
    /// The text without its quotes, when there were any.
    text: Vec<u8>,
    quoted: bool,
    fields: Vec<(usize, usize)>,
}

impl Record {
    /// Splits `raw`; false when a quote is open at its end.
    fn split(&mut self, delimiter: u8) -> bool {
        self.fields.clear();
        self.text.clear();
        self.quoted = self.raw.contains(&b'"');
        if self.quoted {
            return self.split_quoted(delimiter);
        }
        let mut from = 0;
        for (at, byte) in self.raw.iter().enumerate() {
            if *byte == delimiter {
                self.fields.push((from, at));
                from = at + 1;
            }
        }
        self.fields.push((from, self.raw.len()));
        true
    }

    fn split_quoted(&mut self, delimiter: u8) -> bool {
        let (mut from, mut open, mut start) = (0, false, true);
        let mut bytes = self.raw.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' if open && bytes.peek() == Some(&b'"') => {
                    bytes.next();
                    self.text.push(b'"');
                }
                b'"' if open => open = false,
                b'"' if start => {
                    open = true;
                    self.text.truncate(from);
                }
                _ if byte == delimiter && !open => {
                    self.fields.push((from, self.text.len()));
                    from = self.text.len();
                    start = true;
                    continue;
                }
                _ => self.text.push(byte),
            }
            start = start && byte == b' '; // a quote may follow spaces
        }
        self.fields.push((from, self.text.len()));
        !open
    }

    /// Field `i` without spaces around it; empty when there is none.
    pub(super) fn field(&self, i: usize) -> &[u8] {
        let text = if self.quoted { &self.text } else { &self.raw };
        self.fields.get(i).and_then(|&(from, to)| text.get(from..to)).unwrap_or_default().trim_ascii()
    }

    pub(super) fn len(&self) -> usize {
        self.fields.len()
    }

    /// The row has the header's fields, or more of them that are empty.
    fn fits(&self, columns: usize) -> bool {
        self.len() >= columns && (columns..self.len()).all(|i| self.field(i).is_empty())
    }
}

/// What came next in the file.
pub(super) enum Row {
    /// A row of as many fields as the header, on this line; read it from [`Rows::record`].
    Good(u64),
    /// A line that is no such row.
    Bad(u64, Reason, String),
    /// The end of the file.
    End,
}

/// Rows below the header.
pub(super) struct Rows {
    lines: Lines,
    delimiter: u8,
    columns: usize,
    record: Record,
}

impl Rows {
    /// Opens the source and skips everything up to and including line `header_line`.
    pub(super) fn open(
        source: &dyn Source,
        limits: &Limits,
        (delimiter, columns, header_line): (u8, usize, u64),
    ) -> Result<Self, ImportError> {
        let mut lines = Lines::open(source, limits)?;
        let mut skipped = Vec::new();
        while lines.number < header_line && lines.next(&mut skipped)? != Line::End {}
        Ok(Self { lines, delimiter, columns, record: Record::default() })
    }

    /// The row that [`Row::Good`] announced.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// The next row that is not blank.
    pub(super) fn next(&mut self) -> Result<Row, ImportError> {
        loop {
            match self.lines.next(&mut self.record.raw)? {
                Line::End => return Ok(Row::End),
                Line::TooLong => return Ok(self.bad(Reason::LineTooLong)),
                Line::Whole => {}
            }
            if self.record.raw.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line = self.lines.number;
            if !self.record.split(self.delimiter) && !self.close_quote()? {
                self.lines.number = line;
                return Ok(self.bad(Reason::UnterminatedQuote));
            }
            if self.record.fits(self.columns) {
                return Ok(Row::Good(line));
            }
            return Ok(self.bad(Reason::WrongFieldCount));
        }
    }

    fn bad(&self, reason: Reason) -> Row {
        let example = match reason {
            Reason::WrongFieldCount => {
                format!("{} fields, the header has {}", self.record.len(), self.columns)
            }
            _ => shown(&self.record.raw),
        };
        Row::Bad(self.lines.number, reason, example)
    }

    /// Looks for the closing quote on the next lines; gives them back when the result is no row of the table.
    fn close_quote(&mut self) -> Result<bool, ImportError> {
        let first = self.record.raw.clone();
        let mut ahead: Vec<(u64, Vec<u8>)> = Vec::new();
        for _ in 1..MAX_QUOTED_LINES {
            let mut line = Vec::new();
            if self.record.raw.len() > self.lines.max_bytes || self.lines.next(&mut line)? != Line::Whole {
                break;
            }
            self.record.raw.push(b'\n');
            self.record.raw.extend_from_slice(&line);
            ahead.push((self.lines.number, line));
            if self.record.split(self.delimiter) {
                if self.record.fits(self.columns) {
                    return Ok(true);
                }
                break;
            }
        }
        for line in ahead.into_iter().rev() {
            self.lines.again.push_front(line);
        }
        self.record.raw = first;
        Ok(false)
    }
}

/// The lines among which the header stands: the first that are neither blank nor comments, with their numbers.
pub(super) fn head(source: &dyn Source, limits: &Limits) -> Result<Option<(u64, Vec<u8>)>, ImportError> {
    let mut lines = Lines::open(source, limits)?;
    let mut line = Vec::new();
    loop {
        match lines.next(&mut line)? {
            Line::End => return Ok(None),
            Line::TooLong => {
                return Err(ImportError::NotCsv {
                    what: "text without lines of a bearable length",
                    mend: "the header must be shorter than 1 MiB, lines must end in LF or CR LF",
                });
            }
            Line::Whole => {}
        }
        let comment = line.starts_with(b"#") || line.to_ascii_lowercase().starts_with(b"sep=");
        if !comment && !line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Some((lines.number, line)));
        }
    }
}

/// The fields of one line.
pub(super) fn split_line(line: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    let mut record = Record { raw: line.to_vec(), ..Record::default() };
    record.split(delimiter);
    (0..record.len()).map(|i| record.field(i).to_vec()).collect()
}

/// Bytes for a message: at most 60 characters, control characters made visible.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(240)];
    let text = String::from_utf8_lossy(cut);
    let mut out: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if bytes.len() > cut.len() || text.chars().nth(60).is_some() {
        out.push_str("...");
    }
    out
}
