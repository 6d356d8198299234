//! LEAR with one penalty a day and hour, chosen by an information criterion or by the errors of the days before.
//!
//! [`Penalty::Published`] on the windows of [`WINDOWS`], the plain mean of the four, is the LEAR ensemble of Lago, Marcjasz,
//! De Schutter and Weron, Applied Energy 293 (2021) 116983, as its figures were made: the criterion chooses a penalty for
//! inputs of unit length, and that number, smaller by the root of the days than it would be for inputs of unit variance,
//! is then the penalty for inputs in their usual scale. The degrees of freedom of a LASSO are its active
//! inputs (Zou, Hastie and Tibshirani, Annals of Statistics 35, 2007).

use forewatt_domain::Penalty;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Role};
use super::lasso;
use super::lear::LearSpec;
use super::moments::Covariances;
use super::reader::Reader;

/// Windows of the published ensemble, in days.
pub const WINDOWS: [usize; 4] = [56, 84, 1092, 1456];
/// Penalties a criterion chooses among, evenly spread in logarithms.
const LADDER: usize = 28;
/// The weakest of them, in standard deviations of the target over the square root of the number of days.
const WEAKEST: f64 = 1.0 / 32.0;
/// After so many penalties in a row that are no better than the best, weaker ones are not tried.
const PATIENCE: usize = 6;
/// Penalties that rolling errors choose among, in the same unit: each half of the one before.
const ROLLING: [f64; 8] = [4.0, 2.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125];
/// Days on which the first choice by rolling errors rests, each foretold at most so many days after learning.
const TRIAL_DAYS: usize = 56;
const TRIAL_STEP: usize = 7;
/// Days after which an error counts half.
const HALF_LIFE: f64 = 28.0;
/// Coordinates that explain less than this share of the variance have converged.
const TOLERANCE: f64 = 1e-6;

/// A regression for every output, its penalty as last chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    spec: LearSpec,
    by: Penalty,
    reader: Reader,
    /// A row of one slope per input read for every output.
    slopes: Vec<f64>,
    intercepts: Vec<f64>,
    #[serde(skip)]
    trail: Trail,
}

/// What the next choice starts from.
#[derive(Debug, Clone, PartialEq, Default)]
struct Trail {
    /// `outputs x penalties` rows of slopes, as last learned, and their intercepts.
    slopes: Vec<f64>,
    intercepts: Vec<f64>,
    /// `outputs x penalties` discounted sums of absolute errors, in scaled units; only for a choice by errors.
    errors: Vec<f64>,
    /// The end of the days learned from.
    end: usize,
}

/// One output's regression, up to the penalty.
struct Problem<'a> {
    gram: &'a [f64],
    cross: &'a [f64],
    variance: f64,
    days: f64,
}

impl Chosen {
    /// One that has learned nothing yet; a [`Penalty::Mixture`] has nothing to choose and is taken as Akaike's.
    #[must_use]
    pub fn new(spec: LearSpec, by: Penalty, roles: &[Role]) -> Self {
        let reader = Reader::new(spec.inputs, spec.transform, roles);
        Self { spec, by, reader, slopes: Vec::new(), intercepts: Vec::new(), trail: Trail::default() }
    }

    /// What it reads.
    #[must_use]
    pub fn spec(&self) -> LearSpec {
        self.spec
    }

    /// By what its penalties are chosen.
    #[must_use]
    pub fn by(&self) -> Penalty {
        self.by
    }

