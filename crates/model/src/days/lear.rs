//! LEAR: for every hour of the day ahead one LASSO on the whole course of the days before, learned anew every day.
//!
//! Uniejewski, Nowotarski and Weron, "Automated variable selection and shrinkage for day-ahead electricity price
//! forecasting", Energies 9 (2016) 621; Lago, Marcjasz, De Schutter and Weron, Applied Energy 293 (2021) 116983.
//! Unlike there no penalty is chosen: every one is an expert of its own, and the mixture weighs them. All outputs
//! share one matrix of covariances, and every fit starts from yesterday's.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Role};
use super::lasso;
use super::moments::{Covariances, Moments, Window};
use super::scale::Scaler;

/// Penalties, in standard deviations of the target over the square root of the number of days.
pub const PENALTIES: [f64; 6] = [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125];
/// Coordinates that explain less than this share of the variance have converged.
const TOLERANCE: f64 = 1e-6;

/// What one LEAR reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearSpec {
    /// Days learned from.
    pub window: usize,
    /// Whether summaries of the inputs are inputs too.
    pub extras: bool,
    /// Whether tails are compressed.
    pub asinh: bool,
}

/// The LEARs of the mixture.
pub const SPECS: [LearSpec; 5] = [
    LearSpec { window: 56, extras: true, asinh: true },
    LearSpec { window: 84, extras: true, asinh: true },
    LearSpec { window: 364, extras: true, asinh: true },
    LearSpec { window: 1456, extras: true, asinh: true },
    LearSpec { window: 1456, extras: false, asinh: false },
];

/// Regressions for every output and penalty, as last learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lear {
    spec: LearSpec,
    /// Inputs read.
    columns: Vec<u32>,
    inputs: Scaler,
    outputs: Scaler,
    /// `outputs x penalties` rows of one slope per column read.
    slopes: Vec<f64>,
    /// `outputs x penalties`.
    intercepts: Vec<f64>,
    #[serde(skip)]
    window: Option<Window>,
}

impl Lear {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new(spec: LearSpec, roles: &[Role]) -> Self {
        let read = |c: &usize| spec.extras || roles[*c] != Role::Extra;
        let columns: Vec<u32> = (0..roles.len()).filter(read).map(|c| c as u32).collect();
        let none = Scaler::new(Array2::zeros((0, 0)).view(), spec.asinh);
        Self {
            spec,
            columns,
            inputs: none.clone(),
            outputs: none,
            slopes: Vec::new(),
            intercepts: Vec::new(),
            window: None,
        }
    }

    /// What it reads.
    #[must_use]
    pub fn spec(&self) -> LearSpec {
        self.spec
    }

    /// How many experts it is.
    #[must_use]
    pub fn experts(&self) -> usize {
        PENALTIES.len()
    }

