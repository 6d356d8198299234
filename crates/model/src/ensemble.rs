//! Ensemble: a weighted mean of the members' quantiles, with weights learned per lead time.
//!
//! Averaging quantiles level by level (Vincentization; Lichtendahl et al., 2013) keeps forecasts sharp where
//! averaging probabilities would widen them. The weights lie on the simplex and minimise pinball loss on forecasts
//! the members had not seen, by exponentiated gradient (Kivinen and Warmuth, 1997).

use forewatt_domain::{Family, QuantileLevels};
use serde::{Deserialize, Serialize};

use crate::groups::{Groups, LEAD_EDGES_HOURS, split_late};
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::member::{Member, Purpose};
use crate::predict::{Fit, ModelError, Predict, Predictions};

/// Share of the origins that teach the weights, and its bounds in days.
pub const LATE_SHARE: f64 = 0.2;
/// The least days that teach weights or a calibration.
pub const LATE_DAYS_MIN: i64 = 7;
/// The most days that teach weights or a calibration: newer is truer.
pub const LATE_DAYS_MAX: i64 = 90;
/// As above for horizons too long for whole days: two years, so that every season has its say twice.
pub const FAR_SHARE: f64 = 0.34;
/// The least days that teach weights of long horizons.
pub const FAR_DAYS_MIN: i64 = 120;
/// The most days that teach weights of long horizons.
pub const FAR_DAYS_MAX: i64 = 731;
/// Steps of the exponentiated gradient.
const STEPS: usize = 150;
/// Rows per lead group that are looked at; more are thinned evenly.
const ROWS_MAX: usize = 4000;
/// A lead group of this many rows weighs as much as all lead groups together.
const SHRINKAGE: f64 = 200.0;
/// A member with less weight than this is left out.
const WEIGHT_MIN: f64 = 0.01;

/// The recipe.
#[derive(Debug, Clone)]
pub struct Ensemble {
    /// The families mixed; those that cannot learn from the rows are left out.
    pub members: Vec<Family>,
    /// Of everything random.
    pub seed: u64,
}

impl Default for Ensemble {
    fn default() -> Self {
        Self { members: Member::FAMILIES.to_vec(), seed: 1 }
    }
}

/// Weights of members per lead time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    groups: Groups,
    members: usize,
    /// `groups.leads() * members`; every group sums to one.
    table: Vec<f32>,
}

/// A fitted ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnsembleModel {
    members: Vec<Member>,
    weights: Weights,
}

/// Forecasts of several members for the same rows, and what happened.
#[derive(Debug, Clone, Copy)]
struct Evidence<'a> {
    predictions: &'a [Predictions],
    actual: &'a [f32],
    levels: &'a [f64],
}

impl Ensemble {
    /// Every member that can learn from the rows; the others are named in `notes`.
    ///
    /// # Errors
    /// The last member's error when none can.
    pub fn fit_members(
        &self,
        data: &TrainingSet,
        levels: &QuantileLevels,
        purpose: Purpose,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Member>, ModelError> {
        let mut members = Vec::with_capacity(self.members.len());
        let mut last = ModelError::Numeric { what: "an ensemble needs at least one member".to_owned() };
        for &family in &self.members {
            match Member::fit(family, self.seed, data, levels, purpose) {
                Ok(member) => members.push(member),
                Err(error) => {
                    notes.push(format!("{family} is not a member: {error}"));
                    last = error;
                }
            }
        }
        if members.is_empty() { Err(last) } else { Ok(members) }
    }
}

impl Fit for Ensemble {
    type Fitted = EnsembleModel;

    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<EnsembleModel, ModelError> {
        let keys = &data.features.keys;
        let mut notes = Vec::new();
        let weights = match split_late(keys, LATE_SHARE, LATE_DAYS_MIN, LATE_DAYS_MAX) {
            None => None,
            Some(split) => {
                let early = data.filter_rows(&split.early);
                let late = data.filter_rows(&split.late);
                self.fit_members(&early, levels, Purpose::Trial, &mut notes)
                    .ok()
                    .map(|members| weigh(&members, &late, levels).map(|(weights, _)| (weights, members)))
                    .transpose()?
            }
        };
        let members = self.fit_members(data, levels, Purpose::Use, &mut notes)?;
        Ok(match weights {
            Some((weights, early)) => EnsembleModel::new(members, &early, &weights),
            None => EnsembleModel::alike(members, keys),
        })
    }
}

/// Weights of `members` for rows they have not seen, and the mixture's predictions for those rows.
///
/// # Errors
/// As [`Predict::predict`] of the members.
pub fn weigh(
    members: &[Member],
    late: &TrainingSet,
    levels: &QuantileLevels,
) -> Result<(Weights, Predictions), ModelError> {
    let predictions = members.iter().map(|m| m.predict(&late.features)).collect::<Result<Vec<_>, _>>()?;
    let keys = &late.features.keys;
    let weights = Weights::learn(keys, &predictions, &late.target, levels);
    let mixture = weights.mix(keys, &predictions);
    Ok((weights, mixture))
}

impl Weights {
    /// The same weight for every member.
    #[must_use]
    pub fn alike(keys: &[RowKey], members: usize) -> Self {
        let groups = Groups::new(keys, 1, &[]);
        Self { groups, members, table: vec![1.0 / members.max(1) as f32; members] }
    }

