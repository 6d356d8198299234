//! Documents name files and tests that exist, so that they cannot go stale unseen.

use std::collections::BTreeSet;

use super::{Findings, Violation};

/// Folders whose mention in backticks is a promise that the path exists.
const ROOTS: &[&str] = &["crates/", "xtask/", "docs/", "data/", "config/", ".ci/"];

/// The parts of documents whose every test must be there.
const PROMISES: &[(&str, &str)] = &[("ARCHITECTURE.md", "## Invariants"), ("docs/security.md", "## OWASP")];

/// What documents may name.
#[derive(Debug, Default)]
pub struct Known {
    /// Files and folders, from the root.
    pub paths: BTreeSet<String>,
    /// Names of functions.
    pub functions: BTreeSet<String>,
}

impl Known {
    /// Learns a file's path, its folders, and the functions in it.
    pub fn learn(&mut self, file: &str, bytes: &[u8]) {
        let ends = file.match_indices('/').map(|(at, _)| at).chain([file.len()]);
        self.paths.extend(ends.map(|end| file[..end].to_owned()));
        if file.ends_with(".rs") {
            let text = String::from_utf8_lossy(bytes);
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            self.functions.extend(names.map(str::to_owned));
        }
    }
}

/// Checks that the paths a document names in backticks exist, and the tests of the parts that promise to name them.
#[must_use]
pub fn check_document(file: &str, text: &str, known: &Known) -> Vec<Violation> {
    let mut findings = Findings::new(file);
    let mut invariants = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("## ") {
            invariants = PROMISES.iter().any(|(of, title)| file == *of && line.starts_with(title));
        }
        for quoted in line.split('`').skip(1).step_by(2) {
            let path = quoted.trim_end_matches('/');
            let is_path = ROOTS.iter().any(|root| quoted.starts_with(root));
            if is_path && !quoted.contains([' ', '*', '<', '{']) && !known.paths.contains(path) {
                findings.add(index + 1, format!("`{quoted}` does not exist"));
            }
            let is_test = quoted.matches('_').count() >= 2
                && quoted.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if invariants && is_test && !known.functions.contains(quoted) {
                findings.add(index + 1, format!("there is no test `{quoted}` to hold this invariant"));
            }
        }
    }
    findings.done()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let mut known = Known::default();
        known.learn(
            "crates/model/src/a.rs",
            b"fn nothing_leaks_at_all() {}\nfn generic_of_some_kind<T>() {}\n",
        );
        known
    }

    #[test]
    fn stale_paths_are_found() {
        let found = |text| check_document("docs/a.md", text, &known()).len();
        assert_eq!(found("see `crates/model/src/b.rs` and `xtask/`"), 2);
        assert_eq!(found("see `crates/model/src/a.rs`, `crates/model/` and `crates/model/src`"), 0);
        assert_eq!(found("see `crates/*/src`, `cargo test`, `service/x.rs`"), 0);
    }

    #[test]
    fn an_invariant_without_its_test_is_found() {
        let found = |text: &str| check_document("ARCHITECTURE.md", text, &known()).len();
        assert_eq!(found("## Invariants\n| 1 | x | `nothing_leaks_at_all`, `generic_of_some_kind` |"), 0);
        assert_eq!(found("## Invariants\n| 1 | x | `something_leaks_after_all` |"), 1);
        assert_eq!(found("## Words\n| `something_leaks_after_all` |"), 0);
    }
}
