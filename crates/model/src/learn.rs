//! Learning by recipe: fit, calibrate on held-out later forecasts, fit again on everything.

mod night;

use forewatt_domain::{Family, QuantileLevels, Recipe};
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, Coverage, Held};
use crate::ensemble::{self, Ensemble, EnsembleModel, Weights};
use crate::groups::split_late;
use crate::matrix::{FeatureMatrix, TrainingSet};
use crate::member::{Member, Purpose};
use crate::predict::{ModelError, Predict, Predictions};
use crate::quantile;
use night::Night;

/// With so great a share of targets at zero and none below, zero is a physical floor, as for solar power.
const ZERO_SHARE: f64 = 0.02;

/// Quantiles that reach this far out on both sides enclose any mean.
const WIDE: f64 = 0.2;

/// A model of any family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Model {
    /// Of one family.
    Single(Member),
    /// A mixture of several.
    Ensemble(EnsembleModel),
}

impl Predict for Model {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        match self {
            Self::Single(member) => member.predict(features),
            Self::Ensemble(mixture) => mixture.predict(features),
        }
    }
}

/// A model as a recipe asked for it, calibrated, with what one should know about its making.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FittedModel {
    family: Family,
    levels: QuantileLevels,
    feature_names: Vec<String>,
    model: Model,
    calibration: Option<Calibration>,
    /// No answer lies below it.
    floor: Option<f32>,
    /// When the answer is zero because the sun is down.
    night: Option<Night>,
    notes: Vec<String>,
}

/// Learns what the recipe says from the rows.
///
/// The last fifth of the origins (at least 7 and at most 90 days) is held out of a first fit and teaches the
/// calibration and, for an ensemble, the weights; then the model is fitted again on everything. With too little
/// history for that the model is not calibrated, which its notes say.
///
/// # Errors
/// [`ModelError::TooFewRows`] when the family cannot learn from so few rows, [`ModelError::Numeric`] when matrix and
/// target do not fit together.
pub fn learn(recipe: &Recipe, data: &TrainingSet) -> Result<FittedModel, ModelError> {
    let mut notes = Vec::new();
    let cleaned = clean(data, &mut notes)?;
    let data = cleaned.as_ref().unwrap_or(data);
    let floor = floor(&data.target, recipe.non_negative);
    let night = floor.and_then(|_| Night::learn(data));
    let days = night.map(|night| data.filter(|i| !night.is_dark(&data.features, i)));
    let data = days.as_ref().unwrap_or(data);
    let split = split_late(
        &data.features.keys,
        ensemble::LATE_SHARE,
        ensemble::LATE_DAYS_MIN,
        ensemble::LATE_DAYS_MAX,
    );
    let trial = split.and_then(|split| {
        let (early, late) = (data.filter_rows(&split.early), data.filter_rows(&split.late));
        // An early part that is too small for the family is no reason to fail: only to stay uncalibrated.
        Trial::new(recipe, &early, late).ok()
    });
    if trial.is_none() {
        notes.push(
            "the history is too short to hold forecasts out: the quantiles are not calibrated".to_owned(),
        );
    }
    let model = fit(recipe, data, trial.as_ref(), &mut notes)?;
    let calibration = trial.map(|trial| trial.calibrate(&model, &recipe.levels)).transpose()?.flatten();
    match &model {
        Model::Single(member) => notes.extend(member.describe()),
        Model::Ensemble(mixture) => notes.extend(mixture.describe()),
    }
    notes.extend(calibration.as_ref().map(describe));
    Ok(FittedModel {
        family: recipe.family,
        levels: recipe.levels.clone(),
        feature_names: data.features.names.clone(),
        model,
        calibration,
        floor,
        night,
        notes,
    })
}

