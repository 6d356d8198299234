//! Cached and uncached forecasts over HTTP beside a bare axum route that returns the same bytes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Row;

const SERVER: &str = "127.0.0.1:18431";
const BARE: &str = "127.0.0.1:18432";
const FORECAST: &str =
    "/v1/series/district.load/forecast?horizon=PT48H&quantiles=0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9";
const SECONDS: u32 = 10;
const CONNECTIONS: u32 = 16;

/// Asks for another instant of knowledge each time, so that nothing can come from the cache.
const UNCACHED_SCRIPT: &str = r#"
local n = 0
request = function()
  n = n + 1
  local micros = string.format("%06d", n % 1000000)
  local second = string.format("%02d", math.floor(n / 1000000) % 60)
  return wrk.format("GET", wrk.path .. "&as_of=2017-07-20T07:00:" .. second .. "." .. micros .. "Z")
end
"#;

/// A process that ends with the benchmark.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What one load gave.
struct Load {
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_micros: f64,
}

/// Runs the three loads on one machine, one after the other.
///
/// # Errors
/// When `wrk` is missing (`apt-get install wrk`), a server does not start or an answer is not a 200.
pub fn run(root: &Path) -> anyhow::Result<Vec<Row>> {
    build(root)?;
    let folder = std::env::temp_dir().join(format!("forewatt-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let release = release_folder(root);
    let demo = start_demo(root, &folder)?;
    let answer = folder.join("answer.json");
    let fetched = Command::new("curl")
        .args(["-sSf", "-o"])
        .arg(&answer)
        .arg(format!("http://{SERVER}{FORECAST}"))
        .status()?;
    anyhow::ensure!(fetched.success(), "the demo does not answer {FORECAST}");
    let mut bare = Command::new(release.join("examples/bare_axum"));
    let bare = start(bare.arg(&answer).arg(BARE), &format!("http://{BARE}/"), 10)?;

    let script = folder.join("uncached.lua");
    std::fs::write(&script, UNCACHED_SCRIPT)?;
    let ceiling = load(&bare, &format!("http://{BARE}/"), None)?;
    let cached = load(&demo, &format!("http://{SERVER}{FORECAST}"), None)?;
    let uncached = load(&demo, &format!("http://{SERVER}{FORECAST}"), Some(&script))?;
    let memory = resident_mib(&demo)?;
    drop((demo, bare));
    std::fs::remove_dir_all(&folder)?;
    Ok(rows(&ceiling, &cached, &uncached, memory))
}

/// Where release builds lie.
pub(super) fn release_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("release")
}

/// Resident memory, in MiB, of the demo server that has answered a forecast.
///
/// # Errors
/// When the build fails or the demo does not answer.
pub(super) fn demo_resident_mib(root: &Path) -> anyhow::Result<f64> {
    let built =
        Command::new("cargo").current_dir(root).args(["build", "--release", "-p", "forewatt"]).status()?;
    anyhow::ensure!(built.success(), "the release build failed");
    let folder = std::env::temp_dir().join(format!("forewatt-memory-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let demo = start_demo(root, &folder)?;
    let fetched = Command::new("curl")
        .args(["-sSf", "-o", "/dev/null"])
        .arg(format!("http://{SERVER}{FORECAST}"))
        .status()?;
    anyhow::ensure!(fetched.success(), "the demo does not answer {FORECAST}");
    let memory = resident_mib(&demo)?;
    drop(demo);
    std::fs::remove_dir_all(&folder)?;
    Ok(memory)
}

fn start_demo(root: &Path, folder: &Path) -> anyhow::Result<Server> {
    let mut demo = Command::new(release_folder(root).join("forewatt"));
    demo.args(["demo", "--listen", SERVER, "--data-dir"]).arg(folder.join("demo"));
    start(&mut demo, &format!("http://{SERVER}/health/ready"), 180)
}

fn rows(ceiling: &Load, cached: &Load, uncached: &Load, memory: f64) -> Vec<Row> {
    let row = |what: &str, unit: &str, ours: f64, peer: Option<f64>| Row {
        what: what.to_owned(),
        unit: unit.to_owned(),
        ours,
        peer,
    };
    vec![
        row("cached forecast, CPU per request", "us", cached.cpu_micros, Some(ceiling.cpu_micros)),
        row(
            "cached forecast, requests",
            "1/s",
            cached.requests_per_second,
            Some(ceiling.requests_per_second),
        ),
        row("cached forecast, p50", "ms", cached.p50_ms, Some(ceiling.p50_ms)),
        row("cached forecast, p99", "ms", cached.p99_ms, Some(ceiling.p99_ms)),
        row("uncached 48 h x 9 forecast, CPU per request", "us", uncached.cpu_micros, None),
        row("uncached 48 h x 9 forecast, requests", "1/s", uncached.requests_per_second, None),
        row("uncached 48 h x 9 forecast, p50", "ms", uncached.p50_ms, None),
        row("uncached 48 h x 9 forecast, p99", "ms", uncached.p99_ms, None),
        row("resident memory after the loads", "MiB", memory, None),
    ]
}

fn build(root: &Path) -> anyhow::Result<()> {
    for target in [["--bin", "forewatt"], ["--example", "bare_axum"]] {
        let built = Command::new("cargo")
            .current_dir(root)
            .args(["build", "--release", "-p", "forewatt"])
            .args(target)
            .status()?;
        anyhow::ensure!(built.success(), "the release build failed");
    }
    Ok(())
}

fn start(command: &mut Command, probe: &str, seconds: u64) -> anyhow::Result<Server> {
    let mut server =
        Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting a server")?);
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        if let Some(status) = server.0.try_wait()? {
            anyhow::bail!("{command:?} ended with {status} before it was ready");
        }
        if Command::new("curl").args(["-sf", "-o", "/dev/null", probe]).status()?.success() {
            return Ok(server);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    anyhow::bail!("{probe} did not answer within {seconds} s")
}

fn load(server: &Server, url: &str, script: Option<&Path>) -> anyhow::Result<Load> {
    let before = cpu_micros(server)?;
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), "--latency"]);
    if let Some(script) = script {
        wrk.arg("-s").arg(script);
    }
    let output = wrk.arg(url).output().context("running wrk (apt-get install wrk)")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    anyhow::ensure!(output.status.success() && !text.contains("Non-2xx"), "wrk on {url}: {text}");
    let spent = cpu_micros(server)? - before;
    let field = |key: &str| {
        text.lines()
            .find_map(|line| line.trim().strip_prefix(key))
            .map(str::trim)
            .with_context(|| format!("no `{key}` in {text}"))
    };
    let total = text.lines().find(|line| line.contains("requests in")).context("no total")?;
    let requests: f64 = total.split_whitespace().next().context("no total")?.parse()?;
    Ok(Load {
        requests_per_second: field("Requests/sec:")?.parse()?,
        p50_ms: milliseconds(field("50%")?)?,
        p99_ms: milliseconds(field("99%")?)?,
        cpu_micros: spent / requests,
    })
}

/// `1.23ms`, `456.00us`, `1.20s` in milliseconds.
fn milliseconds(text: &str) -> anyhow::Result<f64> {
    for (unit, factor) in [("us", 0.001), ("ms", 1.0), ("s", 1_000.0)] {
        if let Some(number) = text.strip_suffix(unit).and_then(|number| number.parse::<f64>().ok()) {
            return Ok(number * factor);
        }
    }
    anyhow::bail!("`{text}` is not a latency")
}

/// User and system time of a process so far (fields 14 and 15 of `/proc/PID/stat`, in ticks of 10 ms).
fn cpu_micros(server: &Server) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.0.id()))?;
    let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks * 10_000.0)
}

fn resident_mib(server: &Server) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
}
