//! From a base forecast to what was asked: fewer steps, other levels, a threshold, and the JSON.

use bytes::Bytes;
use forewatt_domain::recipe::hex;
use forewatt_domain::{Forecast, ForecastPoint, QuantileLevels};
use forewatt_model::quantile::{at_level, probability_above};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use sha2::{Digest, Sha256};

use crate::cache::Answer;
use crate::error::{Error, Result};
use crate::ladder::Rung;

/// Cuts a forecast to `steps`, gives its quantiles at `levels` (none below `floor`), and encodes it.
pub(crate) fn cut(
    base: &Forecast,
    floor: Option<f64>,
    levels: &QuantileLevels,
    steps: usize,
    threshold: Option<f64>,
    rung: Rung,
) -> Result<Answer> {
    let known = base.levels.as_slice();
    let points: Vec<ForecastPoint> = base.points[..steps.min(base.points.len())]
        .iter()
        .map(|point| {
            let quantiles = if *levels == base.levels {
                point.quantiles.clone()
            } else {
                let trained = single(&point.quantiles);
                let above = |level: f64| floor.map_or(level, |floor| level.max(floor)); // a tail may reach below it
                levels
                    .as_slice()
                    .iter()
                    .map(|&level| above(shortest(at_level(&trained, known, level))))
                    .collect()
            };
            ForecastPoint { quantiles, ..point.clone() }
        })
        .collect();
    let above = |t: f64| {
        base.points[..points.len()]
            .iter()
            .map(|p| probability_above(&single(&p.quantiles), known, t))
            .collect()
    };
    let probabilities: Option<Vec<f64>> = threshold.map(above);
    let forecast = Forecast { levels: levels.clone(), points, ..base.clone() };
    forecast.check()?;
    let json = encode(&forecast, threshold, probabilities.as_deref(), rung)?;
    let etag = format!("\"{}\"", &hex(&Sha256::digest(&json))[..32]);
    Ok(Answer { forecast, probability_above: probabilities, threshold, rung, json, etag })
}

fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&value| value as f32).collect()
}

/// A single-precision value as the double that prints with the fewest digits: 0.1, not 0.10000000149011612.
pub(crate) fn shortest(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value)) // what `f32` prints always parses
}

/// The answer's document; field order is the contract's.
#[derive(Serialize)]
struct Document<'a> {
    series: &'a str,
    unit: &'a str,
    model_version: &'a str,
    forecast_start: String,
    issued_at: String,
    data_watermark: String,
    quality: f64,
    degraded: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    points: Vec<Point<'a>>,
}

#[derive(Serialize)]
struct Point<'a> {
    valid_time: String,
    mean: f64,
    quantiles: Quantiles<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability_above: Option<f64>,
}

/// `{"0.1": x, ...}` in the levels' order.
struct Quantiles<'a> {
    names: &'a [String],
    values: &'a [f64],
}

impl Serialize for Quantiles<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for (name, value) in self.names.iter().zip(self.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn encode(forecast: &Forecast, threshold: Option<f64>, above: Option<&[f64]>, rung: Rung) -> Result<Bytes> {
    let names: Vec<String> = forecast.levels.as_slice().iter().map(f64::to_string).collect();
    let points = forecast.points.iter().enumerate().map(|(i, point)| Point {
        valid_time: point.valid_time.to_string(),
        mean: point.mean,
        quantiles: Quantiles { names: &names, values: &point.quantiles },
        probability_above: above.map(|a| a[i]),
    });
    let document = Document {
        series: forecast.series.as_str(),
        unit: &forecast.unit,
        model_version: forecast.model_version.as_str(),
        forecast_start: forecast.forecast_start.to_string(),
        issued_at: forecast.issued_at.to_string(),
        data_watermark: forecast.data_watermark.to_string(),
        quality: forecast.quality,
        degraded: forecast.degraded.as_deref(),
        fallback: rung.label(),
        threshold,
        points: points.collect(),
    };
    let json = serde_json::to_vec(&document)
        .map_err(|error| Error::internal(format!("encoding the answer: {error}")))?;
    Ok(Bytes::from(json))
}
