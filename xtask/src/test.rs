//! `cargo xtask test`: every check and test in one go, with one line of sums at the end.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::Context;

/// What passed and what failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Checks and tests that passed.
    pub passed: u64,
    /// Checks and tests that failed.
    pub failed: u64,
}

/// How a step is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    /// The step is one check.
    One,
    /// The step runs tests and says how many.
    Tests,
}

struct Step {
    title: &'static str,
    count: Count,
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

const FORMAT: Step =
    Step { title: "format", count: Count::One, arguments: &["fmt", "--all", "--check"], environment: &[] };
const CLIPPY: Step = Step {
    title: "clippy, warnings denied",
    count: Count::One,
    arguments: &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
    environment: &[],
};
const NEXTEST: Step = Step {
    title: "tests (cargo nextest)",
    count: Count::Tests,
    arguments: &["nextest", "run", "--workspace", "--no-fail-fast"],
    environment: &[],
};
const TESTS: Step = Step {
    title: "tests (cargo test)",
    count: Count::Tests,
    arguments: &["test", "--workspace", "--all-targets", "--no-fail-fast"],
    environment: &[],
};
const DOC_TESTS: Step = Step {
    title: "documentation tests",
    count: Count::Tests,
    arguments: &["test", "--workspace", "--doc", "--no-fail-fast"],
    environment: &[],
};
const DOC: Step = Step {
    title: "documentation, warnings denied",
    count: Count::One,
    arguments: &["doc", "--workspace", "--no-deps"],
    environment: &[("RUSTDOCFLAGS", "-D warnings")],
};
const DENY: Step = Step {
    title: "licences, bans and sources of dependencies",
    count: Count::One,
    arguments: &["deny", "check", "bans", "licenses", "sources"],
    environment: &[],
};

/// Runs everything, whatever fails on the way; the exit code is 1 when anything failed.
///
/// # Errors
/// When a command cannot be started at all.
pub fn run(quick: bool) -> anyhow::Result<ExitCode> {
    prepare()?;
    let mut steps = vec![FORMAT, CLIPPY];
    steps.push(if has_command(&["nextest", "--version"]) { NEXTEST } else { TESTS });
    if quick {
        say("--quick: no documentation, no documentation tests, no check of dependencies");
    } else {
        steps.extend([DOC_TESTS, DOC]);
        if has_command(&["deny", "--version"]) {
            steps.push(DENY);
        } else {
            say(
                "cargo-deny is not installed: dependencies go unchecked (`cargo install cargo-deny --locked`)",
            );
        }
    }
    let mut sum = Tally::default();
    for step in &steps {
        let tally = perform(step)?;
        sum.passed += tally.passed;
        sum.failed += tally.failed;
    }
    say(&format!("{} passed, {} failed", sum.passed, sum.failed));
    Ok(if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn perform(step: &Step) -> anyhow::Result<Tally> {
    say(&format!("\n== {}: cargo {}", step.title, step.arguments.join(" ")));
    let mut child = cargo(step.arguments)
        .envs(step.environment.iter().copied())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start cargo for {}", step.title))?;
    let found = Mutex::new(Tally::default());
    thread::scope(|scope| {
        if let Some(pipe) = child.stdout.take() {
            scope.spawn(|| relay(pipe, &found));
        }
        if let Some(pipe) = child.stderr.take() {
            scope.spawn(|| relay(pipe, &found));
        }
    });
    let success = child.wait().context("lost the child process")?.success();
    let tests = found.into_inner().unwrap_or_default();
    let tally = settle(step.count, success, tests);
    say(&format!("-- {}: {} passed, {} failed", step.title, tally.passed, tally.failed));
    Ok(tally)
}

/// A step that failed without naming a failed test (it did not compile) counts as one failure.
fn settle(count: Count, success: bool, tests: Tally) -> Tally {
    match (count, success) {
        (Count::One, true) => Tally { passed: 1, failed: 0 },
        (Count::One, false) => Tally { passed: 0, failed: 1 },
        (Count::Tests, true) => tests,
        (Count::Tests, false) => Tally { failed: tests.failed.max(1), ..tests },
    }
}

/// Shows a child's output line by line and adds up the sums in it.
fn relay(pipe: impl Read, found: &Mutex<Tally>) {
    for line in BufReader::new(pipe).split(b'\n') {
        let Ok(line) = line else { return };
        let line = String::from_utf8_lossy(&line);
        say(&line);
        if let (Some(tally), Ok(mut sum)) = (read_sum(&line), found.lock()) {
            sum.passed += tally.passed;
            sum.failed += tally.failed;
        }
    }
}

/// The sums in `test result: ok. 3 passed; 1 failed; ...` of cargo test and in
/// `Summary [0.1s] 4 tests run: 3 passed, 1 failed, 0 skipped` of nextest.
fn read_sum(line: &str) -> Option<Tally> {
    // nextest shows the output of a failed test, a sum of cargo test included, indented: not a sum of ours
    let sums = if let Some(rest) = line.strip_prefix("test result:") {
        rest
    } else if line.trim_start().starts_with("Summary [") {
        line.split_once("run:")?.1
    } else {
        return None;
    };
    let mut tally = Tally::default();
    let words: Vec<&str> = sums.split([' ', ',', ';', '(', ')']).filter(|w| !w.is_empty()).collect();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<u64>() else {
            continue;
        };
        match pair[1] {
            "passed" => tally.passed += number,
            // nextest names tests that were stopped or whose processes died apart from those that failed
            "failed" | "exec-failed" | "timed" => tally.failed += number,
            _ => {}
        }
    }
    Some(tally)
}

/// Installs what is missing where that is possible without asking, else says how.
fn prepare() -> anyhow::Result<()> {
    for (component, probe) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !has_command(&[probe, "--version"]) {
            say(&format!("{component} is missing: rustup component add {component}"));
            let installed = Command::new("rustup").args(["component", "add", component]).status();
            anyhow::ensure!(
                installed.is_ok_and(|status| status.success()),
                "cannot install {component}; run: rustup component add {component}"
            );
        }
    }
    if !["cc", "gcc", "clang"].iter().any(|compiler| answers(compiler, &["--version"])) {
        install("C compiler (SQLite is compiled from C)", "gcc libc6-dev")?;
    }
    install_server("PostgreSQL", "postgresql pgbouncer", has_postgres())?;
    install_server("Redis", "redis-server", answers("redis-server", &["--version"]))
}

/// Installs a server that tests start, unless it is there; where that cannot be, its tests are left out.
fn install_server(what: &str, packages: &str, is_there: bool) -> anyhow::Result<()> {
    if is_there {
        return Ok(());
    }
    match install(what, packages) {
        // Where everything must run, nothing may be left out.
        Err(error) if std::env::var_os("CI").is_some() => Err(error),
        Err(error) => {
            say(&format!("{error}; the tests of {what} are left out"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Installs Debian packages where that is possible without asking, else says how.
fn install(what: &str, packages: &str) -> anyhow::Result<()> {
    let line = format!("apt-get update && apt-get install -y --no-install-recommends {packages}");
    anyhow::ensure!(answers("apt-get", &["--version"]) && is_root(), "no {what}; run as root: {line}");
    say(&format!("no {what}: {line}"));
    let installed = Command::new("sh").args(["-c", &line]).status().context("cannot start sh")?;
    anyhow::ensure!(installed.success(), "{what} could not be installed; run as root: {line}");
    Ok(())
}

/// Whether a server can be made: Debian keeps its programs out of the path.
fn has_postgres() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    answers("initdb", &["--version"]) || versions.into_iter().any(|v| v.path().join("bin/initdb").exists())
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn has_command(arguments: &[&str]) -> bool {
    answers(cargo(&[]).get_program(), arguments)
}

fn answers(program: impl AsRef<OsStr>, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(crate::root());
    command
}

/// A line to the terminal; a reader who has gone away is no reason to stop testing.
fn say(line: &str) {
    let _gone = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_sums_of_cargo_test() {
        let line = "test result: FAILED. 41 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.50s";
        assert_eq!(read_sum(line), Some(Tally { passed: 41, failed: 2 }));
    }

    #[test]
    fn reads_the_sums_of_nextest() {
        for (line, passed, failed) in [
            ("     Summary [   0.812s] 12 tests run: 12 passed, 0 skipped", 12, 0),
            (
                "     Summary [   0.812s] 12 tests run: 9 passed (1 slow), 2 failed, 1 timed out, 3 skipped",
                9,
                3,
            ),
            ("     Summary [   0.812s] 3/9 tests run: 2 passed, 1 exec-failed, 0 skipped", 2, 1),
        ] {
            assert_eq!(read_sum(line), Some(Tally { passed, failed }), "{line}");
        }
    }

    #[test]
    fn other_lines_have_no_sums() {
        for line in [
            "",
            "test a::b ... ok",
            "running 3 tests",
            "warning: 3 passed, 1 failed",
            "    test result: FAILED. 0 passed; 1 failed",
        ] {
            assert_eq!(read_sum(line), None, "{line}");
        }
    }

    #[test]
    fn a_step_that_fails_counts_at_least_once() {
        let none = Tally::default();
        assert_eq!(settle(Count::Tests, false, none).failed, 1);
        assert_eq!(settle(Count::Tests, false, Tally { passed: 5, failed: 3 }).failed, 3);
        assert_eq!(settle(Count::One, false, none), Tally { passed: 0, failed: 1 });
        assert_eq!(settle(Count::One, true, none), Tally { passed: 1, failed: 0 });
    }
}
