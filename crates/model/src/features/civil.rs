//! Civil time of many instants at once: offsets as a short table, days as a vector.

use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_domain::{Time, Zone};

const DAY: i64 = 86_400;

/// The offsets of a zone over a stretch of time: a handful of changes instead of a look-up an instant.
#[derive(Debug)]
pub(super) struct LocalTime {
    /// From when (UTC seconds) which offset holds, rising; the first holds before it too.
    changes: Vec<(i64, i32)>,
}

/// A local date and the clock on the wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Local {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Seconds shown since 00:00.
    pub second_of_day: u32,
}

impl LocalTime {
    /// The offsets from `from` to `to`.
    ///
    /// Looks once a day and halves its way to the second of a change. No zone has changed its clocks and
    /// changed them back within a day in the era of electricity data.
    pub(super) fn new(zone: &Zone, from: Time, to: Time) -> Self {
        let offset =
            |second: i64| (zone.offset_micros(Time::from_seconds(second)) / MICROS_PER_SECOND) as i32;
        let (mut at, end) = (from.seconds(), to.seconds());
        let mut current = offset(at);
        let mut changes = vec![(at, current)];
        while at < end {
            let next = (at + DAY).min(end);
            let new = offset(next);
            if new != current {
                let (mut before, mut after) = (at, next);
                while after - before > 1 {
                    let middle = before + (after - before) / 2;
                    if offset(middle) == current {
                        before = middle;
                    } else {
                        after = middle;
                    }
                }
                changes.push((after, new));
                current = new;
            }
            at = next;
        }
        Self { changes }
    }

    /// Local time minus UTC in seconds.
    pub(super) fn offset(&self, second: i64) -> i64 {
        let next = self.changes.partition_point(|&(from, _)| from <= second);
        // The table has at least one entry.
        self.changes.get(next.saturating_sub(1)).map_or(0, |&(_, offset)| i64::from(offset))
    }

    /// The local date and clock at a UTC second.
    pub(super) fn local(&self, second: i64) -> Local {
        let local = second + self.offset(second);
        Local {
            day: i32::try_from(local.div_euclid(DAY)).unwrap_or(0), // 1800..2300 fits
            second_of_day: u32::try_from(local.rem_euclid(DAY)).unwrap_or(0),
        }
    }

    /// The UTC second at which a local day starts; within the clock change for days that skip midnight.
    pub(super) fn day_start(&self, day: i32) -> i64 {
        let midnight = i64::from(day) * DAY;
        let guess = midnight - self.offset(midnight);
        midnight - self.offset(guess)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_table_shows_what_the_zone_shows(zone in 0_usize..8, start in 0_i64..1_900_000_000, hops in prop::collection::vec(0_i64..400 * DAY, 40)) {
            let names = ["UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "America/Sao_Paulo"];
            let zone: Zone = names[zone].parse().unwrap();
            let local = LocalTime::new(&zone, Time::from_seconds(start), Time::from_seconds(start + 400 * DAY));
            for hop in hops {
                let time = Time::from_seconds(start + hop);
                let civil = zone.civil(time);
                prop_assert_eq!(local.offset(start + hop), i64::from(civil.offset_seconds));
                prop_assert_eq!(local.local(start + hop).second_of_day, civil.second_of_day);
            }
        }
    }

    #[test]
    fn days_start_at_local_midnight_on_both_clock_changes() {
        let zone: Zone = "Europe/Madrid".parse().unwrap();
        let at = |text: &str| text.parse::<Time>().unwrap();
        let local = LocalTime::new(&zone, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        for start in
            ["2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]
        {
            let second = at(start).seconds();
            assert_eq!(local.day_start(local.local(second).day), second, "{start}");
            assert_eq!(local.local(second).second_of_day, 0);
        }
    }
}
