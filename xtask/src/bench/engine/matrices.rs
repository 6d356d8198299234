//! The matrices both sides learn from and are judged on: day-ahead load and wind of public data, and made-up rows.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use forewatt_domain::Time;
use forewatt_domain::calendar::{Calendar, Region};
use forewatt_model::matrix::{DayClass, FeatureMatrix, RowKey, TrainingSet};
use jiff::tz::TimeZone;

use crate::bench::accuracy::data::{DAY, HOUR, Series, Source, Table, seconds};

/// Hours before the hour foretold whose values are features: a day to two weeks, as known a day ahead.
const LAGS: [i64; 17] = [24, 25, 26, 47, 48, 49, 72, 96, 120, 144, 167, 168, 169, 192, 216, 312, 336];
const EIA: &str = "eia930_54ba_2017_2020.csv.gz";
const SPAIN: &str = "spain_2015_2017.csv.gz";
const WIND: &str = "gefcom2014_wind_zones1_5.csv.gz";
/// Balancing authorities with the zones of their clocks.
const REGIONS: [(&str, &str); 10] = [
    ("PJM", "America/New_York"),
    ("CISO", "America/Los_Angeles"),
    ("ERCO", "America/Chicago"),
    ("ISNE", "America/New_York"),
    ("NYIS", "America/New_York"),
    ("MISO", "America/Chicago"),
    ("SWPP", "America/Chicago"),
    ("BPAT", "America/Los_Angeles"),
    ("DUK", "America/New_York"),
    ("FPL", "America/New_York"),
];

/// Rows to learn from and later rows to be judged on; targets are standardised by those to learn from.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// What it is: `PJM`.
    pub name: String,
    /// The rows to learn from.
    pub train: TrainingSet,
    /// The rows to foretell.
    pub test: TrainingSet,
}

/// Load of ten regions and of Spain, and wind power of five zones in one matrix.
///
/// # Errors
/// When the data are missing or not as expected.
pub fn public(source: &Source) -> anyhow::Result<Vec<Matrix>> {
    let eia = source.read(EIA)?;
    let mut all = Vec::with_capacity(REGIONS.len() + 2);
    for (code, zone) in REGIONS {
        let series = eia.only(code).series("time_utc", "UTC", "demand_mw")?;
        all.push(load(code, &series, (zone, "US"), "2019-07-01")?);
    }
    let spain = source.read(SPAIN)?.series("local_time_madrid", "Europe/Madrid", "load_mw")?;
    all.push(load("Spain", &spain, ("Europe/Madrid", "ES"), "2017-01-01")?);
    all.push(wind(&source.read(WIND)?)?);
    Ok(all)
}

/// Rows as a matrix grows.
struct Rows {
    names: Vec<String>,
    keys: Vec<RowKey>,
    values: Vec<f32>,
    target: Vec<f64>,
}

impl Rows {
    fn new(names: Vec<String>) -> Self {
        Self { names, keys: Vec::new(), values: Vec::new(), target: Vec::new() }
    }

    fn push(&mut self, second: i64, cells: impl IntoIterator<Item = f64>, target: f64) {
        let day = second.div_euclid(DAY);
        let hour = second.rem_euclid(DAY) / HOUR;
        self.keys.push(RowKey {
            origin: Time::from_seconds(day * DAY),
            valid_time: Time::from_seconds(second),
            lead: hour as u32,
            slot_of_day: hour as u16,
            day_class: DayClass::Workday,
            day_of_year: 1,
            local_day: day as i32,
        });
        self.values.extend(cells.into_iter().map(|value| value as f32));
        self.target.push(target);
    }

    /// Splits at an instant.
    fn split(self, name: &str, second: i64) -> Matrix {
        let first = Time::from_seconds(second);
        let learned: Vec<f64> = self
            .keys
            .iter()
            .zip(&self.target)
            .filter(|(key, _)| key.valid_time < first)
            .map(|(_, y)| *y)
            .collect();
        let count = learned.len() as f64;
        let mean = learned.iter().sum::<f64>() / count;
        let deviation = (learned.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / count).sqrt();
        let target = self.target.iter().map(|y| ((y - mean) / deviation) as f32).collect();
        let features =
            FeatureMatrix { names: self.names, keys: self.keys, values: self.values, windows: None };
        let all = TrainingSet { features, target, past: None, courses: None };
        let is_early = |i: usize| all.features.keys[i].valid_time < first;
        Matrix { name: name.to_owned(), train: all.filter(is_early), test: all.filter(|i| !is_early(i)) }
    }
}

/// 17 lags, the hour, the weekday, the day of the year and whether it is a holiday, by the clock on the wall.
fn load(name: &str, series: &Series, (zone, region): (&str, &str), split: &str) -> anyhow::Result<Matrix> {
    let zone = TimeZone::get(zone)?;
    let region: Region = region.parse().context("the region of the holidays")?;
    let calendar = Calendar::new(Some(&region), 2014, 2021);
    let mut names: Vec<String> = LAGS.iter().map(|lag| format!("lag_{lag}")).collect();
    names.extend(["hour", "weekday", "day_of_year", "holiday"].map(str::to_owned));
    let mut rows = Rows::new(names);
    let first = series.keys().next().context("the series is empty")? + LAGS[16] * HOUR;
    for (&second, &value) in series.range(first..) {
        let local = zone.to_datetime(jiff::Timestamp::from_second(second)?);
        let lags = LAGS.iter().map(|lag| series.get(&(second - lag * HOUR)).copied().unwrap_or(f64::NAN));
        let holiday = calendar.holiday(local.date()).is_some();
        let clock = [
            f64::from(local.hour()),
            f64::from(local.weekday().to_monday_zero_offset()),
            f64::from(local.day_of_year()),
            f64::from(u8::from(holiday)),
        ];
        rows.push(second, lags.chain(clock), value);
    }
    Ok(rows.split(name, seconds(split, &TimeZone::UTC)?))
}

