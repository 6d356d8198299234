//! The one error every use case returns: a kind for machines, a message for people.

use forewatt_domain::forecast::{ForecastError, LevelsError};
use forewatt_domain::grid::GridError;
use forewatt_domain::series::SeriesError;
use forewatt_domain::time::TimeError;

/// What kind of failure: transports map it to a status, nothing else decides one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The input is malformed or out of range; trying again cannot help.
    InvalidInput,
    /// The caller has no right to it.
    Forbidden,
    /// There is no such series, version, job or forecast.
    NotFound,
    /// It exists already and differs, or a rule forbids the change now.
    Conflict,
    /// The series has no model that could answer.
    NoModel,
    /// There are too few data for what was asked.
    InsufficientData,
    /// The request is larger than a configured limit.
    TooLarge,
    /// Busy for the moment: try again.
    Unavailable,
    /// The deadline passed.
    Timeout,
    /// Stored bytes are damaged.
    Corrupt,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// A stable word for machines: `invalid_input`, `not_found`, ...
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::NoModel => "no_model",
            Self::InsufficientData => "insufficient_data",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }
}

/// A failed use case.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// For machines.
    pub kind: ErrorKind,
    /// For people: what, where and how to mend it. Safe to show to a client.
    pub message: String,
}

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of a kind with a message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// [`ErrorKind::InvalidInput`].
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl From<forewatt_store::Error> for Error {
    fn from(error: forewatt_store::Error) -> Self {
        use forewatt_store::Error as Store;
        let kind = match &error {
            Store::NotFound { .. } => ErrorKind::NotFound,
            Store::Conflict { .. } => ErrorKind::Conflict,
            Store::Busy { .. } | Store::CannotWrite { .. } => ErrorKind::Unavailable,
            Store::Corrupt { .. } => ErrorKind::Corrupt,
            Store::Invalid { .. } => ErrorKind::InvalidInput,
            Store::NewerSchema { .. } | Store::Backend { .. } => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

/// Errors of the domain's constructors are always the caller's input.
macro_rules! invalid_input {
    ($($error:ty),*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::invalid(error.to_string())
            }
        }
    )*};
}

invalid_input!(
    LevelsError,
    GridError,
    SeriesError,
    TimeError,
    forewatt_domain::recipe::UnknownFamily,
    forewatt_domain::choice::NotForFamily
);

impl From<ForecastError> for Error {
    fn from(error: ForecastError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<forewatt_model::predict::ModelError> for Error {
    fn from(error: forewatt_model::predict::ModelError) -> Self {
        use forewatt_model::predict::ModelError;
        let kind = match error {
            ModelError::TooFewRows { .. } | ModelError::TooFewDays { .. } => ErrorKind::InsufficientData,
            ModelError::Unsuited { .. } => ErrorKind::InvalidInput,
            ModelError::MissingFeature { .. } | ModelError::Numeric { .. } => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<forewatt_model::backtest::BacktestError> for Error {
    fn from(error: forewatt_model::backtest::BacktestError) -> Self {
        use forewatt_model::backtest::BacktestError as Backtest;
        let kind = match &error {
            Backtest::NoHistory { .. } | Backtest::NoActuals { .. } => ErrorKind::InsufficientData,
            Backtest::Model { source, .. } => Self::from(source.clone()).kind,
            Backtest::TooLarge { .. } => ErrorKind::TooLarge,
            Backtest::Cancelled => ErrorKind::Unavailable,
            Backtest::Range { .. }
            | Backtest::Every { .. }
            | Backtest::Refit { .. }
            | Backtest::OffGrid { .. }
            | Backtest::Resolution { .. }
            | Backtest::Grid(_) => ErrorKind::InvalidInput,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<forewatt_model::compare::CompareError> for Error {
    fn from(error: forewatt_model::compare::CompareError) -> Self {
        use forewatt_model::compare::CompareError as Compare;
        let kind = match error {
            Compare::NothingShared { .. } | Compare::TooFewDays { .. } => ErrorKind::InsufficientData,
            Compare::NoActuals { .. } | Compare::OtherActuals { .. } => ErrorKind::InvalidInput,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<crate::ingest::ImportError> for Error {
    fn from(error: crate::ingest::ImportError) -> Self {
        use crate::ingest::ImportError as Import;
        match error {
            Import::Store(error) => error.into(),
            Import::TooLarge { .. } | Import::TooMuch { .. } => {
                Self::new(ErrorKind::TooLarge, error.to_string())
            }
            Import::Stopped => Self::new(ErrorKind::Unavailable, error.to_string()),
            _ => Self::invalid(error.to_string()),
        }
    }
}
