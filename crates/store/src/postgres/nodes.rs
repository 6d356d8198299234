//! This node's number, held as an advisory lock while it lives, so that others do not take its jobs for orphans.

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;

use super::LOCK_CLASS;

/// Locks of nodes: apart from all others, and the second number is the node's.
pub(super) const NODE_CLASS: i32 = LOCK_CLASS + 1;

/// A node: a number and the connection that holds its lock, once there is need of either.
#[derive(Debug)]
pub(super) struct Node {
    connect: PgConnectOptions,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    number: i32,
    connection: PgConnection,
}

impl Node {
    pub(super) fn new(connect: PgConnectOptions) -> Self {
        Self { connect, held: Mutex::new(None) }
    }

    /// The number, with its lock held: it is taken anew when the connection broke.
    pub(super) async fn number(&self) -> sqlx::Result<i32> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_mut()
            && held.connection.ping().await.is_ok()
        {
            return Ok(held.number);
        }
        let number = held.take().map(|held| held.number);
        let mut connection = PgConnection::connect_with(&self.connect).await?;
        // A transaction that stays open keeps the lock behind a pooler too, whose session may hold others' statements. It reads nothing, so it holds back no
        // cleaning of old rows.
        sqlx::raw_sql("BEGIN; DEALLOCATE ALL; SET LOCAL idle_in_transaction_session_timeout = 0")
            .execute(&mut connection)
            .await?;
        let number = match number {
            Some(number) => number,
            None => {
                let next = sqlx::query_scalar("SELECT nextval('node_number')::integer");
                next.fetch_one(&mut connection).await?
            }
        };
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(NODE_CLASS).bind(number);
        lock.execute(&mut connection).await?;
        *held = Some(Held { number, connection });
        Ok(number)
    }

    /// The number, if it has one.
    pub(super) async fn known_number(&self) -> Option<i32> {
        self.held.lock().await.as_ref().map(|held| held.number)
    }

    /// Lets go of the lock.
    pub(super) async fn close(&self) {
        if let Some(held) = self.held.lock().await.take() {
            let _ = held.connection.close().await; // a broken one is closed already
        }
    }
}
