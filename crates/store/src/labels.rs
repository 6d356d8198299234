//! What people hang on a series and its versions, and what every backend promises of it.

use std::future::Future;

use forewatt_domain::SeriesName;

use crate::{Error, Result};

/// Labels of one series and its versions at most.
pub const LABELS_MAX: usize = 10_000;
/// The longest name of a label, in bytes.
pub const NAME_MAX_BYTES: usize = 250;
/// The longest value of a label, in bytes.
pub const VALUE_MAX_BYTES: usize = 8_000;

/// What a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LabelKind {
    /// A name and a value.
    Tag,
    /// A text about it; its name is empty.
    Description,
    /// A word for where a version stands; its name is empty.
    Stage,
    /// A name of the series' own for one of its versions, beside champion and challenger; the value is the version's id.
    Alias,
}

impl LabelKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Tag, Self::Description, Self::Stage, Self::Alias];

    /// The word for it in columns.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::Description => "description",
            Self::Stage => "stage",
            Self::Alias => "alias",
        }
    }

    /// What a column says.
    pub(crate) fn of(word: &str) -> sqlx::Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| crate::given::undecodable(format!("`{word}` is not a kind of label")))
    }
}

/// Where a label hangs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelKey {
    /// The series.
    pub series: SeriesName,
    /// The version's id; empty for the series itself.
    pub version: String,
    /// What it is.
    pub kind: LabelKind,
    /// Its name.
    pub name: String,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// Where it hangs.
    pub key: LabelKey,
    /// What it says.
    pub value: String,
}

/// Labels of series and versions.
pub trait LabelStore {
    /// Hangs a label, in place of one of the same key. At most [`LABELS_MAX`] of one series.
    fn put_label(&self, label: &Label) -> impl Future<Output = Result<()>> + Send;
    /// Takes a label away; false when there was none.
    fn remove_label(&self, key: &LabelKey) -> impl Future<Output = Result<bool>> + Send;
    /// All labels of a series and its versions, by version, kind and name; none of an unknown series.
    fn labels(&self, series: &SeriesName) -> impl Future<Output = Result<Vec<Label>>> + Send;
}

/// A label that cannot be kept is refused before anything is written; `count` are there already.
pub(crate) fn check_label(label: &Label, count: i64) -> Result<()> {
    let refuse = |detail: String| {
        Err(Error::Invalid {
            what: label.key.kind.as_str(),
            name: label.key.name.chars().take(60).collect(),
            detail,
        })
    };
    if label.key.name.len() > NAME_MAX_BYTES {
        return refuse(format!("its name has {} bytes, the limit is {NAME_MAX_BYTES}", label.key.name.len()));
    }
    if label.value.len() > VALUE_MAX_BYTES {
        return refuse(format!("its value has {} bytes, the limit is {VALUE_MAX_BYTES}", label.value.len()));
    }
    if label.key.name.contains('\0') || label.value.contains('\0') {
        return refuse("it has a zero byte: leave that out".to_owned());
    }
    if usize::try_from(count).is_ok_and(|count| count >= LABELS_MAX) {
        return refuse(format!("`{}` has {LABELS_MAX} labels, the limit: take some away", label.key.series));
    }
    Ok(())
}
