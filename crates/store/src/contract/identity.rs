//! Promises about which store this is.

use super::Harness;
use crate::IdentityStore;

/// A store has one from its beginning, another store has another, and it stays until it is renewed.
pub async fn an_identity_stays_until_it_is_renewed<H: Harness>(harness: H) {
    let first = harness.store().identity().await.unwrap();
    assert_eq!(first.len(), 32, "{first}");
    if let Some(other) = H::empty().await {
        assert_ne!(other.store().identity().await.unwrap(), first);
    }
    let harness = harness.reopen().await;
    assert_eq!(harness.store().identity().await.unwrap(), first);
    harness.store().renew_identity().await.unwrap();
    let renewed = harness.store().identity().await.unwrap();
    assert_ne!(renewed, first);
    assert_eq!(harness.reopen().await.store().identity().await.unwrap(), renewed);
}
