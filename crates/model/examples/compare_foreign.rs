//! Compares answers of foreign models with the libraries' own: reads the lines of `tests/foreign/make.py random`.

use std::error::Error;
use std::io::{BufRead, Write};

use forewatt_model::foreign::ForeignModel;
use serde_json::Value;

#[path = "../tests/foreign/case.rs"]
mod case;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut models, mut answers, mut exact, mut worst) = (0_usize, 0_usize, 0_usize, 0.0_f64);
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let name = line["name"].as_str().unwrap_or_default();
        let model = ForeignModel::read(&bytes(line["model"].as_str().unwrap_or_default())?)
            .map_err(|error| format!("{name}: {error}"))?;
        let found = case::compare(&model, &line);
        if found.worst > case::TOLERANCE {
            writeln!(out, "{name}: {}", found.describe())?;
        }
        models += 1;
        answers += found.answers;
        exact += found.exact;
        worst = worst.max(found.worst);
    }
    writeln!(
        out,
        "{models} models, {answers} answers, {exact} equal to the last bit, relative difference at most {worst:e}"
    )?;
    if worst <= case::TOLERANCE && models > 0 {
        Ok(())
    } else {
        Err("answers differ, or there were none".into())
    }
}

fn bytes(hex: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    (0..hex.len() / 2).map(|i| Ok(u8::from_str_radix(&hex[2 * i..2 * i + 2], 16)?)).collect()
}