    /// Learns anew from the last days before `end`, starting from what it has.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        if self.by == Penalty::Rolling {
            self.try_days(frame, end);
        }
        self.fit(frame, end);
    }

    /// Adds up the errors on the days since it last learned, or on the last ones when it never has.
    fn try_days(&mut self, frame: &DayFrame, end: usize) {
        if self.trail.slopes.is_empty() {
            let begin = end - TRIAL_DAYS.min(end / 4);
            for day in (begin..end).step_by(TRIAL_STEP) {
                self.fit(frame, day);
                self.count_errors(frame, day..(day + TRIAL_STEP).min(end));
            }
        } else {
            self.count_errors(frame, self.trail.end.min(end)..end);
        }
    }

    fn count_errors(&mut self, frame: &DayFrame, days: std::ops::Range<usize>) {
        let (n, penalties) = (self.reader.inputs(), ROLLING.len());
        let keep = 0.5_f64.powf(HALF_LIFE.recip());
        self.trail.errors.resize(self.trail.intercepts.len(), 0.0);
        for day in days {
            let x = self.reader.read(&frame.inputs.row(day).to_vec());
            for (place, error) in self.trail.errors.iter_mut().enumerate() {
                let output = place / penalties;
                let actual = self.reader.scaled(output, frame.targets[(day, output)]);
                let said = self.trail.intercepts[place] + dot(&self.trail.slopes[place * n..][..n], &x);
                if actual.is_finite() {
                    *error = *error * keep + (said - actual).abs();
                }
            }
        }
    }

    fn fit(&mut self, frame: &DayFrame, end: usize) {
        let LearSpec { window, transform, .. } = self.spec;
        let found = self.reader.advance(frame, frame.span(end, window), window, transform);
        let (n, outputs) = (found.means.len(), found.levels.len());
        let ladder = ladder(self.by, found.count);
        let penalties = ladder.len();
        let fresh = self.trail.slopes.len() != outputs * penalties * n;
        if fresh {
            self.trail = Trail { slopes: vec![0.0; outputs * penalties * n], ..Trail::default() };
            self.slopes = vec![0.0; outputs * n];
        }
        let standard = (self.by == Penalty::Published).then(|| Standard::new(&found));
        let all = Problems { by: self.by, found: &found, standard, ladder, fresh };
        let errors = &self.trail.errors;
        let paths = self.trail.slopes.par_chunks_mut((penalties * n).max(1));
        let each = paths.zip(self.slopes.par_chunks_mut(n.max(1))).enumerate();
        let intercepts: Vec<(Vec<f64>, f64)> = each
            .map(|(output, (path, slopes))| {
                let errors = errors.get(output * penalties..(output + 1) * penalties).unwrap_or(&[]);
                all.settle(output, errors, path, slopes);
                let center = |slopes: &[f64]| found.levels[output] - dot(slopes, &found.means);
                (path.chunks_exact(n.max(1)).map(center).collect(), center(slopes))
            })
            .collect();
        self.trail.intercepts = intercepts.iter().flat_map(|(all, _)| all.iter().copied()).collect();
        self.intercepts = intercepts.iter().map(|(_, chosen)| *chosen).collect();
        self.trail.end = end;
    }

    /// One value per output, from raw inputs.
    #[must_use]
    pub fn predict(&self, inputs: &[f32]) -> Vec<f32> {
        let x = self.reader.read(inputs);
        let slopes = |output: usize| &self.slopes[output * x.len()..(output + 1) * x.len()];
        let scaled = |(output, intercept): (usize, &f64)| intercept + dot(slopes(output), &x);
        let outputs = self.intercepts.iter().enumerate();
        outputs.map(|of| self.reader.answer(of.0, scaled(of))).collect()
    }

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        self.reader.settle();
        self.trail = Trail::default();
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        self.reader.is_sound(inputs, outputs)
            && self.intercepts.len() == outputs
            && self.slopes.len() == outputs * self.reader.inputs()
            && self.slopes.iter().chain(&self.intercepts).all(|v| v.is_finite())
    }
}

/// Covariances of inputs of unit variance.
struct Standard {
    gram: Vec<f64>,
    cross: Vec<f64>,
}

impl Standard {
    fn new(found: &Covariances) -> Self {
        let n = found.means.len();
        let unit =
            |j: usize| if found.gram[j * n + j] > 0.0 { found.gram[j * n + j].sqrt().recip() } else { 0.0 };
        let units: Vec<f64> = (0..n).map(unit).collect();
        let scaled = |(place, value): (usize, &f64)| value * units[place % n];
        let rows =
            found.gram.iter().enumerate().map(|(place, value)| scaled((place, value)) * units[place / n]);
        Self { gram: rows.collect(), cross: found.cross.iter().enumerate().map(scaled).collect() }
    }
}

