//! Forecasts of a parent and all its parts that add up, from forecasts that each model made on its own.

mod answer;
mod parts;
mod past;
mod rehearsal;

use std::sync::Arc;

use forewatt_domain::{QuantileLevels, SeriesName, Time, VersionId};
use forewatt_model::hierarchy::{Copula, HierarchyError, Reconciler};
use futures::{StreamExt, TryStreamExt};
use jiff::SignedDuration;

use crate::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::forecast::ForecastRequest;

pub use answer::{PastErrors, Reconciled, ReconciledPoint, ReconciledSeries};
pub use forewatt_model::hierarchy::{Method, NODES_MAX};
pub use parts::LeftOut;
pub use past::ErrorSource;
pub(crate) use rehearsal::{Rehearsal, Scene};

use answer::Base;
use parts::Parts;
use past::{Moment, Past, REHEARSALS_AT_ONCE};

/// The most values (series times steps) of one answer: each is drawn some hundred times.
const POINTS_MAX: usize = 50_000;
/// Forecasts asked for at once.
const AT_ONCE: usize = 16;

/// Whose forecasts to make add up, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct ReconcileRequest {
    /// The whole.
    pub parent: SeriesName,
    /// By which method.
    pub method: Method,
    /// How far; as for a forecast of each part, and not beyond the shortest, when absent.
    pub horizon: Option<SignedDuration>,
    /// Which quantiles; the configured default when absent.
    pub levels: Option<QuantileLevels>,
    /// Use only what was known then.
    pub as_of: Option<Time>,
    /// The start of the first period; that of the parent's own forecast when absent.
    pub forecast_start: Option<Time>,
}

impl ReconcileRequest {
    /// The default question: by minimum trace.
    #[must_use]
    pub fn new(parent: SeriesName) -> Self {
        Self { parent, method: Method::Mint, horizon: None, levels: None, as_of: None, forecast_start: None }
    }
}

/// How a part answered: a forecast, or why it cannot make one.
type Answered = std::result::Result<Base, String>;

impl Service {
    /// Forecasts a parent and all its parts at one start and makes them add up.
    ///
    /// A part without a usable champion is answered by a quick stand-in, and the answer says so. When there are too
    /// few past errors for the method, structural weights take its place, and the answer says so.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a series without parts, parts that do not add up in what was measured, or what
    /// a forecast refuses; `NoModel` when no series has a champion; `InsufficientData` when a part can neither be
    /// forecast nor stood in for; `TooLarge` beyond [`NODES_MAX`] series or too many values.
    pub async fn reconcile(&self, request: &ReconcileRequest) -> Result<Reconciled> {
        let parts = self.parts(&request.parent).await?;
        let wanted = match &request.levels {
            Some(levels) => levels.clone(),
            None => QuantileLevels::new(self.config.forecast.levels.clone())?,
        };
        let levels = drawn_levels(&wanted);
        let (answered, moment) = self.champions(&parts, request, &levels).await?;
        check_size(&parts, moment.steps)?;
        let measured = self.measured(&parts, self.past_range(&parts, moment.start), moment.as_of).await?;
        parts::check_sums(&parts, &measured)?;
        let champions: Vec<Option<VersionId>> =
            answered.iter().map(|a| a.as_ref().ok().and_then(|base| base.version.clone())).collect();
        let past = self.past(&parts, &champions, &measured, moment, &levels).await?;
        let bases = self.with_stand_ins(&parts, answered, moment, &levels).await?;
        let (asked, seed) = (request.method, self.config.train.seed);
        let work = move || {
            let (reconciler, method, fallback) = weigh(&parts, asked, &past)?;
            let copula = Copula::new(&past.errors, seed);
            let weighed = answer::Weighed { reconciler, copula, asked, method, fallback };
            answer::assemble(&parts, &bases, &weighed, &past, moment, &levels, &wanted)
        };
        crate::blocking(work).await?
    }

    /// What the champions say, all at one start, and which start that is.
    async fn champions(
        &self,
        parts: &Parts,
        request: &ReconcileRequest,
        levels: &QuantileLevels,
    ) -> Result<(Vec<Answered>, Moment)> {
        let everyone: Vec<usize> = (0..parts.series.len()).collect();
        let mut all = self.ask(parts, &everyone, request, levels).await?;
        let Some(lead) = all.iter().find_map(|answer| answer.as_ref().ok()) else {
            let why = all.into_iter().next().and_then(Answered::err).unwrap_or_default();
            let message = format!("neither `{}` nor any part of it can be forecast: {why}", request.parent);
            return Err(Error::new(ErrorKind::NoModel, message));
        };
        let start = lead.forecast_start;
        // Old data move a start: those that moved elsewhere are asked again from where the first starts.
        let apart = |&place: &usize| all[place].as_ref().is_ok_and(|base| base.forecast_start != start);
        let apart: Vec<usize> = everyone.into_iter().filter(apart).collect();
        let again = ReconcileRequest { forecast_start: Some(start), ..request.clone() };
        let moved = self.ask(parts, &apart, &again, levels).await?;
        apart.into_iter().zip(moved).for_each(|(place, answer)| all[place] = answer);
        let bases = || all.iter().filter_map(|answer| answer.as_ref().ok());
        let steps = bases().map(|base| base.points.len()).min().unwrap_or(0);
        let as_of = bases().map(|base| base.issued_at).max().unwrap_or(start);
        Ok((all, Moment { start, as_of, steps }))
    }

