//! What a look at a live store finds, and what to do about it.

use std::fmt;

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// As it should be.
    Good,
    /// Worth changing.
    Note,
    /// Data or service are at risk.
    Bad,
}

impl Weight {
    /// A word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub weight: Weight,
    /// What was looked at.
    pub check: String,
    /// What was seen.
    pub found: String,
    /// What to do; empty when all is well.
    pub mend: String,
}

impl Finding {
    pub(crate) fn good(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { weight: Weight::Good, check: check.into(), found: found.into(), mend: String::new() }
    }

    pub(crate) fn note(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { weight: Weight::Note, check: check.into(), found: found.into(), mend: mend.into() }
    }

    pub(crate) fn bad(check: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { weight: Weight::Bad, ..Self::note(check, found, mend) }
    }
}

impl Finding {
    /// A schema's version against the newest that this program knows; `None` when there is no schema.
    pub(crate) fn schema(applied: Option<i64>, known: i64) -> Self {
        let Some(applied) = applied else {
            let mend = "start `forewatt serve` once with this store: it makes the tables";
            return Self::bad("schema", "none: the database is empty", mend);
        };
        let found = format!("version {applied}, this program knows {known}");
        if applied > known {
            return Self::bad("schema", found, "use the newer forewatt that wrote it");
        }
        if applied < known {
            return Self::note(
                "schema",
                found,
                "the next `forewatt serve` brings it up to date: back up before",
            );
        }
        Self::good("schema", found)
    }
}

/// Bytes as people say them, in powers of 1024.
pub(crate) fn bytes_text(bytes: f64) -> String {
    let (mut value, mut unit) = (bytes, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, larger);
    }
    if value < 10.0 && unit != "B" { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_largest_unit_that_fits() {
        for (bytes, text) in
            [(0.0, "0 B"), (1023.0, "1023 B"), (1536.0, "1.5 KiB"), (134_217_728.0, "128 MiB")]
        {
            assert_eq!(bytes_text(bytes), text);
        }
    }

    #[test]
    fn schemas_are_compared_with_what_is_known() {
        let weight = |applied| Finding::schema(applied, 2).weight;
        assert_eq!(
            [Some(2), Some(1), Some(3), None].map(weight),
            [Weight::Good, Weight::Note, Weight::Bad, Weight::Bad]
        );
    }

    #[test]
    fn the_worst_is_the_greatest() {
        assert!(Weight::Bad > Weight::Note && Weight::Note > Weight::Good);
    }
}
