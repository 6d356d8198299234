//! The built executable with PostgreSQL: the same commands, the same bytes as with SQLite, and a move from one to the
//! other.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

#[path = "../../store/src/postgres/tests/server.rs"]
#[expect(dead_code, reason = "the store's own tests use the rest")]
mod server;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use server::Database;

/// Hours of the little load series.
const HOURS: i64 = 70 * 24;

/// A folder, and the store that commands run there use.
struct House<'a> {
    folder: &'a Path,
    url: &'a str,
}

impl House<'_> {
    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewatt"));
        command.current_dir(self.folder).args(line.split(' ')).stdin(Stdio::null());
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("FOREWATT_")) {
            command.env_remove(key);
        }
        command.env("FOREWATT_FORECAST__FIXED_NOW", "2024-03-11T00:00:00Z");
        command.env("FOREWATT_STORE__URL", self.url).output().unwrap()
    }

    /// Standard output of a run that must succeed.
    fn good(&self, line: &str) -> String {
        let output = self.run(line);
        let (out, err) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert!(output.status.success(), "{line}\nstdout: {out}\nstderr: {err}");
        out
    }

    /// Import, training and a forecast, whose bytes it returns.
    fn forecast(&self) -> String {
        self.good(
            "import load.csv --series city.load --time time --value mw --time-zone UTC --unit MW --kind load",
        );
        self.good("train city.load --model linear --horizon 24h --backtest-days 7");
        self.good("series check city.load");
        self.good(ASK)
    }
}

const ASK: &str = "forecast city.load --quantiles 0.1,0.5,0.9 --json";

fn write_load(folder: &Path) {
    let mut text = "time,mw\n".to_owned();
    let start = jiff::Timestamp::from_second(1_704_067_200).unwrap();
    for hour in 0..HOURS {
        let time = start + jiff::SignedDuration::from_hours(hour);
        let wave = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        writeln!(text, "{time},{:.3}", 50.0 - 12.0 * wave + (hour * 7_919 % 101) as f64 / 50.0).unwrap();
    }
    std::fs::write(folder.join("load.csv"), text).unwrap();
}

#[test]
fn both_stores_give_the_same_bytes() {
    let Some(database) = Database::create() else { return };
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    folders.iter().for_each(|folder| write_load(folder.path()));
    let (sqlite, url) = (House { folder: folders[0].path(), url: "" }, database.url());
    let postgres = House { folder: folders[1].path(), url: &url };
    let answer = sqlite.forecast();
    assert_eq!(answer, postgres.forecast());
    assert!(!folders[1].path().join("forewatt-data/forewatt.db").exists(), "nothing of it is in SQLite");
    let points = serde_json::from_str::<Value>(&answer).unwrap()["points"].as_array().unwrap().len();
    assert_eq!(points, 24);
    for line in ["models list --json", "series list --json", "models show city.load-v1 --json"] {
        assert_eq!(sqlite.good(line), postgres.good(line), "{line}");
    }
    // Where the database is shows, its password does not.
    let config = House { folder: folders[1].path(), url: "postgres://me:hunter2@db/x" }.good("config print");
    assert!(config.contains("postgres://me:(hidden)@db/x") && !config.contains("hunter2"), "{config}");
}

#[test]
fn a_store_moves_and_answers_as_before() {
    let Some(database) = Database::create() else { return };
    let folder = tempfile::tempdir().unwrap();
    write_load(folder.path());
    let (before, url) = (House { folder: folder.path(), url: "" }, database.url());
    let answer = before.forecast();
    let line = format!("migrate-store --from forewatt-data --to {url} --json");
    let moved: Value = serde_json::from_str(&before.good(&line)).unwrap();
    assert_eq!(moved["series"][0]["observations"], HOURS, "{moved}");
    assert_eq!((&moved["series"][0]["forecasts"], &moved["versions"]), (&Value::from(1), &Value::from(1)));
    assert!(
        before.good(&line.replace(" --json", "")).contains("was there"),
        "the second time finds it there"
    );
    let after = House { folder: folder.path(), url: &url };
    assert_eq!(after.good(ASK), answer);
    assert_eq!(after.run(&format!("migrate-store --from {url} --to {url}")).status.code(), Some(2));
    let gone: Value =
        serde_json::from_str(&after.good("forecast city.load --json --data-dir elsewhere")).unwrap();
    assert_eq!(
        gone["fallback"], "seasonal-empirical",
        "without the artifacts like days answer, and say so: {gone}"
    );
}
