//! What a regression on whole days reads: some inputs and all outputs of a moving window of days, in its scale.

use std::ops::Range;

use forewatt_domain::{Inputs, Transform};
use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Role};
use super::moments::{Covariances, Moments, Window};
use super::scale::Scaler;

/// Inputs, both scales and the days summed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    /// Inputs read.
    columns: Vec<u32>,
    inputs: Scaler,
    outputs: Scaler,
    #[serde(skip)]
    window: Option<Window>,
}

/// Whether a regression that may read `inputs` reads one that says `role`.
fn is_read(inputs: Inputs, role: Role) -> bool {
    match role {
        Role::Past(_) | Role::Ahead(_) | Role::Weekday => true,
        Role::Like | Role::Season => inputs != Inputs::Base,
        Role::Extra => matches!(inputs, Inputs::Summaries | Inputs::All),
        Role::Candidate => inputs == Inputs::All,
    }
}

impl Reader {
    /// One that has read no day yet.
    #[must_use]
    pub fn new(inputs: Inputs, transform: Transform, roles: &[Role]) -> Self {
        let columns = (0..roles.len()).filter(|&c| is_read(inputs, roles[c])).map(|c| c as u32).collect();
        let none = Scaler::new(Array2::zeros((0, 0)).view(), transform);
        Self { columns, inputs: none.clone(), outputs: none, window: None }
    }

    /// How many inputs it reads.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.columns.len()
    }

    /// How many outputs it has seen.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.outputs.columns()
    }

    /// Moves the window of `length` days on to `days`, one by one where that will do, and tells their covariances.
    pub fn advance(
        &mut self,
        frame: &DayFrame,
        days: Range<usize>,
        length: usize,
        transform: Transform,
    ) -> Covariances {
        let places: Vec<usize> = self.columns.iter().map(|&c| c as usize).collect();
        let inputs = |days: Range<usize>| frame.inputs.slice(s![days, ..]).select(Axis(1), &places);
        let targets = |days: Range<usize>| frame.targets.slice(s![days, ..]);
        let old = self.window.take().filter(|window| window.goes_on(&days, length));
        let window = if let Some(Window { days: known, renewed, mut moments }) = old {
            for (span, sign) in [(known.end..days.end, 1.0), (known.start..days.start, -1.0)] {
                let x = self.inputs.forward_all(inputs(span.clone()).view()).mapv(f64::from);
                let y = scaled_targets(&self.outputs, targets(span)).mapv(f64::from);
                for (x, y) in x.rows().into_iter().zip(y.rows()) {
                    moments.add(&x.to_vec(), &y.to_vec(), sign);
                }
            }
            Window { days, renewed, moments }
        } else {
            let raw = inputs(days.clone());
            self.inputs = Scaler::new(raw.view(), transform);
            self.outputs = Scaler::new(targets(days.clone()), transform);
            let x = self.inputs.forward_all(raw.view()).mapv(f64::from);
            let y = scaled_targets(&self.outputs, targets(days.clone())).mapv(f64::from);
            Window { renewed: days.end, days, moments: Moments::new(x.view(), y.view()) }
        };
        self.window.insert(window).moments.covariances()
    }

    /// The inputs read of all of a day's, scaled.
    #[must_use]
    pub fn read(&self, inputs: &[f32]) -> Vec<f64> {
        let read = self.columns.iter().enumerate();
        read.map(|(place, &c)| f64::from(self.inputs.forward(place, inputs[c as usize]))).collect()
    }

    /// A scaled answer in the unit of the output.
    #[must_use]
    pub fn answer(&self, output: usize, scaled: f64) -> f32 {
        self.outputs.inverse(output, scaled as f32)
    }

    /// An output scaled; NaN where it is unknown.
    #[must_use]
    pub fn scaled(&self, output: usize, value: f32) -> f64 {
        f64::from(self.outputs.forward_known(output, value))
    }

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        self.window = None;
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        self.columns.iter().all(|&c| (c as usize) < inputs)
            && self.inputs.is_sound(self.columns.len())
            && self.outputs.is_sound(outputs)
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

    fn reader(roles: &[Role]) -> Reader {
        Reader::new(Inputs::Summaries, Transform::None, roles)
    }

    fn advance(reader: &mut Reader, frame: &DayFrame, end: usize) -> Covariances {
        reader.advance(frame, frame.span(end, 364), 364, Transform::None)
    }

    fn frame(days: usize, inputs: usize) -> DayFrame {
        let (_, blank) = daily(1);
        let mut random = Random::new(12, 0);
        let inputs = Array2::from_shape_simple_fn((days, inputs), || random.normal() as f32);
        let targets = Array2::from_shape_fn((days, 2), |(d, output)| inputs[(d, output)] + 5.0);
        DayFrame { inputs, targets, ..blank }
    }

    #[test]
    fn a_window_that_moved_day_by_day_equals_one_learned_anew_in_its_scale() {
        let frame = frame(380, 12);
        let mut moved = reader(&[Role::Past(1); 12]);
        // A window of 364 days is renewed after six and half: until then it moves.
        for end in 370..376 {
            advance(&mut moved, &frame, end);
        }
        let window = moved.window.clone().unwrap();
        assert_eq!((window.days.clone(), window.renewed), (11..375, 370), "it moved and was not renewed");
        let mut anew = reader(&[Role::Past(1); 12]);
        (anew.inputs, anew.outputs) = (moved.inputs.clone(), moved.outputs.clone());
        let none = Moments::new(Array2::zeros((0, 12)).view(), Array2::zeros((0, 2)).view());
        anew.window = Some(Window { days: 11..11, renewed: 370, moments: none });
        advance(&mut anew, &frame, 375);
        let learned = anew.window.clone().unwrap();
        assert_eq!((learned.days, learned.renewed), (11..375, 370));
        let (a, b) = (window.moments.covariances(), learned.moments.covariances());
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert_eq!(a.count, b.count);
        assert!(near(&a.gram, &b.gram) && near(&a.cross, &b.cross) && near(&a.means, &b.means));
        assert!(near(&a.levels, &b.levels) && near(&a.variances, &b.variances));
        advance(&mut moved, &frame, 376);
        assert_eq!(moved.window.unwrap().renewed, 376, "now the scale follows");
    }

    #[test]
    fn every_set_of_inputs_holds_the_one_before() {
        let roles = [
            Role::Past(1),
            Role::Ahead(0),
            Role::Weekday,
            Role::Like,
            Role::Season,
            Role::Extra,
            Role::Candidate,
        ];
        let read = |inputs| Reader::new(inputs, Transform::None, &roles).columns.len();
        let sets = [Inputs::Base, Inputs::Courses, Inputs::Summaries, Inputs::All];
        assert_eq!(sets.map(read), [3, 5, 6, 7]);
    }

    #[test]
    fn holes_are_read_between_their_neighbours() {
        let seen = ndarray::array![[-1.0_f32, -1.0, -1.0, -1.0], [1.0, 1.0, 1.0, 1.0]];
        let scaler = Scaler::new(seen.view(), Transform::None);
        let (nan, unit) = (f32::NAN, scaler.forward(0, 1.0));
        let holes = ndarray::array![[0.0_f32, nan, 1.0, nan], [nan, nan, nan, nan], [nan, 1.0, 1.0, 1.0]];
        let filled = scaled_targets(&scaler, holes.view());
        assert_eq!(filled.row(0).to_vec(), [0.0, unit / 2.0, unit, unit]);
        assert_eq!(filled.row(1).to_vec(), [0.0; 4]);
        assert_eq!(filled.row(2).to_vec(), [unit; 4]);
    }
}
