//! Accuracy over gRPC: the table that REST answers with.

use tonic::{Request, Response};

use super::Api;
use super::convert::{Answered, stamp, status};
use super::pb::v1 as pb;
use crate::http::models::{AccuracyDocument, champion_accuracy};

#[tonic::async_trait]
impl pb::accuracy_service_server::AccuracyService for Api {
    async fn get_accuracy(
        &self,
        request: Request<pb::GetAccuracyRequest>,
    ) -> Answered<pb::GetAccuracyResponse> {
        let name = request.into_inner().series.parse();
        let name =
            name.map_err(|error: forewatt_service::domain::series::SeriesError| status(error.into()))?;
        let table = champion_accuracy(&self.0.service, &name).await.map_err(status)?;
        Ok(Response::new(message(table)))
    }
}

fn message(table: AccuracyDocument) -> pb::GetAccuracyResponse {
    let instant = |text: Option<String>| text.and_then(|text| text.parse().ok()).map(stamp);
    let rows = table.rows.into_iter().map(|row| pb::AccuracyRow {
        model: row.model,
        champion: row.champion,
        metrics: row.metrics.into_iter().collect(),
    });
    pb::GetAccuracyResponse {
        series: table.series,
        model_version: table.model_version,
        unit: table.unit,
        from: instant(table.from),
        to: instant(table.to),
        rows: rows.collect(),
        notes: table.notes,
    }
}
