//! Rules for Rust files: size, first line, purity, and shortcuts that hide problems.

use super::manifest::PURE;
use super::mask::mask;
use super::{Findings, Violation};

/// The most lines a file may have.
pub const FILE_MAX_LINES: usize = 500;
/// The most lines a function may have, blank lines and comments not counted.
pub const FUNCTION_MAX_LINES: usize = 70;

/// Words that only impure code needs, with what they reach for.
const IMPURE: &[(&str, &str)] = &[
    ("SystemTime", "the clock"),
    ("Instant", "the clock"),
    ("Timestamp::now", "the clock"),
    ("Zoned::now", "the clock"),
    ("std::env", "the environment"),
    ("std::fs", "files"),
    ("std::net", "the network"),
    ("std::process", "other processes"),
    ("tokio", "the async runtime"),
    ("reqwest", "the network"),
];

/// Checks a Rust file.
#[must_use]
pub fn check_rust(file: &str, text: &str) -> Vec<Violation> {
    let mut findings = Findings::new(file);
    let lines = text.lines().count();
    if lines > FILE_MAX_LINES {
        findings.add(lines, format!("{lines} lines; a file has at most {FILE_MAX_LINES}: split it by noun"));
    }
    if !text.starts_with("//! ") {
        findings.add(1, "the first line must say in one `//!` sentence what the file is for");
    }
    let code = mask(text);
    check_functions(&code, &mut findings);
    check_shortcuts(&code, &mut findings);
    if PURE.iter().any(|name| file.starts_with(&format!("crates/{name}/"))) {
        check_purity(&code, &mut findings);
    }
    findings.done()
}

fn check_functions(code: &str, findings: &mut Findings) {
    for at in words(code, "fn") {
        let Some(body) = body(&code[at..]) else { continue };
        let length = body.lines().filter(|line| !line.trim().is_empty()).count();
        if length > FUNCTION_MAX_LINES {
            let what = format!("a function of {length} lines of code; at most {FUNCTION_MAX_LINES}");
            findings.add(line_of(code, at), what);
        }
    }
}

fn check_shortcuts(code: &str, findings: &mut Findings) {
    let compact = squeeze(code);
    for (shortcut, mend) in [
        ("#[ignore", "mend the test or delete it"),
        ("todo!", "finish it or return an error"),
        ("unimplemented!", "finish it or return an error"),
    ] {
        for (at, _) in compact.text.match_indices(shortcut) {
            findings.add(compact.line(at), format!("`{shortcut}`: {mend}"));
        }
    }
    for allow in ["#[allow(", "#![allow("] {
        for (at, _) in compact.text.match_indices(allow) {
            let attribute = compact.text[at..].split(']').next().unwrap_or_default();
            if !attribute.contains("reason=") {
                findings.add(
                    compact.line(at),
                    "`allow` without a reason: mend the warning, or `expect` it with a reason",
                );
            }
        }
    }
}

fn check_purity(code: &str, findings: &mut Findings) {
    let compact = squeeze(code);
    for &(word, what) in IMPURE {
        for at in words(&compact.text, word) {
            findings
                .add(compact.line(at), format!("`{word}`: domain and model are pure and may not use {what}"));
        }
    }
    for (at, opening) in compact.text.match_indices("std::{") {
        let inside = braces(&compact.text[at + opening.len() - 1..]).unwrap_or_default();
        for room in ["env", "fs", "net", "process"] {
            if words(inside, room).next().is_some() {
                findings.add(compact.line(at), format!("`std::{room}`: domain and model are pure"));
            }
        }
    }
}

/// The text from `fn` to the end of its body; none for a declaration or a function pointer's type.
fn body(text: &str) -> Option<&str> {
    let name = text["fn".len()..].trim_start();
    if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return None;
    }
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return None,
            '{' if depth == 0 => return braces(&text[at..]).map(|block| &text[..at + block.len()]),
            _ => {}
        }
    }
    None
}

/// The block in braces that the text starts with.
fn braces(text: &str) -> Option<&str> {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Some(&text[..=at]);
        }
    }
    None
}

/// Where a word stands by itself.
fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| !text[..at].ends_with(part) && !text[at + word.len()..].starts_with(part))
}

/// Source without white space, where `std :: fs` hides from nobody, with the line of every byte.
struct Squeezed {
    text: String,
    lines: Vec<usize>,
}

impl Squeezed {
    fn line(&self, at: usize) -> usize {
        self.lines.get(at).copied().unwrap_or(0)
    }
}

