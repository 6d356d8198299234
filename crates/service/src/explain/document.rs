//! What an explanation says to the outside: shares sorted by size, per valid time and over the horizon.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use forewatt_domain::{Forecast, Time, VersionId};
use forewatt_model::explain::{Explanation, Method, RowExplanation, label};
use serde::Serialize;

use crate::answer::shortest;

/// Why a forecast is what it is. At every valid time `reference`, the groups' contributions and the adjustments add
/// up to `mean`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// Whose forecast.
    pub series: String,
    /// The unit of means, references and contributions.
    pub unit: String,
    /// Which version made it.
    pub model_version: String,
    /// The start of the first period.
    pub forecast_start: Time,
    /// When the forecast was made.
    pub issued_at: Time,
    /// Why the forecast is not what it should be; none when all is well.
    pub degraded: Option<String>,
    /// What it is compared with.
    pub reference: Reference,
    /// Whether every part of the model could be explained feature by feature; else some by groups only.
    pub by_feature: bool,
    /// How the contributions were found, in words: per what, and whether exactly.
    pub method: String,
    /// Sums over the valid times.
    pub total: TotalShares,
    /// One a valid time.
    pub points: Vec<PointShares>,
}

/// What a forecast is compared with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reference {
    /// `usual` or `previous`.
    pub kind: &'static str,
    /// In words.
    pub text: String,
    /// Start of the first forecast compared with.
    pub from: Time,
    /// Start of the last one.
    pub to: Time,
    /// Which version made them.
    pub model_version: String,
}

/// Sums over the valid times, in the unit times steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TotalShares {
    /// How many valid times.
    pub steps: usize,
    /// Sum of the means.
    pub mean: f64,
    /// Sum of the references.
    pub reference: f64,
    /// By falling size.
    pub groups: Vec<GroupShare>,
    /// The strongest, by falling size.
    pub features: Vec<FeatureShare>,
    /// What came after the model.
    pub adjustments: Vec<Adjustment>,
}

/// One valid time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PointShares {
    /// The start of the period it is about.
    pub valid_time: Time,
    /// The expected value forecast.
    pub mean: f64,
    /// The expected value it is compared with.
    pub reference: f64,
    /// By falling size.
    pub groups: Vec<GroupShare>,
    /// The strongest, by falling size; parts of their groups.
    pub features: Vec<FeatureShare>,
    /// What came after the model.
    pub adjustments: Vec<Adjustment>,
}

/// What a group of inputs adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupShare {
    /// For machines: `calendar`, `covariate:NAME`.
    pub group: String,
    /// For people.
    pub label: String,
    /// The value that tells most of it (the covariate itself, the sun), where one does; in a total the mean.
    pub value: Option<f64>,
    /// That value in the reference.
    pub reference_value: Option<f64>,
    /// By how much it moves the mean.
    pub contribution: f64,
}

/// What one feature adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureShare {
    /// The model's name for it.
    pub feature: String,
    /// For people.
    pub label: String,
    /// Which group it is in.
    pub group: String,
    /// Its value; none when unknown; in a total the mean.
    pub value: Option<f64>,
    /// Its value in the reference.
    pub reference_value: Option<f64>,
    /// By how much it moves the mean.
    pub contribution: f64,
}

/// What came after the model's own mean.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Adjustment {
    /// `night`, `floor`, `quantiles`, `ordering`, `version`.
    pub kind: String,
    /// In words.
    pub label: String,
    /// By how much it moves the mean.
    pub contribution: f64,
}

impl Reference {
    pub(super) fn usual(origins: &[Time], version: &VersionId, method: Method) -> Self {
        let (from, to) = (origins[0], origins[origins.len() - 1]);
        let what = match method {
            Method::WholeDays { .. } => "the forecast for the mean inputs at the same time of day",
            Method::Features | Method::Groups => "the mean forecast for the same time of day",
        };
        Self {
            kind: "usual",
            text: format!("{what} at the same lead time, from {} starts up to {to}", origins.len()),
            from,
            to,
            model_version: version.to_string(),
        }
    }

    pub(super) fn previous(at: Time, start: Time, version: &VersionId) -> Self {
        Self {
            kind: "previous",
            text: format!("the forecast for the same times with what was known at {at}"),
            from: start,
            to: start,
            model_version: version.to_string(),
        }
    }
}

