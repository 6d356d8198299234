//! Smaller models from fitted ones: trees and regressions in fewer bits, and fewer trees and leaves.

use super::{FittedModel, Model};
use crate::gbdt::{Precision, Prune};
use crate::matrix::FeatureMatrix;
use crate::member::Member;
use crate::predict::ModelError;

/// How a model is made smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shrink {
    /// Leaves of trees in 8 bits with a unit per tree, coefficients of regressions in bf16.
    pub quantize: bool,
    /// How many trees and leaves stay; all when absent.
    pub prune: Option<Prune>,
}

impl FittedModel {
    /// Whether there is something in it that [`FittedModel::shrunk`] would make smaller.
    #[must_use]
    pub fn can_shrink(&self, how: Shrink) -> bool {
        let member = |member: &Member| match member {
            Member::Gbdt(_) => true,
            Member::Linear(_) => how.quantize,
            Member::SeasonalNaive(_)
            | Member::SeasonalEmpirical(_)
            | Member::Scenario(_)
            | Member::Imported(_) => false,
        };
        match &self.model {
            Model::Single(only) => member(only),
            Model::Ensemble(mixture) => mixture.members().iter().any(member),
            Model::Days(_) | Model::Windows(_) => false,
        }
    }

    /// A smaller model that says about the same; pruned trees take over what is gone on `rows`, whose targets are not
    /// read. Calibration, weights and bounds stay.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] when the rows lack one, [`ModelError::Unsuited`] when nothing can be smaller.
    pub fn shrunk(&self, how: Shrink, rows: &FeatureMatrix) -> Result<Self, ModelError> {
        if !self.can_shrink(how) {
            let what = format!(
                "a model of family {} has nothing that can be made smaller so: trees can be quantized and pruned, \
                 regressions quantized",
                self.family
            );
            return Err(ModelError::Unsuited { what });
        }
        let rows = rows.with_columns(&self.feature_names)?;
        let shrink = |member: &Member| member.shrunk(how, &rows);
        let model = match &self.model {
            Model::Single(member) => Model::Single(shrink(member)?),
            Model::Ensemble(mixture) => Model::Ensemble(mixture.map_members(shrink)?),
            Model::Days(_) | Model::Windows(_) => self.model.clone(),
        };
        Ok(Self { model, ..self.clone() })
    }

    /// How many trees it walks.
    #[must_use]
    pub fn trees(&self) -> usize {
        let trees = |member: &Member| if let Member::Gbdt(forest) = member { forest.trees() } else { 0 };
        match &self.model {
            Model::Single(member) => trees(member),
            Model::Ensemble(mixture) => mixture.members().iter().map(trees).sum(),
            Model::Days(_) | Model::Windows(_) => 0,
        }
    }
}

impl Member {
    fn shrunk(&self, how: Shrink, rows: &FeatureMatrix) -> Result<Self, ModelError> {
        Ok(match self {
            Self::Gbdt(forest) => {
                let pruned = how.prune.map(|prune| forest.pruned(rows, prune)).transpose()?;
                let forest = pruned.as_ref().unwrap_or(forest);
                Self::Gbdt(if how.quantize { forest.with_precision(Precision::I8) } else { forest.clone() })
            }
            Self::Linear(model) if how.quantize => Self::Linear(model.coarse()),
            other => other.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{Family, Horizon, QuantileLevels, Recipe, Resolution};

    use super::*;
    use crate::learn::learn;
    use crate::metrics::pinball;
    use crate::predict::Predict as _;
    use crate::synthetic::{self, Shape};

    fn recipe(family: Family) -> Recipe {
        Recipe {
            target: "load".parse().unwrap(),
            family,
            covariates: vec![],
            resolution: Resolution::HOUR,
            horizon: Horizon::from_steps(24, Resolution::HOUR).unwrap(),
            levels: QuantileLevels::parse("0.1,0.5,0.9").unwrap(),
            origin_every_steps: 24,
            daily: false,
            any_hour: false,
            training_days: None,
            non_negative: false,
            choice: Default::default(),
            seed: 7,
        }
    }

    #[test]
    fn smaller_models_cost_little() {
        // Starts at all hours, which no model of whole days learns from.
        let data = synthetic::training(Shape { days: 150, every: 11, ..Shape::default() });
        let (early, late) = synthetic::cut(&data, 0.8);
        for family in [Family::Gbdt, Family::Linear, Family::Ensemble] {
            let whole = learn(&recipe(family), &early).unwrap();
            let loss = |model: &FittedModel| -> f64 {
                let answer = model.predict(&late.features).unwrap();
                let of_row = |i: usize| -> f64 {
                    let pairs = [0.1, 0.5, 0.9].iter().zip(answer.row(i));
                    pairs.map(|(&level, &q)| pinball(level, f64::from(q), late.target[i].into())).sum()
                };
                (0..late.target.len()).map(of_row).sum()
            };
            let size = |model: &FittedModel| postcard::to_allocvec(model).unwrap().len() as f64;
            let quantize = Shrink { quantize: true, prune: None };
            let small = whole.shrunk(quantize, &early.features).unwrap();
            let (bytes, worse) = (size(&small) / size(&whole), loss(&small) / loss(&whole));
            assert!(bytes < 0.85 && worse < 1.005, "{family}: {bytes} of the size, {worse} of the loss");
            let back: FittedModel = postcard::from_bytes(&postcard::to_allocvec(&small).unwrap()).unwrap();
            assert_eq!(back, small, "{family}");
            let prune = Shrink { quantize: true, prune: Some(Prune { trees: 0.5, leaves: 17 }) };
            let pruned = whole.shrunk(prune, &early.features).unwrap();
            assert!(size(&pruned) <= size(&small) && loss(&pruned) < 1.03 * loss(&whole), "{family}");
            assert_eq!(pruned.trees() < whole.trees(), family != Family::Linear);
        }
    }

    #[test]
    fn what_cannot_be_smaller_says_so() {
        let data = synthetic::training(Shape { days: 60, ..Shape::default() });
        let model = learn(&recipe(Family::SeasonalNaive), &data).unwrap();
        let how = Shrink { quantize: true, prune: None };
        let error = model.shrunk(how, &data.features).unwrap_err().to_string();
        assert!(error.contains("seasonal-naive"), "{error}");
        let model = learn(&recipe(Family::Linear), &data).unwrap();
        let prune = Shrink { quantize: false, prune: Some(Prune { trees: 0.5, leaves: 9 }) };
        assert!(model.shrunk(prune, &data.features).is_err(), "regressions have no trees");
    }
}
