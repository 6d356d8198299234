//! Asking forests beside LightGBM: one row, a day, 1,000 and 100,000 rows; size; memory.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use forewatt_domain::{QuantileLevels, Time};
use forewatt_model::gbdt::{Booster, Forest, Params, Precision, Prune};
use forewatt_model::matrix::{DayClass, FeatureMatrix, RowKey, TrainingSet};
use forewatt_model::predict::Fit as _;
use serde::Deserialize;

use super::Section;

const COLUMNS: usize = 40;
const TREES: usize = 300;
const LEARNED: usize = 20_000;
const JUDGED: usize = 10_000;
const ROWS: [usize; 4] = [1, 24, 1_000, 100_000];

/// What the library said.
#[derive(Debug, Deserialize)]
struct Peer {
    version: String,
    /// CPU seconds by rows: one model, and nine.
    one: std::collections::BTreeMap<String, f64>,
    nine: std::collections::BTreeMap<String, f64>,
    /// CPU seconds of one row by the C interface prepared for it.
    one_row_fast: Option<f64>,
    text_bytes: u64,
    resident_bytes: u64,
    nine_pinball: f64,
}

/// Measures and tells; the Python with LightGBM is `FOREWATT_BENCH_PYTHON`, else `python3`.
///
/// # Errors
/// When the library cannot be run or files cannot be written.
pub fn section(root: &Path) -> anyhow::Result<Section> {
    let folder = work_folder(root)?;
    let (data, many) = (rows(LEARNED, 1), rows(ROWS[3], 2));
    let peer = peer(&folder, &data, &many)?;
    let mut text = format!(
        "{LEARNED} rows of {COLUMNS} features to learn from, trees of at most 31 leaves. Ours are {TREES} trees for all \
         levels together; LightGBM {} has {TREES} for each, so that its nine models walk and know nine times as much: \
         only the rows of one level compare like with like. Figures are microseconds of CPU time of one thread, the \
         fastest of several runs; the peer's are calls of its Python package.\n\n| what | rows | ours | LightGBM | ours / LightGBM |\n\
         |---|---:|---:|---:|---:|\n",
        peer.version
    );
    let forests = forests(&data)?;
    for (name, forest) in &forests {
        let times = if forest.levels().len() == 1 { &peer.one } else { &peer.nine };
        for count in ROWS {
            let ours = time(forest, &many, count)?;
            let theirs = times.get(&count.to_string()).context("the peer timed other rows")?;
            line(&mut text, name, count, ours, *theirs);
        }
    }
    if let (Some(theirs), Some((name, forest))) = (peer.one_row_fast, forests.first()) {
        line(
            &mut text,
            &format!("{name}, beside the C interface for single rows"),
            1,
            time(forest, &many, 1)?,
            theirs,
        );
    }
    text.push_str("\n| what | bytes written | pinball loss |\n|---|---:|---:|\n");
    for (name, forest) in forests.iter().filter(|(_, forest)| forest.levels().len() > 1) {
        let _infallible = writeln!(text, "| {name} | {} | {:.5} |", forest.bytes(), loss(forest, &many));
    }
    let _infallible = writeln!(
        text,
        "| LightGBM, nine models as text | {} | {:.5} |\n\nNine models of LightGBM read from text take {} bytes more \
         of resident memory; a forest takes its written bytes and 64 bytes for every 16 cuts.",
        peer.text_bytes, peer.nine_pinball, peer.resident_bytes
    );
    Ok(Section { title: "Prediction".to_owned(), markdown: text })
}

fn line(text: &mut String, name: &str, count: usize, ours: f64, theirs: f64) {
    let (ours, theirs) = (ours * 1e6, theirs * 1e6);
    // Writing to a String cannot fail.
    let _infallible = writeln!(text, "| {name} | {count} | {ours:.1} | {theirs:.1} | {:.3} |", ours / theirs);
}

fn work_folder(root: &Path) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("bench-engine").join("predict");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Uniform features of which ten matter, one for the spread alone.
fn rows(count: usize, seed: u64) -> TrainingSet {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let key = |i: usize| RowKey {
        origin: Time::from_seconds(i as i64 * 3600),
        valid_time: Time::from_seconds(i as i64 * 3600),
        lead: 0,
        slot_of_day: (i % 24) as u16,
        day_class: DayClass::Workday,
        day_of_year: 1,
        local_day: (i / 24) as i32,
    };
    let values: Vec<f32> = (0..count * COLUMNS).map(|_| uniform()).collect();
    let target = |row: &[f32]| {
        let middle =
            3.0 * (3.0 * row[0] * row[1]).sin() + 2.0 * row[2] * row[2] + row[3] - row[4] + row[5] * row[6];
        middle + (0.2 + row[7]) * (row[8] + row[9] - 1.0)
    };
    let target = values.chunks_exact(COLUMNS).map(target).collect();
    let names = (0..COLUMNS).map(|c| format!("x{c}")).collect();
    let features = FeatureMatrix { names, keys: (0..count).map(key).collect(), values, windows: None };
    TrainingSet { features, target, past: None, courses: None }
}

