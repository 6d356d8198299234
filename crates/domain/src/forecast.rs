//! Forecasts with quantile levels.

use serde::{Deserialize, Serialize};

use crate::{SeriesName, Time, VersionId};

/// Strictly increasing levels in 0.001 .. 0.999, 1 to [`QuantileLevels::MAX`] of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<f64>", into = "Vec<f64>")]
pub struct QuantileLevels(Vec<f64>);

/// Why levels are refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LevelsError {
    /// None, or too many.
    #[error("{count} quantile levels were given: give 1 to {}", QuantileLevels::MAX)]
    Count {
        /// How many.
        count: usize,
    },
    /// A level outside the range or not a number.
    #[error(
        "the quantile level {level} does not lie between {} and {}",
        QuantileLevels::LOWEST,
        QuantileLevels::HIGHEST
    )]
    Range {
        /// Which.
        level: f64,
    },
    /// Levels repeat or fall.
    #[error("the quantile levels must rise: {second} follows {first}")]
    Order {
        /// The earlier level.
        first: f64,
        /// The level that is not greater.
        second: f64,
    },
    /// The text is not a comma-separated list of numbers.
    #[error("`{text}` is not a quantile level: write numbers separated by commas, such as 0.1,0.5,0.9")]
    NotANumber {
        /// Which part.
        text: String,
    },
}

impl QuantileLevels {
    /// The lowest level: beyond it no history tells anything.
    pub const LOWEST: f64 = 0.001;
    /// The highest level.
    pub const HIGHEST: f64 = 0.999;
    /// The most levels one forecast may have.
    pub const MAX: usize = 99;

    /// Checked levels.
    ///
    /// # Errors
    /// [`LevelsError`] when there are none or too many, or they do not rise strictly inside [`QuantileLevels::LOWEST`] .. [`QuantileLevels::HIGHEST`].
    pub fn new(levels: Vec<f64>) -> Result<Self, LevelsError> {
        if levels.is_empty() || levels.len() > Self::MAX {
            return Err(LevelsError::Count { count: levels.len() });
        }
        if let Some(&level) = levels.iter().find(|l| !(Self::LOWEST..=Self::HIGHEST).contains(*l)) {
            return Err(LevelsError::Range { level });
        }
        match levels.windows(2).find(|w| w[0] >= w[1]) {
            Some(w) => Err(LevelsError::Order { first: w[0], second: w[1] }),
            None => Ok(Self(levels)),
        }
    }

    /// Reads `0.1,0.5,0.9`.
    ///
    /// # Errors
    /// As [`QuantileLevels::new`], and [`LevelsError::NotANumber`].
    pub fn parse(text: &str) -> Result<Self, LevelsError> {
        let number = |part: &str| {
            part.trim().parse::<f64>().map_err(|_| LevelsError::NotANumber { text: part.trim().to_owned() })
        };
        Self::new(text.split(',').map(number).collect::<Result<_, _>>()?)
    }

    /// The nine deciles .1 to .9.
    #[must_use]
    pub fn deciles() -> Self {
        Self((1..=9).map(|i| f64::from(i) / 10.0).collect())
    }

    /// The levels, rising.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }

    /// How many levels; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "levels are never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl TryFrom<Vec<f64>> for QuantileLevels {
    type Error = LevelsError;
    fn try_from(levels: Vec<f64>) -> Result<Self, LevelsError> {
        Self::new(levels)
    }
}

impl From<QuantileLevels> for Vec<f64> {
    fn from(levels: QuantileLevels) -> Self {
        levels.0
    }
}

/// The forecast for one valid time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForecastPoint {
    /// The start of the period it is about.
    pub valid_time: Time,
    /// The expected value.
    pub mean: f64,
    /// One value per level, not falling.
    pub quantiles: Vec<f64>,
}

/// A forecast as issued: it is never changed afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Whose future.
    pub series: SeriesName,
    /// The unit of every value.
    pub unit: String,
    /// Which model version made it.
    pub model_version: VersionId,
    /// The start of the first period forecast.
    pub forecast_start: Time,
    /// When it was made.
    pub issued_at: Time,
    /// The newest `available_at` among the data it was allowed to see.
    pub data_watermark: Time,
    /// Quality of the input data it read, 0 (useless) to 1 (complete and plausible).
    pub quality: f64,
    /// Why this is not the answer it should be; `None` when all is well.
    pub degraded: Option<String>,
    /// The levels of every point's `quantiles`.
    pub levels: QuantileLevels,
    /// One per step, by rising valid time.
    pub points: Vec<ForecastPoint>,
}

/// Why a forecast may not be issued.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// A mean or quantile is NaN or infinite.
    #[error("the forecast of {series} for {valid_time} is not a number")]
    NotFinite {
        /// Whose forecast.
        series: SeriesName,
        /// Which point.
        valid_time: Time,
    },
    /// Quantiles fall, or their number is not that of the levels.
    #[error("the quantiles of the forecast of {series} for {valid_time} cross or are incomplete")]
    Quantiles {
        /// Whose forecast.
        series: SeriesName,
        /// Which point.
        valid_time: Time,
    },
}

impl Forecast {
    /// Checks invariant 2: no NaN, no crossing quantiles, one value per level.
    ///
    /// # Errors
    /// [`ForecastError`] naming the first point that breaks it.
    pub fn check(&self) -> Result<(), ForecastError> {
        for point in &self.points {
            let (series, valid_time) = (self.series.clone(), point.valid_time);
            if !point.mean.is_finite() || point.quantiles.iter().any(|q| !q.is_finite()) {
                return Err(ForecastError::NotFinite { series, valid_time });
            }
            if point.quantiles.len() != self.levels.len() || point.quantiles.windows(2).any(|w| w[0] > w[1]) {
                return Err(ForecastError::Quantiles { series, valid_time });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_inside_zero_and_one() {
        assert_eq!(QuantileLevels::parse("0.1, 0.5,0.9").unwrap().as_slice(), [0.1, 0.5, 0.9]);
        for bad in
            ["", "0", "1", "0.5,0.5", "0.9,0.1", "nan", "x", "0.1,,0.2", "-0.1", "inf", "1e-320", "0.9999"]
        {
            assert!(QuantileLevels::parse(bad).is_err(), "{bad}");
        }
        assert!(QuantileLevels::new((1..=100).map(|i| f64::from(i) / 101.0).collect()).is_err());
    }

    #[test]
    fn a_forecast_with_nan_or_crossing_is_refused() {
        let time = Time::from_seconds(0);
        let with = |mean: f64, quantiles: Vec<f64>| Forecast {
            series: "x".parse().unwrap(),
            unit: String::new(),
            model_version: VersionId::from_text("v").unwrap(),
            forecast_start: time,
            issued_at: time,
            data_watermark: time,
            quality: 1.0,
            degraded: None,
            levels: QuantileLevels::parse("0.1,0.9").unwrap(),
            points: vec![ForecastPoint { valid_time: time, mean, quantiles }],
        };
        assert!(with(1.0, vec![0.0, 2.0]).check().is_ok());
        assert!(with(1.0, vec![1.0, 1.0]).check().is_ok());
        assert!(with(f64::NAN, vec![0.0, 2.0]).check().is_err());
        assert!(with(1.0, vec![2.0, 0.0]).check().is_err());
        assert!(with(1.0, vec![0.0]).check().is_err());
        assert!(with(1.0, vec![0.0, f64::INFINITY]).check().is_err());
    }
}
