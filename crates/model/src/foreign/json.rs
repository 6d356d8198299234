//! Reading JSON as XGBoost writes it: with `NaN` and `Infinity`, which JSON proper does not know.

use super::value::{Elements, NESTING_MAX, Value};
use super::{ForeignError, Result};

/// Reads one document and nothing after it.
pub(super) fn read(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader { bytes, at: 0 };
    let value = reader.value(0)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong("something follows the model")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> ForeignError {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        let what = format!("this is not JSON as XGBoost writes it: {what}");
        ForeignError::new(format_args!("line {line} column {column}"), what)
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        let blanks =
            self.bytes[self.at..].iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        self.at += blanks.count();
        self.bytes.get(self.at).copied()
    }

    /// Passes the byte that must come next.
    fn pass(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(&format!("{what} was expected")));
        }
        self.at += 1;
        Ok(())
    }

    /// Passes a comma or the end, and tells whether it was the end.
    fn ends(&mut self, end: u8) -> Result<bool> {
        match self.peek() {
            Some(b',') => self.at += 1,
            Some(byte) if byte == end => self.at += 1,
            _ => return Err(self.wrong("a comma or the end of a list or an object was expected")),
        }
        Ok(self.bytes[self.at - 1] == end)
    }

    fn value(&mut self, depth: usize) -> Result<Value> {
        if depth > NESTING_MAX {
            return Err(self.wrong(&format!("more than {NESTING_MAX} lists and objects inside each other")));
        }
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.text().map(Value::Text),
            _ => self.word(),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut entries = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(entries));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a name in quotes was expected"));
            }
            let name = self.text()?;
            self.pass(b':', "a colon")?;
            entries.push((name, self.value(depth + 1)?));
            if self.ends(b'}')? {
                return Ok(Value::Map(entries));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut elements = Elements::default();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(elements.done());
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.ends(b']')? {
                return Ok(elements.done());
            }
        }
    }

    /// A number or one of the words for what is none.
    fn word(&mut self) -> Result<Value> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
            .count();
        let word = std::str::from_utf8(&rest[..length]).unwrap_or_default(); // it is ASCII
        let value = match word {
            "null" => Some(Value::Null),
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "NaN" | "-NaN" => Some(Value::Number(f64::NAN)),
            "Infinity" => Some(Value::Number(f64::INFINITY)),
            "-Infinity" => Some(Value::Number(f64::NEG_INFINITY)),
            _ if word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                word.parse().ok().map(Value::Number)
            }
            _ => None,
        };
        if value.is_some() {
            self.at += length;
        }
        value.ok_or_else(|| self.wrong("a value was expected"))
    }

    fn text(&mut self) -> Result<String> {
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let plain =
                self.bytes[self.at..].iter().take_while(|&&b| b >= b' ' && b != b'"' && b != b'\\').count();
            text.extend_from_slice(&self.bytes[self.at..self.at + plain]);
            self.at += plain;
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    let escaped = self.escaped()?;
                    text.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => return Err(self.wrong("a text does not end, or holds a control character")),
            }
        }
        self.at += 1;
        String::from_utf8(text).map_err(|_| self.wrong("a text is not UTF-8"))
    }

    /// The character that a backslash and what follows stand for.
    fn escaped(&mut self) -> Result<char> {
        let kind = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        Ok(match kind {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => {
                let first = self.hex()?;
                let more = (0xd800..0xdc00).contains(&first) && self.bytes[self.at..].starts_with(b"\\u");
                let code = if more {
                    self.at += 2;
                    0x10000 + ((first - 0xd800) << 10) + (self.hex()? & 0x3ff)
                } else {
                    first
                };
                char::from_u32(code).ok_or_else(|| self.wrong("half a character stands alone"))?
            }
            _ => return Err(self.wrong("a backslash stands before what it cannot")),
        })
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.bytes.get(self.at..self.at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| self.wrong("four hexadecimal digits were expected"))
    }
}
