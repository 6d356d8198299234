//! The rolling-origin backtest: what the forecasts would have been, with the data known at each origin.
//!
//! Features depend only on what was known at their origin, so they are built once. At every refit the training
//! target is taken as known at that cutoff and only origins before it are learned from; the model then answers
//! all origins up to the next refit (Tashman, IJF 16 (2000) 437-450).

mod assemble;
mod plan;
mod pool;
mod whole_days;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use forewatt_domain::{Recipe, Time};
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::days::{self, TimeLeft};
use crate::features::{self, FeatureSpec};
use crate::learn::{columns_read, learn};
use crate::matrix::{FeatureMatrix, TrainingSet};
use crate::predict::{ModelError, Predict, Predictions};

pub use assemble::{BacktestRow, Outcome};
pub use plan::{BacktestError, Plan, Refit, VALUES_MAX};
pub use pool::{Pooled, run_pool};

/// Which stretches to keep out of training, by what was known at a cutoff.
pub type MaskAt<'a> = dyn Fn(Time) -> Vec<(Time, Time)> + Sync + 'a;
/// Told how many of how many origins are done; answers whether to go on.
pub type Progress<'a> = dyn Fn(usize, usize) -> bool + Sync + 'a;
/// How a recipe becomes a model.
pub type Learner<'a> = dyn Fn(&Recipe, &TrainingSet) -> Result<Box<dyn Predict>, ModelError> + Sync + 'a;

/// Everything a backtest reads.
struct Run<'a> {
    dataset: &'a Dataset,
    recipe: Recipe,
    plan: &'a Plan,
    mask_at: &'a MaskAt<'a>,
    learner: &'a Learner<'a>,
    /// Every origin learned from or tested, rising.
    origins: Vec<Time>,
    /// Whether an origin may be learned from.
    teaches: Vec<bool>,
    /// Features of every origin.
    matrix: FeatureMatrix,
}

/// Origins answered by one fit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    /// When the model is fitted: the block's first origin.
    cutoff: Time,
    /// Its place among the test origins.
    tests: Range<usize>,
}

/// What one block forecast, for the recipe's family and the baseline.
struct Answered {
    rows: Vec<usize>,
    model: Predictions,
    baseline: Option<Predictions>,
}

/// Forecasts from every origin of the plan as they would have been made then, and their scores.
///
/// `spec` must not depend on data from after the origins beyond the choice of columns. `mask_at` names the
/// stretches whose targets are not learned from at a cutoff. `progress` is called from several threads after
/// each refit's origins, with how many are done of how many; `false` stops. Deterministic whatever the thread
/// count; at most twice as many fits as threads are in memory at a time.
///
/// # Errors
/// [`BacktestError`]: a plan that cannot be, no history or actuals, a model that cannot be fitted, cancelled.
pub fn run(
    dataset: &Dataset,
    spec: &FeatureSpec,
    recipe: &Recipe,
    plan: &Plan,
    mask_at: &MaskAt<'_>,
    progress: &Progress<'_>,
) -> Result<Outcome, BacktestError> {
    run_within(dataset, spec, recipe, plan, mask_at, progress, None)
}

/// [`run`] with a bound on the race of [`forewatt_domain::Family::Auto`]: it tries no further learner once
/// `time_left` says no, and the outcome's notes tell which. Whose answer depends on time gives other outcomes at
/// other times.
///
/// # Errors
/// As [`run`].
pub fn run_within(
    dataset: &Dataset,
    spec: &FeatureSpec,
    recipe: &Recipe,
    plan: &Plan,
    mask_at: &MaskAt<'_>,
    progress: &Progress<'_>,
    time_left: Option<&TimeLeft<'_>>,
) -> Result<Outcome, BacktestError> {
    let learner = |recipe: &Recipe, data: &TrainingSet| -> Result<Box<dyn Predict>, ModelError> {
        Ok(Box::new(learn(recipe, data)?))
    };
    // What is too long for whole days need not be built for them.
    let whole_days = recipe.family.needs_whole_days()
        || (recipe.wants_whole_days() && plan.horizon.steps() <= days::frame::OUTPUTS_MAX);
    // Whole days are learned from whole days, however far apart the tests lie.
    let per_day = u32::try_from(dataset.step().steps_per_day()).unwrap_or(1);
    let daily = Recipe { origin_every_steps: per_day, horizon: plan.horizon, ..recipe.clone() };
    if whole_days {
        let (run, blocks, tests) = Run::new(dataset, spec, &daily, plan, mask_at, &learner)?;
        let enough = run.origins.partition_point(|origin| *origin < tests[0]) > days::model::DAYS_MIN;
        let fits =
            enough && days::frame::is_daily(&run.origins) && days::frame::Layout::new(&run.matrix).is_ok();
        if fits || recipe.family.needs_whole_days() {
            let (answered, notes) = whole_days::answer(&run, &blocks, &tests, progress, time_left)?;
            return assemble::outcome(&run, answered, notes);
        }
    }
    let recipe = Recipe { horizon: plan.horizon, ..recipe.clone() };
    let (mut run, blocks, tests) = Run::new(dataset, spec, &recipe, plan, mask_at, &learner)?;
    run.keep_columns_read();
    let answered = run.all(&blocks, &tests, progress)?;
    assemble::outcome(&run, answered, Vec::new())
}

