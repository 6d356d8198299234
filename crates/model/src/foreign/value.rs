//! A small document tree for XGBoost's files, with lists of numbers kept as such.

use super::{ForeignError, Result};

/// A value of JSON or UBJSON. Numbers of both are at most 64-bit floats, which hold every integer of these files.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// A list of nothing but numbers (or booleans, as 0 and 1); an empty list is one of these.
    Numbers(Vec<f64>),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Lists and objects inside each other at most.
pub(super) const NESTING_MAX: usize = 64;

/// Collects the elements of a list.
#[derive(Debug, Default)]
pub(super) struct Elements {
    numbers: Vec<f64>,
    others: Vec<Value>,
}

impl Elements {
    pub fn push(&mut self, value: Value) {
        let number = match &value {
            Value::Number(number) => Some(*number),
            Value::Bool(yes) => Some(f64::from(u8::from(*yes))),
            _ => None,
        };
        match number {
            Some(number) if self.others.is_empty() => self.numbers.push(number),
            _ => {
                self.others.extend(self.numbers.drain(..).map(Value::Number));
                self.others.push(value);
            }
        }
    }

    pub fn done(self) -> Value {
        if self.others.is_empty() { Value::Numbers(self.numbers) } else { Value::List(self.others) }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Numbers(_) => "a list of numbers",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// The entry `key` of an object, if it is there.
    pub fn find(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }
}

/// A value with its place in the file, for telling.
#[derive(Debug, Clone)]
pub(super) struct At<'a> {
    pub value: &'a Value,
    pub place: String,
}

impl<'a> At<'a> {
    pub fn root(value: &'a Value) -> Self {
        Self { value, place: String::new() }
    }

    fn inner(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }

    /// An error at this place.
    pub fn wrong(&self, what: impl Into<String>) -> ForeignError {
        ForeignError::new(&self.place, what)
    }

    fn expected(&self, what: &str) -> ForeignError {
        self.wrong(format!("{what} was expected, {} is there", self.value.kind()))
    }

    /// The entry `key`, if it is there.
    pub fn find(&self, key: &str) -> Option<Self> {
        self.value.find(key).map(|value| Self { value, place: self.inner(key) })
    }

    /// The entry `key`.
    pub fn get(&self, key: &str) -> Result<Self> {
        self.find(key).ok_or_else(|| {
            ForeignError::new(self.inner(key), "is missing: is this a model that XGBoost saved as a whole?")
        })
    }

    pub fn text(&self) -> Result<&'a str> {
        match self.value {
            Value::Text(text) => Ok(text),
            _ => Err(self.expected("a text")),
        }
    }

    pub fn numbers(&self) -> Result<&'a [f64]> {
        match self.value {
            Value::Numbers(numbers) => Ok(numbers),
            _ => Err(self.expected("a list of numbers")),
        }
    }

    pub fn list(&self) -> Result<Vec<Self>> {
        match self.value {
            Value::List(list) => {
                let at = |(i, value)| Self { value, place: format!("{}[{i}]", self.place) };
                Ok(list.iter().enumerate().map(at).collect())
            }
            Value::Numbers(numbers) if numbers.is_empty() => Ok(Vec::new()),
            _ => Err(self.expected("a list of objects or texts")),
        }
    }

    /// A whole number at or above zero, as a number or, as XGBoost writes its parameters, as a text.
    pub fn count(&self) -> Result<usize> {
        match self.value {
            Value::Text(text) => text.parse().ok(),
            Value::Number(number) => whole(*number),
            _ => None,
        }
        .ok_or_else(|| self.expected("a whole number"))
    }
}

/// A float as a position; `None` when it is none.
pub(super) fn whole(number: f64) -> Option<usize> {
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as usize)
}
