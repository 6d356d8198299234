//! The backtest of one model of windows for many series: learned once a refit, from all of them.

use forewatt_domain::{Recipe, Time};

use super::plan::BacktestError;
use super::{Answered, Block, MaskAt, Outcome, Plan, Run, assemble};
use crate::dataset::Dataset;
use crate::features::{self, FeatureSpec};
use crate::learn::bounds::Bounds;
use crate::learn::{learn, of_windows};
use crate::matrix::{Courses, TrainingSet};
use crate::predict::{ModelError, Predict};
use crate::windows::{Pool, WindowModel};

/// One of the series of [`run_pool`].
pub struct Pooled<'a> {
    /// Its data; covariates are not read.
    pub dataset: &'a Dataset,
    /// What to learn; all but the target alike.
    pub recipe: Recipe,
    /// Which stretches to keep out of training.
    pub mask_at: &'a MaskAt<'a>,
}

/// [`super::run`] of [`forewatt_domain::Family::Windows`] for series that teach one another: an outcome for each.
///
/// Every refit learns from the courses of all series as known at that cutoff. `progress` is told how many of the
/// series' answers are done.
///
/// # Errors
/// As [`super::run`].
pub fn run_pool(
    series: &[Pooled<'_>],
    plan: &Plan,
    progress: &super::Progress<'_>,
) -> Result<Vec<Outcome>, BacktestError> {
    let runs: Vec<(Run<'_>, Vec<Block>, Vec<Time>)> =
        series.iter().map(|one| prepare(one, plan)).collect::<Result<_, _>>()?;
    let mut answered: Vec<Vec<Answered>> = series.iter().map(|_| Vec::new()).collect();
    let mut notes: Vec<Vec<String>> = series.iter().map(|_| Vec::new()).collect();
    // The plan is the same for all, and so are the blocks wherever their tests are.
    let blocks = runs.iter().map(|(_, blocks, _)| blocks.len()).max().unwrap_or(0);
    let (mut done, all) = (0, blocks * series.len());
    for block in 0..blocks {
        let Some(cutoff) = runs.iter().find_map(|(_, blocks, _)| Some(blocks.get(block)?.cutoff)) else {
            break;
        };
        let failed = |source: ModelError| BacktestError::Model { cutoff, source };
        let courses = series.iter().filter_map(|one| {
            let courses = features::courses(one.dataset, &one.recipe, cutoff, &(one.mask_at)(cutoff))?;
            Some((courses.season, courses.courses.first()?.clone()))
        });
        let (seasons, courses): (Vec<usize>, Vec<Vec<f32>>) = courses.unzip();
        let season = seasons.first().copied().unwrap_or(0);
        let recipe = Recipe { horizon: plan.horizon, ..series[0].recipe.clone() };
        let pool = Pool::learn(&recipe, &Courses { season, courses }).map_err(failed)?;
        for (i, (run, blocks, tests)) in runs.iter().enumerate() {
            let Some(block) = blocks.get(block) else { continue };
            notes[i].clear();
            let model = pool.model(i, &mut notes[i]);
            answered[i].push(answer(run, block, tests, model)?);
            done += 1;
            if !progress(done, all) {
                return Err(BacktestError::Cancelled);
            }
        }
    }
    let parts = runs.iter().zip(answered).zip(notes);
    parts.map(|(((run, ..), answered), notes)| assemble::outcome(run, answered, notes)).collect()
}

fn prepare<'a>(
    one: &'a Pooled<'a>,
    plan: &'a Plan,
) -> Result<(Run<'a>, Vec<Block>, Vec<Time>), BacktestError> {
    let recipe = Recipe { horizon: plan.horizon, ..one.recipe.clone() };
    let spec = FeatureSpec::for_recipe(one.dataset, &recipe);
    Run::new(one.dataset, &spec, &recipe, plan, one.mask_at, &baseline)
}

fn baseline(recipe: &Recipe, data: &TrainingSet) -> Result<Box<dyn Predict>, ModelError> {
    Ok(Box::new(learn(recipe, data)?))
}

/// The forecasts of a series in a block, and the baseline's.
fn answer(
    run: &Run<'_>,
    block: &Block,
    tests: &[Time],
    model: WindowModel,
) -> Result<Answered, BacktestError> {
    let cutoff = block.cutoff;
    let rows = run.rows(&tests[block.tests.clone()]);
    let asked = run.matrix.select(&rows);
    let data = run.training(cutoff);
    let bounds = Bounds::learn(&data, &run.recipe);
    let model = of_windows(&run.recipe, &data, bounds, model, Vec::new());
    let model = model.predict(&asked).map_err(|source| BacktestError::Model { cutoff, source })?;
    let baseline = Some(run.ask_baseline(cutoff, &asked)?);
    Ok(Answered { rows, model, baseline })
}
