//! One model beside the answers of the library that made it.

use forewatt_model::foreign::ForeignModel;
use serde_json::Value;

/// The greatest difference allowed, relative to the answer.
pub const TOLERANCE: f64 = 1e-6;

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Found {
    /// Values compared.
    pub answers: usize,
    /// Of these, equal to the last bit.
    pub exact: usize,
    /// The greatest relative difference.
    pub worst: f64,
    /// Where it was, and both answers.
    pub example: String,
}

impl Found {
    /// In words.
    pub fn describe(&self) -> String {
        format!("{} of {} equal, worst {:e}: {}", self.exact, self.answers, self.worst, self.example)
    }
}

/// Answers the rows of a case one by one and together, and compares both with the library's answers.
pub fn compare(model: &ForeignModel, case: &Value) -> Found {
    let (rows, expected) = (matrix(&case["rows"]), matrix(&case["answers"]));
    let outputs = model.outputs();
    let mut together = vec![0.0; rows.len() * outputs];
    model.answer(&rows.concat(), &mut together);
    let mut found = Found::default();
    for (i, (row, expected)) in rows.iter().zip(&expected).enumerate() {
        let mut alone = vec![0.0; outputs];
        model.answer(row, &mut alone);
        assert_eq!(alone, together[i * outputs..(i + 1) * outputs], "one row is answered as many are");
        assert_eq!(expected.len(), outputs, "the library gives as many answers");
        for (&answer, &wanted) in alone.iter().zip(expected) {
            let difference = if answer == wanted {
                0.0
            } else {
                (answer - wanted).abs() / wanted.abs().max(f64::MIN_POSITIVE)
            };
            found.answers += 1;
            found.exact += usize::from(answer.to_bits() == wanted.to_bits());
            if difference > found.worst || difference.is_nan() {
                found.worst = if difference.is_nan() { f64::INFINITY } else { difference };
                found.example = format!("row {i} {row:?} gives {answer:?}, the library {wanted:?}");
            }
        }
    }
    found
}

fn matrix(value: &Value) -> Vec<Vec<f64>> {
    let number = |v: &Value| match v.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => v.as_f64().unwrap_or(f64::NAN),
    };
    let row = |row: &Value| row.as_array().into_iter().flatten().map(number).collect();
    value.as_array().into_iter().flatten().map(row).collect()
}
