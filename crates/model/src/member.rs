//! One model of a single family: what an ensemble mixes, and what a recipe without one learns.

use forewatt_domain::{Family, QuantileLevels};
use serde::{Deserialize, Serialize};

use crate::baseline::{SeasonalEmpirical, SeasonalEmpiricalModel, SeasonalNaive, SeasonalNaiveModel};
use crate::foreign::ImportedModel;
use crate::gbdt::{Booster, Forest, Params};
use crate::linear::{Linear, LinearModel};
use crate::matrix::{FeatureMatrix, TrainingSet};
use crate::predict::{Fit, ModelError, Predict, Predictions};
use crate::scenario::{Scenario, ScenarioModel};

/// A fitted model of one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Member {
    /// The value one week earlier.
    SeasonalNaive(SeasonalNaiveModel),
    /// Quantiles of like days.
    SeasonalEmpirical(SeasonalEmpiricalModel),
    /// An elastic net per time of day.
    Linear(LinearModel),
    /// Gradient-boosted trees.
    Gbdt(Forest),
    /// The load under the temperatures of past years.
    Scenario(Box<ScenarioModel>),
    /// What another library made.
    Imported(Box<ImportedModel>),
}

/// What a fitted member is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be judged on held-out forecasts: a little weaker and much cheaper will do.
    Trial,
    /// To answer.
    Use,
}

impl Member {
    /// The families of an ensemble's members, simplest first.
    pub const FAMILIES: [Family; 4] =
        [Family::SeasonalNaive, Family::SeasonalEmpirical, Family::Linear, Family::Gbdt];
    /// Those of forecasts too long for whole days: trees grown on a hundred times as many rows as there are days are
    /// not worth their time there.
    pub const FAR_FAMILIES: [Family; 4] =
        [Family::SeasonalNaive, Family::SeasonalEmpirical, Family::Linear, Family::Scenario];

    /// Learns a model of `family`; `seed` is for what is random in it.
    ///
    /// # Errors
    /// As [`Fit::fit`]; [`ModelError::Numeric`] for families that are no models of single rows, and
    /// [`ModelError::Unsuited`] for the one that is not learned.
    pub fn fit(
        family: Family,
        seed: u64,
        data: &TrainingSet,
        levels: &QuantileLevels,
        purpose: Purpose,
    ) -> Result<Self, ModelError> {
        Ok(match family {
            Family::SeasonalNaive => Self::SeasonalNaive(SeasonalNaive.fit(data, levels)?),
            Family::SeasonalEmpirical => Self::SeasonalEmpirical(SeasonalEmpirical.fit(data, levels)?),
            Family::Linear => Self::Linear(Linear.fit(data, levels)?),
            Family::Gbdt => {
                let params = Params { seed, refit: purpose == Purpose::Use, ..Params::default() };
                Self::Gbdt(Booster { params }.fit(data, levels)?)
            }
            Family::Scenario => Self::Scenario(Box::new(Scenario.fit(data, levels)?)),
            Family::Imported => {
                let what = "an imported model is not learned here: bring it in with `forewatt models import`, or choose \
                            another model";
                return Err(ModelError::Unsuited { what: what.to_owned() });
            }
            Family::Lear | Family::Mlp | Family::Gp | Family::Ensemble | Family::Auto => {
                let what = format!(
                    "{family} is no model of single rows and cannot be a member of an ensemble of them"
                );
                return Err(ModelError::Numeric { what });
            }
        })
    }

    /// Which family it is.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::SeasonalNaive(_) => Family::SeasonalNaive,
            Self::SeasonalEmpirical(_) => Family::SeasonalEmpirical,
            Self::Linear(_) => Family::Linear,
            Self::Gbdt(_) => Family::Gbdt,
            Self::Scenario(_) => Family::Scenario,
            Self::Imported(_) => Family::Imported,
        }
    }

    /// What the family chose while it learned, for people; `None` when there was nothing to choose.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        match self {
            Self::Linear(model) => Some(model.describe()),
            Self::Gbdt(model) => Some(format!("gbdt: {} trees", model.trees())),
            Self::Scenario(model) => Some(model.describe()),
            Self::Imported(model) => Some(model.describe()),
            Self::SeasonalNaive(_) | Self::SeasonalEmpirical(_) => None,
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: &QuantileLevels) -> bool {
        match self {
            Self::SeasonalNaive(model) => model.is_sound(levels.len()),
            Self::SeasonalEmpirical(model) => model.is_sound(levels),
            Self::Linear(model) => model.is_sound(levels.len()),
            Self::Gbdt(model) => model.levels() == levels.as_slice(),
            Self::Scenario(model) => model.is_sound(levels),
            Self::Imported(model) => model.is_sound(levels),
        }
    }
}

impl Predict for Member {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        match self {
            Self::SeasonalNaive(model) => model.predict(features),
            Self::SeasonalEmpirical(model) => model.predict(features),
            Self::Linear(model) => model.predict(features),
            Self::Gbdt(model) => model.predict(features),
            Self::Scenario(model) => model.predict(features),
            Self::Imported(model) => model.predict(features),
        }
    }
}