    fn learn(keys: &[RowKey], predictions: &[Predictions], actual: &[f32], levels: &QuantileLevels) -> Self {
        let groups = Groups::new(keys, 1, &LEAD_EDGES_HOURS);
        let evidence = Evidence { predictions, actual, levels: levels.as_slice() };
        let all: Vec<usize> = (0..keys.len()).collect();
        let pooled = minimise(evidence, &all);
        let mut table = Vec::with_capacity(groups.leads() * predictions.len());
        for lead in 0..groups.leads() {
            let rows: Vec<usize> = (0..keys.len()).filter(|&i| groups.lead(keys[i].lead) == lead).collect();
            let own = if rows.is_empty() { pooled.clone() } else { minimise(evidence, &rows) };
            let trust = rows.len() as f64 / (rows.len() as f64 + SHRINKAGE);
            let mixed: Vec<f64> =
                own.iter().zip(&pooled).map(|(a, b)| a * trust + b * (1.0 - trust)).collect();
            table.extend(pruned(&mixed));
        }
        Self { groups, members: predictions.len(), table }
    }

    /// The members' weights at a lead time.
    #[must_use]
    pub fn at(&self, lead: u32) -> &[f32] {
        let group = self.groups.lead(lead);
        &self.table[group * self.members..(group + 1) * self.members]
    }

    /// The weighted mean of the members, value by value.
    fn mix(&self, keys: &[RowKey], predictions: &[Predictions]) -> Predictions {
        let levels = predictions.first().map_or(0, |p| p.levels);
        let mut mixture =
            Predictions { mean: vec![0.0; keys.len()], quantiles: vec![0.0; keys.len() * levels], levels };
        for (i, key) in keys.iter().enumerate() {
            let quantiles = &mut mixture.quantiles[i * levels..(i + 1) * levels];
            for (member, &weight) in predictions.iter().zip(self.at(key.lead)) {
                if weight > 0.0 {
                    mixture.mean[i] += weight * member.mean[i];
                    quantiles.iter_mut().zip(member.row(i)).for_each(|(q, v)| *q += weight * v);
                }
            }
        }
        mixture.rearrange(); // rising already, but for rounding
        mixture
    }

    /// The same weights for a subset of the members in the order of `kept`, scaled to sum to one again.
    fn select(&self, kept: &[Option<usize>]) -> Self {
        let members = kept.len();
        let mut table = Vec::with_capacity(self.groups.leads() * members);
        for group in self.table.chunks_exact(self.members) {
            let weights: Vec<f32> = kept.iter().map(|k| k.map_or(0.0, |k| group[k])).collect();
            let sum: f32 = weights.iter().sum();
            let alike = 1.0 / members as f32;
            table.extend(weights.iter().map(|w| if sum > 0.0 { w / sum } else { alike }));
        }
        Self { groups: self.groups.clone(), members, table }
    }
}

impl EnsembleModel {
    /// Members learned from all rows, with weights learned from their forerunners `early`.
    #[must_use]
    pub fn new(members: Vec<Member>, early: &[Member], weights: &Weights) -> Self {
        let place = |m: &Member| early.iter().position(|e| e.family() == m.family());
        let kept: Vec<Option<usize>> = members.iter().map(place).collect();
        let weights = weights.select(&kept);
        let used = |m: usize| weights.table.chunks_exact(weights.members).any(|group| group[m] > 0.0);
        let used: Vec<Option<usize>> = (0..members.len()).filter(|&m| used(m)).map(Some).collect();
        let weights = weights.select(&used);
        let keep = |m: usize| used.contains(&Some(m));
        let members = members.into_iter().enumerate().filter(|(m, _)| keep(*m)).map(|(_, member)| member);
        Self { members: members.collect(), weights }
    }

