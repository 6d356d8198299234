//! The built executable: a backup beside a running server, and the same forecasts, byte for byte, from what is made of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const ASK: &str = "forecast city.load --quantiles 0.1,0.5,0.9 --json";
const IMPORT: &str = "import load.csv --series city.load --time time --value mw --time-zone UTC --unit MW --kind load --revise";

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewatt"));
    command.current_dir(folder).args(line.split(' ')).stdin(Stdio::null());
    for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("FOREWATT_")) {
        command.env_remove(key);
    }
    command.env("FOREWATT_FORECAST__FIXED_NOW", "2024-03-11T00:00:00Z");
    command
}

fn run(folder: &Path, line: &str) -> Output {
    command(folder, line).output().unwrap()
}

fn good(folder: &Path, line: &str) -> String {
    let output = run(folder, line);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Seventy days of hours, `lift` higher than plain.
fn write_load(folder: &Path, lift: f64) {
    let mut text = "time,mw\n".to_owned();
    let start = jiff::Timestamp::from_second(1_704_067_200).unwrap();
    for hour in 0..70 * 24_i64 {
        let time = start + jiff::SignedDuration::from_hours(hour);
        let wave = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
        writeln!(text, "{time},{:.3}", lift - 12.0 * wave + (hour * 7_919 % 101) as f64 / 50.0).unwrap();
    }
    std::fs::write(folder.join("load.csv"), text).unwrap();
}

/// A running server, ended with this value.
struct Server(Child);

impl Server {
    fn start(folder: &Path) -> Self {
        let child = command(folder, "serve --listen 127.0.0.1:0").stdout(Stdio::piped()).spawn();
        let mut server = Self(child.unwrap());
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("listens on"), "{line}");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_restored_store_gives_the_same_bytes() {
    let house = tempfile::tempdir().unwrap();
    let folder = house.path();
    write_load(folder, 50.0);
    good(folder, IMPORT);
    good(folder, "train city.load --model linear --horizon 24h --backtest-days 7");
    let server = Server::start(folder);
    let answer = good(folder, ASK);
    let told = good(folder, "backup copies/today");
    assert!(told.contains("1 model versions") && told.contains("all checked"), "{told}");
    // The store goes on; the backup does not.
    write_load(folder, 80.0);
    good(folder, IMPORT);
    assert_ne!(good(folder, ASK), answer);
    drop(server);

    let restored = format!("--data-dir again {ASK}");
    good(folder, "--data-dir again restore copies/today --json");
    assert_eq!(good(folder, &restored), answer, "byte for byte");
    for line in ["models list --json", "series check city.load --json", "jobs list --json"] {
        good(folder, &format!("--data-dir again {line}"));
    }
    let codes = [
        ("backup copies/today", 4),
        ("--data-dir again restore copies/today", 4),
        ("--data-dir elsewhere restore nothing", 3),
        ("--data-dir nowhere backup copies/x", 3),
    ];
    for (line, code) in codes {
        let output = run(folder, line);
        assert_eq!(output.status.code(), Some(code), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(!folder.join("elsewhere").exists() && !folder.join("nowhere").exists());
}
