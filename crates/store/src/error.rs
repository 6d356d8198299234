//! What can go wrong in any backend, without naming one.

/// A backend-neutral failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// The noun: `series`, `model version`, `artifact`, ...
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It exists already and differs.
    #[error("{what} `{name}` exists already and differs: {difference}")]
    Conflict {
        /// The noun.
        what: &'static str,
        /// Its name.
        name: String,
        /// What differs.
        difference: String,
    },
    /// What was given can never be stored.
    #[error("the {what} `{name}` cannot be stored: {detail}")]
    Invalid {
        /// The noun.
        what: &'static str,
        /// Its name.
        name: String,
        /// What is wrong with it and how to mend it.
        detail: String,
    },
    /// Another process holds the database, or the pool is exhausted: try again.
    #[error("the store is busy: {detail}")]
    Busy {
        /// What the backend said.
        detail: String,
    },
    /// The disk is full or the folder read-only.
    #[error("the store cannot write: {detail}")]
    CannotWrite {
        /// What the backend said.
        detail: String,
    },
    /// The store was written by a newer Forewatt.
    #[error(
        "the store has schema version {found}, this executable knows up to {known}: use a newer forewatt"
    )]
    NewerSchema {
        /// Version in the store.
        found: i64,
        /// Newest version this executable knows.
        known: i64,
    },
    /// Stored bytes do not match their checksum or do not decode.
    #[error("{what} `{name}` is corrupt: {detail}")]
    Corrupt {
        /// The noun.
        what: &'static str,
        /// Its name.
        name: String,
        /// How it shows.
        detail: String,
    },
    /// Anything else the backend says.
    #[error("the store failed: {detail}")]
    Backend {
        /// What the backend said.
        detail: String,
    },
}

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;
