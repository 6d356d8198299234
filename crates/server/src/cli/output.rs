//! What commands say: results on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::plot::Look;

/// Columns when the terminal does not tell.
const COLUMNS_DEFAULT: usize = 100;
/// Columns of the widest chart.
const COLUMNS_MAX: usize = 160;
/// Rows of a chart.
const CHART_ROWS: usize = 16;

/// How to speak: decided once per process.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// One JSON document on standard output instead of text.
    pub json: bool,
    /// No notes and no progress.
    pub quiet: bool,
    /// ANSI colours on standard output.
    pub color: bool,
}

impl Output {
    /// Decides from the flags, the terminal and the environment (`NO_COLOR`, `TERM`).
    #[must_use]
    pub fn new(json: bool, quiet: bool, no_color: bool) -> Self {
        let plain = no_color || set("NO_COLOR").is_some() || set("TERM").as_deref() == Some("dumb");
        Self { json, quiet, color: !plain && io::stdout().is_terminal() }
    }

    /// Writes text to standard output.
    ///
    /// # Errors
    /// When standard output cannot be written; a closed pipe ends the program quietly, see [`super::exit`].
    #[expect(clippy::unused_self, reason = "commands speak through their output, whatever it decides")]
    pub fn text(&self, text: &str) -> io::Result<()> {
        write_out(text)
            .map_err(|error| io::Error::new(error.kind(), format!("writing standard output: {error}")))
    }

    /// Writes one JSON document to standard output.
    ///
    /// # Errors
    /// As [`Output::text`].
    pub fn document(&self, document: &impl Serialize) -> anyhow::Result<()> {
        Ok(self.text(&serde_json::to_string_pretty(document)?)?)
    }

    /// A remark beside the result, on standard error.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            complain(text);
        }
    }

    /// A heading in bold.
    #[must_use]
    pub fn heading(&self, text: &str) -> String {
        if self.color { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// How charts look here.
    #[must_use]
    pub fn look(&self) -> Look {
        let width = terminal_size::terminal_size().map_or(COLUMNS_DEFAULT, |(w, _)| usize::from(w.0));
        Look {
            columns: width.clamp(40, COLUMNS_MAX),
            rows: CHART_ROWS,
            unicode: is_utf8(),
            color: self.color,
        }
    }

    /// A progress bar of `total` bytes with rate and time left; silent when standard error is no terminal.
    #[must_use]
    pub fn bytes_bar(&self, total: u64) -> ProgressBar {
        self.bar(total, "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta} left")
    }

    /// A progress bar in thousandths of the work.
    #[must_use]
    pub fn work_bar(&self) -> ProgressBar {
        self.bar(1000, "{msg} [{bar:30}] {percent} % {elapsed} elapsed, {eta} left").with_message("loading")
    }

    fn bar(&self, total: u64, template: &str) -> ProgressBar {
        if self.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(8));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(if is_utf8() { style } else { style.progress_chars("=> ") });
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        bar
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Writes a line to standard error; there is nobody left to tell when that fails.
///
/// Errors quote what files and requests hold, so control characters, which could steer a terminal, are replaced.
pub fn complain(text: &str) {
    let safe = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    let text: String = text.chars().map(safe).collect();
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Whether the terminal shows more than ASCII: the first locale variable that is set says so, or none is set.
fn is_utf8() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_none_or(|name| {
        let name = name.to_lowercase();
        name.contains("utf-8") || name.contains("utf8")
    })
}

fn set(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|value| !value.is_empty())
}
