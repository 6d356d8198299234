//! One row through a whole tree of up to 33 leaves at once, in 256-bit vectors.
//!
//! A vector holds the features of all splits of a tree. Shuffling the row's codes, of up to 64 features, by it gives
//! the code that each split asks; one comparison gives all decisions. Every split that sends the row right marks its
//! left half in a 32-bit set of leaves, and the row ends in the first leaf that is not marked.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi64_si128, _mm_cvtsi128_si32, _mm_or_si128, _mm_shuffle_epi32,
    _mm_unpackhi_epi64, _mm256_add_epi8, _mm256_add_ps, _mm256_adds_epu8, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cmpeq_epi8,
    _mm256_cmpgt_epi8, _mm256_cvtepi8_epi32, _mm256_cvtepi16_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
    _mm256_extracti128_si256, _mm256_min_epu8, _mm256_mul_ps, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setr_m128i, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_sllv_epi32, _mm256_sub_epi8, _mm256_sub_epi32,
};

use super::pack::{Packed, Place, TreeRef};
use super::walk::{Codes, Value};

/// Splits of a tree that fit.
const SLOTS_MAX: u16 = 32;
/// Codes that fit a shuffle.
const TABLE: usize = 16;
/// The most tables of codes.
const TABLES_MAX: usize = 4;

/// Whether a forest is small enough for these walks.
pub(super) fn suits(packed: &Packed, features: usize) -> bool {
    !packed.wide
        && features <= TABLES_MAX * TABLE
        && packed.places.iter().all(|place| place.group.slots <= SLOTS_MAX)
}

/// Adds what all trees say of one row of a block; the forest must [`suits`].
#[target_feature(enable = "avx2")]
pub(super) fn add_row<V: Value>(packed: &Packed, codes: &Codes, row: usize, sums: &mut [f32]) {
    let mut cells = [0_u8; TABLES_MAX * TABLE];
    for (cell, codes) in cells.iter_mut().zip(codes) {
        *cell = codes[row];
    }
    match codes.len().div_ceil(TABLE) {
        0 | 1 => add_with::<V, 1>(packed, &cells, sums),
        2 => add_with::<V, 2>(packed, &cells, sums),
        3 => add_with::<V, 3>(packed, &cells, sums),
        _ => add_with::<V, 4>(packed, &cells, sums),
    }
}

#[target_feature(enable = "avx2")]
fn add_with<V: Value, const T: usize>(packed: &Packed, cells: &[u8; TABLES_MAX * TABLE], sums: &mut [f32]) {
    let mut tables = [_mm256_setzero_si256(); T];
    for (table, cells) in tables.iter_mut().zip(cells.as_chunks::<TABLE>().0) {
        *table = _mm256_broadcastsi128_si256(bytemuck::cast(*cells));
    }
    let leaves = packed.leaves::<V>();
    for place in &packed.places {
        let leaves = &leaves[place.leaves..];
        match place.group.width {
            0..=8 => add_group::<V, T, 1>(packed, place, leaves, &tables, sums),
            9..=16 => add_group::<V, T, 2>(packed, place, leaves, &tables, sums),
            _ => add_group::<V, T, 3>(packed, place, leaves, &tables, sums),
        }
    }
}

/// `own += leaf * unit`, lane by lane, rounded twice.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn add_eight<V: Value>(own: &mut [f32; 8], leaf: &[V; 8], unit: f32) {
    let bytes = bytemuck::bytes_of(leaf);
    // The kinds of values differ in size.
    let numbers = match size_of::<V>() {
        1 => _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(bytemuck::pod_read_unaligned(bytes)))),
        2 => _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(bytemuck::pod_read_unaligned(bytes))),
        _ => bytemuck::pod_read_unaligned(bytes),
    };
    let steps = _mm256_mul_ps(numbers, _mm256_set1_ps(unit));
    *own = bytemuck::cast(_mm256_add_ps(bytemuck::cast(*own), steps));
}

