//! One step of a hierarchy's forecast: means and quantiles that add up.

use super::{Copula, HierarchyError, Reconciler};
use crate::quantile::at_level;

/// Base forecasts of one step, one entry a node.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseStep<'a> {
    /// Expected values.
    pub means: Vec<f64>,
    /// Quantiles at `levels`, not falling, at least one.
    pub quantiles: Vec<&'a [f32]>,
    /// The levels of every node's quantiles, rising.
    pub levels: &'a [f64],
}

/// Reconciled forecasts of one step, one entry a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Expected values: every sum is that of its children, to the last bit.
    pub means: Vec<f64>,
    /// Quantiles at the levels asked for, not falling.
    pub quantiles: Vec<Vec<f64>>,
}

/// Reconciles the means; draws joint samples from the base quantiles by the copula, reconciles each sample, and reads
/// the quantiles off them (Panagiotelis et al., EJOR 306 (2023) 693-706).
///
/// Samples add up, so the quantiles are those of one joint distribution; quantiles themselves do not add up and
/// should not. `non_negative` keeps means and samples at zero or above, see [`super::Tree::clip`].
///
/// # Errors
/// [`HierarchyError::Shape`] and [`HierarchyError::NotFinite`].
pub fn reconcile_step(
    reconciler: &Reconciler,
    copula: &Copula,
    base: &BaseStep<'_>,
    wanted: &[f64],
    non_negative: bool,
) -> Result<Step, HierarchyError> {
    let tree = reconciler.tree();
    let nodes = tree.nodes();
    if base.quantiles.len() != nodes {
        return Err(HierarchyError::Shape { expected: nodes, found: base.quantiles.len() });
    }
    let settle = |values: &mut [f64]| {
        reconciler.apply(values, &base.means)?;
        if non_negative {
            tree.clip(values);
        }
        Ok(())
    };
    let mut means = base.means.clone();
    settle(&mut means)?;
    let mut samples = vec![Vec::with_capacity(copula.samples()); nodes];
    let mut values = vec![0.0; nodes];
    for sample in 0..copula.samples() {
        let drawn = copula.sample(sample).iter().zip(&base.quantiles);
        for (value, (&level, quantiles)) in values.iter_mut().zip(drawn) {
            *value = f64::from(at_level(quantiles, base.levels, level));
        }
        settle(&mut values)?;
        samples.iter_mut().zip(&values).for_each(|(all, &value)| all.push(value));
    }
    let quantiles = samples.into_iter().map(|mut all| {
        all.sort_unstable_by(f64::total_cmp);
        wanted.iter().map(|&level| quantile_of(&all, level)).collect()
    });
    Ok(Step { means, quantiles: quantiles.collect() })
}

/// The quantile of rising samples that stand in the middle of equal shares (Hyndman and Fan, type 5).
fn quantile_of(rising: &[f64], level: f64) -> f64 {
    let last = rising.len().saturating_sub(1);
    let place = (level * rising.len() as f64 - 0.5).clamp(0.0, last as f64);
    let low = place.floor() as usize;
    let (below, above) = (rising[low], rising[(low + 1).min(last)]);
    // Written so that it can reach neither beyond its neighbours nor, by rounding, below an earlier level's.
    (below + (above - below) * (place - low as f64)).clamp(below, above)
}
