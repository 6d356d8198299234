//! Observations over gRPC: pages out, a stream of parts in.

use forewatt_service::domain::Observation;
use forewatt_service::observations::{NewObservation, ObservationQuery};
use forewatt_service::{Error, Result, WriteOutcome};
use tonic::{Request, Response, Streaming};

use super::Api;
use super::convert::{Answered, limit, needed_time, stamp, status, time};
use super::pb::v1 as pb;
use crate::http::observations::LIMIT_DEFAULT;

#[tonic::async_trait]
impl pb::observation_service_server::ObservationService for Api {
    async fn read_observations(
        &self,
        request: Request<pb::ReadObservationsRequest>,
    ) -> Answered<pb::ReadObservationsResponse> {
        self.read(&request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn write_observations(
        &self,
        request: Request<Streaming<pb::WriteObservationsRequest>>,
    ) -> Answered<pb::WriteObservationsResponse> {
        let mut parts = request.into_inner();
        let mut sum = pb::WriteObservationsResponse::default();
        while let Some(part) = parts.message().await? {
            let outcome = self.write(&part).await.map_err(|error| status(so_far(error, &sum)))?;
            sum.read += part.observations.len() as u64;
            sum.stored += outcome.stored;
            sum.unchanged += outcome.unchanged;
            sum.conflicts += outcome.conflict_count;
        }
        Ok(Response::new(sum))
    }
}

impl Api {
    async fn read(&self, asked: &pb::ReadObservationsRequest) -> Result<pb::ReadObservationsResponse> {
        let query = ObservationQuery {
            series: asked.series.parse()?,
            from: time("from", asked.from.as_ref())?,
            to: time("to", asked.to.as_ref())?,
            as_of: time("as_of", asked.as_of.as_ref())?,
        };
        let max = u32::try_from(self.0.service.config().limits.read_points_max).unwrap_or(u32::MAX);
        let limit = limit(asked.limit, LIMIT_DEFAULT, max)? as usize;
        let page = self.0.service.read_observations(&query).await?;
        Ok(pb::ReadObservationsResponse {
            series: page.series.to_string(),
            unit: page.unit,
            from: Some(stamp(page.from)),
            to: Some(stamp(page.to)),
            as_of: Some(stamp(page.as_of)),
            next: page.observations.get(limit).map(|first_left_out| stamp(first_left_out.valid_time)),
            observations: page.observations.iter().take(limit).map(message).collect(),
        })
    }

    async fn write(&self, part: &pb::WriteObservationsRequest) -> Result<WriteOutcome> {
        let read = |(i, o): (usize, &pb::Observation)| {
            Ok(NewObservation {
                valid_time: needed_time(&format!("observations[{i}].valid_time"), o.valid_time.as_ref())?,
                available_at: time(&format!("observations[{i}].available_at"), o.available_at.as_ref())?,
                value: o.value,
            })
        };
        let new: Vec<NewObservation> =
            part.observations.iter().enumerate().map(read).collect::<Result<_>>()?;
        self.0.service.write_observations(&part.series.parse()?, &new).await
    }
}

fn message(o: &Observation) -> pb::Observation {
    pb::Observation {
        valid_time: Some(stamp(o.valid_time)),
        available_at: Some(stamp(o.available_at)),
        value: o.value,
    }
}

/// A stream that fails in the middle says what is stored already.
fn so_far(mut error: Error, sum: &pb::WriteObservationsResponse) -> Error {
    if sum.read > 0 {
        let told = format!(
            "; the {} values of the messages before are stored: sending the whole stream again is harmless",
            sum.read
        );
        error.message.push_str(&told);
    }
    error
}