/// How contributions were found, in words.
fn told(method: Method) -> String {
    match method {
        Method::Features => "feature by feature".to_owned(),
        Method::Groups => "in part by groups of inputs: not every part of the model can be opened".to_owned(),
        Method::WholeDays { groups, coalitions, orders } => {
            let how = match orders {
                None => format!("exactly: all {coalitions} combinations of {groups} groups were asked"),
                Some(orders) => format!(
                    "sampled: the mean over {orders} of the orders in which {groups} groups can change one after \
                     another, so shares are estimates, and their sum is exact"
                ),
            };
            format!("by groups of inputs that change for all times at once, {how}")
        }
    }
}

/// A change of versions between the reference and the forecast.
pub(super) struct Version<'a> {
    /// What the other version foretold.
    pub from: &'a Forecast,
    pub to: &'a VersionId,
}

/// Shares of one valid time or of their sum, not yet sorted; everything by position in the explanation.
#[derive(Clone)]
struct Sums {
    mean: f64,
    reference: f64,
    groups: Vec<f64>,
    features: Vec<f64>,
    values: Values,
    adjustments: BTreeMap<(String, String), f64>,
}

/// The mean of what is known.
#[derive(Clone, Copy, Default)]
struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    fn add(&mut self, value: f32) {
        if value.is_finite() {
            self.sum += f64::from(value);
            self.count += 1;
        }
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| tidy(self.sum / f64::from(self.count)))
    }
}

/// Values of features and of their references. Means over several valid times compare only those where both are
/// known: a covariate that was foretold for the night alone must not look as if the night were the day.
#[derive(Clone)]
struct Values(Vec<[Mean; 4]>);

impl Values {
    fn add(&mut self, values: &[f32], references: &[f32]) {
        for (means, (&value, &reference)) in self.0.iter_mut().zip(values.iter().zip(references)) {
            let [own, other, own_paired, other_paired] = means;
            own.add(value);
            other.add(reference);
            if value.is_finite() && reference.is_finite() {
                own_paired.add(value);
                other_paired.add(reference);
            }
        }
    }

    fn get(&self, i: usize) -> (Option<f64>, Option<f64>) {
        let [own, other, own_paired, other_paired] = self.0[i];
        if own_paired.count > 0 { (own_paired.get(), other_paired.get()) } else { (own.get(), other.get()) }
    }
}

/// As many digits as single precision knows: the models compute in it.
fn tidy(value: f64) -> f64 {
    shortest(value as f32)
}

impl Sums {
    fn new(explanation: &Explanation) -> Self {
        let columns = explanation.features.len();
        Self {
            mean: 0.0,
            reference: 0.0,
            groups: vec![0.0; explanation.grouping.groups.len()],
            features: vec![0.0; columns],
            values: Values(vec![[Mean::default(); 4]; columns]),
            adjustments: BTreeMap::new(),
        }
    }

    /// Adds a valid time; false when the other version did not foretell it.
    fn add(&mut self, row: &RowExplanation, version: Option<&Version<'_>>) -> bool {
        let mut reference = row.reference;
        if let Some(version) = version {
            let points = &version.from.points;
            let Some(point) = points.iter().find(|point| point.valid_time == row.key.valid_time) else {
                return false;
            };
            reference = point.mean;
            let label = format!("{} answers instead of {}", version.to, version.from.model_version);
            *self.adjustments.entry(("version".to_owned(), label)).or_default() += row.reference - point.mean;
        }
        if let Some((bound, share)) = row.bound {
            let kind = match serde_json::to_value(bound) {
                Ok(serde_json::Value::String(kind)) => kind,
                _ => String::new(), // a variant without fields is always written as its name
            };
            *self.adjustments.entry((kind, bound.label().to_owned())).or_default() += share;
        }
        self.mean += row.mean;
        self.reference += reference;
        self.groups.iter_mut().zip(&row.by_group).for_each(|(sum, share)| *sum += share);
        self.features.iter_mut().zip(&row.by_feature).for_each(|(sum, share)| *sum += share);
        self.values.add(&row.values, &row.reference_values);
        true
    }

