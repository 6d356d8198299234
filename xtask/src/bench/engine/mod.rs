//! The engine beside its peers: sections of one page.

pub mod forecast;

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Its text and tables, in Markdown.
    pub markdown: String,
}
