//! What a forest tells of itself when more trees are to be added.

use super::{Feature, Forest};
use crate::gbdt::binning::Binned;

impl Forest {
    /// The features it reads and their bins.
    pub(in crate::gbdt) fn features(&self) -> &[Feature] {
        &self.stored.features
    }

    /// The center and scale of its standardised values.
    pub(in crate::gbdt) fn scale(&self) -> (f64, f64) {
        (self.stored.center, self.stored.scale)
    }

    /// The leaf values of every tree, a vector of a value per knot for every leaf.
    #[cfg(test)]
    pub(in crate::gbdt) fn leaf_values(&self) -> Vec<Vec<f32>> {
        self.packed.trees(self.knots()).into_iter().map(|tree| tree.values).collect()
    }

    /// Row-major sums of start and leaf values, a value per knot, neither sorted nor stretched.
    pub(in crate::gbdt) fn sums(&self, binned: &Binned) -> Vec<f32> {
        let (stored, knots) = (&self.stored, self.knots());
        let mut sums = stored.start.repeat(binned.rows);
        for tree in self.packed.trees(knots) {
            for (row, sums) in sums.chunks_exact_mut(knots).enumerate() {
                let reached = tree.leaf(|feature| binned.code(row, feature));
                let steps = &tree.values[reached * knots..][..knots];
                sums.iter_mut().zip(steps).for_each(|(sum, &step)| *sum += step);
            }
        }
        sums
    }
}