    /// Learns anew from the last days before `end`, starting from the slopes it has.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        self.advance(frame, frame.span(end, self.spec.window));
        let Some(window) = &self.window else { return };
        let Covariances { count, gram, means, cross, levels, variances } = window.moments.covariances();
        let (n, outputs) = (means.len(), levels.len());
        let each = n * PENALTIES.len();
        let fresh = self.slopes.len() != outputs * each;
        if fresh {
            self.slopes = vec![0.0; outputs * each];
        }
        let slopes = self.slopes.par_chunks_mut(each.max(1)).zip(cross.par_chunks(n.max(1))).enumerate();
        let intercepts: Vec<Vec<f64>> = slopes
            .map(|(output, (slopes, c))| {
                fit_output(&gram, c, variances[output], count, fresh, slopes);
                let center = |slopes: &[f64]| slopes.iter().zip(&means).map(|(b, m)| b * m).sum::<f64>();
                slopes.chunks_exact(n.max(1)).map(|slopes| levels[output] - center(slopes)).collect()
            })
            .collect();
        self.intercepts = intercepts.concat();
    }

    /// Moves the window on, day by day where that will do.
    fn advance(&mut self, frame: &DayFrame, days: Range<usize>) {
        let places: Vec<usize> = self.columns.iter().map(|&c| c as usize).collect();
        let inputs = |days: Range<usize>| frame.inputs.slice(s![days, ..]).select(Axis(1), &places);
        let targets = |days: Range<usize>| frame.targets.slice(s![days, ..]);
        let old = self.window.take().filter(|window| window.goes_on(&days, self.spec.window));
        let Some(Window { days: known, renewed, mut moments }) = old else {
            let raw = inputs(days.clone());
            self.inputs = Scaler::new(raw.view(), self.spec.asinh);
            self.outputs = Scaler::new(targets(days.clone()), self.spec.asinh);
            let x = self.inputs.forward_all(raw.view()).mapv(f64::from);
            let y = scaled_targets(&self.outputs, targets(days.clone())).mapv(f64::from);
            let moments = Moments::new(x.view(), y.view());
            self.window = Some(Window { renewed: days.end, days, moments });
            return;
        };
        for (span, sign) in [(known.end..days.end, 1.0), (known.start..days.start, -1.0)] {
            let x = self.inputs.forward_all(inputs(span.clone()).view()).mapv(f64::from);
            let y = scaled_targets(&self.outputs, targets(span)).mapv(f64::from);
            for (x, y) in x.rows().into_iter().zip(y.rows()) {
                moments.add(&x.to_vec(), &y.to_vec(), sign);
            }
        }
        self.window = Some(Window { days, renewed, moments });
    }

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        self.window = None;
    }

    /// Every expert's answer, `experts x outputs`, from raw inputs.
    #[must_use]
    pub fn predict(&self, inputs: &[f32]) -> Array2<f32> {
        let read: Vec<f32> = self.columns.iter().map(|&c| inputs[c as usize]).collect();
        let x: Vec<f64> = self.inputs.forward_row(&read).into_iter().map(f64::from).collect();
        let n = x.len();
        let outputs = self.outputs.columns();
        Array2::from_shape_fn((PENALTIES.len(), outputs), |(p, output)| {
            let place = output * PENALTIES.len() + p;
            let slopes = &self.slopes[place * n..(place + 1) * n];
            let scaled = self.intercepts[place] + slopes.iter().zip(&x).map(|(b, v)| b * v).sum::<f64>();
            self.outputs.inverse(output, scaled as f32)
        })
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        let n = self.columns.len();
        self.columns.iter().all(|&c| (c as usize) < inputs)
            && self.inputs.is_sound(n)
            && self.outputs.is_sound(outputs)
            && self.slopes.len() == outputs * PENALTIES.len() * n
            && self.intercepts.len() == outputs * PENALTIES.len()
            && self.slopes.iter().chain(&self.intercepts).all(|v| v.is_finite())
    }
}

/// One output along the penalties, strongest first; a first fit starts each from the one before.
fn fit_output(gram: &[f64], c: &[f64], variance: f64, days: f64, fresh: bool, slopes: &mut [f64]) {
    let n = c.len();
    let mut scratch = vec![0.0; n];
    for p in 0..PENALTIES.len() {
        let (before, now) = slopes.split_at_mut(p * n);
        let now = &mut now[..n];
        if fresh && p > 0 {
            now.copy_from_slice(&before[(p - 1) * n..]);
        }
        let penalty = PENALTIES[p] * (variance / days).sqrt();
        lasso::solve(gram, c, penalty, TOLERANCE * variance, now, &mut scratch);
    }
}

