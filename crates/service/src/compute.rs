//! The threads that compute forecasts: as many as processors, and their own, so that a training does not stand in the way.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// A pool of threads. What a model does in parallel inside a forecast stays in it.
pub(crate) struct Threads(Option<ThreadPool>);

impl Threads {
    /// Starts a thread for each processor.
    pub(crate) fn start() -> Self {
        Self::of(0) // rayon's word for one a processor
    }

    fn of(threads: usize) -> Self {
        let built =
            ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("forecast-{i}")).build();
        let told =
            |error| tracing::warn!(%error, "no threads for forecasts alone: they share those of the runtime");
        Self(built.map_err(told).ok())
    }

    /// Runs numeric work and waits for it without holding a thread of the runtime.
    ///
    /// # Errors
    /// `Internal` when the work panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        let Some(pool) = &self.0 else { return crate::blocking(work).await };
        let (done, wait) = oneshot::channel();
        pool.spawn(move || {
            if done.is_closed() {
                return; // whoever asked has left while it waited for its turn
            }
            // Nothing of the work outlives a panic but the report of it.
            let outcome = catch_unwind(AssertUnwindSafe(work)).ok();
            let _ = done.send(outcome); // nobody waits any more: nothing to tell
        });
        let outcome = wait.await.ok().flatten();
        outcome.ok_or_else(|| Error::internal("the computation broke off; the log says where"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use futures::FutureExt;

    use super::*;
    use crate::ErrorKind;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_not_begun() {
        let threads = Threads::of(1);
        let (open, gate) = mpsc::channel::<()>();
        let mut first = Box::pin(threads.run(move || gate.recv().is_ok()));
        assert!((&mut first).now_or_never().is_none(), "it holds the only thread");
        let begun = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&begun);
        let mut second = Box::pin(threads.run(move || flag.store(true, Ordering::SeqCst)));
        assert!((&mut second).now_or_never().is_none(), "it waits for its turn");
        drop(second);
        open.send(()).unwrap();
        assert!(first.await.unwrap());
        threads.run(|| ()).await.unwrap();
        assert!(!begun.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_threads_go_on() {
        let threads = Threads::start();
        let broken = threads.run(|| -> u8 { panic!("a drill") }).await.unwrap_err();
        assert_eq!(broken.kind, ErrorKind::Internal);
        assert_eq!(threads.run(|| 7).await.unwrap(), 7);
        assert_eq!(Threads(None).run(|| 7).await.unwrap(), 7);
    }
}
