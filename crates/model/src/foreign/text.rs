//! Lines of `key=value`, with their numbers: the shape of LightGBM's text models.

use std::str::FromStr;

use super::{ForeignError, Result};

/// A line and its number, from 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub number: usize,
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// An error at this line.
    pub fn wrong(&self, what: impl Into<String>) -> ForeignError {
        ForeignError::new(format_args!("line {}", self.number), what)
    }

    /// What stands before and after the first `=`; a bare word has nothing after.
    pub fn split(&self) -> (&'a str, Line<'a>) {
        let (key, value) = self.text.split_once('=').unwrap_or((self.text, ""));
        (key, Line { text: value, ..*self })
    }

    /// One number.
    pub fn one<T: FromStr>(&self, what: &str) -> Result<T> {
        self.text
            .trim()
            .parse()
            .map_err(|_| self.wrong(format!("{what} must be a number, not `{}`", shown(self.text))))
    }

    /// Exactly `count` numbers, separated by spaces.
    pub fn many<T: FromStr>(&self, count: usize, what: &str) -> Result<Vec<T>> {
        let read = |word: &str| {
            word.parse()
                .map_err(|_| self.wrong(format!("{what} has `{}`, which is no such number", shown(word))))
        };
        // One word more than wanted shows that there are too many; no more are read.
        let found: Vec<T> = self
            .text
            .split_ascii_whitespace()
            .take(count.saturating_add(1))
            .map(read)
            .collect::<Result<_>>()?;
        if found.len() != count {
            let found = self.text.split_ascii_whitespace().count();
            return Err(self.wrong(format!("{what} has {found} values, {count} were expected")));
        }
        Ok(found)
    }
}

/// Some of a text, for a message.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The `key=value` lines of one block, looked up by key.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    entries: Vec<(&'a str, Line<'a>)>,
}

/// No block of these files has more lines.
const BLOCK_LINES_MAX: usize = 64;

impl<'a> Block<'a> {
    pub fn push(&mut self, line: Line<'a>) -> Result<()> {
        let (key, value) = line.split();
        if self.find(key).is_some() || self.entries.len() >= BLOCK_LINES_MAX {
            let key = shown(key);
            return Err(
                line.wrong(format!("`{key}` is there twice, or one block has over {BLOCK_LINES_MAX} lines"))
            );
        }
        self.entries.push((key, value));
        Ok(())
    }

    pub fn find(&self, key: &str) -> Option<Line<'a>> {
        self.entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    /// The value of `key`, which `block` (a line) must have.
    pub fn get(&self, key: &str, block: Line<'_>) -> Result<Line<'a>> {
        self.find(key).ok_or_else(|| block.wrong(format!("the block that begins here has no `{key}`")))
    }
}