/// [`run`] with another way to learn, for tests and for models of one's own.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    dataset: &Dataset,
    spec: &FeatureSpec,
    recipe: &Recipe,
    plan: &Plan,
    mask_at: &MaskAt<'_>,
    progress: &Progress<'_>,
    learner: &Learner<'_>,
) -> Result<Outcome, BacktestError> {
    let recipe = Recipe { horizon: plan.horizon, ..recipe.clone() };
    let (run, blocks, tests) = Run::new(dataset, spec, &recipe, plan, mask_at, learner)?;
    let answered = run.all(&blocks, &tests, progress)?;
    assemble::outcome(&run, answered, Vec::new())
}

/// Blocks of test origins, one per refit.
fn blocks(dataset: &Dataset, plan: &Plan, tests: &[Time]) -> Vec<Block> {
    let number = |time: Time| plan.block(dataset, time);
    let mut blocks: Vec<Block> = Vec::new();
    for (i, &test) in tests.iter().enumerate() {
        match blocks.last_mut() {
            Some(block) if number(block.cutoff) == number(test) => block.tests.end = i + 1,
            _ => blocks.push(Block { cutoff: test, tests: i..i + 1 }),
        }
    }
    blocks
}

/// Every origin learned from or tested, rising, and which may be learned from.
fn all_origins(
    dataset: &Dataset,
    recipe: &Recipe,
    tests: &[Time],
    blocks: &[Block],
) -> (Vec<Time>, Vec<bool>) {
    let begins = blocks.iter().map(|block| features::training_begin(dataset, recipe, block.cutoff));
    let (Some(begin), Some(last), Some(&anchor)) = (begins.min(), blocks.last(), tests.first()) else {
        return (Vec::new(), Vec::new());
    };
    let stride = i64::from(recipe.origin_every_steps.max(1)) * dataset.step().micros();
    let training = features::starts(dataset, anchor, stride, begin, last.cutoff);
    let mut origins: Vec<Time> = training.iter().chain(tests).copied().collect();
    origins.sort_unstable();
    origins.dedup();
    let teaches = origins.iter().map(|origin| training.binary_search(origin).is_ok()).collect();
    (origins, teaches)
}

impl<'a> Run<'a> {
    /// Checks the plan and builds the features of every origin; also the blocks and the origins to test.
    fn new(
        dataset: &'a Dataset,
        spec: &FeatureSpec,
        recipe: &Recipe,
        plan: &'a Plan,
        mask_at: &'a MaskAt<'a>,
        learner: &'a Learner<'a>,
    ) -> Result<(Self, Vec<Block>, Vec<Time>), BacktestError> {
        let tests = plan.origins(dataset, recipe)?;
        let blocks = blocks(dataset, plan, &tests);
        let (origins, teaches) = all_origins(dataset, recipe, &tests, &blocks);
        let columns = features::names(spec).len();
        plan::check_size(origins.len(), plan.horizon.steps(), columns)?;
        let matrix = features::build(dataset, spec, &origins, plan.horizon);
        let recipe = recipe.clone();
        Ok((Self { dataset, recipe, plan, mask_at, learner, origins, teaches, matrix }, blocks, tests))
    }

    /// Drops the columns that neither the family nor the baseline reads: every refit copies the rows it learns from.
    fn keep_columns_read(&mut self) {
        let read = [self.recipe.family, self.plan.baseline].map(columns_read);
        if let [Some(family), Some(baseline)] = read {
            let keep = |name: &&String| family.contains(&name.as_str()) || baseline.contains(&name.as_str());
            let names: Vec<String> = self.matrix.names.iter().filter(keep).cloned().collect();
            // The names are the matrix's own, so they are all there.
            if let Ok(Cow::Owned(narrow)) = self.matrix.with_columns(&names) {
                self.matrix = narrow;
            }
        }
    }