/// Rows with a finite target; `None` when that is all of them.
fn clean(data: &TrainingSet, notes: &mut Vec<String>) -> Result<Option<TrainingSet>, ModelError> {
    let rows = data.features.rows();
    if data.target.len() != rows || data.features.values.len() != rows * data.features.columns() {
        let what = format!(
            "the training matrix has {rows} rows, {} values and {} targets; build all three by the same call",
            data.features.values.len(),
            data.target.len()
        );
        return Err(ModelError::Numeric { what });
    }
    let bad = data.target.iter().filter(|value| !value.is_finite()).count();
    if bad == 0 {
        return Ok(None);
    }
    notes.push(format!("{bad} of {rows} rows were left out: their target is not a number"));
    Ok(Some(data.filter(|i| data.target[i].is_finite())))
}

/// A first fit, without the held-out forecasts, and what it foretold for them.
struct Trial {
    late: TrainingSet,
    predictions: Predictions,
    /// The first members of an ensemble and their weights.
    mixture: Option<(Vec<Member>, Weights)>,
}

impl Trial {
    fn new(recipe: &Recipe, early: &TrainingSet, late: TrainingSet) -> Result<Self, ModelError> {
        let levels = &recipe.levels;
        if recipe.family != Family::Ensemble {
            let member = Member::fit(recipe.family, recipe.seed, early, levels, Purpose::Trial)?;
            let predictions = member.predict(&late.features)?;
            return Ok(Self { late, predictions, mixture: None });
        }
        let members = mixture(recipe).fit_members(early, levels, Purpose::Trial, &mut Vec::new())?;
        // A handful of weights hardly adapts to the rows, so the same rows may calibrate the mixture.
        let (weights, predictions) = ensemble::weigh(&members, &late, levels)?;
        Ok(Self { late, predictions, mixture: Some((members, weights)) })
    }

    /// The calibration the held-out forecasts teach, for the model fitted on everything.
    fn calibrate(&self, model: &Model, levels: &QuantileLevels) -> Result<Option<Calibration>, ModelError> {
        let keys = &self.late.features.keys;
        let held = Held { keys, predictions: &self.predictions, actual: &self.late.target };
        let Some(calibration) = Calibration::learn(held, levels) else {
            return Ok(None);
        };
        let successor = model.predict(&self.late.features)?;
        Ok(Some(calibration.transfer(keys, &self.predictions, &successor)))
    }
}

fn mixture(recipe: &Recipe) -> Ensemble {
    Ensemble { seed: recipe.seed, ..Ensemble::default() }
}

fn fit(
    recipe: &Recipe,
    data: &TrainingSet,
    trial: Option<&Trial>,
    notes: &mut Vec<String>,
) -> Result<Model, ModelError> {
    if recipe.family != Family::Ensemble {
        let member = Member::fit(recipe.family, recipe.seed, data, &recipe.levels, Purpose::Use);
        return member.map(Model::Single);
    }
    let members = mixture(recipe).fit_members(data, &recipe.levels, Purpose::Use, notes)?;
    let weighed = trial.and_then(|trial| trial.mixture.as_ref());
    Ok(Model::Ensemble(match weighed {
        Some((early, weights)) => EnsembleModel::new(members, early, weights),
        None => {
            notes.push("the members of the ensemble weigh alike".to_owned());
            EnsembleModel::alike(members, &data.features.keys)
        }
    }))
}

fn describe(calibration: &Calibration) -> String {
    let coverage = calibration.coverage();
    match (coverage.first(), coverage.last()) {
        (Some(low), Some(high)) if coverage.len() > 1 => format!(
            "calibration of strength {}: the interval from {} to {} held {:.1} % of the held-out values before and {:.1} % after",
            calibration.strength(),
            low.level,
            high.level,
            100.0 * (high.raw - low.raw),
            100.0 * (high.calibrated - low.calibrated),
        ),
        _ => format!("calibration of strength {}", calibration.strength()),
    }
}

/// Zero, where the target is never below it, and by nature cannot be or often is on it.
fn floor(target: &[f32], non_negative: bool) -> Option<f32> {
    let zeros = target.iter().filter(|value| **value == 0.0).count();
    let bound = non_negative || zeros as f64 >= ZERO_SHARE * target.len() as f64;
    let physical = bound && target.iter().all(|value| *value >= 0.0);
    (physical && !target.is_empty()).then_some(0.0)
}

