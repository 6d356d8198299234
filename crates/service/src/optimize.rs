//! Smaller, faster versions of a model: made, judged on the last days, and registered only when they lose little.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{ModelVersion, Time, VersionId};
use forewatt_model::artifact::{self, Artifact};
use forewatt_model::dataset::Dataset;
use forewatt_model::gbdt::Prune;
use forewatt_model::learn::shrink::Shrink;
use forewatt_model::learn::{self, FittedModel};
use forewatt_model::matrix::TrainingSet;
use forewatt_model::metrics::pinball;
use forewatt_model::predict::Predict as _;
use forewatt_store::{NewVersion, VersionStore};
use serde::{Deserialize, Serialize};

use crate::backtest::known_values;
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Progress;
use crate::train::training_rows;
use crate::{Service, blocking, quality};

/// How a version is to be made smaller. With neither `quantize` nor `prune`, both are done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizeRequest {
    /// Keep leaves of trees in 8 bits and coefficients in bf16.
    #[serde(default)]
    pub quantize: bool,
    /// Drop trees and leaves as far as the loss allows.
    #[serde(default)]
    pub prune: bool,
    /// The greatest loss allowed, as a share of the pinball loss: 0.005 is half a percent.
    #[serde(default = "OptimizeRequest::max_loss_default")]
    pub max_loss: f64,
    /// Days at the end of the data to judge by.
    #[serde(default = "OptimizeRequest::days_default")]
    pub days: u32,
}

impl OptimizeRequest {
    const fn max_loss_default() -> f64 {
        0.005
    }

    const fn days_default() -> u32 {
        60
    }
}

impl Default for OptimizeRequest {
    fn default() -> Self {
        let (max_loss, days) = (Self::max_loss_default(), Self::days_default());
        Self { quantize: false, prune: false, max_loss, days }
    }
}

/// What a model costs and how well it does on the days judged by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Cost {
    /// The artifact's size.
    pub bytes: u64,
    /// Rows answered in a second of one thread, forecast by forecast.
    pub rows_per_second: f64,
    /// Mean pinball loss over rows and levels, in the unit of the series: the model's own, or, when the parent had learned
    /// from the days judged by, that of what the recipe learns without them.
    pub pinball: f64,
    /// Trees walked.
    pub trees: usize,
}

/// What an optimisation gave.
#[derive(Debug, Clone, Serialize)]
pub struct OptimizeReport {
    /// The registered version; its parent is the one it was made from.
    pub version: ModelVersion,
    /// The parent.
    pub before: Cost,
    /// The smaller one.
    pub after: Cost,
    /// By which share the loss rose; below zero when it fell.
    pub loss: f64,
    /// The forecast starts it was judged by: from, to.
    pub judged: (Time, Time),
}

/// The days judged by take at most this share of the forecast starts.
const JUDGED_SHARE: usize = 3;
/// Fewer forecast starts than this judge nothing.
const STARTS_MIN: usize = 3;
/// The most days to judge by.
const DAYS_MAX: u32 = 1_000;
/// The shares of trees tried, from most to fewest, each with and without merging leaves.
const TREES_TRIED: [f64; 8] = [0.85, 0.7, 0.6, 0.5, 0.4, 0.3, 0.22, 0.15];
/// Leaves that trees keep: all, or as many as the shorter of the two sizes of a packed tree holds.
const LEAVES_TRIED: [usize; 2] = [256, 17];
/// How long a speed is measured, and how often: the fastest counts.
const MEASURED: Duration = Duration::from_millis(40);
const MEASURED_TIMES: usize = 5;

impl Service {
    /// Makes a smaller version of a version and registers it as a candidate.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a loss or days that cannot be and for models with nothing to make smaller;
    /// `InsufficientData` when there are too few forecast starts to judge by; `Conflict` when it loses more than
    /// allowed, with by how much.
    pub async fn optimize(
        &self,
        id: &VersionId,
        request: OptimizeRequest,
        progress: Progress,
    ) -> Result<OptimizeReport> {
        let request = checked(request)?;
        progress(0.0, "loading");
        let loaded = self.load_model(id).await?;
        let parent = loaded.version.clone();
        let dataset = self.load_history(&parent.series, &parent.recipe.covariates).await?;
        let now = self.now();
        let made = blocking(move || {
            let span = Span::new(&dataset, &loaded.artifact, now, request.days)?;
            drop(dataset);
            search(
                (&loaded.version.id, loaded.version.trained_to),
                &loaded.artifact,
                &span,
                request,
                &progress,
            )
        })
        .await??;
        self.will_change(&parent.series).await?;
        let artifact_sha256 = self.store.put_artifact(&made.bytes).await?;
        let version =
            self.store.add_version(new_version(&parent, &made, artifact_sha256, self.now())).await?;
        let Made { before, after, judged, .. } = made;
        Ok(OptimizeReport { version, before, after, loss: loss(&before, &after), judged })
    }
}

