//! GEFCom2014 load: a month ahead from history only, 99 quantiles (Hong et al., IJF 32 (2016) 896-913).

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use super::data::{HOUR, Series, Source, rfc3339};
use super::exe::Forecasts;
use super::metrics::{Metrics, coverage, mae, mean, means, named, pinball_of, sample_quantile};
use super::task::{Input, Part, words};

const FILE: &str = "gefcom2014_load_2001_2011h1.csv.gz";
/// The task numbers that the file holds, January to June 2011.
const TASKS: std::ops::RangeInclusive<i8> = 4..=9;
/// Days around the date whose values the trivial model takes.
const AROUND_DAYS: i64 = 8;
/// Every so many hours of history a forecast to learn from: two thirds of a million rows already.
const LEARN_EVERY: &str = "120h";

/// One backtest a month.
///
/// # Errors
/// When the data are missing or not as expected.
pub fn parts(source: &Source) -> anyhow::Result<Vec<Part>> {
    // The file names the end of each hour.
    let ends = source.read(FILE)?.series("hour_ending", "UTC", "load")?;
    let load: Series = ends.into_iter().map(|(end, value)| (end - HOUR, value)).collect();
    let tasks = TASKS.take(if source.quick { 1 } else { usize::MAX });
    tasks.map(|task| part(&load, task, source)).collect()
}

fn part(load: &Series, task: i8, source: &Source) -> anyhow::Result<Part> {
    let first = Date::new(2011, task - 3, 1)?;
    let hours = i64::from(first.days_in_month()) * 24;
    let from = midnight(first)?;
    let temperatures: Vec<String> = (1..=25).map(|station| format!("w{station}:temperature")).collect();
    let levels: Vec<String> = levels().iter().map(|level| format!("{level:.2}")).collect();
    let arguments = words(&format!(
        "--time hour_ending --labels end --time-zone UTC --target load --kind load --past-only {} \
         --from {} --to {} --every {LEARN_EVERY} --horizon {hours}h --refit never --quantiles {}",
        temperatures.join(","),
        rfc3339(from)?,
        rfc3339(from + HOUR)?,
        levels.join(",")
    ));
    let anchors = anchors(load, first, hours)?;
    let benchmark = anchors[0].1["pinball"];
    Ok(Part {
        name: format!("task {task}"),
        input: Input::File(source.folder.join(FILE)),
        arguments,
        score: Box::new(move |forecasts| score(forecasts, benchmark)),
        anchors,
    })
}

fn levels() -> Vec<f64> {
    (1..=99).map(|percent| f64::from(percent) / 100.0).collect()
}

fn midnight(date: Date) -> anyhow::Result<i64> {
    Ok(TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0))?.as_second())
}

fn score(forecasts: &Forecasts, benchmark: f64) -> Metrics {
    let losses = forecasts.rows.iter().map(|row| pinball_of(&forecasts.levels, &row.quantiles, row.actual));
    let pinball = mean(losses.filter(|loss| loss.is_finite()));
    named(&[
        ("pinball", pinball),
        ("ratio", pinball / benchmark),
        ("MAE", mae(means(forecasts))),
        ("in 80 %", coverage(forecasts, 80.0)),
    ])
}

/// The official benchmark (the same hour a year before, at every level) and the trivial seasonal-empirical model.
fn anchors(load: &Series, first: Date, hours: i64) -> anyhow::Result<Vec<(String, Metrics)>> {
    let (from, levels) = (midnight(first)?, levels());
    let by_day = by_day(load, from);
    let (mut official, mut trivial) = (Vec::new(), Vec::new());
    for hour in 0..hours {
        let time = from + hour * HOUR;
        let Some(&actual) = load.get(&time) else { continue };
        let date = first.checked_add((hour / 24).days())?;
        let clock = (hour % 24) * HOUR;
        if let Some(before) = load.get(&(midnight(date.checked_sub(1.year())?)? + clock)) {
            official.push(pinball_of(&levels, &vec![*before; levels.len()], actual));
        }
        let sample = like_days(&by_day, date, (hour % 24) as usize)?;
        let quantiles: Vec<f64> = levels.iter().map(|&level| sample_quantile(&sample, level)).collect();
        trivial.push(pinball_of(&levels, &quantiles, actual));
    }
    let (official, trivial) = (mean(official), mean(trivial));
    let anchor =
        |name: &str, loss: f64| (name.to_owned(), named(&[("pinball", loss), ("ratio", loss / official)]));
    Ok(vec![anchor("official benchmark", official), anchor("trivial seasonal-empirical", trivial)])
}

