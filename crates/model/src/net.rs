//! A small neural network with two hidden layers and a linear path beside them.
//!
//! `output = hidden path + inputs * skip`; leaky ReLU and dropout, Huber loss on scaled targets, Adam with decoupled
//! weight decay (Huber 1964; Kingma and Ba 2015; Loshchilov and Hutter 2019). The linear path matters most: without
//! it the net loses to a LASSO. Deterministic for a seed. What is learned, from what and how often is the caller's.

#![allow(
    clippy::needless_pass_by_value,
    reason = "views of arrays and iterators over them are passed by value, as ndarray itself does"
)]

use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::wide::wide;

/// Slope of the activation below zero.
const LEAK: f32 = 0.1;
/// Decay of Adam's running moments, and what keeps its division from zero.
const MOMENTS: (f32, f32) = (0.9, 0.999);
const EPSILON: f32 = 1e-8;

/// How a network is learned.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Sizes of the hidden layers.
    pub hidden: [usize; 2],
    /// Passes over the rows when it learns from scratch.
    pub epochs: usize,
    /// Rows of one step.
    pub batch: usize,
    /// Learning rate at the beginning and the end of learning from scratch, in half a cosine.
    pub rates: (f32, f32),
    /// Share of hidden values left out of a step.
    pub dropout: f32,
    /// Where the loss turns from square to absolute, in scaled units.
    pub huber: f32,
    /// Weight decay per step and learning rate.
    pub decay: f32,
}

/// A matrix of weights with its running moments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Layer {
    weights: Array2<f32>,
    bias: Array1<f32>,
    #[serde(skip)]
    moments: Option<Box<Moments>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Moments {
    first: Array2<f32>,
    second: Array2<f32>,
    bias_first: Array1<f32>,
    bias_second: Array1<f32>,
}

/// A network, as last learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Net {
    first: Layer,
    second: Layer,
    last: Layer,
    /// From the inputs straight to the outputs.
    skip: Layer,
    /// Steps taken since it began from scratch.
    steps: u32,
}

/// What a forward pass keeps for the way back.
struct Pass {
    first: Array2<f32>,
    second: Array2<f32>,
    output: Array2<f32>,
}

impl Layer {
    fn new(inputs: usize, outputs: usize, gain: f32, random: &mut Random) -> Self {
        let spread = gain / (inputs.max(1) as f32).sqrt();
        let weights = Array2::from_shape_simple_fn((inputs, outputs), || spread * random.normal() as f32);
        Self { weights, bias: Array1::zeros(outputs), moments: None }
    }

    fn empty() -> Self {
        Self { weights: Array2::zeros((0, 0)), bias: Array1::zeros(0), moments: None }
    }

    fn apply(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut out = x.dot(&self.weights);
        out += &self.bias;
        out
    }

    /// One step of Adam against the gradient, and the decay of the weights (not of the bias).
    fn step(&mut self, gradient: &Array2<f32>, bias: &Array1<f32>, (rate, decay): (f32, f32), steps: u32) {
        let shape = (self.weights.raw_dim(), self.bias.raw_dim());
        let moments = self.moments.get_or_insert_with(|| {
            Box::new(Moments {
                first: Array2::zeros(shape.0),
                second: Array2::zeros(shape.0),
                bias_first: Array1::zeros(shape.1),
                bias_second: Array1::zeros(shape.1),
            })
        });
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        let scale = rate * (1.0 - MOMENTS.1.powi(steps)).sqrt() / (1.0 - MOMENTS.0.powi(steps));
        let Moments { first, second, bias_first, bias_second } = &mut **moments;
        let keep = 1.0 - rate * decay;
        // Every table here was made in the standard order, so it is one slice; a gradient is put in that order.
        let gradient = gradient.as_standard_layout();
        let tables =
            (self.weights.as_slice_mut(), first.as_slice_mut(), second.as_slice_mut(), gradient.as_slice());
        if let (Some(weights), Some(first), Some(second), Some(gradient)) = tables {
            adam(weights, first, second, gradient, (scale, keep));
        }
        let tables = (
            self.bias.as_slice_mut(),
            bias_first.as_slice_mut(),
            bias_second.as_slice_mut(),
            bias.as_slice(),
        );
        if let (Some(weights), Some(first), Some(second), Some(gradient)) = tables {
            adam(weights, first, second, gradient, (scale, 1.0));
        }
    }

