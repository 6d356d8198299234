//! Our tables in the server: their version, their indexes, their partitions, and what old rows take.

use sqlx::PgConnection;

use crate::doctor::{Finding, bytes_text};
use crate::postgres::MIGRATIONS;

/// Every index that a query relies on; those of partitions belong to their parent's.
pub(in crate::postgres) const INDEXES: &[&str] = &[
    "alias_history_by_series",
    "alias_history_pkey",
    "alias_pkey",
    "api_key_pkey",
    "audit_by_time",
    "audit_pkey",
    "delivery_by_due",
    "delivery_by_webhook",
    "delivery_pkey",
    "forecast_by_version",
    "forecast_pkey",
    "forecast_point_by_issue",
    "forecast_point_by_start",
    "forecast_point_pkey",
    "forecast_series_id_forecast_start_issued_at_model_version_key",
    "job_by_age",
    "job_pkey",
    "job_unfinished",
    "label_pkey",
    "observation_pkey",
    "quality_pkey",
    "series_name_key",
    "series_pkey",
    "source_by_due",
    "source_pkey",
    "version_name_key",
    "version_pkey",
    "version_series_id_number_key",
    "webhook_pkey",
];

const HAS_SCHEMA: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
const APPLIED: &str = "SELECT max(version) FROM _sqlx_migrations WHERE success";
pub(in crate::postgres) const USABLE: &str = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
     JOIN pg_class t ON t.oid = i.indrelid \
     WHERE t.relnamespace = current_schema()::regnamespace AND i.indisvalid AND NOT c.relispartition \
     AND t.relname <> '_sqlx_migrations'";
/// Tables of which more than a fifth is dead, and more than ten thousand rows.
const BLOATED: &str = "SELECT relname::text, n_dead_tup, n_live_tup, pg_total_relation_size(relid)::float8 \
     FROM pg_stat_user_tables WHERE n_dead_tup > 10000 AND n_dead_tup * 4 > n_live_tup \
     ORDER BY n_dead_tup DESC LIMIT 10";
/// Tables with many changes since they were last looked at by the planner.
const UNSEEN: &str = "SELECT relname::text, n_mod_since_analyze FROM pg_stat_user_tables \
     WHERE n_mod_since_analyze > 100000 AND n_mod_since_analyze * 2 > n_live_tup \
     ORDER BY n_mod_since_analyze DESC LIMIT 10";
const PARTITIONS: &str = "SELECT count(*), coalesce(bool_or(c.relname = \
     'observation_' || to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')), false) \
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'observation'::regclass";

pub(super) async fn look(connection: &mut PgConnection) -> sqlx::Result<Vec<Finding>> {
    let there: bool = sqlx::query_scalar(HAS_SCHEMA).fetch_one(&mut *connection).await?;
    let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    if !there {
        return Ok(vec![Finding::schema(None, known)]);
    }
    let applied: Option<i64> = sqlx::query_scalar(APPLIED).fetch_one(&mut *connection).await?;
    let mut findings = vec![Finding::schema(applied, known)];
    let usable: Vec<String> = sqlx::query_scalar(USABLE).fetch_all(&mut *connection).await?;
    findings.push(indexes(&usable));
    findings.push(partitions(sqlx::query_as(PARTITIONS).fetch_one(&mut *connection).await?));
    findings.extend(bloat(&sqlx::query_as(BLOATED).fetch_all(&mut *connection).await?));
    findings.extend(statistics(&sqlx::query_as(UNSEEN).fetch_all(&mut *connection).await?));
    Ok(findings)
}

fn indexes(usable: &[String]) -> Finding {
    let missing: Vec<&str> =
        INDEXES.iter().copied().filter(|index| !usable.iter().any(|there| there == index)).collect();
    if missing.is_empty() {
        return Finding::good("indexes", format!("all {} there and valid", INDEXES.len()));
    }
    let found = format!("missing or invalid: {}", missing.join(", "));
    let mend =
        "REINDEX INDEX CONCURRENTLY an invalid one; make a missing one as the migrations in the sources do";
    Finding::bad("indexes", found, mend)
}

fn partitions((count, this_month): (i64, bool)) -> Finding {
    // Two catch what lies before 1970 and after 2099.
    let found = format!("{} months", (count - 2).max(0));
    if this_month || count <= 2 {
        return Finding::good("partitions", found);
    }
    let mend = "is a `forewatt serve` running? Its upkeep makes them ahead";
    Finding::note("partitions", format!("{found}, none of this month"), mend)
}

/// A table: its name, dead and live rows, and bytes with its indexes.
type Bloated = (String, i64, i64, f64);

fn bloat(tables: &[Bloated]) -> Vec<Finding> {
    if tables.is_empty() {
        return vec![Finding::good("dead rows", "few")];
    }
    let each = |(table, dead, live, bytes): &Bloated| {
        let found = format!("{table}: {dead} dead beside {live} live rows, {}", bytes_text(*bytes));
        let mend =
            format!("VACUUM (ANALYZE) {table}; if they come back, look for transactions that stay open");
        Finding::note("dead rows", found, mend)
    };
    tables.iter().map(each).collect()
}

fn statistics(tables: &[(String, i64)]) -> Vec<Finding> {
    if tables.is_empty() {
        return vec![Finding::good("statistics", "fresh")];
    }
    let each = |(table, changes): &(String, i64)| {
        let found = format!("{table}: {changes} changes since its last ANALYZE");
        Finding::note("statistics", found, format!("ANALYZE {table}"))
    };
    tables.iter().map(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Weight;

    #[test]
    fn a_month_that_is_not_there_is_noted() {
        assert_eq!(partitions((2, false)).weight, Weight::Good, "nothing stored yet");
        assert_eq!(partitions((14, true)).weight, Weight::Good);
        assert_eq!(partitions((14, false)).weight, Weight::Note);
    }

    #[test]
    fn bloat_and_stale_statistics_name_the_table() {
        let found = bloat(&[("series".to_owned(), 40_000, 1_000, 8.0e6)]);
        assert!(
            found[0].found.contains("40000 dead") && found[0].mend.contains("VACUUM (ANALYZE) series"),
            "{found:?}"
        );
        assert!(statistics(&[("job".to_owned(), 200_000)])[0].mend.contains("ANALYZE job"));
        assert_eq!((bloat(&[])[0].weight, statistics(&[])[0].weight), (Weight::Good, Weight::Good));
    }
}
