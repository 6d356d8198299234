//! Invariant 1: nothing that became known after an origin can change its rows, and loading more changes nothing.

use forewatt_domain::{Location, Observation, SeriesKind, TimeGrid};
use jiff::SignedDuration;
use proptest::prelude::*;

use super::tests::{at, series};
use super::*;
use crate::dataset::CovariateColumn;

const KINDS: [SeriesKind; 4] = [SeriesKind::Load, SeriesKind::Solar, SeriesKind::Price, SeriesKind::Wind];
const ZONES: [&str; 5] =
    ["UTC", "Europe/Madrid", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"];
const STEPS: [&str; 3] = ["PT1H", "PT30M", "PT15M"];

/// Observations of the target, a covariate known ahead, one of the past and the two parts of a wind, with gaps and several vintages.
#[derive(Debug, Clone)]
struct Case {
    kind: SeriesKind,
    zone: &'static str,
    step: &'static str,
    start: Time,
    columns: [Vec<Observation>; 5],
    origin: Time,
}

/// A number from a seed and a place: the test's own noise (SplitMix64, Steele et al. 2014).
fn noise(seed: u64, place: u64) -> f64 {
    let mut z = seed.wrapping_add(place.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

impl Case {
    const DAYS: usize = 80;

    fn grid(&self) -> TimeGrid {
        let step: forewatt_domain::Resolution = self.step.parse().unwrap();
        TimeGrid { start: self.start, step, len: Self::DAYS * step.steps_per_day() }
    }

    fn random(seed: u64) -> Self {
        let pick = |salt: u64, n: usize| ((noise(seed, salt) * n as f64) as usize).min(n - 1);
        let start = at("2026-01-15T00:00:00Z") + SignedDuration::from_hours(24 * pick(1, 300) as i64);
        let step = STEPS[pick(4, 3)];
        let mut case = Self {
            kind: KINDS[pick(2, 4)],
            zone: ZONES[pick(3, 5)],
            step,
            start,
            columns: std::array::from_fn(|_| vec![]),
            origin: start,
        };
        let grid = case.grid();
        case.origin = grid.time(grid.len * 9 / 10 + pick(5, grid.len / 20));
        let hour = 3_600_000_000.0;
        for (c, column) in case.columns.iter_mut().enumerate() {
            for (i, valid_time) in grid.times().enumerate() {
                // Up to three revisions a slot: known from three days before to two days after it.
                for revision in 0..3 {
                    let place = (10 + 4 * (i * 15 + c * 3 + revision)) as u64;
                    if noise(seed, place) < 0.4 {
                        let shift = ((noise(seed, place + 1) * 120.0 - 72.0) * hour) as i64;
                        let value = noise(seed, place + 2) * 100.0;
                        column.push(Observation {
                            valid_time,
                            available_at: valid_time.plus_micros(shift),
                            value,
                        });
                    }
                }
            }
        }
        case
    }

    fn dataset(&self, from: Time) -> Dataset {
        let grid = self.grid();
        let skipped = grid.times().take_while(|&t| t < from).count();
        let grid = TimeGrid { start: grid.time(skipped), len: grid.len - skipped, ..grid };
        let column = |i: usize| Column::new(grid, &self.columns[i]).0;
        let covariate = |name: &str, kind, known_ahead, i| CovariateColumn {
            series: series(name, kind, self.zone, self.step),
            known_ahead,
            column: column(i),
        };
        let mut target = series("target", self.kind, self.zone, self.step);
        target.location = Some(Location::new(40.0, 20.0).unwrap());
        target.holiday_region = Some("ES".to_owned());
        Dataset {
            series: target,
            target: column(0),
            covariates: vec![
                covariate("ahead", SeriesKind::Temperature, true, 1),
                covariate("past", SeriesKind::Other, false, 2),
                covariate("u10", SeriesKind::Weather, true, 3),
                covariate("v10", SeriesKind::Weather, true, 4),
            ],
        }
    }

    fn spec(&self) -> (FeatureSpec, Horizon) {
        let data = self.dataset(Time::MIN);
        let horizon = Horizon::from_duration(SignedDuration::from_hours(54), data.step()).unwrap();
        (FeatureSpec::for_dataset(&data, horizon), horizon)
    }

    fn build(&self, from: Time) -> FeatureMatrix {
        let (spec, horizon) = self.spec();
        build(&self.dataset(from), &spec, &[self.origin], horizon)
    }
}

fn bits(matrix: &FeatureMatrix) -> Vec<u32> {
    matrix.values.iter().map(|v| v.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_became_known_later_changes_nothing(seed in any::<u64>(), salt in any::<u64>()) {
        let case = Case::random(seed);
        let expected = case.build(Time::MIN);
        prop_assert!(expected.values.iter().filter(|v| !v.is_nan()).count() > expected.values.len() / 2);

        let mut replaced = case.clone();
        let mut dropped = case.clone();
        let mut planted = case.clone();
        for c in 0..case.columns.len() {
            let late = |o: &Observation| o.available_at > case.origin;
            replaced.columns[c].iter_mut().enumerate().filter(|(_, o)| late(o)).for_each(|(i, o)| {
                o.value = 1e6 * noise(salt, i as u64);
                o.available_at = case.origin.plus_micros(1 + (1e12 * noise(salt, i as u64 + 1)) as i64);
            });
            dropped.columns[c].retain(|o| !late(o));
            planted.columns[c].extend(case.grid().times().map(|valid_time| Observation {
                valid_time,
                available_at: case.origin.plus_micros(1),
                value: -1e9,
            }));
        }
        for changed in [replaced, dropped, planted] {
            prop_assert_eq!(bits(&expected), bits(&changed.build(Time::MIN)));
        }
    }

    #[test]
    fn loading_the_history_needed_is_enough(seed in any::<u64>()) {
        let case = Case::random(seed);
        let (spec, horizon) = case.spec();
        let from = case.origin - history_needed(&spec, horizon);
        prop_assert!(from > case.start, "the case must have more history than needed");
        prop_assert_eq!(bits(&case.build(Time::MIN)), bits(&case.build(from)));
        let mut shorter = case.clone();
        let covariates_from = case.origin - covariate_history_needed();
        shorter.columns[1..].iter_mut().for_each(|column| column.retain(|o| o.valid_time >= covariates_from));
        prop_assert_eq!(bits(&case.build(Time::MIN)), bits(&shorter.build(from)));
    }

    #[test]
    fn many_origins_are_each_as_if_alone(seed in any::<u64>()) {
        let case = Case::random(seed);
        let (spec, horizon) = case.spec();
        let data = case.dataset(Time::MIN);
        let step = data.step().micros();
        let origins: Vec<Time> = (-4..6).map(|i| case.origin.plus_micros(i * 5 * step)).collect();
        let together = build(&data, &spec, &origins, horizon);
        let alone: Vec<u32> = origins.iter().flat_map(|&o| bits(&build(&data, &spec, &[o], horizon))).collect();
        prop_assert_eq!(bits(&together), alone);
    }
}

#[test]
fn what_was_known_before_does_change_the_rows() {
    // The other side of the invariant: a vintage planted at the origin itself is seen.
    let case = Case::random(7);
    let mut planted = case.clone();
    planted.columns[1].extend(case.grid().times().map(|valid_time| Observation {
        valid_time,
        available_at: case.origin,
        value: -1e9,
    }));
    assert_ne!(bits(&case.build(Time::MIN)), bits(&planted.build(Time::MIN)));
}
