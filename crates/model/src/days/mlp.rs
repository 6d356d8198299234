//! A small neural network (`Net`) from a day's inputs to the whole day ahead, that learns on every day.
//!
//! From scratch now and then, on up to four years of days; in between a few steps after each day.

use forewatt_domain::Transform;
use ndarray::{Array2, Axis, s};
use serde::{Deserialize, Serialize};

use super::frame::DayFrame;
use super::reader::scaled_targets;
use super::scale::Scaler;
use crate::net::{Net, Settings};
use crate::random::Random;

const SETTINGS: Settings = Settings {
    hidden: [192, 128],
    epochs: 40,
    batch: 32,
    rates: (4e-3, 1e-4),
    dropout: 0.2,
    huber: 0.05,
    decay: 0.2,
};
/// Days learned from.
const WINDOW: usize = 1456;
/// Steps after every new day, at the last rate.
const DAILY_STEPS: usize = 8;
/// After so many days it learns from scratch again.
const RENEWAL_DAYS: usize = 91;

/// A network, as last learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
    seed: u64,
    inputs: Scaler,
    outputs: Scaler,
    net: Net,
    /// Day at which it began from scratch.
    begun: Option<usize>,
}

impl Mlp {
    /// One that has learned nothing yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let none = Scaler::new(Array2::zeros((0, 0)).view(), Transform::Asinh);
        Self { seed, inputs: none.clone(), outputs: none, net: Net::empty(), begun: None }
    }

    /// Learns from the last days before `end`: from scratch now and then, else a few steps more.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        let days = frame.span(end, WINDOW);
        let mut random = Random::new(self.seed, end as u64);
        if self.begun.is_none_or(|begun| end >= begun + RENEWAL_DAYS) {
            let targets = frame.targets.slice(s![days.clone(), ..]);
            let inputs = frame.common().slice_move(s![days, ..]);
            self.inputs = Scaler::new(inputs, Transform::Asinh);
            self.outputs = Scaler::new(targets, Transform::Asinh);
            let x = self.inputs.forward_all(inputs);
            let y = scaled_targets(&self.outputs, targets);
            self.net = Net::learn(&x, &y, &SETTINGS, &mut random);
            self.begun = Some(end);
            return;
        }
        let drawn: Vec<usize> =
            (0..DAILY_STEPS * SETTINGS.batch).map(|_| days.start + random.below(days.len())).collect();
        let x = self.inputs.forward_all(frame.common().select(Axis(0), &drawn).view());
        let y = scaled_targets(&self.outputs, frame.targets.select(Axis(0), &drawn).view());
        let rows: Vec<usize> = (0..drawn.len()).collect();
        for batch in rows.chunks(SETTINGS.batch) {
            self.net.descend((&x, &y), batch, SETTINGS.rates.1, &SETTINGS, &mut random);
        }
    }

    /// Drops the running moments, which only learning needs.
    pub fn settle(&mut self) {
        self.net.settle();
    }

    /// The answer from raw inputs, one value per output.
    #[must_use]
    pub fn predict(&self, inputs: &[f32]) -> Vec<f32> {
        // The candidates that follow are for those who choose among inputs.
        let x = self.inputs.forward_row(&inputs[..self.inputs.columns()]);
        let n = x.len();
        let output = match Array2::from_shape_vec((1, n), x) {
            Ok(x) => self.net.answer(x.view()),
            Err(_) => Array2::zeros((1, self.outputs.columns())), // one row of n values always has that shape
        };
        output.iter().enumerate().map(|(c, &v)| self.outputs.inverse(c, v)).collect()
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        self.inputs.is_sound(inputs)
            && self.outputs.is_sound(outputs)
            && self.net.is_sound(inputs, outputs, SETTINGS.hidden)
    }
}
