//! What the mixture has learned from its own forecasts, and how it answers a day.

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use serde::{Deserialize, Serialize};

use super::errors::{Errors, Outlook};
use super::learner::{Learner, prior};
use super::mix::Mix;

/// Weights below this share are not worth telling.
const WEIGHT_TOLD: f64 = 0.005;

/// Weights and past errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    mix: Mix,
    errors: Errors,
    /// Which learners' disagreement tells how sure the mixture is.
    voices: Vec<bool>,
}

/// What was said of a day.
#[derive(Debug, Clone)]
pub struct Said {
    forecasts: Array2<f32>,
    mixture: Vec<f32>,
    spread: Vec<f32>,
    outlook: Outlook,
}

impl State {
    /// Of a team that has not answered a day yet.
    #[must_use]
    pub fn new(team: &[Learner], outputs: usize) -> Self {
        let learned = |learner: &Learner| !matches!(learner, Learner::Naive(_));
        let alone = !team.iter().any(learned);
        let voices = team.iter().map(|learner| alone || learned(learner)).collect();
        Self { mix: Mix::new(&prior(team), outputs), errors: Errors::new(outputs), voices }
    }

    /// The learners that count with their weights, the heaviest first, for people.
    #[must_use]
    pub fn describe(&self, team: &[Learner]) -> Vec<String> {
        let mut pairs: Vec<(f64, String)> =
            self.weights(team).into_iter().zip(team).map(|(w, learner)| (w, learner.name())).collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let told = pairs.iter().filter(|(w, _)| *w >= WEIGHT_TOLD);
        told.map(|(w, name)| format!("{name}: weight {w:.3}")).collect()
    }

    /// The weight of every learner, averaged over the outputs.
    #[must_use]
    pub fn weights(&self, team: &[Learner]) -> Vec<f64> {
        let weights = self.mix.weights();
        let mut from = 0;
        let of_learner = |learner: &Learner| {
            let span = from..from + learner.experts();
            from = span.end;
            weights[span].iter().sum()
        };
        team.iter().map(of_learner).collect()
    }

    /// Mixes what the learners said, `experts x outputs` each.
    #[must_use]
    pub fn answer(&self, parts: &[Array2<f32>]) -> Said {
        let views: Vec<ArrayView2<'_, f32>> = parts.iter().map(|part| part.view()).collect();
        // Parts of one team are equally wide, so they always fit on one another.
        let forecasts = concatenate(Axis(0), &views).unwrap_or_else(|_| Array2::zeros((0, 0)));
        let mixture = self.mix.combine(&forecasts);
        let voices = parts.iter().zip(&self.voices).filter(|(_, voice)| **voice).map(|(part, _)| part);
        let spread = spread(voices, &mixture);
        let outlook = self.errors.outlook(&mixture, &spread);
        Said { forecasts, mixture, spread, outlook }
    }

    /// Learns from what happened on a day; NaN where that is unknown.
    pub fn learn(&mut self, said: &Said, actual: &[f32]) {
        if actual.iter().all(|value| !value.is_finite()) {
            return;
        }
        self.mix.learn(&said.forecasts, &said.mixture, actual);
        self.errors.learn(&said.mixture, &said.spread, &said.outlook, actual);
    }

    /// The quantiles of what was said, row-major, one row of rising values per output.
    #[must_use]
    pub fn quantiles(&self, said: &Said, levels: &[f64]) -> Vec<f32> {
        let outlook = &said.outlook;
        let row = |h: usize| {
            let quantiles = self.errors.quantiles(h, levels).into_iter();
            quantiles.map(move |q| outlook.level[h] + outlook.unit[h] * q)
        };
        (0..outlook.level.len()).flat_map(row).collect()
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, team: &[Learner], outputs: usize) -> bool {
        let experts = team.iter().map(Learner::experts).sum();
        self.voices.len() == team.len()
            && self.mix.is_sound(experts, outputs)
            && self.errors.is_sound(outputs)
    }
}

impl Said {
    /// The forecast of every output.
    #[must_use]
    pub fn level(&self) -> &[f32] {
        &self.outlook.level
    }
}

/// How far the learners' own means lie from the mixture: the root of the mean square at every output.
fn spread<'a>(parts: impl Iterator<Item = &'a Array2<f32>> + Clone, mixture: &[f32]) -> Vec<f32> {
    let at = |h: usize| {
        let (mut sum, mut count) = (0.0_f32, 0.0_f32);
        for part in parts.clone() {
            let known = part.column(h).iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>();
            if !known.is_empty() {
                let mean = known.iter().sum::<f32>() / known.len() as f32;
                sum += (mean - mixture[h]).powi(2);
                count += 1.0;
            }
        }
        (sum / count).sqrt()
    };
    (0..mixture.len()).map(at).collect()
}
