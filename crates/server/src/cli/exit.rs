//! Exit codes: a contract with scripts.

use std::process::ExitCode;

use forewatt_service::ErrorKind;

use crate::config::ConfigError;

/// All went well.
pub const OK: u8 = 0;
/// Something failed that the user cannot mend by other input.
pub const FAILURE: u8 = 1;
/// The command line or the configuration is not understood (clap's own code).
pub const USAGE: u8 = 2;
/// There is no such series, model version, job or file.
pub const NOT_FOUND: u8 = 3;
/// The input was understood and refused: a file, a value, a range, too few data.
pub const REFUSED: u8 = 4;
/// Not now: the port, the store or the disk is busy or full. Trying again may help.
pub const NOT_NOW: u8 = 5;
/// Ended by Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// The codes as `--help` tells them.
pub const HELP: &str = "\
Exit codes:
  0    success
  1    failure
  2    the command line or the configuration is not understood
  3    not found: a series, a model, a job, a file
  4    the input was refused: a file, a value, a range, too few data
  5    not now: a busy port or store, a full disk; try again
  130  interrupted by Ctrl-C";

/// A failure of the command line's own, with its code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What, where and how to mend it.
    pub message: String,
}

/// The input is refused.
pub fn refused(message: impl Into<String>) -> anyhow::Error {
    Failure { code: REFUSED, message: message.into() }.into()
}

/// There is no such thing.
pub fn not_found(message: impl Into<String>) -> anyhow::Error {
    Failure { code: NOT_FOUND, message: message.into() }.into()
}

/// The command line asks for something that cannot be.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    Failure { code: USAGE, message: message.into() }.into()
}

/// Something is busy.
pub fn not_now(message: impl Into<String>) -> anyhow::Error {
    Failure { code: NOT_NOW, message: message.into() }.into()
}

/// Ctrl-C.
pub fn interrupted() -> anyhow::Error {
    Failure { code: INTERRUPTED, message: "interrupted".to_owned() }.into()
}

/// Tells an error on standard error and gives its code. A reader of our output that left (`| head`) is no error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::from(OK);
    }
    let code = code_of(error);
    if code != INTERRUPTED {
        let text = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        super::output::complain(&format!("error: {text}"));
    }
    ExitCode::from(code)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

fn code_of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.code;
        }
        if let Some(failure) = cause.downcast_ref::<forewatt_service::Error>() {
            return of_kind(failure.kind);
        }
        if cause.is::<ConfigError>() {
            return USAGE;
        }
    }
    FAILURE
}

/// The total match from the service's kinds to exit codes.
const fn of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::NotFound | ErrorKind::NoModel => NOT_FOUND,
        ErrorKind::InvalidInput
        | ErrorKind::Forbidden
        | ErrorKind::Conflict
        | ErrorKind::InsufficientData
        | ErrorKind::TooLarge => REFUSED,
        ErrorKind::Unavailable | ErrorKind::Timeout => NOT_NOW,
        ErrorKind::Corrupt | ErrorKind::Internal => FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn every_failure_has_its_code() {
        let service = |kind| anyhow::Error::from(forewatt_service::Error::new(kind, "x"));
        assert_eq!(code_of(&service(ErrorKind::NotFound)), NOT_FOUND);
        assert_eq!(code_of(&service(ErrorKind::Unavailable).context("reading")), NOT_NOW);
        assert_eq!(code_of(&refused("no")), REFUSED);
        assert_eq!(code_of(&ConfigError::Invalid(vec![]).into()), USAGE);
        assert_eq!(code_of(&anyhow::anyhow!("x")), FAILURE);
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let left = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let error = Err::<(), _>(left).context("writing").unwrap_err();
        assert_eq!(report(&error), ExitCode::from(OK));
    }
}
