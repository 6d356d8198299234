//! Recipes: what to learn.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Horizon, QuantileLevels, Resolution, SeriesName};

/// A family of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// The value one season earlier, with the spread of its past errors.
    SeasonalNaive,
    /// Quantiles of history by day class and time of day, near the same day of the year.
    SeasonalEmpirical,
    /// Regularised linear regression per time of day.
    Linear,
    /// Gradient-boosted trees with all quantile levels in one forest.
    Gbdt,
    /// For every hour of the day ahead LASSOs on the whole course of the days before.
    Lear,
    /// Small neural networks from the days before to the whole day ahead.
    Mlp,
    /// Gaussian processes over whole days.
    Gp,
    /// A weighted mixture of the others.
    Ensemble,
    /// The mixture of those that do best on the last part of the history.
    Auto,
    /// Quantiles of the load under the temperatures of past years, for weeks and months ahead.
    Scenario,
    /// A model that another library made, brought in as a file. Nothing learns it here; its recipe's seed is made of
    /// its files' checksum, so that other files are another recipe.
    Imported,
}

/// The text names no family.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a model: use one of {}", Family::NAMES.join(", "))]
pub struct UnknownFamily {
    /// What was given.
    pub text: String,
}

impl Family {
    /// The words that name the families, in the order of [`Family::ALL`].
    pub const NAMES: [&'static str; 11] = [
        "seasonal-naive",
        "seasonal-empirical",
        "linear",
        "gbdt",
        "lear",
        "mlp",
        "gp",
        "ensemble",
        "auto",
        "scenario",
        "imported",
    ];
    /// Every family; the order is that of stored models, so new ones come last.
    pub const ALL: [Self; 11] = [
        Self::SeasonalNaive,
        Self::SeasonalEmpirical,
        Self::Linear,
        Self::Gbdt,
        Self::Lear,
        Self::Mlp,
        Self::Gp,
        Self::Ensemble,
        Self::Auto,
        Self::Scenario,
        Self::Imported,
    ];

    /// Whether it learns from the whole course of past temperatures: of the mixtures only those that look far ahead.
    #[must_use]
    pub const fn asks_past_weather(self, far: bool) -> bool {
        matches!(self, Self::Scenario) || (far && matches!(self, Self::Ensemble | Self::Auto))
    }

    /// Whether it learns whole days and nothing else, and so asks for forecast starts whole days apart.
    #[must_use]
    pub const fn needs_whole_days(self) -> bool {
        matches!(self, Self::Lear | Self::Mlp | Self::Gp)
    }

    /// Whether it learns whole days where forecast starts lie whole days apart.
    #[must_use]
    pub const fn prefers_whole_days(self) -> bool {
        self.needs_whole_days() || matches!(self, Self::Ensemble | Self::Auto)
    }

    /// The word that names this family.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Family {
    type Err = UnknownFamily;
    fn from_str(text: &str) -> Result<Self, UnknownFamily> {
        let position = Self::NAMES.iter().position(|name| *name == text);
        position.map(|i| Self::ALL[i]).ok_or_else(|| UnknownFamily { text: text.to_owned() })
    }
}

/// A series another series' model may read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covariate {
    /// Which series.
    pub series: SeriesName,
    /// Whether values for the time forecast are known at `forecast_start` (weather forecasts, auction results)
    /// or only values of the past.
    pub known_ahead: bool,
}

