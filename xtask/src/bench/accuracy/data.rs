//! The public data: gzipped CSV read into columns, times as seconds since 1970.
//!
//! The files are not part of the repository: `FOREWATT_BENCH_DATA` names their folder (default `../shared/data`).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::tz::TimeZone;

/// A file larger than this once unpacked is none of ours, in bytes.
const TEXT_MAX_BYTES: u64 = 1 << 30;
/// Seconds of an hour.
pub const HOUR: i64 = 3_600;
/// Seconds of a day.
pub const DAY: i64 = 24 * HOUR;

/// A series by the seconds at which its values begin.
pub type Series = BTreeMap<i64, f64>;

/// Where the data lie and how much of them is asked for.
#[derive(Debug, Clone)]
pub struct Source {
    /// The folder of the files.
    pub folder: PathBuf,
    /// A small part of every task, to try the harness.
    pub quick: bool,
}

impl Source {
    /// Reads a file of the folder.
    ///
    /// # Errors
    /// When it is missing, is no gzip or is too large.
    pub fn read(&self, file: &str) -> anyhow::Result<Table> {
        read(&self.folder.join(file))
    }
}

/// Where the public data lie.
pub fn folder(root: &Path) -> PathBuf {
    std::env::var_os("FOREWATT_BENCH_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from)
}

fn read(path: &Path) -> anyhow::Result<Table> {
    let file = std::fs::File::open(path).with_context(|| {
        format!("cannot open {}: set FOREWATT_BENCH_DATA to the data's folder", path.display())
    })?;
    let mut text = String::new();
    let size = flate2::read::GzDecoder::new(file)
        .take(TEXT_MAX_BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("unpacking {}", path.display()))?;
    anyhow::ensure!(
        (size as u64) < TEXT_MAX_BYTES,
        "{} is larger than {TEXT_MAX_BYTES} bytes",
        path.display()
    );
    Ok(Table { text })
}

/// A CSV text with a header and no quotes.
#[derive(Debug, Clone)]
pub struct Table {
    /// The text.
    pub text: String,
}

impl Table {
    /// Only the rows that begin with a field.
    #[must_use]
    pub fn only(&self, first: &str) -> Self {
        let prefix = format!("{first},");
        let kept = self.text.lines().enumerate().filter(|(i, line)| *i == 0 || line.starts_with(&prefix));
        Self { text: kept.map(|(_, line)| line).collect::<Vec<_>>().join("\n") }
    }

    /// The table with one more column: the sum of all but the first, empty where one is unknown.
    #[must_use]
    pub fn with_sum(&self, name: &str) -> Self {
        let sum = |line: &str| {
            let total: Option<f64> = line.split(',').skip(1).map(|field| field.parse::<f64>().ok()).sum();
            format!("{line},{}", total.map_or_else(String::new, |total| total.to_string()))
        };
        let mut lines = self.text.lines();
        let header = format!("{},{name}", lines.next().unwrap_or_default());
        Self { text: std::iter::once(header).chain(lines.map(sum)).collect::<Vec<_>>().join("\n") }
    }

    /// Columns by name, each with one field a row.
    ///
    /// # Errors
    /// When the header does not have one.
    pub fn columns<const N: usize>(&self, names: [&str; N]) -> anyhow::Result<[Vec<&str>; N]> {
        let mut lines = self.text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(names) {
            let at = header.iter().position(|field| *field == name);
            *place = at.with_context(|| format!("no column `{name}`; there are: {}", header.join(", ")))?;
        }
        let mut columns = std::array::from_fn(|_| Vec::new());
        for line in lines.filter(|line| !line.is_empty()) {
            let fields: Vec<&str> = line.split(',').collect();
            for (column, &place) in columns.iter_mut().zip(&places) {
                column.push(fields.get(place).copied().unwrap_or_default());
            }
        }
        Ok(columns)
    }

    /// A column as numbers, NaN where there is none.
    ///
    /// # Errors
    /// As [`Table::columns`].
    pub fn numbers(&self, name: &str) -> anyhow::Result<Vec<f64>> {
        let [fields] = self.columns([name])?;
        Ok(fields.iter().map(|field| number(field)).collect())
    }

    /// A column by the seconds of another that holds times of a zone; rows without a number are left out.
    ///
    /// # Errors
    /// As [`Table::columns`], or for a time that cannot be read.
    pub fn series(&self, time: &str, zone: &str, value: &str) -> anyhow::Result<Series> {
        let zone = TimeZone::get(zone)?;
        let [times, values] = self.columns([time, value])?;
        let known = times.iter().zip(&values).map(|(time, value)| (time, number(value)));
        known.filter(|(_, v)| v.is_finite()).map(|(time, v)| Ok((seconds(time, &zone)?, v))).collect()
    }
}

fn number(field: &str) -> f64 {
    field.trim().parse().unwrap_or(f64::NAN)
}

/// Seconds since 1970 of RFC 3339, or of a clock's date and time; of a repeated hour the earlier.
///
/// # Errors
/// When the text is neither.
pub fn seconds(text: &str, zone: &TimeZone) -> anyhow::Result<i64> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.as_second());
    }
    let clock: jiff::civil::DateTime = text.parse().with_context(|| format!("`{text}` is no time"))?;
    Ok(zone.to_ambiguous_timestamp(clock).earlier()?.as_second())
}

/// Seconds as RFC 3339, as the command line wants them.
///
/// # Errors
/// For seconds beyond the year 9999.
pub fn rfc3339(seconds: i64) -> anyhow::Result<String> {
    Ok(jiff::Timestamp::from_second(seconds)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table { text: "ba,time,mw\nA,2018-03-25 01:00:00,1.5\nB,2018-03-25 03:00:00,\nAB,x,2\n".to_owned() }
    }

    #[test]
    fn columns_rows_and_sums() {
        let only = table().only("A");
        assert_eq!(only.columns(["mw", "ba"]).unwrap(), [vec!["1.5"], vec!["A"]]);
        assert!(only.columns(["no"]).unwrap_err().to_string().contains("ba, time, mw"));
        let sum = Table { text: "t,a,b\n1,2,3.5\n2,4,\n".to_owned() }.with_sum("all");
        assert_eq!(sum.text, "t,a,b,all\n1,2,3.5,5.5\n2,4,,");
    }

    #[test]
    fn times_follow_the_zone_and_its_changes() {
        let madrid = TimeZone::get("Europe/Madrid").unwrap();
        let at = |text: &str| seconds(text, &madrid).unwrap();
        assert_eq!(at("2018-03-25 03:00:00") - at("2018-03-25 01:00:00"), HOUR);
        assert_eq!(at("2018-10-28 03:00:00") - at("2018-10-28 02:00:00"), 2 * HOUR);
        assert_eq!(at("2018-01-01"), at("2017-12-31T23:00:00Z"));
        assert_eq!(rfc3339(at("2018-01-01")).unwrap(), "2017-12-31T23:00:00Z");
        assert!(seconds("yesterday", &madrid).is_err());
        let series = table().only("A").series("time", "Europe/Madrid", "mw").unwrap();
        assert_eq!(series, Series::from([(at("2018-03-25 01:00:00"), 1.5)]));
    }
}