impl FittedModel {
    /// Which family it is.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// The levels it learned: those of [`Predict::predict`].
    #[must_use]
    pub fn levels(&self) -> &QuantileLevels {
        &self.levels
    }

    /// The features it reads, in the order it prefers.
    #[must_use]
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// What one should know about its making: what was left out, chosen, not possible.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Coverage per level on held-out forecasts; empty when it could not be calibrated.
    #[must_use]
    pub fn coverage(&self) -> &[Coverage] {
        self.calibration.as_ref().map_or(&[], Calibration::coverage)
    }

    /// No answer lies below it; `None` where answers may be as low as they like.
    #[must_use]
    pub fn floor(&self) -> Option<f32> {
        self.floor
    }

    /// The fitted model without calibration.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// As [`Predict::predict`] at any levels: by the interpolation of [`quantile`] where they are not the learned ones.
    ///
    /// # Errors
    /// As [`Predict::predict`].
    pub fn predict_levels(
        &self,
        features: &FeatureMatrix,
        wanted: &QuantileLevels,
    ) -> Result<Predictions, ModelError> {
        let mut predictions = quantile::at_levels(self.predict(features)?, &self.levels, wanted);
        self.bound(wanted, &mut predictions); // a tail may reach below the floor
        if let Some(night) = self.night {
            let features = features.with_columns(&self.feature_names)?;
            night.apply(&features, &mut predictions);
        }
        Ok(predictions)
    }

    /// Holds the answers above the floor, and a model's mean inside its own quantiles where they span enough to
    /// judge it: mean and quantiles are learned apart. The naive's mean is a value of the past and stays.
    fn bound(&self, levels: &QuantileLevels, predictions: &mut Predictions) {
        let levels = levels.as_slice();
        let wide =
            levels.first().is_some_and(|l| *l <= WIDE) && levels.last().is_some_and(|l| *l >= 1.0 - WIDE);
        if wide && self.family != Family::SeasonalNaive {
            for (mean, row) in
                predictions.mean.iter_mut().zip(predictions.quantiles.chunks_exact(predictions.levels))
            {
                *mean = mean.max(row[0]).min(row[row.len() - 1]);
            }
        }
        if let Some(floor) = self.floor {
            let values = predictions.mean.iter_mut().chain(&mut predictions.quantiles);
            values.for_each(|value| *value = value.max(floor));
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub(crate) fn is_sound(&self) -> bool {
        let model = match &self.model {
            Model::Single(member) => member.is_sound(&self.levels),
            Model::Ensemble(mixture) => mixture.is_sound(&self.levels),
        };
        model && self.calibration.as_ref().is_none_or(|c| c.is_sound(self.levels.len()))
    }

    /// Whether row `i` of a matrix with this model's columns is answered zero because the sun is down.
    pub(crate) fn is_dark(&self, features: &FeatureMatrix, i: usize) -> bool {
        self.night.is_some_and(|night| night.is_dark(features, i))
    }
}

impl Predict for FittedModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let features = features.with_columns(&self.feature_names)?;
        let mut predictions = self.model.predict(&features)?;
        if let Some(calibration) = &self.calibration {
            calibration.apply(&features.keys, &mut predictions);
        }
        self.bound(&self.levels, &mut predictions);
        if let Some(night) = self.night {
            night.apply(&features, &mut predictions);
        }
        let wrong = (0..features.rows()).find(|&i| {
            let row = predictions.row(i);
            !predictions.mean[i].is_finite() || !row.iter().all(|q| q.is_finite()) || !row.is_sorted()
        });
        match wrong {
            None => Ok(predictions),
            Some(i) => Err(ModelError::Numeric {
                what: format!(
                    "the {} model has no finite, rising answer for {} from {}; train it again",
                    self.family, features.keys[i].valid_time, features.keys[i].origin
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
