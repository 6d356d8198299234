//! The monthly partitions of the observations: made on demand and ahead of time, dropped when nothing is left in them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use forewatt_domain::{Observation, Time, Zone};
use sqlx::{AssertSqlSafe, PgConnection};

use super::{LOCK_PARTITIONS, Postgres, lock};

/// Years with a partition a month; what lies outside is caught by one before and one after.
const YEARS: std::ops::Range<i16> = 1970..2100;
/// Partitions made in one transaction: each holds some locks to its end.
const MADE_AT_ONCE: usize = 60;
const ATTACHED: &str = "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
                        WHERE i.inhparent = 'observation'::regclass";

/// A month of valid times in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Month {
    /// Its first instant.
    pub from: Time,
    /// The first instant of the next.
    pub to: Time,
    year: i16,
    month: i8,
}

impl Month {
    /// The month that holds an instant; `None` outside the years that have partitions of their own.
    pub(super) fn of(time: Time) -> Option<Self> {
        let utc = Zone::utc();
        let date = utc.civil(time).date;
        let next = date.last_of_month().tomorrow().ok()?;
        let month = Self {
            from: utc.start_of_day(date.first_of_month()),
            to: utc.start_of_day(next),
            year: date.year(),
            month: date.month(),
        };
        YEARS.contains(&month.year).then_some(month)
    }

    /// The month of a partition's name.
    pub(super) fn named(table: &str) -> Option<Self> {
        let (year, month) = table.strip_prefix("observation_y")?.split_once('m')?;
        let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
        // A day in the middle of the month: 30.436875 days of 86,400 s on average, counted from mid-January 1970.
        let middle = ((year - 1970) * 12 + month - 1) * 2_629_746 + 15 * 86_400;
        Self::of(Time::from_seconds(middle)).filter(|m| m.table() == table)
    }

    /// The partition's name.
    pub(super) fn table(self) -> String {
        format!("observation_y{:04}m{:02}", self.year, self.month)
    }

    /// An empty table is made and then attached: unlike `CREATE ... PARTITION OF`, that stops no reader or writer.
    fn sql(self) -> String {
        let (table, from, to) = (self.table(), self.from, self.to);
        format!(
            "CREATE TABLE {table} (LIKE observation); \
             ALTER TABLE observation ATTACH PARTITION {table} FOR VALUES FROM ('{from}') TO ('{to}')"
        )
    }
}

/// The months that were seen to have a partition.
#[derive(Debug, Default)]
pub(super) struct Months(Mutex<BTreeSet<Month>>);

impl Months {
    fn missing(&self, wanted: impl Iterator<Item = Month>) -> BTreeSet<Month> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.filter(|month| !seen.contains(month)).collect()
    }

    fn saw(&self, months: impl IntoIterator<Item = Month>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(months);
    }

    /// Forgets all: some node dropped one.
    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Postgres {
    /// Makes the partitions that observations need and that are not there.
    pub(super) async fn make_room(&self, observations: &[Observation]) -> sqlx::Result<()> {
        let mut month = None;
        let mut wanted = BTreeSet::new();
        for time in observations.iter().map(|o| o.valid_time) {
            // Neighbours nearly always share their month.
            if month.is_none_or(|m: Month| time < m.from || m.to <= time) {
                month = Month::of(time);
                wanted.extend(month);
            }
        }
        self.make_months(wanted).await.map(drop)
    }

    /// Makes the partitions that are not there yet; returns how many were made.
    pub(super) async fn make_months(&self, wanted: BTreeSet<Month>) -> sqlx::Result<usize> {
        let missing = Vec::from_iter(self.months.missing(wanted.into_iter()));
        let mut made = 0;
        for some in missing.chunks(MADE_AT_ONCE) {
            let mut transaction = self.primary.begin().await?;
            lock(&mut transaction, LOCK_PARTITIONS).await?;
            let there = attached(&mut transaction).await?;
            for month in some.iter().filter(|month| !there.contains(month)) {
                // The text holds nothing but numbers and times of our own.
                sqlx::raw_sql(AssertSqlSafe(month.sql())).execute(&mut *transaction).await?;
                made += 1;
            }
            transaction.commit().await?;
            self.months.saw(some.iter().copied());
        }
        Ok(made)
    }
}

/// The months that have a partition now.
pub(super) async fn attached(connection: &mut PgConnection) -> sqlx::Result<BTreeSet<Month>> {
    let tables: Vec<String> = sqlx::query_scalar(ATTACHED).fetch_all(connection).await?;
    Ok(tables.iter().filter_map(|table| Month::named(table)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_month_has_its_name_and_follows_the_last() {
        let mut month = Month::of(Time::from_seconds(0)).unwrap();
        let mut count = 0;
        loop {
            assert_eq!(Month::named(&month.table()), Some(month));
            assert_eq!(Month::of(month.to.plus_micros(-1)), Some(month));
            count += 1;
            match Month::of(month.to) {
                Some(next) => month = next,
                None => break,
            }
        }
        assert_eq!((count, month.table().as_str()), (130 * 12, "observation_y2099m12"));
        assert_eq!(Month::of(Time::MIN), None);
        assert_eq!(Month::of(Time::MAX), None);
        for other in ["observation_before_1970", "observation_y2026m13", "observation_y2026m1", "job"] {
            assert_eq!(Month::named(other), None, "{other}");
        }
    }
}
