//! Foreign models as a member of the family: their features found by name, their files kept as they were.

use std::collections::HashMap;

use forewatt_domain::QuantileLevels;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{ForeignError, ForeignModel};
use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict, Predictions};
use crate::quantile;

/// Rows that go through the trees together: enough to keep a tree in the nearest cache, few enough for their features.
const BLOCK_ROWS: usize = 64;

/// Levels that differ less are the same.
const LEVEL_ERROR: f64 = 1e-6;

/// A file and what it is to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    model: ForeignModel,
    stored: Stored,
}

/// What is kept of a part: everything else is read from the file again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    /// The level it answers; `None` for the centre, or the levels that the file tells.
    level: Option<f64>,
    /// For every feature of the file, the name of the column it is; empty for one that no answer depends on.
    columns: Vec<String>,
    /// The file.
    bytes: Vec<u8>,
}

impl Part {
    /// A file with its meaning; `columns` has one name for every feature, which may be empty where the feature is not
    /// [`ForeignModel::used`].
    ///
    /// # Errors
    /// As [`ForeignModel::read`]; when names and features do not agree in number.
    pub fn new(level: Option<f64>, columns: Vec<String>, bytes: Vec<u8>) -> Result<Self, ForeignError> {
        Self::restore(Stored { level, columns, bytes })
    }

    fn restore(stored: Stored) -> Result<Self, ForeignError> {
        let model = ForeignModel::read(&stored.bytes)?;
        if stored.columns.len() != model.used().len() {
            let what = format!("{} names for {} features", stored.columns.len(), model.used().len());
            return Err(ForeignError::new("names of the features", what));
        }
        let wrong = |what: String| ForeignError::new("whole file", what);
        match (stored.level, model.levels()) {
            (Some(_), [_, _, ..]) => {
                return Err(wrong(format!("it answers {} levels by itself: give it none", model.outputs())));
            }
            (Some(level), [own]) if (level - own).abs() > LEVEL_ERROR => {
                return Err(wrong(format!("it was trained for the level {own}, not for {level}")));
            }
            _ => {}
        }
        Ok(Self { model, stored })
    }

    /// The levels it answers; empty for the centre.
    fn levels(&self) -> Vec<f64> {
        self.stored.level.map_or_else(|| self.model.levels().to_vec(), |level| vec![level])
    }

    /// Where in a matrix its features are; `None` for those that no answer depends on.
    fn places(&self, positions: &HashMap<&str, usize>) -> Result<Vec<Option<usize>>, ModelError> {
        let place = |(name, used): (&String, &bool)| match positions.get(name.as_str()) {
            Some(&position) if *used => Ok(Some(position)),
            None if *used => Err(ModelError::MissingFeature { name: name.clone() }),
            _ => Ok(None),
        };
        self.stored.columns.iter().zip(self.model.used()).map(place).collect()
    }

    /// Answers rows of a matrix, [`ForeignModel::outputs`] values a row.
    fn answer(
        &self,
        features: &FeatureMatrix,
        positions: &HashMap<&str, usize>,
    ) -> Result<Vec<f64>, ModelError> {
        let places = self.places(positions)?;
        let outputs = self.model.outputs();
        let mut answers = vec![0.0; features.rows() * outputs];
        let block = |(number, answers): (usize, &mut [f64])| {
            let first = number * BLOCK_ROWS;
            let rows = first..first + answers.len() / outputs;
            let mut gathered = Vec::with_capacity(rows.len() * places.len());
            for row in rows.map(|i| features.row(i)) {
                gathered
                    .extend(places.iter().map(|place| place.map_or(f64::NAN, |place| f64::from(row[place]))));
            }
            self.model.answer(&gathered, answers);
        };
        let size = BLOCK_ROWS * outputs;
        if features.rows() > BLOCK_ROWS {
            answers.par_chunks_mut(size).enumerate().for_each(block);
        } else {
            answers.chunks_mut(size).enumerate().for_each(block);
        }
        Ok(answers)
    }
}

/// One or several foreign models that together forecast a series.
///
/// A model of the centre gives the expected value. Models of quantile levels give the quantiles; without one of the
/// centre the expected value is the mean of the quantile function between the outer levels, and without any levels
/// every quantile is the centre, for the calibration to spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct ImportedModel {
    parts: Vec<Part>,
    /// Levels the parts answer, rising.
    known: Option<QuantileLevels>,
    /// Levels it answers.
    levels: QuantileLevels,
}

/// What is stored of an imported model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    levels: QuantileLevels,
    parts: Vec<Stored>,
}

impl TryFrom<Kept> for ImportedModel {
    type Error = ForeignError;
    fn try_from(kept: Kept) -> Result<Self, ForeignError> {
        let parts = kept.parts.into_iter().map(Part::restore).collect::<Result<_, _>>()?;
        Self::new(parts, kept.levels)
    }
}

impl From<ImportedModel> for Kept {
    fn from(model: ImportedModel) -> Self {
        Self { levels: model.levels, parts: model.parts.into_iter().map(|part| part.stored).collect() }
    }
}

