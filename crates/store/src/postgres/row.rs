//! PostgreSQL's rows.

use forewatt_domain::Time;
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::stamp::Stamp;
use crate::columns::Columns;

impl Columns for PgRow {
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
        Ok(self.try_get::<Option<Stamp>, _>(column)?.map(|stamp| stamp.0))
    }
    fn numbers(&self, column: usize) -> sqlx::Result<Vec<f64>> {
        self.try_get(column)
    }
    fn instant(&self, column: usize) -> sqlx::Result<Time> {
        self.try_get::<Stamp, _>(column).map(|stamp| stamp.0)
    }
}
