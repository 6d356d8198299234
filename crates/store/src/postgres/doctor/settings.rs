//! The server's settings against those of `deploy/postgres/postgresql.conf`.

use sqlx::PgConnection;

use crate::doctor::{Finding, bytes_text};

/// The oldest version that is tested.
const VERSION_MIN: i32 = 140_000;
const KIB: f64 = 1024.0;
const MIB: f64 = 1024.0 * KIB;
const GIB: f64 = 1024.0 * MIB;

/// What a setting should be.
enum Wanted {
    /// At least so much, in bytes where the setting is memory.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// This word, or acknowledged data can be lost.
    Safe(&'static str),
    /// This word.
    Word(&'static str),
}

const WANTED: &[(&str, Wanted)] = &[
    ("fsync", Wanted::Safe("on")),
    ("full_page_writes", Wanted::Safe("on")),
    ("synchronous_commit", Wanted::Safe("on")),
    ("autovacuum", Wanted::Safe("on")),
    ("max_connections", Wanted::AtLeast(200.0)),
    ("shared_buffers", Wanted::AtLeast(4.0 * GIB)),
    ("effective_cache_size", Wanted::AtLeast(12.0 * GIB)),
    ("maintenance_work_mem", Wanted::AtLeast(GIB)),
    ("work_mem", Wanted::AtLeast(16.0 * MIB)),
    ("max_wal_size", Wanted::AtLeast(8.0 * GIB)),
    ("checkpoint_completion_target", Wanted::AtLeast(0.9)),
    ("random_page_cost", Wanted::AtMost(1.5)),
    ("default_statistics_target", Wanted::AtLeast(200.0)),
    ("autovacuum_vacuum_insert_scale_factor", Wanted::AtMost(0.05)),
    ("autovacuum_vacuum_scale_factor", Wanted::AtMost(0.05)),
    ("autovacuum_analyze_scale_factor", Wanted::AtMost(0.02)),
    ("track_io_timing", Wanted::Word("on")),
    ("wal_compression", Wanted::Word("on")),
];

/// A setting's word, and its number in bytes where it is memory.
const SETTINGS: &str = "SELECT name, setting, CASE WHEN vartype IN ('integer', 'real') THEN setting::float8 * \
     CASE unit WHEN 'B' THEN 1 WHEN 'kB' THEN 1024 WHEN '8kB' THEN 8192 WHEN 'MB' THEN 1048576 ELSE 1 END END, \
     coalesce(unit IN ('B', 'kB', '8kB', 'MB'), false) FROM pg_settings";

/// A setting: its name, its word, its number, and whether that is bytes.
type Setting = (String, String, Option<f64>, bool);

pub(super) async fn look(connection: &mut PgConnection) -> sqlx::Result<Vec<Finding>> {
    let version = "SELECT current_setting('server_version_num')::integer, current_setting('server_version')";
    let (number, text): (i32, String) = sqlx::query_as(version).fetch_one(&mut *connection).await?;
    let mut findings = vec![version_finding(number, &text)];
    let settings: Vec<Setting> = sqlx::query_as(SETTINGS).fetch_all(&mut *connection).await?;
    for (name, wanted) in WANTED {
        // One that this version does not have is no fault.
        if let Some(setting) = settings.iter().find(|setting| setting.0 == *name) {
            findings.push(judge(setting, wanted));
        }
    }
    Ok(findings)
}

fn version_finding(number: i32, text: &str) -> Finding {
    if number >= VERSION_MIN {
        return Finding::good("server version", text);
    }
    Finding::bad("server version", text, "use PostgreSQL 14 or newer: older ones are not tested")
}

fn judge((name, word, number, is_bytes): &Setting, wanted: &Wanted) -> Finding {
    let say = |number: f64| if *is_bytes { bytes_text(number) } else { format!("{number}") };
    let found = number.map_or_else(|| word.clone(), say);
    let change = |wanted: String| format!("set {name} = {wanted}, as in deploy/postgres/postgresql.conf");
    match (wanted, number) {
        (Wanted::Safe(safe), _) if word != safe => {
            let risk =
                if *name == "autovacuum" { "tables would bloat" } else { "a crash can lose what was stored" };
            Finding::bad(name, found, format!("{}: {risk}", change((*safe).to_owned())))
        }
        // Compression has become a choice of methods: any is on.
        (Wanted::Word(wanted), _) if word != wanted && (*wanted != "on" || word == "off") => {
            Finding::note(name, found, change((*wanted).to_owned()))
        }
        (Wanted::AtLeast(least), Some(number)) if number < least => {
            Finding::note(name, found, change(format!("{} or more", say(*least))))
        }
        (Wanted::AtMost(most), Some(number)) if number > most => {
            Finding::note(name, found, change(say(*most)))
        }
        _ => Finding::good(name, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Weight;

    fn setting(name: &str, word: &str, number: Option<f64>, is_bytes: bool) -> Setting {
        (name.to_owned(), word.to_owned(), number, is_bytes)
    }

    #[test]
    fn what_can_lose_data_is_bad() {
        let finding = judge(&setting("fsync", "off", None, false), &Wanted::Safe("on"));
        assert_eq!(finding.weight, Weight::Bad);
        assert!(finding.mend.contains("fsync = on") && finding.mend.contains("lose"), "{finding:?}");
    }

    #[test]
    fn too_little_and_too_much_are_noted_in_their_own_unit() {
        let small =
            judge(&setting("shared_buffers", "16384", Some(128.0 * MIB), true), &Wanted::AtLeast(4.0 * GIB));
        assert_eq!((small.weight, small.found.as_str()), (Weight::Note, "128 MiB"));
        assert!(small.mend.contains("4.0 GiB or more"), "{small:?}");
        let dear = judge(&setting("random_page_cost", "4", Some(4.0), false), &Wanted::AtMost(1.5));
        assert_eq!((dear.weight, dear.found.as_str()), (Weight::Note, "4"));
        let fine = judge(&setting("random_page_cost", "1.1", Some(1.1), false), &Wanted::AtMost(1.5));
        assert_eq!((fine.weight, fine.mend.as_str()), (Weight::Good, ""));
    }

    #[test]
    fn any_method_of_compression_is_on() {
        let judged = |word| judge(&setting("wal_compression", word, None, false), &Wanted::Word("on")).weight;
        assert_eq!((judged("lz4"), judged("on"), judged("off")), (Weight::Good, Weight::Good, Weight::Note));
    }

    #[test]
    fn old_servers_are_refused() {
        assert_eq!(version_finding(130_012, "13.12").weight, Weight::Bad);
        assert_eq!(version_finding(150_004, "15.4").weight, Weight::Good);
    }

    #[test]
    fn the_file_that_is_shipped_satisfies_the_doctor() {
        let file = include_str!("../../../../../deploy/postgres/postgresql.conf");
        let value = |name: &str| {
            file.lines()
                .find_map(|line| line.split_once(" = ").filter(|(left, _)| *left == name))
                .map(|(_, v)| v)
        };
        for (name, wanted) in WANTED {
            let Some(text) = value(name) else { continue };
            let unit = match text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.') {
                "GB" => GIB,
                "MB" => MIB,
                _ => 1.0,
            };
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let number = digits.parse::<f64>().ok().map(|number| number * unit);
            let finding = judge(&setting(name, text, number, unit > 1.0), wanted);
            assert_eq!(finding.weight, Weight::Good, "{finding:?}");
        }
    }
}
