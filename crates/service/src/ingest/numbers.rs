//! Numbers as files write them: decimal point or comma, thousands separators, and the words for "no value".

use super::error::ImportError;
use super::options::Decimal;
use super::report::Reason;
use super::seen::Seen;

/// Values larger than this are absurd in any energy unit.
pub(super) const MAX_ABS: f64 = 1e15;

/// Whether a field says that there is no value.
pub(super) fn is_missing(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 14] = [
        b"na", b"n/a", b"#n/a", b"nan", b"null", b"none", b"missing", b"empty", b"-", b"--", b"?", b"nil",
        b"n.a.", b"<na>",
    ];
    text.is_empty() || (text.len() <= 7 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

/// Reads a number; separators of thousands must stand between groups of three digits.
pub(super) fn parse(text: &[u8], decimal: Decimal) -> Result<f64, Reason> {
    let mut plain = [0_u8; 64];
    let length = plain_digits(text, decimal, &mut plain).ok_or(Reason::NotANumber)?;
    let text = std::str::from_utf8(&plain[..length]).map_err(|_| Reason::NotANumber)?;
    let lower = text.trim_start_matches(['+', '-']);
    if lower.eq_ignore_ascii_case("inf") || lower.eq_ignore_ascii_case("infinity") {
        return Err(Reason::NotFinite);
    }
    if !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(Reason::NotANumber);
    }
    match text.parse::<f64>() {
        Ok(value) if !value.is_finite() => Err(Reason::NotFinite),
        Ok(value) if value.abs() > MAX_ABS => Err(Reason::Absurd),
        Ok(value) => Ok(value + 0.0), // turns -0.0 into 0.0
        Err(_) => Err(Reason::NotANumber),
    }
}

/// Copies the number without separators and with a decimal point; returns its length.
fn plain_digits(text: &[u8], decimal: Decimal, out: &mut [u8; 64]) -> Option<usize> {
    let (point, group) = match decimal {
        Decimal::Point => (b'.', b','),
        Decimal::Comma => (b',', b'.'),
    };
    let (mut length, mut run, mut grouped, mut fraction) = (0, 0_u32, false, false);
    let mut push = |byte: u8| {
        *out.get_mut(length)? = byte;
        length += 1;
        Some(())
    };
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        // U+2212 MINUS SIGN and U+00A0 NO-BREAK SPACE, which spreadsheets write.
        let byte = match (byte, bytes.peek()) {
            (0xe2, Some(0x88)) => {
                bytes.next();
                (bytes.next() == Some(0x92)).then_some(b'-')?
            }
            (0xc2, Some(0xa0)) => {
                bytes.next();
                b' '
            }
            (0xa0, _) => b' ',
            _ => byte,
        };
        match byte {
            b'0'..=b'9' => run += 1,
            _ if byte == point && !fraction => {
                if grouped && run != 3 {
                    return None;
                }
                fraction = true;
                push(b'.')?;
                continue;
            }
            _ if !fraction && (byte == group || matches!(byte, b' ' | b'\'' | b'_')) => {
                // A group: one to three digits before the first separator, three between separators.
                let fits = if grouped { run == 3 } else { (1..=3).contains(&run) };
                (grouped, run) = (fits.then_some(true)?, 0);
                continue;
            }
            b',' | b'.' => return None,
            _ => {}
        }
        push(byte)?;
    }
    (!grouped || fraction || run == 3).then_some(length)
}

/// What a file's numbers say about their notation.
#[derive(Debug, Clone, Default)]
pub(super) struct NumberEvidence {
    point: Seen,
    comma: Seen,
    /// `1.234`: a fraction of three digits or a thousand.
    open_point: Seen,
    /// `1,234`.
    open_comma: Seen,
    /// Numbers of four and more digits without a separator: thousands are not separated here.
    ungrouped: u64,
    /// Thousands separators of any kind.
    pub grouped: u64,
}

