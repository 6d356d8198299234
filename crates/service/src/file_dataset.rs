//! A dataset straight from a file, for backtests without a store.

use std::collections::BTreeMap;

use forewatt_domain::{Covariate, Observation, Series, SeriesKind, SeriesName, Time, TimeGrid};
use forewatt_model::dataset::{Column, CovariateColumn, Dataset};

use crate::dataset::check_covariates;
use crate::dataset::temperature_grid;
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::{self, ColumnMap, ImportOptions, Report, Source};

/// A column beside the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCovariate {
    /// Its name in the header.
    pub column: String,
    /// What it measures.
    pub kind: SeriesKind,
    /// The unit it is in; a temperature's is guessed from its values where nothing is said.
    pub unit: Option<String>,
    /// Known for the whole horizon at the forecast start, or only once its period has ended.
    pub known_ahead: bool,
}

/// Which columns of a file make a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct FileColumns {
    /// How the target is to be described; its name and resolution are taken from the file.
    pub target: Series,
    /// The target's column.
    pub target_column: String,
    /// What else may be read.
    pub covariates: Vec<FileCovariate>,
}

/// A dataset read from a file, and what the reader saw.
#[derive(Debug)]
pub struct FileDataset {
    /// The aligned columns.
    pub dataset: Dataset,
    /// The covariates as a recipe names them.
    pub covariates: Vec<Covariate>,
    /// What was read, rejected and missing.
    pub report: Report,
}

/// Reads the columns of a file. `options.columns` is set here; everything else is the caller's.
///
/// # Errors
/// What the importer refuses; `InvalidInput` for a column named twice; `InsufficientData` for an empty target.
pub fn read(source: &dyn Source, columns: &FileColumns, mut options: ImportOptions) -> Result<FileDataset> {
    let names: Vec<&String> =
        std::iter::once(&columns.target_column).chain(columns.covariates.iter().map(|c| &c.column)).collect();
    let map = |column: &&String| Ok(ColumnMap { column: (*column).clone(), series: name_of_column(column)? });
    options.columns = names.iter().map(map).collect::<Result<_>>()?;
    let target_name = options.columns[0].series.clone();
    let covariates: Vec<Covariate> = columns
        .covariates
        .iter()
        .zip(&options.columns[1..])
        .map(|(c, map)| Covariate { series: map.series.clone(), known_ahead: c.known_ahead })
        .collect();
    check_covariates(&target_name, &covariates)?;
    let inspection = ingest::inspect(source, &options)?;
    let step = inspection.detected.resolution;
    let mut values: BTreeMap<SeriesName, Vec<Observation>> = BTreeMap::new();
    let mut report = ingest::parse(source, &options, &inspection, &mut |batches| {
        for batch in batches {
            values.entry(batch.series).or_default().extend(batch.observations);
        }
        Ok(())
    })?;
    let target = Series { name: target_name, resolution: step, ..columns.target.clone() };
    let observed = values.remove(&target.name).unwrap_or_default();
    let range = observed.iter().map(|o| o.valid_time).min().zip(observed.iter().map(|o| o.valid_time).max());
    let Some((first, last)) = range else {
        let message = format!(
            "the column `{}` holds no usable value: {}",
            columns.target_column,
            report.lines().join("; ")
        );
        return Err(Error::new(ErrorKind::InsufficientData, message));
    };
    let end = values.values().flatten().map(|o| o.valid_time).max().map_or(last, |end| end.max(last));
    let grid = TimeGrid::covering(first, end.plus_micros(step.micros()), step);
    let covariate_columns = columns.covariates.iter().zip(&covariates).map(|(column, covariate)| {
        let mut observations = values.remove(&covariate.series).unwrap_or_default();
        if covariate.known_ahead {
            observations.iter_mut().for_each(|o| o.available_at = Time::MIN);
        }
        let unit = column.unit.clone().unwrap_or_else(|| guessed_unit(column, &observations, &mut report));
        let series = Series { name: covariate.series.clone(), kind: column.kind, unit, ..target.clone() };
        let begin = observations.iter().map(|o| o.valid_time).min();
        let grid = begin.map_or(grid, |begin| temperature_grid(grid, column.kind, begin));
        CovariateColumn {
            series,
            known_ahead: covariate.known_ahead,
            column: Column::new(grid, &observations).0,
        }
    });
    let covariate_columns = covariate_columns.collect();
    let dataset =
        Dataset { target: Column::new(grid, &observed).0, covariates: covariate_columns, series: target };
    Ok(FileDataset { dataset, covariates, report })
}

