//! How long a forest of 300 trees takes for one row, a day, 1,000 and 100,000 rows.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use forewatt_domain::{QuantileLevels, Time};
use forewatt_model::gbdt::{Booster, Forest, Params, Precision, Prune};
use forewatt_model::matrix::{DayClass, FeatureMatrix, RowKey, TrainingSet};
use forewatt_model::predict::Fit as _;

const COLUMNS: usize = 40;
const ROWS: [usize; 4] = [1, 24, 1_000, 100_000];

/// Rows of uniform numbers, of which ten matter.
fn rows(count: usize) -> TrainingSet {
    let mut state = 1_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let key = |i: usize| RowKey {
        origin: Time::from_seconds(i as i64 * 3600),
        valid_time: Time::from_seconds(i as i64 * 3600),
        lead: 0,
        slot_of_day: (i % 24) as u16,
        day_class: DayClass::Workday,
        day_of_year: 1,
        local_day: (i / 24) as i32,
    };
    let values: Vec<f32> = (0..count * COLUMNS).map(|_| uniform()).collect();
    let target = |row: &[f32]| {
        let middle =
            (3.0 * row[0] * row[1]).sin() + row[2] * row[2] + row[3] - row[4] + 0.5 * row[5] * row[6];
        middle + (0.2 + row[7]) * (row[8] + row[9] - 1.0)
    };
    let target = values.chunks_exact(COLUMNS).map(target).collect();
    let names = (0..COLUMNS).map(|c| format!("x{c}")).collect();
    TrainingSet {
        features: FeatureMatrix { names, keys: (0..count).map(key).collect(), values, windows: None },
        target,
        past: None,
        courses: None,
    }
}

fn forests(data: &TrainingSet) -> Vec<(&'static str, Forest)> {
    let params = Params { trees: 300, held_out_share: 0.0, ..Params::default() };
    let grow = |levels: &QuantileLevels| {
        Booster { params: params.clone() }.fit(data, levels).expect("the rows are enough")
    };
    let nine = grow(&QuantileLevels::deciles());
    let one = grow(&QuantileLevels::parse("0.5").expect("a level"));
    let small = nine.pruned(&data.features, Prune { trees: 0.5, leaves: 17 }).expect("its own rows");
    vec![
        ("one level, f32", one.clone()),
        ("one level, i8", one.with_precision(Precision::I8)),
        ("nine levels, i8", nine.with_precision(Precision::I8)),
        ("nine levels, pruned, i8", small.with_precision(Precision::I8)),
        ("nine levels, f32", nine),
    ]
}

fn forest(c: &mut Criterion) {
    let data = rows(20_000);
    let many = rows(ROWS[3]);
    for (name, forest) in forests(&data) {
        let columns = forest.columns(&many.features).expect("the same columns");
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        for count in ROWS {
            let (mut mean, mut quantiles) = (vec![0.0; count], vec![0.0; count * forest.levels().len()]);
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                let cells = &many.features.values[..count * COLUMNS];
                bencher.iter(|| forest.predict_into(cells, COLUMNS, &columns, &mut mean, &mut quantiles));
            });
        }
    }
}

criterion_group!(benches, forest);
criterion_main!(benches);
