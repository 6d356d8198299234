//! A quick backtest of one part: its errors when too few forecasts were issued, and a forecast when it has no champion.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Choice, Family, ForecastPoint, QuantileLevels, Series, SeriesName, Time};
use forewatt_model::backtest::{BacktestRow, Outcome, Refit};
use forewatt_model::dataset::Dataset;
use forewatt_model::features;
use forewatt_store::SeriesState;
use jiff::SignedDuration;

use crate::answer::shortest;
use crate::backtest::{self, BacktestRequest};
use crate::dataset::View;
use crate::error::{Error, ErrorKind, Result};
use crate::jobs::Progress;
use crate::{Service, blocking};

/// Days before the start whose errors are looked at.
pub(super) const PAST_DAYS: i64 = 28;
/// Days the quick model learns from.
const TRAINING_DAYS: u32 = 120;
/// Days beside those that its features and its quality checks read.
const MARGIN_DAYS: i64 = 60;
/// Who plays: the first that the history suffices for.
const CAST: [Family; 2] = [Family::Linear, Family::SeasonalNaive];

/// What to rehearse; also the key under which the outcome is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Scene {
    pub series: SeriesName,
    /// The data revision.
    pub revision: u64,
    pub start: Time,
    pub as_of: Time,
    pub steps: usize,
    /// Bits of the levels of the forecast at the start; empty when only errors are wanted.
    pub level_bits: Vec<u64>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rehearsal {
    /// Who played.
    pub family: Family,
    /// Actual minus forecast, by forecast start and valid time.
    pub errors: BTreeMap<(Time, Time), f64>,
    /// The forecast at the start.
    pub ahead: Vec<ForecastPoint>,
}

impl Service {
    /// Daily forecasts of the last weeks and of the start, by a quick model without covariates.
    pub(super) async fn rehearse(
        &self,
        (series, state): &(Series, SeriesState),
        (start, as_of): (Time, Time),
        steps: usize,
        ahead: Option<&QuantileLevels>,
    ) -> Result<Arc<Rehearsal>> {
        let bits = |levels: &QuantileLevels| levels.as_slice().iter().map(|l| l.to_bits()).collect();
        let scene = Scene {
            series: series.name.clone(),
            revision: state.revision,
            start,
            // What became known since the start would change only the last error or two, and every answer's key.
            as_of: as_of.min(start),
            steps,
            level_bits: ahead.map(bits).unwrap_or_default(),
        };
        let play = async {
            let days = past_days(series, state, start)?;
            let from = start.plus_micros(-(i64::from(TRAINING_DAYS) + days + MARGIN_DAYS) * MICROS_PER_DAY);
            let to = start.plus_micros(steps as i64 * series.resolution.micros() + MICROS_PER_DAY);
            let dataset =
                self.load_dataset(series, &[], (from, to), View::Revisions { as_of: scene.as_of }).await?;
            let (scene, levels) = (scene.clone(), ahead.cloned());
            let seed = self.config.train.seed;
            let played = blocking(move || play(&dataset, &scene, days, levels.as_ref(), seed)).await??;
            Ok(Arc::new(played))
        };
        let known = self.answers.rehearsals.try_get_with(scene.clone(), play).await;
        known.map_err(|error: Arc<Error>| (*error).clone())
    }
}

/// How many days can be rehearsed: half the history at most.
fn past_days(series: &Series, state: &SeriesState, start: Time) -> Result<i64> {
    let history = state.first_valid_time.map_or(0, |first| start.micros_since(first)) / MICROS_PER_DAY;
    let days = PAST_DAYS.min(history / 2);
    if days < 1 {
        let message = format!(
            "`{}` has {history} days of data before {start}, too few to forecast it without a champion: import more",
            series.name
        );
        return Err(Error::new(ErrorKind::InsufficientData, message));
    }
    Ok(days)
}