/// The unit of a temperature by its highest values, told in the report where it is not degC; empty for other kinds.
fn guessed_unit(column: &FileCovariate, observations: &[Observation], report: &mut Report) -> String {
    if column.kind != SeriesKind::Temperature {
        return String::new();
    }
    let mut values: Vec<f64> = observations.iter().map(|o| o.value).filter(|v| v.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    // Not the very highest: one broken reading shall not decide.
    let high = values.get(values.len() * 99 / 100).copied().unwrap_or(f64::NAN);
    // No air on Earth is hotter than 60 degC, nor than 150 F.
    let unit = match high {
        high if high > 150.0 => "K",
        high if high > 60.0 => "degF",
        _ => return "degC".to_owned(),
    };
    report.warnings.push(format!(
        "`{}` is read as {unit}: its values reach {high:.1}; if that is wrong, say {}:temperature:degC",
        column.column, column.column
    ));
    unit.to_owned()
}

/// A column's name as a series name: other characters become `_`.
///
/// # Errors
/// `InvalidInput` for a name without a letter or digit to start with, or too long.
pub fn name_of_column(column: &str) -> Result<SeriesName> {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let name: String = column.trim().chars().map(safe).collect();
    Ok(name.trim_start_matches(['.', '_', '-']).parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_temperatures(values: [f64; 3], unit: Option<&str>) -> (String, Vec<String>) {
        let rows: String =
            (0..3).map(|hour| format!("2024-01-01T0{hour}:00:00Z,1,{}\n", values[hour])).collect();
        let columns = FileColumns {
            target: Series {
                name: "target".parse().unwrap(),
                kind: SeriesKind::Load,
                unit: "MW".to_owned(),
                resolution: forewatt_domain::Resolution::HOUR,
                time_zone: "UTC".parse().unwrap(),
                location: None,
                holiday_region: None,
                parent: None,
            },
            target_column: "mw".to_owned(),
            covariates: vec![FileCovariate {
                column: "t".to_owned(),
                kind: SeriesKind::Temperature,
                unit: unit.map(str::to_owned),
                known_ahead: true,
            }],
        };
        let source = ingest::BytesSource(format!("time,mw,t\n{rows}").into_bytes().into());
        let file = read(&source, &columns, ImportOptions::new("time", Vec::new())).unwrap();
        (file.dataset.covariates[0].series.unit.clone(), file.report.warnings)
    }

    #[test]
    fn the_unit_of_temperatures_is_seen_from_their_height() {
        assert_eq!(read_temperatures([-3.0, 4.0, 41.0], None).0, "degC");
        assert_eq!(read_temperatures([31.0, 40.0, 95.0], None).0, "degF");
        let (unit, notes) = read_temperatures([270.0, 281.5, 300.0], None);
        assert_eq!(unit, "K");
        assert!(notes.iter().any(|note| note.contains("read as K")), "{notes:?}");
    }

    #[test]
    fn a_unit_that_is_told_is_believed() {
        assert_eq!(read_temperatures([31.0, 40.0, 95.0], Some("degC")).0, "degC");
    }

    #[test]
    fn columns_become_series_names() {
        assert_eq!(name_of_column(" Load (MW)").unwrap().as_str(), "Load__MW_");
        assert_eq!(name_of_column("_x").unwrap().as_str(), "x");
        assert!(name_of_column("...").is_err());
    }
}
