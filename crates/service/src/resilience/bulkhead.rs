//! A bulkhead: so many calls at once, so many that wait, and the rest is refused at once.

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::call::Failure;

/// Places for calls of one kind, so that a slow peer of one kind cannot take the room of the others.
#[derive(Debug)]
pub struct Bulkhead {
    kind: &'static str,
    /// At work.
    places: Semaphore,
    /// At work or waiting.
    admitted: Semaphore,
}

/// A place, held while a call is under way.
#[derive(Debug)]
pub struct Place<'a> {
    kind: &'static str,
    _place: SemaphorePermit<'a>,
    _admitted: SemaphorePermit<'a>,
}

impl Bulkhead {
    /// Room for `concurrency_max` calls and `waiting_max` that wait for them.
    #[must_use]
    pub fn new(kind: &'static str, concurrency_max: usize, waiting_max: usize) -> Self {
        let places = concurrency_max.clamp(1, Semaphore::MAX_PERMITS / 2);
        let admitted = places + waiting_max.min(Semaphore::MAX_PERMITS / 2);
        Self { kind, places: Semaphore::new(places), admitted: Semaphore::new(admitted) }
    }

    /// Takes a place, waiting for one no longer than until `deadline`.
    ///
    /// # Errors
    /// [`Failure::Busy`] when too many wait already or none came free in time.
    pub async fn enter(&self, deadline: Instant) -> Result<Place<'_>, Failure> {
        // Neither semaphore is ever closed: an error of theirs can only mean that there is no room.
        let admitted = self.admitted.try_acquire().map_err(|_| Failure::Busy)?;
        let place = tokio::time::timeout_at(deadline, self.places.acquire()).await;
        let place = place.map_err(|_| Failure::Busy)?.map_err(|_| Failure::Busy)?;
        metrics::gauge!("forewatt_outward_at_work", "kind" => self.kind).increment(1.0);
        Ok(Place { kind: self.kind, _place: place, _admitted: admitted })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        metrics::gauge!("forewatt_outward_at_work", "kind" => self.kind).decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn those_beyond_the_room_are_refused_at_once_and_a_leaver_makes_room() {
        let bulkhead = Bulkhead::new("test", 1, 1);
        let far = Instant::now() + Duration::from_secs(3_600);
        let first = bulkhead.enter(far).await.unwrap();
        let second = bulkhead.enter(far);
        tokio::pin!(second);
        assert!(futures::poll!(&mut second).is_pending(), "it waits for the first");
        assert!(matches!(bulkhead.enter(far).await, Err(Failure::Busy)), "one may wait and no more");
        drop(first);
        assert!(second.await.is_ok());
        assert!(bulkhead.enter(far).await.is_ok());
    }

    #[tokio::test]
    async fn nobody_waits_beyond_the_deadline() {
        let bulkhead = Bulkhead::new("test", 1, 1);
        let _first = bulkhead.enter(Instant::now()).await.unwrap();
        assert!(matches!(bulkhead.enter(Instant::now()).await, Err(Failure::Busy)));
        assert!(
            matches!(bulkhead.enter(Instant::now()).await, Err(Failure::Busy)),
            "the waiter left its place"
        );
    }
}
