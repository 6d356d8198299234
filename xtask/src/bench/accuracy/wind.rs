//! GEFCom2014 wind, zones 1 to 5: day-ahead power as a share of capacity from wind forecasts at 10 and 100 m.

use std::sync::Arc;

use super::data::{DAY, HOUR, Source, Table};
use super::exe::Forecasts;
use super::metrics::{Metrics, coverage, mae, mean, means, medians, named, pinball_of};
use super::task::{Input, Part, words};

const FILE: &str = "gefcom2014_wind_zones1_5.csv.gz";
/// The first label is the hour that ends at 01:00 on this day.
const FIRST: &str = "2012-01-01";
/// The last six months.
const FROM: &str = "2013-06-01";
const TO: &str = "2013-12-01";

/// One backtest a zone.
///
/// # Errors
/// When the data are missing or not as expected.
pub fn parts(source: &Source) -> anyhow::Result<Vec<Part>> {
    let table = source.read(FILE)?;
    let zones = if source.quick { 1..=1 } else { 1..=5 };
    zones.map(|zone| part(&table.only(&zone.to_string()), zone, source.quick)).collect()
}

fn part(table: &Table, zone: u8, quick: bool) -> anyhow::Result<Part> {
    let day = |text: &str| super::data::seconds(text, &jiff::tz::TimeZone::UTC);
    let (first, from) = (day(FIRST)?, day(FROM)?);
    let to = if quick { from + 28 * DAY } else { day(TO)? };
    let power = table.numbers("TARGETVAR")?;
    let [labels] = table.columns(["TIMESTAMP"])?;
    let hours = ((day(TO)? - first) / HOUR) as usize;
    anyhow::ensure!(
        labels.first() == Some(&"20120101 1:00") && power.len() == hours,
        "zone {zone} of {FILE} has {} hours from {:?}, not {hours} from 20120101 1:00",
        power.len(),
        labels.first()
    );
    let test = ((from - first) / HOUR) as usize..((to - first) / HOUR) as usize;
    let mut arguments = words("--time TIMESTAMP --labels end --time-zone UTC --time-format");
    // One argument, with a space in it.
    arguments.push("%Y%m%d %H:%M".to_owned());
    arguments.extend(words(&format!(
        "--target TARGETVAR --kind wind --known-ahead U10:weather,V10:weather,U100:weather,V100:weather \
         --from {} --to {} --every 24h --horizon 24h --refit 28d",
        super::data::rfc3339(from)?,
        super::data::rfc3339(to)?
    )));
    Ok(Part {
        name: format!("zone {zone}"),
        input: Input::Text(Arc::new(table.text.clone())),
        arguments,
        score: Box::new(score),
        anchors: anchors(&power, test),
    })
}

fn score(forecasts: &Forecasts) -> Metrics {
    let losses = forecasts.rows.iter().map(|row| pinball_of(&forecasts.levels, &row.quantiles, row.actual));
    named(&[
        ("MAE", mae(means(forecasts))),
        ("MAE of medians", mae(medians(forecasts))),
        ("pinball", mean(losses.filter(|loss| loss.is_finite()))),
        ("in 80 %", coverage(forecasts, 80.0)),
    ])
}

/// A day before, and the mean of all earlier values of the hour.
fn anchors(power: &[f64], test: std::ops::Range<usize>) -> Vec<(String, Metrics)> {
    let climatology: Vec<f64> = (0..24)
        .map(|hour| {
            mean(power[..test.start].iter().skip(hour).step_by(24).copied().filter(|v| v.is_finite()))
        })
        .collect();
    let error = |forecast: &dyn Fn(usize) -> f64| {
        named(&[("MAE", mae(test.clone().map(|hour| (power[hour], forecast(hour)))))])
    };
    vec![
        ("naive 24 h".to_owned(), error(&|hour| power[hour - 24])),
        ("climatology of the hour".to_owned(), error(&|hour| climatology[hour % 24])),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_by_hand() {
        // Two days at 0.2 and 0.4, and a third at 0.5: a day before errs by 0.1, the mean of 0.3 by 0.2.
        let power: Vec<f64> = [0.2, 0.4, 0.5].iter().flat_map(|v| vec![*v; 24]).collect();
        let anchors = anchors(&power, 48..72);
        assert!((anchors[0].1["MAE"] - 0.1).abs() < 1e-9 && (anchors[1].1["MAE"] - 0.2).abs() < 1e-9);
    }
}
