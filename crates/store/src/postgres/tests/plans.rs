//! Every query of this backend on a generated database: by index, pruned, and reading little more than it returns.

use std::collections::{BTreeMap, BTreeSet};

use forewatt_domain::{Forecast, ForecastPoint, QuantileLevels, Time, VersionId};
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row};

use super::{Private, described, hour, named};
use crate::contract::Harness;
use crate::{ForecastStore, ObservationStore, SeriesStore, Upkeep, UpkeepStore};

const SERIES: i64 = 20;
const DAYS: i64 = 731;
/// Days with a vintage of each hour's weather, the last series', known once an hour over two days.
const CROWDED_DAYS: i64 = 60;

/// 20 series of two years of hours, one of them with some fifty revisions of every hour, and two months of forecasts.
async fn generated() -> Option<Private> {
    let private = Private::empty().await?;
    let store = private.store();
    for series in 0..SERIES {
        store.put_series(&described(&format!("series-{series:02}")), hour(0)).await.unwrap();
    }
    // The store makes its own partitions; then the server fills them.
    let upkeep = Upkeep { now: hour(0), ahead_months: 24, retention_days: BTreeMap::new() };
    store.upkeep(&upkeep).await.unwrap();
    private.database.sql(&format!(
        "INSERT INTO observation SELECT s.id, t, t + interval '1 hour', extract(hour FROM t) \
         FROM generate_series(timestamptz '2026-01-01 00:00+00', timestamptz '2026-01-01 00:00+00' \
         + interval '{DAYS} days' - interval '1 hour', '1 hour') t CROSS JOIN series s WHERE s.name <> 'series-19' ORDER BY t, s.id; \
         INSERT INTO observation SELECT s.id, t, t - l * interval '1 hour', l \
         FROM generate_series(timestamptz '2026-03-01 00:00+00', timestamptz '2026-03-01 00:00+00' \
         + interval '{CROWDED_DAYS} days', '1 hour') t CROSS JOIN generate_series(0, 48) l, series s \
         WHERE s.name = 'series-19'; \
         UPDATE series s SET (observations, first_valid_time, last_valid_time) = \
         (SELECT count(*), min(valid_time), max(valid_time) FROM observation o WHERE o.series_id = s.id)"
    ));
    for series in ["series-00", "series-01", "series-02"] {
        for start in (0..24 * 30).step_by(2) {
            store.put_forecast(&issued(series, start)).await.unwrap();
        }
    }
    // Many of everything else, so that reading it whole would show.
    private.database.sql(
        "INSERT INTO series (name, kind, unit, resolution_seconds, time_zone, created_at, updated_at) \
         SELECT 'other-' || i, 'load', 'MW', 3600, 'UTC', now(), now() FROM generate_series(1, 3000) i; \
         INSERT INTO version (series_id, number, name, recipe, recipe_id, created_at, trained_from, trained_to, as_of, \
         metrics, notes, artifact_sha256, artifact_bytes) SELECT s.id, n, s.name || '-v' || n, '{}', '', now(), now(), \
         now(), now(), '{}', '[]', '', 0 FROM series s, generate_series(1, 2) n; \
         INSERT INTO quality SELECT s.id, now() - n * interval '1 day', 1, 1, '[]' \
         FROM series s, generate_series(1, 2) n; \
         INSERT INTO job SELECT i, 1, 'train', '{}', 'succeeded', 1, '', NULL, now() - i * interval '1 minute', now() \
         FROM generate_series(1, 5000) i",
    );
    private.database.sql("VACUUM ANALYZE");
    Some(private)
}

fn issued(series: &str, start: i64) -> Forecast {
    let point = |i| ForecastPoint { valid_time: hour(start + i), mean: i as f64, quantiles: vec![0.0, 1.0] };
    Forecast {
        series: named(series),
        unit: "MW".to_owned(),
        model_version: VersionId::new(&named(series), 1 + (start / 2 % 2) as u32),
        forecast_start: hour(start),
        issued_at: hour(start),
        data_watermark: hour(start),
        quality: 1.0,
        degraded: None,
        levels: QuantileLevels::new(vec![0.1, 0.9]).unwrap(),
        points: (0..48).map(point).collect(),
    }
}

