//! From what SQLite says to what the store says, with the mend.

use super::DATABASE_FILE;
use crate::Error;

// SQLite's primary result codes, <https://www.sqlite.org/rescode.html>; extended codes keep them in the low byte.
const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

/// A mapper for errors met while `doing` something.
pub(super) fn when(doing: &str) -> impl FnOnce(sqlx::Error) -> Error + '_ {
    move |error| from_sqlx(doing, &error)
}

/// What went wrong while `doing` something.
pub(super) fn from_sqlx(doing: &str, error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(said) => {
            let code = said.code().and_then(|code| code.parse().ok()).unwrap_or(0);
            from_sqlite(doing, code, said.message())
        }
        sqlx::Error::PoolTimedOut => Error::Busy {
            detail: format!(
                "{doing}: every connection stayed in use; try again, or allow more connections or a longer wait"
            ),
        },
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            Error::Backend { detail: format!("{doing}: the store was closed; restart forewatt ({error})") }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            corrupt(format!("{doing}: a row does not decode ({error})"))
        }
        other => Error::Backend { detail: format!("{doing}: {other}") },
    }
}

/// What a result code of SQLite and the message beside it mean.
pub(super) fn from_sqlite(doing: &str, code: i32, message: &str) -> Error {
    let cannot_write = |mend: &str| Error::CannotWrite { detail: format!("{doing}: {message}; {mend}") };
    match code & 0xff {
        BUSY | LOCKED => Error::Busy {
            detail: format!(
                "{doing}: {message}; another process is writing to it: try again, or stop that process"
            ),
        },
        FULL => cannot_write("free space on the disk and try again; what was acknowledged before is safe"),
        READONLY | PERM => cannot_write(
            "give this user the right to write to the data folder and the files in it, or choose another folder",
        ),
        CANTOPEN => cannot_write(
            "check that the data folder exists, is a folder, and that this user may read and write it",
        ),
        IOERR => cannot_write("check the disk and its free space, then try again"),
        NOTADB => corrupt(format!(
            "{doing}: the file is not a SQLite database; move it away, or choose another data folder"
        )),
        CORRUPT => corrupt(format!(
            "{doing}: {message}; keep a copy, then restore a backup or use sqlite3's `.recover`"
        )),
        _ => Error::Backend { detail: format!("{doing}: {message}") },
    }
}

/// A stored thing that does not decode.
pub(super) fn corrupt(detail: String) -> Error {
    Error::Corrupt { what: "database", name: DATABASE_FILE.to_owned(), detail }
}