/// What was known before an instant: 24 values by date, NaN where one is missing.
fn by_day(load: &Series, before: i64) -> BTreeMap<Date, [f64; 24]> {
    let mut days = BTreeMap::new();
    for (&time, &value) in load.range(..before) {
        let Ok(instant) = jiff::Timestamp::from_second(time) else { continue };
        let clock = TimeZone::UTC.to_datetime(instant);
        days.entry(clock.date()).or_insert([f64::NAN; 24])[clock.hour() as usize] = value;
    }
    days
}

/// The values at an hour within eight days of the date in every year, of weekdays or weekends as the date is; rising.
fn like_days(by_day: &BTreeMap<Date, [f64; 24]>, date: Date, hour: usize) -> anyhow::Result<Vec<f64>> {
    let weekend = |date: Date| matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    let mut sample = Vec::new();
    let years = by_day.keys().next().map_or(date.year(), |first| first.year())..=date.year();
    for year in years {
        let center = date.with().year(year).build()?;
        let (low, high) = (center.checked_sub(AROUND_DAYS.days())?, center.checked_add(AROUND_DAYS.days())?);
        let near = by_day.range(low..=high).filter(|(near, _)| weekend(**near) == weekend(date));
        sample.extend(near.map(|(_, values)| values[hour]).filter(|value| value.is_finite()));
    }
    sample.sort_unstable_by(f64::total_cmp);
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::super::exe::Row;
    use super::*;

    #[test]
    fn like_days_share_hour_class_and_season() {
        // Values tell the day: 2009-12-25 .. 2010-01-31, one number a day.
        let first = midnight("2009-12-25".parse().unwrap()).unwrap();
        let load: Series = (0..38 * 24).map(|h| (first + h * HOUR, (h / 24) as f64)).collect();
        let days = by_day(&load, first + 30 * 24 * HOUR);
        assert_eq!(days.len(), 30);
        // Within eight days of Saturday 2010-01-16: the 9th, 10th, 16th, 17th, and 23rd is day 29, the last known.
        let sample = like_days(&days, "2010-01-16".parse().unwrap(), 3).unwrap();
        assert_eq!(sample, [15.0, 16.0, 22.0, 23.0, 29.0]);
    }

    #[test]
    fn anchors_by_hand() {
        // A constant 100, and 130 in January 2011: half the error is the pinball loss of one value at all levels.
        let first: Date = "2011-01-01".parse().unwrap();
        let from = midnight(first).unwrap();
        let value = |hour: i64| if hour >= 0 { 130.0 } else { 100.0 };
        let load: Series = (-400 * 24..31 * 24).map(|hour| (from + hour * HOUR, value(hour))).collect();
        let anchors = anchors(&load, first, 31 * 24).unwrap();
        for (name, scores) in &anchors {
            assert!((scores["pinball"] - 15.0).abs() < 1e-9, "{name}");
            assert!((scores["ratio"] - 1.0).abs() < 1e-9, "{name}");
        }
        let row = Row { start: 0, valid: 0, actual: 130.0, mean: 110.0, quantiles: vec![110.0, 110.0] };
        let scores = score(&Forecasts { levels: vec![0.25, 0.75], rows: vec![row] }, 40.0);
        assert_eq!((scores["pinball"], scores["ratio"], scores["MAE"]), (10.0, 0.25, 20.0));
    }
}