    /// The baseline fitted at a cutoff, asked about rows of later origins.
    fn ask_baseline(&self, cutoff: Time, asked: &FeatureMatrix) -> Result<Predictions, BacktestError> {
        let recipe = Recipe { family: self.plan.baseline, ..self.recipe.clone() };
        let answer = (self.learner)(&recipe, &self.training(cutoff)).and_then(|model| model.predict(asked));
        answer.map_err(|source| BacktestError::Model { cutoff, source })
    }

    /// Every block, in parallel but never more at once than there is memory for.
    fn all(
        &self,
        blocks: &[Block],
        tests: &[Time],
        progress: &Progress<'_>,
    ) -> Result<Vec<Answered>, BacktestError> {
        let (done, cancelled) = (AtomicUsize::new(0), AtomicBool::new(false));
        let one = |block: &Block| {
            if cancelled.load(Ordering::Relaxed) {
                return Err(BacktestError::Cancelled);
            }
            let answered = self.block(block, tests)?;
            let so_far = done.fetch_add(block.tests.len(), Ordering::Relaxed) + block.tests.len();
            if !progress(so_far, tests.len()) {
                cancelled.store(true, Ordering::Relaxed);
            }
            Ok(answered)
        };
        let mut answered = Vec::with_capacity(blocks.len());
        // A thread that waits inside a fit may begin another block, so the blocks in flight are limited here.
        for some in blocks.chunks(2 * rayon::current_num_threads()) {
            let results: Vec<Result<Answered, BacktestError>> = some.par_iter().map(one).collect();
            // The caller's wish is not an accident of one block: it comes before the errors of others.
            if cancelled.load(Ordering::Relaxed) {
                return Err(BacktestError::Cancelled);
            }
            for result in results {
                answered.push(result?);
            }
        }
        Ok(answered)
    }

    /// One fit of the family and one of the baseline, and their forecasts for the block's origins.
    fn block(&self, block: &Block, tests: &[Time]) -> Result<Answered, BacktestError> {
        let cutoff = block.cutoff;
        let failed = |source: ModelError| BacktestError::Model { cutoff, source };
        let training = self.training(cutoff);
        let rows = self.rows(&tests[block.tests.clone()]);
        let asked = self.matrix.select(&rows);
        let ask = |recipe: &Recipe| (self.learner)(recipe, &training)?.predict(&asked);
        let model = ask(&self.recipe).map_err(failed)?;
        let baseline = (self.plan.baseline != self.recipe.family)
            .then(|| ask(&Recipe { family: self.plan.baseline, ..self.recipe.clone() }))
            .transpose()
            .map_err(failed)?;
        Ok(Answered { rows, model, baseline })
    }

    /// The rows of some of the origins.
    fn rows(&self, tests: &[Time]) -> Vec<usize> {
        let steps = self.plan.horizon.steps();
        let places = tests.iter().filter_map(|test| self.origins.binary_search(test).ok());
        places.flat_map(|place| place * steps..(place + 1) * steps).collect()
    }

    /// The rows of the origins before the cutoff, with targets as known at it.
    fn training(&self, cutoff: Time) -> TrainingSet {
        let begin = features::training_begin(self.dataset, &self.recipe, cutoff);
        let steps = self.plan.horizon.steps();
        let place = |time: Time| self.origins.partition_point(|&origin| origin < time);
        let span = place(begin).min(place(cutoff))..place(cutoff);
        let keys = &self.matrix.keys[span.start * steps..span.end * steps];
        let masked = (self.mask_at)(cutoff);
        let target = features::target(self.dataset, keys, cutoff, &masked);
        let usable = |i: &usize| self.teaches[span.start + i / steps] && target[*i].is_finite();
        let usable: Vec<usize> = (0..target.len()).filter(usable).collect();
        let rows: Vec<usize> = usable.iter().map(|i| span.start * steps + i).collect();
        TrainingSet {
            features: self.matrix.select(&rows),
            target: usable.iter().map(|&i| target[i]).collect(),
            past: features::past(self.dataset, &self.recipe, cutoff),
            courses: features::courses(self.dataset, &self.recipe, cutoff, &masked),
        }
    }
}