fn checked(mut request: OptimizeRequest) -> Result<OptimizeRequest> {
    if !(0.0..=1.0).contains(&request.max_loss) {
        return Err(Error::invalid("max_loss is a share from 0 to 1: 0.005 (or 0.5%) allows half a percent"));
    }
    if request.days == 0 || request.days > DAYS_MAX {
        return Err(Error::invalid(format!("days to judge by are 1 to {DAYS_MAX}")));
    }
    if !request.quantize && !request.prune {
        (request.quantize, request.prune) = (true, true);
    }
    Ok(request)
}

/// The rows a smaller model is made and judged with.
struct Span {
    /// Of what was over before the days judged by.
    early: TrainingSet,
    /// The days judged by: every row as known at its forecast start.
    late: TrainingSet,
    judged: (Time, Time),
}

impl Span {
    fn new(dataset: &Dataset, artifact: &Artifact, now: Time, days: u32) -> Result<Self> {
        let recipe = &artifact.recipe;
        let known = known_values(dataset, now);
        let Some(last) = known.last() else {
            let message = format!("nothing was known of `{}` at {now}", recipe.target);
            return Err(Error::new(ErrorKind::InsufficientData, message));
        };
        let end = last.valid_time.plus_micros(recipe.resolution.micros());
        let masked = quality::check(&dataset.series, &known, now).masked;
        let rows = training_rows(dataset, recipe, &artifact.spec, end, &masked)?;
        let mut starts: Vec<Time> = rows.features.keys.iter().map(|key| key.origin).collect();
        starts.dedup();
        let from = end.plus_micros(-i64::from(days) * MICROS_PER_DAY);
        let first = starts.partition_point(|&start| start < from);
        let first = first.max(starts.len() - starts.len() / JUDGED_SHARE);
        let judged = &starts[first..];
        let (Some(&from), Some(&to), true) = (judged.first(), judged.last(), judged.len() >= STARTS_MIN)
        else {
            let message = format!(
                "{} forecast starts are too few to judge a smaller model by: at least {} are needed",
                starts.len(),
                STARTS_MIN * JUDGED_SHARE
            );
            return Err(Error::new(ErrorKind::InsufficientData, message));
        };
        let is_late = |i: usize| rows.features.keys[i].origin >= from;
        // Rows of earlier starts that reach into these days would tell them.
        let is_early = |i: usize| rows.features.keys[i].valid_time < from;
        let (early, late) = (rows.filter(is_early), rows.filter(is_late));
        Ok(Self { early, late, judged: (from, to) })
    }

    fn pinball(&self, model: &FittedModel) -> Result<f64> {
        let answers = model.predict(&self.late.features)?;
        let levels = model.levels().as_slice();
        let row = |(i, &actual): (usize, &f32)| -> f64 {
            let pairs = levels.iter().zip(answers.row(i));
            pairs.map(|(&level, &q)| pinball(level, f64::from(q), f64::from(actual))).sum()
        };
        let sum: f64 = self.late.target.iter().enumerate().map(row).sum();
        Ok(sum / (self.late.target.len() * levels.len()).max(1) as f64)
    }

