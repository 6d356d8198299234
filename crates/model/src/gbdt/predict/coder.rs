//! From numbers to codes: how many cuts of its feature lie below a value, sixteen comparisons at a time.

use super::super::binning::{Feature, MISSING};

const SIDE: usize = 16;

/// The cuts of all features, laid out for comparing; at most 253 each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coder {
    /// Per feature, where its blocks begin.
    first: Vec<u32>,
    /// Per feature, the last cut of each block.
    pivots: Vec<[f32; SIDE]>,
    /// The cuts, and infinities to fill the last block.
    blocks: Vec<[f32; SIDE]>,
}

impl Coder {
    pub fn new(features: &[Feature]) -> Self {
        let mut coder = Self { first: vec![], pivots: vec![], blocks: vec![] };
        for feature in features {
            coder.first.push(coder.blocks.len() as u32);
            let mut pivots = [f32::INFINITY; SIDE];
            for (block, pivot) in pivots.iter_mut().enumerate().take(feature.cuts.len() / SIDE + 1) {
                let cut = |i: usize| feature.cuts.get(block * SIDE + i).copied().unwrap_or(f32::INFINITY);
                let cuts: [f32; SIDE] = std::array::from_fn(cut);
                *pivot = cuts[SIDE - 1];
                coder.blocks.push(cuts);
            }
            coder.pivots.push(pivots);
        }
        coder
    }

    /// The code of a value: [`MISSING`] for NaN, else 1 and the number of cuts below it.
    #[inline(always)]
    pub fn code(&self, feature: usize, value: f32) -> u8 {
        let below = |cuts: &[f32; SIDE]| cuts.iter().map(|&cut| u32::from(cut < value)).sum::<u32>();
        // The last pivot is infinite, so that the block is one of the feature's.
        let block = below(&self.pivots[feature]);
        let inside = below(&self.blocks[(self.first[feature] + block) as usize]);
        if value.is_nan() { MISSING } else { (1 + SIDE as u32 * block + inside) as u8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_training() {
        let feature = |cuts: usize| Feature {
            name: "x".to_owned(),
            cuts: (0..cuts).map(|i| (i as f32 - 7.0) * 1.5).collect(),
        };
        let features: Vec<Feature> = [0, 1, 15, 16, 17, 32, 253].into_iter().map(feature).collect();
        let coder = Coder::new(&features);
        let steps = (-40..800).map(|i| i as f32 / 2.0);
        for value in steps.chain([f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -0.0]) {
            for (f, feature) in features.iter().enumerate() {
                assert_eq!(coder.code(f, value), feature.code(value), "{value} among {}", feature.cuts.len());
            }
        }
    }
}
