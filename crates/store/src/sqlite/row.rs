//! SQLite's rows: instants are microseconds, lists of numbers are blobs of little-endian doubles.

use forewatt_domain::Time;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::columns::Columns;
use crate::given::undecodable;

impl Columns for SqliteRow {
    fn text(&self, column: usize) -> sqlx::Result<&str> {
        self.try_get(column)
    }
    fn maybe_text(&self, column: usize) -> sqlx::Result<Option<&str>> {
        self.try_get(column)
    }
    fn integer(&self, column: usize) -> sqlx::Result<i64> {
        self.try_get(column)
    }
    fn flag(&self, column: usize) -> sqlx::Result<bool> {
        self.try_get(column)
    }
    fn number(&self, column: usize) -> sqlx::Result<f64> {
        self.try_get(column)
    }
    fn maybe_number(&self, column: usize) -> sqlx::Result<Option<f64>> {
        self.try_get(column)
    }
    fn maybe_time(&self, column: usize) -> sqlx::Result<Option<Time>> {
        Ok(self.try_get::<Option<i64>, _>(column)?.map(Time::from_micros))
    }
    fn numbers(&self, column: usize) -> sqlx::Result<Vec<f64>> {
        from_blob(self.try_get(column)?)
    }
    fn instant(&self, column: usize) -> sqlx::Result<Time> {
        self.try_get(column).map(Time::from_micros)
    }
}

/// A list of numbers for a column.
pub(super) fn to_blob(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn from_blob(bytes: &[u8]) -> sqlx::Result<Vec<f64>> {
    let (values, rest) = bytes.as_chunks::<8>();
    if rest.is_empty() {
        Ok(values.iter().map(|v| f64::from_le_bytes(*v)).collect())
    } else {
        Err(undecodable(format!("{} bytes are not a list of doubles", bytes.len())))
    }
}
