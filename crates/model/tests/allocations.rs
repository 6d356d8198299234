//! Asking a forest into given buffers allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use forewatt_domain::{QuantileLevels, Time};
use forewatt_model::gbdt::{Booster, Params, Precision};
use forewatt_model::matrix::{DayClass, FeatureMatrix, RowKey, TrainingSet};
use forewatt_model::predict::Fit as _;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks of it.
struct Counting;

#[expect(unsafe_code, reason = "an allocator is unsafe by nature")]
// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the promises of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the promises of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn rows(count: usize) -> TrainingSet {
    let key = |i: usize| RowKey {
        origin: Time::from_seconds(i as i64 * 3600),
        valid_time: Time::from_seconds(i as i64 * 3600),
        lead: 0,
        slot_of_day: (i % 24) as u16,
        day_class: DayClass::Workday,
        day_of_year: 1,
        local_day: (i / 24) as i32,
    };
    let cell = |i: usize| (i * 7919 % 1009) as f32;
    let values: Vec<f32> = (0..count * 3).map(cell).collect();
    let target = values.chunks_exact(3).map(|row| row[0] + 0.1 * row[1]).collect();
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    TrainingSet {
        features: FeatureMatrix { names, keys: (0..count).map(key).collect(), values, windows: None },
        target,
        past: None,
        courses: None,
    }
}

#[test]
fn asking_allocates_nothing() {
    let data = rows(400);
    let booster = Booster { params: Params { trees: 20, ..Params::default() } };
    let whole = booster.fit(&data, &QuantileLevels::deciles()).unwrap();
    for forest in [whole.with_precision(Precision::I8), whole] {
        let columns = forest.columns(&data.features).unwrap();
        let (mut mean, mut quantiles) = (vec![0.0; 400], vec![0.0; 400 * 9]);
        let mut ask = |count: usize| {
            let cells = &data.features.values[..count * 3];
            let before = COUNT.get();
            forest.predict_into(cells, 3, &columns, &mut mean[..count], &mut quantiles[..count * 9]);
            COUNT.get() - before
        };
        ask(400); // this thread's buffers
        for count in [1, 24, 65, 400] {
            assert_eq!(ask(count), 0, "{count} rows");
        }
        assert!(quantiles.iter().all(|q| q.is_finite()) && quantiles[3599] != 0.0);
    }
    let before = COUNT.get();
    drop(std::hint::black_box(vec![1_u8; 100]));
    assert_eq!(COUNT.get() - before, 1, "allocations are counted");
}
