//! What a row says to a tree, and sums of it that are exact in any order.
//!
//! Sums are integers, so that a histogram less another is exact and nothing depends on the order of rows. Gradients
//! that are no integers are rounded to a share of their greatest so fine that no sum can overflow.

/// The most rows a sum counts.
const ROWS_BITS: u32 = 26;
/// Sums of gradients stay below this.
const PULL_LIMIT: f64 = (1_u64 << 37) as f64;
/// Weights are whole numbers up to this: with all rows they stay exact as `f64`.
const WEIGHT_LIMIT: f32 = (1_u32 << 24) as f32;

const _: () = assert!(super::MAX_ROWS < 1 << ROWS_BITS, "a sum counts all rows");

/// A sum over rows.
pub(super) trait Tally: Copy + Default + Send + Sync {
    /// Adds rows.
    fn add(&mut self, other: Self);
    /// Takes away rows that were added.
    fn take(&mut self, other: Self);
    /// How many rows.
    fn rows(self) -> u32;
    /// The sum of the gradients, in a unit that is the same within a tree.
    fn pull(self) -> f64;
    /// The sum of the second derivatives, in a unit that is the same within a tree.
    fn weight(self) -> f64;
}

/// A row and what it says.
pub(super) trait Entry: Copy + Default + Send + Sync {
    /// Sums of it.
    type Tally: Tally;
    /// Whether only the sign of the gradient counts, every second derivative being 1.
    const IS_VOTE: bool;
    /// The entry of a row; gradient and second derivative are multiplied by the unit.
    fn new(row: u32, gradient: f32, weight: f32, unit: Unit) -> Self;
    /// The row.
    fn row(self) -> u32;
    /// Its part in a sum.
    fn tally(self) -> Self::Tally;
}

/// What gradients and second derivatives are multiplied by to become whole numbers.
#[derive(Clone, Copy, Default)]
pub(super) struct Unit {
    pull: f32,
    weight: f32,
}

impl Unit {
    /// The finest for so many rows with these greatest absolute values.
    pub fn new(rows: usize, greatest_pull: f32, greatest_weight: f32) -> Self {
        let most = (PULL_LIMIT / rows.max(1) as f64).min(f64::from(1 << 30)) as f32;
        let share = |most: f32, greatest: f32| if greatest > 0.0 { most / greatest } else { 0.0 };
        Self { pull: share(most, greatest_pull), weight: share(WEIGHT_LIMIT, greatest_weight) }
    }
}

/// The sign of a gradient, for sets of fewer than 65,536 rows: `row * 2 + above`.
#[derive(Clone, Copy, Default)]
pub(super) struct SmallVote(u32);

/// The sign of a gradient: `row * 2 + above`.
///
/// The gradient of the pinball loss is `above - level`: the terms with the level cancel in a gain, so counts suffice.
#[derive(Clone, Copy, Default)]
pub(super) struct Vote(u32);

/// A gradient; every second derivative is 1.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    row: u32,
    pull: i32,
}

/// A gradient and a second derivative, both with the row's weight in them.
#[derive(Clone, Copy, Default)]
pub(super) struct Weighted {
    row: u32,
    pull: i32,
    weight: u32,
}

/// Rows in the lower half, votes in the upper.
impl Tally for u32 {
    fn add(&mut self, other: Self) {
        *self += other;
    }
    fn take(&mut self, other: Self) {
        *self -= other;
    }
    fn rows(self) -> u32 {
        self & 0xffff
    }
    fn pull(self) -> f64 {
        f64::from(self >> 16)
    }
    fn weight(self) -> f64 {
        f64::from(self.rows())
    }
}

/// Rows in the lower bits, the signed sum of gradients in the upper.
impl Tally for u64 {
    fn add(&mut self, other: Self) {
        *self = self.wrapping_add(other);
    }
    fn take(&mut self, other: Self) {
        *self = self.wrapping_sub(other);
    }
    fn rows(self) -> u32 {
        (self & ((1 << ROWS_BITS) - 1)) as u32
    }
    fn pull(self) -> f64 {
        (self as i64 >> ROWS_BITS) as f64
    }
    fn weight(self) -> f64 {
        f64::from(self.rows())
    }
}

