//! Forecasts in files: as a backtest writes them, and as third parties publish them.

use std::collections::{BTreeMap, HashMap};

use forewatt_domain::{Observation, SeriesName, Time};
use forewatt_model::compare::{ForecastRow, Forecasts};

use crate::error::{Error, ErrorKind, Result};
use crate::file_dataset::name_of_column;
use crate::ingest::{self, Availability, ColumnMap, Decimal, ImportError, ImportOptions, Report, Source};

/// The most forecast values read from one file.
pub const VALUES_MAX: usize = 2_000_000;

/// A file's forecasts, and what the reader saw.
#[derive(Debug)]
pub struct FileForecasts {
    /// One per value column, in their order.
    pub forecasts: Vec<Forecasts>,
    /// What was read, rejected and missing.
    pub report: Report,
    /// What else a reader must know.
    pub notes: Vec<String>,
}

/// Columns of a third party's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// Those of the forecasts.
    pub values: Vec<String>,
    /// That of what came true.
    pub actual: Option<String>,
}

/// Reads a file of `forecast_start,valid_time,actual,mean,q0.1,...`, as `forewatt backtest --output` writes it;
/// `forecast_start`, `actual` and the quantiles may be absent.
///
/// # Errors
/// What the importer refuses; `InsufficientData` without values; `TooLarge` beyond [`VALUES_MAX`].
pub fn read_backtest(source: &dyn Source) -> Result<FileForecasts> {
    // The notation is our own: nothing is left to be detected.
    let mut options = ImportOptions {
        decimal: Some(Decimal::Point),
        delimiter: Some(b','),
        ..ImportOptions::new("valid_time", vec![column("mean")?])
    };
    let names = ingest::header(source, &options)?;
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("forecast_start") {
        options.available = Availability::Column("forecast_start".to_owned());
    }
    if has("actual") {
        options.columns.push(column("actual")?);
    }
    let mut levels: Vec<(f64, &String)> =
        names.iter().filter_map(|name| Some((level(name)?, name))).collect();
    levels.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, name) in &levels {
        options.columns.push(column(name)?);
    }
    let (mut values, report) = read(source, &options)?;
    let means = values.remove(&options.columns[0].series).unwrap_or_default();
    let known_starts = matches!(options.available, Availability::Column(_));
    let mut rows = rows(&means, known_starts);
    refuse_empty(&rows, "mean", &report)?;
    let places = places(&means);
    if has("actual") {
        let actuals = values.remove(&options.columns[1].series).unwrap_or_default();
        fill(&places, &actuals, |row, value| rows[row].actual = value);
    }
    let (mut kept, mut notes) = (Vec::new(), Vec::new());
    for (level, name) in levels {
        let observed = values.remove(&name_of_column(name)?).unwrap_or_default();
        let mut quantiles = vec![f64::NAN; rows.len()];
        fill(&places, &observed, |row, value| quantiles[row] = value);
        let missing = quantiles.iter().filter(|q| q.is_nan()).count();
        if missing > 0 {
            notes.push(format!("the column {name} lacks {missing} of {} values and is left out", rows.len()));
            continue;
        }
        kept.push(level);
        rows.iter_mut().zip(quantiles).for_each(|(row, quantile)| row.quantiles.push(quantile));
    }
    Ok(FileForecasts { forecasts: vec![Forecasts { levels: kept, rows }], report, notes })
}

/// Reads a third party's file, one forecast a column; every valid time has one value. `options.columns` and
/// `options.available` are set here; everything else is the caller's.
///
/// # Errors
/// As [`read_backtest`].
pub fn read_columns(
    source: &dyn Source,
    columns: &Columns,
    mut options: ImportOptions,
) -> Result<FileForecasts> {
    let all = columns.values.iter().chain(&columns.actual);
    options.columns = all.map(|name| column(name)).collect::<Result<_>>()?;
    options.available = Availability::AtPeriodEnd;
    let (mut values, report) = read(source, &options)?;
    let actuals = match &columns.actual {
        Some(name) => values.remove(&name_of_column(name)?).unwrap_or_default(),
        None => Vec::new(),
    };
    let mut forecasts = Vec::with_capacity(columns.values.len());
    for name in &columns.values {
        let means = values.remove(&name_of_column(name)?).unwrap_or_default();
        let mut rows = rows(&means, false);
        refuse_empty(&rows, name, &report)?;
        fill(&places(&means), &actuals, |row, value| rows[row].actual = value);
        forecasts.push(Forecasts { levels: Vec::new(), rows });
    }
    Ok(FileForecasts { forecasts, report, notes: Vec::new() })
}

/// The level of a quantile's column, `q0.1`.
fn level(column: &str) -> Option<f64> {
    let level: f64 = column.strip_prefix('q')?.parse().ok()?;
    (level > 0.0 && level < 1.0).then_some(level)
}

fn column(name: &str) -> Result<ColumnMap> {
    Ok(ColumnMap { column: name.to_owned(), series: name_of_column(name)? })
}

