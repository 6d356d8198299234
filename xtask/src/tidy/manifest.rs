//! Which crate may depend on which: the arrows of the house.

use super::{Findings, Violation};

/// The arrows: a crate and the Forewatt crates it may name.
const ARROWS: &[(&str, &[&str])] = &[
    ("forewatt-domain", &[]),
    ("forewatt-model", &["forewatt-domain"]),
    ("forewatt-store", &["forewatt-domain"]),
    ("forewatt-service", &["forewatt-domain", "forewatt-model", "forewatt-store"]),
    ("forewatt", &["forewatt-domain", "forewatt-service"]),
    ("xtask", &[]),
    ("forewatt-fuzz", &["forewatt-domain", "forewatt-model", "forewatt-store", "forewatt-service"]),
];

/// Crates that read clocks, files or the network, which pure crates must not depend on.
const IMPURE: &[&str] = &["tokio", "reqwest", "sqlx", "object_store", "axum", "hyper", "async-std", "chrono"];

/// Crates that compute the same from the same.
pub(crate) const PURE: &[&str] = &["domain", "model"];

/// Checks a `Cargo.toml` against the arrow table, development dependencies included.
#[must_use]
pub fn check_manifest(file: &str, text: &str) -> Vec<Violation> {
    let mut findings = Findings::new(file);
    let Some(name) = package_name(text) else {
        return findings.done();
    };
    let Some((_, allowed)) = ARROWS.iter().find(|(crate_name, _)| *crate_name == name) else {
        findings.add(1, format!("`{name}` is not in the arrow table of xtask/src/tidy/manifest.rs"));
        return findings.done();
    };
    let pure = PURE.iter().any(|short| name.strip_prefix("forewatt-") == Some(short));
    for (line, dependency) in dependencies(text) {
        if dependency.starts_with("forewatt") && !allowed.contains(&dependency.as_str()) {
            findings.add(
                line,
                format!("`{name}` must not depend on `{dependency}`: ARCHITECTURE.md has the arrows"),
            );
        }
        if pure && IMPURE.contains(&dependency.as_str()) {
            findings.add(line, format!("`{name}` is pure and must not depend on `{dependency}`"));
        }
    }
    findings.done()
}

fn package_name(text: &str) -> Option<&str> {
    let mut in_package = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            in_package = line == "[package]";
        } else if in_package
            && let Some((key, value)) = line.split_once('=')
            && key.trim() == "name"
        {
            return Some(value.trim().trim_matches('"'));
        }
    }
    None
}

/// The dependencies of every section, with their lines. Reads as much TOML as a manifest needs; a renamed
/// dependency is read by its real name.
fn dependencies(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_section = false;
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let words: Vec<&str> = header.split('.').collect();
            let last = words.last().copied().unwrap_or_default();
            in_section = last.ends_with("dependencies");
            if words.len() > 1 && words[words.len() - 2].ends_with("dependencies") {
                found.push((index + 1, last.trim_matches('"').to_owned()));
            }
            continue;
        }
        let key = line.split(['=', '.', ' ']).next().unwrap_or_default().trim_matches('"');
        if in_section && !key.is_empty() && !key.starts_with('#') {
            let real = line.split_once("package = \"").and_then(|(_, rest)| rest.split('"').next());
            found.push((index + 1, real.unwrap_or(key).to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, rest: &str) -> usize {
        check_manifest("Cargo.toml", &format!("[package]\nname = \"{name}\"\n{rest}")).len()
    }

    #[test]
    fn a_planted_arrow_is_found_however_it_is_written() {
        for planted in [
            "[dependencies]\nforewatt-store.workspace = true\n",
            "[dependencies]\nforewatt-store = { path = \"../store\" }\n",
            "[dev-dependencies]\nforewatt-store = \"1\"\n",
            "[dependencies.forewatt-store]\npath = \"../store\"\n",
            "[target.'cfg(unix)'.dependencies]\nforewatt-store = \"1\"\n",
            "[dependencies]\nstore = { package = \"forewatt-store\", path = \"../store\" }\n",
        ] {
            for name in ["forewatt-domain", "forewatt-model", "forewatt", "xtask"] {
                assert_eq!(count(name, planted), 1, "{name}: {planted}");
            }
            assert_eq!(count("forewatt-service", planted), 0, "{planted}");
        }
    }

    #[test]
    fn a_pure_crate_names_no_impure_one() {
        assert_eq!(count("forewatt-model", "[dependencies]\ntokio.workspace = true\n"), 1);
        assert_eq!(count("forewatt-store", "[dependencies]\ntokio.workspace = true\n"), 0);
    }

    #[test]
    fn a_crate_without_arrows_is_found() {
        assert_eq!(count("forewatt-neural", ""), 1);
        assert_eq!(check_manifest("Cargo.toml", "[workspace]\nmembers = []\n"), []);
    }

    #[test]
    fn comments_and_other_tables_are_no_dependencies() {
        let rest = "[dependencies]\n# forewatt-store = \"1\"\n\n[lints]\nworkspace = true\n[features]\nforewatt = []\n";
        assert_eq!(count("forewatt-domain", rest), 0);
    }
}
