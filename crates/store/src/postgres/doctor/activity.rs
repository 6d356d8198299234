//! What the server's sessions do: connections, long queries, waits, replicas, the cache.

use sqlx::PgConnection;

use super::super::nodes::NODE_CLASS;
use crate::doctor::Finding;

/// A transaction open for longer holds back the cleaning of old rows.
const LONG_SECONDS: f64 = 60.0;
const LAG_MAX_SECONDS: f64 = 10.0;
/// Below this share of blocks found in memory, reads wait for the disk.
const HITS_MIN: f64 = 0.95;
/// Blocks asked for, below which a share says nothing.
const BLOCKS_MIN: f64 = 100_000.0;
/// Transactions after which the server stops to protect itself are two thousand million.
const AGE_MAX: i64 = 1_000_000_000;

const CONNECTIONS: &str = "SELECT count(*), count(*) FILTER (WHERE application_name = 'forewatt'), \
     current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint, \
     (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $1 AND granted) \
     FROM pg_stat_activity WHERE backend_type = 'client backend'";
const LONG: &str = "SELECT pid, coalesce(application_name, ''), coalesce(state, ''), \
     extract(epoch FROM now() - xact_start)::float8, left(coalesce(query, ''), 80) FROM pg_stat_activity \
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND now() - xact_start > $1 * interval '1 s' \
     AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = $2) \
     ORDER BY xact_start LIMIT 10";
const WAITING: &str = "SELECT pid, pg_blocking_pids(pid), left(coalesce(query, ''), 80) FROM pg_stat_activity \
     WHERE cardinality(pg_blocking_pids(pid)) > 0 ORDER BY pid LIMIT 10";
const REPLICAS: &str = "SELECT coalesce(application_name, ''), coalesce(extract(epoch FROM replay_lag)::float8, 0) \
     FROM pg_stat_replication ORDER BY 1";
const CACHE: &str =
    "SELECT blks_hit::float8, blks_read::float8 FROM pg_stat_database WHERE datname = current_database()";
const AGE: &str = "SELECT age(datfrozenxid)::bigint FROM pg_database WHERE datname = current_database()";
const REPLICA: &str = "SELECT pg_is_in_recovery(), \
     coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8, 0)";

/// Whether all nodes' pools fit into the server. Nodes are counted by the locks they hold, this one's pool at least.
pub(super) async fn connections(connection: &mut PgConnection, pool: u32) -> sqlx::Result<Finding> {
    let query = sqlx::query_as(CONNECTIONS).bind(i64::from(NODE_CLASS));
    let (all, ours, room, nodes): (i64, i64, i64, i64) = query.fetch_one(connection).await?;
    let nodes = nodes.max(1);
    let needed = nodes * (i64::from(pool) + 1);
    let found = format!(
        "{all} open ({ours} ours) of {room}; {nodes} node(s) may need {needed} (store.max_connections {pool})"
    );
    if needed > room {
        let mend = "raise max_connections, lower store.max_connections, or put pgbouncer between (docs/postgresql.md)";
        return Ok(Finding::bad("connections", found, mend));
    }
    if all * 10 > room * 9 {
        return Ok(Finding::note(
            "connections",
            found,
            "nine tenths are taken: see who holds them in pg_stat_activity",
        ));
    }
    Ok(Finding::good("connections", found))
}

pub(super) async fn look(connection: &mut PgConnection) -> sqlx::Result<Vec<Finding>> {
    let long = sqlx::query_as(LONG).bind(LONG_SECONDS).bind(i64::from(NODE_CLASS));
    let mut findings = long_transactions(&long.fetch_all(&mut *connection).await?);
    findings.extend(waits(&sqlx::query_as(WAITING).fetch_all(&mut *connection).await?));
    let replicas: Vec<(String, f64)> = sqlx::query_as(REPLICAS).fetch_all(&mut *connection).await?;
    findings.extend(replicas.iter().map(|(name, seconds)| lag(&format!("replica {name}"), *seconds)));
    let cache: (f64, f64) = sqlx::query_as(CACHE).fetch_one(&mut *connection).await?;
    findings.push(hits(cache));
    let age: i64 = sqlx::query_scalar(AGE).fetch_one(&mut *connection).await?;
    findings.push(transaction_age(age));
    Ok(findings)
}

