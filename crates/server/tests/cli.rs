//! The built executable from outside: files in, documents and files out, exit codes as promised.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

mod rpc;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Days of the little load series.
const DAYS: i64 = 70;

struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewatt"));
        command.current_dir(self.path()).args(arguments).stdin(Stdio::null());
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("FOREWATT_")) {
            command.env_remove(key);
        }
        // Old data must not read as stale: the clock stands where they end.
        command.env("FOREWATT_FORECAST__FIXED_NOW", "2024-03-11T00:00:00Z");
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a run that must succeed.
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{arguments:?}\nstdout: {out}\nstderr: {err}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.good(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {text}"))
    }

    /// Exit code and standard error of a run that must fail; standard output must stay empty.
    fn bad(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        let (out, err) = texts(&output);
        assert!(!output.status.success(), "{arguments:?} succeeded: {out}");
        assert_eq!(out, "", "{arguments:?}");
        assert!(!err.contains("panicked"), "{err}");
        (output.status.code().unwrap_or(-1), err)
    }

    /// A load with a day, a week and a little noise, from 2024-01-01 on.
    fn write_load(&self) {
        let mut text = "time,mw,temp\n".to_owned();
        let mut noise = 12_345_u64;
        for hour in 0..DAYS * 24 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (day, of_day) = (hour / 24, hour % 24);
            let wave = (of_day as f64 / 24.0 * std::f64::consts::TAU).sin();
            let weekend = if day % 7 >= 5 { -8.0 } else { 0.0 };
            let load = 50.0 - 12.0 * wave + weekend + (noise >> 40) as f64 / (1_u64 << 24) as f64;
            let date = jiff::civil::date(2024, 1, 1).saturating_add(jiff::Span::new().days(day));
            writeln!(text, "{date}T{of_day:02}:00:00Z,{load:.3},{:.2}", 10.0 + 5.0 * wave).unwrap();
        }
        std::fs::write(self.path().join("load.csv"), text).unwrap();
    }

    fn import(&self) -> Value {
        self.write_load();
        let line = "import load.csv --series city.load --time time --value mw --time-zone UTC --unit MW --kind load --json";
        self.json(&line.split(' ').collect::<Vec<_>>())
    }
}