    /// Members that weigh alike, where no forecasts could be held out.
    #[must_use]
    pub fn alike(members: Vec<Member>, keys: &[RowKey]) -> Self {
        let weights = Weights::alike(keys, members.len());
        Self { members, weights }
    }

    /// Members and what they chose, with the range of their weights over the lead times, for people.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let of_member = |(m, member): (usize, &Member)| {
            let weights = self.weights.table.chunks_exact(self.weights.members).map(|group| group[m]);
            let (low, high) = weights.fold((1.0_f32, 0.0_f32), |(low, high), w| (low.min(w), high.max(w)));
            format!("{}: weight {low:.2} to {high:.2} over the lead times", member.family())
        };
        let weights = self.members.iter().enumerate().map(of_member);
        weights.chain(self.members.iter().filter_map(Member::describe)).collect()
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: &QuantileLevels) -> bool {
        let members = self.members.len();
        members > 0
            && self.weights.members == members
            && self.weights.groups.is_sound()
            && self.weights.table.len() == self.weights.groups.leads() * members
            && self.members.iter().all(|member| member.is_sound(levels))
    }

    /// The same mixture of other members, made from its own one by one.
    ///
    /// # Errors
    /// The first that `make` gives.
    pub(crate) fn map_members(
        &self,
        make: impl Fn(&Member) -> Result<Member, ModelError>,
    ) -> Result<Self, ModelError> {
        let members = self.members.iter().map(make).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { members, weights: self.weights.clone() })
    }

    /// The members, in the order of their weights.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// What the members weigh.
    #[must_use]
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
}

impl Predict for EnsembleModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let predictions = self.members.iter().map(|m| m.predict(features)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.weights.mix(&features.keys, &predictions))
    }
}

/// Weights without the negligible, summing to one.
fn pruned(weights: &[f64]) -> Vec<f32> {
    let kept = |w: &&f64| **w >= WEIGHT_MIN;
    let sum: f64 = weights.iter().filter(kept).sum();
    weights.iter().map(|w| if kept(&w) { (w / sum) as f32 } else { 0.0 }).collect()
}

/// The point of the simplex with the least pinball loss on `rows` among those the descent visits, corners included.
fn minimise(evidence: Evidence<'_>, rows: &[usize]) -> Vec<f64> {
    let members = evidence.predictions.len();
    let stride = rows.len().div_ceil(ROWS_MAX).max(1);
    let rows: Vec<usize> = rows.iter().copied().step_by(stride).collect();
    let mut weights = vec![1.0 / members as f64; members];
    let mut gradient = vec![0.0; members];
    let corners = (0..members).map(|m| (0..members).map(|k| f64::from(u8::from(k == m))).collect::<Vec<_>>());
    let mut best = (f64::INFINITY, weights.clone());
    for corner in corners {
        let loss = loss(evidence, &rows, &corner, &mut gradient);
        if loss < best.0 {
            best = (loss, corner);
        }
    }
    for step in 0..STEPS {
        let loss = loss(evidence, &rows, &weights, &mut gradient);
        if loss < best.0 {
            best = (loss, weights.clone());
        }
        let mean = gradient.iter().sum::<f64>() / members as f64; // moving all weights alike changes nothing
        let greatest = gradient.iter().fold(0.0_f64, |most, g| most.max((g - mean).abs()));
        if greatest <= f64::EPSILON {
            break;
        }
        let rate = 1.0 / (1.0 + step as f64).sqrt();
        weights.iter_mut().zip(&gradient).for_each(|(w, g)| *w *= (-rate * (g - mean) / greatest).exp());
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
    }
    best.1
}

