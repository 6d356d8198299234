//! Promises about observations.

use forewatt_domain::observation::as_of;
use forewatt_domain::{Observation, Time};
use proptest::prelude::*;

use super::{Harness, described, hour, hours, named, property, seen, wait, with_series};
use crate::{Error, ObservationRange, ObservationStore, SeriesStore, WriteOutcome};

fn stored(count: u64) -> WriteOutcome {
    WriteOutcome { stored: count, ..WriteOutcome::default() }
}

/// For random revisions written in random slices, reading as of any instant equals the domain's reference.
pub async fn as_of_is_the_domains_rule<H: Harness>(harness: H) {
    let store = harness.store();
    let one = (0..12_i64, -3..15_i64, -100..100_i32).prop_map(|(v, a, x)| seen(v, a, f64::from(x)));
    let case = (prop::collection::vec(one, 0..80), 1..40_usize, -4..16_i64, 0..13_i64, 0..13_i64);
    let number = std::sync::atomic::AtomicU32::new(0);
    property(&case, |(all, slice, at, from, to)| {
        let n = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = named(&format!("case-{n}"));
        let read = wait(async {
            store.put_series(&described(name.as_str()), hour(0)).await.unwrap();
            for part in all.chunks(slice) {
                store.write_observations(&name, part).await.unwrap();
            }
            store.read_as_of(&hours(&name, from, to), hour(at)).await.unwrap()
        });
        // A store keeps the first value of a key, the reference the last: turn the slice round.
        let reversed: Vec<_> = all.iter().rev().copied().collect();
        let mut expected = as_of(&reversed, hour(at));
        expected.retain(|o| hour(from) <= o.valid_time && o.valid_time < hour(to));
        prop_assert_eq!(read, expected);
        Ok(())
    });
}

/// Writing the same again stores nothing and changes nothing.
pub async fn writes_are_idempotent<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let all: Vec<_> = (0..2_500).map(|i| seen(i, i + 1, i as f64 / 3.0)).collect();
    assert_eq!(store.write_observations(&name, &all).await.unwrap(), stored(2_500));
    let before = store.get_series(&name).await.unwrap();
    let again = store.write_observations(&name, &all).await.unwrap();
    assert_eq!((again.stored, again.unchanged, again.conflict_count), (0, 2_500, 0));
    assert_eq!(store.get_series(&name).await.unwrap(), before);
    assert_eq!(store.read_revisions(&hours(&name, 0, 3_000)).await.unwrap(), all);
    assert_eq!(store.write_observations(&name, &[]).await.unwrap(), WriteOutcome::default());
}

/// Every revision stays readable, in the order of valid time and availability.
pub async fn revisions_are_kept<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let all = [seen(1, 2, 1.0), seen(1, 5, 2.0), seen(1, 9, 1.0), seen(2, 3, 7.0)];
    for i in [2, 0, 3, 1] {
        store.write_observations(&name, &all[i..=i]).await.unwrap();
    }
    assert_eq!(store.read_revisions(&hours(&name, 0, 9)).await.unwrap(), all);
    assert_eq!(store.read_revisions(&hours(&name, 2, 9)).await.unwrap(), all[3..]);
    let known = store.read_as_of(&hours(&name, 0, 9), hour(5)).await.unwrap();
    assert_eq!(known, [all[1], all[3]]);
}

/// Another value under a stored key is reported by its index, and the stored one stays.
pub async fn conflicts_keep_the_old_value<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    store.write_observations(&name, &[seen(1, 1, 1.0), seen(2, 2, 2.0)]).await.unwrap();
    let given = [seen(3, 3, 3.0), seen(2, 2, 2.5), seen(1, 1, 1.0), seen(1, 1, -1.0)];
    let outcome = store.write_observations(&name, &given).await.unwrap();
    let expected = WriteOutcome { stored: 1, unchanged: 1, conflicts: vec![1, 3], conflict_count: 2 };
    assert_eq!(outcome, expected);
    let kept = store.read_revisions(&hours(&name, 0, 9)).await.unwrap();
    assert_eq!(kept, [seen(1, 1, 1.0), seen(2, 2, 2.0), seen(3, 3, 3.0)]);
}