/// What a plan did.
#[derive(Debug, Default)]
struct Seen {
    /// Kinds of nodes and what they read, a line a node, partitions without their month.
    shape: Vec<String>,
    /// Tables scanned from end to end.
    scanned: Vec<String>,
    /// Partitions touched.
    partitions: BTreeSet<String>,
    /// Rows that came out of tables and indexes, and those thrown away there.
    rows_read: f64,
}

impl Seen {
    fn look(&mut self, node: &Value, depth: usize) {
        let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
        let number = |key: &str| node[key].as_f64().unwrap_or_default();
        let (kind, table, loops) = (text("Node Type"), text("Relation Name"), number("Actual Loops"));
        let mut line = format!("{}{kind}", "  ".repeat(depth));
        if !table.is_empty() {
            let month = table.starts_with("observation_y");
            let index = text("Index Name");
            let name = if month { "observation_MONTH" } else { &table };
            let key = if month && !index.is_empty() { "the key".to_owned() } else { index };
            line = format!("{line} on {name}{}{key}", if key.is_empty() { "" } else { " by " });
            if loops > 0.0 {
                self.rows_read += (number("Actual Rows") + number("Rows Removed by Filter")) * loops;
                if month {
                    self.partitions.insert(table.clone());
                }
            }
            if kind == "Seq Scan" && loops > 0.0 {
                self.scanned.push(table);
            }
        }
        // A partition looks like the next; a plan that could touch many shows them once.
        if !(self.shape.last() == Some(&line) && line.contains("MONTH")) {
            self.shape.push(line);
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            self.look(child, depth + 1);
        }
    }
}

/// Runs a query with its parameters written in, as a plan made for these values would.
async fn explain(private: &Private, sql: &str, values: &[&str]) -> (Seen, f64) {
    let mut text = sql.to_owned();
    for (i, value) in values.iter().enumerate().rev() {
        text = text.replace(&format!("${}", i + 1), value);
    }
    let explain = AssertSqlSafe(format!("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) {text}"));
    let mut reader = private.store.primary.begin().await.unwrap();
    let row: PgRow = sqlx::query(explain).persistent(false).fetch_one(&mut *reader).await.unwrap();
    let plan: Value = row.try_get_unchecked::<JsonText, _>(0).unwrap().0;
    let mut seen = Seen::default();
    seen.look(&plan[0]["Plan"], 0);
    let returned = plan[0]["Plan"]["Actual Rows"].as_f64().unwrap();
    (seen, returned)
}

/// A json column without the library's feature for it.
struct JsonText(Value);

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for JsonText {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
        Ok(Self(serde_json::from_slice(value.as_bytes()?)?))
    }
}

impl sqlx::Type<sqlx::Postgres> for JsonText {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        sqlx::postgres::PgTypeInfo::with_oid(sqlx::postgres::types::Oid(114))
    }
}

fn literal(time: Time) -> String {
    format!("timestamptz '{time}'")
}

/// Name, text, parameters, rows read for each row returned at most, partitions touched at most.
type Query = (&'static str, &'static str, Vec<String>, f64, usize);