/// Speeds and directions of the wind now, an hour before and after, the hour, the month and the zone.
fn wind(table: &Table) -> anyhow::Result<Matrix> {
    let names = [
        "u_10",
        "v_10",
        "u_100",
        "v_100",
        "speed_10",
        "speed_100",
        "speed_100_before",
        "speed_100_after",
        "direction_10",
        "direction_100",
        "shear",
        "hour",
        "month",
        "zone",
    ];
    let mut rows = Rows::new(names.map(str::to_owned).to_vec());
    let first = seconds("2012-01-01", &TimeZone::UTC)?;
    for zone in 1..=5 {
        let table = table.only(&zone.to_string());
        let [u10, v10, u100, v100] = ["U10", "V10", "U100", "V100"].map(|name| table.numbers(name));
        let (u10, v10, u100, v100) = (u10?, v10?, u100?, v100?);
        let power = table.numbers("TARGETVAR")?;
        let speed = |i: usize| u100[i].hypot(v100[i]);
        for i in (1..power.len().saturating_sub(1)).filter(|&i| power[i].is_finite()) {
            let second = first + i as i64 * HOUR;
            let date = TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(second)?);
            let low = u10[i].hypot(v10[i]);
            let cells = [
                u10[i],
                v10[i],
                u100[i],
                v100[i],
                low,
                speed(i),
                speed(i - 1),
                speed(i + 1),
                u10[i].atan2(v10[i]),
                u100[i].atan2(v100[i]),
                speed(i) - low,
                f64::from(date.hour()),
                f64::from(date.month()),
                f64::from(zone),
            ];
            rows.push(second, cells, power[i]);
        }
    }
    let split = seconds("2013-06-01", &TimeZone::UTC)?;
    Ok(rows.split("GEFCom wind", split))
}

/// 50,000 rows of 40 uniform features to learn from and 10,000 to foretell: ten of the features matter, two of them
/// for the spread alone (after Friedman 1991, with noise that is not the same everywhere).
///
/// # Errors
/// Never in fact: the signature is that of its like.
pub fn made_up() -> anyhow::Result<Matrix> {
    const COLUMNS: usize = 40;
    const LEARNED: i64 = 50_000;
    let mut state = 1_u64;
    let mut uniform = move || {
        // SplitMix64 (Steele, Lea and Flood 2014).
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut rows = Rows::new((0..COLUMNS).map(|c| format!("x_{c}")).collect());
    for i in 0..LEARNED + 10_000 {
        let x: Vec<f64> = (0..COLUMNS).map(|_| uniform()).collect();
        let noise: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        let middle = 10.0 * (std::f64::consts::PI * x[0] * x[1]).sin()
            + 20.0 * (x[2] - 0.5).powi(2)
            + 10.0 * x[3]
            + 5.0 * x[4]
            + 4.0 * (6.0 * x[5]).cos() * x[6]
            + if x[7] > 0.7 { 3.0 } else { 0.0 };
        rows.push(i * HOUR, x.iter().copied(), middle + (0.5 + 2.0 * x[8] + x[9]) * noise);
    }
    Ok(rows.split("50k x 40", LEARNED * HOUR))
}

/// Writes a matrix for the peer: `NAME.json` with the shapes, and little-endian `f32` of the cells and targets.
///
/// # Errors
/// When a file cannot be written.
pub fn write(matrix: &Matrix, folder: &Path) -> anyhow::Result<()> {
    let stem = matrix.name.replace(' ', "_");
    for (part, set) in [("train", &matrix.train), ("test", &matrix.test)] {
        for (kind, values) in [("x", &set.features.values), ("y", &set.target)] {
            let path = folder.join(format!("{stem}.{part}.{kind}.f32"));
            let file =
                std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
            let mut out = std::io::BufWriter::new(file);
            values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?;
            out.flush()?;
        }
    }
    let columns = serde_json::json!({ "columns": matrix.train.features.names });
    std::fs::write(folder.join(format!("{stem}.json")), columns.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lags_are_of_the_past_and_the_split_is_by_time() {
        let start = 1_546_300_800; // 2019-01-01
        let series: Series = (0..24 * 40).map(|hour| (start + hour * HOUR, hour as f64)).collect();
        let matrix = load("x", &series, ("UTC", "US"), "2019-02-01").unwrap();
        assert_eq!((matrix.train.target.len(), matrix.test.target.len()), (24 * 17, 24 * 9));
        let row = matrix.train.features.row(30);
        assert_eq!((row[0], row[16]), (336.0 + 30.0 - 24.0, 30.0));
        assert_eq!(row[17..], [6.0, 2.0, 16.0, 0.0], "06:00 on Wednesday 16 January, a working day");
        let mean: f32 = matrix.train.target.iter().sum();
        assert!(mean.abs() < 1e-2, "{mean}");
    }

    #[test]
    fn the_made_up_rows_have_their_shape() {
        let matrix = made_up().unwrap();
        assert_eq!((matrix.train.target.len(), matrix.test.target.len()), (50_000, 10_000));
        assert_eq!(matrix.train.features.columns(), 40);
    }
}