/// Drops white space except between two words.
fn squeeze(code: &str) -> Squeezed {
    let mut squeezed = Squeezed { text: String::with_capacity(code.len()), lines: Vec::new() };
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let (mut line, mut space) = (1, false);
    for c in code.chars() {
        if c.is_whitespace() {
            line += usize::from(c == '\n');
            space = true;
            continue;
        }
        if space && part(c) && squeezed.text.ends_with(part) {
            squeezed.text.push(' ');
        }
        space = false;
        squeezed.text.push(c);
        squeezed.lines.resize(squeezed.text.len(), line);
    }
    squeezed
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, body: &str) -> Vec<String> {
        let violations = check_rust(file, &format!("//! A file.\n{body}"));
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(found("a.rs", &"\n".repeat(FILE_MAX_LINES - 1)), [""; 0]);
        assert_eq!(found("a.rs", &"\n".repeat(FILE_MAX_LINES)).len(), 1);
    }

    #[test]
    fn a_missing_first_line_is_found() {
        assert_eq!(check_rust("a.rs", "fn a() {}\n").len(), 1);
        assert_eq!(check_rust("a.rs", "//!\nfn a() {}\n").len(), 1);
    }

    #[test]
    fn a_long_function_is_found_at_its_line() {
        let function = |lines: usize| {
            format!("impl X {{\n    fn a(&self) -> [u8; 3] {{\n{}    }}\n}}\n", "x();\n".repeat(lines))
        };
        assert_eq!(found("a.rs", &function(FUNCTION_MAX_LINES - 2)), [""; 0]);
        let long = found("a.rs", &function(FUNCTION_MAX_LINES - 1));
        assert_eq!(long.len(), 1);
        assert!(long[0].starts_with("a.rs:3: a function of 71 lines"), "{}", long[0]);
    }

    #[test]
    fn comments_blank_lines_and_declarations_do_not_count() {
        let comments = "// x\n\n".repeat(100);
        assert_eq!(found("a.rs", &format!("fn a() {{\n{comments}}}\n")), [""; 0]);
        let declared = "trait T {\n    fn a(&self);\n}\ntype F = fn(u8) -> u8;\n";
        assert_eq!(found("a.rs", &format!("{declared}struct S {{\n{}}}\n", "a: u8,\n".repeat(90))), [""; 0]);
    }

    #[test]
    fn impure_code_is_found_in_pure_crates_only() {
        for planted in [
            "use std::time::SystemTime;",
            "let t = std::time::Instant::now();",
            "use std::{fmt, fs};",
            "use std :: fs;",
            "std::env::var(\"A\");",
            "use std::net::TcpStream;",
            "jiff::Timestamp::now();",
            "jiff::Zoned::now();",
            "tokio::spawn(a);",
            "reqwest::get(a);",
        ] {
            for pure in ["crates/domain/src/a.rs", "crates/model/src/b/c.rs"] {
                assert_eq!(found(pure, planted).len(), 1, "{pure}: {planted}");
            }
            assert_eq!(found("crates/store/src/a.rs", planted), [""; 0], "{planted}");
        }
    }

    #[test]
    fn pure_code_passes() {
        let pure = "// std::fs and Instant in a comment\nlet s = \"std::env\";\nlet t = Timestamp::from_second(1);\nlet instant = 1;\nuse std::{fmt, environment};\n";
        assert_eq!(found("crates/domain/src/a.rs", pure), [""; 0]);
    }

    #[test]
    fn shortcuts_are_found() {
        for planted in [
            "#[ignore]\nfn a() {}",
            "#[ignore = \"slow\"]\nfn a() {}",
            "fn a() { todo!() }",
            "#[allow(dead_code)]\nfn a() {}",
            "#![allow(dead_code)]",
            "#[ allow (\n  dead_code\n)]\nfn a() {}",
        ] {
            assert_eq!(found("a.rs", planted).len(), 1, "{planted}");
        }
    }

    #[test]
    fn reasoned_exceptions_and_words_in_text_pass() {
        for fine in [
            "#[allow(dead_code, reason = \"why\")]\nfn a() {}",
            "#[expect(dead_code, reason = \"why\")]\nfn a() {}",
            "let a = \"todo! #[ignore] #[allow(\"; // todo!",
        ] {
            assert_eq!(found("a.rs", fine), [""; 0], "{fine}");
        }
    }
}
