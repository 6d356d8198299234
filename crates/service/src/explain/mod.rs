//! Why a forecast is what it is: against the usual, or against what was foretold for the same times before.

mod document;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Forecast, Time, VersionId};
use forewatt_model::explain::{Background, explain};
use forewatt_model::features;
use forewatt_store::ForecastQuery;

use crate::dataset::View;
use crate::error::{Error, ErrorKind, Result};
use crate::forecast::{ForecastRequest, Plan, predict};
use crate::{Service, blocking};

pub use document::{Adjustment, Explained, FeatureShare, GroupShare, PointShares, Reference, TotalShares};
use document::{Version, document};

/// The most features told for one valid time.
pub const FEATURES_MAX: usize = 50;
/// Features told when the question names no number.
pub const FEATURES_DEFAULT: usize = 5;

/// What a client asks.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainRequest {
    /// Which forecast; its levels and threshold do not matter.
    pub forecast: ForecastRequest,
    /// Compare with what was foretold for the same valid times before; with the usual when absent.
    pub since: Option<Since>,
    /// How many features to tell for each valid time, the strongest first, 1 to [`FEATURES_MAX`].
    pub features: usize,
}

/// Which earlier forecast to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The last one kept as issued before this start.
    Previous,
    /// The one that was right to make at an instant, with what was known then.
    Instant(Time),
}

impl std::str::FromStr for Since {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        if text == "previous" {
            return Ok(Self::Previous);
        }
        let wrong = |error| Error::invalid(format!("write `previous` or an instant: {error}"));
        text.parse().map(Self::Instant).map_err(wrong)
    }
}

/// The forecast start so many days before: at the same gate for a daily recipe, whatever the clocks did in between.
fn earlier_start(plan: &Plan, days: i64) -> Time {
    if !plan.model.version.recipe.daily {
        return plan.start().plus_micros(-days * MICROS_PER_DAY);
    }
    let (zone, step) = (&plan.info.series.time_zone, plan.info.series.resolution);
    let noon = plan.origin().plus_micros(MICROS_PER_DAY / 2 - days * MICROS_PER_DAY);
    zone.gate(step.floor(noon, plan.origin()), step, plan.origin())
}

/// An earlier forecast to compare with.
struct Earlier {
    at: Time,
    version: VersionId,
}

impl Service {
    /// Explains a forecast: contributions of its inputs that add up to its distance from a reference.
    ///
    /// # Errors
    /// As [`Service::forecast`]; `InvalidInput` when `since` is not before the forecast or shares no valid time with
    /// it; `NotFound` when no earlier forecast was kept; `InsufficientData` when there is no history to compare with.
    pub async fn explain(&self, request: &ExplainRequest) -> Result<Explained> {
        if !(1..=FEATURES_MAX).contains(&request.features) {
            let message =
                format!("{} features were asked for: ask for 1 to {FEATURES_MAX}", request.features);
            return Err(Error::invalid(message));
        }
        let plan = self.plan(&request.forecast).await?;
        match request.since {
            None => self.explain_against_usual(plan, request.features).await,
            Some(since) => {
                let earlier = self.earlier(&plan, since).await?;
                self.explain_change(plan, &earlier, request.features).await
            }
        }
    }

    /// Against the forecasts of the days before for the same time of day, each with what was known then.
    async fn explain_against_usual(&self, plan: Plan, features: usize) -> Result<Explained> {
        let start = plan.origin();
        let first_known = plan.info.state.first_valid_time.unwrap_or(start);
        let origins: Vec<Time> = (1..=i64::from(self.config.explain.background_days))
            .rev()
            .map(|days| earlier_start(&plan, days))
            .filter(|origin| origin.micros_since(first_known) >= MICROS_PER_DAY)
            .collect();
        let Some(&first) = origins.first() else {
            let message = format!(
                "`{}` has less than two days of history before {start}: there is nothing to compare with",
                plan.info.series.name
            );
            return Err(Error::new(ErrorKind::InsufficientData, message));
        };
        let known = self.load_inputs(&plan, None).await?;
        let range = (first.plus_micros(-plan.inputs_micros()), plan.inputs_end());
        let covariates = &plan.model.version.recipe.covariates;
        let view = View::Revisions { as_of: plan.as_of };
        let history = self.load_dataset(&plan.info.series, covariates, range, view).await?;
        let (model, asked) = (std::sync::Arc::clone(&plan.model), plan.rows());
        let evaluations_max = self.config.explain.evaluations_max;
        let version = plan.model.version.id.clone();
        let (explanation, predicted, origins) = blocking(move || {
            let (spec, horizon) = (&model.artifact.spec, model.version.recipe.reach());
            let predicted = predict(&known, &model, start)?;
            // The whole horizon, of which the first steps are told: a model of whole days reads all of it.
            let rows = features::build(&known, spec, &[start], horizon);
            let usual = features::build(&history, spec, &origins, horizon);
            let background = Background::usual(&rows, usual).only(asked);
            let explanation = explain(&model.artifact.model, &rows, &background, evaluations_max)?;
            Ok::<_, Error>((explanation, predicted, origins))
        })
        .await??;
        let forecast = self.issue(&plan, predicted)?;
        let reference = Reference::usual(&origins, &version, explanation.method);
        Ok(document(&forecast, &explanation, reference, None, features))
    }