    fn is_sound(&self, inputs: usize, outputs: usize) -> bool {
        self.weights.dim() == (inputs, outputs)
            && self.bias.len() == outputs
            && self.weights.iter().chain(&self.bias).all(|w| w.is_finite())
    }
}

impl Net {
    /// One without inputs and outputs, that has learned nothing.
    #[must_use]
    pub fn empty() -> Self {
        let empty = Layer::empty();
        Self { first: empty.clone(), second: empty.clone(), last: empty.clone(), skip: empty, steps: 0 }
    }

    /// Learns from scratch: `x` is rows x inputs, `y` rows x outputs.
    pub fn learn(x: &Array2<f32>, y: &Array2<f32>, settings: &Settings, random: &mut Random) -> Self {
        let (inputs, outputs) = (x.ncols(), y.ncols());
        let [first, second] = settings.hidden;
        let relu = std::f32::consts::SQRT_2;
        let mut net = Self {
            first: Layer::new(inputs, first, relu, random),
            second: Layer::new(first, second, relu, random),
            last: Layer::new(second, outputs, 1.0, random),
            skip: Layer::new(inputs, outputs, 0.0, random),
            steps: 0,
        };
        let mut order: Vec<usize> = (0..x.nrows()).collect();
        let total = (settings.epochs * order.len().div_ceil(settings.batch)).max(1) as f32;
        let (high, low) = settings.rates;
        for _ in 0..settings.epochs {
            random.shuffle(&mut order);
            for batch in order.chunks(settings.batch) {
                let turn = (net.steps as f32 / total * std::f32::consts::PI).cos();
                let rate = low + 0.5 * (high - low) * (1.0 + turn);
                net.descend((x, y), batch, rate, settings, random);
            }
        }
        net
    }

    /// One step on the given rows.
    pub fn descend(
        &mut self,
        (x, y): (&Array2<f32>, &Array2<f32>),
        batch: &[usize],
        rate: f32,
        settings: &Settings,
        random: &mut Random,
    ) {
        let (x, y) = (x.select(Axis(0), batch), y.select(Axis(0), batch));
        let dropout = settings.dropout;
        let mut mask = |columns: usize| {
            let kept = 1.0 / (1.0 - dropout);
            Array2::from_shape_simple_fn((batch.len(), columns), || {
                if random.chance(f64::from(dropout)) { 0.0 } else { kept }
            })
        };
        let masks = settings.hidden.map(&mut mask);
        let pass = self.forward(x.view(), Some(&masks));
        let mut back = &pass.output - &y;
        let share = 1.0 / batch.len().max(1) as f32;
        back.mapv_inplace(|r| share * (r / settings.huber).clamp(-1.0, 1.0));
        let gradients = self.gradients(&x, &pass, &masks, back);
        self.steps += 1;
        let layers = [&mut self.first, &mut self.second, &mut self.last, &mut self.skip];
        for (layer, (weights, bias)) in layers.into_iter().zip(&gradients) {
            layer.step(weights, bias, (rate, settings.decay), self.steps);
        }
    }

    /// The answers for rows of inputs: rows x outputs.
    #[must_use]
    pub fn answer(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        self.forward(x, None).output
    }

    fn forward(&self, x: ArrayView2<'_, f32>, masks: Option<&[Array2<f32>; 2]>) -> Pass {
        let mut first = self.first.apply(x);
        first.mapv_inplace(leaky);
        if let Some([mask, _]) = masks {
            first *= mask;
        }
        let mut second = self.second.apply(first.view());
        second.mapv_inplace(leaky);
        if let Some([_, mask]) = masks {
            second *= mask;
        }
        let output = self.last.apply(second.view()) + self.skip.apply(x);
        Pass { first, second, output }
    }

