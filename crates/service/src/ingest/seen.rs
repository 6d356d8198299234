//! Evidence: how often a notation was seen, and where first.

use super::rows::shown;

/// A count with the first line that shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) count: u64,
    pub(super) line: u64,
    pub(super) example: String,
}

impl Seen {
    /// Counts one more; the first is the example.
    pub(super) fn add(&mut self, line: u64, text: &[u8]) {
        if self.count == 0 {
            (self.line, self.example) = (line, shown(text));
        }
        self.count += 1;
    }
}