    /// Rows a second of one thread, forecast by forecast as they are asked.
    fn speed(&self, model: &FittedModel) -> Result<f64> {
        let keys = &self.late.features.keys;
        let rows: Vec<usize> = (0..keys.len()).collect();
        let forecasts: Vec<_> = rows
            .chunk_by(|&a, &b| keys[a].origin == keys[b].origin)
            // Up to so many rows are answered on the thread that asks.
            .flat_map(|rows| rows.chunks(48))
            .take(64)
            .map(|rows| self.late.features.select(rows))
            .collect();
        let mut fastest = 0.0_f64;
        for _ in 0..MEASURED_TIMES {
            let (begin, mut done) = (Instant::now(), 0);
            while begin.elapsed() < MEASURED {
                for forecast in &forecasts {
                    std::hint::black_box(model.predict(forecast)?);
                    done += forecast.rows();
                }
            }
            fastest = fastest.max(done as f64 / begin.elapsed().as_secs_f64());
        }
        Ok(fastest)
    }

    fn cost(&self, artifact: &Artifact, pinball: f64) -> Result<Cost> {
        let (bytes, model) = (encode(artifact)?.len() as u64, &artifact.model);
        Ok(Cost { bytes, rows_per_second: self.speed(model)?, pinball, trees: model.trees() })
    }

    /// Whom to judge smaller versions by: the model itself, or, when it has learned from the days judged by, what its
    /// recipe learns without them. A model does so well on days it has seen that any change makes it worse there.
    fn judge(&self, whole: &Artifact, seen: bool) -> Result<FittedModel> {
        if !seen {
            return Ok(whole.model.clone());
        }
        Ok(learn::learn(&whole.recipe, &self.early)?)
    }
}

fn encode(artifact: &Artifact) -> Result<Vec<u8>> {
    artifact::encode(artifact).map_err(|error| Error::internal(format!("encoding the model: {error}")))
}

/// By which share the loss rises.
fn loss(before: &Cost, after: &Cost) -> f64 {
    share(before.pinball, after.pinball)
}

fn share(before: f64, after: f64) -> f64 {
    if before > 0.0 {
        after / before - 1.0
    } else if after > before {
        f64::INFINITY
    } else {
        0.0
    }
}

/// A smaller model and what it costs.
struct Made {
    bytes: Vec<u8>,
    how: Shrink,
    before: Cost,
    after: Cost,
    judged: (Time, Time),
    /// Whether the parent had learned from the days judged by.
    seen: bool,
}

/// Makes the smallest model that loses no more than allowed.
fn search(
    (id, trained_to): (&VersionId, Time),
    whole: &Artifact,
    span: &Span,
    request: OptimizeRequest,
    progress: &Progress,
) -> Result<Made> {
    let full = Shrink { quantize: request.quantize, prune: request.prune.then_some(PRUNE_NOTHING) };
    if !whole.model.can_shrink(full) {
        return Err(Error::invalid(format!(
            "`{id}` is a model of family {} with nothing to make smaller so: trees (gbdt, ensemble) can be quantized \
             and pruned, regressions (linear, ensemble) quantized",
            whole.model.family()
        )));
    }
    let seen = span.judged.0 < trained_to;
    progress(0.1, "finding whom to judge by");
    let candidates = candidates(request, whole.model.trees());
    let judge = span.judge(whole, seen)?;
    let judged_whole = span.pinball(&judge)?;
    let mut best: Option<(f64, Shrink, Artifact)> = None;
    let mut fewest = u64::MAX;
    let mut least = f64::INFINITY;
    let mut given_up = None;
    for (i, how) in candidates.iter().enumerate() {
        progress(0.15 + 0.7 * i as f64 / candidates.len() as f64, "trying smaller models");
        let leaves = how.prune.map(|prune| prune.leaves);
        if given_up == Some(leaves) {
            continue; // fewer trees lose more
        }
        let judged = span.pinball(&judge.shrunk(*how, &span.early.features)?)?;
        let worse = share(judged_whole, judged);
        least = least.min(worse);
        if worse > request.max_loss {
            given_up = Some(leaves);
            continue;
        }
        let model = whole.model.shrunk(*how, &span.early.features)?;
        let candidate = Artifact { model, recipe: whole.recipe.clone(), spec: whole.spec.clone() };
        let bytes = encode(&candidate)?.len() as u64;
        if bytes < fewest {
            fewest = bytes;
            best = Some((judged, *how, candidate));
        }
    }
    let Some((judged, how, smaller)) = best else {
        return Err(loses_too_much(id, least, request.max_loss));
    };
    progress(0.9, "measuring the smaller model");
    let bytes = encode(&smaller)?;
    let before = span.cost(whole, judged_whole)?;
    let after = span.cost(&smaller, judged)?;
    Ok(Made { bytes, how, before, after, judged: span.judged, seen })
}