/// Inside one slice, the first value of a key is kept; equal ones are unchanged and others conflicts.
pub async fn the_first_of_a_slice_wins<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let given = [seen(2, 2, 2.0), seen(1, 1, 1.0), seen(2, 2, 2.0), seen(1, 1, 9.0), seen(1, 1, 1.0)];
    let outcome = store.write_observations(&name, &given).await.unwrap();
    let expected = WriteOutcome { stored: 2, unchanged: 2, conflicts: vec![3], conflict_count: 1 };
    assert_eq!(outcome, expected);
    let (_, state) = store.get_series(&name).await.unwrap().unwrap();
    assert_eq!(state.observations, 2);
}

/// All conflicts are counted, the first of them listed in the slice's order.
pub async fn conflicts_are_listed_up_to_a_limit<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let count = WriteOutcome::MAX_CONFLICTS + 500;
    let given = |value| -> Vec<_> { (0..count as i64).rev().map(|i| seen(i, i, value)).collect() };
    store.write_observations(&name, &given(1.0)).await.unwrap();
    let outcome = store.write_observations(&name, &given(2.0)).await.unwrap();
    assert_eq!((outcome.stored, outcome.unchanged), (0, 0));
    assert_eq!(outcome.conflict_count, count as u64);
    assert_eq!(outcome.conflicts, (0..WriteOutcome::MAX_CONFLICTS).collect::<Vec<_>>());
}

/// The state tells count, reach and revision after every write.
pub async fn state_follows_writes<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let mut all: Vec<Observation> = Vec::new();
    let (_, mut before) = store.get_series(&name).await.unwrap().unwrap();
    for part in [
        vec![seen(5, 6, 1.0)],
        vec![seen(9, 2, 1.0), seen(7, 30, 1.0)],
        vec![seen(-4, 1, 1.0)],
        vec![seen(5, 6, 1.0), seen(5, 6, 2.0)], // nothing new
    ] {
        let outcome = store.write_observations(&name, &part).await.unwrap();
        if outcome.stored > 0 {
            all.extend(&part);
        }
        let (_, state) = store.get_series(&name).await.unwrap().unwrap();
        assert_eq!(state.observations, all.len() as u64);
        assert_eq!(state.first_valid_time, all.iter().map(|o| o.valid_time).min());
        assert_eq!(state.last_valid_time, all.iter().map(|o| o.valid_time).max());
        assert_eq!(state.last_available_at, all.iter().map(|o| o.available_at).max());
        assert_eq!(state.revision, before.revision + u64::from(outcome.stored > 0));
        before = state;
    }
}

/// A slice with NaN or an infinity is refused as a whole, and says where.
pub async fn values_that_are_no_numbers_are_refused<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let given = [seen(0, 0, 1.0), seen(1, 1, bad)];
        let refused = store.write_observations(&name, &given).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
        assert!(refused.to_string().contains("2026-01-01T01:00:00Z"), "{refused}");
    }
    assert!(store.read_revisions(&hours(&name, 0, 9)).await.unwrap().is_empty());
}

/// More rows than any one statement takes, out of order, some there already.
pub async fn nothing_is_lost_in_a_large_slice<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let at = |i: i64| seen(i / 3, i / 3 + i % 3, i as f64);
    let early: Vec<_> = (0..12_345).step_by(7).map(at).collect();
    store.write_observations(&name, &early).await.unwrap();
    let all: Vec<_> = (0..12_345).map(at).collect();
    let shuffled: Vec<_> = (0..12_345).map(|i| all[i * 7_919 % 12_345]).collect();
    let outcome = store.write_observations(&name, &shuffled).await.unwrap();
    assert_eq!(outcome.unchanged, early.len() as u64);
    assert_eq!(outcome.stored, 12_345 - early.len() as u64);
    assert_eq!(outcome.conflict_count, 0);
    assert_eq!(store.read_revisions(&hours(&name, 0, 9_999)).await.unwrap(), all);
}

