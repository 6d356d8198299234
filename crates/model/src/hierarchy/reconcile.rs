//! Point reconciliation: a linear map onto values that add up.

use super::{Errors, HierarchyError, Method, Tree};

/// A ridge this small, relative to the diagonal, makes a nearly singular system solvable.
const RIDGE: f64 = 1e-6;
/// A pivot below this share of its diagonal is rounding.
const PIVOT_MIN: f64 = 1e-12;

/// Siblings whose sum is below this share of their sizes nearly cancel out.
const CANCEL_SHARE: f64 = 0.1;

/// Makes values of one step add up, by one method.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconciler {
    tree: Tree,
    rule: Rule,
    /// How far correlations were shrunk, for MinT.
    shrinkage: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    BottomUp,
    TopDown,
    /// What to take off every node for a unit of each gap: row-major, nodes by inner nodes.
    Gains(Vec<f64>),
}

impl Reconciler {
    /// A method made ready for a tree; `errors` are read by the methods that need them.
    ///
    /// # Errors
    /// [`HierarchyError::TooFewErrors`] without enough past errors, [`HierarchyError::NoSpread`] when they do not
    /// vary, [`HierarchyError::Shape`] when they are of another number of nodes.
    pub fn new(tree: &Tree, method: Method, errors: Option<&Errors>) -> Result<Self, HierarchyError> {
        let nodes = tree.nodes();
        let errors = || {
            let needed = Errors::rows_needed(nodes);
            let errors = errors.ok_or(HierarchyError::TooFewErrors { rows: 0, nodes, needed })?;
            match errors.nodes() {
                found if found == nodes => Ok(errors),
                found => Err(HierarchyError::Shape { expected: nodes, found }),
            }
        };
        let mut shrinkage = None;
        let rule = match method {
            Method::BottomUp => Rule::BottomUp,
            Method::TopDown => Rule::TopDown,
            Method::Ols => Rule::Gains(gains(tree, &diagonal(&vec![1.0; nodes]))?),
            Method::WlsStructural => {
                let mut leaves: Vec<f64> = vec![1.0; nodes];
                tree.sum_up(&mut leaves);
                Rule::Gains(gains(tree, &diagonal(&leaves))?)
            }
            Method::Wls => Rule::Gains(gains(tree, &diagonal(&errors()?.variances()?))?),
            Method::Mint => {
                let covariance = errors()?.shrunk_covariance()?;
                shrinkage = Some(covariance.shrinkage);
                Rule::Gains(gains(tree, &covariance.values)?)
            }
        };
        Ok(Self { tree: tree.clone(), rule, shrinkage })
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// How far MinT shrank the correlations: 0 (as measured) to 1 (diagonal); `None` for other methods.
    #[must_use]
    pub fn shrinkage(&self) -> Option<f64> {
        self.shrinkage
    }

    /// Makes `values` (one a node) add up exactly. Top-down shares out by the proportions of the values themselves, so
    /// that samples keep the spread between siblings; where siblings nearly cancel out, by those of `means` (one a node).
    ///
    /// # Errors
    /// [`HierarchyError::Shape`] and [`HierarchyError::NotFinite`].
    pub fn apply(&self, values: &mut [f64], means: &[f64]) -> Result<(), HierarchyError> {
        for given in [&*values, means] {
            if given.len() != self.tree.nodes() {
                return Err(HierarchyError::Shape { expected: self.tree.nodes(), found: given.len() });
            }
            if let Some(node) = given.iter().position(|value| !value.is_finite()) {
                return Err(HierarchyError::NotFinite { node });
            }
        }
        match &self.rule {
            Rule::BottomUp => {}
            Rule::TopDown => self.share_out(values, means),
            Rule::Gains(gains) => {
                let gaps = self.tree.gaps(values);
                for (value, gains) in values.iter_mut().zip(gains.chunks_exact(gaps.len())) {
                    *value -= gains.iter().zip(&gaps).map(|(gain, gap)| gain * gap).sum::<f64>();
                }
            }
        }
        // The map leaves a rounding error; sums made of the leaves have none.
        self.tree.sum_up(values);
        Ok(())
    }

    /// From the root down, every child gets its share of its parent.
    fn share_out(&self, values: &mut [f64], means: &[f64]) {
        let alone = values.to_vec();
        for &node in self.tree.inner() {
            let children = self.tree.children(node);
            let sums = [&alone[..], means].map(|all| (all, firm_sum(all, children)));
            let firm = sums.into_iter().find_map(|(all, sum)| Some((all, sum?)));
            for &child in children {
                let share = firm.map_or(1.0 / children.len() as f64, |(all, sum)| all[child] / sum);
                values[child] = values[node] * share;
            }
        }
    }
}

/// The sum of siblings, unless they nearly cancel out: then their proportions mean nothing.
fn firm_sum(all: &[f64], siblings: &[usize]) -> Option<f64> {
    let sum: f64 = siblings.iter().map(|&node| all[node]).sum();
    let size: f64 = siblings.iter().map(|&node| all[node].abs()).sum();
    (size > 0.0 && sum.abs() >= CANCEL_SHARE * size).then_some(sum)
}

fn diagonal(weights: &[f64]) -> Vec<f64> {
    let nodes = weights.len();
    let value = |at: usize| if at / nodes == at % nodes { weights[at / nodes] } else { 0.0 };
    (0..nodes * nodes).map(value).collect()
}

/// `W C' (C W C')^-1`, row-major, nodes by inner nodes.
fn gains(tree: &Tree, weights: &[f64]) -> Result<Vec<f64>, HierarchyError> {
    let (nodes, sums) = (tree.nodes(), tree.inner().len());
    // C W, whose rows are sums: by symmetry also the columns of W C'.
    let mut constrained = vec![0.0; sums * nodes];
    for (row, &node) in constrained.chunks_exact_mut(nodes).zip(tree.inner()) {
        row.copy_from_slice(&weights[node * nodes..(node + 1) * nodes]);
        for &child in tree.children(node) {
            let theirs = &weights[child * nodes..(child + 1) * nodes];
            row.iter_mut().zip(theirs).for_each(|(ours, theirs)| *ours -= theirs);
        }
    }
    let system: Vec<f64> = constrained.chunks_exact(nodes).flat_map(|row| tree.gaps(row)).collect();
    let factor = cholesky(&system, sums, 0.0).or_else(|| cholesky(&system, sums, RIDGE));
    let factor = factor.ok_or(HierarchyError::NoSpread)?;
    let mut gains = vec![0.0; nodes * sums];
    for (node, gain) in gains.chunks_exact_mut(sums).enumerate() {
        gain.iter_mut().enumerate().for_each(|(sum, value)| *value = constrained[sum * nodes + node]);
        solve(&factor, sums, gain);
    }
    Ok(gains)
}

/// The lower Cholesky factor of a symmetric matrix with `ridge` times its diagonal added; `None` when it is not
/// positive definite.
pub(crate) fn cholesky(matrix: &[f64], size: usize, ridge: f64) -> Option<Vec<f64>> {
    let mut factor = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| factor[i * size + k] * factor[j * size + k]).sum();
            let rest = matrix[i * size + j] - dot;
            if i == j {
                let pivot = rest + ridge * matrix[i * size + i];
                let least = PIVOT_MIN * matrix[i * size + i];
                if !(pivot > least && pivot.is_finite()) {
                    return None;
                }
                factor[i * size + i] = pivot.sqrt();
            } else {
                factor[i * size + j] = rest / factor[j * size + j];
            }
        }
    }
    Some(factor)
}

/// Solves `L L' x = b` in place.
pub(crate) fn solve(factor: &[f64], size: usize, b: &mut [f64]) {
    for i in 0..size {
        let dot: f64 = (0..i).map(|k| factor[i * size + k] * b[k]).sum();
        b[i] = (b[i] - dot) / factor[i * size + i];
    }
    for i in (0..size).rev() {
        let dot: f64 = (i + 1..size).map(|k| factor[k * size + i] * b[k]).sum();
        b[i] = (b[i] - dot) / factor[i * size + i];
    }
}
