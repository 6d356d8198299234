//! Taking in a model that was made elsewhere: nothing is fitted, only its calibration is learned.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Recipe, Time};

use super::bounds::Bounds;
use super::{FittedModel, Model, clean, describe};
use crate::calibration::{Calibration, Held, ROWS_MIN};
use crate::ensemble::{LATE_DAYS_MAX, LATE_DAYS_MIN};
use crate::foreign::ImportedModel;
use crate::matrix::TrainingSet;
use crate::member::Member;
use crate::predict::{ModelError, Predict};

/// A version's model from an imported one: its quantiles are calibrated on the last forecasts of `data`, at most 90
/// days of them, that the model cannot have learned from: those that start at `unseen_from` or later. Where it is not
/// known what the model has seen, or there is less than a week of such forecasts, quantiles of its own stay as they
/// are, and a centre gets intervals from the last 90 days, which the notes say: errors on known values are too small.
///
/// # Errors
/// [`ModelError::TooFewRows`] when a model without quantiles of its own cannot be given any; as [`Predict::predict`].
pub fn adopt(
    recipe: &Recipe,
    data: &TrainingSet,
    model: ImportedModel,
    unseen_from: Option<Time>,
) -> Result<FittedModel, ModelError> {
    let model = model.with_levels(recipe.levels.clone());
    let mut notes = vec![model.describe()];
    let cleaned = clean(data, &mut notes)?;
    let data = cleaned.as_ref().unwrap_or(data);
    let bounds = Bounds::learn(data, recipe);
    let by_day = bounds.days(data);
    let late = Late::of(by_day.as_ref().unwrap_or(data), unseen_from);
    let spreads = model.known_levels().is_some_and(|known| known.len() > 1);
    let calibration = if spreads && !late.is_unseen {
        None
    } else {
        let predictions = model.predict(&late.rows.features)?;
        let held =
            Held { keys: &late.rows.features.keys, predictions: &predictions, actual: &late.rows.target };
        Calibration::learn(held, &recipe.levels)
    };
    match &calibration {
        Some(calibration) => {
            notes.push(describe(calibration));
            if !late.is_unseen {
                notes.push(SEEN.to_owned());
            }
        }
        None if spreads => {
            notes.push(
                "no week of forecasts is sure to be new to it: the quantiles are the files' own, not calibrated"
                    .to_owned(),
            );
        }
        None => {
            let rows = late.rows.target.len();
            return Err(ModelError::TooFewRows { family: "imported", rows, needed: ROWS_MIN });
        }
    }
    Ok(FittedModel {
        family: recipe.family,
        levels: recipe.levels.clone(),
        feature_names: data.features.names.clone(),
        model: Model::Single(Member::Imported(Box::new(model))),
        calibration,
        bounds,
        notes,
    })
}

/// What a version says whose intervals are no better than its model's memory.
const SEEN: &str =
    "its intervals come from its errors on days it may have learned from, and are too narrow if it did";

/// The forecasts to calibrate on.
struct Late {
    rows: TrainingSet,
    /// Whether the model cannot have learned from them.
    is_unseen: bool,
}

impl Late {
    fn of(data: &TrainingSet, unseen_from: Option<Time>) -> Self {
        let keys = &data.features.keys;
        let last = keys.iter().map(|key| key.origin).max().unwrap_or(Time::MIN);
        let back = |days: i64| last.plus_micros(-days * MICROS_PER_DAY);
        let unseen = unseen_from.filter(|unseen| *unseen <= back(LATE_DAYS_MIN));
        let from = back(LATE_DAYS_MAX).max(unseen.unwrap_or(Time::MIN));
        Self { rows: data.filter(|i| keys[i].origin >= from), is_unseen: unseen.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::Part;
    use crate::learn::tests::recipe;
    use crate::synthetic::{self, Shape};
    use forewatt_domain::Family;

    /// A linear model of XGBoost's that repeats a lag and adds a bias.
    fn repeats_a_lag(bias: f64) -> ImportedModel {
        let json = format!(
            r#"{{"learner": {{"feature_names": ["theirs"], "objective": {{"name": "reg:squarederror"}},
                "learner_model_param": {{"num_class": "0", "num_feature": "1", "base_score": "0"}},
                "gradient_booster": {{"name": "gblinear", "model": {{"weights": [1.0, {bias}]}}}}}}}}"#
        );
        let part = Part::new(None, vec!["lag_week_1".to_owned()], json.into_bytes()).unwrap();
        ImportedModel::new(vec![part], recipe(Family::Imported, "0.1,0.5,0.9").levels).unwrap()
    }

    #[test]
    fn a_centre_gets_intervals_that_cover() {
        let data = synthetic::training(Shape { days: 300, ..Shape::default() });
        let (early, late) = synthetic::cut(&data, 0.7);
        let recipe = recipe(Family::Imported, "0.1,0.5,0.9");
        let model = adopt(&recipe, &early, repeats_a_lag(0.0), Some(Time::MIN)).unwrap();
        let answer = model.predict(&late.features).unwrap();
        for (l, level) in recipe.levels.as_slice().iter().enumerate() {
            let below = (0..late.target.len()).filter(|&i| late.target[i] <= answer.row(i)[l]).count();
            let share = below as f64 / late.target.len() as f64;
            assert!((share - level).abs() < 0.06, "{share} for {level}");
        }
        assert!(!model.notes().iter().any(|note| note.contains("too narrow")), "{:?}", model.notes());
        let blind = adopt(&recipe, &early, repeats_a_lag(0.0), None).unwrap();
        assert!(blind.notes().iter().any(|note| note.contains("too narrow")));
    }

    #[test]
    fn only_forecasts_it_cannot_have_seen_calibrate() {
        let data = synthetic::training(Shape { days: 120, ..Shape::default() });
        let recipe = recipe(Family::Imported, "0.1,0.5,0.9");
        let cut = data.features.keys[data.features.keys.len() * 3 / 4].origin;
        let spoilt = {
            let mut spoilt = data.clone();
            let before =
                spoilt.features.keys.iter().zip(&mut spoilt.target).filter(|(key, _)| key.origin < cut);
            before.for_each(|(_, value)| *value += 1000.0);
            spoilt
        };
        let fit =
            |data, unseen| adopt(&recipe, data, repeats_a_lag(0.0), unseen).unwrap().predict(&data.features);
        assert_eq!(fit(&data, Some(cut)), fit(&spoilt, Some(cut)));
        assert_ne!(fit(&data, None), fit(&spoilt, None));
    }

    #[test]
    fn too_few_forecasts_make_no_intervals() {
        let data = synthetic::training(Shape { days: 30, ..Shape::default() }).filter(|i| i < 99);
        let recipe = recipe(Family::Imported, "0.1,0.5,0.9");
        let error = adopt(&recipe, &data, repeats_a_lag(0.0), None).unwrap_err();
        assert_eq!(error, ModelError::TooFewRows { family: "imported", rows: 99, needed: 100 });
    }

    #[test]
    fn the_file_survives_the_artifact() {
        let data = synthetic::training(Shape { days: 60, ..Shape::default() });
        let recipe = recipe(Family::Imported, "0.1,0.5,0.9");
        let model = adopt(&recipe, &data, repeats_a_lag(2.5), None).unwrap();
        let bytes = postcard::to_allocvec(&model).unwrap();
        let back: FittedModel = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back, model);
        assert!(back.is_sound());
        let Model::Single(Member::Imported(imported)) = back.model() else { panic!("{back:?}") };
        assert_eq!(imported.files().count(), 1);
        assert!(imported.files().all(|file| file.ends_with(b"2.5]}}}}")));
    }
}
