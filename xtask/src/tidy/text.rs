//! Rules for every text file: nothing that names one machine or one registry.

use super::{Findings, Violation};

/// Folders of one machine. Written in pieces, so that this file passes its own rule.
const MACHINE_PATHS: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("C:\\", "Users\\"),
];

/// Hosts of package registries: a build must work behind a mirror, and links to packages go stale.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("docker", ".io"),
];

/// Checks any text file. Cargo.lock is cargo's own and names its registry.
#[must_use]
pub fn check_text(file: &str, text: &str) -> Vec<Violation> {
    let mut findings = Findings::new(file);
    if file == "Cargo.lock" {
        return findings.done();
    }
    for (index, line) in text.lines().enumerate() {
        for path in MACHINE_PATHS {
            if starts_a_path(line, path) {
                findings.add(index + 1, format!("`{path}` is a folder of one machine: use a relative path"));
            }
        }
        for host in REGISTRY_HOSTS {
            if line.contains(host) {
                findings.add(
                    index + 1,
                    format!("`{host}` is a registry's host: name the package, not the place"),
                );
            }
        }
    }
    findings.done()
}

/// Whether the folder stands at the start of a path; `a/work/b` is no folder of a machine.
fn starts_a_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')' | '~'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planted_paths_and_hosts_are_found() {
        for folder in MACHINE_PATHS {
            assert_eq!(check_text("a.md", &format!("see {folder}x")).len(), 1, "{folder}");
            assert_eq!(check_text("a.md", &format!("\"{folder}x\"")).len(), 1, "{folder}");
        }
        for host in REGISTRY_HOSTS {
            assert_eq!(check_text("a.toml", &format!("\n\nurl = https://{host}/x")).len(), 1, "{host}");
        }
    }

    #[test]
    fn relative_paths_and_the_lock_file_pass() {
        let folder = MACHINE_PATHS[1];
        assert_eq!(check_text("a.md", &format!("the {}b{folder}x", "a")), []);
        assert_eq!(check_text("Cargo.lock", &format!("source = {}", REGISTRY_HOSTS[0])), []);
    }
}
