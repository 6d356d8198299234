//! Asks a forest so many times for so many rows: `ask ROWS TIMES`, to be run under a counter of instructions.
//!
//! `valgrind --tool=callgrind --toggle-collect='*predict_into*' target/release/examples/ask 1 100`

use forewatt_domain::{QuantileLevels, Time};
use forewatt_model::gbdt::{Booster, Params, Precision};
use forewatt_model::matrix::{DayClass, FeatureMatrix, RowKey, TrainingSet};
use forewatt_model::predict::Fit as _;

const COLUMNS: usize = 40;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().unwrap_or(1_usize));
    let (rows, times) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(100));
    let count = 3_000.max(rows);
    let cell = |i: usize| (i.wrapping_mul(2_654_435_761) % 65_521) as f32 / 65_521.0;
    let values: Vec<f32> = (0..count * COLUMNS).map(cell).collect();
    let target = values.chunks_exact(COLUMNS).map(|row| row[0] * row[1] + row[2] + 0.3 * row[3]).collect();
    let key = |i: usize| RowKey {
        origin: Time::from_seconds(i as i64 * 3600),
        valid_time: Time::from_seconds(i as i64 * 3600),
        lead: 0,
        slot_of_day: (i % 24) as u16,
        day_class: DayClass::Workday,
        day_of_year: 1,
        local_day: (i / 24) as i32,
    };
    let names = (0..COLUMNS).map(|c| format!("x{c}")).collect();
    let features = FeatureMatrix { names, keys: (0..count).map(key).collect(), values, windows: None };
    let data = TrainingSet { features, target, past: None, courses: None };
    let params = Params { trees: 300, held_out_share: 0.0, leaf_rows: 10, ..Params::default() };
    let levels = QuantileLevels::deciles();
    let forest = Booster { params }.fit(&data, &levels).expect("3,000 rows are enough");
    let forest = forest.with_precision(Precision::I8);
    let columns = forest.columns(&data.features).expect("the same columns");
    let (mut mean, mut quantiles) = (vec![0.0; rows], vec![0.0; rows * levels.len()]);
    for _ in 0..times {
        let cells = &data.features.values[..rows * COLUMNS];
        forest.predict_into(cells, COLUMNS, &columns, &mut mean, &mut quantiles);
    }
    std::hint::black_box((mean, quantiles));
}
