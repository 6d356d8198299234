//! LEAR: for every hour of the day ahead one LASSO on the whole course of the days before, learned anew every day.
//!
//! Uniejewski, Nowotarski and Weron, "Automated variable selection and shrinkage for day-ahead electricity price
//! forecasting", Energies 9 (2016) 621; Lago, Marcjasz, De Schutter and Weron, Applied Energy 293 (2021) 116983.
//! Unlike there no penalty is chosen: every one is an expert of its own, and the mixture weighs them. All outputs
//! share one matrix of covariances, and every fit starts from yesterday's.

use forewatt_domain::{Choice, Inputs, Transform};
use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Role};
use super::lasso;
use super::moments::Covariances;
use super::reader::Reader;

/// Penalties, in standard deviations of the target over the square root of the number of days.
pub const PENALTIES: [f64; 6] = [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125];
/// Coordinates that explain less than this share of the variance have converged.
const TOLERANCE: f64 = 1e-6;

/// What one LEAR reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearSpec {
    /// Days learned from.
    pub window: usize,
    /// What it may choose among.
    pub inputs: Inputs,
    /// The transform of inputs and outputs.
    pub transform: Transform,
}

/// The LEARs of the mixture. No transform is best for all prices and years, so two are weighed.
pub const SPECS: [LearSpec; 7] = [
    LearSpec { window: 56, inputs: Inputs::Summaries, transform: Transform::Asinh },
    LearSpec { window: 84, inputs: Inputs::Summaries, transform: Transform::Asinh },
    LearSpec { window: 364, inputs: Inputs::Summaries, transform: Transform::Asinh },
    LearSpec { window: 1456, inputs: Inputs::Summaries, transform: Transform::Asinh },
    LearSpec { window: 1456, inputs: Inputs::Courses, transform: Transform::None },
    LearSpec { window: 84, inputs: Inputs::Summaries, transform: Transform::BoxCox },
    LearSpec { window: 1456, inputs: Inputs::Summaries, transform: Transform::BoxCox },
];

impl LearSpec {
    /// The same with the transform and the inputs asked for: the plain one stays what it is, another voice, and there
    /// is no other transform beside the one asked for.
    #[must_use]
    pub fn asked(self, choice: &Choice) -> Option<Self> {
        match self.transform {
            Transform::None => Some(self),
            Transform::Asinh => Some(Self {
                inputs: choice.inputs.unwrap_or(self.inputs),
                transform: choice.transform.unwrap_or(self.transform),
                ..self
            }),
            _ if choice.transform.is_some() => None,
            _ => Some(Self { inputs: choice.inputs.unwrap_or(self.inputs), ..self }),
        }
    }
}

/// Regressions for every output and penalty, as last learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lear {
    spec: LearSpec,
    reader: Reader,
    /// `outputs x penalties` rows of one slope per column read.
    slopes: Vec<f64>,
    /// `outputs x penalties`.
    intercepts: Vec<f64>,
}

impl Lear {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new(spec: LearSpec, roles: &[Role]) -> Self {
        let reader = Reader::new(spec.inputs, spec.transform, roles);
        Self { spec, reader, slopes: Vec::new(), intercepts: Vec::new() }
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
        let LearSpec { window, transform, .. } = self.spec;
        let Covariances { count, gram, means, cross, levels, variances } =
            self.reader.advance(frame, frame.span(end, window), window, transform);
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

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        self.reader.settle();
    }

    /// Every expert's answer, `experts x outputs`, from raw inputs.
    #[must_use]
    pub fn predict(&self, inputs: &[f32]) -> Array2<f32> {
        let x = self.reader.read(inputs);
        let (n, outputs) = (x.len(), self.reader.outputs());
        Array2::from_shape_fn((PENALTIES.len(), outputs), |(p, output)| {
            let place = output * PENALTIES.len() + p;
            let slopes = &self.slopes[place * n..(place + 1) * n];
            let scaled = self.intercepts[place] + slopes.iter().zip(&x).map(|(b, v)| b * v).sum::<f64>();
            self.reader.answer(output, scaled)
        })
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        let n = self.reader.inputs();
        self.reader.is_sound(inputs, outputs)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::tests::daily;
    use crate::random::Random;

    const PLAIN: LearSpec = LearSpec { window: 364, inputs: Inputs::Summaries, transform: Transform::None };

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
    fn what_is_asked_for_changes_all_but_the_plain_one() {
        let choice =
            Choice { transform: Some(Transform::Probit), inputs: Some(Inputs::All), ..Choice::default() };
        let asked: Vec<LearSpec> = SPECS.iter().filter_map(|spec| spec.asked(&choice)).collect();
        assert_eq!(asked.len(), 5);
        assert!(asked[..4].iter().all(|s| s.transform == Transform::Probit && s.inputs == Inputs::All));
        assert_eq!(asked[4], SPECS[4]);
        assert_eq!(SPECS.map(|spec| spec.asked(&Choice::default())), SPECS.map(Some));
    }
}
