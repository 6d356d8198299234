//! From what PostgreSQL says to what the store says, with the mend.

use sqlx::error::DatabaseError;

use crate::Error;

/// A mapper for errors met while `doing` something.
pub(super) fn when(doing: &str) -> impl FnOnce(sqlx::Error) -> Error + '_ {
    move |error| from_sqlx(doing, &error)
}

/// What went wrong while `doing` something.
pub(super) fn from_sqlx(doing: &str, error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(said) => from_postgres(doing, said.as_ref()),
        sqlx::Error::PoolTimedOut => Error::Busy {
            detail: format!(
                "{doing}: no connection became free in time; try again, allow more connections or a longer wait, \
                 or see whether the database is up"
            ),
        },
        sqlx::Error::Io(cause) => Error::Busy {
            detail: format!(
                "{doing}: the database cannot be reached ({cause}); check that it runs and that store.url names it"
            ),
        },
        sqlx::Error::Tls(cause) => Error::Backend {
            detail: format!(
                "{doing}: no secure connection ({cause}); check sslmode and sslrootcert in store.url"
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

/// By the SQLSTATE, <https://www.postgresql.org/docs/current/errcodes-appendix.html>: its first two characters are
/// the class.
fn from_postgres(doing: &str, said: &dyn DatabaseError) -> Error {
    let code = said.code().unwrap_or_default();
    let message = said.message();
    let busy = |mend: &str| Error::Busy { detail: format!("{doing}: {message}; {mend}") };
    let cannot_write = |mend: &str| Error::CannotWrite { detail: format!("{doing}: {message}; {mend}") };
    let backend = |mend: &str| Error::Backend { detail: format!("{doing}: {message}; {mend}") };
    match &*code {
        "57014" => busy("it took longer than store.statement_timeout_ms: ask for less, or allow more"),
        "55P03" => {
            busy("another transaction holds the lock for longer than store.lock_timeout_ms: try again")
        }
        "57P01" | "57P02" | "57P03" => busy("the database stops or starts: try again in a moment"),
        "53100" => cannot_write("free space on the database's disk; what was acknowledged before is safe"),
        "53300" => busy(
            "the server has no connection left: raise its max_connections or lower store.max_connections",
        ),
        "25006" => cannot_write("store.url must name the primary, not a replica"),
        "42501" => cannot_write("the role must own the tables, see docs/postgresql.md"),
        "28P01" | "28000" => backend("check the user and the password in store.url"),
        "3D000" => backend("create the database first, see docs/postgresql.md"),
        "26000" | "42P05" | "08P01" => {
            backend("behind a pooler of transactions set store.transaction_pooling = true")
        }
        "XX001" | "XX002" => corrupt(format!("{doing}: {message}; keep a copy, then restore a backup")),
        "22021" | "22P05" => Error::Invalid {
            what: "text",
            name: "given".to_owned(),
            detail: format!("{message}; leave out the character U+0000"),
        },
        _ => match code.get(..2).unwrap_or_default() {
            "08" => busy("the connection broke: try again"),
            "40" => busy("it met another transaction: try again"),
            "53" => busy("the server is out of resources: try again later"),
            _ => Error::Backend { detail: format!("{doing}: {message} (SQLSTATE {code})") },
        },
    }
}

/// Whether a row found no partition: it was dropped after it was seen.
pub(super) fn is_missing_partition(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(said) = error else { return false };
    // Other checks of values have constraints with names.
    said.code().as_deref() == Some("23514") && said.constraint().is_none()
}

/// A stored thing that does not decode.
pub(super) fn corrupt(detail: String) -> Error {
    Error::Corrupt { what: "database", name: "postgres".to_owned(), detail }
}
