//! The inputs of a day, read from the rows of its forecast start.

use super::{Layout, PartKind, candidates};
use crate::matrix::RowKey;

impl Layout {
    /// The inputs of one forecast start from its rows, `(key, features)` each.
    pub(super) fn fill(&self, rows: &[(&RowKey, &[f32])], inputs: &mut [f32]) {
        for part in &self.parts {
            let (before, rest) = inputs.split_at_mut(part.first);
            let cells = &mut rest[..part.count];
            match part.kind {
                PartKind::Course { column, steps, bin } => {
                    self.course(rows, steps, bin, |row| row[column], cells);
                }
                PartKind::Hinge { column, steps, bin, beyond } => {
                    // The greater of a number and none would be the number.
                    let bent =
                        |row: &[f32]| (row[column] - beyond) * f32::from(u8::from(row[column] > beyond));
                    self.course(rows, steps, bin, bent, cells);
                }
                PartKind::Ramp { part } => candidates::ramp(self.cells(part, before), cells),
                PartKind::Harmonics { sin, cos } => {
                    let middle = |column| self.middle(rows, column, 0);
                    candidates::harmonics(middle(sin), middle(cos), cells);
                }
                PartKind::Middle { column, day } => cells[0] = self.middle(rows, column, day),
                PartKind::Summary { part } => summarise(self.cells(part, before), cells),
                PartKind::Difference { left, right } => {
                    let pairs = self.cells(left, before).iter().zip(self.cells(right, before));
                    pairs.zip(cells.iter_mut()).for_each(|((a, b), cell)| *cell = a - b);
                    let (course, ends) = cells.split_at_mut(part.count - 2);
                    let mut summary = [f32::NAN; 3];
                    summarise(course, &mut summary);
                    ends.copy_from_slice(&summary[..2]);
                }
            }
        }
    }

    fn cells<'a>(&self, part: usize, inputs: &'a [f32]) -> &'a [f32] {
        let part = &self.parts[part];
        &inputs[part.first..part.first + part.count]
    }

    fn course(
        &self,
        rows: &[(&RowKey, &[f32])],
        steps: usize,
        bin: usize,
        read: impl Fn(&[f32]) -> f32,
        cells: &mut [f32],
    ) {
        let mut sums = vec![(0.0_f32, 0.0_f32); cells.len()];
        let mut taken = vec![false; self.steps];
        for (key, row) in rows.iter().filter(|(key, _)| (key.lead as usize) < steps) {
            let (value, output) = (read(row), self.output(key));
            if let (true, Some(sum)) = (value.is_finite() && !taken[output], sums.get_mut(output / bin)) {
                *sum = (sum.0 + value, sum.1 + 1.0);
                taken[output] = true;
            }
        }
        let mean = |(sum, count): (f32, f32)| if count > 0.0 { sum / count } else { f32::NAN };
        cells.iter_mut().zip(sums).for_each(|(cell, sum)| *cell = mean(sum));
    }

    /// The value of the row nearest to the middle of a day of the horizon.
    fn middle(&self, rows: &[(&RowKey, &[f32])], column: usize, day: usize) -> f32 {
        let wanted = (day * self.per_day + self.per_day / 2).min(self.steps - 1);
        let nearest = rows.iter().min_by_key(|(key, _)| (key.lead as usize).abs_diff(wanted));
        nearest.map_or(f32::NAN, |(_, row)| row[column])
    }
}

/// Least, greatest, mean of the known values.
fn summarise(values: &[f32], cells: &mut [f32]) {
    let known = || values.iter().copied().filter(|v| v.is_finite());
    let count = known().count();
    if count == 0 {
        return cells.fill(f32::NAN);
    }
    let mean = known().map(f64::from).sum::<f64>() / count as f64;
    let summary =
        [known().fold(f32::INFINITY, f32::min), known().fold(f32::NEG_INFINITY, f32::max), mean as f32];
    cells.iter_mut().zip(summary).for_each(|(cell, value)| *cell = value);
}
