//! SQLite tests.