impl House {
    /// A quick training of the imported load.
    fn train(&self) -> Value {
        let line = "train city.load --model linear --horizon 24h --backtest-days 7 --json";
        self.json(&line.split(' ').collect::<Vec<_>>())
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn from_a_file_to_a_forecast() {
    let house = House::new();
    house.import();
    let series = house.json(&["series", "list", "--json"]);
    assert_eq!(series[0]["name"], "city.load");
    assert_eq!(series[0]["state"]["observations"], DAYS * 24);
    assert!(house.good(&["series", "show", "city.load"]).contains("PT1H"));
    assert!(house.json(&["series", "check", "city.load", "--json"])["score"].as_f64().unwrap() > 0.5);

    let trained = house.train();
    assert_eq!(trained["promoted"], true, "{trained}");
    let id = trained["version"]["id"].as_str().unwrap();
    assert!(house.good(&["models", "list"]).contains(id));
    assert!(house.good(&["models", "show", id]).contains("seasonal-naive"));

    let forecast =
        house.json(&["forecast", "city.load", "--horizon", "24h", "--quantiles", "0.1,0.5,0.9", "--json"]);
    assert_eq!(forecast["series"], "city.load");
    assert_eq!(forecast["model_version"], id);
    assert_eq!(forecast["points"].as_array().unwrap().len(), 24);
    assert!(
        forecast["points"][0]["quantiles"]["0.9"].as_f64()
            >= forecast["points"][0]["quantiles"]["0.1"].as_f64()
    );
    let shown = house.good(&["forecast", "city.load", "--horizon", "24h", "--output", "next.csv"]);
    assert!(shown.contains("median") && shown.contains("[MW, UTC time]"), "{shown}");
    let csv = std::fs::read_to_string(house.path().join("next.csv")).unwrap();
    assert!(csv.starts_with("valid_time,mean,q0.1,"), "{csv}");
    assert_eq!(csv.lines().count(), 25);
    assert!(house.good(&["jobs", "list"]).contains("no jobs"));
}

#[test]
fn all_series_are_forecast_in_one_call() {
    let house = House::new();
    house.import();
    let (code, text) = house.bad(&["forecast", "--all"]);
    assert!(code == 3 && text.contains("no series has a champion"), "{code} {text}");
    house.train();
    let document = house.json(&["forecast", "--all", "--horizon", "24h", "--json"]);
    let results = document["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "the temperature has no champion: {document}");
    let alone = house.json(&["forecast", "city.load", "--horizon", "24h", "--json"]);
    assert_eq!(results[0]["forecast"], alone);
    let shown =
        house.good(&["forecast", "--all", "--horizon", "24h", "--quantiles", "0.5", "--output", "all.csv"]);
    assert!(shown.contains("city.load") && shown.contains("24"), "{shown}");
    let csv = std::fs::read_to_string(house.path().join("all.csv")).unwrap();
    assert!(csv.starts_with("series,valid_time,mean,q0.5\ncity.load,2024-03-11T00:00:00Z,"), "{csv}");
    assert_eq!(csv.lines().count(), 25);
    assert_eq!(house.bad(&["forecast", "--all", "--horizon", "900d"]).0, 4, "all of them are refused");
    assert_eq!(house.bad(&["forecast", "--all", "city.load"]).0, 2);
    assert_eq!(house.bad(&["forecast"]).0, 2);
}

#[test]
fn importing_twice_changes_nothing() {
    let house = House::new();
    house.import();
    house.import();
    let series = house.json(&["series", "list", "--json"]);
    assert_eq!(series[0]["state"]["observations"], DAYS * 24);
    assert_eq!(
        series[0]["state"]["revision"],
        house.json(&["series", "show", "city.load", "--json"])["state"]["revision"]
    );
}

#[test]
fn a_dry_run_stores_nothing() {
    let house = House::new();
    house.write_load();
    house.good(&["import", "load.csv", "--columns", "mw=a,temp=b", "--time", "time", "--dry-run"]);
    assert_eq!(house.json(&["series", "list", "--json"]), Value::Array(vec![]));
}

#[test]
fn a_backtest_straight_from_a_file() {
    let house = House::new();
    house.write_load();
    let line = "backtest --file load.csv --time time --time-zone UTC --target mw --known-ahead temp --from 2024-03-01 \
                --to 2024-03-06 --every 24h --horizon 24h --refit never --model linear --quantiles 0.1,0.5,0.9 --output out.csv";
    let shown = house.good(&line.split_whitespace().collect::<Vec<_>>());
    assert!(shown.contains("linear") && shown.contains("seasonal-naive") && shown.contains("MAE"), "{shown}");
    let csv = std::fs::read_to_string(house.path().join("out.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("forecast_start,valid_time,actual,mean,q0.1,q0.5,q0.9"));
    let first = lines.next().unwrap();
    assert!(first.starts_with("2024-03-01T00:00:00Z,2024-03-01T00:00:00Z,"), "{first}");
    assert_eq!(lines.count(), 5 * 24 - 1);
    assert!(!house.path().join("forewatt-data").exists(), "no store is needed");
}

#[test]
fn a_backtest_from_the_store() {
    let house = House::new();
    house.import();
    let line = "backtest --series city.load --from 2024-03-01 --to 2024-03-04 --model seasonal-naive --json --peaks 0.9";
    let document = house.json(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(document["peaks"]["count"], 72, "{document}");
    assert_eq!(document["peaks"]["days"]["days"], 3, "{document}");
    let shown =
        house.good(&line.replace(" --json --peaks 0.9", " --threshold 55").split(' ').collect::<Vec<_>>());
    assert!(shown.contains("peaks above 55.00 MW") && shown.contains("Brier score"), "{shown}");
    assert!(document["metrics"]["mae"].as_f64().unwrap().is_finite(), "{document}");
}

#[test]
fn a_series_and_its_parts_add_up() {
    let house = House::new();
    house.write_load();
    let text = std::fs::read_to_string(house.path().join("load.csv")).unwrap();
    let mut parts = "time,whole,small,large\n".to_owned();
    for line in text.lines().skip(1) {
        let mut cells = line.split(',');
        let (time, load) = (cells.next().unwrap(), cells.next().unwrap().parse::<f64>().unwrap());
        writeln!(parts, "{time},{load},{},{}", 0.25 * load, 0.75 * load).unwrap();
    }
    std::fs::write(house.path().join("parts.csv"), parts).unwrap();
    let import = "import parts.csv --time time --columns whole=city.load,small=city.small,large=city.large --unit MW \
                  --kind load --time-zone UTC";
    house.good(&import.split_whitespace().collect::<Vec<_>>());
    let (code, text) = house.bad(&["reconcile", "city.load"]);
    assert!(code == 4 && text.contains("series set PART --parent city.load"), "{code} {text}");
    house.good(&["series", "set", "city.small", "--parent", "city.load"]);
    house.good(&["series", "set", "city.large", "--parent", "city.load"]);
    assert_eq!(house.bad(&["reconcile", "city.load"]).0, 3, "nobody can forecast any of them");
    house.train();
    let answer = house.json(&["reconcile", "city.load", "--method", "wls", "--horizon", "6h", "--json"]);
    for step in 0..6 {
        let mean = |place: usize| answer["series"][place]["points"][step]["mean"].as_f64().unwrap();
        assert_eq!(mean(0).to_bits(), (mean(1) + mean(2)).to_bits(), "{answer}");
    }
    let shown = house.good(&["reconcile", "city.load", "--horizon", "6h"]);
    assert!(shown.contains("2 of 3 series have no usable champion") && shown.contains("stand-in"), "{shown}");
}

#[test]
fn two_backtests_and_a_third_partys_file_are_compared() {
    let house = House::new();
    house.write_load();
    for family in ["seasonal-naive", "linear"] {
        let line = format!(
            "backtest --file load.csv --time time --time-zone UTC --target mw --from 2024-02-15 --to 2024-03-10 \
             --refit never --model {family} --quantiles 0.1,0.5,0.9 --output {family}.csv --quiet --no-plot"
        );
        house.good(&line.split_whitespace().collect::<Vec<_>>());
    }
    let ours = ["compare", "linear.csv", "seasonal-naive.csv"];
    let shown = house.good(&ours);
    assert!(shown.contains("linear.csv is better than seasonal-naive.csv by"), "{shown}");
    assert!(shown.contains("Giacomini-White") && shown.contains("from 12 to 24 h"), "{shown}");
    let document = house.json(&[&ours[..], &["--json"]].concat());
    assert_eq!((&document["days"], &document["a"]["matched"]), (&24.into(), &(24 * 24).into()), "{document}");
    assert_eq!(document["losses"][2]["loss"], "pinball");

    // A third party's file: the load itself, a day late, and one that knows everything.
    let load = std::fs::read_to_string(house.path().join("load.csv")).unwrap();
    let lines: Vec<&str> = load.lines().skip(1).collect();
    let mut theirs = "hour;yesterday;perfect;real\n".to_owned();
    for (now, before) in lines[24..].iter().zip(&lines) {
        let value = |line: &str| line.split(',').nth(1).unwrap().to_owned();
        let hour = now[..16].replace('T', " ");
        writeln!(theirs, "{hour};{};{};{}", value(before), value(now), value(now)).unwrap();
    }
    std::fs::write(house.path().join("theirs.csv"), theirs).unwrap();
    let line = "compare linear.csv --file theirs.csv --decimal point --time hour --time-zone UTC --value yesterday --actual real --json";
    let document = house.json(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(
        (&document["matched_by"], &document["b"]["name"]),
        (&"valid_time".into(), &"yesterday".into())
    );
    assert_eq!(document["losses"].as_array().unwrap().len(), 2);
    assert_eq!(document["b"]["without_counterpart"], (DAYS - 1 - 24) * 24);
    let line = "compare --file theirs.csv --decimal point --time hour --time-zone UTC --value yesterday --value perfect --actual real";
    let shown = house.good(&line.split(' ').collect::<Vec<_>>());
    assert!(shown.contains("perfect is better than yesterday by 100.0 %"), "{shown}");
    assert!(!house.path().join("forewatt-data").exists(), "no store is needed");

    let zone = "compare linear.csv --file theirs.csv --decimal point --time hour --time-zone Asia/Kolkata --value yesterday --actual real";
    for (line, code, mend) in [
        ("compare linear.csv", 2, "1 forecasts are named"),
        ("compare linear.csv none.csv", 3, "none.csv"),
        ("compare linear.csv seasonal-naive.csv --to 2024-02-20", 4, "at least 8 days"),
        ("compare linear.csv load.csv", 4, "valid_time"),
        (
            "compare linear.csv --file theirs.csv --decimal point --time hour --value perfect --time-zone UTC --actual x",
            4,
            "`x`",
        ),
        (zone, 4, "time zone"),
        ("compare linear.csv nobody", 3, "nobody"),
    ] {
        let (found, text) = house.bad(&line.split(' ').collect::<Vec<_>>());
        assert!(text.contains(mend), "{line}: {text}");
        assert_eq!(found, code, "{line}: {text}");
    }
}

#[test]
fn failures_have_their_codes_and_their_mends() {
    let house = House::new();
    house.import();
    for (line, code, mend) in [
        ("forecast city.laod", 3, "did you mean `city.load`?"),
        ("forecast city.load", 3, "forewatt train city.load"),
        ("forecast other", 3, "other"),
        ("models show city.load-v9", 3, "city.load-v9"),
        ("models promote nothing", 3, "nothing"),
        ("jobs show 1", 3, "1"),
        ("import nothing.csv --series a --time t --value v", 3, "nothing.csv"),
        ("import load.csv --series a --time tiem --value mw --time-zone UTC", 4, "time, mw, temp"),
        ("series set new.one", 2, "--resolution"),
        ("series set city.load --resolution PT15M", 4, "resolution"),
        ("series set city.load --holidays MARS", 4, "MARS"),
        ("train city.load --horizon 90min", 4, "PT1H30M"),
        ("train city.load --known-ahead city.load", 4, "covariate"),
        ("backtest --series city.load --from 2024-03-05 --to 2024-03-01", 4, "--from"),
        ("backtest --file load.csv --time time --target mw --from 2030-01-01 --to 2030-02-01", 4, "2024"),
        ("config check --config none.toml", 2, "none.toml"),
        ("serve --listen 0.0.0.0:8080", 2, "auth.required = true"),
    ] {
        let (found, text) = house.bad(&line.split(' ').collect::<Vec<_>>());
        assert!(text.contains(mend), "{line}: {text}");
        assert_eq!(found, code, "{line}: {text}");
    }
}

#[test]
fn a_forecast_is_explained_and_imagined_otherwise() {
    let house = House::new();
    house.write_load();
    house.good(&[
        "import",
        "load.csv",
        "--columns",
        "mw=city.load,temp=city.temp",
        "--time",
        "time",
        "--time-zone",
        "UTC",
    ]);
    let line = "train city.load --model linear --horizon 24h --backtest-days 7 --past-only city.temp --json";
    house.json(&line.split(' ').collect::<Vec<_>>());

    let explained = house.json(&["explain", "city.load", "--json"]);
    let point = &explained["points"][7];
    let sum = |field: &str| -> f64 {
        point[field].as_array().unwrap().iter().map(|share| share["contribution"].as_f64().unwrap()).sum()
    };
    let told = point["reference"].as_f64().unwrap() + sum("groups") + sum("adjustments");
    assert!((told - point["mean"].as_f64().unwrap()).abs() < 1e-3, "{point}");
    let shown = house.good(&["explain", "city.load", "--since", "2024-03-10T18:00"]);
    assert!(shown.contains("what moved it") && shown.contains("known at 2024-03-10T18:00:00Z"), "{shown}");

    let warmer = ["whatif", "city.load", "--add", "city.temp=+2", "--from", "2024-03-10"];
    let shown = house.good(&warmer);
    assert!(shown.contains("hypothetical") && shown.contains("city.temp: 24 steps"), "{shown}");
    let answer = house.json(&[warmer.as_slice(), &["--json"]].concat());
    assert_eq!(answer["points"].as_array().unwrap().len(), 24);
    for (line, code, mend) in [
        ("whatif city.load --add city.temp=2", 4, "only the past is read"),
        ("whatif city.load --add city.tmp=2", 4, "did you mean `city.temp`?"),
        ("explain city.load --since previous", 3, "name the instant"),
        ("explain city.laod", 3, "did you mean `city.load`?"),
    ] {
        let (found, text) = house.bad(&line.split(' ').collect::<Vec<_>>());
        assert!(found == code && text.contains(mend), "{line}: {found} {text}");
    }
}

#[test]
fn a_model_made_elsewhere_comes_in_and_answers() {
    let house = House::new();
    house.import();
    let line = "features --series city.load --alone --horizon 24h --output table.csv --json";
    let table = house.json(&line.split(' ').collect::<Vec<_>>());
    let csv = std::fs::read_to_string(house.path().join("table.csv")).unwrap();
    assert!(csv.starts_with("forecast_start,valid_time,lead,target,lag_week_1,"), "{csv}");
    assert_eq!(csv.lines().count() as u64, table["rows"].as_u64().unwrap() + 1);
    // A linear model of XGBoost's that repeats last week.
    let model = |feature: &str| {
        format!(
            r#"{{"learner": {{"feature_names": ["{feature}"], "objective": {{"name": "reg:squarederror"}},
                "learner_model_param": {{"num_class": "0", "num_feature": "1", "base_score": "0"}},
                "gradient_booster": {{"name": "gblinear", "model": {{"weights": [1, 0]}}}}}}}}"#
        )
    };
    std::fs::write(house.path().join("week.json"), model("lag_week_1")).unwrap();
    std::fs::write(house.path().join("wrong.json"), model("lag_wek_1")).unwrap();
    let import = |file: &str| {
        let line = format!("models import {file} --series city.load --layout table.csv.layout.json");
        line.split(' ')
            .map(str::to_owned)
            .chain(["--trained-to".to_owned(), "2024-01-15".to_owned()])
            .collect::<Vec<_>>()
    };
    let wrong = import("wrong.json");
    let (code, told) = house.bad(&wrong.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(code == 4 && told.contains("did you mean `lag_week_1`?"), "{told}");
    let right = import("week.json");
    let told = house.good(&right.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(told.contains("city.load-v1 is the champion") && told.contains("imported: centre"), "{told}");
    let forecast = house.json(&["forecast", "city.load", "--horizon", "24h", "--json"]);
    assert_eq!(forecast["model_version"], "city.load-v1");
    let line = "backtest --series city.load --from 2024-03-01 --to 2024-03-08 --imported city.load-v1 --json";
    let scored = house.json(&line.split(' ').collect::<Vec<_>>());
    let mae = |of: &str| scored[of]["mae"].as_f64().unwrap();
    assert!(mae("metrics") < 1.05 * mae("baseline_metrics"), "{scored}");
}

#[test]
fn configuration_from_file_environment_and_flags() {
    let house = House::new();
    std::fs::write(house.path().join("forewatt.toml"), "[server]\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let listen = |command: &mut Command| {
        let document: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        document["server"]["listen"].as_str().unwrap().to_owned()
    };
    let print = ["config", "print", "--json"];
    assert_eq!(listen(&mut house.command(&print)), "127.0.0.1:1");
    assert_eq!(listen(house.command(&print).env("FOREWATT_SERVER__LISTEN", "127.0.0.1:2")), "127.0.0.1:2");
    let text = house.good(&["config", "print"]);
    assert!(text.contains("listen = \"127.0.0.1:1\"  # from forewatt.toml"), "{text}");
    assert!(house.good(&["config", "check"]).contains("good"));
    std::fs::write(house.path().join("forewatt.toml"), "[server]\nlisen = \"127.0.0.1:1\"\n").unwrap();
    let (code, text) = house.bad(&["config", "check"]);
    assert_eq!(code, 2);
    assert!(text.contains("did you mean `server.listen`?"), "{text}");
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let house = House::new();
    let mut child =
        house.command(&["config", "print"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(!texts(&output).1.contains("panicked"), "{output:?}");
}

#[test]
fn a_busy_port_is_told_before_the_store_is_touched() {
    let house = House::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, text) = house.bad(&["serve", "--listen", &address]);
    assert_eq!(code, 5);
    assert!(text.contains("--listen"), "{text}");
    assert!(!house.path().join("forewatt-data").exists());
}

/// The answer to a GET, or to a POST of a JSON body, by HTTP/1.0: the end of the connection is the end of the body.
fn ask(address: &str, path: &str, body: Option<&str>) -> Value {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let (method, body) = body.map_or(("GET", ""), |body| ("POST", body));
    let about = format!("Content-Type: application/json\r\nContent-Length: {}", body.len());
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{about}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
    serde_json::from_str(body).unwrap()
}

#[test]
fn the_command_line_rest_and_grpc_give_the_same_answer() {
    use std::io::BufRead as _;
    let house = House::new();
    house.import();
    house.train();
    let by_command: Value =
        house.json(&["forecast", "city.load", "--horizon", "12h", "--quantiles", "0.05,0.5,0.95", "--json"]);
    let line = "import load.csv --columns mw=ours,temp=theirs --time time --quiet";
    house.good(&line.split(' ').collect::<Vec<_>>());
    let compared: Value = house.json(&["compare", "ours", "series:theirs", "--of", "city.load", "--json"]);
    let mut server = house.command(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let from = line.split_once("http://")?.1.to_owned();
        Some(from.split(['"', '/']).next()?.to_owned())
    });
    let body = r#"{"a": {"series": "ours"}, "b": {"series": "theirs"}, "of": "city.load"}"#;
    let by_api = address.map(|a| {
        let by_rpc = rpc::forecast_points(&a, "city.load");
        let path = "/v1/series/city.load/forecast?horizon=PT12H&quantiles=0.05,0.5,0.95";
        ((ask(&a, path, None), ask(&a, "/v1/compare", Some(body))), by_rpc)
    });
    server.kill().unwrap();
    server.wait().unwrap();
    let (by_api, by_rpc) = by_api.unwrap_or_else(|| panic!("the server told no address"));
    assert_eq!(by_command["points"], by_rpc);
    assert_eq!((by_command, compared), by_api);
}