fn play(
    dataset: &Dataset,
    scene: &Scene,
    days: i64,
    ahead: Option<&QuantileLevels>,
    seed: u64,
) -> Result<Rehearsal> {
    let step = dataset.step();
    let days = days_that_meet(dataset, scene.start, days);
    let past = SignedDuration::from_hours(24 * days.max(1));
    let from = days_before(dataset, scene.start, days);
    let request = BacktestRequest {
        family: CAST[0],
        covariates: Vec::new(),
        from,
        to: if ahead.is_some() || days == 0 { scene.start + step.duration() } else { scene.start },
        every: SignedDuration::from_hours(24),
        horizon: step.duration() * i32::try_from(scene.steps).unwrap_or(i32::MAX),
        // The span ends at the start: what answers there has learned from all that came before.
        refit: Refit::Every(past),
        levels: ahead.cloned().unwrap_or_else(QuantileLevels::deciles),
        training_days: Some(TRAINING_DAYS),
        any_hour: true,
        choice: Choice::default(),
        seed,
        budget: None,
    };
    let quiet: Progress = Arc::new(|_, _| ());
    let mut refused = None;
    for family in CAST {
        match backtest::run(dataset, &BacktestRequest { family, ..request.clone() }, &quiet) {
            Ok(outcome) => return Ok(read(&outcome, scene.start)),
            Err(error) if error.kind == ErrorKind::InsufficientData => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| Error::internal("nobody was asked to rehearse")))
}

/// The daily start so many days before another, as a backtest counts days.
fn days_before(dataset: &Dataset, start: Time, days: i64) -> Time {
    features::days_later(dataset, start, -days)
}

/// How many daily starts before a start lead to it, at most `days`: they keep the time on the clock, and in the hour
/// that clocks skip or show twice they may miss it.
fn days_that_meet(dataset: &Dataset, start: Time, days: i64) -> i64 {
    let meets =
        |days: &i64| features::days_later(dataset, days_before(dataset, start, *days), *days) == start;
    (1..=days).rev().find(meets).unwrap_or(0)
}

fn read(outcome: &Outcome, start: Time) -> Rehearsal {
    let (ahead, past): (Vec<_>, Vec<_>) = outcome.rows.iter().partition(|row| row.forecast_start >= start);
    let error = |row: &BacktestRow| f64::from(row.actual) - f64::from(row.mean);
    let errors = past.into_iter().filter(|row| row.actual.is_finite());
    Rehearsal {
        family: outcome.family,
        errors: errors.map(|row| ((row.forecast_start, row.valid_time), error(row))).collect(),
        ahead: ahead
            .into_iter()
            .map(|row| ForecastPoint {
                valid_time: row.valid_time,
                mean: shortest(row.mean),
                quantiles: row.quantiles.iter().map(|&q| shortest(q)).collect(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{Resolution, SeriesKind, TimeGrid};
    use forewatt_model::dataset::Column;

    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn madrid(step: Resolution) -> Dataset {
        let series = Series {
            name: "load".parse().unwrap(),
            kind: SeriesKind::Load,
            unit: "MW".to_owned(),
            resolution: step,
            time_zone: "Europe/Madrid".parse().unwrap(),
            location: None,
            holiday_region: None,
            parent: None,
        };
        let grid = TimeGrid { start: at("2026-01-01T00:00:00Z"), step, len: 10 };
        Dataset { series, target: Column::new(grid, &[]).0, covariates: vec![] }
    }

    #[test]
    fn daily_starts_before_a_start_meet_it() {
        let hourly = madrid(Resolution::HOUR);
        for (start, days, from) in [
            ("2026-04-05T22:00:00Z", 28, "2026-03-08T23:00:00Z"), // midnight, over the change in spring
            ("2026-01-29T11:00:00Z", 28, "2026-01-01T11:00:00Z"),
            ("2026-10-25T00:00:00Z", 28, "2026-09-27T00:00:00Z"), // 02:00, shown for the first time
            ("2026-10-25T01:00:00Z", 0, "2026-10-25T01:00:00Z"), // and for the second: no earlier start meets it
        ] {
            assert_eq!(days_that_meet(&hourly, at(start), 28), days, "{start}");
            assert_eq!(days_before(&hourly, at(start), days), at(from), "{start}");
        }
        let coarse = madrid(Resolution::from_seconds(6 * 3600).unwrap());
        assert_eq!(days_before(&coarse, at("2026-04-05T18:00:00Z"), 28), at("2026-03-08T18:00:00Z"));
    }
}
