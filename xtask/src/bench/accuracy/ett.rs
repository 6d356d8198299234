//! `ETTh1`: every column 96 or 720 hours ahead from every hour of four months (Zhou et al., AAAI 35 (2021)).

use super::data::{HOUR, Source, rfc3339, seconds};
use super::exe::Forecasts;
use super::metrics::{Metrics, mae, mean, means, mse, named};
use super::task::{Input, Part, Pooled, words};

const FILE: &str = "ett_h1.csv.gz";
const COLUMNS: [&str; 7] = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"];
/// Hours of a month, as the benchmark counts them.
const MONTH: usize = 30 * 24;
/// The train part, which the scale is taken from; the end of validation; the end of the test.
const SPLIT: [usize; 3] = [12 * MONTH, 16 * MONTH, 20 * MONTH];
/// The season of the naive forecast.
const PERIOD: usize = 24;

/// One backtest a column, from every hour; every four days in a quick run.
///
/// # Errors
/// When the data are missing or not as expected.
pub fn parts(steps: usize, source: &Source) -> anyhow::Result<Vec<Part>> {
    let table = source.read(FILE)?;
    let [times] = table.columns(["date"])?;
    anyhow::ensure!(times.len() >= SPLIT[2], "{FILE} has {} rows, not {}", times.len(), SPLIT[2]);
    let start = seconds(times[0], &jiff::tz::TimeZone::UTC)?;
    let at = |row: usize| rfc3339(start + row as i64 * HOUR);
    // So many steps from every hour are more values than a backtest keeps: a day apart they are not.
    let every = match (source.quick, steps > 96) {
        (true, _) => 96,
        (false, true) => 24,
        (false, false) => 1,
    };
    let origins = (SPLIT[1]..=SPLIT[2] - steps).step_by(every);
    let span = format!("--from {} --to {}", at(SPLIT[1])?, at(SPLIT[2] - steps + 1)?);
    let part = |column: &&str| -> anyhow::Result<Part> {
        let values = table.numbers(column)?;
        let scale = deviation(&values[..SPLIT[0]]);
        Ok(Part {
            name: (*column).to_owned(),
            input: Input::File(source.folder.join(FILE)),
            arguments: words(&format!(
                "--time date --time-zone UTC --target {column} {span} --every {every}h --horizon {steps}h \
                 --refit never"
            )),
            score: Box::new(move |forecasts| score(forecasts, scale)),
            anchors: vec![("seasonal naive 24 h".to_owned(), naive(&values, scale, origins.clone(), steps))],
        })
    };
    COLUMNS.iter().map(part).collect()
}

/// All columns by one model, as [`parts`] asks for each.
///
/// # Errors
/// As [`parts`].
pub fn pooled(steps: usize, source: &Source) -> anyhow::Result<Pooled> {
    let mut parts = parts(steps, source)?;
    let Part { input, mut arguments, .. } = parts.swap_remove(0);
    arguments.extend(["--past-only".to_owned(), COLUMNS[1..].join(","), "--with-peers".to_owned()]);
    Ok(Pooled { input, arguments })
}

/// The standard deviation, of all values rather than of a sample, as the benchmark scales.
fn deviation(values: &[f64]) -> f64 {
    let center = mean(values.iter().copied());
    mean(values.iter().map(|v| (v - center).powi(2))).sqrt()
}

/// Errors over the train part's deviation: those of standardised values.
fn score(forecasts: &Forecasts, scale: f64) -> Metrics {
    let scores =
        named(&[("MSE", mse(means(forecasts)) / (scale * scale)), ("MAE", mae(means(forecasts)) / scale)]);
    let windows = forecasts.rows.chunk_by(|a, b| a.start == b.start).count() as f64;
    scores.into_iter().chain(named(&[("windows", windows)])).collect()
}

fn naive(values: &[f64], scale: f64, origins: impl Iterator<Item = usize>, steps: usize) -> Metrics {
    let (mut absolute, mut squared, mut windows) = (0.0, 0.0, 0.0);
    for origin in origins {
        for step in 0..steps {
            let error = (values[origin + step] - values[origin - PERIOD + step % PERIOD]) / scale;
            absolute += error.abs();
            squared += error * error;
        }
        windows += 1.0;
    }
    let count = windows * steps as f64;
    named(&[("MSE", squared / count), ("MAE", absolute / count), ("windows", windows)])
}

#[cfg(test)]
mod tests {
    use super::super::exe::Row;
    use super::*;

    #[test]
    fn errors_are_those_of_standardised_values() {
        assert_eq!(deviation(&[1.0, 5.0]), 2.0);
        let row = |start: i64, actual: f64| Row { start, valid: 0, actual, mean: 1.0, quantiles: Vec::new() };
        let forecasts = Forecasts { levels: Vec::new(), rows: vec![row(0, 3.0), row(0, 1.0), row(1, 5.0)] };
        let scores = score(&forecasts, 2.0);
        assert_eq!((scores["MSE"], scores["MAE"], scores["windows"]), (5.0 / 3.0, 1.0, 2.0));
    }

    #[test]
    fn the_naive_repeats_the_last_day() {
        // A ramp: one and two days ahead it errs by 24 and 48.
        let values: Vec<f64> = (0..200).map(f64::from).collect();
        let scores = naive(&values, 24.0, 100..103, 48);
        assert_eq!((scores["MAE"], scores["MSE"], scores["windows"]), (1.5, 2.5, 3.0));
    }
}
