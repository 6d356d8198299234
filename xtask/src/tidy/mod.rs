//! The rules of the house that a compiler cannot check, as an ordinary test (`xtask/tests/tidy.rs`).

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

mod docs;
mod manifest;
mod mask;
mod rust;
mod text;

pub use docs::{Known, check_document};
pub use manifest::check_manifest;
pub use rust::check_rust;
pub use text::check_text;

/// The largest file that may be tracked, in bytes.
pub const FILE_MAX_BYTES: usize = 1 << 20;

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The file, from the root of the repository.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong and how to mend it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Collects the violations of one file.
pub(crate) struct Findings<'a> {
    file: &'a str,
    found: Vec<Violation>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self { file, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, line: usize, what: impl Into<String>) {
        self.found.push(Violation { file: self.file.to_owned(), line, what: what.into() });
    }

    pub(crate) fn done(self) -> Vec<Violation> {
        self.found
    }
}

/// Checks one file of the repository; `file` is its path from the root, with `/`.
#[must_use]
pub fn check_file(file: &str, bytes: &[u8]) -> Vec<Violation> {
    let mut findings = Findings::new(file);
    if bytes.len() > FILE_MAX_BYTES {
        let what = format!("{} bytes; tracked files have at most {FILE_MAX_BYTES}", bytes.len());
        findings.add(0, what);
    }
    let mut all = findings.done();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return all;
    };
    all.extend(check_text(file, text));
    let name = file.rsplit('/').next().unwrap_or(file);
    if name.ends_with(".rs") {
        all.extend(check_rust(file, text));
    } else if name == "Cargo.toml" {
        all.extend(check_manifest(file, text));
    }
    all
}

/// Checks every file that is tracked or about to be.
///
/// # Errors
/// When the files cannot be listed or read.
pub fn check(root: &Path) -> anyhow::Result<Vec<Violation>> {
    let mut all = Vec::new();
    let (mut known, mut documents) = (Known::default(), Vec::new());
    for file in files(root)? {
        let Ok(bytes) = std::fs::read(root.join(&file)) else {
            continue; // deleted but still listed, or a link to nowhere
        };
        let file = file.to_string_lossy().replace('\\', "/");
        all.extend(check_file(&file, &bytes));
        known.learn(&file, &bytes);
        if file.ends_with(".md") {
            documents.push((file, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    for (file, text) in &documents {
        all.extend(check_document(file, text, &known));
    }
    Ok(all)
}

/// What git tracks or would add; without git (a source archive), every file outside build folders.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output();
    if let Ok(output) = listed
        && output.status.success()
    {
        let names = output.stdout.split(|&byte| byte == 0).filter(|name| !name.is_empty());
        return Ok(names.map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned())).collect());
    }
    let mut found = Vec::new();
    walk(root, Path::new(""), &mut found)?;
    Ok(found)
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = root.join(folder);
    for entry in std::fs::read_dir(&entries).with_context(|| format!("cannot list {}", entries.display()))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if !["target", ".git", "forewatt-data"].iter().any(|skipped| path == Path::new(skipped)) {
                walk(root, &path, found)?;
            }
        } else {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_limit_is_found() {
        assert_eq!(check_file("data/a.bin", &vec![255; FILE_MAX_BYTES]), []);
        assert_eq!(check_file("data/a.bin", &vec![255; FILE_MAX_BYTES + 1]).len(), 1);
    }

    #[test]
    fn each_kind_of_file_meets_its_rules() {
        assert_eq!(check_file("crates/domain/src/a.rs", b"fn a() {}\n").len(), 1);
        let manifest = b"[package]\nname = \"forewatt-domain\"\n[dependencies]\nforewatt-store = \"1\"\n";
        assert_eq!(check_file("crates/domain/Cargo.toml", manifest).len(), 1);
        assert_eq!(check_file("docs/a.md", b"# A page\n"), []);
    }

    #[test]
    fn without_git_the_tree_is_walked() {
        let mut found = Vec::new();
        walk(&crate::root().join("xtask"), Path::new(""), &mut found).unwrap();
        assert!(found.contains(&PathBuf::from("src/tidy/mod.rs")));
    }
}