/// What to learn; two equal recipes on the same data give the same model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The series to forecast.
    pub target: SeriesName,
    /// The model family.
    pub family: Family,
    /// Series it may read beside the target's own past.
    #[serde(default)]
    pub covariates: Vec<Covariate>,
    /// The step of the forecast: the target's resolution.
    pub resolution: Resolution,
    /// How many steps ahead a forecast may be asked for.
    pub horizon: Horizon,
    /// The quantile levels the model learns.
    pub levels: QuantileLevels,
    /// How far apart the training's forecast starts lie, in steps. One that shares no factor with the steps
    /// of a day teaches every hour of the day as a start.
    pub origin_every_steps: u32,
    /// Forecasts are made once a day, at the gate: local midnight (`Zone::gate`), with what was known then. Whoever
    /// asks later in the day is answered from that day's gate, so the model learns a day more than [`Recipe::horizon`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub daily: bool,
    /// Forecasts may start at any hour, so single rows are learned even where the starts at hand lie whole days apart:
    /// a backtest of such a recipe scores what will answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_hour: bool,
    /// Learn from at most this many days before the cutoff; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_days: Option<u32>,
    /// Negative values cannot be (load, solar, wind), unless the history shows them.
    #[serde(default)]
    pub non_negative: bool,
    /// The seed of everything random.
    pub seed: u64,
}

impl Recipe {
    /// Whether whole days are learned where forecast starts lie whole days apart.
    #[must_use]
    pub const fn wants_whole_days(&self) -> bool {
        self.family.prefers_whole_days() && !self.any_hour
    }

    /// The first 16 hex digits of the SHA-256 of the recipe's JSON: equal recipes, equal ids.
    #[must_use]
    pub fn id(&self) -> String {
        // A recipe holds only text, numbers and lists, so it always serialises; an empty id would still be stable.
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex(&Sha256::digest(json))[..16].to_owned()
    }

    /// How many steps from its start the model foretells: a day more than the horizon when forecasts are made at a
    /// daily gate. A day that would not fit into [`Horizon::MAX_STEPS`] is left out.
    #[must_use]
    pub fn reach(&self) -> Horizon {
        let day = if self.daily { self.resolution.steps_per_day() } else { 0 };
        let steps = u32::try_from(self.horizon.steps() + day).unwrap_or(u32::MAX);
        Horizon::from_steps(steps, self.resolution).unwrap_or(self.horizon)
    }
}

/// Bytes as lower-case hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_recipes_have_equal_ids_and_others_not() {
        let recipe = Recipe {
            target: "load".parse().unwrap(),
            family: Family::Gbdt,
            covariates: vec![],
            resolution: Resolution::HOUR,
            horizon: Horizon::from_steps(24, Resolution::HOUR).unwrap(),
            levels: QuantileLevels::deciles(),
            origin_every_steps: 24,
            daily: false,
            any_hour: false,
            training_days: None,
            non_negative: false,
            seed: 1,
        };
        assert_eq!(recipe.id().len(), 16);
        assert_ne!(recipe.id(), Recipe { seed: 2, ..recipe.clone() }.id());
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
    }

    #[test]
    fn a_daily_gate_reaches_a_day_further_and_changes_no_older_id() {
        let json = r#"{"target":"load","family":"lear","covariates":[],"resolution":"PT1H","horizon":{"steps":48},
            "levels":[0.5],"origin_every_steps":24,"non_negative":false,"seed":1}"#;
        let old: Recipe = serde_json::from_str(json).unwrap();
        assert!(!old.daily && old.reach() == old.horizon);
        let compact: String = json.split_whitespace().collect();
        assert_eq!(serde_json::to_string(&old).unwrap(), compact, "the text that is hashed stays as it was");
        let daily = Recipe { daily: true, ..old.clone() };
        assert_eq!((daily.reach().steps(), daily.horizon.steps()), (72, 48));
        assert_ne!(daily.id(), old.id());
        assert_eq!(serde_json::from_str::<Recipe>(&serde_json::to_string(&daily).unwrap()).unwrap(), daily);
    }

    #[test]
    fn families_and_their_words_agree() {
        for (name, family) in Family::NAMES.iter().zip(Family::ALL) {
            assert_eq!(name.parse::<Family>().unwrap(), family);
            assert_eq!(serde_json::to_string(&family).unwrap(), format!("\"{name}\""));
        }
    }
}
