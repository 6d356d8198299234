//! Forecasts over gRPC: one a call, or many as a stream.

use std::sync::Arc;

use forewatt_service::cache::Answer;
use forewatt_service::domain::QuantileLevels;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::{Error, ErrorKind, Result};
use futures::stream::{self, BoxStream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::Api;
use super::convert::{Answered, duration, stamp, status, time};
use super::pb::v1 as pb;
use crate::error::grpc_code;
use crate::http::forecast::version_id;

/// Questions of a batch that are answered together: what waits in memory is no more than their answers.
const TOGETHER: usize = 64;

#[tonic::async_trait]
impl pb::forecast_service_server::ForecastService for Api {
    type BatchForecastsStream = BoxStream<'static, std::result::Result<pb::BatchForecastsResponse, Status>>;

    async fn get_forecast(
        &self,
        request: Request<pb::GetForecastRequest>,
    ) -> Answered<pb::GetForecastResponse> {
        let question = question(request.into_inner()).map_err(status)?;
        let answer = self.0.service.forecast(&question).await.map_err(status)?;
        Ok(Response::new(pb::GetForecastResponse { forecast: Some(message(&answer)) }))
    }

    async fn batch_forecasts(
        &self,
        request: Request<pb::BatchForecastsRequest>,
    ) -> Answered<Self::BatchForecastsStream> {
        let asked = request.into_inner().requests;
        let max = self.0.service.config().forecast.batch_max;
        if asked.len() > max {
            let message = format!("{} forecasts in one batch, the limit is {max}: split it", asked.len());
            return Err(status(Error::new(ErrorKind::TooLarge, message)));
        }
        let questions: Vec<Result<ForecastRequest>> = asked.into_iter().map(question).collect();
        let parts: Vec<Vec<_>> = questions.chunks(TOGETHER).map(<[_]>::to_vec).collect();
        let api = self.clone();
        let answers = stream::iter(parts)
            .then(move |part| {
                let api = api.clone();
                async move { stream::iter(api.answer(part).await) }
            })
            .flatten();
        let numbered = answers.enumerate().map(|(i, answer)| Ok(result(i, answer)));
        Ok(Response::new(numbered.boxed()))
    }
}

impl Api {
    /// Answers the questions that could be read; the others keep their error, each in its place.
    async fn answer(&self, part: Vec<Result<ForecastRequest>>) -> Vec<Result<Arc<Answer>>> {
        let good: Vec<ForecastRequest> = part.iter().filter_map(|q| q.as_ref().ok().cloned()).collect();
        let answers = match self.0.service.forecast_batch(good).await {
            Ok(answers) => answers,
            Err(error) => return part.into_iter().map(|_| Err(error.clone())).collect(),
        };
        let mut answers = answers.into_iter();
        // The service answers every question it was given, in order.
        let mut next = |_| answers.next().unwrap_or_else(|| Err(Error::internal("an answer is missing")));
        part.into_iter().map(|question| question.and_then(&mut next)).collect()
    }
}

fn question(asked: pb::GetForecastRequest) -> Result<ForecastRequest> {
    let version = asked.version.as_deref().map(version_id).transpose().map_err(Error::invalid)?;
    let levels = (!asked.quantiles.is_empty()).then(|| QuantileLevels::new(asked.quantiles)).transpose()?;
    Ok(ForecastRequest {
        series: asked.series.parse()?,
        horizon: duration("horizon", asked.horizon.as_ref())?,
        levels,
        as_of: time("as_of", asked.as_of.as_ref())?,
        forecast_start: time("forecast_start", asked.forecast_start.as_ref())?,
        threshold: asked.threshold,
        version,
    })
}

fn result(index: usize, answer: Result<Arc<Answer>>) -> pb::BatchForecastsResponse {
    use pb::batch_forecasts_response::Result as Either;
    let result = match answer {
        Ok(answer) => Either::Forecast(message(&answer)),
        Err(error) => {
            Either::Error(pb::ForecastError { code: grpc_code(error.kind).into(), message: error.message })
        }
    };
    // Bounded by `forecast.batch_max`.
    pb::BatchForecastsResponse { index: u32::try_from(index).unwrap_or(u32::MAX), result: Some(result) }
}

fn message(answer: &Answer) -> pb::Forecast {
    let forecast = &answer.forecast;
    let points = forecast.points.iter().enumerate().map(|(i, point)| pb::ForecastPoint {
        valid_time: Some(stamp(point.valid_time)),
        mean: point.mean,
        quantiles: point.quantiles.clone(),
        probability_above: answer.probability_above.as_ref().and_then(|above| above.get(i).copied()),
    });
    pb::Forecast {
        series: forecast.series.to_string(),
        unit: forecast.unit.clone(),
        model_version: forecast.model_version.to_string(),
        forecast_start: Some(stamp(forecast.forecast_start)),
        issued_at: Some(stamp(forecast.issued_at)),
        data_watermark: Some(stamp(forecast.data_watermark)),
        quality: forecast.quality,
        degraded: forecast.degraded.clone(),
        fallback: answer.rung.label().map(str::to_owned),
        threshold: answer.threshold,
        levels: forecast.levels.as_slice().to_vec(),
        points: points.collect(),
    }
}
