//! Who forecasts once a day, at local midnight, and what that asks of the horizon and the history.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Family, Horizon};
use forewatt_model::days::{DAYS_MIN, OUTPUTS_MAX};

use crate::SeriesInfo;
use crate::error::{Error, ErrorKind, Result};

/// Days at the beginning of a history from which nothing is learned: they are the first inputs.
const FIRST_DAYS: i64 = 1;

/// What a training by whole days asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WholeDays {
    /// What a forecast may be asked for: the wanted horizon up to whole days.
    pub horizon: Horizon,
    /// Steps between forecast starts: those of a day.
    pub every_steps: u32,
    /// Whether there is a gate; where a step is a day, every start is one.
    pub daily: bool,
}

/// How a family learns whole days; `None` when it learns single steps: because it is such a family, or because it is
/// `auto` and this series cannot be learned by whole days.
///
/// # Errors
/// `InvalidInput` for a horizon beyond what whole days can answer, `InsufficientData` for too short a history; both
/// say what to choose instead.
pub(crate) fn whole_days(
    family: Family,
    horizon: Horizon,
    training_days: Option<u32>,
    info: &SeriesInfo,
) -> Result<Option<WholeDays>> {
    if !(family.needs_whole_days() || family == Family::Auto) {
        return Ok(None);
    }
    let refusal = match fitting(family, horizon, info) {
        Ok(found) => match too_short(family, training_days, info) {
            None => return Ok(Some(found)),
            Some(refusal) => refusal,
        },
        Err(refusal) => refusal,
    };
    if family.needs_whole_days() { Err(refusal) } else { Ok(None) }
}

fn fitting(family: Family, horizon: Horizon, info: &SeriesInfo) -> Result<WholeDays> {
    let resolution = info.series.resolution;
    let per_day = resolution.steps_per_day();
    let daily = per_day > 1;
    let ahead = horizon.steps().div_ceil(per_day);
    let most = OUTPUTS_MAX / per_day - usize::from(daily && OUTPUTS_MAX >= per_day);
    if ahead > most {
        let can = match most {
            0 => "steps this short cannot be learned by whole days".to_owned(),
            1 => "it answers one day ahead".to_owned(),
            days => format!("it answers up to {days} days ahead"),
        };
        return Err(Error::invalid(format!(
            "{family} answers at most {OUTPUTS_MAX} steps from local midnight, and with steps of {resolution} {can}: choose a shorter horizon, or linear, gbdt or ensemble"
        )));
    }
    let steps = u32::try_from(ahead * per_day).unwrap_or(u32::MAX);
    let every_steps = u32::try_from(per_day).unwrap_or(u32::MAX);
    Ok(WholeDays { horizon: Horizon::from_steps(steps, resolution)?, every_steps, daily })
}

/// Why the history does not suffice, if it does not.
fn too_short(family: Family, training_days: Option<u32>, info: &SeriesInfo) -> Option<Error> {
    // Without any value the training itself says so.
    let (first, last) = info.state.first_valid_time.zip(info.state.last_valid_time)?;
    let span = last.micros_since(first) + info.series.resolution.micros();
    let days = (span / MICROS_PER_DAY - FIRST_DAYS).max(0);
    let used = training_days.map_or(days, |limit| days.min(i64::from(limit)));
    let needed = DAYS_MIN as i64;
    (used < needed).then(|| {
        let message = format!(
            "`{}` has {used} days to learn from, and {family}, which learns whole days, needs {needed} after the first: import more history or allow more training days, or choose seasonal-naive, linear or ensemble",
            info.series.name
        );
        Error::new(ErrorKind::InsufficientData, message)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use forewatt_domain::{Resolution, Series, SeriesKind, Time, Zone};
    use forewatt_store::SeriesState;

    use super::*;

    fn info(minutes: i64, days: i64) -> SeriesInfo {
        let resolution = Resolution::from_seconds(minutes * 60).unwrap();
        let first = Time::from_seconds(0);
        let last = first.plus_micros(days * MICROS_PER_DAY - resolution.micros());
        SeriesInfo {
            series: Series {
                name: "price".parse().unwrap(),
                kind: SeriesKind::Price,
                unit: "EUR/MWh".to_owned(),
                resolution,
                time_zone: Zone::utc(),
                location: None,
                holiday_region: None,
                parent: None,
            },
            state: SeriesState {
                revision: 1,
                observations: 1,
                first_valid_time: Some(first),
                last_valid_time: Some(last),
                last_available_at: None,
            },
            aliases: BTreeMap::new(),
        }
    }

    fn asked(family: Family, minutes: i64, steps: u32, days: i64) -> Result<Option<WholeDays>> {
        let info = info(minutes, days);
        let horizon = Horizon::from_steps(steps, info.series.resolution).unwrap();
        whole_days(family, horizon, None, &info)
    }

    #[test]
    fn horizons_go_up_to_whole_days_with_room_for_the_day_of_the_gate() {
        for (minutes, steps, horizon) in
            [(60, 24, 24), (60, 25, 48), (60, 360, 360), (30, 1, 48), (15, 200, 288)]
        {
            let found = asked(Family::Lear, minutes, steps, 100).unwrap().unwrap();
            let steps = found.horizon.steps();
            assert!(steps >= horizon && steps < horizon + found.every_steps as usize, "{found:?}");
            assert!(steps + found.every_steps as usize <= OUTPUTS_MAX && found.daily, "{found:?}");
        }
        let days = asked(Family::Lear, 1440, 30, 100).unwrap().unwrap();
        assert_eq!(
            (days.horizon.steps(), days.every_steps, days.daily),
            (30, 1, false),
            "every start is a gate"
        );
        for (minutes, steps, told) in
            [(60, 361, "15 days"), (15, 289, "3 days"), (5, 12, "cannot be learned")]
        {
            let refused = asked(Family::Gp, minutes, steps, 100).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::InvalidInput);
            assert!(refused.message.contains(told) && refused.message.contains("ensemble"), "{refused}");
            assert_eq!(
                asked(Family::Auto, minutes, steps, 100).unwrap(),
                None,
                "auto learns single steps then"
            );
        }
    }

    #[test]
    fn too_short_a_history_is_refused_with_what_to_choose() {
        assert!(asked(Family::Mlp, 60, 24, DAYS_MIN as i64 + 1).is_ok());
        let refused = asked(Family::Mlp, 60, 24, DAYS_MIN as i64).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::InsufficientData);
        assert!(refused.message.contains("seasonal-naive"), "{refused}");
        assert_eq!(asked(Family::Auto, 60, 24, 10).unwrap(), None);
        let limited = whole_days(
            Family::Lear,
            Horizon::from_steps(24, Resolution::HOUR).unwrap(),
            Some(9),
            &info(60, 90),
        );
        assert!(limited.unwrap_err().message.contains("training days"));
        assert_eq!(asked(Family::Ensemble, 60, 24, 900).unwrap(), None, "its lattice stays as it is");
    }
}
