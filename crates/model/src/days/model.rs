//! The fitted mixture of whole days: learners, weights, errors, and the layout that feeds them.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{QuantileLevels, Recipe, Time};
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Layout, OUTPUTS_MAX, Question, is_daily};
use super::learner::{Learner, team};
use super::race::{Race, TimeLeft};
use super::roll::{Course, mix, roll};
use super::state::State;
use crate::calibration::Coverage;
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::predict::{ModelError, Predict, Predictions};

/// Days on which the mixture learns its weights and errors, as far as the history has twice as many.
pub const WARM_UP_DAYS: usize = 210;
/// Fewer days than this teach nothing.
pub const DAYS_MIN: usize = 14;
/// While the weights are learned for a final fit, learners learn anew after so many days.
const WARM_UP_REFIT_DAYS: usize = 7;

/// A mixture that answers whole days.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DayModel {
    layout: Layout,
    team: Vec<Learner>,
    state: State,
    levels: Vec<f64>,
    /// How often the values of the last past days lay at or below what was foretold for them.
    coverage: Vec<Coverage>,
}

/// The number of days at the end of `days` on which weights are learned.
#[must_use]
pub fn warm_up(days: usize) -> usize {
    WARM_UP_DAYS.min(days / 2)
}

/// Refuses forecast starts that cannot teach whole days: too few, or not at one time of the day.
///
/// # Errors
/// [`ModelError`] saying which.
pub fn check_starts(origins: &[Time], family: &'static str) -> Result<(), ModelError> {
    if !is_daily(origins) {
        let what = format!(
            "{family} learns whole days: it needs forecast starts at one time of the day, such as every 24h; \
             choose linear, gbdt or ensemble for others"
        );
        return Err(ModelError::Unsuited { what });
    }
    if origins.len() < DAYS_MIN {
        return Err(ModelError::TooFewDays { family, days: origins.len(), needed: DAYS_MIN });
    }
    Ok(())
}

/// Days from which on a forecast says more about the climate than about the weather.
const FAR_DAYS: i64 = 14;

/// Whether the last of so many steps, so long after the forecast start, is beyond both whole days and the weather.
#[must_use]
pub fn is_far(steps: usize, micros: i64) -> bool {
    steps > OUTPUTS_MAX && micros >= FAR_DAYS * MICROS_PER_DAY
}

/// Whether forecasts like these go [far](is_far).
#[must_use]
pub fn goes_far(keys: &[RowKey]) -> bool {
    keys.iter().any(|key| is_far(key.lead as usize + 1, key.valid_time.micros_since(key.origin)))
}

/// Whether the rows can teach whole days.
#[must_use]
pub fn teaches_days(features: &FeatureMatrix) -> bool {
    let mut origins: Vec<Time> = features.keys.iter().map(|key| key.origin).collect();
    origins.dedup();
    check_starts(&origins, "").is_ok() && Layout::new(features).is_ok()
}

impl DayModel {
    /// Learns from the days of `data`: the learners answer the last of them as if they were not known, which teaches
    /// weights and errors, and then learn from all. `time_left` bounds the race of [`forewatt_domain::Family::Auto`].
    ///
    /// # Errors
    /// [`ModelError`] when forecast starts are not whole days apart, too few, or the horizon is too long.
    pub fn fit(
        recipe: &Recipe,
        data: TrainingSet,
        time_left: Option<&TimeLeft<'_>>,
        notes: &mut Vec<String>,
    ) -> Result<Self, ModelError> {
        let layout = Layout::new(&data.features)?;
        let frame = DayFrame::new(&layout, data)?;
        check_starts(&frame.origins, recipe.family.as_str())?;
        let days = frame.days();
        let begin = days - warm_up(days);
        let lag = layout.lag();
        let known = |day: usize| day.saturating_sub(lag);
        let learns = |day: usize| (day - begin).is_multiple_of(WARM_UP_REFIT_DAYS);
        let mut team = team(recipe, &layout, known(begin));
        let every_day = |_: usize| true;
        let course = Course { days: begin..days, known: &known, learns: &learns, progress: &|| true };
        let race = Race { family: recipe.family, frame: &frame, days: known(begin), lag };
        notes.extend(race.select(&mut team, time_left));
        let forecasts = roll(&mut team, &frame, &course).unwrap_or_default();
        let weighing = Course { learns: &every_day, ..course };
        let levels = recipe.levels.as_slice();
        let mut below = Below::new(levels.len());
        let state = mix(&team, &frame, &weighing, &forecasts, |day, said| {
            if 2 * day >= begin + days {
                below.count(&said.quantiles(levels), frame.targets.row(day).iter());
            }
        });
        for learner in &mut team {
            learner.learn(&frame, days);
            learner.settle();
        }
        let coverage = below.coverage(levels);
        let model = Self { layout, team, state, levels: levels.to_vec(), coverage };
        notes.push(format!("weights and errors were learned from {} days of forecasts", days - begin));
        notes.extend(model.state.describe(&model.team));
        Ok(model)
    }

    /// How often the values of the last past days lay at or below what was foretold for them.
    #[must_use]
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: &QuantileLevels) -> bool {
        self.layout.is_sound()
            && !self.team.is_empty()
            && self.team.iter().all(|learner| learner.is_sound(&self.layout))
            && self.state.is_sound(&self.team, self.layout.outputs())
            && self.levels == levels.as_slice()
    }
}