/// All values of the options' columns, by the series that stands for the column.
fn read(
    source: &dyn Source,
    options: &ImportOptions,
) -> Result<(BTreeMap<SeriesName, Vec<Observation>>, Report)> {
    let inspection = ingest::inspect(source, options)?;
    let mut values: BTreeMap<SeriesName, Vec<Observation>> = BTreeMap::new();
    let report = ingest::parse(source, options, &inspection, &mut |batches| {
        for batch in batches {
            let known = values.entry(batch.series).or_default();
            known.extend(batch.observations);
            if known.len() > VALUES_MAX {
                return Err(ImportError::TooMuch {
                    what: "the forecast values of this file",
                    limit: VALUES_MAX.to_string(),
                    mend: "compare a shorter stretch",
                });
            }
        }
        Ok(())
    })?;
    Ok((values, report))
}

fn rows(means: &[Observation], known_starts: bool) -> Vec<ForecastRow> {
    let row = |o: &Observation| ForecastRow {
        forecast_start: known_starts.then_some(o.available_at),
        valid_time: o.valid_time,
        actual: f64::NAN,
        mean: o.value,
        quantiles: Vec::new(),
    };
    means.iter().map(row).collect()
}

/// Where the row of a valid time and availability stands.
type Places = HashMap<(Time, Time), usize>;

fn places(means: &[Observation]) -> Places {
    means.iter().enumerate().map(|(i, o)| ((o.valid_time, o.available_at), i)).collect()
}

/// Hands each value over with the place of its row.
fn fill(places: &Places, values: &[Observation], mut take: impl FnMut(usize, f64)) {
    for value in values {
        if let Some(&row) = places.get(&(value.valid_time, value.available_at)) {
            take(row, value.value);
        }
    }
}

fn refuse_empty(rows: &[ForecastRow], column: &str, report: &Report) -> Result<()> {
    if rows.is_empty() {
        let message = format!("the column `{column}` holds no usable value: {}", report.lines().join("; "));
        return Err(Error::new(ErrorKind::InsufficientData, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::BytesSource;

    fn source(text: &str) -> BytesSource {
        BytesSource(text.as_bytes().to_vec().into())
    }

    #[test]
    fn a_backtest_with_several_starts_a_time() {
        let text = "forecast_start,valid_time,actual,mean,q0.9,q0.1,q0.5\n\
                    2024-01-01T00:00:00Z,2024-01-02T00:00:00Z,5,4,6,2,4\n\
                    2024-01-01T00:00:00Z,2024-01-02T01:00:00Z,,4.5,6.5,2.5,\n\
                    2024-01-02T00:00:00Z,2024-01-02T00:00:00Z,5,4.75,5.5,4,4.7\n";
        let read = read_backtest(&source(text)).unwrap();
        let found = &read.forecasts[0];
        assert_eq!(found.levels, [0.1, 0.9]);
        assert!(read.notes[0].contains("q0.5 lacks 1 of 3"), "{:?}", read.notes);
        let time = |text: &str| text.parse::<Time>().unwrap();
        assert_eq!(found.rows.len(), 3);
        let newest =
            found.rows.iter().find(|r| r.forecast_start == Some(time("2024-01-02T00:00:00Z"))).unwrap();
        assert_eq!((newest.mean, newest.actual, newest.quantiles.as_slice()), (4.75, 5.0, &[4.0, 5.5][..]));
        assert!(found.rows.iter().any(|r| r.actual.is_nan() && r.mean == 4.5));
    }

    #[test]
    fn a_bare_forecast_has_neither_starts_nor_actuals() {
        let text = "valid_time,mean\n2024-01-02T00:00:00Z,4\n2024-01-02T01:00:00Z,5\n";
        let found = read_backtest(&source(text)).unwrap().forecasts.remove(0);
        assert!(found.levels.is_empty() && found.rows.iter().all(|r| r.forecast_start.is_none()));
        let none = "valid_time,value\n2024-01-02T00:00:00Z,4\n";
        assert!(read_backtest(&source(none)).unwrap_err().message.contains("no column `mean`"));
    }

    #[test]
    fn a_wide_file_of_a_third_party() {
        let text = "local,Real price,DNN Ensemble,LEAR\n2024-01-01 00:00,5,4,3\n2024-01-01 01:00,6,,3\n\
                    2024-01-01 02:00,,7,3\n";
        let columns = Columns {
            values: vec!["DNN Ensemble".to_owned(), "LEAR".to_owned()],
            actual: Some("Real price".to_owned()),
        };
        let options = ImportOptions {
            time_zone: Some("Europe/Oslo".parse().unwrap()),
            ..ImportOptions::new("local", vec![])
        };
        let read = read_columns(&source(text), &columns, options).unwrap();
        let [dnn, lear] = &read.forecasts[..] else { panic!("two columns, two forecasts") };
        assert_eq!((dnn.rows.len(), lear.rows.len()), (2, 3));
        assert_eq!((dnn.rows[0].mean, dnn.rows[0].actual), (4.0, 5.0));
        assert_eq!(dnn.rows[0].valid_time.to_string(), "2023-12-31T23:00:00Z");
        assert!(dnn.rows[1].actual.is_nan() && dnn.rows[1].mean == 7.0);
        let unknown = Columns { values: vec!["DNN".to_owned()], actual: None };
        let options =
            ImportOptions { time_zone: Some("UTC".parse().unwrap()), ..ImportOptions::new("local", vec![]) };
        assert!(
            read_columns(&source(text), &unknown, options).unwrap_err().message.contains("no column `DNN`")
        );
    }
}
