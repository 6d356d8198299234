//! What rows are about, for whoever brings features of their own.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Resolution, Time};

use super::FeatureSpec;
use super::calendar::Days;
use super::civil::LocalTime;
use crate::matrix::RowKey;

/// The keys of rows told as (forecast start, valid time), as [`super::build`] gives them to the same rows.
///
/// A lead counts whole steps of `step`; a valid time before its start has lead 0. The cost grows with the days between
/// the first and the last valid time: whoever takes rows from strangers bounds that span.
#[must_use]
pub fn keys(spec: &FeatureSpec, step: Resolution, rows: &[(Time, Time)]) -> Vec<RowKey> {
    let valid = || rows.iter().map(|&(_, valid)| valid);
    let (Some(first), Some(last)) = (valid().min(), valid().max()) else { return Vec::new() };
    let local =
        LocalTime::new(&spec.zone, first.plus_micros(-MICROS_PER_DAY), last.plus_micros(2 * MICROS_PER_DAY));
    let days = Days::new(spec, local.local(first.seconds()).day, local.local(last.seconds()).day);
    let key = |&(origin, valid_time): &(Time, Time)| {
        let now = local.local(valid_time.seconds());
        let day = days.get(now.day);
        let lead = valid_time.micros_since(origin) / step.micros();
        RowKey {
            origin,
            valid_time,
            lead: u32::try_from(lead).unwrap_or(0),
            slot_of_day: u16::try_from(now.second_of_day / step.seconds()).unwrap_or(u16::MAX),
            day_class: day.class,
            day_of_year: day.day_of_year,
            local_day: now.day,
        }
    };
    rows.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use forewatt_domain::Horizon;

    use super::super::tests::{at, counting};
    use super::super::{FeatureSpec, build};
    use super::*;

    #[test]
    fn keys_of_rows_told_by_their_times_are_those_of_the_builder() {
        for (zone, step, steps) in [("Europe/Berlin", "PT1H", 60), ("Asia/Kathmandu", "PT15M", 300)] {
            let data = counting("2026-03-01T00:00:00Z", 40, zone, step);
            let horizon = Horizon::from_steps(steps, data.step()).unwrap();
            let spec = FeatureSpec {
                holiday_region: Some("DE".to_owned()),
                ..FeatureSpec::for_dataset(&data, horizon)
            };
            // Over the change of clocks on 29 March and Good Friday.
            let origins = [at("2026-03-28T12:00:00Z"), at("2026-04-02T23:00:00Z")];
            let built = build(&data, &spec, &origins, horizon).keys;
            let told: Vec<(Time, Time)> = built.iter().map(|key| (key.origin, key.valid_time)).collect();
            assert_eq!(keys(&spec, data.step(), &told), built, "{zone}");
        }
        let spec = FeatureSpec::for_dataset(
            &counting("2026-03-01T00:00:00Z", 3, "UTC", "PT1H"),
            Horizon::from_steps(1, Resolution::HOUR).unwrap(),
        );
        assert_eq!(keys(&spec, Resolution::HOUR, &[]), []);
    }
}
