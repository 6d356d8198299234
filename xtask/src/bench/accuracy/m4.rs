//! M4 hourly: 414 series, 48 hours ahead, once (Makridakis et al., IJF 36 (2020) 54-74).

use std::sync::Arc;

use super::data::{HOUR, Source, Table, rfc3339, seconds};
use super::exe::{Forecasts, Row};
use super::metrics::{
    Metrics, interval_score, mae, mean, means, medians, named, place_of, seasonal_error, smape,
};
use super::task::{Input, Part, Pooled, words};

const FILE: &str = "m4_hourly.csv.gz";
/// Steps of the test.
const STEPS: usize = 48;
/// The season of the naive forecast and of the scale.
const PERIOD: usize = 24;
/// Rows of a series: M4's two lengths, the test included.
const LENGTHS: [usize; 2] = [748, 1_008];
/// Series of a quick run.
const QUICK: usize = 10;

/// One backtest a series.
///
/// # Errors
/// When the data are missing or not as expected.
pub fn parts(source: &Source) -> anyhow::Result<Vec<Part>> {
    let table = source.read(FILE)?;
    let [names] = table.columns(["series_id"])?;
    let mut parts = Vec::new();
    let mut lines = table.text.lines().skip(1);
    for group in names.chunk_by(|a, b| a == b) {
        if source.quick && parts.len() == QUICK {
            break;
        }
        let rows: Vec<&str> = lines.by_ref().take(group.len()).collect();
        let text = format!("series_id,timestamp,value,category\n{}\n", rows.join("\n"));
        parts.push(part(group[0], Table { text })?);
    }
    Ok(parts)
}

fn part(name: &str, table: Table) -> anyhow::Result<Part> {
    let values = table.numbers("value")?;
    anyhow::ensure!(LENGTHS.contains(&values.len()), "{name} has {} rows, not {LENGTHS:?}", values.len());
    let history = values.len() - STEPS;
    let [times] = table.columns(["timestamp"])?;
    let from = seconds(times[history], &jiff::tz::TimeZone::UTC)?;
    let arguments = words(&format!(
        "--time timestamp --time-zone UTC --target value --from {} --to {} --every 1h --horizon {STEPS}h \
         --refit never --quantiles 0.025,0.1,0.3,0.5,0.7,0.9,0.975",
        rfc3339(from)?,
        rfc3339(from + HOUR)?
    ));
    let scale = seasonal_error(&values[..history], PERIOD);
    let naive = |step: usize| values[history - PERIOD + step % PERIOD];
    let pairs: Vec<(f64, f64)> = (0..STEPS).map(|step| (values[history + step], naive(step))).collect();
    let anchors = vec![("seasonal naive 24 h".to_owned(), point_scores(&pairs, scale))];
    let input = Input::Text(Arc::new(table.text));
    let score = Box::new(move |forecasts: &Forecasts| score(forecasts, scale));
    Ok(Part { name: name.to_owned(), input, arguments, score, anchors })
}

/// All series side by side, the ends of all at the same instant: their own times are of no use, as each lives in a
/// year of its own.
///
/// # Errors
/// As [`parts`].
pub fn pooled(source: &Source) -> anyhow::Result<Pooled> {
    let table = source.read(FILE)?;
    let [names, values] = table.columns(["series_id", "value"])?;
    let mut series: Vec<(&str, &[&str])> = Vec::new();
    let mut from = 0;
    for group in names.chunk_by(|a, b| a == b) {
        if source.quick && series.len() == QUICK {
            break;
        }
        series.push((group[0], &values[from..from + group.len()]));
        from += group.len();
    }
    let longest = LENGTHS[1];
    let mut text = String::from("time");
    series.iter().for_each(|(name, _)| text.extend([",", name]));
    for row in 0..longest {
        text.extend(["\n", &rfc3339(row as i64 * HOUR)?]);
        for (_, values) in &series {
            let value = (row + values.len()).checked_sub(longest).and_then(|i| values.get(i));
            text.extend([",", value.copied().unwrap_or_default()]);
        }
    }
    text.push('\n');
    let test = (longest - STEPS) as i64 * HOUR;
    let peers: Vec<&str> = series[1..].iter().map(|(name, _)| *name).collect();
    let arguments = words(&format!(
        "--time time --time-zone UTC --target {} --past-only {} --with-peers --from {} --to {} --every 1h \
         --horizon {STEPS}h --refit never --quantiles 0.025,0.1,0.3,0.5,0.7,0.9,0.975",
        series[0].0,
        peers.join(","),
        rfc3339(test)?,
        rfc3339(test + HOUR)?
    ));
    Ok(Pooled { input: Input::Text(Arc::new(text)), arguments })
}

fn point_scores(pairs: &[(f64, f64)], scale: f64) -> Metrics {
    named(&[("sMAPE", smape(pairs.iter().copied())), ("MASE", mae(pairs.iter().copied()) / scale)])
}

fn score(forecasts: &Forecasts, scale: f64) -> Metrics {
    let places = [0.025, 0.975].map(|level| place_of(forecasts, level));
    let [Some(low), Some(high)] = places else { return Metrics::new() };
    let inside = |row: &Row| row.quantiles[low] <= row.actual && row.actual <= row.quantiles[high];
    let interval = |row: &Row| interval_score(0.05, row.quantiles[low], row.quantiles[high], row.actual);
    let of_medians = mae(medians(forecasts)) / scale;
    let mut scores = point_scores(&means(forecasts).collect::<Vec<_>>(), scale);
    scores.extend(named(&[
        ("MASE of medians", of_medians),
        ("MSIS", mean(forecasts.rows.iter().map(interval)) / scale),
        ("in 95 %", 100.0 * mean(forecasts.rows.iter().map(|row| f64::from(u8::from(inside(row)))))),
    ]));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let row =
            |actual: f64| Row { start: 0, valid: 0, actual, mean: 10.0, quantiles: vec![8.0, 14.0, 12.0] };
        let forecasts = Forecasts { levels: vec![0.025, 0.5, 0.975], rows: vec![row(10.0), row(13.0)] };
        let scores = score(&forecasts, 2.0);
        let wanted = [
            ("MASE", 0.75),
            ("MASE of medians", 1.25),
            ("MSIS", (4.0 + 44.0) / 2.0 / 2.0),
            ("in 95 %", 50.0),
        ];
        for (name, value) in wanted {
            assert!((scores[name] - value).abs() < 1e-9, "{name} {}", scores[name]);
        }
        assert!((scores["sMAPE"] - 200.0 * (3.0 / 23.0) / 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_series_is_cut_before_its_last_two_days() {
        // The value is the hour of the day, and one more on the two last days.
        let line = |i: i64| {
            let value = i % 24 + i64::from(i >= 700);
            format!("H1,{},{value},Other\n", rfc3339(i * HOUR).unwrap())
        };
        let text: String = std::iter::once("series_id,timestamp,value,category\n".to_owned())
            .chain((0..748).map(line))
            .collect();
        let part = part("H1", Table { text }).unwrap();
        let from = rfc3339(700 * HOUR).unwrap();
        assert!(part.arguments.contains(&from), "{:?}", part.arguments);
        // Nothing ever changed before, so there is no scale; the naive errs by one everywhere.
        assert_eq!(part.anchors[0].1.get("MASE"), None);
        assert!(part.anchors[0].1["sMAPE"] > 0.0);
    }
}