    /// Against what was foretold for the same valid times before, and by which version.
    async fn explain_change(&self, plan: Plan, earlier: &Earlier, features: usize) -> Result<Explained> {
        let question = |version: &VersionId| ForecastRequest {
            as_of: Some(earlier.at),
            version: Some(version.clone()),
            ..ForecastRequest::new(plan.info.series.name.clone())
        };
        let before = self.plan(&question(&plan.model.version.id)).await?;
        let (known, known_before) =
            (self.load_inputs(&plan, None).await?, self.load_inputs(&before, None).await?);
        let other = self.other_version(&plan, &question(&earlier.version)).await?;
        let (start, start_before, asked) = (plan.origin(), before.origin(), plan.rows());
        let evaluations_max = self.config.explain.evaluations_max;
        let model = std::sync::Arc::clone(&plan.model);
        let (explanation, predicted) = blocking(move || {
            let (spec, horizon) = (&model.artifact.spec, model.version.recipe.reach());
            let predicted = predict(&known, &model, start)?;
            let rows = features::build(&known, spec, &[start], horizon);
            let older = features::build(&known_before, spec, &[start_before], horizon);
            let background = Background::same_times(&rows, older).only(asked);
            let explanation = explain(&model.artifact.model, &rows, &background, evaluations_max)?;
            Ok::<_, Error>((explanation, predicted))
        })
        .await??;
        let forecast = self.issue(&plan, predicted)?;
        let reference = Reference::previous(earlier.at, start_before, &earlier.version);
        let version = other.as_ref().map(|other| Version { from: other, to: &plan.model.version.id });
        let explained = document(&forecast, &explanation, reference, version.as_ref(), features);
        if explained.points.is_empty() {
            let message = format!(
                "the forecast from {start_before} and the one from {} have no valid time in common: ask for a later `since`",
                plan.start()
            );
            return Err(Error::invalid(message));
        }
        Ok(explained)
    }

    /// What another version foretold then; none when it is the one that answers now.
    async fn other_version(&self, plan: &Plan, question: &ForecastRequest) -> Result<Option<Forecast>> {
        if question.version.as_ref() == Some(&plan.model.version.id) {
            return Ok(None);
        }
        let other = self.plan(question).await?;
        let (dataset, model, start) =
            (self.load_inputs(&other, None).await?, std::sync::Arc::clone(&other.model), other.origin());
        let predicted = blocking(move || predict(&dataset, &model, start)).await??;
        self.issue(&other, predicted).map(Some)
    }

    /// Which earlier forecast is meant, and which version made it: as kept when issued, else the one that answers now.
    async fn earlier(&self, plan: &Plan, since: Since) -> Result<Earlier> {
        let name = &plan.info.series.name;
        let start = plan.start();
        let at = match since {
            // What was issued since a daily gate is this forecast again.
            Since::Previous => plan.origin().plus_micros(-1),
            Since::Instant(at) if at >= plan.as_of => {
                let message =
                    format!("`since` ({at}) must lie before what the forecast knows ({})", plan.as_of);
                return Err(Error::invalid(message));
            }
            Since::Instant(at) => at,
        };
        let end = start.plus_micros(plan.steps() as i64 * plan.info.series.resolution.micros());
        let issued = self.read_forecasts(name, ForecastQuery::AsOf { at, from: start, to: end }).await?;
        let newest = issued.into_iter().max_by_key(|point| point.issued_at);
        match (since, newest) {
            (Since::Previous, None) => {
                let message = format!(
                    "no forecast of `{name}` that was issued before {start} and reaches beyond it was kept: name the instant to compare with"
                );
                Err(Error::new(ErrorKind::NotFound, message))
            }
            (Since::Previous, Some(point)) => {
                Ok(Earlier { at: point.issued_at, version: point.model_version })
            }
            (Since::Instant(at), Some(point)) => Ok(Earlier { at, version: point.model_version }),
            (Since::Instant(at), None) => Ok(Earlier { at, version: plan.model.version.id.clone() }),
        }
    }
}
