//! The backtest of mixtures of whole days: one course through all days, learning on the way.
//!
//! Learners go on from what they learned the day before, as a daily retraining does, so 728 daily refits cost little
//! more than one. Weights and errors are learned on the days before the first test, as a training does.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use forewatt_domain::Time;
use forewatt_domain::time::MICROS_PER_DAY;

use super::plan::BacktestError;
use super::{Answered, Block, Progress, Run};
use crate::days::frame::{DayFrame, Layout};
use crate::days::learner::{Learner, team};
use crate::days::model::{check_starts, place, warm_up};
use crate::days::race::{Race, TimeLeft};
use crate::days::roll::{Course, mix, roll};
use crate::days::state::State;
use crate::features;
use crate::learn::bounds::{self, Bounds};
use crate::matrix::TrainingSet;
use crate::predict::{ModelError, Predictions};

/// Before the first test learners learn anew after so many days where the plan asks for no refits.
const WARM_UP_REFIT_DAYS: usize = 28;
/// The baseline is fitted anew after so many days at the soonest: its mean does not depend on it.
const BASELINE_REFIT_DAYS: i64 = 28;

/// Forecasts of every block, what the race of learners came to, and how the mixture weighed them at the end.
pub(super) fn answer(
    run: &Run<'_>,
    blocks: &[Block],
    tests: &[Time],
    progress: &Progress<'_>,
    time_left: Option<&TimeLeft<'_>>,
) -> Result<(Vec<Answered>, Vec<String>), BacktestError> {
    let cutoff = tests[0];
    let failed = |source: ModelError| BacktestError::Model { cutoff, source };
    let layout = Layout::new(&run.matrix).map_err(failed)?;
    let (frame, known_at) = frame(run, &layout).map_err(failed)?;
    let first = frame.day_at(cutoff);
    let known = |day: usize| known_at[..day].partition_point(|&at| at <= day);
    check_starts(&frame.origins[..known(first)], run.recipe.family.as_str()).map_err(failed)?;
    let bounds = bounds(run, &frame, known(first));
    let begin = first - warm_up(known(first));
    let starts: BTreeSet<usize> = blocks.iter().map(|block| frame.day_at(block.cutoff)).collect();
    let refit = starts.iter().nth(1).map_or(WARM_UP_REFIT_DAYS, |second| second - first);
    let learns =
        |day: usize| if day < first { (first - day).is_multiple_of(refit) } else { starts.contains(&day) };
    let mut team = team(&run.recipe, &layout, known(begin));
    let race = Race { family: run.recipe.family, frame: &frame, days: known(begin), lag: layout.lag() };
    let mut notes = race.select(&mut team, time_left);
    let days = begin..frame.days();
    let (done, all) = (AtomicUsize::new(0), team.len() * days.len());
    let report = || {
        let so_far = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(so_far * tests.len() / all.max(1), tests.len())
    };
    let course = Course { days, known: &known, learns: &learns, progress: &report };
    let forecasts = roll(&mut team, &frame, &course).ok_or(BacktestError::Cancelled)?;
    let weighs = |day: usize| day < first || starts.contains(&day);
    let weighing = Course { learns: &weighs, days: course.days.clone(), ..course };
    let asked = Asked { run, frame: &frame, layout: &layout, bounds: &bounds, tests };
    let (answered, state) = asked.answers(&team, &weighing, &forecasts, blocks)?;
    notes.extend(state.describe(&team).into_iter().map(|weight| format!("at the end, {weight}")));
    Ok((answered, notes))
}

/// The days with their values as first completely known, and for every day the first day at whose forecast start
/// they were.
fn frame(run: &Run<'_>, layout: &Layout) -> Result<(DayFrame, Vec<usize>), ModelError> {
    let steps = run.plan.horizon.steps();
    let origins = &run.origins;
    let mut target = vec![f32::NAN; run.matrix.rows()];
    let mut known_at = Vec::with_capacity(origins.len());
    for day in 0..origins.len() {
        let keys = &run.matrix.keys[day * steps..(day + 1) * steps];
        let now = features::target(run.dataset, keys, Time::MAX, &[]);
        let complete = |at: &usize| {
            let then = features::target(run.dataset, keys, origins[*at], &[]);
            now.iter().zip(&then).all(|(now, then)| then.is_finite() || !now.is_finite())
        };
        // Values become known in the order of their days, so the search goes on where the last one ended.
        let from = known_at.last().copied().unwrap_or(0).max(day + 1);
        let at = (from..origins.len()).find(complete).unwrap_or(origins.len());
        if let Some(&cutoff) = origins.get(at) {
            let known = features::target(run.dataset, keys, cutoff, &(run.mask_at)(cutoff));
            target[day * steps..(day + 1) * steps].copy_from_slice(&known);
        }
        known_at.push(at);
    }
    let data = TrainingSet { features: run.matrix.clone(), target, past: None, courses: None };
    let mut frame = DayFrame::new(layout, data)?;
    if let Some(days) = run.recipe.training_days {
        frame.window = days as usize;
    }
    Ok((frame, known_at))
}