/// A range without an instant has no observations.
pub async fn empty_and_reversed_ranges_are_empty<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    store.write_observations(&name, &[seen(3, 3, 1.0)]).await.unwrap();
    for (from, to) in [(3, 3), (9, 0), (4, 9)] {
        let range = hours(&name, from, to);
        assert!(store.read_as_of(&range, Time::MAX).await.unwrap().is_empty());
        assert!(store.read_revisions(&range).await.unwrap().is_empty());
    }
    assert!(store.read_as_of(&hours(&name, 0, 9), hour(2)).await.unwrap().is_empty());
}

/// Two tasks write overlapping slices at once: every key is stored once and the state counts right.
pub async fn two_writers_lose_nothing<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let writers: Vec<_> = [0, 500]
        .into_iter()
        .map(|first| {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(async move {
                let mut stored = 0;
                for part in 0..10 {
                    let given: Vec<_> =
                        (0..100).map(|i| first + part * 100 + i).map(|i| seen(i, i, 1.0)).collect();
                    stored += store.write_observations(&name, &given).await.unwrap().stored;
                }
                stored
            })
        })
        .collect();
    let mut total = 0;
    for writer in writers {
        total += writer.await.unwrap();
    }
    let (_, state) = store.get_series(&name).await.unwrap().unwrap();
    assert_eq!((total, state.observations), (1_500, 1_500));
    assert_eq!(store.read_revisions(&hours(&name, 0, 9_999)).await.unwrap().len(), 1_500);
}

/// A reader beside a writer sees each write as a whole or not at all.
pub async fn reads_see_whole_writes<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let writer = {
        let (store, name) = (store.clone(), name.clone());
        tokio::spawn(async move {
            for vintage in 0..20 {
                let given: Vec<_> = (0..1_500).map(|i| seen(i, vintage, vintage as f64)).collect();
                store.write_observations(&name, &given).await.unwrap();
            }
        })
    };
    loop {
        let finished = writer.is_finished();
        let read = store.read_as_of(&hours(&name, 0, 9_999), Time::MAX).await.unwrap();
        assert!(read.is_empty() || read.len() == 1_500, "{} rows", read.len());
        assert!(read.iter().all(|o| o.value == read[0].value), "two writes mixed");
        if finished {
            break;
        }
    }
    writer.await.unwrap();
}

/// What a write acknowledged is there after a crash, state and all.
pub async fn acknowledged_writes_outlive_a_crash<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let all: Vec<_> = (0..3_000).map(|i| seen(i, i + 1, i as f64)).collect();
    for part in all.chunks(700) {
        store.write_observations(&name, part).await.unwrap();
    }
    let before = store.get_series(&name).await.unwrap();
    drop(store);
    let harness = harness.reopen().await;
    let store = harness.store();
    assert_eq!(store.get_series(&name).await.unwrap(), before);
    assert_eq!(store.read_revisions(&hours(&name, 0, 9_999)).await.unwrap(), all);
}

/// The ends of time and of doubles survive, bit for bit.
pub async fn extreme_times_and_values_come_back<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let values = [f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, 0.1 + 0.2, 1e15, 0.0];
    let mut all: Vec<_> = (0..).zip(values).map(|(i, x)| seen(i, i, x)).collect();
    let first = Observation { valid_time: Time::MIN, available_at: Time::MIN, value: 1.0 };
    all.insert(0, first);
    let last = Time::MAX.plus_micros(-1);
    all.push(Observation { valid_time: last, available_at: Time::MAX, value: 1.0 });
    store.write_observations(&name, &all).await.unwrap();
    let range = ObservationRange { series: name, from: Time::MIN, to: Time::MAX };
    let read = store.read_as_of(&range, Time::MAX).await.unwrap();
    assert_eq!(read, all);
    let bits = |of: &[Observation]| of.iter().map(|o| o.value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read), bits(&all));
}