/// The regressions of all outputs on one window.
struct Problems<'a> {
    by: Penalty,
    found: &'a Covariances,
    standard: Option<Standard>,
    ladder: Vec<f64>,
    /// Whether there is no yesterday to start from.
    fresh: bool,
}

impl Problems<'_> {
    fn of<'a>(&'a self, output: usize, gram: &'a [f64], cross: &'a [f64]) -> Problem<'a> {
        let n = self.found.means.len();
        let (variance, days) = (self.found.variances[output], self.found.count);
        Problem { gram, cross: &cross[output * n..(output + 1) * n], variance, days }
    }

    /// Settles an output's slopes: the best of its path of penalties, which starts from where it stands.
    fn settle(&self, output: usize, errors: &[f64], path: &mut [f64], slopes: &mut [f64]) {
        let (n, ladder, fresh) = (slopes.len(), &self.ladder, self.fresh);
        let problem = self.of(output, &self.found.gram, &self.found.cross);
        let bayes = self.found.count.max(1.0).ln();
        let place = match (self.by, &self.standard) {
            (Penalty::Rolling, _) => {
                problem.solve_all(ladder, fresh, path);
                least(errors)
            }
            (Penalty::Published, Some(Standard { gram, cross })) => {
                let place = self.of(output, gram, cross).choose(ladder, Rule::OfVariance, fresh, path);
                let penalty = ladder[place] / self.found.count.max(1.0).sqrt();
                return problem.solve(penalty, slopes, &mut vec![0.0; n]);
            }
            (Penalty::Bic, _) => problem.choose(ladder, Rule::Corrected(bayes), fresh, path),
            _ => problem.choose(ladder, Rule::Corrected(2.0), fresh, path),
        };
        slopes.copy_from_slice(&path[place * n..(place + 1) * n]);
    }
}

/// How a criterion weighs error against active inputs.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// `days * ln(error / variance) + weight * active * days / (days - active - 1)`: Akaike's criterion as corrected for
    /// few days by Hurvich and Tsai (Biometrika 76, 1989), and the Bayesian one with the same correction. Infinite where
    /// as many inputs are active as there are days: such an error is zero whatever the inputs are.
    Corrected(f64),
    /// `days * error / variance + 2 * active`, the variance of the target in place of that of the noise, as scikit-learn
    /// had it until 2021.
    OfVariance,
}

impl Problem<'_> {
    /// Solves for every penalty, strongest first, from where the slopes stand; a first time each from the one before.
    fn solve_all(&self, ladder: &[f64], fresh: bool, slopes: &mut [f64]) {
        let mut scratch = vec![0.0; self.cross.len()];
        (0..ladder.len()).for_each(|place| self.solve_at(ladder, place, fresh, slopes, &mut scratch));
    }

    /// Solves for one penalty, in standard deviations of the target, from where the slopes stand.
    fn solve(&self, penalty: f64, slopes: &mut [f64], scratch: &mut [f64]) {
        let penalty = penalty * self.variance.sqrt();
        lasso::solve(self.gram, self.cross, penalty, TOLERANCE * self.variance, slopes, scratch);
    }

    fn solve_at(&self, ladder: &[f64], place: usize, fresh: bool, slopes: &mut [f64], scratch: &mut [f64]) {
        let n = self.cross.len();
        let (before, now) = slopes.split_at_mut(place * n);
        let now = &mut now[..n];
        if fresh && place > 0 {
            now.copy_from_slice(&before[(place - 1) * n..]);
        }
        self.solve(ladder[place], now, scratch);
    }

    /// The place of the penalty with the least criterion; weaker ones are tried until several in a row were no better.
    fn choose(&self, ladder: &[f64], rule: Rule, fresh: bool, slopes: &mut [f64]) -> usize {
        let n = self.cross.len();
        let mut scratch = vec![0.0; n];
        let (mut best, mut chosen) = (f64::INFINITY, 0);
        for place in 0..ladder.len() {
            self.solve_at(ladder, place, fresh, slopes, &mut scratch);
            let now = &slopes[place * n..(place + 1) * n];
            // The solver leaves c - G b, so that b'G b = b'(c - what it left).
            let error = self.variance - dot(now, self.cross) - dot(now, &scratch);
            let active = now.iter().filter(|slope| **slope != 0.0).count();
            let criterion = self.criterion(error, active as f64, rule);
            if criterion < best {
                (best, chosen) = (criterion, place);
            }
            if place >= chosen + PATIENCE {
                break;
            }
        }
        chosen
    }

    /// The criterion; infinite for a target that does not vary.
    fn criterion(&self, error: f64, active: f64, rule: Rule) -> f64 {
        if self.variance <= 0.0 {
            return f64::INFINITY;
        }
        let share = (error / self.variance).max(f64::EPSILON);
        let free = self.days - active - 1.0;
        match rule {
            Rule::OfVariance => self.days * share + 2.0 * active,
            Rule::Corrected(_) if free <= 0.0 => f64::INFINITY,
            Rule::Corrected(weight) => self.days * share.ln() + weight * active * self.days / free,
        }
    }
}

