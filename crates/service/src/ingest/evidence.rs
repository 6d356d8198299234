//! What a column of times says about its own notation, and the refusal when it says too little.

use forewatt_domain::Zone;

use super::error::ImportError;
use super::numbers::is_missing;
use super::seen::Seen;
use super::times::{EpochUnit, Part, Raw, TimeFormat, TimeOrder, parse_raw};

/// Collected over a whole column.
#[derive(Debug, Clone, Default)]
pub(super) struct TimeEvidence {
    custom: Option<TimeFormat>,
    iso: Seen,
    named: Seen,
    two_digit: Seen,
    epochs: [Seen; 4],
    read_custom: Seen,
    /// Dates that end in the year: all of them, and those that settle the order.
    year_last: Seen,
    day_first: Seen,
    month_first: Seen,
    /// Dates such as 05/05/2026, which either order reads alike.
    same: u64,
    naive: Seen,
    with_offset: u64,
    unreadable: Seen,
}

const UNITS: [EpochUnit; 4] = [EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros, EpochUnit::Nanos];

impl TimeEvidence {
    /// For a column, with the caller's strptime format if there is one.
    pub(super) fn new(format: Option<&str>) -> Self {
        let custom =
            format.map(|format| TimeFormat { order: TimeOrder::Custom, custom: Some(format.to_owned()) });
        Self { custom, ..Self::default() }
    }

    /// Takes a field into account.
    pub(super) fn observe(&mut self, line: u64, text: &[u8]) {
        if is_missing(text) {
            return;
        }
        if let Some(format) = &self.custom {
            return match format.stamp(text) {
                Ok(stamp) => {
                    self.read_custom.add(line, text);
                    self.offset(line, text, !stamp.naive);
                }
                Err(_) => self.unreadable.add(line, text),
            };
        }
        match parse_raw(text) {
            None => self.unreadable.add(line, text),
            Some(Raw::Epoch { unit, .. }) => {
                self.epochs[unit as usize].add(line, text);
                self.offset(line, text, true);
            }
            Some(Raw::Civil { parts, offset, .. }) => {
                self.date(line, text, parts);
                self.offset(line, text, offset.is_some());
            }
        }
    }

    fn offset(&mut self, line: u64, text: &[u8], given: bool) {
        if given {
            self.with_offset += 1;
        } else {
            self.naive.add(line, text);
        }
    }

    fn date(&mut self, line: u64, text: &[u8], [a, b, c]: [Part; 3]) {
        let named = a.width == 0 || b.width == 0;
        match () {
            () if named && (a.width == 4 || c.width == 4) => self.named.add(line, text),
            () if a.width == 4 => self.iso.add(line, text),
            () if c.width == 4 => {
                self.year_last.add(line, text);
                self.same += u64::from(a.value == b.value);
                if a.value > 12 {
                    self.day_first.add(line, text);
                } else if b.value > 12 {
                    self.month_first.add(line, text);
                }
            }
            () => self.two_digit.add(line, text),
        }
    }

    /// The format of the column, or why it stays open. `option` names the flag that gives a format.
    pub(super) fn settle(&self, column: &str, zone: Option<&Zone>) -> Result<TimeFormat, ImportError> {
        let format = match &self.custom {
            Some(format) if self.read_custom.count > 0 => format.clone(),
            Some(format) => {
                return Err(self.custom_fails(column, format.custom.as_deref().unwrap_or_default()));
            }
            None => TimeFormat { order: self.order(column)?, custom: None },
        };
        if self.naive.count > 0 && zone.is_none() {
            return Err(self.naive_refusal(column));
        }
        Ok(format)
    }

    /// Whether both times with and without offsets occur.
    pub(super) fn mixed_offsets(&self) -> bool {
        self.naive.count > 0 && self.with_offset > 0
    }

    /// Whether any time is naive.
    pub(super) fn naive(&self) -> bool {
        self.naive.count > 0
    }

