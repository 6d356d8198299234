//! What the mixture has learned from its own forecasts, and how it answers a day.

use ndarray::{Array2, ArrayView2, Axis, concatenate};
use serde::{Deserialize, Serialize};

use super::blend::{self, Blend, Blended};
use super::fans::{self, FanSaid, Fans};
use super::learner::{Learner, prior};

/// Weights below this share are not worth telling.
const WEIGHT_TOLD: f64 = 0.005;

/// Weights and past errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    blend: Blend,
    fans: Fans,
    /// Which learners' disagreement tells how sure the mixture is, and whose means make quantiles.
    voices: Vec<bool>,
}

/// What was said of a day.
#[derive(Debug, Clone)]
pub struct Said {
    forecasts: Array2<f32>,
    blended: Blended,
    /// The means of the learners with a voice, `learners x outputs`.
    members: Array2<f32>,
    spread: Vec<f32>,
    fans: FanSaid,
}

impl State {
    /// Of a team that has not answered a day yet.
    #[must_use]
    pub fn new(team: &[Learner], outputs: usize) -> Self {
        let learned = |learner: &Learner| !matches!(learner, Learner::Naive(_));
        let alone = !team.iter().any(learned);
        let voices: Vec<bool> = team.iter().map(|learner| alone || learned(learner)).collect();
        let members = voices.iter().filter(|voice| **voice).count();
        Self { blend: Blend::new(&prior(team), outputs), fans: Fans::new(members, outputs), voices }
    }

    /// The learners that count with their weights, the heaviest first, and where the weights and the quantiles come
    /// from, for people.
    #[must_use]
    pub fn describe(&self, team: &[Learner]) -> Vec<String> {
        let mut pairs: Vec<(f64, String)> =
            self.weights(team).into_iter().zip(team).map(|(w, learner)| (w, learner.name())).collect();
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let told = pairs.iter().filter(|(w, _)| *w >= WEIGHT_TOLD);
        let learners = told.map(|(w, name)| format!("{name}: weight {w:.3}"));
        let listed = |names: &[&str], weights: &[f64]| {
            let pairs = names.iter().zip(weights).map(|(name, weight)| format!("{name} {weight:.3}"));
            pairs.collect::<Vec<_>>().join(", ")
        };
        let ways = format!("weights come from {}", listed(&blend::WAYS, &self.blend.way_weights()));
        let (of_way, of_member) = self.fans.weights();
        let quantiles = format!("quantiles come from {}", listed(&fans::WAYS, &of_way));
        let voices = team.iter().zip(&self.voices).filter(|(_, voice)| **voice);
        let names: Vec<String> = voices.map(|(learner, _)| learner.name()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let members = format!("quantiles of members: {}", listed(&names, &of_member));
        learners.chain([ways, quantiles, members]).collect()
    }

    /// The weight of every learner, averaged over the outputs.
    #[must_use]
    pub fn weights(&self, team: &[Learner]) -> Vec<f64> {
        let weights = self.blend.weights();
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
        let blended = self.blend.combine(&forecasts);
        let voices = parts.iter().zip(&self.voices).filter(|(_, voice)| **voice).map(|(part, _)| part);
        let members = members(voices, forecasts.ncols());
        let spread = spread(&members, &blended.mixture);
        let fans = self.fans.answer(&blended.mixture, &members, &spread);
        Said { forecasts, blended, members, spread, fans }
    }

    /// Learns from what happened on a day; NaN where that is unknown.
    pub fn learn(&mut self, said: &Said, actual: &[f32]) {
        if actual.iter().all(|value| !value.is_finite()) {
            return;
        }
        self.blend.learn(&said.forecasts, &said.blended, actual);
        self.fans.learn(&said.blended.mixture, &said.members, &said.spread, &said.fans, actual);
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, team: &[Learner], outputs: usize) -> bool {
        let experts = team.iter().map(Learner::experts).sum();
        let members = self.voices.iter().filter(|voice| **voice).count();
        self.voices.len() == team.len()
            && self.blend.is_sound(experts, outputs)
            && self.fans.is_sound(members, outputs)
    }
}

impl Said {
    /// The forecast of every output.
    #[must_use]
    pub fn level(&self) -> &[f32] {
        &self.fans.outlook.level
    }

    /// The quantiles at any levels, row-major, one row of rising values per output.
    #[must_use]
    pub fn quantiles(&self, levels: &[f64]) -> Vec<f32> {
        self.fans.at(levels)
    }
}

/// The mean of every learner's experts, `learners x outputs`; NaN where none has a number.
fn members<'a>(parts: impl Iterator<Item = &'a Array2<f32>>, outputs: usize) -> Array2<f32> {
    let rows: Vec<Vec<f32>> = parts
        .map(|part| part.columns().into_iter().map(|column| known_mean(column.iter())).collect())
        .collect();
    Array2::from_shape_fn((rows.len(), outputs), |(m, h)| rows[m][h])
}

/// How far the members lie from the mixture: the root of the mean square at every output.
fn spread(members: &Array2<f32>, mixture: &[f32]) -> Vec<f32> {
    let squares =
        members.columns().into_iter().zip(mixture).map(|(column, m)| column.mapv(|v| (v - m).powi(2)));
    squares.map(|column| known_mean(column.iter()).sqrt()).collect()
}

fn known_mean<'a>(values: impl Iterator<Item = &'a f32>) -> f32 {
    let known = values.filter(|v| v.is_finite());
    let (sum, count) = known.fold((0.0, 0.0_f32), |(sum, count), v| (sum + v, count + 1.0));
    sum / count
}
