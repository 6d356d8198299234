//! A forest as trees of one number each, the mean's: what explanations walk.

use super::{FeatureMatrix, Forest, ModelError, Plain, node};
use crate::explain::trees::{Split, Tree, Trees};

impl Forest {
    /// Trees whose sum moves as the mean does, in the unit of the target.
    ///
    /// The mean is a linear function of the learned quantiles, so every leaf vector becomes one number. Putting the
    /// quantiles in order, where trees made them cross, is not linear: the mean may differ a little by that.
    pub(crate) fn mean_trees(&self) -> Trees {
        let effect = self.effects();
        let value = |steps: &[f32]| -> f64 {
            steps.iter().zip(&effect).map(|(&step, effect)| f64::from(step) * effect).sum()
        };
        let tree = |plain: &Plain| Tree {
            splits: splits(plain),
            values: plain.values.chunks_exact(effect.len()).map(value).collect(),
        };
        let trees = self.packed.trees(effect.len()).iter().map(tree).collect();
        Trees { trees, features: self.stored.features.len() }
    }

    /// By how much the mean moves when each learned quantile moves by one standardised unit.
    fn effects(&self) -> Vec<f64> {
        let (width, spread) = (f64::from(self.stored.width), f64::from(self.stored.mean.spread));
        let total: f64 = self.weights.iter().map(|&w| f64::from(w)).sum();
        let last = self.weights.len() - 1;
        let of_knot = |(k, &weight): (usize, &f32)| {
            let tails = spread * (f64::from(u8::from(k == last)) - f64::from(u8::from(k == 0)));
            // The middle one carries along what the others are stretched from.
            let carried = if k == self.middle { (1.0 - width) * total } else { 0.0 };
            self.stored.scale * (width * (f64::from(weight) + tails) + carried)
        };
        self.weights.iter().enumerate().map(of_knot).collect()
    }

    /// Where the features of [`Forest::codes`] lie in a matrix.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] naming the first one that is not there.
    pub(crate) fn positions(&self, matrix: &FeatureMatrix) -> Result<Vec<usize>, ModelError> {
        self.columns(matrix)
    }

    /// A row as the splits see it.
    pub(crate) fn codes(&self, positions: &[usize], row: &[f32]) -> Vec<u8> {
        positions.iter().enumerate().map(|(feature, &column)| self.coder.code(feature, row[column])).collect()
    }
}

/// The splits of a tree with the root first, as the explanations read them.
fn splits(plain: &Plain) -> Vec<Split> {
    let (children, root) = plain.children();
    // The root changes places with the first.
    let moved = |at: i32| match at {
        0 => root,
        at if at == root => 0,
        at => at,
    };
    let split = |(split, children): (&node::Split, &[i32; 2])| Split {
        feature: split.feature.into(),
        shift: split.missing_right.into(),
        threshold: split.threshold,
        children: children.map(moved),
    };
    let mut splits: Vec<Split> = plain.splits.iter().zip(&children).map(split).collect();
    if root > 0 {
        splits.swap(0, root as usize);
    }
    splits
}
