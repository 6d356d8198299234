//! The engine beside a library on the same matrices in one run: a section of one page for each part.

pub mod predict;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// What the benchmark is about, for the list.
pub const ABOUT: &str = "The engine beside LightGBM on the same matrices: cost and accuracy.";

/// One part's text on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading, without `#`.
    pub title: String,
    /// What stands under it.
    pub markdown: String,
}

/// Measures and writes `docs/benchmarks/engine.md`; returns its path.
///
/// # Errors
/// When a part fails or the page cannot be written.
pub fn run(root: &Path) -> anyhow::Result<PathBuf> {
    anyhow::ensure!(
        !cfg!(debug_assertions),
        "times of a development build tell nothing: run `cargo run --release --package xtask -- bench engine`"
    );
    let section = predict::section(root)?;
    let path = root.join("docs/benchmarks/engine.md");
    let text = format!(
        "# engine\n\n{ABOUT}\n\nMade by `cargo run --release --package xtask -- bench engine`.\n\n## {}\n\nMachine: {}\n\n{}",
        section.title,
        super::machine(),
        section.markdown
    );
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
