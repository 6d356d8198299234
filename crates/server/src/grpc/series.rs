//! Series over gRPC.

use forewatt_service::domain::time::format_duration;
use forewatt_service::domain::{SeriesKind, SeriesName};
use forewatt_service::{Result, SeriesInfo};
use tonic::{Request, Response, Status};

use super::Api;
use super::convert::{Answered, duration, invalid, limit, span, stamp, status};
use super::pb::v1 as pb;
use crate::http::series::{LIMIT_DEFAULT, LocationBody, SeriesBody};

#[tonic::async_trait]
impl pb::series_service_server::SeriesService for Api {
    async fn get_series(&self, request: Request<pb::GetSeriesRequest>) -> Answered<pb::GetSeriesResponse> {
        let series = Some(self.info(&request.into_inner().name).await.map_err(status)?);
        Ok(Response::new(pb::GetSeriesResponse { series }))
    }

    async fn list_series(&self, request: Request<pb::ListSeriesRequest>) -> Answered<pb::ListSeriesResponse> {
        self.list(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn put_series(&self, request: Request<pb::PutSeriesRequest>) -> Answered<pb::PutSeriesResponse> {
        let asked = request.into_inner().series.unwrap_or_default();
        let name =
            asked.name.parse::<SeriesName>().map_err(|error| Status::invalid_argument(error.to_string()))?;
        let series = body(asked).map_err(status)?.read(name).map_err(|problem| invalid(&problem))?;
        self.0.service.put_series(&series).await.map_err(status)?;
        let series = Some(self.info(series.name.as_str()).await.map_err(status)?);
        Ok(Response::new(pb::PutSeriesResponse { series }))
    }
}

impl Api {
    async fn info(&self, name: &str) -> Result<pb::SeriesInfo> {
        Ok(message(&*self.0.service.series(&name.parse()?).await?))
    }

    async fn list(&self, asked: pb::ListSeriesRequest) -> Result<pb::ListSeriesResponse> {
        let after = asked.after.map(SeriesName::try_from).transpose()?;
        let limit = limit(asked.limit, LIMIT_DEFAULT, self.0.service.config().limits.list_max)?;
        let series = self.0.service.list_series(after.as_ref(), Some(limit)).await?;
        let full = series.len() >= limit as usize;
        let next = series.last().filter(|_| full).map(|info| info.series.name.to_string());
        Ok(pb::ListSeriesResponse { series: series.iter().map(message).collect(), next })
    }
}

/// The description as REST reads it, so that one reader finds what is wrong.
fn body(asked: pb::Series) -> Result<SeriesBody> {
    let resolution =
        duration("resolution", asked.resolution.as_ref())?.map_or_else(String::new, format_duration);
    let place = |l: pb::Location| LocationBody { latitude: l.latitude, longitude: l.longitude };
    Ok(SeriesBody {
        name: None,
        kind: asked.kind,
        unit: asked.unit,
        resolution,
        time_zone: asked.time_zone,
        location: asked.location.map(place),
        holiday_region: asked.holiday_region,
        parent: asked.parent,
    })
}

fn message(info: &SeriesInfo) -> pb::SeriesInfo {
    let (series, state) = (&info.series, &info.state);
    let place =
        |l: forewatt_service::domain::Location| pb::Location { latitude: l.latitude, longitude: l.longitude };
    pb::SeriesInfo {
        series: Some(pb::Series {
            name: series.name.to_string(),
            kind: SeriesKind::as_str(series.kind).to_owned(),
            unit: series.unit.clone(),
            resolution: Some(span(series.resolution.duration())),
            time_zone: series.time_zone.to_string(),
            location: series.location.map(place),
            holiday_region: series.holiday_region.clone(),
            parent: series.parent.as_ref().map(ToString::to_string),
        }),
        state: Some(pb::SeriesState {
            revision: state.revision,
            observations: state.observations,
            first_valid_time: state.first_valid_time.map(stamp),
            last_valid_time: state.last_valid_time.map(stamp),
            last_available_at: state.last_available_at.map(stamp),
        }),
        aliases: info.aliases.iter().map(|(a, id)| (a.as_str().to_owned(), id.to_string())).collect(),
    }
}
