//! Asking a version with features of one's own: what it takes, and what it says to them.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{QuantileLevels, Time, VersionId};
use forewatt_model::artifact::Artifact;
use forewatt_model::features;
use forewatt_model::matrix::{FeatureMatrix, RowKey};
use forewatt_model::predict::Predict as _;

use crate::Service;
use crate::error::{Error, ErrorKind, Result};

/// Valid times of one request span at most so many years: calendars are built for every day between.
const SPAN_YEARS_MAX: i64 = 30;

/// What a version takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// The features of a row, in order.
    pub features: Vec<String>,
    /// The levels of the quantiles it gives.
    pub levels: QuantileLevels,
    /// Whether rows must say which time they are about; where not, rows that do are calibrated.
    pub needs_times: bool,
    /// Why it takes no rows; `None` when it does.
    pub refuses: Option<String>,
}

/// Rows of features.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Row-major, `features` values a row; NaN where a value is not known.
    pub values: Vec<f32>,
    /// For each row its forecast start and the start of the period it is about; absent when not told.
    pub times: Option<Vec<(Time, Time)>>,
}

impl Rows {
    /// The first and the last valid time, where rows have times.
    pub(crate) fn span(&self) -> Option<(Time, Time)> {
        self.times.as_deref().and_then(span_of)
    }
}

/// What the version says.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    /// One expected value a row.
    pub mean: Vec<f32>,
    /// Row-major, a value a level; they do not fall within a row.
    pub quantiles: Vec<f32>,
    /// The levels.
    pub levels: QuantileLevels,
    /// Whether the quantiles are those of a forecast; without times a calibration cannot be applied.
    pub calibrated: bool,
}

impl Service {
    /// What a version takes and gives.
    ///
    /// # Errors
    /// `NotFound`, `Corrupt`.
    pub async fn signature(&self, id: &VersionId) -> Result<Signature> {
        Ok(signature(&self.load_model(id).await?.artifact, id))
    }

    /// Answers rows of features. Rows as `features::build` makes them, with their times, get the numbers of a forecast.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a version that answers whole days, values that make no whole rows, rows without
    /// times where they are needed and times that cannot be; `TooLarge` for more rows than `limits.write_points_max`.
    pub async fn infer(&self, id: &VersionId, rows: Rows) -> Result<Inferred> {
        let model = self.load_model(id).await?;
        let signature = signature(&model.artifact, id);
        let count = check(&signature, &rows, self.config.limits.write_points_max)?;
        if self.batcher.takes(count) {
            return self.infer_together(model, signature, rows, count).await;
        }
        self.compute.run(move || call(&model.artifact, signature, rows, count)).await?
    }

    /// Reads a version into memory, so that its first question is as quick as the next.
    ///
    /// # Errors
    /// `NotFound`, `Corrupt`.
    pub async fn warm(&self, id: &VersionId) -> Result<()> {
        self.load_model(id).await.map(drop)
    }

    /// Drops a version from memory. Whoever asks it next reads it again.
    pub async fn drop_from_memory(&self, id: &VersionId) {
        self.loaded_models.forget(id).await;
        self.answering.invalidate_all();
    }
}

fn signature(artifact: &Artifact, id: &VersionId) -> Signature {
    let model = &artifact.model;
    let refuses = model.answers_whole_days().then(|| {
        format!(
            "`{id}` answers whole days at once and takes no single rows: ask `{}` by name",
            artifact.recipe.target
        )
    });
    Signature {
        features: model.feature_names().to_vec(),
        levels: model.levels().clone(),
        needs_times: model.needs_times(),
        refuses,
    }
}

