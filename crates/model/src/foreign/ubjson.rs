//! Reading Universal Binary JSON (draft 12) as far as XGBoost writes it.

use super::value::{Elements, NESTING_MAX, Value};
use super::{ForeignError, Result};

/// Whether a byte after `{` says that this is UBJSON: the type of a key's length.
pub(super) fn is_marker(byte: u8) -> bool {
    matches!(byte, b'i' | b'U' | b'I' | b'l' | b'L')
}

/// Reads one document and nothing after it.
pub(super) fn read(bytes: &[u8]) -> Result<Value> {
    let mut reader = Reader { bytes, at: 0 };
    let marker = reader.byte()?;
    let value = reader.value(marker, 0)?;
    if reader.at < bytes.len() {
        return Err(reader.wrong(format!("{} bytes follow the model", bytes.len() - reader.at)));
    }
    Ok(value)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self, what: impl Into<String>) -> ForeignError {
        ForeignError::new(format_args!("byte {}", self.at), what)
    }

    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let left = self.bytes.len() - self.at;
        if count > left {
            let what = format!("{count} more bytes were announced and {left} are there: the file is cut off");
            return Err(self.wrong(what));
        }
        self.at += count;
        Ok(&self.bytes[self.at - count..self.at])
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// The number that a type's marker announces; all are big-endian. `None` when it announces none.
    fn number(&mut self, marker: u8) -> Result<Option<f64>> {
        Ok(Some(match marker {
            b'i' => f64::from(i8::from_be_bytes(self.fixed()?)),
            b'U' => f64::from(self.byte()?),
            b'I' => f64::from(i16::from_be_bytes(self.fixed()?)),
            b'l' => f64::from(i32::from_be_bytes(self.fixed()?)),
            b'L' => i64::from_be_bytes(self.fixed()?) as f64,
            b'd' => f64::from(f32::from_be_bytes(self.fixed()?)),
            b'D' => f64::from_be_bytes(self.fixed()?),
            _ => return Ok(None),
        }))
    }

    /// A length: a whole number with its marker. It cannot exceed the bytes that are left.
    fn length(&mut self, marker: u8) -> Result<usize> {
        let left = self.bytes.len() - self.at;
        let number = if is_marker(marker) { self.number(marker)? } else { None };
        match number.and_then(super::value::whole) {
            Some(length) if length <= left => Ok(length),
            _ => Err(self.wrong("a length is missing, negative, or more than the file holds")),
        }
    }

    fn text(&mut self, marker: u8) -> Result<String> {
        let length = self.length(marker)?;
        let at = self.at;
        let text = std::str::from_utf8(self.take(length)?).map(str::to_owned);
        text.map_err(|_| ForeignError::new(format_args!("byte {at}"), "this text is not UTF-8"))
    }

    fn value(&mut self, marker: u8, depth: usize) -> Result<Value> {
        if depth > NESTING_MAX {
            return Err(self.wrong(format!("more than {NESTING_MAX} lists and objects inside each other")));
        }
        if let Some(number) = self.number(marker)? {
            return Ok(Value::Number(number));
        }
        match marker {
            b'Z' => Ok(Value::Null),
            b'T' => Ok(Value::Bool(true)),
            b'F' => Ok(Value::Bool(false)),
            b'S' => {
                let marker = self.byte()?;
                Ok(Value::Text(self.text(marker)?))
            }
            b'[' => self.list(depth),
            b'{' => self.map(depth),
            _ => Err(self.wrong(format!("the type {marker:#04x} is not one that XGBoost writes"))),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value> {
        let mut entries = Vec::new();
        loop {
            let marker = self.byte()?;
            if marker == b'}' {
                return Ok(Value::Map(entries));
            }
            let key = self.text(marker)?;
            let marker = self.byte()?;
            entries.push((key, self.value(marker, depth + 1)?));
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        let mut elements = Elements::default();
        let mut marker = self.byte()?;
        let mut kind = None;
        if marker == b'$' {
            kind = Some(self.byte()?);
            marker = self.byte()?;
            if marker != b'#' {
                return Err(self.wrong("a list of one type needs a length"));
            }
        }
        if marker == b'#' {
            let marker = self.byte()?;
            let length = self.length(marker)?; // no element takes less than a byte, so memory follows the file
            for _ in 0..length {
                let value = match kind {
                    None => {
                        let marker = self.byte()?;
                        self.element(marker, depth)?
                    }
                    Some(kind) => self.typed(kind)?,
                };
                elements.push(value);
            }
            return Ok(elements.done());
        }
        while marker != b']' {
            elements.push(self.element(marker, depth)?);
            marker = self.byte()?;
        }
        Ok(elements.done())
    }

    /// An element of a list: not nothing, which takes one byte in the file and many in memory.
    fn element(&mut self, marker: u8, depth: usize) -> Result<Value> {
        match self.value(marker, depth + 1)? {
            Value::Null => Err(self.wrong("a list holds nothing where it should hold something")),
            value => Ok(value),
        }
    }

    /// An element of a list of one type: only numbers, for others may take no bytes at all.
    fn typed(&mut self, kind: u8) -> Result<Value> {
        let number = self.number(kind)?;
        number.map(Value::Number).ok_or_else(|| self.wrong("a list of one type must be of numbers"))
    }
}