fn forests(data: &TrainingSet) -> anyhow::Result<Vec<(String, Forest)>> {
    let params = Params { trees: TREES, held_out_share: 0.0, ..Params::default() };
    let grow = |levels: &QuantileLevels| Booster { params: params.clone() }.fit(data, levels);
    let one = grow(&QuantileLevels::parse("0.5")?)?;
    let nine = grow(&QuantileLevels::deciles())?;
    let small = nine.pruned(&data.features, Prune { trees: 0.5, leaves: 17 })?;
    let named = |name: &str, forest: &Forest| (name.to_owned(), forest.clone());
    Ok(vec![
        named("one level, f32", &one),
        named("one level, i8", &one.with_precision(Precision::I8)),
        named("nine levels, f32", &nine),
        named("nine levels, i16", &nine.with_precision(Precision::I16)),
        named("nine levels, i8", &nine.with_precision(Precision::I8)),
        named("nine levels, i8, half of the trees of 17 leaves", &small.with_precision(Precision::I8)),
    ])
}

/// CPU seconds of one call for so many rows.
fn time(forest: &Forest, many: &TrainingSet, count: usize) -> anyhow::Result<f64> {
    let columns = forest.columns(&many.features)?;
    let cells = &many.features.values[..count * COLUMNS];
    let (mut mean, mut quantiles) = (vec![0.0; count], vec![0.0; count * forest.levels().len()]);
    let mut ask = || forest.predict_into(cells, COLUMNS, &columns, &mut mean, &mut quantiles);
    ask();
    let times = (20_000 / count).max(1);
    let mut fastest = f64::INFINITY;
    for _ in 0..9 {
        let begin = cpu_time()?;
        (0..times).for_each(|_| ask());
        fastest = fastest.min((cpu_time()? - begin).as_secs_f64() / times as f64);
    }
    Ok(fastest)
}

/// The CPU time of this thread.
fn cpu_time() -> anyhow::Result<Duration> {
    let text =
        std::fs::read_to_string("/proc/thread-self/schedstat").context("reading this thread's CPU time")?;
    let nanos = text.split_whitespace().next().context("no CPU time")?.parse()?;
    Ok(Duration::from_nanos(nanos))
}

fn loss(forest: &Forest, rows: &TrainingSet) -> f64 {
    let levels = forest.levels().to_vec();
    let Ok(columns) = forest.columns(&rows.features) else { return f64::NAN };
    let (mut mean, mut quantiles) = (vec![0.0; JUDGED], vec![0.0; JUDGED * levels.len()]);
    let cells = &rows.features.values[..JUDGED * COLUMNS];
    forest.predict_into(cells, COLUMNS, &columns, &mut mean, &mut quantiles);
    let row = |(row, &actual): (&[f32], &f32)| -> f64 {
        let pairs = levels.iter().zip(row);
        let of = |(level, &quantile): (&f64, &f32)| {
            let error = f64::from(actual) - f64::from(quantile);
            (level * error).max((level - 1.0) * error)
        };
        pairs.map(of).sum()
    };
    let sum: f64 = quantiles.chunks_exact(levels.len()).zip(&rows.target).map(row).sum();
    sum / quantiles.len() as f64
}

fn peer(folder: &Path, data: &TrainingSet, many: &TrainingSet) -> anyhow::Result<Peer> {
    let write = |name: &str, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(folder.join(name), bytes).with_context(|| format!("writing {name}"))
    };
    write("features.f32", &data.features.values)?;
    write("target.f32", &data.target)?;
    write("rows.f32", &many.features.values)?;
    write("truth.f32", &many.target[..JUDGED])?;
    let python = std::env::var("FOREWATT_BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(&python)
        .args(["-c", include_str!("predict.py")])
        .arg(folder)
        .args([COLUMNS.to_string(), TREES.to_string()])
        .output()
        .with_context(|| {
            format!("starting `{python}`: name one that has lightgbm in FOREWATT_BENCH_PYTHON")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`{python}` failed (it needs numpy and lightgbm): {said}");
    serde_json::from_slice(&output.stdout).context("reading what LightGBM's part said")
}