/// Whether what `store.read_url` names is a replica, and how far behind.
pub(super) async fn replica(connection: &mut PgConnection) -> sqlx::Result<Finding> {
    let (is_replica, behind): (bool, f64) = sqlx::query_as(REPLICA).fetch_one(connection).await?;
    if !is_replica {
        let mend = "let store.read_url name a replica of the primary, or leave it empty";
        return Ok(Finding::note("store.read_url", "no replica: the server takes writes itself", mend));
    }
    Ok(lag("store.read_url", behind))
}

fn lag(check: &str, seconds: f64) -> Finding {
    let found = format!("{seconds:.1} s behind");
    if seconds > LAG_MAX_SECONDS {
        return Finding::note(check, found, "see its disk, its network and long reads on it");
    }
    Finding::good(check, found)
}

/// A session: its process, program, state, seconds in its transaction, and the start of its query.
type Long = (i32, String, String, f64, String);

fn long_transactions(sessions: &[Long]) -> Vec<Finding> {
    if sessions.is_empty() {
        return vec![Finding::good("long transactions", format!("none beyond {LONG_SECONDS} s"))];
    }
    let each = |(pid, program, state, seconds, query): &Long| {
        let found = format!("process {pid} ({program}, {state}) for {seconds:.0} s: {query}");
        let mend = format!("SELECT pg_cancel_backend({pid}), or pg_terminate_backend({pid}) when it is idle");
        Finding::note("long transactions", found, mend)
    };
    sessions.iter().map(each).collect()
}

fn waits(sessions: &[(i32, Vec<i32>, String)]) -> Vec<Finding> {
    if sessions.is_empty() {
        return vec![Finding::good("waits for locks", "none")];
    }
    let each = |(pid, by, query): &(i32, Vec<i32>, String)| {
        let found = format!("process {pid} waits for {by:?}: {query}");
        Finding::note("waits for locks", found, "look at it again; end what blocks if it does not pass")
    };
    sessions.iter().map(each).collect()
}

fn hits((hit, read): (f64, f64)) -> Finding {
    let share = hit / (hit + read).max(1.0);
    let found = format!("{:.1} % of blocks found in memory", share * 100.0);
    if hit + read > BLOCKS_MIN && share < HITS_MIN {
        return Finding::note("cache", found, "raise shared_buffers if the machine has memory");
    }
    Finding::good("cache", found)
}

fn transaction_age(age: i64) -> Finding {
    let found = format!("{age} transactions since the oldest frozen row");
    if age > AGE_MAX {
        let mend = "VACUUM (FREEZE) the database before it stops taking writes; see why autovacuum does not";
        return Finding::bad("transaction age", found, mend);
    }
    Finding::good("transaction age", found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Weight;

    #[test]
    fn sessions_are_named_with_what_ends_them() {
        let long =
            long_transactions(&[(42, "psql".into(), "idle in transaction".into(), 99.0, "SELECT 1".into())]);
        assert!(long[0].found.contains("process 42 (psql"), "{long:?}");
        assert!(long[0].mend.contains("pg_cancel_backend(42)"), "{long:?}");
        assert!(waits(&[(7, vec![42], "UPDATE".into())])[0].found.contains("7 waits for [42]"));
        assert_eq!((long_transactions(&[])[0].weight, waits(&[])[0].weight), (Weight::Good, Weight::Good));
    }

    #[test]
    fn shares_and_ages_have_bounds() {
        assert_eq!(hits((50.0, 50.0)).weight, Weight::Good, "too few to say");
        assert_eq!(hits((900_000.0, 100_000.0)).weight, Weight::Note);
        assert_eq!(transaction_age(1_500_000_000).weight, Weight::Bad);
        assert_eq!((lag("a", 11.0).weight, lag("a", 0.5).weight), (Weight::Note, Weight::Good));
    }
}
