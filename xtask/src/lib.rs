//! Development tasks: what `cargo xtask` does, and the rules of the house as a test.

use std::path::{Path, PathBuf};

pub mod bench;
pub mod oracle;
pub mod test;
pub mod tidy;

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
