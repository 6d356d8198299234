//! The stored sides of a comparison: what versions issued, what third parties forecast, what came true.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewatt_domain::{Observation, Series, SeriesName, Time, VersionId, Zone};
use forewatt_model::compare::{ForecastRow, Forecasts};
use forewatt_store::{ForecastStore, ObservationRange, ObservationStore};

use super::{CompareRequest, Loaded, Setting, Source, lead_micros, loaded_given};
use crate::error::{Error, ErrorKind, Result};
use crate::{SeriesInfo, Service};

/// Valid times asked for; an open end reaches as far as there are data.
type Reach = (Option<Time>, Option<Time>);

impl Service {
    /// Both sides with what came true, and what is known beside them.
    pub(super) async fn load_sides(&self, request: CompareRequest) -> Result<([Loaded; 2], Setting)> {
        let truth = self.truth(&request).await?;
        let lead_micros = lead_micros(&request);
        let reach = (request.from, request.to);
        let mut notes = Vec::new();
        let mut sides = Vec::with_capacity(2);
        for source in [request.a, request.b] {
            sides.push(match source {
                Source::Given { name, forecasts } => loaded_given(name, forecasts, reach),
                Source::Version(id) => self.issued_by(&id, reach, &mut notes).await?,
                Source::Series(name) => {
                    let lead = lead_micros.unwrap_or(0);
                    self.forecast_series(&name, truth.as_deref(), (reach, lead), &mut notes).await?
                }
            });
        }
        if let Some(info) = &truth {
            self.tell_actuals(info, &mut sides).await?;
        }
        let zone = request.time_zone.or_else(|| truth.as_ref().map(|info| info.series.time_zone.clone()));
        let unit = truth.as_ref().map(|info| info.series.unit.clone()).unwrap_or_default();
        let of = truth.map(|info| info.series.name.clone());
        let setting = Setting { of, unit, zone: zone.unwrap_or_else(Zone::utc), lead_micros, notes };
        match <[Loaded; 2]>::try_from(sides) {
            Ok(sides) => Ok((sides, setting)),
            Err(_) => Err(Error::internal("a comparison has two sides")),
        }
    }

    /// The series that both sides are about: named, or that of a version.
    async fn truth(&self, request: &CompareRequest) -> Result<Option<Arc<SeriesInfo>>> {
        let mut of = request.of.clone();
        for source in [&request.a, &request.b] {
            let (id, series) = match source {
                Source::Version(id) => (id, self.version(id).await?.series),
                // A name that is not there is told before what else is wrong.
                Source::Series(name) => {
                    self.series(name).await?;
                    continue;
                }
                Source::Given { .. } => continue,
            };
            match &of {
                Some(other) if *other != series => {
                    let message = format!(
                        "`{id}` forecasts `{series}`, not `{other}`: compare forecasts of one series"
                    );
                    return Err(Error::invalid(message));
                }
                _ => of = Some(series),
            }
        }
        match of {
            Some(name) => Ok(Some(self.series(&name).await?)),
            None => Ok(None),
        }
    }

    /// What a version issued: from what was known then, so never replays.
    async fn issued_by(&self, id: &VersionId, reach: Reach, notes: &mut Vec<String>) -> Result<Loaded> {
        let version = self.version(id).await?;
        let max = self.config.limits.read_points_max;
        let range = ObservationRange {
            series: version.series.clone(),
            from: reach.0.unwrap_or(Time::MIN),
            to: reach.1.unwrap_or(Time::MAX),
        };
        self.issued.flush().await;
        let limit = u32::try_from(max.saturating_add(1)).unwrap_or(u32::MAX);
        let points = self.store.read_issued_by(id, &range, limit).await?;
        if points.len() > max {
            return Err(too_much(id.as_str(), max));
        }
        let late = points.iter().filter(|point| point.issued_at > point.valid_time).count();
        if late > 0 {
            notes
                .push(format!("{late} values of `{id}` were issued after the time they are about, from data that were too old"));
        }
        if points.is_empty() {
            let message = format!(
                "`{id}` has issued no forecast to compare: let it serve for some days, or compare backtests (`forewatt backtest --output`)"
            );
            return Err(Error::new(ErrorKind::InsufficientData, message));
        }
        // Versions answer with the levels that were asked for: those that every forecast has can be compared.
        let mut levels = points[0].levels.clone();
        points.iter().for_each(|point| levels.retain(|level| point.levels.contains(level)));
        let rows = points.into_iter().map(|point| ForecastRow {
            forecast_start: Some(point.forecast_start),
            valid_time: point.valid_time,
            actual: f64::NAN,
            mean: point.mean,
            quantiles: point
                .levels
                .iter()
                .zip(&point.quantiles)
                .filter(|(level, _)| levels.contains(level))
                .map(|(_, quantile)| *quantile)
                .collect(),
        });
        let rows = rows.collect();
        Ok(Loaded { name: id.to_string(), kind: "version", forecasts: Forecasts { levels, rows } })
    }

