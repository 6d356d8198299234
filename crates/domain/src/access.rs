//! Who may do what: the scopes of a key, and the series it may name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::SeriesName;

/// A kind of work that must be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Ask: series, observations, forecasts, models, jobs.
    Read,
    /// Describe series and write their observations.
    Write,
    /// Train, import and promote models.
    Train,
    /// All of it, and keys and the audit log.
    Admin,
}

/// The longest pattern, in bytes: a name's length.
pub const PATTERN_MAX_BYTES: usize = crate::series::NAME_MAX_BYTES;
/// The most patterns of one key.
pub const PATTERNS_MAX: usize = 100;

/// Why a right cannot be described so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// No scope of that name.
    #[error("`{0}` is not a scope: use read, write, train or admin")]
    Scope(String),
    /// No pattern.
    #[error(
        "`{0}` is not a pattern of series: use 1 to {PATTERN_MAX_BYTES} of a-z A-Z 0-9 . _ - and *, as in city.*"
    )]
    Pattern(String),
    /// Too many patterns, or none.
    #[error("a key has 1 to {PATTERNS_MAX} patterns of series; `*` is every series")]
    Patterns,
}

impl Scope {
    /// The word that names this scope.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Train => "train",
            Self::Admin => "admin",
        }
    }

    /// Whether a key with these scopes may do what needs this one: `admin` may do everything, the others only their own.
    #[must_use]
    pub fn is_in(self, scopes: &[Self]) -> bool {
        scopes.contains(&self) || scopes.contains(&Self::Admin)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = AccessError;
    fn from_str(text: &str) -> Result<Self, AccessError> {
        let all = [Self::Read, Self::Write, Self::Train, Self::Admin];
        let named = all.into_iter().find(|scope| scope.as_str() == text);
        named.ok_or_else(|| AccessError::Scope(text.chars().take(60).collect()))
    }
}

/// Which series may be named: patterns in which `*` stands for any run of characters, dots too.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Reach(Vec<String>);

impl Reach {
    /// Every series.
    #[must_use]
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Whether it is every series there may ever be.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0.iter().any(|pattern| pattern.bytes().all(|b| b == b'*'))
    }

    /// Whether a series may be named.
    #[must_use]
    pub fn covers(&self, name: &SeriesName) -> bool {
        self.0.iter().any(|pattern| matches(pattern.as_bytes(), name.as_str().as_bytes()))
    }

    /// The patterns as they were given.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Reach {
    type Error = AccessError;
    fn try_from(patterns: Vec<String>) -> Result<Self, AccessError> {
        if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
            return Err(AccessError::Patterns);
        }
        let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*');
        let good = |p: &&String| !p.is_empty() && p.len() <= PATTERN_MAX_BYTES && p.bytes().all(ok);
        match patterns.iter().find(|pattern| !good(pattern)) {
            Some(bad) => Err(AccessError::Pattern(bad.chars().take(60).collect())),
            None => Ok(Self(patterns)),
        }
    }
}

impl From<Reach> for Vec<String> {
    fn from(reach: Reach) -> Self {
        reach.0
    }
}

/// Whether `*` can be filled in so that the pattern is the text. Only the last star needs another try, so the work is at
/// most the product of both lengths, whatever the pattern.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == Some(&text[t]) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, t) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(patterns: &[&str]) -> Reach {
        Reach::try_from(patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn patterns_cover_what_they_say() {
        for (pattern, name, covered) in [
            ("*", "city.load", true),
            ("city.*", "city.load", true),
            ("city.*", "city.", true),
            ("city.*", "city", false),
            ("city.*", "citys.load", false),
            ("city.load", "city.load", true),
            ("city.load", "city.load2", false),
            ("*.load", "a.b.load", true),
            ("*.load", "load", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("**", "x", true),
        ] {
            assert_eq!(reach(&[pattern]).covers(&name.parse().unwrap()), covered, "{pattern} {name}");
        }
        assert!(reach(&["a", "b*"]).covers(&"b1".parse().unwrap()));
        assert!(reach(&["a", "**"]).is_all() && !reach(&["a*"]).is_all() && Reach::all().is_all());
    }

    #[test]
    fn what_cannot_be_a_right_is_refused() {
        for bad in [vec![], vec![String::new()], vec!["a b".to_owned()], vec!["a".repeat(121)]] {
            assert!(Reach::try_from(bad.clone()).is_err(), "{bad:?}");
        }
        assert!(Reach::try_from(vec!["a".to_owned(); PATTERNS_MAX + 1]).is_err());
        assert!("root".parse::<Scope>().unwrap_err().to_string().contains("admin"));
        assert!(serde_json::from_str::<Reach>("[]").is_err());
    }

    #[test]
    fn only_admin_is_more_than_itself() {
        assert!(Scope::Train.is_in(&[Scope::Admin]) && Scope::Read.is_in(&[Scope::Read]));
        assert!(!Scope::Read.is_in(&[Scope::Write, Scope::Train]) && !Scope::Admin.is_in(&[Scope::Train]));
    }
}