/// The former, and the sum of second derivatives.
impl Tally for [u64; 2] {
    fn add(&mut self, other: Self) {
        self[0].add(other[0]);
        self[1] += other[1];
    }
    fn take(&mut self, other: Self) {
        self[0].take(other[0]);
        self[1] -= other[1];
    }
    fn rows(self) -> u32 {
        self[0].rows()
    }
    fn pull(self) -> f64 {
        self[0].pull()
    }
    fn weight(self) -> f64 {
        self[1] as f64
    }
}

fn packed(pull: i32) -> u64 {
    (i64::from(pull) << ROWS_BITS) as u64 + 1
}

impl Entry for SmallVote {
    type Tally = u32;
    const IS_VOTE: bool = true;
    fn new(row: u32, gradient: f32, _weight: f32, _unit: Unit) -> Self {
        Self(row << 1 | u32::from(gradient > 0.0))
    }
    fn row(self) -> u32 {
        self.0 >> 1
    }
    fn tally(self) -> u32 {
        1 + ((self.0 & 1) << 16)
    }
}

impl Entry for Vote {
    type Tally = u64;
    const IS_VOTE: bool = true;
    fn new(row: u32, gradient: f32, _weight: f32, _unit: Unit) -> Self {
        Self(row << 1 | u32::from(gradient > 0.0))
    }
    fn row(self) -> u32 {
        self.0 >> 1
    }
    fn tally(self) -> u64 {
        packed((self.0 & 1) as i32)
    }
}

impl Entry for Step {
    type Tally = u64;
    const IS_VOTE: bool = false;
    fn new(row: u32, gradient: f32, _weight: f32, unit: Unit) -> Self {
        Self { row, pull: (gradient * unit.pull) as i32 }
    }
    fn row(self) -> u32 {
        self.row
    }
    fn tally(self) -> u64 {
        packed(self.pull)
    }
}

impl Entry for Weighted {
    type Tally = [u64; 2];
    const IS_VOTE: bool = false;
    fn new(row: u32, gradient: f32, weight: f32, unit: Unit) -> Self {
        // A row counts, however little.
        let weight = ((weight * unit.weight) as u32).max(1);
        Self { row, pull: (gradient * unit.pull) as i32, weight }
    }
    fn row(self) -> u32 {
        self.row
    }
    fn tally(self) -> [u64; 2] {
        [packed(self.pull), u64::from(self.weight)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_any_sign_come_apart_again() {
        let unit = Unit::new(4, 2.0, 1.0);
        let entries = [-2.0_f32, 1.5, -0.25, 0.0].map(|g| Step::new(7, g, 1.0, unit));
        let mut sum = 0_u64;
        entries.iter().for_each(|e| sum.add(e.tally()));
        assert_eq!((sum.rows(), sum.weight()), (4, 4.0));
        let one = f64::from(Step::new(0, 1.0, 1.0, unit).pull);
        assert!((sum.pull() / one + 0.75).abs() < 1e-6, "{}", sum.pull() / one);
        sum.take(entries[0].tally());
        assert!((sum.pull() / one - 1.25).abs() < 1e-6 && sum.rows() == 3);
    }

    #[test]
    fn the_greatest_sums_fit() {
        let rows = crate::gbdt::MAX_ROWS as u64;
        let unit = Unit::new(rows as usize, 3.0, 5.0);
        for gradient in [3.0, -3.0] {
            let entry = Weighted::new(0, gradient, 5.0, unit);
            let [pull, weight] = entry.tally();
            let sum = [pull.wrapping_mul(rows), weight * rows];
            assert_eq!(u64::from(sum.rows()), rows);
            assert_eq!(sum.pull(), f64::from(entry.pull) * rows as f64);
            assert!(sum.pull().abs() < PULL_LIMIT && sum.weight() < (1_u64 << 53) as f64);
        }
        let mut votes = 0_u32;
        (0..65_535).for_each(|row| votes.add(SmallVote::new(row, 1.0, 1.0, Unit::default()).tally()));
        assert_eq!((votes.rows(), votes.pull()), (65_535, 65_535.0));
    }
}
