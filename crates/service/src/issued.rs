//! Forecasts that were issued: kept in the background, read back by start, as of an instant, or at a fixed lead.

use forewatt_domain::{Forecast, SeriesName};
use forewatt_store::{Backend, ForecastQuery, ForecastStore, IssuedPoint};
use tokio::sync::{mpsc, oneshot};

use crate::error::Result;
use crate::webhooks::{Event, Outbox};
use crate::{Clock, Service};

/// A bounded queue into the store. An answer waits for a place in it, not for the disk.
pub struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Keep(std::sync::Arc<Forecast>),
    Flush(oneshot::Sender<()>),
}

impl Writer {
    /// Starts the task that writes.
    pub(crate) fn start(store: Backend, queue_max: usize, outbox: Outbox, clock: Clock) -> Self {
        let (queue, mut inbox) = mpsc::channel(queue_max.max(1));
        tokio::spawn(async move {
            while let Some(message) = inbox.recv().await {
                match message {
                    Message::Keep(forecast) => {
                        if keep(&store, &forecast).await {
                            outbox.tell(&Event::forecast_ready(&forecast), clock()).await;
                        }
                    }
                    Message::Flush(done) => {
                        let _ = done.send(()); // nobody waits any more: nothing to tell
                    }
                }
            }
        });
        Self { queue }
    }

    /// Hands a forecast over; waits while the queue is full.
    pub(crate) async fn keep(&self, forecast: std::sync::Arc<Forecast>) {
        if self.queue.send(Message::Keep(forecast)).await.is_err() {
            tracing::error!("the writer of issued forecasts has stopped; this forecast is not kept");
            metrics::counter!("forewatt_issued_forecasts_lost_total").increment(1);
        }
    }

    /// Waits until all that was handed over is written.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = wait.await; // an error means the task has ended and nothing waits
        }
    }
}

/// Whether it is kept.
async fn keep(store: &Backend, forecast: &Forecast) -> bool {
    let kept = store.put_forecast(forecast).await;
    match &kept {
        Ok(()) => metrics::counter!("forewatt_issued_forecasts_total").increment(1),
        Err(error) => {
            tracing::error!(series = %forecast.series, %error, "an issued forecast could not be kept");
            metrics::counter!("forewatt_issued_forecasts_lost_total").increment(1);
        }
    }
    kept.is_ok()
}

impl Service {
    /// Reads issued forecasts back.
    ///
    /// # Errors
    /// `NotFound` for an unknown series; `InvalidInput` or `TooLarge` for an absurd range.
    pub async fn read_forecasts(
        &self,
        series: &SeriesName,
        query: ForecastQuery,
    ) -> Result<Vec<IssuedPoint>> {
        let info = self.series(series).await?;
        if let ForecastQuery::AsOf { from, to, .. } | ForecastQuery::FixedLead { from, to, .. } = query {
            self.check_range(from, to, info.series.resolution.micros())?;
        }
        self.issued.flush().await;
        let limit = u32::try_from(self.config.limits.read_points_max).unwrap_or(u32::MAX);
        Ok(self.store.read_forecasts(series, query, limit).await?)
    }
}
