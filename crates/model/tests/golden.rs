//! Artifacts of every format there has been are still read, and answer as they did.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use forewatt_domain::Time;
use forewatt_model::artifact::{self, Artifact};
use forewatt_model::matrix::{DayClass, FeatureMatrix, RowKey};
use forewatt_model::predict::Predict as _;

/// Rows, and what was said of them: mean and quantiles.
struct Golden {
    features: FeatureMatrix,
    answers: Vec<Vec<f32>>,
}

fn read(text: &str) -> Golden {
    let mut lines = text.lines();
    let heading: Vec<&str> = lines.next().unwrap().split(',').skip(7).collect();
    let columns = heading.iter().filter(|name| !name.starts_with('=')).count();
    let names = heading[..columns].iter().map(|name| (*name).to_owned()).collect();
    let mut golden = Golden {
        features: FeatureMatrix { names, keys: vec![], values: vec![], windows: None },
        answers: vec![],
    };
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<i64>().unwrap();
        golden.features.keys.push(RowKey {
            origin: Time::from_micros(number(0)),
            valid_time: Time::from_micros(number(1)),
            lead: number(2) as u32,
            slot_of_day: number(3) as u16,
            day_class: [DayClass::Workday, DayClass::Saturday, DayClass::Sunday][number(4) as usize],
            day_of_year: number(5) as u16,
            local_day: number(6) as i32,
        });
        let values: Vec<f32> = cells[7..].iter().map(|cell| cell.parse().unwrap()).collect();
        golden.features.values.extend(&values[..columns]);
        golden.answers.push(values[columns..].to_vec());
    }
    golden
}

fn check(name: &str, bytes: &[u8], rows: &str) {
    let golden = read(rows);
    let Artifact { model, spec, .. }: Artifact<Vec<u32>> = artifact::decode(bytes).unwrap();
    assert_eq!(spec, [1, 2, 3], "{name}");
    let answer = model.predict(&golden.features).unwrap();
    for (row, expected) in golden.answers.iter().enumerate() {
        let got = std::iter::once(&answer.mean[row]).chain(answer.row(row));
        for (got, expected) in got.zip(expected) {
            assert!(
                (got - expected).abs() <= 2e-4 * expected.abs().max(1.0),
                "{name}, row {row}: {got} for {expected}"
            );
        }
    }
    // Written again it has today's format, and says the same.
    let again = artifact::encode(&Artifact { recipe: recipe(bytes), spec, model }).unwrap();
    let back: Artifact<Vec<u32>> = artifact::decode(&again).unwrap();
    assert_eq!(back.model.predict(&golden.features).unwrap(), answer, "{name}");
    assert_eq!(again[8..12], artifact::FORMAT.to_le_bytes(), "{name}");
}

fn recipe(bytes: &[u8]) -> forewatt_domain::Recipe {
    artifact::decode::<Vec<u32>>(bytes).unwrap().recipe
}

#[test]
fn format_1_is_still_read() {
    let rows = include_str!("golden/format-1-gbdt.csv");
    check("gbdt", include_bytes!("golden/format-1-gbdt.fwatt"), rows);
}

#[test]
fn whole_days_of_format_1_are_refused_with_a_mend() {
    let bytes = include_bytes!("golden/format-1-days.fwatt");
    let error = artifact::decode::<Vec<u32>>(bytes).unwrap_err().to_string();
    assert!(error.contains("whole days") && error.contains("train the model again"), "{error}");
}
