//! Series: describing, finding, and what the request path remembers of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use forewatt_domain::calendar::{Region, UnknownRegion};
use forewatt_domain::{Alias, Series, SeriesName, Time, VersionId};
use forewatt_store::{SeriesState, SeriesStore, VersionStore};
use serde::Serialize;

use crate::Service;
use crate::access::{covers, may_name};
use crate::error::{Error, ErrorKind, Result};

/// A series, how far its data reach, and which versions its aliases name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeriesInfo {
    /// The description.
    #[serde(flatten)]
    pub series: Series,
    /// The data.
    pub state: SeriesState,
    /// `champion`, `challenger`.
    pub aliases: BTreeMap<Alias, VersionId>,
}

/// A public holiday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HolidayOn {
    /// The local date, `2026-12-25`.
    pub date: String,
    /// Its name.
    pub name: String,
}

/// The longest span of one question for holidays.
const HOLIDAY_YEARS_MAX: i32 = 30;

impl SeriesInfo {
    /// An instant of the series' grid: its first valid time.
    #[must_use]
    pub fn anchor(&self) -> Time {
        self.state.first_valid_time.unwrap_or(Time::from_seconds(0))
    }

    /// The version that answers.
    #[must_use]
    pub fn champion(&self) -> Option<&VersionId> {
        self.aliases.get(&Alias::Champion)
    }
}

impl Service {
    /// Creates a series or changes its description.
    ///
    /// # Errors
    /// `Conflict` when the resolution would change under stored data; `InvalidInput` for an unknown holiday region.
    pub async fn put_series(&self, series: &Series) -> Result<()> {
        check_region(series.holiday_region.as_deref())?;
        if let Some(parent) = &series.parent {
            may_name(parent)?; // to be a part of another's sum is to change it
        }
        self.will_change(&series.name).await?;
        self.store.put_series(series, self.now()).await?;
        self.forget_series(&series.name).await;
        Ok(())
    }

    /// A series as remembered for at most `cache.series_ttl_ms`.
    ///
    /// # Errors
    /// `NotFound` with the nearest names; `Forbidden`.
    pub async fn series(&self, name: &SeriesName) -> Result<Arc<SeriesInfo>> {
        may_name(name)?;
        self.found(name).await
    }

    /// As [`Service::series`], for what the caller did not name: covariates of a model that it may ask.
    pub(crate) async fn found(&self, name: &SeriesName) -> Result<Arc<SeriesInfo>> {
        if let Some(known) = self.known_series.get(name).await {
            return Ok(known);
        }
        let before = self.forgotten();
        let info = Arc::new(self.read_series(name).await?);
        self.known_series.insert(name.clone(), Arc::clone(&info)).await;
        if self.forgotten() != before {
            // A write came between: what was read may be from before it.
            self.known_series.invalidate(name).await;
        }
        Ok(info)
    }