/// Pinball loss of the mixture summed over rows and levels, and its gradient in the weights.
fn loss(evidence: Evidence<'_>, rows: &[usize], weights: &[f64], gradient: &mut [f64]) -> f64 {
    let count = evidence.levels.len();
    gradient.fill(0.0);
    let mut loss = 0.0;
    for &i in rows {
        let actual = f64::from(evidence.actual[i]);
        for (l, &level) in evidence.levels.iter().enumerate() {
            let of_member = |p: &Predictions| f64::from(p.quantiles[i * count + l]);
            let mixture: f64 = evidence.predictions.iter().zip(weights).map(|(p, w)| w * of_member(p)).sum();
            let slope = if actual >= mixture { -level } else { 1.0 - level };
            loss += slope * (mixture - actual);
            for (g, p) in gradient.iter_mut().zip(evidence.predictions) {
                *g += slope * of_member(p);
            }
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::pinball;
    use crate::synthetic::{self, Shape};

    fn score(data: &TrainingSet, answer: &Predictions, levels: &QuantileLevels) -> f64 {
        let of_row = |i: usize| {
            let actual = f64::from(data.target[i]);
            let pairs = levels.as_slice().iter().zip(answer.row(i));
            pairs.map(|(&level, &q)| pinball(level, f64::from(q), actual)).sum::<f64>()
        };
        (0..data.target.len()).map(of_row).sum::<f64>() / data.target.len() as f64
    }

    #[test]
    fn the_mixture_is_about_as_good_as_its_best_member_or_better() {
        let data = synthetic::training(Shape { days: 300, horizon: 30, every: 11, ..Shape::default() });
        let (early, late) = synthetic::cut(&data, 0.75);
        let levels = QuantileLevels::deciles();
        let ensemble = Ensemble::default();
        let mixture = ensemble.fit(&early, &levels).unwrap();
        let of_mixture = score(&late, &mixture.predict(&late.features).unwrap(), &levels);
        for member in ensemble.fit_members(&early, &levels, Purpose::Use, &mut vec![]).unwrap() {
            let alone = score(&late, &member.predict(&late.features).unwrap(), &levels);
            assert!(of_mixture <= 1.03 * alone, "{of_mixture} beside {alone} of {}", member.family());
        }
        assert!(mixture.is_sound(&levels));
    }

    #[test]
    fn weights_find_the_better_member_at_each_lead() {
        let data = synthetic::training(Shape { days: 100, horizon: 48, every: 12, ..Shape::default() });
        let levels = QuantileLevels::parse("0.5").unwrap();
        let keys = &data.features.keys;
        let off = |bad: fn(u32) -> bool| {
            let quantiles: Vec<f32> = keys
                .iter()
                .zip(&data.target)
                .map(|(k, v)| if bad(k.lead) { v + 50.0 } else { v + 1.0 })
                .collect();
            Predictions { mean: quantiles.clone(), quantiles, levels: 1 }
        };
        let members = [off(|lead| lead < 24), off(|lead| lead >= 24)];
        let weights = Weights::learn(keys, &members, &data.target, &levels);
        assert!(weights.at(20)[1] > 0.85 && weights.at(40)[0] > 0.9, "{weights:?}");
        let mixture = weights.mix(keys, &members);
        let errors = mixture.mean.iter().zip(&data.target).map(|(a, b)| (a - b).abs());
        let mean = errors.sum::<f32>() / keys.len() as f32;
        assert!(mean < 8.0, "{mean}: half of the leads are 50 off in either member");
    }

    #[test]
    fn opposite_errors_cancel() {
        let data = synthetic::training(Shape { days: 60, ..Shape::default() });
        let levels = QuantileLevels::parse("0.5").unwrap();
        let with = |by: f32| {
            let quantiles: Vec<f32> = data.target.iter().map(|v| v + by).collect();
            Predictions { mean: quantiles.clone(), quantiles, levels: 1 }
        };
        let weights = Weights::learn(&data.features.keys, &[with(3.0), with(-1.0)], &data.target, &levels);
        assert!((weights.at(0)[0] - 0.25).abs() < 0.03, "{:?}", weights.at(0));
    }

    #[test]
    fn a_member_that_cannot_learn_is_left_out_and_named() {
        let data = synthetic::training(Shape { days: 4, ..Shape::default() });
        let mut notes = vec![];
        let members = Ensemble::default()
            .fit_members(&data, &QuantileLevels::deciles(), Purpose::Use, &mut notes)
            .unwrap();
        assert!(members.iter().all(|m| m.family() != Family::Linear));
        assert!(notes.iter().any(|note| note.contains("linear")));
        let model = Ensemble::default().fit(&data, &QuantileLevels::deciles()).unwrap();
        assert!(model.predict(&data.features).unwrap().quantiles.iter().all(|q| q.is_finite()));
    }
}
