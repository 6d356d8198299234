//! The header: delimiter, encoding and where the wanted columns stand.

use super::error::ImportError;
use super::options::{Availability, ImportOptions};
use super::rows::{Record, head, split_line};
use super::source::Source;

/// Where things stand in each row.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// The byte between fields.
    pub(super) delimiter: u8,
    /// The header's line number.
    pub(super) header_line: u64,
    /// How many fields the header has.
    pub(super) columns: usize,
    /// The column of valid times.
    pub(super) time: usize,
    /// The column of availabilities.
    pub(super) available: Option<usize>,
    /// The value columns, in the order of the options.
    pub(super) values: Vec<usize>,
    /// Columns that must hold a word.
    pub(super) only: Vec<(usize, String)>,
    /// The header is not UTF-8 and was read as Latin-1.
    pub(super) latin1: bool,
}

impl Layout {
    /// Reads the header and finds the options' columns in it.
    pub(super) fn find(source: &dyn Source, options: &ImportOptions) -> Result<Self, ImportError> {
        check_options(options)?;
        let Header { line: header_line, delimiter, names, latin1 } = Header::read(source, options)?;
        let position = |column: &str| position(&names, column, header_line, delimiter);
        Ok(Self {
            delimiter,
            header_line,
            columns: names.len(),
            time: position(&options.time_column)?,
            available: match &options.available {
                Availability::Column(column) => Some(position(column)?),
                _ => None,
            },
            values: options.columns.iter().map(|c| position(&c.column)).collect::<Result<_, _>>()?,
            only: options
                .only
                .iter()
                .map(|f| Ok((position(&f.column)?, f.value.trim().to_owned())))
                .collect::<Result<_, ImportError>>()?,
            latin1,
        })
    }

    /// Whether the row passes the filters.
    pub(super) fn wants(&self, record: &Record) -> bool {
        self.only.iter().all(|(i, value)| record.field(*i) == value.as_bytes())
    }

    /// What [`super::rows::Rows::open`] needs.
    pub(super) fn shape(&self) -> (u8, usize, u64) {
        (self.delimiter, self.columns, self.header_line)
    }
}

/// The first line with a text on it, split.
struct Header {
    line: u64,
    delimiter: u8,
    names: Vec<String>,
    latin1: bool,
}

impl Header {
    fn read(source: &dyn Source, options: &ImportOptions) -> Result<Self, ImportError> {
        let (number, line) = head(source, &options.limits)?.ok_or(ImportError::Empty { what: "header" })?;
        if line.contains(&b'\r') {
            return Err(ImportError::NotCsv {
                what: "text whose lines end in CR alone",
                mend: "save it with LF or CR LF (tr '\\r' '\\n')",
            });
        }
        let latin1 = std::str::from_utf8(&line).is_err();
        let wanted = wanted(options);
        let candidates = options.delimiter.map_or_else(|| b",;\t|".to_vec(), |d| vec![d]);
        let names = |delimiter: u8| -> Vec<String> {
            split_line(&line, delimiter).iter().map(|field| text_of(field, latin1)).collect()
        };
        // The delimiter under which most wanted columns appear; among equals the one that gives most fields.
        let score = |names: &Vec<String>| (wanted.iter().filter(|w| names.contains(*w)).count(), names.len());
        let best = candidates.iter().rev().map(|d| (*d, names(*d))).max_by_key(|(_, names)| score(names));
        let (delimiter, names) = best.unwrap_or((b',', Vec::new()));
        Ok(Self { line: number, delimiter, names, latin1 })
    }
}

/// The names in a source's header, for callers whose columns depend on what is there.
///
/// # Errors
/// [`ImportError`] when the source cannot be read or does not begin with a header.
pub fn header(source: &dyn Source, options: &ImportOptions) -> Result<Vec<String>, ImportError> {
    Ok(Header::read(source, options)?.names)
}

fn wanted(options: &ImportOptions) -> Vec<String> {
    let mut wanted = vec![options.time_column.clone()];
    wanted.extend(options.columns.iter().map(|c| c.column.clone()));
    wanted.extend(options.only.iter().map(|f| f.column.clone()));
    if let Availability::Column(column) = &options.available {
        wanted.push(column.clone());
    }
    wanted.iter().map(|name| name.trim().to_owned()).collect()
}

fn check_options(options: &ImportOptions) -> Result<(), ImportError> {
    let refuse = |problem: String| Err(ImportError::Options { problem });
    if options.columns.is_empty() {
        return refuse(
            "no value column is given: name one with --value, or several with --columns".to_owned(),
        );
    }
    let limit = options.limits.max_columns;
    if options.columns.len() > limit {
        return refuse(format!("{} value columns are given, the limit is {limit}", options.columns.len()));
    }
    let mut series: Vec<&str> = options.columns.iter().map(|c| c.series.as_str()).collect();
    series.sort_unstable();
    if let Some(twice) = series.windows(2).find(|w| w[0] == w[1]) {
        return refuse(format!("two columns feed the series `{}`: give each its own", twice[0]));
    }
    if options
        .delimiter
        .is_some_and(|d| !d.is_ascii() || d.is_ascii_alphanumeric() || b"\"\r\n.-+".contains(&d))
    {
        return refuse("this delimiter cannot separate fields: use one of , ; | or a tab".to_owned());
    }
    Ok(())
}

fn text_of(field: &[u8], latin1: bool) -> String {
    let text = if latin1 {
        field.iter().map(|b| char::from(*b)).collect()
    } else {
        String::from_utf8_lossy(field).into_owned()
    };
    text.trim().to_owned()
}

fn position(names: &[String], column: &str, line: u64, delimiter: u8) -> Result<usize, ImportError> {
    let column = column.trim();
    let mut found = names.iter().enumerate().filter(|(_, name)| *name == column);
    match (found.next(), found.next()) {
        (Some((i, _)), None) => Ok(i),
        (Some(_), Some(_)) => Err(ImportError::RepeatedColumn { column: column.to_owned() }),
        (None, _) => Err(ImportError::UnknownColumn {
            column: column.to_owned(),
            line,
            known: known(names),
            hint: hint(names, column, delimiter),
        }),
    }
}

fn known(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(40).map(|n| n.chars().take(60).collect()).collect();
    let more = if names.len() > 40 { ", ..." } else { "" };
    shown.join(", ") + more
}

fn hint(names: &[String], column: &str, delimiter: u8) -> String {
    if names.len() == 1 {
        return format!(
            " (one column only, split at `{}`: --delimiter sets another)",
            char::from(delimiter).escape_debug()
        );
    }
    let close = names.iter().map(|name| (distance(name, column), name)).min();
    match close {
        Some((far, name)) if far * 3 <= column.chars().count().max(3) => format!("; did you mean `{name}`?"),
        _ => String::new(),
    }
}

/// Levenshtein's distance, letters' case ignored, on the first 60 characters.
fn distance(a: &str, b: &str) -> usize {
    let chars = |text: &str| -> Vec<char> { text.to_lowercase().chars().take(60).collect() };
    let (a, b) = (chars(a), chars(b));
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}