    /// How often something was forgotten: what was read meanwhile must not be remembered.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::SeqCst)
    }

    /// A series as the store has it now.
    pub(crate) async fn read_series(&self, name: &SeriesName) -> Result<SeriesInfo> {
        match self.store.get_series(name).await? {
            Some((series, state)) => {
                Ok(SeriesInfo { series, state, aliases: self.store.aliases(name).await? })
            }
            None => Err(self.unknown_series(name).await),
        }
    }

    /// Series that the caller may name, by name, from the one after `after` on, at most `limit` (and the configured limit).
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_series(
        &self,
        after: Option<&SeriesName>,
        limit: Option<u32>,
    ) -> Result<Vec<SeriesInfo>> {
        let limit = limit.unwrap_or(u32::MAX).min(self.config.limits.list_max);
        let (mut all, mut after) = (Vec::new(), after.cloned());
        while all.len() < limit as usize {
            let page = self.store.list_series(after.as_ref(), limit).await?;
            let is_last = page.len() < limit as usize;
            after = page.last().map(|(series, _)| series.name.clone());
            for (series, state) in page.into_iter().filter(|(series, _)| covers(&series.name)) {
                let aliases = self.store.aliases(&series.name).await?;
                all.push(SeriesInfo { series, state, aliases });
            }
            if is_last {
                break;
            }
        }
        all.truncate(limit as usize);
        Ok(all)
    }

    /// The public holidays of a series' region between two instants, by date in its time zone.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for a reversed range or one longer than `HOLIDAY_YEARS_MAX` years.
    pub async fn holidays(&self, name: &SeriesName, from: Time, to: Time) -> Result<Vec<HolidayOn>> {
        let info = self.series(name).await?;
        let zone = &info.series.time_zone;
        let (first, last) = (zone.civil(from).date, zone.civil(to).date);
        if last < first || i32::from(last.year()) - i32::from(first.year()) > HOLIDAY_YEARS_MAX {
            let message =
                format!("the range {first} to {last} is reversed or longer than {HOLIDAY_YEARS_MAX} years");
            return Err(Error::invalid(message));
        }
        let Some(region) = &info.series.holiday_region else { return Ok(Vec::new()) };
        let region: Region =
            region.parse().map_err(|error: UnknownRegion| Error::invalid(error.to_string()))?;
        let all = (first.year()..=last.year()).flat_map(|year| region.holidays(year));
        let inside = all.filter(|holiday| (first..=last).contains(&holiday.date));
        Ok(inside
            .map(|holiday| HolidayOn { date: holiday.date.to_string(), name: holiday.name.to_owned() })
            .collect())
    }

    /// Forgets what is remembered of a series after a write of this process, on every node.
    pub(crate) async fn forget_series(&self, name: &SeriesName) {
        self.forget_here(name).await;
        self.purger.purge(name);
        if let Some(remote) = &self.answers.remote {
            remote.publish(Some(name)).await;
        }
    }

    /// Forgets what is remembered of all series, on every node.
    pub(crate) async fn forget_everywhere(&self) {
        self.forget_all().await;
        if let Some(remote) = &self.answers.remote {
            remote.publish(None).await;
        }
    }

    /// Forgets what is remembered of a series in this process: its own description and state, who answers for it, and who
    /// answers for those that read it as a covariate.
    pub(crate) async fn forget_here(&self, name: &SeriesName) {
        // Counted first: whoever remembers later what was read before sees the count change.
        self.forgotten.fetch_add(1, Ordering::SeqCst);
        self.known_series.invalidate(name).await;
        self.answering.invalidate(name).await;
        for reader in self.readers.take(name) {
            self.answering.invalidate(&reader).await;
        }
        // Few, and one may have waited for just this.
        self.answers.unknown.invalidate_all();
    }

    async fn unknown_series(&self, name: &SeriesName) -> Error {
        let all = self.store.list_series(None, self.config.limits.list_max).await.unwrap_or_default();
        let mine = all.iter().filter(|(series, _)| covers(&series.name));
        let names = mine.map(|(series, _)| series.name.as_str());
        let hint = match nearest(name.as_str(), names) {
            Some(near) => format!("did you mean `{near}`?"),
            None if all.is_empty() => "there are none yet: import a file with `forewatt import`".to_owned(),
            None => "`forewatt series list` or GET /v1/series shows what there is".to_owned(),
        };
        Error::new(ErrorKind::NotFound, format!("there is no series `{name}`; {hint}"))
    }
}

/// Refuses a holiday region that has no rules.
pub(crate) fn check_region(region: Option<&str>) -> Result<()> {
    let known = region.map(str::parse::<Region>).transpose();
    known.map(|_| ()).map_err(|error: UnknownRegion| Error::invalid(error.to_string()))
}

/// The known name that `text` most likely meant: at most a third of its letters differ, or it contains it.
#[must_use]
pub fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = text.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    known
        .map(|name| (edit_distance(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, name)| {
            *distance <= limit || (wanted.len() >= 3 && name.to_lowercase().contains(&wanted))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance by the two-row method.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_find_their_name() {
        let known = ["district.load", "home-01.load", "price"];
        assert_eq!(nearest("distrct.load", known.into_iter()), Some("district.load"));
        assert_eq!(nearest("Price", known.into_iter()), Some("price"));
        assert_eq!(nearest("district", known.into_iter()), Some("district.load"));
        assert_eq!(nearest("zzz", known.into_iter()), None);
        assert_eq!(edit_distance("kitten", "sitting"), 3);
    }
}
