//! The documents of explanations and what-if questions.

use std::collections::BTreeMap;

use utoipa::ToSchema;

documents! {
/// Why a forecast is what it is: at every point `reference`, the groups' contributions and the adjustments add up to
/// `mean`.
pub struct ExplainDocument {
    /// Whose forecast.
    series: String,
    /// The unit of means, references and contributions.
    unit: String,
    /// Which model version made it.
    model_version: String,
    /// The start of the first period.
    forecast_start: String,
    /// When the forecast was made.
    issued_at: String,
    /// Why the forecast is not what it should be; null when all is well.
    degraded: Option<String>,
    /// What it is compared with.
    reference: ReferenceDocument,
    /// Whether every part of the model could be explained feature by feature; else some by groups only.
    by_feature: bool,
    /// How the contributions were found, in words: per what, and whether exactly.
    method: String,
    /// Sums over the points.
    total: ExplainTotalDocument,
    /// One a step, by rising valid time.
    points: Vec<ExplainPointDocument>,
}

/// What a forecast is compared with.
pub struct ReferenceDocument {
    /// `usual` or `previous`.
    kind: String,
    /// In words.
    text: String,
    /// Start of the first forecast compared with.
    from: String,
    /// Start of the last one.
    to: String,
    /// Which version made them.
    model_version: String,
}

/// Sums over the points, in the unit times steps.
pub struct ExplainTotalDocument {
    /// How many points.
    steps: u32,
    /// Sum of the means.
    mean: f64,
    /// Sum of the references.
    reference: f64,
    /// By falling size.
    groups: Vec<GroupShareDocument>,
    /// The strongest, by falling size.
    features: Vec<FeatureShareDocument>,
    /// What came after the model.
    adjustments: Vec<AdjustmentDocument>,
}

/// Why one valid time has its expected value.
pub struct ExplainPointDocument {
    /// The start of the period it is about.
    valid_time: String,
    /// The expected value forecast.
    mean: f64,
    /// The expected value it is compared with.
    reference: f64,
    /// By falling size.
    groups: Vec<GroupShareDocument>,
    /// The strongest, by falling size; parts of their groups.
    features: Vec<FeatureShareDocument>,
    /// What came after the model.
    adjustments: Vec<AdjustmentDocument>,
}

/// What a group of inputs adds.
pub struct GroupShareDocument {
    /// `own_past`, `level`, `calendar`, `holidays`, `season`, `sun`, `wind`, `covariate:NAME`, `other`.
    group: String,
    /// For people.
    label: String,
    /// The value that tells most of it, where one does; in a total the mean.
    value: Option<f64>,
    /// That value in the reference.
    reference_value: Option<f64>,
    /// By how much it moves the expected value.
    contribution: f64,
}

/// What one feature adds.
pub struct FeatureShareDocument {
    /// The model's name for it.
    feature: String,
    /// For people.
    label: String,
    /// Which group it is in.
    group: String,
    /// Its value; null when unknown; in a total the mean.
    value: Option<f64>,
    /// Its value in the reference.
    reference_value: Option<f64>,
    /// By how much it moves the expected value.
    contribution: f64,
}

/// What came after the model's own expected value.
pub struct AdjustmentDocument {
    /// `night`, `floor`, `quantiles`, `ordering`, `version`.
    kind: String,
    /// In words.
    label: String,
    /// By how much it moves the expected value.
    contribution: f64,
}

/// A forecast beside what it would be with other inputs; `changed` is hypothetical and not kept.
pub struct WhatIfDocument {
    /// Always true.
    hypothetical: bool,
    /// The same in words.
    note: String,
    /// Whose future.
    series: String,
    /// The unit of every value.
    unit: String,
    /// Which model version answers.
    model_version: String,
    /// The start of the first period.
    forecast_start: String,
    /// The instant of knowledge.
    issued_at: String,
    /// Why the forecast without changes is not what it should be; null when all is well.
    degraded: Option<String>,
    /// What was changed.
    overrides: Vec<AppliedDocument>,
    /// Sums over the points.
    total: DifferenceDocument,
    /// One a step, by rising valid time.
    points: Vec<WhatIfPointDocument>,
}

/// What a change came to.
pub struct AppliedDocument {
    /// Which covariate.
    covariate: String,
    /// First valid time changed.
    from: String,
    /// First valid time not changed.
    to: String,
    /// How many steps have another value now.
    steps: u32,
    /// Mean of their known values before; null where none was known.
    mean_before: Option<f64>,
    /// Their mean now.
    mean_after: f64,
}

/// Expected values with and without the change.
pub struct DifferenceDocument {
    /// As forecast.
    base: f64,
    /// With the change.
    changed: f64,
    /// `changed - base`.
    difference: f64,
}

/// One valid time with and without the change.
pub struct WhatIfPointDocument {
    /// The start of the period it is about.
    valid_time: String,
    /// The expected value as forecast.
    base: f64,
    /// The expected value with the change.
    changed: f64,
    /// `changed - base`.
    difference: f64,
    /// Quantiles as forecast, by level.
    base_quantiles: BTreeMap<String, f64>,
    /// Quantiles with the change, by level.
    changed_quantiles: BTreeMap<String, f64>,
}
}
