//! The members that learn from the windows of all series together.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{Rows, Shape};
use super::ridge;
use crate::net::{Net, Settings};
use crate::random::Random;

/// Networks whose mean answers; a trial makes do with one.
pub const NETS: usize = 3;
const SETTINGS: Settings = Settings {
    hidden: [192, 96],
    epochs: 8,
    batch: 128,
    rates: (2e-3, 1e-5),
    dropout: 0.2,
    huber: 0.3,
    decay: 0.02,
};
/// With few windows a network passes over them more often, until it has seen about this many.
const ROWS_SEEN: usize = 120_000;
const EPOCHS_MAX: usize = 30;

/// So many series are regularisation enough: little dropout then.
const MANY: usize = 50;
const DROPOUT_OF_MANY: f32 = 0.05;

/// How many answers a team gives: of least squares, of least absolute errors, of the networks.
pub const ANSWERS: usize = 3;

/// The common members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Team {
    squares: Array2<f32>,
    median: Array2<f32>,
    /// Mean and inverse spread of every input, as the networks see them.
    center: Array1<f32>,
    spread: Array1<f32>,
    nets: Vec<Net>,
}

impl Team {
    /// Learns from the windows of so many series, with so many networks.
    #[must_use]
    pub fn learn(rows: &Rows, series: usize, nets: usize, seed: u64) -> Self {
        let (x, y) = (&rows.inputs, &rows.targets);
        let (squares, median) = (ridge::squares(x, y, &rows.units), ridge::median(x, y));
        let zeros = || Array1::zeros(x.ncols());
        let center = x.mean_axis(Axis(0)).unwrap_or_else(zeros);
        let spread = (x - &center).mapv_into(|v| v * v).mean_axis(Axis(0)).unwrap_or_else(zeros);
        let spread = spread.mapv_into(|v| if v > 1e-10 { 1.0 / v.sqrt() } else { 0.0 });
        let scaled = (x - &center) * &spread;
        let rest = y - &x.dot(&median);
        let epochs = ROWS_SEEN.div_ceil(x.nrows().max(1)).clamp(SETTINGS.epochs, EPOCHS_MAX);
        let dropout = if series < MANY { SETTINGS.dropout } else { DROPOUT_OF_MANY };
        let settings = Settings { epochs, dropout, ..SETTINGS };
        let nets = (0..nets)
            .into_par_iter()
            .map(|net| {
                let mut random = Random::new(seed, net as u64);
                let mut net = Net::learn(&scaled, &rest, &settings, &mut random);
                net.settle();
                net
            })
            .collect();
        Self { squares, median, center, spread, nets }
    }

    /// What each member says to told windows: rows x horizon moves in units.
    #[must_use]
    pub fn answer(&self, inputs: ArrayView2<'_, f32>) -> [Array2<f32>; ANSWERS] {
        let squares = inputs.dot(&self.squares);
        let median = inputs.dot(&self.median);
        let scaled = (&inputs - &self.center) * &self.spread;
        let mut nets = Array2::zeros(median.raw_dim());
        for net in &self.nets {
            nets += &net.answer(scaled.view());
        }
        nets /= self.nets.len().max(1) as f32;
        nets += &median;
        [squares, median, nets]
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, shape: Shape) -> bool {
        let size = (shape.inputs(), shape.horizon);
        [&self.squares, &self.median].iter().all(|m| m.dim() == size && m.iter().all(|v| v.is_finite()))
            && [&self.center, &self.spread]
                .iter()
                .all(|v| v.len() == size.0 && v.iter().all(|v| v.is_finite()))
            && self.nets.iter().all(|net| net.is_sound(size.0, size.1, SETTINGS.hidden))
    }
}