    async fn ask(
        &self,
        parts: &Parts,
        places: &[usize],
        request: &ReconcileRequest,
        levels: &QuantileLevels,
    ) -> Result<Vec<Answered>> {
        let questions: Vec<ForecastRequest> = places
            .iter()
            .map(|&place| ForecastRequest {
                horizon: request.horizon,
                levels: Some(levels.clone()),
                as_of: request.as_of,
                forecast_start: request.forecast_start,
                ..ForecastRequest::new(parts.name(place).clone())
            })
            .collect();
        let answers = futures::stream::iter(questions).map(|question| {
            let service = self.clone();
            async move {
                match service.forecast(&question).await {
                    Ok(answer) => Ok(Ok(Base::from(&answer.forecast))),
                    Err(error) if can_be_stood_in_for(error.kind) => Ok(Err(error.message)),
                    Err(error) => {
                        Err(Error::new(error.kind, format!("`{}`: {}", question.series, error.message)))
                    }
                }
            }
        });
        answers.buffered(AT_ONCE).try_collect().await
    }

    /// A base forecast of every part: stand-ins where a champion is missing.
    async fn with_stand_ins(
        &self,
        parts: &Parts,
        answered: Vec<Answered>,
        moment: Moment,
        levels: &QuantileLevels,
    ) -> Result<Vec<Base>> {
        let each = parts.series.iter().cloned().zip(answered).map(|(part, answered)| {
            let (service, levels) = (self.clone(), levels.clone());
            async move {
                let why = match answered {
                    Ok(base) => return Ok(base),
                    Err(why) => why,
                };
                let when = (moment.start, moment.as_of);
                let played = service.rehearse(&part, when, moment.steps, Some(&levels)).await;
                let played: Arc<Rehearsal> = played.map_err(|error| {
                    let name = &part.0.name;
                    Error::new(
                        error.kind,
                        format!("`{name}` has no stand-in either: {} ({why})", error.message),
                    )
                })?;
                Ok(Base::stand_in(&played, moment, &why))
            }
        });
        futures::stream::iter(each).buffered(REHEARSALS_AT_ONCE).try_collect().await
    }
}

/// Failures of a champion that another model may mend.
const fn can_be_stood_in_for(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NoModel | ErrorKind::InsufficientData | ErrorKind::Corrupt)
}

/// Levels to draw samples by: the deciles, and those asked for.
fn drawn_levels(wanted: &QuantileLevels) -> QuantileLevels {
    let mut all = [QuantileLevels::deciles().as_slice(), wanted.as_slice()].concat();
    all.sort_unstable_by(f64::total_cmp);
    all.dedup();
    // So many that the deciles do not fit beside them are dense enough alone.
    QuantileLevels::new(all).unwrap_or_else(|_| wanted.clone())
}

fn check_size(parts: &Parts, steps: usize) -> Result<()> {
    let values = parts.series.len() * steps;
    if values <= POINTS_MAX {
        return Ok(());
    }
    let message = format!(
        "{} series of {steps} steps are {values} values, the limit is {POINTS_MAX}: ask for a shorter horizon",
        parts.series.len()
    );
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// The method asked for, or structural weights and why.
fn weigh(parts: &Parts, asked: Method, past: &Past) -> Result<(Reconciler, Method, Option<String>)> {
    match Reconciler::new(&parts.tree, asked, Some(&past.errors)) {
        Ok(ready) => Ok((ready, asked, None)),
        Err(why @ (HierarchyError::TooFewErrors { .. } | HierarchyError::NoSpread)) => {
            let method = Method::WlsStructural;
            let beyond = past.reason.as_ref().map_or_else(String::new, |reason| format!(" ({reason})"));
            let fallback = format!("{method} in place of {asked}: {why}{beyond}");
            Ok((Reconciler::new(&parts.tree, method, None)?, method, Some(fallback)))
        }
        Err(other) => Err(other.into()),
    }
}

impl From<HierarchyError> for Error {
    fn from(error: HierarchyError) -> Self {
        use HierarchyError as Hierarchy;
        let kind = match error {
            Hierarchy::Method { .. } | Hierarchy::Empty { .. } | Hierarchy::NotATree { .. } => {
                ErrorKind::InvalidInput
            }
            Hierarchy::TooMany { .. } => ErrorKind::TooLarge,
            Hierarchy::TooFewErrors { .. } | Hierarchy::NoSpread => ErrorKind::InsufficientData,
            Hierarchy::Shape { .. } | Hierarchy::NotFinite { .. } => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_drawn_by_deciles_and_what_is_asked_for() {
        let levels = |text: &str| QuantileLevels::parse(text).unwrap();
        let drawn = drawn_levels(&levels("0.05,0.5"));
        assert_eq!(drawn.as_slice(), [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
        let dense = QuantileLevels::new((1..=99).map(|i| (f64::from(i) + 0.5) / 101.0).collect()).unwrap();
        assert_eq!(drawn_levels(&dense), dense);
    }
}
