//! A series: one quantity over time.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Resolution, Zone};

/// The longest name, in bytes.
pub const NAME_MAX_BYTES: usize = 120;

/// The name of a series: 1 to 120 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
///
/// Safe in a URL path, a file name and a metric label as it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeriesName(String);

/// Why a series cannot be described so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// The name has other characters or is too long.
    #[error(
        "`{name}` is not a series name: use 1 to 120 of a-z A-Z 0-9 . _ - and start with a letter or digit"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// The kind is not one of the known.
    #[error("`{text}` is not a kind of series: use one of {}", SeriesKind::NAMES.join(", "))]
    Kind {
        /// What was given.
        text: String,
    },
    /// Latitude or longitude out of range.
    #[error("({latitude}, {longitude}) is not a place: latitude lies in -90..90, longitude in -180..180")]
    Location {
        /// Degrees north.
        latitude: String,
        /// Degrees east.
        longitude: String,
    },
}

impl SeriesName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SeriesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for SeriesName {
    type Err = SeriesError;
    fn from_str(text: &str) -> Result<Self, SeriesError> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for SeriesName {
    type Error = SeriesError;
    fn try_from(name: String) -> Result<Self, SeriesError> {
        let starts_well = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if starts_well && name.len() <= NAME_MAX_BYTES && name.bytes().all(ok) {
            Ok(Self(name))
        } else {
            Err(SeriesError::Name { name })
        }
    }
}

impl From<SeriesName> for String {
    fn from(name: SeriesName) -> Self {
        name.0
    }
}

/// What a series measures. It decides which checks and features make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeriesKind {
    /// Electricity consumed.
    Load,
    /// Photovoltaic generation.
    Solar,
    /// Wind generation.
    Wind,
    /// A market price; may be negative.
    Price,
    /// Temperature in degrees Celsius, Fahrenheit or Kelvin.
    Temperature,
    /// Other weather: irradiance, humidity, wind speed, cloud cover.
    Weather,
    /// Anything else.
    Other,
}

impl SeriesKind {
    /// The words that name the kinds, in the order of the enum.
    pub const NAMES: [&'static str; 7] =
        ["load", "solar", "wind", "price", "temperature", "weather", "other"];

    const ALL: [Self; 7] =
        [Self::Load, Self::Solar, Self::Wind, Self::Price, Self::Temperature, Self::Weather, Self::Other];

    /// Whether values below zero make no sense by nature. A net load has them all the same: the data decide.
    #[must_use]
    pub const fn is_non_negative(self) -> bool {
        matches!(self, Self::Load | Self::Solar | Self::Wind)
    }

    /// The word that names this kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl fmt::Display for SeriesKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SeriesKind {
    type Err = SeriesError;
    fn from_str(text: &str) -> Result<Self, SeriesError> {
        let position = Self::NAMES.iter().position(|name| *name == text);
        position.map(|i| Self::ALL[i]).ok_or_else(|| SeriesError::Kind { text: text.to_owned() })
    }
}

/// A place on Earth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
}

impl Location {
    /// A checked place.
    ///
    /// # Errors
    /// [`SeriesError::Location`] when a coordinate is out of range or not a number.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, SeriesError> {
        if (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude) {
            Ok(Self { latitude, longitude })
        } else {
            Err(SeriesError::Location { latitude: latitude.to_string(), longitude: longitude.to_string() })
        }
    }
}

/// One quantity over time, as described by its owner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// The unique name.
    pub name: SeriesName,
    /// What it measures.
    pub kind: SeriesKind,
    /// The unit of its values, as text: `MW`, `kWh`, `EUR/MWh`, `degC`. Empty when not told.
    #[serde(default)]
    pub unit: String,
    /// The step between values.
    pub resolution: Resolution,
    /// The civil time its people live by.
    pub time_zone: Zone,
    /// Where it is, for sun and weather.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The region whose public holidays shape it: `ES`, `US-CA`, `AU-VIC`; see [`crate::calendar`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holiday_region: Option<String>,
    /// The series this one is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SeriesName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere() {
        for good in ["load", "17-homes.load", "A_b-3"] {
            assert_eq!(good.parse::<SeriesName>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "../x", "a b", "a/b", "é", "-x", &"x".repeat(121)] {
            assert!(bad.parse::<SeriesName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds_and_their_words_agree() {
        for (name, kind) in SeriesKind::NAMES.iter().zip(SeriesKind::ALL) {
            assert_eq!(name.parse::<SeriesKind>().unwrap(), kind);
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{name}\""));
        }
    }

    #[test]
    fn places_are_on_earth() {
        assert!(Location::new(90.0, -180.0).is_ok());
        assert!(Location::new(f64::NAN, 0.0).is_err());
        assert!(Location::new(0.0, 181.0).is_err());
    }
}