    fn groups(&self, explanation: &Explanation) -> Vec<GroupShare> {
        let grouping = &explanation.grouping;
        let share = |(g, &contribution): (usize, &f64)| {
            let telling = grouping.telling_column(&explanation.features, g);
            let (value, reference_value) = telling.map_or((None, None), |column| self.values.get(column));
            GroupShare {
                group: grouping.groups[g].id.clone(),
                label: grouping.groups[g].label.clone(),
                value,
                reference_value,
                contribution: tidy(contribution),
            }
        };
        let mut shares: Vec<GroupShare> = self.groups.iter().enumerate().map(share).collect();
        shares.sort_by(|a, b| falling(a.contribution, b.contribution));
        shares
    }

    fn features(&self, explanation: &Explanation, count: usize) -> Vec<FeatureShare> {
        let mut order: Vec<usize> = (0..self.features.len()).filter(|&i| self.features[i] != 0.0).collect();
        order.sort_by(|&a, &b| falling(self.features[a], self.features[b]));
        let share = |i: usize| {
            let (value, reference_value) = self.values.get(i);
            FeatureShare {
                feature: explanation.features[i].clone(),
                label: label(&explanation.features[i]),
                group: explanation.grouping.groups[explanation.grouping.of_column[i]].id.clone(),
                value,
                reference_value,
                contribution: tidy(self.features[i]),
            }
        };
        order.into_iter().take(count).map(share).collect()
    }

    fn adjustments(&self) -> Vec<Adjustment> {
        let adjustment = |((kind, label), share): (&(String, String), &f64)| Adjustment {
            kind: kind.clone(),
            label: label.clone(),
            contribution: tidy(*share),
        };
        let mut adjustments: Vec<Adjustment> = self.adjustments.iter().map(adjustment).collect();
        adjustments.sort_by(|a, b| falling(a.contribution, b.contribution));
        adjustments
    }
}

fn falling(a: f64, b: f64) -> Ordering {
    b.abs().total_cmp(&a.abs())
}

/// Dresses an explanation, with `features` features told for each valid time.
pub(super) fn document(
    forecast: &Forecast,
    explanation: &Explanation,
    reference: Reference,
    version: Option<&Version<'_>>,
    features: usize,
) -> Explained {
    let mut total = Sums::new(explanation);
    let mut points = Vec::with_capacity(explanation.rows.len());
    for row in &explanation.rows {
        let mut own = Sums::new(explanation);
        if !own.add(row, version) {
            continue;
        }
        total.add(row, version);
        points.push(PointShares {
            valid_time: row.key.valid_time,
            mean: tidy(own.mean),
            reference: tidy(own.reference),
            groups: own.groups(explanation),
            features: own.features(explanation, features),
            adjustments: own.adjustments(),
        });
    }
    Explained {
        series: forecast.series.to_string(),
        unit: forecast.unit.clone(),
        model_version: forecast.model_version.to_string(),
        forecast_start: forecast.forecast_start,
        issued_at: forecast.issued_at,
        degraded: forecast.degraded.clone(),
        reference,
        by_feature: explanation.method == Method::Features,
        method: told(explanation.method),
        total: TotalShares {
            steps: points.len(),
            mean: tidy(total.mean),
            reference: tidy(total.reference),
            groups: total.groups(explanation),
            features: total.features(explanation, features),
            adjustments: total.adjustments(),
        },
        points,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sampled_is_told_as_sampled() {
        let days = |orders| Method::WholeDays { groups: 9, coalitions: 120, orders };
        let (exact, sampled) = (told(days(None)), told(days(Some(12))));
        assert!(exact.ends_with("exactly: all 120 combinations of 9 groups were asked"), "{exact}");
        assert!(
            sampled.contains("the mean over 12 of the orders") && sampled.contains("estimates"),
            "{sampled}"
        );
        assert_eq!(told(Method::Features), "feature by feature");
        assert!(told(Method::Groups).contains("in part by groups"));
        let origins = [Time::from_seconds(0), Time::from_seconds(86_400)];
        let version = VersionId::from_text("load-v1").unwrap();
        let text = |method| Reference::usual(&origins, &version, method).text;
        assert!(text(days(None)).starts_with("the forecast for the mean inputs"));
        assert!(text(Method::Features).starts_with("the mean forecast"), "{}", text(Method::Features));
    }
}
