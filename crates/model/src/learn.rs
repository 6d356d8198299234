//! Learning by recipe: fit, calibrate on held-out later forecasts, fit again on everything.

mod adopt;
pub(crate) mod bounds;
mod night;

use forewatt_domain::{Family, QuantileLevels, Recipe};
use serde::{Deserialize, Serialize};

use crate::calibration::{Calibration, Coverage, Held};
use crate::days::{self, DayModel, TimeLeft};
use crate::ensemble::{self, Ensemble, EnsembleModel, Weights};
use crate::groups::{Split, split_late};
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::member::{Member, Purpose};
use crate::predict::{ModelError, Predict, Predictions};
use crate::quantile;
pub use adopt::adopt;
use bounds::Bounds;

/// A model of any family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Model {
    /// Of one family.
    Single(Member),
    /// A mixture of several.
    Ensemble(EnsembleModel),
    /// A mixture that answers whole days.
    Days(Box<DayModel>),
}

impl Predict for Model {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        match self {
            Self::Single(member) => member.predict(features),
            Self::Ensemble(mixture) => mixture.predict(features),
            Self::Days(model) => model.predict(features),
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
    bounds: Bounds,
    notes: Vec<String>,
}

/// Learns what the recipe says from the rows.
///
/// The last fifth of the origins (at least 7 and at most 90 days) is held out of a first fit and teaches the
/// calibration and, for an ensemble, the weights; then the model is fitted again on everything. With too little
/// history for that, or a horizon of weeks, the model is not calibrated, which its notes say; the weights of a horizon
/// of weeks come from the last two years.
///
/// # Errors
/// [`ModelError::TooFewRows`] when the family cannot learn from so few rows, [`ModelError::Numeric`] when matrix and
/// target do not fit together.
pub fn learn(recipe: &Recipe, data: &TrainingSet) -> Result<FittedModel, ModelError> {
    learn_within(recipe, data, None)
}

/// [`learn`] with a bound on the race of [`Family::Auto`]: it tries no further learner once `time_left` says no, and
/// the notes tell which. Whose answer depends on time gives other models at other times.
///
/// # Errors
/// As [`learn`].
pub fn learn_within(
    recipe: &Recipe,
    data: &TrainingSet,
    time_left: Option<&TimeLeft<'_>>,
) -> Result<FittedModel, ModelError> {
    let mut notes = Vec::new();
    let cleaned = clean(data, &mut notes)?;
    let data = cleaned.as_ref().unwrap_or(data);
    let bounds = Bounds::learn(data, recipe);
    if recipe.family.needs_whole_days()
        || (recipe.wants_whole_days() && days::model::teaches_days(&data.features))
    {
        return learn_days(recipe, data, bounds, time_left, notes);
    }
    if recipe.daily {
        notes.push(
            "its days cannot be learned whole: a mixture of single hours learned from the same starts"
                .to_owned(),
        );
    }
    let days = bounds.days(data);
    let data = days.as_ref().unwrap_or(data);
    let far = days::model::goes_far(&data.features.keys);
    let split = held_out(recipe, &data.features.keys, far);
    let trial = split.and_then(|split| {
        let (early, late) = (data.filter_rows(&split.early), data.filter_rows(&split.late));
        // An early part that is too small for the family is no reason to fail: only to stay uncalibrated.
        Trial::new(recipe, &early, late).ok()
    });
    if far {
        notes.push("the horizon is too long to calibrate: few forecasts of it fit into a year".to_owned());
    } else if trial.is_none() {
        notes.push(
            "the history is too short to hold forecasts out: the quantiles are not calibrated".to_owned(),
        );
    }
    let model = fit(recipe, data, trial.as_ref(), &mut notes)?;
    let trial = trial.filter(|_| !far);
    let calibration = trial.map(|trial| trial.calibrate(&model, &recipe.levels)).transpose()?.flatten();
    match &model {
        Model::Single(member) => notes.extend(member.describe()),
        Model::Ensemble(mixture) => notes.extend(mixture.describe()),
        Model::Days(_) => {}
    }
    notes.extend(calibration.as_ref().map(describe));
    Ok(FittedModel {
        family: recipe.family,
        levels: recipe.levels.clone(),
        feature_names: data.features.names.clone(),
        model,
        calibration,
        bounds,
        notes,
    })
}

/// A mixture of whole days: it learns its quantiles from its own past errors and needs no further calibration.
fn learn_days(
    recipe: &Recipe,
    data: &TrainingSet,
    bounds: Bounds,
    time_left: Option<&TimeLeft<'_>>,
    mut notes: Vec<String>,
) -> Result<FittedModel, ModelError> {
    let model = DayModel::fit(recipe, data.clone(), time_left, &mut notes)?;
    Ok(FittedModel {
        family: recipe.family,
        levels: recipe.levels.clone(),
        feature_names: data.features.names.clone(),
        model: Model::Days(Box::new(model)),
        calibration: None,
        bounds,
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

/// Which forecasts to hold out: the last weeks, or for those of a month the last years; none where they would teach
/// nothing, as a calibration learned in one season is wrong in the next.
fn held_out(recipe: &Recipe, keys: &[RowKey], far: bool) -> Option<Split> {
    if !far {
        let (least, most) = (ensemble::LATE_DAYS_MIN, ensemble::LATE_DAYS_MAX);
        return split_late(keys, ensemble::LATE_SHARE, least, most);
    }
    let (least, most) = (ensemble::FAR_DAYS_MIN, ensemble::FAR_DAYS_MAX);
    mixes(recipe.family).then(|| split_late(keys, ensemble::FAR_SHARE, least, most)).flatten()
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
        if !mixes(recipe.family) {
            let member = Member::fit(recipe.family, recipe.seed, early, levels, Purpose::Trial)?;
            let predictions = member.predict(&late.features)?;
            return Ok(Self { late, predictions, mixture: None });
        }
        let members = mixture(recipe, early).fit_members(early, levels, Purpose::Trial, &mut Vec::new())?;
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

/// Whether a family is a mixture of members.
fn mixes(family: Family) -> bool {
    matches!(family, Family::Ensemble | Family::Auto)
}

fn mixture(recipe: &Recipe, data: &TrainingSet) -> Ensemble {
    let mut members = Member::FAMILIES.to_vec();
    if days::model::goes_far(&data.features.keys) {
        members = Member::FAR_FAMILIES.to_vec();
        members.retain(|family| *family != Family::Scenario || data.past.is_some());
    }
    Ensemble { seed: recipe.seed, members }
}

fn fit(
    recipe: &Recipe,
    data: &TrainingSet,
    trial: Option<&Trial>,
    notes: &mut Vec<String>,
) -> Result<Model, ModelError> {
    if !mixes(recipe.family) {
        let member = Member::fit(recipe.family, recipe.seed, data, &recipe.levels, Purpose::Use);
        return member.map(Model::Single);
    }
    let members = mixture(recipe, data).fit_members(data, &recipe.levels, Purpose::Use, notes)?;
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
        match &self.model {
            Model::Days(days) => days.coverage(),
            _ => self.calibration.as_ref().map_or(&[], Calibration::coverage),
        }
    }

    /// No answer lies below it; `None` where answers may be as low as they like.
    #[must_use]
    pub fn floor(&self) -> Option<f32> {
        self.bounds.floor()
    }

    /// Whether it answers whole days at once: all rows of a forecast start belong together then.
    #[must_use]
    pub fn answers_whole_days(&self) -> bool {
        matches!(self.model, Model::Days(_))
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
        let features = features.with_columns(&self.feature_names)?;
        self.bounds.apply(&features, wanted, &mut predictions); // a tail may reach below the floor
        Ok(predictions)
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub(crate) fn is_sound(&self) -> bool {
        let model = match &self.model {
            Model::Single(member) => member.is_sound(&self.levels),
            Model::Ensemble(mixture) => mixture.is_sound(&self.levels),
            Model::Days(days) => days.is_sound(&self.levels),
        };
        model && self.calibration.as_ref().is_none_or(|c| c.is_sound(self.levels.len()))
    }

    /// Whether row `i` of a matrix with this model's columns is answered zero because the sun is down.
    pub(crate) fn is_dark(&self, features: &FeatureMatrix, i: usize) -> bool {
        self.bounds.is_dark(features, i)
    }
}

impl Predict for FittedModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let features = features.with_columns(&self.feature_names)?;
        let mut predictions = self.model.predict(&features)?;
        if let Some(calibration) = &self.calibration {
            calibration.apply(&features.keys, &mut predictions);
        }
        self.bounds.apply(&features, &self.levels, &mut predictions);
        bounds::check(&features.keys, &predictions, self.family)?;
        Ok(predictions)
    }
}

#[cfg(test)]
mod tests;