/// Penalties in standard deviations of the target, strongest first.
fn ladder(by: Penalty, days: f64) -> Vec<f64> {
    let root = days.max(1.0).sqrt();
    if by == Penalty::Rolling {
        return ROLLING.iter().map(|share| share / root).collect();
    }
    // At one standard deviation no input of unit variance is active.
    let step = (WEAKEST / root).powf(1.0 / (LADDER - 1) as f64);
    (0..LADDER).map(|k| step.powi(k as i32)).collect()
}

/// The place of the least; the middle of the ladder when nothing is known.
fn least(errors: &[f64]) -> usize {
    let places = 0..errors.len();
    places.min_by(|&a, &b| errors[a].total_cmp(&errors[b])).unwrap_or(ROLLING.len() / 2)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{Inputs, Transform};
    use ndarray::Array2;

    use super::*;
    use crate::days::frame::tests::daily;
    use crate::random::Random;

    const SPEC: LearSpec = LearSpec { window: 364, inputs: Inputs::Base, transform: Transform::None };
    const INPUTS: usize = 20;

    /// Days with normal inputs whose first output is `3 x0 - 2 x1 + 5` beside noise, and the second noise alone.
    fn frame(days: usize, noise: f64) -> DayFrame {
        let (_, blank) = daily(1);
        let mut random = Random::new(12, 0);
        let inputs = Array2::from_shape_simple_fn((days, INPUTS), || random.normal() as f32);
        let targets = Array2::from_shape_fn((days, 2), |(d, output)| {
            let x = inputs.row(d);
            let said = if output == 0 { 3.0 * x[0] - 2.0 * x[1] + 5.0 } else { 0.0 };
            said + (noise * random.normal()) as f32
        });
        DayFrame { inputs, targets, ..blank }
    }

    fn learned(by: Penalty, frame: &DayFrame, end: usize) -> Chosen {
        let mut chosen = Chosen::new(SPEC, by, &[Role::Past(1); INPUTS]);
        chosen.learn(frame, end);
        chosen
    }

    fn active(chosen: &Chosen, output: usize) -> usize {
        chosen.slopes[output * INPUTS..(output + 1) * INPUTS].iter().filter(|b| **b != 0.0).count()
    }

    #[test]
    fn every_choice_finds_the_inputs_that_made_the_days() {
        let frame = frame(364, 0.3);
        for by in [Penalty::Aic, Penalty::Bic, Penalty::Rolling, Penalty::Published] {
            let chosen = learned(by, &frame, 364);
            assert!(chosen.is_sound(INPUTS, 2) && !chosen.is_sound(INPUTS - 1, 2));
            let mut inputs = [0.0; INPUTS];
            inputs[0] = 1.0;
            let (zero, one) = (chosen.predict(&[0.0; INPUTS])[0], chosen.predict(&inputs)[0]);
            assert!((zero - 5.0).abs() < 0.4 && (one - zero - 3.0).abs() < 0.4, "{by}: {zero} {one}");
        }
        let (aic, bic) = (learned(Penalty::Aic, &frame, 364), learned(Penalty::Bic, &frame, 364));
        assert!((2..8).contains(&active(&bic, 0)) && active(&bic, 0) <= active(&aic, 0));
        assert_eq!(active(&bic, 1), 0, "where there is nothing to say, nothing is active");
    }

    #[test]
    fn the_choice_has_the_least_criterion_of_all_penalties() {
        let frame = frame(120, 2.0);
        let mut reader = Reader::new(SPEC.inputs, SPEC.transform, &[Role::Past(1); INPUTS]);
        let found = reader.advance(&frame, 0..120, 364, SPEC.transform);
        let problem = Problem {
            gram: &found.gram,
            cross: &found.cross[..INPUTS],
            variance: found.variances[0],
            days: found.count,
        };
        let ladder = ladder(Penalty::Aic, found.count);
        let mut slopes = vec![0.0; LADDER * INPUTS];
        let chosen = problem.choose(&ladder, Rule::Corrected(2.0), true, &mut slopes);
        let mut all = vec![0.0; LADDER * INPUTS];
        problem.solve_all(&ladder, true, &mut all);
        // From the residuals of every day, not from covariances.
        let criterion = |slopes: &[f64]| {
            let center = found.levels[0] - dot(slopes, &found.means);
            let error = |d: usize| {
                let x = reader.read(&frame.inputs.row(d).to_vec());
                (reader.scaled(0, frame.targets[(d, 0)]) - center - dot(slopes, &x)).powi(2)
            };
            let active = slopes.iter().filter(|b| **b != 0.0).count() as f64;
            let share = (0..120).map(error).sum::<f64>() / (120.0 * found.variances[0]);
            120.0 * share.ln() + 2.0 * active * 120.0 / (119.0 - active)
        };
        let all: Vec<f64> = all.chunks_exact(INPUTS).map(criterion).collect();
        let best = all.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(all[chosen] <= best + 1e-6, "{} at {chosen}, {best} is there", all[chosen]);
        assert!(all[0] > best + 10.0 && *all.last().unwrap() > best + 1.0, "there was something to choose");
    }

    #[test]
    fn the_published_choice_is_made_for_inputs_of_unit_variance() {
        let frame = frame(200, 1.0);
        let mut reader = Reader::new(SPEC.inputs, SPEC.transform, &[Role::Past(1); INPUTS]);
        let found = reader.advance(&frame, 0..200, 364, SPEC.transform);
        let mut stretched = found.clone();
        (0..INPUTS).for_each(|j| stretched.gram[j] *= 50.0);
        (0..INPUTS).for_each(|i| stretched.gram[i * INPUTS] *= 50.0);
        (0..2).for_each(|output| stretched.cross[output * INPUTS] *= 50.0);
        let (usual, other) = (Standard::new(&found), Standard::new(&stretched));
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(&usual.gram, &other.gram) && near(&usual.cross, &other.cross));
        assert!((0..INPUTS).all(|j| (usual.gram[j * INPUTS + j] - 1.0).abs() < 1e-9));
        let (published, aic) = (learned(Penalty::Published, &frame, 200), learned(Penalty::Aic, &frame, 200));
        assert!(active(&published, 0) > active(&aic, 0), "its penalty is weaker by the root of the days");
    }

    #[test]
    fn with_more_inputs_than_days_not_every_day_is_learned_by_heart() {
        let frame = frame(16, 1.0);
        for by in [Penalty::Aic, Penalty::Bic] {
            let chosen = learned(by, &frame, 16);
            assert!(active(&chosen, 0) < 10 && active(&chosen, 1) < 10, "{by}");
        }
    }

    #[test]
    fn rolling_errors_are_those_of_days_not_yet_learned() {
        let frame = frame(200, 0.5);
        let mut chosen = learned(Penalty::Rolling, &frame, 150);
        let mut other = frame;
        // A day later than all that was known changes nothing, and is counted once it is known.
        other.targets.row_mut(150).fill(400.0);
        let before = chosen.trail.errors.clone();
        assert_eq!(learned(Penalty::Rolling, &other, 150).trail.errors, before);
        let slopes = chosen.trail.slopes.clone();
        chosen.learn(&other, 151);
        assert!(chosen.trail.errors.iter().zip(&before).all(|(now, then)| now > then));
        assert_ne!(chosen.trail.slopes, slopes);
        assert_eq!(least(&[3.0, 1.0, 2.0]), 1);
        assert_eq!(least(&[]), ROLLING.len() / 2);
    }
}
