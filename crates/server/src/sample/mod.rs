//! The built-in sample: 17 homes with solar roofs in Fontana, California, one year from 1 August 2016.
//!
//! `data/README.md` says where the figures come from, how they were reduced and what is wrong with them.

use std::io::Read;

use anyhow::{Context, bail};
use flate2::read::GzDecoder;
use forewatt_domain::civil::Reading;
use forewatt_domain::time::MICROS_PER_HOUR;
use forewatt_domain::{Location, Observation, Resolution, Series, SeriesKind, Time, Zone};

#[cfg(test)]
mod tests;

const HOMES: &[u8] = include_bytes!("../../../../data/homes.csv.gz");
const WEATHER: &[u8] = include_bytes!("../../../../data/weather.csv.gz");

/// How many homes the sample holds.
pub const HOMES_COUNT: usize = 17;

const ZONE: &str = "America/Los_Angeles";
const HOLIDAY_REGION: &str = "US-CA";
const LATITUDE: f64 = 34.09;
const LONGITUDE: f64 = -117.43;

/// How far ahead the source gives weather, in hours; the longest first, so that vintages come in order.
const WEATHER_AHEAD_HOURS: [i64; 3] = [24, 12, 6];
/// How far ahead the source gives the tariff, in hours.
const PRICE_AHEAD_HOURS: i64 = 24;

/// Inflated, both files together stay below this; a build with a broken file must not eat memory.
const TEXT_MAX_BYTES: u64 = 8 << 20;

/// One series of the sample with everything that was ever known about it.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSeries {
    /// The description.
    pub series: Series,
    /// Measurements and vintages, ordered by valid time and then by availability.
    pub observations: Vec<Observation>,
}

/// Reads the sample: parents before their parts, then weather, price and carbon intensity.
///
/// Loads and generation are mean powers of an hour in kW, known when the hour is over. Every weather value
/// has three vintages (known 24, 12 and 6 hours before) and the measurement (known an hour after its start).
/// The tariff is known a day ahead.
///
/// # Errors
/// When the embedded files are damaged; the text says where.
pub fn read() -> anyhow::Result<Vec<SampleSeries>> {
    let zone: Zone = ZONE.parse()?;
    let homes = Table::read(HOMES, "data/homes.csv.gz", |text| local_time(text, &zone))?;
    let weather = Table::read(WEATHER, "data/weather.csv.gz", |text| Ok(Some(text.parse()?)))?;
    let mut all = Vec::with_capacity(2 * HOMES_COUNT + 8);
    for (what, kind) in [("load", SeriesKind::Load), ("solar", SeriesKind::Solar)] {
        let parts = (1..=HOMES_COUNT)
            .map(|home| homes.column(&format!("{what}_{home:02}_w")))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let total: Vec<f64> =
            (0..homes.times.len()).map(|row| parts.iter().map(|part| part[row]).sum()).collect();
        let parent = format!("district.{what}");
        all.push(measured(describe(&parent, kind, "kW", None)?, &homes.times, &total, 1000.0));
        for (index, part) in parts.iter().enumerate() {
            let series = describe(&format!("home-{:02}.{what}", index + 1), kind, "kW", Some(&parent))?;
            all.push(measured(series, &homes.times, part, 1000.0));
        }
    }
    for (name, column, kind, unit) in [
        ("weather.temperature", "temperature_c", SeriesKind::Temperature, "degC"),
        ("weather.humidity", "humidity_pct", SeriesKind::Weather, "%"),
        ("weather.direct", "direct_w_per_m2", SeriesKind::Weather, "W/m2"),
        ("weather.diffuse", "diffuse_w_per_m2", SeriesKind::Weather, "W/m2"),
    ] {
        let series = describe(name, kind, unit, None)?;
        all.push(SampleSeries { series, observations: vintages(&weather.times, weather.column(column)?) });
    }
    let price = describe("price", SeriesKind::Price, "USD/kWh", None)?;
    let observations = tariff(&homes.times, homes.column("price_usd_per_kwh")?);
    all.push(SampleSeries { series: price, observations });
    let carbon = describe("carbon", SeriesKind::Other, "kg/kWh", None)?;
    all.push(measured(carbon, &homes.times, homes.column("carbon_kg_per_kwh")?, 1.0));
    Ok(all)
}