/// Scaled targets without holes: a missing value is read between the day's neighbouring known ones, in scaled
/// units, so that a day is not lost for an hour. A day without any value counts as an ordinary one.
pub(super) fn scaled_targets(scaler: &Scaler, targets: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut scaled =
        Array2::from_shape_fn(targets.raw_dim(), |(r, c)| scaler.forward_known(c, targets[(r, c)]));
    for mut day in scaled.rows_mut() {
        if day.iter().all(|v| v.is_finite()) {
            continue;
        }
        let known: Vec<usize> = (0..day.len()).filter(|&i| day[i].is_finite()).collect();
        let filled = |i: usize| -> f32 {
            let next = known.partition_point(|&k| k < i);
            match (next.checked_sub(1).map(|p| known[p]), known.get(next)) {
                (Some(a), Some(&b)) => day[a] + (day[b] - day[a]) * (i - a) as f32 / (b - a) as f32,
                (Some(only), None) => day[only],
                (None, Some(&only)) => day[only],
                (None, None) => 0.0,
            }
        };
        let holes: Vec<(usize, f32)> =
            (0..day.len()).filter(|&i| !day[i].is_finite()).map(|i| (i, filled(i))).collect();
        holes.into_iter().for_each(|(i, value)| day[i] = value);
    }
    scaled
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::tests::daily;
    use crate::random::Random;

    const PLAIN: LearSpec = LearSpec { window: 364, extras: true, asinh: false };

    /// Days with normal inputs, and outputs `3 x0 - 2 x1 + 5` and `x2` beside some noise.
    fn frame(days: usize, inputs: usize) -> DayFrame {
        let (_, blank) = daily(1);
        let mut random = Random::new(12, 0);
        let inputs = Array2::from_shape_simple_fn((days, inputs), || random.normal() as f32);
        let targets = Array2::from_shape_fn((days, 2), |(d, output)| {
            let x = inputs.row(d);
            let said = if output == 0 { 3.0 * x[0] - 2.0 * x[1] + 5.0 } else { x[2] };
            said + 0.05 * random.normal() as f32
        });
        DayFrame { inputs, targets, ..blank }
    }

    #[test]
    fn it_recovers_the_coefficients_that_made_the_days() {
        let frame = frame(364, 20);
        let mut lear = Lear::new(PLAIN, &[Role::Past(1); 20]);
        lear.learn(&frame, 364);
        assert!(lear.is_sound(20, 2) && !lear.is_sound(19, 2) && !lear.is_sound(20, 3));
        let at = |inputs: &[f32]| lear.predict(inputs);
        let zero = at(&[0.0; 20]);
        let slope = |column: usize, expert: usize, output: usize| {
            let mut inputs = [0.0; 20];
            inputs[column] = 1.0;
            at(&inputs)[(expert, output)] - zero[(expert, output)]
        };
        let weakest = PENALTIES.len() - 1;
        let near = |value: f32, expected: f32| assert!((value - expected).abs() < 0.05, "{value} {expected}");
        near(zero[(weakest, 0)], 5.0);
        for (column, of_first, of_second) in [(0, 3.0, 0.0), (1, -2.0, 0.0), (2, 0.0, 1.0), (9, 0.0, 0.0)] {
            near(slope(column, weakest, 0), of_first);
            near(slope(column, weakest, 1), of_second);
        }
        assert!(slope(0, 0, 0) < slope(0, weakest, 0), "the strongest penalty shrinks most");
        assert_eq!(slope(9, 0, 0), 0.0, "and leaves out what does not matter");
    }

    #[test]
    fn a_window_that_moved_day_by_day_equals_one_learned_anew_in_its_scale() {
        let frame = frame(380, 12);
        let mut moved = Lear::new(PLAIN, &[Role::Past(1); 12]);
        // A window of 364 days is renewed after six and half: until then it moves.
        for end in 370..376 {
            moved.learn(&frame, end);
        }
        let window = moved.window.clone().unwrap();
        assert_eq!((window.days.clone(), window.renewed), (11..375, 370), "it moved and was not renewed");
        let mut anew = Lear::new(PLAIN, &[Role::Past(1); 12]);
        (anew.inputs, anew.outputs) = (moved.inputs.clone(), moved.outputs.clone());
        let none = Moments::new(Array2::zeros((0, 12)).view(), Array2::zeros((0, 2)).view());
        anew.window = Some(Window { days: 11..11, renewed: 370, moments: none });
        anew.learn(&frame, 375);
        let learned = anew.window.clone().unwrap();
        assert_eq!((learned.days, learned.renewed), (11..375, 370));
        let (a, b) = (window.moments.covariances(), learned.moments.covariances());
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert_eq!(a.count, b.count);
        assert!(near(&a.gram, &b.gram) && near(&a.cross, &b.cross) && near(&a.means, &b.means));
        assert!(near(&a.levels, &b.levels) && near(&a.variances, &b.variances));
        // Coordinate descent stops short of the exact answer, and not at the same place from another start.
        let asked: Vec<f32> = frame.inputs.row(379).to_vec();
        let off = moved.predict(&asked) - anew.predict(&asked);
        assert!(off.iter().all(|off| off.abs() < 0.05), "{off}");
        moved.learn(&frame, 376);
        assert_eq!(moved.window.unwrap().renewed, 376, "now the scale follows");
    }

    #[test]
    fn without_extras_it_reads_no_summaries() {
        let roles = [Role::Past(1), Role::Extra, Role::Past(1), Role::Extra];
        let lear = Lear::new(LearSpec { extras: false, ..PLAIN }, &roles);
        assert_eq!(lear.columns, [0, 2]);
    }

    #[test]
    fn holes_are_read_between_their_neighbours() {
        let seen = ndarray::array![[-1.0_f32, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0]];
        let scaler = Scaler::new(seen.view(), false);
        let (nan, unit) = (f32::NAN, scaler.forward(0, 1.0));
        let holes = ndarray::array![[0.0_f32, nan, 1.0, nan], [nan, nan, nan, nan], [nan, 1.0, 1.0, 1.0]];
        let filled = scaled_targets(&scaler, holes.view());
        assert_eq!(filled.row(0).to_vec(), [0.0, unit / 2.0, unit, unit]);
        assert_eq!(filled.row(1).to_vec(), [0.0; 4]);
        assert_eq!(filled.row(2).to_vec(), [unit; 4]);
    }
}
