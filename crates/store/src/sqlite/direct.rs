//! Reads of many observations through SQLite's own interface, on one thread.
//!
//! sqlx copies every value of every row and hands the rows to another thread in a channel: two thirds of the time of a
//! whole forecast, which reads two thousand rows. Here they are read where they lie, on a connection of sqlx's pool.

#![expect(unsafe_code, reason = "SQLite's interface is C; this file is the only one that calls it")]

use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use forewatt_domain::{Observation, Time};
use libsqlite3_sys as ffi;
use sqlx::SqlitePool;
use sqlx::sqlite::LockedSqliteHandle;
use tokio::runtime::Handle;

use super::failure::{from_sqlite, when};
use crate::{Error, Result};

/// What to ask of the table of observations.
pub(super) struct Question {
    /// Gives `valid_time`, `available_at`, `value` by rising valid time and availability; `?1` is the series.
    pub sql: &'static str,
    /// The series.
    pub name: String,
    /// `?2` and following.
    pub numbers: Vec<i64>,
    /// Which rows to keep.
    pub keep: Keep,
}

/// Which of the rows of one valid time to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// Every revision.
    All,
    /// The one known last.
    Last,
}

/// Reads on a thread that may wait for the disk.
pub(super) async fn observations(
    readers: &SqlitePool,
    question: Question,
    doing: &'static str,
) -> Result<Vec<Observation>> {
    let mut connection = readers.acquire().await.map_err(when(doing))?;
    let runtime = Handle::current();
    let read = move || {
        let mut handle = runtime.block_on(connection.lock_handle()).map_err(when(doing))?;
        let mut statement = Statement::prepare(&mut handle, question.sql).map_err(|e| e.told(doing))?;
        statement.bind(&question).and_then(|()| statement.read(question.keep)).map_err(|e| e.told(doing))
    };
    let done = tokio::task::spawn_blocking(read).await;
    done.map_err(|error| Error::Backend { detail: format!("{doing}: the read broke off: {error}") })?
}

/// A result code of SQLite and its message.
struct Said {
    code: c_int,
    message: String,
}

impl Said {
    fn told(self, doing: &str) -> Error {
        from_sqlite(doing, self.code, &self.message)
    }
}

/// A prepared statement of a connection that nobody else uses meanwhile.
struct Statement<'a> {
    raw: NonNull<ffi::sqlite3_stmt>,
    connection: NonNull<ffi::sqlite3>,
    lock: PhantomData<&'a mut ()>,
}

impl<'a> Statement<'a> {
    fn prepare(handle: &'a mut LockedSqliteHandle<'_>, sql: &str) -> std::result::Result<Self, Said> {
        let connection = handle.as_raw_handle();
        let length = c_int::try_from(sql.len()).unwrap_or(c_int::MAX); // our own texts are short
        let mut raw = ptr::null_mut();
        // SAFETY: the connection is open and locked while `handle` lives, and `sql` holds `length` bytes.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(
                connection.as_ptr(),
                sql.as_ptr().cast(),
                length,
                &raw mut raw,
                ptr::null_mut(),
            )
        };
        match NonNull::new(raw) {
            Some(raw) if code == ffi::SQLITE_OK => Ok(Self { raw, connection, lock: PhantomData }),
            _ => Err(said(connection, code)),
        }
    }

    fn bind(&mut self, question: &Question) -> std::result::Result<(), Said> {
        let name = &question.name;
        let length = c_int::try_from(name.len()).unwrap_or(c_int::MAX); // names have at most some hundred bytes
        // SAFETY: the statement is live, and SQLite copies the text's `length` bytes before it returns.
        self.check(unsafe {
            ffi::sqlite3_bind_text(
                self.raw.as_ptr(),
                1,
                name.as_ptr().cast(),
                length,
                ffi::SQLITE_TRANSIENT(),
            )
        })?;
        for (place, &number) in (2..).zip(&question.numbers) {
            // SAFETY: the statement is live; a place that it does not have is an error, not a fault.
            self.check(unsafe { ffi::sqlite3_bind_int64(self.raw.as_ptr(), place, number) })?;
        }
        Ok(())
    }

    fn read(&mut self, keep: Keep) -> std::result::Result<Vec<Observation>, Said> {
        let mut found: Vec<Observation> = Vec::new();
        loop {
            // SAFETY: the statement is live and its connection locked.
            match unsafe { ffi::sqlite3_step(self.raw.as_ptr()) } {
                ffi::SQLITE_ROW => {
                    let row = self.row();
                    match found.last_mut() {
                        Some(last) if keep == Keep::Last && last.valid_time == row.valid_time => *last = row,
                        _ => found.push(row),
                    }
                }
                ffi::SQLITE_DONE => return Ok(found),
                code => return Err(said(self.connection, code)),
            }
        }
    }

    /// The columns of the row it stands on; the tables are strict, so they have these types.
    fn row(&self) -> Observation {
        let raw = self.raw.as_ptr();
        // SAFETY: the last step gave a row, and reading a number from any of its columns is defined.
        let (valid_time, available_at, value) = unsafe {
            (
                ffi::sqlite3_column_int64(raw, 0),
                ffi::sqlite3_column_int64(raw, 1),
                ffi::sqlite3_column_double(raw, 2),
            )
        };
        Observation {
            valid_time: Time::from_micros(valid_time),
            available_at: Time::from_micros(available_at),
            value,
        }
    }

    fn check(&self, code: c_int) -> std::result::Result<(), Said> {
        if code == ffi::SQLITE_OK { Ok(()) } else { Err(said(self.connection, code)) }
    }
}

impl Drop for Statement<'_> {
    fn drop(&mut self) {
        // SAFETY: it was prepared, is finalised once, and its connection is still locked. The code it returns repeats
        // what the last step said.
        unsafe { ffi::sqlite3_finalize(self.raw.as_ptr()) };
    }
}

/// What a connection says of its last failure.
fn said(connection: NonNull<ffi::sqlite3>, code: c_int) -> Said {
    // SAFETY: the connection is open and locked; the text is its own until its next call, and copied here.
    let message = unsafe {
        let text = ffi::sqlite3_errmsg(connection.as_ptr());
        if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    };
    Said { code, message }
}
