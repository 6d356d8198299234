//! Model versions and the aliases that move between them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Recipe, SeriesName, Time};

/// The id of a model version: the series' name, `-v` and a number that rises, as in `district.load-v3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(String);

impl VersionId {
    /// The id of a series' `number`-th version.
    #[must_use]
    pub fn new(series: &SeriesName, number: u32) -> Self {
        Self(format!("{series}-v{number}"))
    }

    /// An id as written in a request; `None` when it cannot be one (empty, over 140 bytes, other characters).
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        (!text.is_empty() && text.len() <= 140 && text.bytes().all(ok)).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A movable name on a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alias {
    /// The version that answers.
    Champion,
    /// The version that is tried beside it.
    Challenger,
}

impl Alias {
    /// The word that names this alias.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Challenger => "challenger",
        }
    }
}

impl FromStr for Alias {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "champion" => Ok(Self::Champion),
            "challenger" => Ok(Self::Challenger),
            _ => Err(format!("`{text}` is not an alias: use champion or challenger")),
        }
    }
}

/// One trained recipe: an immutable artifact and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelVersion {
    /// Its id.
    pub id: VersionId,
    /// What it forecasts.
    pub series: SeriesName,
    /// What was to be learned.
    pub recipe: Recipe,
    /// [`Recipe::id`].
    pub recipe_id: String,
    /// The champion when this was trained, or the version this was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<VersionId>,
    /// When it was registered.
    pub created_at: Time,
    /// The first valid time it learned from.
    pub trained_from: Time,
    /// The last valid time it learned from.
    pub trained_to: Time,
    /// It saw only what was known at this instant.
    pub as_of: Time,
    /// Scores of its backtest, by metric name: `mae`, `pinball`, `coverage_80`, ...
    pub metrics: BTreeMap<String, f64>,
    /// What a reader must know: what was masked, what was missing.
    pub notes: Vec<String>,
    /// SHA-256 of the artifact in hex: its address.
    pub artifact_sha256: String,
    /// The artifact's size.
    pub artifact_bytes: u64,
}
