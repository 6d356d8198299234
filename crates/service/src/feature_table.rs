//! The features of a series as a table with its target, for models that are made elsewhere.

use std::io::{self, Write};

use forewatt_domain::{Covariate, Family, Recipe, SeriesName};
use forewatt_model::features::{self, FeatureSpec};
use forewatt_model::matrix::TrainingSet;
use serde::{Deserialize, Serialize};

use crate::backtest::known_values;
use crate::error::{Error, ErrorKind, Result};
use crate::train::{TrainRequest, training_rows};
use crate::{Service, blocking, quality};

/// How the features of a series are made: written beside a table of them, so that a model that was trained on the
/// table is asked with the same ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// The series.
    pub series: SeriesName,
    /// What is read beside its own past.
    pub covariates: Vec<Covariate>,
    /// How far ahead its rows go: `PT48H`.
    pub horizon: String,
    /// What the feature builder is told.
    pub spec: FeatureSpec,
}

/// Which features to make.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureRequest {
    /// The series to forecast.
    pub series: SeriesName,
    /// What may be read beside its past; the weather at the same place when absent.
    pub covariates: Option<Vec<Covariate>>,
    /// How far ahead (`PT48H`); the configured horizon when absent.
    pub horizon: Option<String>,
    /// Only forecast starts of the last so many days.
    pub training_days: Option<u32>,
}

/// Rows of features and the values they should have foreseen.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureTable {
    /// How they were made.
    pub layout: Layout,
    rows: TrainingSet,
}

/// A feature's name as other libraries take it: LightGBM allows no colon.
#[must_use]
pub fn plain_name(name: &str) -> String {
    name.replace(':', "__")
}

impl Layout {
    pub(crate) fn new(recipe: &Recipe, spec: FeatureSpec) -> Self {
        let steps = i32::try_from(recipe.horizon.steps()).unwrap_or(i32::MAX);
        Self {
            series: recipe.target.clone(),
            covariates: recipe.covariates.clone(),
            horizon: (recipe.resolution.duration() * steps).to_string(),
            spec,
        }
    }

    /// The names of the features, in the order of their columns.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        features::names(&self.spec)
    }
}

impl FeatureTable {
    /// How many rows there are.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.target.len()
    }

    /// Writes CSV: `forecast_start,valid_time,lead,target` and the features by their [`plain_name`], one row per
    /// forecast start and lead time, nothing where a value was not known. Numbers have the digits that a 32-bit float
    /// needs: read them as such.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "forecast_start,valid_time,lead,target")?;
        for name in &self.rows.features.names {
            write!(out, ",{}", plain_name(name))?;
        }
        writeln!(out)?;
        for (i, (key, target)) in self.rows.features.keys.iter().zip(&self.rows.target).enumerate() {
            write!(out, "{},{},{},{target}", key.origin, key.valid_time, key.lead)?;
            for value in self.rows.features.row(i) {
                if value.is_nan() {
                    write!(out, ",")?;
                } else {
                    write!(out, ",{value}")?;
                }
            }
            writeln!(out)?;
        }
        out.flush()
    }
}

impl Service {
    /// How the features of a series are made now, without making them.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput`, `InsufficientData` for a series without observations.
    pub async fn feature_layout(&self, request: &FeatureRequest) -> Result<Layout> {
        let (recipe, dataset) = self.feature_data(request).await?;
        Ok(Layout::new(&recipe, FeatureSpec::for_dataset(&dataset, recipe.reach())))
    }

    /// The rows that a training of single steps would learn from: as many forecast starts, each with what was known
    /// at it, and the values that came true as they are known now. Stretches of bad data are left out.
    ///
    /// # Errors
    /// As [`Service::feature_layout`]; `TooLarge` for more values than one training may read.
    pub async fn feature_table(&self, request: &FeatureRequest) -> Result<FeatureTable> {
        let (recipe, dataset) = self.feature_data(request).await?;
        let now = self.now();
        blocking(move || {
            let known = known_values(&dataset, now);
            let Some(last) = known.last() else {
                let message = format!("nothing was known of `{}` at {now}", recipe.target);
                return Err(Error::new(ErrorKind::InsufficientData, message));
            };
            let end = last.valid_time.plus_micros(recipe.resolution.micros());
            let masked = quality::check(&dataset.series, &known, now).masked;
            let spec = FeatureSpec::for_dataset(&dataset, recipe.reach());
            let rows = training_rows(&dataset, &recipe, &spec, end, &masked)?;
            Ok(FeatureTable { layout: Layout::new(&recipe, spec), rows })
        })
        .await?
    }

    async fn feature_data(
        &self,
        request: &FeatureRequest,
    ) -> Result<(Recipe, forewatt_model::dataset::Dataset)> {
        let info = self.series(&request.series).await?;
        let recipe = self.recipe(&request.training(), &info).await?;
        let dataset = self.load_history(&request.series, &recipe.covariates).await?;
        Ok((recipe, dataset))
    }
}

impl FeatureRequest {
    /// The training that would read these features: of any family that learns single steps.
    pub(crate) fn training(&self) -> TrainRequest {
        TrainRequest {
            model: Some(Family::Linear),
            covariates: self.covariates.clone(),
            horizon: self.horizon.clone(),
            training_days: self.training_days,
            ..TrainRequest::new(self.series.clone())
        }
    }
}
