//! The booster beside a library on the same matrices in one run: a section of one page for each part.
//!
//! `cargo xtask bench engine [PART]` builds and starts a release build of itself, measures, and writes the part's
//! section into `docs/benchmarks/engine.md`; the other sections stay as they are.

pub mod forecast;
pub mod matrices;
mod peer;
pub mod predict;
mod training;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use super::accuracy::data::{self, Source};

/// What the benchmark is about, for the list.
pub const ABOUT: &str = "The booster beside LightGBM on the same matrices: cost and accuracy.";

/// One part's text on the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading, without `#`.
    pub title: String,
    /// What stands under it; headings in it have three `#` or more.
    pub markdown: String,
}

/// A part of the benchmark: its word on the command line, and what measures; the folder is the repository's root.
pub type Part = (&'static str, fn(&Path) -> anyhow::Result<Section>);

/// Every part, in the order of the page.
pub const PARTS: &[Part] = &[
    ("accuracy", training::accuracy),
    ("cost", training::cost),
    ("prediction", predict::section),
    ("forecast", forecast::section),
];

/// Measures all parts, or the one named, and writes their sections of the page.
///
/// # Errors
/// When there is no such part, it fails, or the page cannot be read or written.
pub fn run(root: &Path, part: Option<&str>) -> anyhow::Result<ExitCode> {
    let known = || PARTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    anyhow::ensure!(
        part.is_none_or(|part| PARTS.iter().any(|(name, _)| *name == part)),
        "there is no part `{}` of the engine's benchmark; known: {}",
        part.unwrap_or_default(),
        known()
    );
    if cfg!(debug_assertions) {
        // Times of a development build tell nothing.
        let mut release = Command::new("cargo");
        release.current_dir(root).args(["run", "--release", "--quiet", "--package", "xtask", "--"]);
        let status = release.args(["bench", "engine"]).args(part).status().context("starting cargo")?;
        return Ok(ExitCode::from(u8::from(!status.success())));
    }
    let path = root.join("docs/benchmarks/engine.md");
    for (name, measure) in PARTS.iter().filter(|(name, _)| part.is_none_or(|part| part == *name)) {
        let section = measure(root).with_context(|| format!("part {name}"))?;
        write(&path, &section)?;
        writeln!(std::io::stdout(), "wrote the section `{}` of {}", section.title, path.display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the public data are.
#[must_use]
pub fn source(root: &Path) -> Source {
    Source { folder: data::folder(root), quick: false }
}

/// The folder for matrices, environments and other things that can be made again.
///
/// # Errors
/// When it cannot be made.
pub fn work_folder(root: &Path) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("bench-engine");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

fn write(path: &Path, section: &Section) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(path).unwrap_or_default(); // none yet: a new one
    let text = with_section(&page, &super::machine(), section);
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A page with one section replaced, or added at its end.
fn with_section(page: &str, machine: &str, section: &Section) -> String {
    let mut sections: Vec<(&str, &str)> = page
        .split("\n## ")
        .skip(1)
        .filter_map(|text| text.split_once('\n'))
        .map(|(title, text)| (title.trim(), text.trim()))
        .collect();
    let text = format!("Machine: {machine}\n\n{}", section.markdown.trim());
    match sections.iter_mut().find(|(title, _)| *title == section.title) {
        Some(old) => old.1 = &text,
        None => sections.push((&section.title, &text)),
    }
    let sections = sections.iter().map(|(title, text)| format!("\n## {title}\n\n{text}\n"));
    format!("# engine\n\n{ABOUT}\n\nMade by `cargo xtask bench engine`.\n{}", sections.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_its_like_and_leaves_the_others() {
        let section =
            |title: &str, text: &str| Section { title: title.to_owned(), markdown: format!("{text}\n") };
        let one = with_section("", "a box", &section("Training", "slow\n\n### Why\n\nmuch"));
        let two = with_section(&one, "a box", &section("Prediction", "quick"));
        let three = with_section(&two, "another box", &section("Training", "fast"));
        assert!(two.contains("## Training\n\nMachine: a box\n\nslow\n\n### Why\n\nmuch\n"), "{two}");
        assert!(three.contains("## Prediction\n\nMachine: a box\n\nquick\n"), "{three}");
        assert!(three.contains("## Training\n\nMachine: another box\n\nfast\n") && !three.contains("slow"));
        assert_eq!(with_section(&three, "another box", &section("Training", "fast")), three);
    }

    #[test]
    fn an_unknown_part_is_refused() {
        let error = run(Path::new("."), Some("no-such-part")).unwrap_err().to_string();
        assert!(error.contains("no-such-part"), "{error}");
    }
}