/// Floor and nights as the days before the first test show them.
fn bounds(run: &Run<'_>, frame: &DayFrame, known: usize) -> Bounds {
    let end = known.checked_sub(1).map_or(0, |last| frame.rows[last].end);
    Bounds::learn(&frame.data.filter(|i| i < end && frame.data.target[i].is_finite()), &run.recipe)
}

/// What the blocks are answered with.
struct Asked<'a> {
    run: &'a Run<'a>,
    frame: &'a DayFrame,
    layout: &'a Layout,
    bounds: &'a Bounds,
    tests: &'a [Time],
}

impl Asked<'_> {
    fn answers(
        &self,
        team: &[Learner],
        course: &Course<'_>,
        forecasts: &crate::days::roll::Forecasts,
        blocks: &[Block],
    ) -> Result<(Vec<Answered>, State), BacktestError> {
        let levels = self.run.recipe.levels.as_slice();
        let asked: BTreeSet<usize> = self.tests.iter().map(|&test| self.frame.day_at(test)).collect();
        let steps = self.run.plan.horizon.steps();
        let mut all = blank(self.tests.len() * steps, levels.len());
        let mut next = 0;
        let state = mix(team, self.frame, course, forecasts, |day, said| {
            if asked.contains(&day) {
                let quantiles = said.quantiles(levels);
                for key in &self.frame.data.features.keys[self.frame.rows[day].clone()] {
                    place(&mut all, next, self.layout.output(key), said.level(), &quantiles);
                    next += 1;
                }
            }
        });
        let rows = |tests: &[Time]| -> Vec<usize> {
            tests.iter().flat_map(|&test| self.frame.rows[self.frame.day_at(test)].clone()).collect()
        };
        let features = self.run.matrix.select(&rows(self.tests));
        self.bounds.apply(&features, &self.run.recipe.levels, &mut all);
        bounds::check(&features.keys, &all, self.run.recipe.family)
            .map_err(|source| BacktestError::Model { cutoff: self.tests[0], source })?;
        let baseline = self.baseline(&rows)?;
        let of_block = |block: &Block| Answered {
            rows: rows(&self.tests[block.tests.clone()]),
            model: cut(&all, block.tests.start * steps..block.tests.end * steps),
            baseline: Some(cut(&baseline, block.tests.start * steps..block.tests.end * steps)),
        };
        Ok((blocks.iter().map(of_block).collect(), state))
    }

    /// The baseline's forecasts for all tests.
    fn baseline(&self, rows: &dyn Fn(&[Time]) -> Vec<usize>) -> Result<Predictions, BacktestError> {
        let mut all = blank(0, self.run.recipe.levels.len());
        let span =
            |time: &Time| time.micros_since(self.tests[0]).div_euclid(BASELINE_REFIT_DAYS * MICROS_PER_DAY);
        for tests in self.tests.chunk_by(|a, b| span(a) == span(b)) {
            let said = self.run.ask_baseline(tests[0], &self.run.matrix.select(&rows(tests)))?;
            all.mean.extend(said.mean);
            all.quantiles.extend(said.quantiles);
        }
        Ok(all)
    }
}

fn blank(rows: usize, levels: usize) -> Predictions {
    Predictions { mean: vec![0.0; rows], quantiles: vec![0.0; rows * levels], levels }
}

fn cut(all: &Predictions, rows: std::ops::Range<usize>) -> Predictions {
    let levels = all.levels;
    Predictions {
        mean: all.mean[rows.clone()].to_vec(),
        quantiles: all.quantiles[rows.start * levels..rows.end * levels].to_vec(),
        levels,
    }
}