impl Predict for DayModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let features = features.with_columns(self.layout.columns())?;
        let levels = self.levels.len();
        let mut answer = Predictions {
            mean: vec![0.0; features.rows()],
            quantiles: vec![0.0; features.rows() * levels],
            levels,
        };
        for day in self.layout.read(&features)? {
            let outputs: Vec<usize> =
                features.keys[day.rows.clone()].iter().map(|key| self.layout.output(key)).collect();
            let rows = outputs.iter().copied().zip(day.rows.clone().map(|i| features.row(i)));
            let question = Question {
                inputs: day.inputs,
                outputs: self.layout.outputs(),
                rows: rows.collect(),
                keys: &features.keys[day.rows.clone()],
            };
            let parts: Vec<_> = self.team.iter().map(|learner| learner.predict(&question)).collect();
            let said = self.state.answer(&parts);
            let quantiles = said.quantiles(&self.levels);
            for (i, output) in day.rows.zip(outputs) {
                place(&mut answer, i, output, said.level(), &quantiles);
            }
        }
        Ok(answer)
    }
}

/// Counts of values at or below each quantile.
struct Below {
    counts: Vec<usize>,
    all: usize,
}

impl Below {
    fn new(levels: usize) -> Self {
        Self { counts: vec![0; levels], all: 0 }
    }

    /// One row of quantiles per value; unknown values do not count.
    fn count<'a>(&mut self, quantiles: &[f32], values: impl Iterator<Item = &'a f32>) {
        let rows = quantiles.chunks_exact(self.counts.len().max(1));
        for (row, value) in rows.zip(values).filter(|(_, value)| value.is_finite()) {
            self.all += 1;
            self.counts.iter_mut().zip(row).for_each(|(count, q)| *count += usize::from(value <= q));
        }
    }

    /// Shares by level: these quantiles are not corrected afterwards, so both shares are the same.
    fn coverage(&self, levels: &[f64]) -> Vec<Coverage> {
        let share = |count: usize| count as f64 / self.all.max(1) as f64;
        let pairs = levels.iter().zip(&self.counts);
        pairs
            .map(|(&level, &count)| Coverage { level, raw: share(count), calibrated: share(count) })
            .collect()
    }
}

/// Copies one output of a day to a row of the answer.
pub fn place(answer: &mut Predictions, row: usize, output: usize, level: &[f32], quantiles: &[f32]) {
    let levels = answer.levels;
    answer.mean[row] = level[output];
    answer.quantiles[row * levels..(row + 1) * levels]
        .copy_from_slice(&quantiles[output * levels..(output + 1) * levels]);
}

#[cfg(test)]
mod tests {
    use forewatt_domain::Family;

    use super::*;
    use crate::artifact::{Artifact, decode, encode};
    use crate::learn::learn;
    use crate::synthetic::{self, Shape};

    fn recipe(family: Family) -> Recipe {
        synthetic::recipe(family, 4)
    }

    fn data(days: usize) -> TrainingSet {
        synthetic::training(Shape { days, ..Shape::default() })
    }

    #[test]
    fn what_is_written_answers_as_what_was_learned() {
        let data = data(50);
        for family in [Family::Lear, Family::Gp] {
            let recipe = recipe(family);
            let artifact = Artifact { model: learn(&recipe, &data).unwrap(), spec: vec![1_u32], recipe };
            let bytes = encode(&artifact).unwrap();
            let back: Artifact<Vec<u32>> = decode(&bytes).unwrap();
            assert_eq!(
                artifact.model.predict(&data.features).unwrap(),
                back.model.predict(&data.features).unwrap(),
                "{family}"
            );
            assert_eq!(encode(&back).unwrap(), bytes);
        }
    }

    #[test]
    fn one_and_four_threads_learn_the_same_whole_days() {
        let data = data(50);
        for family in [Family::Lear, Family::Gp, Family::Auto] {
            let work = || DayModel::fit(&recipe(family), data.clone(), None, &mut Vec::new()).unwrap();
            assert_eq!(synthetic::in_pool(1, work), synthetic::in_pool(4, work), "{family}");
        }
    }

    #[test]
    fn a_day_is_answered_alike_alone_and_among_others() {
        let data = data(40);
        let mut notes = Vec::new();
        let model = DayModel::fit(&recipe(Family::Lear), data.clone(), None, &mut notes).unwrap();
        assert!(notes[0].contains("20 days of forecasts") && notes[1].contains("weight"), "{notes:?}");
        assert!(model.coverage().len() == 3 && model.is_sound(&recipe(Family::Lear).levels));
        let all = model.predict(&data.features).unwrap();
        let day = data.features.select(&(5 * 24..6 * 24).collect::<Vec<_>>());
        let alone = model.predict(&day).unwrap();
        assert_eq!(alone.mean, all.mean[5 * 24..6 * 24]);
        assert!((0..24).all(|i| alone.row(i) == all.row(5 * 24 + i) && alone.row(i).is_sorted()));
    }

    #[test]
    fn starts_that_teach_no_days_are_refused_with_a_mend() {
        let few = DayModel::fit(&recipe(Family::Lear), data(DAYS_MIN - 1), None, &mut Vec::new());
        assert!(matches!(few, Err(ModelError::TooFewDays { needed: DAYS_MIN, days: 13, .. })), "{few:?}");
        let odd = synthetic::training(Shape { days: 30, every: 7, ..Shape::default() });
        assert!(!teaches_days(&odd.features) && teaches_days(&data(DAYS_MIN).features));
        let odd = DayModel::fit(&recipe(Family::Gp), odd, None, &mut Vec::new()).unwrap_err().to_string();
        assert!(odd.starts_with("gp learns whole days") && odd.contains("choose linear"), "{odd}");
    }
}