    /// A third party's forecast, kept as observations.
    async fn forecast_series(
        &self,
        name: &SeriesName,
        truth: Option<&SeriesInfo>,
        (reach, lead_micros): (Reach, i64),
        notes: &mut Vec<String>,
    ) -> Result<Loaded> {
        let info = self.series(name).await?;
        if let Some(truth) = truth {
            check_alike(&info.series, &truth.series)?;
        }
        let (Some(first), Some(last)) = (info.state.first_valid_time, info.state.last_valid_time) else {
            let message = format!("`{name}` has no observations yet: import the forecast first");
            return Err(Error::new(ErrorKind::InsufficientData, message));
        };
        let step = info.series.resolution.micros();
        let from = reach.0.map_or(first, |from| from.max(first));
        let to = reach.1.map_or(last.plus_micros(step), |to| to.min(last.plus_micros(step)));
        if to <= from {
            let message = format!("`{name}` is about {first} to {last}: ask for a range within");
            return Err(Error::new(ErrorKind::InsufficientData, message));
        }
        self.check_range(from, to, step)?;
        let range = ObservationRange { series: name.clone(), from, to };
        let revisions = self.store.read_revisions(&range).await?;
        if revisions.len() > self.config.limits.read_points_max {
            return Err(too_much(name.as_str(), self.config.limits.read_points_max));
        }
        let (values, in_time) = known_in_time(&revisions, lead_micros);
        if !in_time {
            notes.push(format!(
                "no value of `{name}` was known before its time by its availability, so that was not told when it was imported (--available-at, --available-after): the newest values are taken"
            ));
        }
        let rows = values.into_iter().map(|(valid_time, mean)| ForecastRow {
            forecast_start: None,
            valid_time,
            actual: f64::NAN,
            mean,
            quantiles: Vec::new(),
        });
        let forecasts = Forecasts { levels: Vec::new(), rows: rows.collect() };
        Ok(Loaded { name: name.to_string(), kind: "series", forecasts })
    }

    /// Fills in what came true, where a side does not know it.
    async fn tell_actuals(&self, info: &SeriesInfo, sides: &mut [Loaded]) -> Result<()> {
        let times = || sides.iter().flat_map(|side| side.forecasts.rows.iter().map(|row| row.valid_time));
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
        let step = info.series.resolution.micros();
        let to = last.plus_micros(step);
        self.check_range(first, to, step)?;
        let range = ObservationRange { series: info.series.name.clone(), from: first, to };
        let observed = self.store.read_as_of(&range, self.now()).await?;
        let known: BTreeMap<Time, f64> = observed.iter().map(|o| (o.valid_time, o.value)).collect();
        for row in sides.iter_mut().flat_map(|side| &mut side.forecasts.rows) {
            if row.actual.is_nan() {
                row.actual = known.get(&row.valid_time).copied().unwrap_or(f64::NAN);
            }
        }
        Ok(())
    }
}

/// Values in other units or of other steps are not about the same.
fn check_alike(forecast: &Series, truth: &Series) -> Result<()> {
    if forecast.resolution != truth.resolution {
        return Err(Error::invalid(format!(
            "`{}` has a value every {}, `{}` every {}: import the forecast with the step of what it forecasts",
            forecast.name, forecast.resolution, truth.name, truth.resolution
        )));
    }
    if !forecast.unit.is_empty() && !truth.unit.is_empty() && forecast.unit != truth.unit {
        return Err(Error::invalid(format!(
            "`{}` is in {}, `{}` in {}: import the forecast in the unit of what it forecasts",
            forecast.name, forecast.unit, truth.name, truth.unit
        )));
    }
    Ok(())
}

/// For every valid time the newest value known early enough, and whether any was: else the newest of all.
fn known_in_time(revisions: &[Observation], lead_micros: i64) -> (BTreeMap<Time, f64>, bool) {
    let newest = |allowed: &dyn Fn(&Observation) -> bool| -> BTreeMap<Time, f64> {
        // Revisions come by valid time and availability, so the last one stays.
        revisions.iter().filter(|o| allowed(o)).map(|o| (o.valid_time, o.value)).collect()
    };
    let in_time = newest(&|o| o.valid_time.micros_since(o.available_at) >= lead_micros);
    if in_time.is_empty() { (newest(&|_| true), false) } else { (in_time, true) }
}

fn too_much(name: &str, max: usize) -> Error {
    let message = format!("`{name}` has more than {max} values in this range: ask for a shorter one");
    Error::new(ErrorKind::TooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_vintage_known_in_time_answers() {
        let seen = |valid: i64, known: i64, value: f64| Observation {
            valid_time: Time::from_seconds(valid),
            available_at: Time::from_seconds(known),
            value,
        };
        let vintages = [seen(100, 10, 1.0), seen(100, 60, 2.0), seen(100, 120, 3.0), seen(200, 230, 4.0)];
        let take = |lead_seconds: i64, vintages: &[Observation]| {
            let (values, in_time) = known_in_time(vintages, lead_seconds * 1_000_000);
            (values.into_values().collect::<Vec<_>>(), in_time)
        };
        assert_eq!(take(0, &vintages), (vec![2.0], true));
        assert_eq!(take(50, &vintages), (vec![1.0], true));
        assert_eq!(take(0, &vintages[2..]), (vec![3.0, 4.0], false), "known after the fact only");
    }
}
