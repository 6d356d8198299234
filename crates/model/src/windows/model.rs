//! What a recipe of windows learns, and how it is asked.

use forewatt_domain::{QuantileLevels, Recipe};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::fan::{Errors, Fan, Held, MEMBERS, mix};
use super::frame::{Course, Rows, Shape, fill, places};
use super::ridge::Own;
use super::team::{NETS, Team};
use crate::matrix::{Courses, FeatureMatrix};
use crate::predict::{ModelError, Predict, Predictions};

/// The most steps of a day: finer series would make windows of thousands of values.
const SEASON_MAX: usize = 96;
/// The most steps ahead.
const HORIZON_MAX: usize = 768;
/// About the most windows learned from.
const WINDOWS_MAX: usize = 45_000;
/// Fewer windows teach nothing.
const WINDOWS_MIN: usize = 100;
/// The share of every course, at its end, that is held out, and the most days of it.
const HELD_SHARE: usize = 8;
const HELD_DAYS_MAX: usize = 60;
/// About the most windows held out.
const HELD_MAX: usize = 3_000;

/// A model of windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WindowModel {
    shape: Shape,
    levels: QuantileLevels,
    team: Team,
    own: Own,
    fan: Fan,
}

/// What the courses of many series taught together.
#[derive(Debug)]
pub struct Pool {
    shape: Shape,
    levels: QuantileLevels,
    courses: Vec<Course>,
    windows: usize,
    team: Team,
    errors: Errors,
}

impl Pool {
    /// Learns from all windows of all courses; the end of each is held out first.
    ///
    /// # Errors
    /// [`ModelError::Unsuited`] for steps finer than 15 minutes or horizons beyond 768 steps,
    /// [`ModelError::TooFewRows`] when the courses are too short.
    pub fn learn(recipe: &Recipe, courses: &Courses) -> Result<Self, ModelError> {
        let shape = Shape { season: courses.season, horizon: recipe.reach().steps() };
        check(shape)?;
        let courses: Vec<Course> =
            courses.courses.par_iter().map(|values| Course::new(values, shape.season)).collect();
        let team = |ends: &[usize], nets: usize| {
            let spans: Vec<(usize, usize)> = ends.iter().map(|&end| (0, end)).collect();
            let places = places(&courses, &spans, WINDOWS_MAX, shape);
            if places.len() < WINDOWS_MIN {
                let rows = places.len();
                return Err(ModelError::TooFewRows { family: "windows", rows, needed: WINDOWS_MIN });
            }
            Ok((
                Team::learn(&Rows::new(&courses, &places, shape), courses.len(), nets, recipe.seed),
                places.len(),
            ))
        };
        let ends: Vec<usize> = courses.iter().map(Course::len).collect();
        let trials: Vec<usize> = ends.iter().map(|&len| len - held_out(len, shape)).collect();
        let (trial, _) = team(&trials, 1)?;
        let errors = held(&trial, &courses, &trials, shape).weigh();
        let (team, windows) = team(&ends, NETS)?;
        Ok(Self { shape, levels: recipe.levels.clone(), courses, windows, team, errors })
    }

    /// The model of one of the courses; tells about it in `notes`.
    #[must_use]
    pub fn model(&self, course: usize, notes: &mut Vec<String>) -> WindowModel {
        let (shape, own) = (self.shape, &self.courses[course]);
        let fan = self.errors.fan(course, self.levels.as_slice(), shape.season);
        let own = Own::learn(own, own.len(), shape);
        notes.push(format!(
            "windows: learned from {} windows of {} series",
            self.windows,
            self.courses.len()
        ));
        let [squares, median, net, alone] = fan.weights.map(|w| 100.0 * w);
        notes.push(format!(
            "windows: weights from {} held-out windows: squares {squares:.0} %, median {median:.0} %, net {net:.0} %, own {alone:.0} %",
            fan.windows
        ));
        WindowModel { shape, levels: self.levels.clone(), team: self.team.clone(), own, fan }
    }
}

impl WindowModel {
    /// Learns from the courses of the series and its peers; tells about it in `notes`.
    ///
    /// # Errors
    /// As [`Pool::learn`].
    pub fn fit(recipe: &Recipe, courses: &Courses, notes: &mut Vec<String>) -> Result<Self, ModelError> {
        Ok(Pool::learn(recipe, courses)?.model(0, notes))
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: &QuantileLevels) -> bool {
        check(self.shape).is_ok()
            && self.levels == *levels
            && self.team.is_sound(self.shape)
            && self.own.is_sound(self.shape)
            && self.fan.is_sound(self.shape.horizon, levels.len())
    }