/// How many rows there are.
fn check(signature: &Signature, rows: &Rows, rows_max: usize) -> Result<usize> {
    if let Some(why) = &signature.refuses {
        return Err(Error::invalid(why.clone()));
    }
    let columns = signature.features.len();
    let count = rows.values.len() / columns.max(1);
    if count == 0 || count * columns != rows.values.len() {
        let message = format!("{} values make no whole rows of {columns} features", rows.values.len());
        return Err(Error::invalid(message));
    }
    if count > rows_max {
        let message = format!("{count} rows in one request, the limit is {rows_max}: split them");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    match &rows.times {
        None if signature.needs_times => Err(Error::invalid(
            "this family answers by time of day and lead: send `forecast_start` and `valid_time` (INT64, Unix seconds) with \
             every row",
        )),
        None => Ok(count),
        Some(times) => check_times(times, count).map(|()| count),
    }
}

/// The first and the last valid time.
fn span_of(times: &[(Time, Time)]) -> Option<(Time, Time)> {
    let valid = || times.iter().map(|&(_, valid)| valid);
    valid().min().zip(valid().max())
}

/// Whether so many days lie between that their calendars are too much for one call.
pub(crate) fn spans_too_much((first, last): (Time, Time)) -> bool {
    last.micros_since(first) > SPAN_YEARS_MAX * 366 * MICROS_PER_DAY
}

fn check_times(times: &[(Time, Time)], count: usize) -> Result<()> {
    if times.len() != count {
        let message = format!("{count} rows, but {} times: send one for every row", times.len());
        return Err(Error::invalid(message));
    }
    if let Some((start, valid)) = times.iter().find(|(start, valid)| valid < start) {
        return Err(Error::invalid(format!("valid_time {valid} lies before its forecast_start {start}")));
    }
    if span_of(times).is_some_and(spans_too_much) {
        let message = format!("the valid times span more than {SPAN_YEARS_MAX} years: split the rows");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Asks the model.
pub(crate) fn call(artifact: &Artifact, signature: Signature, rows: Rows, count: usize) -> Result<Inferred> {
    let resolution = artifact.recipe.resolution;
    let keys: Vec<RowKey> = match &rows.times {
        Some(times) => features::keys(&artifact.spec, resolution, times),
        // Nothing that reads a row without times looks at its key.
        None => features::keys(
            &artifact.spec,
            resolution,
            &vec![(Time::from_seconds(0), Time::from_seconds(0)); count],
        ),
    };
    let calibrated = rows.times.is_some();
    let matrix = FeatureMatrix { names: signature.features, keys, values: rows.values, windows: None };
    let model = &artifact.model;
    let said = if calibrated { model.predict(&matrix)? } else { model.predict_without_times(&matrix)? };
    Ok(Inferred { mean: said.mean, quantiles: said.quantiles, levels: signature.levels, calibrated })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(needs_times: bool) -> Signature {
        let features = vec!["a".to_owned(), "b".to_owned()];
        Signature { features, levels: QuantileLevels::deciles(), needs_times, refuses: None }
    }

    #[test]
    fn rows_that_cannot_be_are_told() {
        let told = |values: usize, times: Option<Vec<(Time, Time)>>, needs_times: bool| {
            check(&signature(needs_times), &Rows { values: vec![0.0; values], times }, 3)
                .map_err(|e| e.message)
        };
        assert_eq!(told(4, None, false), Ok(2));
        assert!(told(3, None, false).unwrap_err().contains("whole rows"));
        assert!(told(0, None, false).is_err());
        assert!(told(8, None, false).unwrap_err().contains("the limit is 3"));
        assert!(told(4, None, true).unwrap_err().contains("valid_time"));
        let at = Time::from_seconds;
        assert_eq!(told(4, Some(vec![(at(0), at(0)), (at(0), at(3_600))]), true), Ok(2));
        assert!(told(4, Some(vec![(at(0), at(0))]), true).unwrap_err().contains("one for every row"));
        assert!(told(2, Some(vec![(at(1), at(0))]), true).unwrap_err().contains("before"));
        let far = vec![(at(0), at(0)), (at(0), at(40 * 366 * 86_400))];
        assert!(told(4, Some(far), true).unwrap_err().contains("30 years"));
    }
}
