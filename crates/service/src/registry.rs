//! The registry of models as a whole: a series, its versions, and what people hang on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use forewatt_domain::{Alias, ModelVersion, SeriesName, VersionId};
use forewatt_store::{Label, LabelKey, LabelKind, LabelStore as _, VersionStore as _};

use crate::Service;
use crate::error::{Error, ErrorKind, Result};
use crate::series::SeriesInfo;

/// A series as a registered model.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The series.
    pub info: Arc<SeriesInfo>,
    /// Its versions, the newest first.
    pub versions: Vec<ModelVersion>,
    /// Every label of it and of its versions.
    pub labels: Vec<Label>,
    /// What every name for a version names: champion, challenger and the series' own.
    pub aliases: BTreeMap<String, VersionId>,
}

impl Registered {
    /// The value of a label; the version's id is empty for the series itself.
    #[must_use]
    pub fn label(&self, version: &str, kind: LabelKind) -> Option<&str> {
        let mut of =
            self.labels.iter().filter(|label| label.key.version == version && label.key.kind == kind);
        of.next().map(|label| label.value.as_str())
    }

    /// The tags of a version, or of the series itself, by name.
    pub fn tags<'a>(&'a self, version: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let of = self.labels.iter().filter(move |label| label.key.version == version);
        of.filter(|label| label.key.kind == LabelKind::Tag)
            .map(|label| (label.key.name.as_str(), label.value.as_str()))
    }
}

/// The longest name of a series' own for a version, in bytes.
const ALIAS_MAX_BYTES: usize = 250;

impl Service {
    /// A series with its versions and all that hangs on them.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn registered(&self, series: &SeriesName) -> Result<Registered> {
        let info = self.series(series).await?;
        let versions = self.store.list_versions(Some(series), self.config.limits.list_max).await?;
        let labels = self.store.labels(series).await?;
        let fixed = self.store.aliases(series).await?;
        let own = labels.iter().filter(|label| label.key.kind == LabelKind::Alias);
        let own = own.filter_map(|l| Some((l.key.name.clone(), VersionId::from_text(&l.value)?)));
        let fixed = fixed.into_iter().map(|(alias, id)| (alias.as_str().to_owned(), id));
        let aliases = own.chain(fixed).collect();
        Ok(Registered { info, versions, labels, aliases })
    }

    /// Hangs a label on a series or on one of its versions.
    ///
    /// # Errors
    /// `NotFound` for the series or the version; `InvalidInput` beyond the limits of labels.
    pub async fn hang_label(&self, label: &Label) -> Result<()> {
        self.own_version(&label.key).await?;
        self.will_change(&label.key.series).await?;
        Ok(self.store.put_label(label).await?)
    }

    /// Takes a label away; false when there was none.
    ///
    /// # Errors
    /// `NotFound` for the series or the version.
    pub async fn take_label(&self, key: &LabelKey) -> Result<bool> {
        self.own_version(key).await?;
        self.will_change(&key.series).await?;
        Ok(self.store.remove_label(key).await?)
    }

    /// Lets a name point to a version. `champion` is a promotion by force, with the reason.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a name that cannot be.
    pub async fn point_alias(
        &self,
        series: &SeriesName,
        alias: &str,
        id: &VersionId,
        reason: &str,
    ) -> Result<()> {
        let key = alias_key(series, alias)?;
        self.own_version(&LabelKey { version: id.to_string(), ..key.clone() }).await?;
        self.will_change(series).await?;
        match alias.parse::<Alias>() {
            Ok(Alias::Champion) => self.promote(id, Some(reason)).await.map(drop),
            Ok(other) => {
                self.store.set_alias(series, other, id, self.now(), reason).await?;
                self.forget_series(series).await;
                Ok(())
            }
            Err(_) => Ok(self.store.put_label(&Label { key, value: id.to_string() }).await?),
        }
    }

    /// Takes a name of the series' own away; one that is not there is no error.
    ///
    /// # Errors
    /// `NotFound` for the series; `Conflict` for champion and challenger, which only move.
    pub async fn drop_alias(&self, series: &SeriesName, alias: &str) -> Result<()> {
        if alias.parse::<Alias>().is_ok() {
            let message = format!("`{alias}` cannot be taken away, only moved: set it on another version");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        self.will_change(series).await?;
        self.store.remove_label(&alias_key(series, alias)?).await?;
        Ok(())
    }

    /// The version a label hangs on must be the series' own.
    async fn own_version(&self, key: &LabelKey) -> Result<()> {
        self.series(&key.series).await?;
        if key.version.is_empty() {
            return Ok(());
        }
        let unknown = || {
            let message = format!("`{}` is not a version of `{}`", key.version, key.series);
            Error::new(ErrorKind::NotFound, message)
        };
        let id = VersionId::from_text(&key.version).ok_or_else(unknown)?;
        let version = self.store.get_version(&id).await?.ok_or_else(unknown)?;
        if version.series == key.series { Ok(()) } else { Err(unknown()) }
    }
}

fn alias_key(series: &SeriesName, alias: &str) -> Result<LabelKey> {
    let ok = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if alias.is_empty() || alias.len() > ALIAS_MAX_BYTES || !alias.bytes().all(ok) {
        let shown: String = alias.chars().take(60).collect();
        return Err(Error::invalid(format!("`{shown}` is not an alias: use letters, digits, `.`, `_`, `-`")));
    }
    let (series, name) = (series.clone(), alias.to_owned());
    Ok(LabelKey { series, version: String::new(), kind: LabelKind::Alias, name })
}
