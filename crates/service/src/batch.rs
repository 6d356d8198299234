//! Many forecasts in one call: each succeeds or fails on its own, and what they have in common is read once.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use forewatt_domain::time::{duration_micros, parse_duration};
use futures::StreamExt;
use futures::stream;
use tokio::task::{JoinError, JoinHandle};

use crate::Service;
use crate::access::carried;
use crate::cache::Answer;
use crate::dataset::SharedReads;
use crate::error::{Error, ErrorKind, Result};
use crate::forecast::ForecastRequest;

/// Forecasts of one batch that are on their way at once: enough to keep every processor at work while others read,
/// few enough that their models and inputs take little room.
const AT_ONCE: usize = 64;

/// A task that ends with whoever waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = std::result::Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl Service {
    /// Answers many questions, in their order, all with what was known at one instant.
    ///
    /// # Errors
    /// `TooLarge` for more questions than `forecast.batch_max`, or more values (questions times steps times levels) than
    /// `forecast.batch_values_max`; a failed question fails alone, in its place.
    pub async fn forecast_batch(&self, requests: Vec<ForecastRequest>) -> Result<Vec<Result<Arc<Answer>>>> {
        self.check_batch(&requests).await?;
        let (now, shared) = (self.now(), Arc::new(SharedReads::default()));
        let answers = stream::iter(requests).map(|request| {
            let (service, shared) = (self.clone(), Arc::clone(&shared));
            // A task each: some read while others compute or encode. It ends when nobody waits for the batch any more.
            AbortOnDrop(tokio::spawn(carried(async move {
                service.answer_by_rungs(&request, now, Some(&shared)).await
            })))
        });
        let broken = |error| Err(Error::internal(format!("a forecast of the batch broke off: {error}")));
        Ok(answers.buffered(AT_ONCE).map(|done| done.unwrap_or_else(broken)).collect().await)
    }

    /// Refuses a batch whose answer would be too large, before anything of it is computed.
    async fn check_batch(&self, requests: &[ForecastRequest]) -> Result<()> {
        let limits = &self.config.forecast;
        if requests.len() > limits.batch_max {
            let (count, max) = (requests.len(), limits.batch_max);
            let message = format!("{count} forecasts in one batch, the limit is {max}: split it");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let asked: Vec<_> = requests.iter().map(|request| self.values_asked(request)).collect();
        let add = |sum: usize, values| ready(sum.saturating_add(values));
        let values = stream::iter(asked).buffered(AT_ONCE).fold(0, add).await;
        let max = limits.batch_values_max;
        if values > max {
            let message = format!(
                "{values} values (forecasts times steps times levels) in one batch, the limit is {max}: \
                 split it, or ask for shorter horizons or fewer levels"
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        Ok(())
    }

    /// At most so many values answer a question; none where it cannot be answered, which it says in its place.
    async fn values_asked(&self, request: &ForecastRequest) -> usize {
        let Ok(info) = self.series(&request.series).await else { return 0 };
        let default = || parse_duration(&self.config.forecast.horizon).unwrap_or_default();
        let horizon = duration_micros(request.horizon.unwrap_or_else(default));
        let steps = usize::try_from(horizon / info.series.resolution.micros()).unwrap_or(0);
        let levels = request.levels.as_ref().map_or(self.config.forecast.levels.len(), |levels| levels.len());
        steps.saturating_mul(levels)
    }
}