fn describe(name: &str, kind: SeriesKind, unit: &str, parent: Option<&str>) -> anyhow::Result<Series> {
    Ok(Series {
        name: name.parse()?,
        kind,
        unit: unit.to_owned(),
        resolution: Resolution::HOUR,
        time_zone: ZONE.parse()?,
        location: Some(Location::new(LATITUDE, LONGITUDE)?),
        holiday_region: Some(HOLIDAY_REGION.to_owned()),
        parent: parent.map(str::parse).transpose()?,
    })
}

/// Values known when their hour is over; `scale` of the column's units make one of the series' units.
fn measured(series: Series, times: &[Time], values: &[f64], scale: f64) -> SampleSeries {
    let seen = |(&time, &value): (&Time, &f64)| known(time, 1, value / scale);
    SampleSeries { series, observations: times.iter().zip(values).map(seen).collect() }
}

/// The source's predicted columns repeat the measurement to come and start over at the year's end, so the
/// last day's predictions (for the day after the data) are the first day's weather.
fn vintages(times: &[Time], values: &[f64]) -> Vec<Observation> {
    let mut observations = Vec::with_capacity(4 * times.len());
    let end = times.len();
    let Some(&first) = times.first() else {
        return observations;
    };
    for step in 0..end + WEATHER_AHEAD_HOURS[0].unsigned_abs() as usize {
        let time = times.get(step).copied().unwrap_or_else(|| hours_after(first, step as i64));
        let value = values[step % end];
        for ahead in WEATHER_AHEAD_HOURS {
            // A vintage is issued by a row of the file, and the file has no rows before or after the year.
            let issued = step as i64 - ahead;
            if (0..end as i64).contains(&issued) {
                observations.push(known(time, -ahead, value));
            }
        }
        if step < end {
            observations.push(known(time, 1, value));
        }
    }
    observations
}

/// A published tariff: known a day ahead, a day beyond the data's end included.
fn tariff(times: &[Time], values: &[f64]) -> Vec<Observation> {
    let tail = times.len().saturating_sub(PRICE_AHEAD_HOURS.unsigned_abs() as usize);
    let next_day = times[tail..].iter().map(|&time| hours_after(time, PRICE_AHEAD_HOURS));
    let all = times.iter().copied().chain(next_day);
    all.zip(values.iter().cycle()).map(|(time, &value)| known(time, -PRICE_AHEAD_HOURS, value)).collect()
}

fn known(valid_time: Time, after_hours: i64, value: f64) -> Observation {
    Observation { valid_time, available_at: hours_after(valid_time, after_hours), value }
}

fn hours_after(time: Time, hours: i64) -> Time {
    time.plus_micros(hours * MICROS_PER_HOUR)
}

/// The instant of a wall-clock reading; none for the hour that the clocks skip in spring, for which the
/// source has a row all the same. Of the hour that comes twice in autumn the source has one row: the first.
fn local_time(text: &str, zone: &Zone) -> anyhow::Result<Option<Time>> {
    Ok(match zone.read(text.parse()?) {
        Reading::Once(time) | Reading::Twice(time, _) => Some(time),
        Reading::Never(_) => None,
    })
}

/// A file of the sample: one instant and one number a column in each row.
struct Table {
    file: &'static str,
    times: Vec<Time>,
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
}

impl Table {
    fn read(
        bytes: &[u8],
        file: &'static str,
        time: impl Fn(&str) -> anyhow::Result<Option<Time>>,
    ) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(GzDecoder::new(bytes).take(TEXT_MAX_BYTES));
        let names: Vec<String> = reader.headers().context(file)?.iter().skip(1).map(str::to_owned).collect();
        let mut table = Self { file, times: Vec::new(), columns: vec![Vec::new(); names.len()], names };
        let mut row = csv::StringRecord::new();
        while reader.read_record(&mut row).context(file)? {
            let line = row.position().map_or(0, csv::Position::line);
            let clock = row.get(0).unwrap_or_default();
            let Some(instant) = time(clock).with_context(|| format!("{file} line {line}: `{clock}`"))? else {
                continue;
            };
            table.times.push(instant);
            for (column, text) in table.columns.iter_mut().zip(row.iter().skip(1)) {
                column.push(text.parse().with_context(|| format!("{file} line {line}: `{text}`"))?);
            }
        }
        Ok(table)
    }

    fn column(&self, name: &str) -> anyhow::Result<&[f64]> {
        match self.names.iter().position(|n| n == name) {
            Some(index) => Ok(&self.columns[index]),
            None => bail!("{} has no column `{name}`; make it again with data/reduce.py", self.file),
        }
    }
}