/// Stands for pruning when only its possibility is asked for.
const PRUNE_NOTHING: Prune = Prune { trees: 1.0, leaves: 256 };

/// What to try, the mildest first among those that keep as many leaves.
fn candidates(request: OptimizeRequest, trees: usize) -> Vec<Shrink> {
    let quantize = request.quantize;
    let mut all = Vec::new();
    if quantize {
        all.push(Shrink { quantize, prune: None });
    }
    if request.prune && trees > 0 {
        for leaves in LEAVES_TRIED {
            all.extend(TREES_TRIED.map(|trees| Shrink { quantize, prune: Some(Prune { trees, leaves }) }));
        }
    }
    all
}

fn loses_too_much(id: &VersionId, least: f64, allowed: f64) -> Error {
    let message = format!(
        "nothing was registered: the mildest smaller version of `{id}` loses {:.2} % on the days judged by, more than \
         the {:.2} % allowed; allow more with `--max-loss`, or leave out `--quantize` or `--prune`",
        100.0 * least,
        100.0 * allowed
    );
    Error::new(ErrorKind::Conflict, message)
}

fn new_version(parent: &ModelVersion, made: &Made, artifact_sha256: String, now: Time) -> NewVersion {
    // The parent's own scores are its own; those of the baselines stay what they are.
    let scores =
        parent.metrics.iter().filter(|(name, _)| name.contains('/') || name.starts_with("backtest_"));
    let mut metrics: BTreeMap<String, f64> = scores.map(|(name, &value)| (name.clone(), value)).collect();
    for (name, &value) in parent.metrics.iter().filter(|(name, _)| !metrics_of_others(name)) {
        metrics.insert(format!("parent/{name}"), value);
    }
    for (suffix, cost) in [("_before", &made.before), ("", &made.after)] {
        metrics.insert(format!("validation_pinball{suffix}"), cost.pinball);
        metrics.insert(format!("artifact_bytes{suffix}"), cost.bytes as f64);
        metrics.insert(format!("rows_per_second{suffix}"), cost.rows_per_second);
    }
    NewVersion {
        series: parent.series.clone(),
        recipe: parent.recipe.clone(),
        parent: Some(parent.id.clone()),
        created_at: now,
        trained_from: parent.trained_from,
        trained_to: parent.trained_to,
        as_of: parent.as_of,
        metrics,
        notes: notes(parent, made),
        artifact_sha256,
        artifact_bytes: made.bytes.len() as u64,
    }
}

fn metrics_of_others(name: &str) -> bool {
    const OWN: [&str; 4] = ["backtest_", "validation_", "artifact_", "rows_per_second"];
    name.contains('/') || OWN.iter().any(|own| name.starts_with(own))
}

fn notes(parent: &ModelVersion, made: &Made) -> Vec<String> {
    let (before, after) = (&made.before, &made.after);
    let mut notes = vec![format!(
        "a smaller `{}`, not trained anew: it is judged by its loss beside that version's, and made champion by force \
         with a reason",
        parent.id
    )];
    if made.how.quantize {
        notes.push(
            "quantized: leaves of trees in 8 bits with a unit per tree, regressions in bf16".to_owned(),
        );
    }
    if let Some(prune) = made.how.prune {
        let leaves =
            if prune.leaves < 256 { format!(" of at most {} leaves", prune.leaves) } else { String::new() };
        notes.push(format!("pruned: {} of {} trees{leaves}", after.trees, before.trees));
    }
    notes.push(format!("size: {} bytes, before {}", after.bytes, before.bytes));
    notes.push(format!(
        "speed: {:.0} rows a second of one thread, before {:.0} (measured when it was made)",
        after.rows_per_second, before.rows_per_second
    ));
    notes.push(format!(
        "pinball loss on the forecasts from {} to {}, as known at their starts: {:.6}, before {:.6} ({:+.3} %){}",
        made.judged.0,
        made.judged.1,
        after.pinball,
        before.pinball,
        100.0 * loss(before, after),
        if made.seen { "; measured on what the recipe learns without these days, made smaller alike" } else { "" }
    ));
    notes
}