fn queries() -> Vec<Query> {
    use super::super::{forecasts, jobs, observations, quality, series, versions};
    let (from, to, now) = (literal(hour(1_700)), literal(hour(1_700 + 168)), literal(hour(24 * DAYS)));
    let name = |series: &str| format!("'{series}'");
    let range = |series, at: &str| vec![name(series), from.clone(), to.clone(), at.to_owned()];
    let array = |of: &str, values: [String; 3]| format!("ARRAY[{}]::{of}[]", values.join(","));
    let times = |hours: [i64; 3]| array("timestamptz", hours.map(|h| literal(hour(h))));
    let given = vec![
        "1".to_owned(),
        times([5, 6, 7]),
        times([6, 7, 8]),
        array("float8", ["1", "2", "3"].map(String::from)),
    ];
    let (early, late) = (literal(hour(200)), literal(hour(200 + 168)));
    let forecasts_in =
        |x: &str| vec![name("series-01"), early.clone(), late.clone(), x.to_owned(), "400".to_owned()];
    let few = "5".to_owned();
    vec![
        ("as of", observations::AS_OF, range("series-03", &now), 1.1, 2),
        ("as of, crowded", observations::AS_OF_CROWDED, range("series-19", &now), 2.1, 2),
        ("revisions", observations::REVISIONS, vec![name("series-03"), from.clone(), to.clone()], 1.1, 2),
        ("the lock of a series", observations::LOCK_SERIES, vec![name("series-03")], 1.0, 0),
        ("a small write", observations::INSERT, given.clone(), 9.0, 0),
        ("comparing", observations::COMPARE, given, 9.0, 1),
        (
            "anything between",
            observations::ANY_BETWEEN,
            vec!["1".to_owned(), from.clone(), to.clone()],
            1.0,
            2,
        ),
        ("by start", forecasts::BY_START, vec![name("series-01"), early.clone(), "400".to_owned()], 1.1, 0),
        ("forecasts as of", forecasts::AS_OF, forecasts_in(&late), 4.1, 0),
        ("fixed lead", forecasts::FIXED_LEAD, forecasts_in("86400000000"), 4.1, 0),
        (
            "by version",
            forecasts::BY_VERSION,
            vec![name("series-01"), name("series-01-v1"), early.clone(), late, "9999".to_owned()],
            1.3,
            0,
        ),
        (
            "a page of forecasts",
            forecasts::LIST,
            vec![name("series-01"), early.clone(), early.clone(), name(""), few.clone()],
            1.3,
            0,
        ),
        ("the points of one", forecasts::POINTS, vec!["7".to_owned()], 1.0, 0),
        ("a series", series::BY_NAME, vec![name("series-03")], 1.0, 0),
        ("a page of series", series::FROM_NAME, vec![name("series-03"), few.clone()], 1.1, 0),
        ("a version", versions::BY_NAME, vec![name("series-03-v1")], 3.0, 0),
        ("versions", versions::OF_SERIES, vec![name("series-03"), few.clone()], 3.0, 0),
        ("a job", jobs::BY_ID, vec![name("x")], 1.0, 0),
        ("jobs", jobs::NEWEST, vec![few], 1.0, 0),
        ("quality", quality::LATEST, vec![name("series-03")], 3.0, 0),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_is_a_range_of_an_index() {
    let Some(private) = generated().await else { return };
    let mut shapes = Vec::new();
    for (name, sql, values, ratio, partitions) in queries() {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let (seen, returned) = explain(&private, sql, &values).await;
        // The partitions that catch what lies far out are empty.
        let large =
            |table: &&String| !matches!(table.as_str(), "observation_before_1970" | "observation_from_2100");
        assert_eq!(seen.scanned.iter().find(large), None, "{name}: {seen:#?}");
        assert!(seen.partitions.len() <= partitions, "{name}: {seen:#?}");
        // Besides, a look at the series and the end of a walk.
        let most = ratio * returned + 4.0;
        assert!(seen.rows_read <= most, "{name}: {} rows read for {returned}: {seen:#?}", seen.rows_read);
        shapes.push(format!("{name}\n  {}", seen.shape.join("\n  ")));
    }
    // Other versions may choose otherwise, within the bounds above.
    if private.database.sql("SHOW server_version_num").starts_with("15") {
        insta::assert_snapshot!("plans", shapes.join("\n"));
    }
}

/// The way for series with many revisions reads a row for each valid time, the plain way all of them, and both are one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_revisions_cost_no_more_than_few() {
    let Some(private) = generated().await else { return };
    let (name, range) = (named("series-19"), crate::contract::hours(&named("series-19"), 1_500, 1_900));
    let at = hour(1_650);
    let plain = private.store.read_as_of(&range, at).await.unwrap();
    assert!(!private.store.known.is_crowded(&name), "it was not seen yet");
    private.store.get_series(&name).await.unwrap();
    assert!(private.store.known.is_crowded(&name));
    let sought = private.store.read_as_of(&range, at).await.unwrap();
    assert_eq!(plain, sought);
    assert!(plain.len() > 150, "{}", plain.len());
}