impl NumberEvidence {
    /// Takes a field that is not missing into account.
    pub(super) fn observe(&mut self, line: u64, text: &[u8]) {
        let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
        let count = |byte: u8| digits.iter().filter(|b| **b == byte).count();
        let (points, commas) = (count(b'.'), count(b','));
        if !digits.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'.' | b',')) {
            return;
        }
        let leading = digits.iter().take_while(|b| b.is_ascii_digit()).count();
        self.ungrouped += u64::from(leading >= 4);
        match (points, commas) {
            (0, 0) => {}
            (1, 0) => self.single(line, digits, leading, b'.'),
            (0, 1) => self.single(line, digits, leading, b','),
            (0 | 1, _) if commas > 1 || last(digits, b'.') > last(digits, b',') => {
                self.grouped += 1;
                self.point.add(line, text);
            }
            (_, 0 | 1) => {
                self.grouped += 1;
                self.comma.add(line, text);
            }
            _ => {}
        }
    }

    /// One separator: it is the decimal one unless it stands before exactly three digits and after one to three.
    fn single(&mut self, line: u64, digits: &[u8], leading: usize, separator: u8) {
        let after = digits.len().saturating_sub(leading + 1);
        let all_digits = digits[(leading + 1).min(digits.len())..].iter().all(u8::is_ascii_digit);
        let open = after == 3 && all_digits && (1..=3).contains(&leading) && digits[0] != b'0';
        let seen = match (separator, open) {
            (b'.', false) => &mut self.point,
            (b'.', true) => &mut self.open_point,
            (_, false) => &mut self.comma,
            (_, true) => &mut self.open_comma,
        };
        seen.add(line, digits);
    }

    /// The notation, and a word for the report when it was inferred indirectly.
    pub(super) fn settle(&self, delimiter: u8) -> Result<(Decimal, Option<String>), ImportError> {
        let rare = |a: &Seen, b: &Seen| a.count.saturating_mul(1000) < b.count;
        if self.point.count > 0
            && self.comma.count > 0
            && !rare(&self.point, &self.comma)
            && !rare(&self.comma, &self.point)
        {
            return Err(ImportError::Contradiction {
                what: "numbers are written both with decimal points and with decimal commas".to_owned(),
                line_a: self.point.line,
                example_a: self.point.example.clone(),
                line_b: self.comma.line,
                example_b: self.comma.example.clone(),
                mend:
                    "give --decimal point or --decimal comma; numbers of the other notation are then rejected"
                        .to_owned(),
            });
        }
        if self.point.count + self.comma.count > 0 {
            let decimal = if self.point.count > self.comma.count { Decimal::Point } else { Decimal::Comma };
            return Ok((decimal, None));
        }
        if self.open_comma.count > 0 {
            return Err(undecided(&self.open_comma));
        }
        if self.open_point.count > 0 && self.ungrouped == 0 && delimiter != b',' {
            return Err(undecided(&self.open_point));
        }
        let note = (self.open_point.count > 0).then(|| {
            format!(
                "points are read as decimal points (`{}` on line {}); --decimal comma would make them thousands separators",
                self.open_point.example, self.open_point.line
            )
        });
        Ok((Decimal::Point, note))
    }
}

fn last(digits: &[u8], byte: u8) -> Option<usize> {
    digits.iter().rposition(|b| *b == byte)
}

fn undecided(seen: &Seen) -> ImportError {
    ImportError::Undecided {
        what: "a separator may mark the fraction or the thousands".to_owned(),
        line: seen.line,
        example: seen.example.clone(),
        mend: "give --decimal point or --decimal comma".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_people_write() {
        for (text, decimal, value) in [
            ("12", Decimal::Point, 12.0),
            ("-1,234.5", Decimal::Point, -1234.5),
            ("1.234,5", Decimal::Comma, 1234.5),
            ("1 234 567,25", Decimal::Comma, 1_234_567.25),
            ("1'234", Decimal::Point, 1234.0),
            ("\u{2212}3.5", Decimal::Point, -3.5),
            ("1\u{a0}234,5", Decimal::Comma, 1234.5),
            ("1e3", Decimal::Point, 1000.0),
            (".5", Decimal::Point, 0.5),
            ("1.234", Decimal::Comma, 1234.0),
        ] {
            assert_eq!(parse(text.as_bytes(), decimal), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_number() {
        for text in
            ["x", "1,23", "12,34,567", "1.2.3", "1,234.5,6", "1 23", "12 MW", "--1", "0x10", "e5", "1,", ",1"]
        {
            assert_eq!(parse(text.as_bytes(), Decimal::Point), Err(Reason::NotANumber), "{text}");
        }
        assert_eq!(parse(b"inf", Decimal::Point), Err(Reason::NotFinite));
        assert_eq!(parse(b"-Infinity", Decimal::Point), Err(Reason::NotFinite));
        assert_eq!(parse(b"1e999", Decimal::Point), Err(Reason::NotFinite));
        assert_eq!(parse(b"1e16", Decimal::Point), Err(Reason::Absurd));
        assert_eq!(parse(&[b'9'; 400], Decimal::Point), Err(Reason::NotANumber));
        for word in ["", "NA", "n/a", "NaN", "null", "None", "MISSING", "-", "?"] {
            assert!(is_missing(word.as_bytes()), "{word}");
        }
    }

    fn settle(texts: &[&str], delimiter: u8) -> Result<Decimal, ImportError> {
        let mut evidence = NumberEvidence::default();
        texts.iter().zip(2..).for_each(|(text, line)| evidence.observe(line, text.as_bytes()));
        evidence.settle(delimiter).map(|(decimal, _)| decimal)
    }

    #[test]
    fn notation_is_inferred_or_refused() {
        assert_eq!(settle(&["1", "2.5"], b',').unwrap(), Decimal::Point);
        assert_eq!(settle(&["1,234", "2.5"], b';').unwrap(), Decimal::Point);
        assert_eq!(settle(&["1.234", "2,5"], b';').unwrap(), Decimal::Comma);
        assert_eq!(settle(&["1.234,5"], b';').unwrap(), Decimal::Comma);
        assert_eq!(settle(&["1,234,567"], b';').unwrap(), Decimal::Point);
        assert_eq!(settle(&["1.234", "12345"], b';').unwrap(), Decimal::Point);
        assert_eq!(settle(&["12.345"], b',').unwrap(), Decimal::Point);
        assert!(matches!(settle(&["1,234"], b','), Err(ImportError::Undecided { line: 2, .. })));
        assert!(matches!(settle(&["1.234"], b';'), Err(ImportError::Undecided { .. })));
        assert!(matches!(settle(&["1.5", "1,5"], b';'), Err(ImportError::Contradiction { .. })));
    }
}
