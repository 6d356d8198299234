//! The contract every backend passes: one function a promise, and a list that makes each its own test.
//!
//! A backend implements [`Harness`] in its tests and calls `contract_suite!(ItsHarness);`.

pub mod access;
pub mod forecasts;
pub mod identity;
pub mod jobs;
pub mod labels;
pub mod observations;
pub mod outward;
pub mod series;
pub mod upkeep;
pub mod versions;

use std::future::Future;

use forewatt_domain::time::MICROS_PER_HOUR;
use forewatt_domain::{Observation, Resolution, Series, SeriesKind, SeriesName, Time};
use proptest::test_runner::{Config, TestRunner};

use crate::{
    AuditStore, Error, ForecastStore, IdentityStore, JobStore, KeyStore, LabelStore, ObservationRange,
    ObservationStore, QualityStore, SeriesStore, SourceStore, UpkeepStore, VersionStore, WebhookStore,
};

/// A whole backend, cheap to clone.
pub trait Store:
    SeriesStore
    + ObservationStore
    + ForecastStore
    + VersionStore
    + QualityStore
    + JobStore
    + LabelStore
    + KeyStore
    + AuditStore
    + UpkeepStore
    + SourceStore
    + WebhookStore
    + IdentityStore
    + Clone
    + Send
    + Sync
    + 'static
{
}

/// A store and the ground it stands on.
pub trait Harness: Sized + Send {
    /// The backend.
    type Store: Store;
    /// A new, empty store; `None` where it cannot be had because what it needs is not installed.
    fn empty() -> impl Future<Output = Option<Self>> + Send;
    /// The store.
    fn store(&self) -> Self::Store;
    /// Opens the same data again after dropping the store without closing it.
    fn reopen(self) -> impl Future<Output = Self> + Send;
    /// Changes a byte of a kept artifact.
    fn damage_artifact(&self, sha256: &str);
    /// Whether the backend carries out a statement that goes past the store.
    fn carries_out(&self, sql: &'static str) -> impl Future<Output = bool> + Send;
}

/// Instantiates every promise as a test of a [`Harness`].
macro_rules! contract_suite {
    ($harness:ty) => {
        $crate::contract::promises! { $harness,
            series: [
                what_is_put_is_read, the_same_again_changes_nothing, a_change_raises_the_revision,
                a_resolution_with_data_stays, lists_go_by_name_and_page, unknown_series_are_named,
                series_outlive_a_crash
            ]
            observations: [
                as_of_is_the_domains_rule, writes_are_idempotent, revisions_are_kept,
                conflicts_keep_the_old_value, the_first_of_a_slice_wins, conflicts_are_listed_up_to_a_limit,
                state_follows_writes, values_that_are_no_numbers_are_refused, nothing_is_lost_in_a_large_slice,
                empty_and_reversed_ranges_are_empty, two_writers_lose_nothing, reads_see_whole_writes,
                acknowledged_writes_outlive_a_crash, extreme_times_and_values_come_back
            ]
            forecasts: [
                by_start_is_the_last_issued, queries_are_the_written_rule, an_issued_forecast_never_changes,
                invalid_forecasts_are_refused, forecasts_outlive_a_crash, a_versions_forecasts_are_its_own,
                forecasts_are_listed_as_they_were_put
            ]
            versions: [
                versions_are_numbered_and_read_back, numbers_stay_apart_when_registered_at_once,
                versions_are_listed_newest_first, versions_need_what_they_name, aliases_move_and_remember,
                aliases_name_own_versions, artifacts_are_found_by_content, damaged_artifacts_are_seen,
                versions_outlive_a_crash
            ]
            jobs: [
                jobs_are_kept_and_updated, orphans_fail, jobs_are_listed_newest_first,
                the_newest_quality_is_read, quality_needs_its_series
            ]
            labels: [labels_are_hung_changed_and_taken_away, labels_need_their_series_and_have_limits]
            identity: [an_identity_stays_until_it_is_renewed]
            access: [
                keys_come_back_as_kept, keys_are_listed_newest_first, a_revoked_key_stays_revoked,
                a_rotated_key_ends_soon, the_audit_log_only_grows
            ]
            upkeep: [old_observations_go_by_kind, an_emptied_series_goes_on]
            outward: [
                sources_are_kept_and_taken_once, a_source_taken_away_stays_away, deliveries_wait_within_their_room,
                deliveries_are_taken_once_and_end, dead_letters_are_few_and_come_back,
                a_receiver_takes_its_deliveries_along, deliveries_outlive_a_crash
            ]
        }
    };
}

/// One test for each promise of each noun.
macro_rules! promises {
    ($harness:ty, $($noun:ident: [$($promise:ident),+])+) => {
        $(mod $noun {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    if let Some(harness) = <$harness as $crate::contract::Harness>::empty().await {
                        $crate::contract::$noun::$promise(harness).await;
                    }
                }
            )+
        })+
    };
}

pub(crate) use {contract_suite, promises};

/// An hour in microseconds.
pub const HOUR: i64 = MICROS_PER_HOUR;

/// The instant so many hours after 2026-01-01T00:00:00Z.
pub fn hour(hours: i64) -> Time {
    Time::from_seconds(1_767_225_600 + hours * 3_600)
}

/// A checked name.
pub fn named(name: &str) -> SeriesName {
    name.parse().unwrap()
}

/// A series of that name with plain properties.
pub fn described(name: &str) -> Series {
    Series {
        name: named(name),
        kind: SeriesKind::Load,
        unit: "MW".to_owned(),
        resolution: Resolution::HOUR,
        time_zone: "UTC".parse().unwrap(),
        location: None,
        holiday_region: None,
        parent: None,
    }
}

/// A value about hour `valid`, known at hour `available`.
pub fn seen(valid: i64, available: i64, value: f64) -> Observation {
    Observation { valid_time: hour(valid), available_at: hour(available), value }
}

/// Hours `from..to` of a series.
pub fn hours(name: &SeriesName, from: i64, to: i64) -> ObservationRange {
    ObservationRange { series: name.clone(), from: hour(from), to: hour(to) }
}

/// A store with one plain series.
pub async fn with_series<H: Harness>(harness: &H, name: &str) -> (H::Store, SeriesName) {
    let store = harness.store();
    store.put_series(&described(name), hour(0)).await.unwrap();
    (store, named(name))
}

/// Whether the error says that `what` is not there.
pub fn is_missing<T: std::fmt::Debug>(result: &Result<T, Error>, what: &str) -> bool {
    matches!(result, Err(Error::NotFound { what: w, .. }) if *w == what)
}

/// Runs a property with a modest number of cases, without files beside the sources.
pub fn property<S: proptest::strategy::Strategy>(
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), proptest::test_runner::TestCaseError>,
) {
    let config = Config { cases: 32, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(strategy, test).unwrap();
}

/// Waits for a future inside a synchronous property.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}
