//! Walks without branches: many rows through one split at a time, or one row through a whole tree at once.
//!
//! Both do the same comparisons of integers and add the same numbers in the same order, so they give the same bits.

use bytemuck::Pod;

use super::pack::{Packed, Place, Precision, TreeRef, planes};

/// Rows that go through a tree together.
pub(super) const BLOCK: usize = 64;
/// With fewer rows than this, each goes alone.
const TOGETHER: usize = 12;

/// The codes of a block of rows, feature after feature.
pub(super) type Codes = [[u8; BLOCK]];

/// A leaf value as it is kept.
pub(super) trait Value: Pod {
    /// In units of its tree.
    fn number(self) -> f32;
}

impl Value for f32 {
    #[inline(always)]
    fn number(self) -> f32 {
        self
    }
}

impl Value for i16 {
    #[inline(always)]
    fn number(self) -> f32 {
        f32::from(self)
    }
}

impl Value for i8 {
    #[inline(always)]
    fn number(self) -> f32 {
        f32::from(self)
    }
}

/// How eight leaf values are added.
trait Add {
    /// `own += leaf * unit`, lane by lane, rounded twice.
    fn add<V: Value>(own: &mut [f32; 8], leaf: &[V; 8], unit: f32);
}

/// On any processor.
struct Anywhere;

impl Add for Anywhere {
    #[inline(always)]
    fn add<V: Value>(own: &mut [f32; 8], leaf: &[V; 8], unit: f32) {
        own.iter_mut().zip(leaf).for_each(|(sum, value)| *sum += value.number() * unit);
    }
}

/// Where there are vectors of 256 bits.
#[cfg(target_arch = "x86_64")]
struct Wide;

#[cfg(target_arch = "x86_64")]
impl Add for Wide {
    #[inline(always)]
    fn add<V: Value>(own: &mut [f32; 8], leaf: &[V; 8], unit: f32) {
        #[expect(unsafe_code, reason = "the compiler cannot know what processor this runs on")]
        // SAFETY: only `add_rows_avx2` adds so.
        unsafe {
            super::avx2::add_eight(own, leaf, unit);
        };
    }
}

/// What a walk adds to.
pub(super) struct Sums<'a> {
    /// Row-major, `knots` a row.
    pub values: &'a mut [f32],
    pub knots: usize,
    pub rows: usize,
}

/// Adds what all trees say of up to [`BLOCK`] rows.
pub(super) fn add(packed: &Packed, codes: &Codes, sums: &mut Sums<'_>) {
    match packed.precision {
        Precision::I8 => add_as::<i8>(packed, codes, sums),
        Precision::I16 => add_as::<i16>(packed, codes, sums),
        Precision::F32 => add_as::<f32>(packed, codes, sums),
    }
}

fn add_as<V: Value>(packed: &Packed, codes: &Codes, sums: &mut Sums<'_>) {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") {
        if sums.rows < TOGETHER && super::avx2::suits(packed, codes.len()) {
            for (row, sums) in sums.values.chunks_exact_mut(sums.knots).enumerate() {
                #[expect(unsafe_code, reason = "the compiler cannot know what processor this runs on")]
                // SAFETY: the processor was asked whether it has AVX2.
                unsafe {
                    super::avx2::add_row::<V>(packed, codes, row, sums);
                };
            }
            return;
        }
        #[expect(unsafe_code, reason = "the compiler cannot know what processor this runs on")]
        // SAFETY: the processor was asked whether it has AVX2.
        return unsafe { add_rows_avx2::<V>(packed, codes, sums) };
    }
    add_rows::<V, Anywhere>(packed, codes, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_rows_avx2<V: Value>(packed: &Packed, codes: &Codes, sums: &mut Sums<'_>) {
    add_rows::<V, Wide>(packed, codes, sums);
}

#[inline(always)]
fn add_rows<V: Value, A: Add>(packed: &Packed, codes: &Codes, sums: &mut Sums<'_>) {
    let leaves = packed.leaves::<V>();
    for place in &packed.places {
        let group = Rows { packed, place, leaves: &leaves[place.leaves..], codes };
        match (packed.wide, place.group.width) {
            (true, _) => group.add::<A, 3, true>(sums),
            (false, 0..=8) => group.add::<A, 1, false>(sums),
            (false, 9..=16) => group.add::<A, 2, false>(sums),
            (false, _) => group.add::<A, 3, false>(sums),
        }
    }
}

struct Rows<'a, V> {
    packed: &'a Packed,
    place: &'a Place,
    /// From the group's first on.
    leaves: &'a [V],
    codes: &'a Codes,
}

impl<V: Value> Rows<'_, V> {
    /// Sums a group in eights of lanes, of which its width is meant, and adds that to the rows' sums.
    #[inline(always)]
    fn add<A: Add, const EIGHTS: usize, const WIDE: bool>(&self, sums: &mut Sums<'_>) {
        let group = self.place.group;
        let (slots, width, low) =
            (usize::from(group.slots), usize::from(group.width), usize::from(group.low));
        let mut own = [[[0.0_f32; 8]; EIGHTS]; BLOCK];
        let trees = self.packed.splits_of(self.place).chunks_exact(slots * planes(WIDE));
        for (splits, &words) in trees.zip(self.packed.table(self.place)) {
            let tree = TreeRef::new(words);
            let reached = reach::<WIDE>(splits, slots, tree.leaves, self.codes);
            let leaves = &self.leaves[tree.first * width..];
            for (own, leaf) in own.iter_mut().zip(reached).take(sums.rows) {
                let leaf = leaves[usize::from(leaf) * width..].as_chunks::<8>().0;
                own.iter_mut().zip(leaf).for_each(|(own, leaf)| A::add(own, leaf, tree.unit));
            }
        }
        for (row, own) in sums.values.chunks_exact_mut(sums.knots).zip(&own) {
            let own = own.as_flattened();
            row[low..low + width].iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
    }
}

/// The leaf each row of a block reaches.
#[inline(always)]
fn reach<const WIDE: bool>(splits: &[u8], slots: usize, leaves: usize, codes: &Codes) -> [u8; BLOCK] {
    let (features, rest) = splits.split_at(slots);
    let (thresholds, rest) = rest.split_at(slots);
    let (starts, uppers) = rest.split_at(slots);
    let mut at = [0_u8; BLOCK];
    for i in 0..leaves - 1 {
        let (mut feature, mut start) = (usize::from(features[i]), starts[i]);
        let shift = if WIDE { uppers[i] & 1 } else { start >> 7 };
        if WIDE {
            feature |= usize::from(uppers[i] >> 1) << 8;
        } else {
            start &= 0x7f;
        }
        let (threshold, next) = (thresholds[i], i as u8 + 1);
        for (at, code) in at.iter_mut().zip(&codes[feature]) {
            let leaves_behind = (code.wrapping_sub(shift) > threshold) & (*at >= start);
            *at = (*at).max(if leaves_behind { next } else { 0 });
        }
    }
    at
}
