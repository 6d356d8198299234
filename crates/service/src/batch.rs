//! Many forecasts in one call: each succeeds or fails on its own.

use std::sync::Arc;

use futures::StreamExt;

use crate::Service;
use crate::cache::Answer;
use crate::error::{Error, ErrorKind, Result};
use crate::forecast::ForecastRequest;

/// Forecasts of one batch that are computed at once.
const AT_ONCE: usize = 16;

impl Service {
    /// Answers many questions, in their order.
    ///
    /// # Errors
    /// `TooLarge` for more questions than `forecast.batch_max`; a failed question fails alone, in its place.
    pub async fn forecast_batch(&self, requests: Vec<ForecastRequest>) -> Result<Vec<Result<Arc<Answer>>>> {
        let max = self.config.forecast.batch_max;
        if requests.len() > max {
            let message = format!("{} forecasts in one batch, the limit is {max}: split it", requests.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let answers = futures::stream::iter(requests).map(|request| {
            let service = self.clone();
            async move { service.forecast(&request).await }
        });
        Ok(answers.buffered(AT_ONCE).collect().await)
    }
}
