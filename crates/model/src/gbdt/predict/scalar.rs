//! A forest as trees of one number each, the mean's: what explanations walk.

use super::{Feature, FeatureMatrix, Forest, LEAF, ModelError, Node, Span};
use crate::explain::trees::{Split, Tree, Trees};

impl Forest {
    /// Trees whose sum moves as the mean does, in the unit of the target.
    ///
    /// The mean is a linear function of the learned quantiles, so every leaf vector becomes one number. Putting the
    /// quantiles in order, where trees made them cross, is not linear: the mean may differ a little by that.
    pub(crate) fn mean_trees(&self) -> Trees {
        let effect = self.effects();
        let tree = |span: &Span| {
            let nodes = &self.stored.nodes[span.first_node as usize..][..usize::from(span.nodes)];
            let first = span.first_leaf as usize * effect.len();
            let leaves = &self.stored.leaves[first..][..usize::from(span.leaves) * effect.len()];
            let value = |steps: &[i16]| {
                let sum: f64 =
                    steps.iter().zip(&effect).map(|(&step, effect)| f64::from(step) * effect).sum();
                sum * f64::from(span.unit)
            };
            Tree {
                splits: nodes.iter().map(split).collect(),
                values: leaves.chunks_exact(effect.len()).map(value).collect(),
            }
        };
        let trees = self.stored.trees.iter().map(tree).collect();
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
        let pairs = self.stored.features.iter().zip(positions);
        pairs.map(|(feature, &column): (&Feature, _)| feature.code(row[column])).collect()
    }
}

fn split(node: &Node) -> Split {
    let child = |child: u16| {
        let number = i32::from(child & !LEAF);
        if child & LEAF == 0 { number } else { !number }
    };
    let [left, right] = node.children;
    Split {
        feature: node.feature.into(),
        shift: node.shift,
        threshold: node.threshold,
        children: [child(left), child(right)],
    }
}