#[target_feature(enable = "avx2")]
#[inline]
fn add_group<V: Value, const T: usize, const EIGHTS: usize>(
    packed: &Packed,
    place: &Place,
    leaves: &[V],
    tables: &[__m256i; T],
    sums: &mut [f32],
) {
    let group = place.group;
    let (low, width) = (usize::from(group.low), usize::from(group.width));
    let mut own = [[0.0_f32; 8]; EIGHTS];
    let planes = packed.splits_of(place);
    let table = packed.table(place);
    let mut add = |reached: usize, words: [u32; 2]| {
        let tree = TreeRef::new(words);
        let leaf = leaves[(tree.first + reached) * width..].as_chunks::<8>().0;
        own.iter_mut().zip(leaf).for_each(|(own, leaf)| add_eight(own, leaf, tree.unit));
    };
    if group.slots == SLOTS_MAX {
        for ([f, t, s], &words) in planes.as_chunks::<32>().0.as_chunks::<3>().0.iter().zip(table) {
            add(reach([*f, *t, *s].map(bytemuck::cast), tables), words);
        }
    } else {
        let none = bytemuck::cast([255_u8; 16]);
        let zero = bytemuck::cast([0_u8; 16]);
        for ([f, t, s], &words) in planes.as_chunks::<16>().0.as_chunks::<3>().0.iter().zip(table) {
            let [f, t, s]: [__m128i; 3] = [*f, *t, *s].map(bytemuck::cast);
            let whole = [_mm256_setr_m128i(f, zero), _mm256_setr_m128i(t, none), _mm256_setr_m128i(s, zero)];
            add(reach(whole, tables), words);
        }
    }
    sums[low..low + width].iter_mut().zip(own.as_flattened()).for_each(|(sum, own)| *sum += own);
}

/// The leaf that the row whose codes are in `tables` reaches.
#[target_feature(enable = "avx2")]
#[inline]
fn reach<const T: usize>([features, thresholds, starts]: [__m256i; 3], tables: &[__m256i; T]) -> usize {
    let mut codes = _mm256_setzero_si256();
    for (number, table) in tables.iter().enumerate() {
        // A shuffle takes the lower four bits and gives 0 where the top bit is set: for features of other tables.
        let own = _mm256_sub_epi8(features, _mm256_set1_epi8((TABLE * number) as i8));
        let index = _mm256_adds_epu8(own, _mm256_set1_epi8(0x70));
        codes = _mm256_or_si256(codes, _mm256_shuffle_epi8(*table, index));
    }
    // Where missing values go right the top bit of the first leaf is set: codes less one.
    let codes = _mm256_add_epi8(codes, _mm256_cmpgt_epi8(_mm256_setzero_si256(), starts));
    let left = _mm256_cmpeq_epi8(_mm256_min_epu8(codes, thresholds), codes);
    let starts = _mm256_and_si256(starts, _mm256_set1_epi8(0x7f));
    let halves = |v: __m256i| [_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)];
    let (left, starts) = (halves(left), halves(starts));
    let mut behind = _mm256_setzero_si256();
    for quarter in 0..4 {
        let part = |v: [__m128i; 2]| {
            if quarter % 2 == 0 { v[quarter / 2] } else { _mm_unpackhi_epi64(v[quarter / 2], v[quarter / 2]) }
        };
        // Leaves start..=i: two to the power i + 1, less two to the power of start. Both wrap to zero at 32.
        let low = _mm256_sllv_epi32(_mm256_set1_epi32(1), _mm256_cvtepu8_epi32(part(starts)));
        let high = |i: usize| (2_u64 << (8 * quarter + i)) as u32 as i32;
        let high = _mm256_setr_epi32(high(0), high(1), high(2), high(3), high(4), high(5), high(6), high(7));
        let half = _mm256_sub_epi32(high, low);
        behind = _mm256_or_si256(behind, _mm256_andnot_si256(_mm256_cvtepi8_epi32(part(left)), half));
    }
    let [a, b] = halves(behind);
    let both = _mm_or_si128(a, b);
    let both = _mm_or_si128(both, _mm_shuffle_epi32(both, 0b0100_1110));
    let both = _mm_or_si128(both, _mm_shuffle_epi32(both, 0b1011_0001));
    (_mm_cvtsi128_si32(both) as u32).trailing_ones() as usize
}