    /// An example of a time.
    fn order(&self, column: &str) -> Result<TimeOrder, ImportError> {
        let mut kinds = vec![
            (&self.iso, TimeOrder::Iso),
            (&self.named, TimeOrder::Named),
            (&self.year_last, TimeOrder::DayFirst),
            (&self.two_digit, TimeOrder::Custom),
        ];
        kinds.extend(self.epochs.iter().zip(UNITS).map(|(seen, unit)| (seen, TimeOrder::Epoch(unit))));
        kinds.sort_by_key(|(seen, _)| std::cmp::Reverse(seen.count));
        let (first, order) = kinds[0];
        if first.count == 0 || self.unreadable.count > first.count {
            return Err(self.unreadable_refusal(column));
        }
        let (second, _) = kinds[1];
        if second.count > 0 && second.count.saturating_mul(100) > first.count {
            return Err(ImportError::Contradiction {
                what: format!("the column `{column}` mixes kinds of times"),
                line_a: first.line,
                example_a: first.example.clone(),
                line_b: second.line,
                example_b: second.example.clone(),
                mend: "give --time-format; times of another kind are then rejected".to_owned(),
            });
        }
        match order {
            TimeOrder::Custom => Err(ImportError::Undecided {
                what: format!("the column `{column}` has years of two digits"),
                line: first.line,
                example: first.example.clone(),
                mend: "give the order, such as --time-format '%d/%m/%y %H:%M' or '%m/%d/%y %H:%M'".to_owned(),
            }),
            TimeOrder::DayFirst => self.day_or_month_first(column),
            order => Ok(order),
        }
    }

    fn day_or_month_first(&self, column: &str) -> Result<TimeOrder, ImportError> {
        let (days, months) = (self.day_first.count, self.month_first.count);
        if days == 0 && months == 0 {
            if self.same == self.year_last.count {
                return Ok(TimeOrder::DayFirst);
            }
            let example = self.year_last.example.clone();
            return Err(ImportError::Undecided {
                what: format!("the column `{column}` may put the day or the month first: no day exceeds 12"),
                line: self.year_last.line,
                mend: format!(
                    "give --time-format '{}' (day first) or '{}' (month first)",
                    strptime(&example, "%d", "%m"),
                    strptime(&example, "%m", "%d")
                ),
                example,
            });
        }
        // A handful of impossible months among thousands of dates are errors of their own, rejected row by row.
        match (days.saturating_mul(1000) < months, months.saturating_mul(1000) < days) {
            (true, _) => Ok(TimeOrder::MonthFirst),
            (_, true) => Ok(TimeOrder::DayFirst),
            _ => Err(ImportError::Contradiction {
                what: format!("the column `{column}` puts both the day and the month first"),
                line_a: self.day_first.line,
                example_a: self.day_first.example.clone(),
                line_b: self.month_first.line,
                example_b: self.month_first.example.clone(),
                mend: "repair the file, or give --time-format; dates of the other order are then rejected"
                    .to_owned(),
            }),
        }
    }

    fn unreadable_refusal(&self, column: &str) -> ImportError {
        if self.unreadable.count == 0 {
            return ImportError::Empty { what: "rows to read" };
        }
        ImportError::Undecided {
            what: format!("the column `{column}` does not hold times that are known here"),
            line: self.unreadable.line,
            example: self.unreadable.example.clone(),
            mend: "name another column with --time, or give a strptime format such as --time-format '%Y-%m-%d %H:%M'".to_owned(),
        }
    }

    fn custom_fails(&self, column: &str, format: &str) -> ImportError {
        if self.unreadable.count == 0 {
            return ImportError::Empty { what: "rows to read" };
        }
        let why = jiff::fmt::strtime::parse(format, &self.unreadable.example)
            .and_then(|t| t.to_datetime().map(|_| ()))
            .err()
            .map_or_else(String::new, |e| format!(" ({e})"));
        ImportError::Undecided {
            what: format!("no time in the column `{column}` follows the format `{format}`{why}"),
            line: self.unreadable.line,
            example: self.unreadable.example.clone(),
            mend: "correct --time-format, or leave it out to have the format detected".to_owned(),
        }
    }

    fn naive_refusal(&self, column: &str) -> ImportError {
        let lower = column.to_lowercase();
        let hint = if lower.contains("utc") || lower.contains("gmt") {
            " (the column's name suggests --time-zone UTC)"
        } else {
            ""
        };
        ImportError::Undecided {
            what: format!(
                "the times in the column `{column}` carry no offset, so they could be in any time zone"
            ),
            line: self.naive.line,
            example: self.naive.example.clone(),
            mend: format!("give --time-zone, such as --time-zone Europe/Madrid or --time-zone UTC{hint}"),
        }
    }
}

/// A strptime format for a time such as the example, with the two given directives first.
fn strptime(example: &str, first: &str, second: &str) -> String {
    let separators: Vec<char> = example.chars().filter(|c| "-/. ,".contains(*c)).take(2).collect();
    let clock = match example.matches(':').count() {
        0 => "",
        1 => " %H:%M",
        _ => " %H:%M:%S",
    };
    let separator = |i: usize| separators.get(i).copied().unwrap_or('/');
    format!("{first}{}{second}{}%Y{clock}", separator(0), separator(1))
}