    /// The steps ahead of a window with NaN where nothing was known: levels and quantiles, in the series' unit.
    fn answer(&self, window: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let shape = self.shape;
        let mut window = window.to_vec();
        fill(&mut window, shape.season);
        let told = shape.tell(&window);
        let own = self.own.answer(&window, shape);
        let inputs = ndarray::aview1(&told.inputs);
        let said = self.team.answer(inputs.insert_axis(Axis(0)));
        let said = with_own(said, &window, &own, told.unit, shape);
        let mixed = mix(&said, self.fan.weights);
        let level = |step: usize| shape.base(&window, step) + told.unit * mixed[(0, step)];
        let levels: Vec<f32> = (0..shape.horizon).map(level).collect();
        let errors = self.fan.errors.rows();
        let quantiles = levels.iter().zip(errors).flat_map(|(level, errors)| {
            errors.iter().map(|error| level + told.unit * error).collect::<Vec<_>>()
        });
        let quantiles = quantiles.collect();
        (levels, quantiles)
    }
}

impl Predict for WindowModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let levels = self.levels.len();
        let mut answer = Predictions { mean: Vec::new(), quantiles: Vec::new(), levels };
        for rows in features.keys.chunk_by(|a, b| a.origin == b.origin) {
            let window = features.windows.as_ref().and_then(|windows| windows.of(rows[0].origin));
            let window = window.filter(|window| window.len() == self.shape.length());
            let window = window.ok_or_else(|| ModelError::MissingFeature { name: "window".to_owned() })?;
            if !window.iter().any(|value| value.is_finite()) {
                let what =
                    format!("nothing was known of the two weeks before {}: import them", rows[0].origin);
                return Err(ModelError::Numeric { what });
            }
            let (means, quantiles) = self.answer(window);
            for key in rows {
                let step = key.lead as usize;
                let mean = means.get(step).ok_or_else(|| ModelError::Numeric {
                    what: format!("the model foretells {} steps, not {}", self.shape.horizon, step + 1),
                })?;
                answer.mean.push(*mean);
                answer.quantiles.extend(&quantiles[step * levels..(step + 1) * levels]);
            }
        }
        Ok(answer)
    }
}

fn check(shape: Shape) -> Result<(), ModelError> {
    let what = if shape.season == 0 || shape.season > SEASON_MAX {
        "windows learns steps of 15 minutes to a day; choose linear, gbdt or ensemble".to_owned()
    } else if shape.horizon == 0 || shape.horizon > HORIZON_MAX {
        format!(
            "windows foretells at most {HORIZON_MAX} steps, not {}: ask for a shorter horizon or choose ensemble",
            shape.horizon
        )
    } else {
        return Ok(());
    };
    Err(ModelError::Unsuited { what })
}

/// Steps at the end of a course that are held out: at least a forecast.
fn held_out(len: usize, shape: Shape) -> usize {
    (len / HELD_SHARE).min(HELD_DAYS_MAX * shape.season).max(shape.horizon + shape.season / 2).min(len)
}

/// What a team and own regressions that did not see the held-out ends say about them.
fn held(trial: &Team, courses: &[Course], trials: &[usize], shape: Shape) -> Held {
    let spans: Vec<(usize, usize)> =
        courses.iter().zip(trials).map(|(course, &from)| (from, course.len())).collect();
    let places = places(courses, &spans, HELD_MAX, shape);
    let rows = Rows::new(courses, &places, shape);
    let said = trial.answer(rows.inputs.view());
    let mut alone = Array2::zeros(said[0].raw_dim());
    let owns: Vec<Own> =
        courses.par_iter().zip(trials).map(|(course, &end)| Own::learn(course, end, shape)).collect();
    for (i, &(course, origin)) in places.iter().enumerate() {
        let window = courses[course].window(origin, shape);
        let answer = owns[course].answer(window, shape);
        let moves = moves(window, &answer, rows.units[i], shape);
        alone.row_mut(i).iter_mut().zip(moves).for_each(|(cell, value)| *cell = value);
    }
    let [squares, median, nets] = said;
    let courses = places.iter().map(|&(course, _)| course).collect();
    Held { said: [squares, median, nets, alone], came: rows.targets, courses }
}

/// Values as moves from the base, in units.
fn moves<'a>(
    window: &'a [f32],
    answer: &'a [f32],
    unit: f32,
    shape: Shape,
) -> impl Iterator<Item = f32> + 'a {
    answer.iter().enumerate().map(move |(step, value)| (value - shape.base(window, step)) / unit)
}

fn with_own(
    said: [Array2<f32>; 3],
    window: &[f32],
    own: &[f32],
    unit: f32,
    shape: Shape,
) -> [Array2<f32>; MEMBERS] {
    let alone: Vec<f32> = moves(window, own, unit, shape).collect();
    let mut row = Array2::zeros(said[0].raw_dim());
    row.iter_mut().zip(alone).for_each(|(cell, value)| *cell = value);
    let [squares, median, nets] = said;
    [squares, median, nets, row]
}
