//! Model versions and trainings over gRPC.

use forewatt_service::domain::time::format_duration;
use forewatt_service::domain::{ModelVersion, QuantileLevels, SeriesName, VersionId};
use forewatt_service::jobs::Work;
use forewatt_service::train::TrainRequest;
use forewatt_service::{Error, JobRecord, JobState, Result};
use tonic::{Request, Response};

use super::Api;
use super::convert::{Answered, duration, limit, span, stamp, status};
use super::pb::v1 as pb;
use crate::http::forecast::version_id;
use crate::http::models::LIMIT_DEFAULT;

#[tonic::async_trait]
impl pb::model_service_server::ModelService for Api {
    async fn list_models(&self, request: Request<pb::ListModelsRequest>) -> Answered<pb::ListModelsResponse> {
        self.list_versions(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn get_model(&self, request: Request<pb::GetModelRequest>) -> Answered<pb::GetModelResponse> {
        let id = read_id(&request.into_inner().id).map_err(status)?;
        let version = self.0.service.version(&id).await.map_err(status)?;
        Ok(Response::new(pb::GetModelResponse { model: Some(message(version)) }))
    }

    async fn promote_model(
        &self,
        request: Request<pb::PromoteModelRequest>,
    ) -> Answered<pb::PromoteModelResponse> {
        self.promote(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn train_model(&self, request: Request<pb::TrainModelRequest>) -> Answered<pb::TrainModelResponse> {
        let work = training(request.into_inner()).map_err(status)?;
        let job = self.0.service.submit(Work::Train(Box::new(work))).await.map_err(status)?;
        Ok(Response::new(pb::TrainModelResponse { job: Some(job_message(job)) }))
    }

    async fn get_job(&self, request: Request<pb::GetJobRequest>) -> Answered<pb::GetJobResponse> {
        let job = self.0.service.job(&request.into_inner().id).await.map_err(status)?;
        Ok(Response::new(pb::GetJobResponse { job: Some(job_message(job)) }))
    }
}

impl Api {
    async fn list_versions(&self, asked: pb::ListModelsRequest) -> Result<pb::ListModelsResponse> {
        let series = asked.series.map(SeriesName::try_from).transpose()?;
        let limit = limit(asked.limit, LIMIT_DEFAULT, self.0.service.config().limits.list_max)?;
        let versions = self.0.service.list_versions(series.as_ref(), Some(limit)).await?;
        Ok(pb::ListModelsResponse { models: versions.into_iter().map(message).collect() })
    }

    async fn promote(&self, asked: pb::PromoteModelRequest) -> Result<pb::PromoteModelResponse> {
        let id = read_id(&asked.id)?;
        let decision =
            self.0.service.promote(&id, asked.force_reason.as_deref()).await.map_err(in_words_of_grpc)?;
        let series = self.0.service.version(&id).await?.series.to_string();
        Ok(pb::PromoteModelResponse { champion: id.to_string(), series, decision })
    }
}

fn read_id(text: &str) -> Result<VersionId> {
    version_id(text).map_err(Error::invalid)
}

/// The service speaks of the command line's flags; here they are a field.
fn in_words_of_grpc(mut error: Error) -> Error {
    error.message = error.message.replace("give `--force --reason TEXT`", "set force_reason");
    error
}

fn training(asked: pb::TrainModelRequest) -> Result<TrainRequest> {
    let quantiles =
        (!asked.quantiles.is_empty()).then(|| QuantileLevels::new(asked.quantiles)).transpose()?;
    Ok(TrainRequest {
        model: asked.model.map(|family| family.parse()).transpose()?,
        horizon: duration("horizon", asked.horizon.as_ref())?.map(format_duration),
        quantiles,
        training_days: asked.training_days,
        backtest_days: asked.backtest_days,
        seed: asked.seed,
        promote: asked.promote.unwrap_or(true),
        ..TrainRequest::new(asked.series.parse()?)
    })
}

fn message(version: ModelVersion) -> pb::ModelVersion {
    let recipe = &version.recipe;
    let steps = i32::try_from(recipe.horizon.steps()).unwrap_or(i32::MAX);
    pb::ModelVersion {
        id: version.id.to_string(),
        series: version.series.to_string(),
        family: recipe.family.to_string(),
        horizon: Some(span(recipe.resolution.duration() * steps)),
        levels: recipe.levels.as_slice().to_vec(),
        recipe_id: version.recipe_id,
        parent: version.parent.map(|id| id.to_string()),
        created_at: Some(stamp(version.created_at)),
        trained_from: Some(stamp(version.trained_from)),
        trained_to: Some(stamp(version.trained_to)),
        as_of: Some(stamp(version.as_of)),
        metrics: version.metrics.into_iter().collect(),
        notes: version.notes,
        artifact_sha256: version.artifact_sha256,
        artifact_bytes: version.artifact_bytes,
    }
}

const fn state_word(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "queued",
        JobState::Running => "running",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
    }
}

fn job_message(job: JobRecord) -> pb::Job {
    pb::Job {
        id: job.id,
        kind: job.kind,
        state: state_word(job.state).to_owned(),
        progress: job.progress,
        message: job.message,
        result_json: job.result.map(|result| result.to_string()),
    }
}