impl ImportedModel {
    /// A forecaster from its parts: at most one of the centre, and every level once.
    ///
    /// # Errors
    /// [`ForeignError`] for no parts, two centres, a level twice, or levels on one side of 0.5 and no centre.
    pub fn new(parts: Vec<Part>, levels: QuantileLevels) -> Result<Self, ForeignError> {
        let wrong = |what: String| ForeignError::new("all files together", what);
        let centres = parts.iter().filter(|part| part.levels().is_empty()).count();
        if centres > 1 || parts.is_empty() {
            return Err(wrong(format!("{centres} files of {} forecast the centre; one may", parts.len())));
        }
        let mut all: Vec<f64> = parts.iter().flat_map(Part::levels).collect();
        all.sort_unstable_by(f64::total_cmp);
        let known = (!all.is_empty()).then(|| QuantileLevels::new(all)).transpose();
        let known = known.map_err(|error| wrong(error.to_string()))?;
        let one_sided = known.as_ref().filter(|known| {
            let known = known.as_slice();
            centres == 0 && (known[0] > 0.5 || known[known.len() - 1] < 0.5)
        });
        if let Some(known) = one_sided {
            let what = format!(
                "the levels {:?} lie on one side of 0.5: add a file of another level, or one of the centre",
                known.as_slice()
            );
            return Err(wrong(what));
        }
        Ok(Self { parts, known, levels })
    }

    /// The same model that answers other levels: by [`quantile::at_levels`] where they are not its own.
    #[must_use]
    pub fn with_levels(self, levels: QuantileLevels) -> Self {
        Self { levels, ..self }
    }

    /// The files as they were given, the centre's or the first level's first.
    pub fn files(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|part| part.stored.bytes.as_slice())
    }

    /// The levels its files answer; `None` when they answer only the centre.
    #[must_use]
    pub fn known_levels(&self) -> Option<&QuantileLevels> {
        self.known.as_ref()
    }

    /// What it is made of, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let told = |part: &Part| {
            let model = &part.model;
            let size =
                if model.trees() == 0 { "linear".to_owned() } else { format!("{} trees", model.trees()) };
            let levels = part.levels().iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
            let what = if levels.is_empty() { "centre".to_owned() } else { format!("levels {levels}") };
            format!("{what}: {} {} of {size}", model.library(), model.objective())
        };
        format!("imported: {}", self.parts.iter().map(told).collect::<Vec<_>>().join("; "))
    }

    /// Whether it answers these levels; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: &QuantileLevels) -> bool {
        self.levels == *levels
    }
}

impl Predict for ImportedModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let positions: HashMap<&str, usize> =
            features.names.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let rows = features.rows();
        let mut mean = None;
        let width = self.known.as_ref().map_or(0, QuantileLevels::len);
        let mut quantiles = vec![0.0_f32; rows * width];
        for part in &self.parts {
            let answers = part.answer(features, &positions)?;
            if let Some(i) = answers.iter().position(|answer| !(*answer as f32).is_finite()) {
                let key = &features.keys[i / part.model.outputs()];
                let what = format!(
                    "the imported model's answer for {} from {} is {}, which is no number to forecast; train it anew",
                    key.valid_time, key.origin, answers[i]
                );
                return Err(ModelError::Numeric { what });
            }
            let known = self.known.as_ref().map_or(&[][..], QuantileLevels::as_slice);
            for (output, level) in part.levels().iter().enumerate() {
                let place = known.partition_point(|other| other < level);
                let column = quantiles.iter_mut().skip(place).step_by(width);
                let found = answers.iter().skip(output).step_by(part.model.outputs());
                column.zip(found).for_each(|(to, from)| *to = *from as f32);
            }
            if part.levels().is_empty() {
                mean = Some(answers.iter().map(|answer| *answer as f32).collect::<Vec<f32>>());
            }
        }
        Ok(self.assemble(mean, quantiles, rows))
    }
}

impl ImportedModel {
    fn assemble(&self, mean: Option<Vec<f32>>, quantiles: Vec<f32>, rows: usize) -> Predictions {
        let Some(known) = &self.known else {
            let mean = mean.unwrap_or_else(|| vec![0.0; rows]); // one part is of the centre when none is of a level
            let quantiles =
                mean.iter().flat_map(|&value| std::iter::repeat_n(value, self.levels.len())).collect();
            return Predictions { mean, quantiles, levels: self.levels.len() };
        };
        let mut predictions = Predictions { mean: vec![0.0; rows], quantiles, levels: known.len() };
        predictions.rearrange();
        predictions.mean = mean.unwrap_or_else(|| {
            (0..rows).map(|i| quantile_mean(predictions.row(i), known.as_slice())).collect()
        });
        quantile::at_levels(predictions, known, &self.levels)
    }
}

/// The mean of a quantile function that is linear between the levels and flat beyond the outer ones.
fn quantile_mean(row: &[f32], levels: &[f64]) -> f32 {
    let (last, mut sum) = (row.len() - 1, 0.0); // levels are never empty
    for i in 0..last {
        sum += (levels[i + 1] - levels[i]) * (f64::from(row[i]) + f64::from(row[i + 1])) / 2.0;
    }
    (sum + levels[0] * f64::from(row[0]) + (1.0 - levels[last]) * f64::from(row[last])) as f32
}