    /// Gradients of weights and bias, of the first, second, last and skip layer; `back` is the loss by output.
    fn gradients(
        &self,
        x: &Array2<f32>,
        pass: &Pass,
        masks: &[Array2<f32>; 2],
        back: Array2<f32>,
    ) -> [(Array2<f32>, Array1<f32>); 4] {
        let bias = |back: &Array2<f32>| back.sum_axis(Axis(0));
        let last = (pass.second.t().dot(&back), bias(&back));
        let skip = (x.t().dot(&back), bias(&back));
        let mut second_back = back.dot(&self.last.weights.t());
        through(&mut second_back, &pass.second, &masks[1]);
        let second = (pass.first.t().dot(&second_back), bias(&second_back));
        let mut first_back = second_back.dot(&self.second.weights.t());
        through(&mut first_back, &pass.first, &masks[0]);
        let first = (x.t().dot(&first_back), bias(&first_back));
        [first, second, last, skip]
    }

    /// Drops the running moments, which only learning needs.
    pub fn settle(&mut self) {
        for layer in [&mut self.first, &mut self.second, &mut self.last, &mut self.skip] {
            layer.moments = None;
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, inputs: usize, outputs: usize, hidden: [usize; 2]) -> bool {
        self.first.is_sound(inputs, hidden[0])
            && self.second.is_sound(hidden[0], hidden[1])
            && self.last.is_sound(hidden[1], outputs)
            && self.skip.is_sound(inputs, outputs)
    }
}

wide! {
    /// Moves weights against a gradient by its running moments; `scale` is the corrected rate, `keep` what is left of
    /// a weight.
    fn adam(weights: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32], rates: (f32, f32)) {
        let (scale, keep) = rates;
        let moments = first.iter_mut().zip(second);
        for ((w, (m, v)), g) in weights.iter_mut().zip(moments).zip(gradient) {
            *m += (1.0 - MOMENTS.0) * (g - *m);
            *v += (1.0 - MOMENTS.1) * (g * g - *v);
            *w = *w * keep - scale * *m / (v.sqrt() + EPSILON);
        }
    }
}

fn leaky(v: f32) -> f32 {
    if v > 0.0 { v } else { LEAK * v }
}

/// The gradient before the activation and the mask; the sign of the result tells the activation's slope.
fn through(back: &mut Array2<f32>, result: &Array2<f32>, mask: &Array2<f32>) {
    Zip::from(back).and(result).and(mask).for_each(|g, &r, &m| *g *= if r > 0.0 { m } else { LEAK * m });
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIDDEN: [usize; 2] = [192, 128];

    #[test]
    fn gradients_are_those_of_the_loss() {
        let mut random = Random::new(3, 0);
        let x = Array2::from_shape_simple_fn((6, 5), || random.normal() as f32);
        let y = Array2::from_shape_simple_fn((6, 4), || 3.0 * random.normal() as f32);
        let net = Net {
            first: Layer::new(5, HIDDEN[0], 1.4, &mut random),
            second: Layer::new(HIDDEN[0], HIDDEN[1], 1.4, &mut random),
            last: Layer::new(HIDDEN[1], 4, 1.0, &mut random),
            skip: Layer::new(5, 4, 0.5, &mut random),
            steps: 0,
        };
        let masks = [Array2::ones((6, HIDDEN[0])), Array2::ones((6, HIDDEN[1]))];
        // Squared error: smooth, so that finite differences are meaningful.
        let loss = |net: &Net| {
            let d = net.forward(x.view(), Some(&masks)).output - &y;
            d.iter().map(|v| f64::from(*v).powi(2) / 2.0).sum::<f64>()
        };
        let pass = net.forward(x.view(), Some(&masks));
        let gradients = net.gradients(&x, &pass, &masks, &pass.output - &y);
        for (layer, place) in [(0, (2, 7)), (1, (11, 3)), (2, (5, 1)), (3, (4, 2))] {
            let nudged = |by: f32| {
                let mut net = net.clone();
                let layers = [&mut net.first, &mut net.second, &mut net.last, &mut net.skip];
                layers.into_iter().nth(layer).unwrap().weights[place] += by;
                loss(&net)
            };
            let slope = (nudged(1e-2) - nudged(-1e-2)) / 2e-2;
            let found = f64::from(gradients[layer].0[place]);
            assert!(
                (slope - found).abs() < 2e-2 * (1.0 + slope.abs()),
                "{slope} and {found} in layer {layer}"
            );
        }
    }
}
