//! The Open Inference Protocol over gRPC: the same questions as `/v2/...`, raw contents in and out.

use std::collections::HashMap;
use std::time::Duration;

use forewatt_service::{Error, Result};
use futures::stream::{self, BoxStream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use super::convert::{Answered, status};
use super::pb::inference as pb;
use crate::oip::tensor::{Data, Tensor};
use crate::oip::{self, Config, EXTENSIONS, Metadata, Question, Reply, SERVER, Sum, TensorType, Told};

#[tonic::async_trait]
impl pb::grpc_inference_service_server::GrpcInferenceService for Api {
    type ModelStreamInferStream =
        BoxStream<'static, std::result::Result<pb::ModelStreamInferResponse, Status>>;

    async fn server_live(&self, _: Request<pb::ServerLiveRequest>) -> Answered<pb::ServerLiveResponse> {
        Ok(Response::new(pb::ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<pb::ServerReadyRequest>) -> Answered<pb::ServerReadyResponse> {
        let ready = self.0.ready().await.is_ok();
        Ok(Response::new(pb::ServerReadyResponse { ready }))
    }

    async fn model_ready(&self, request: Request<pb::ModelReadyRequest>) -> Answered<pb::ModelReadyResponse> {
        let asked = request.into_inner();
        let ready = oip::ready(&self.0.service, &asked.name, &asked.version).await.is_ok();
        Ok(Response::new(pb::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _: Request<pb::ServerMetadataRequest>,
    ) -> Answered<pb::ServerMetadataResponse> {
        Ok(Response::new(pb::ServerMetadataResponse {
            name: SERVER.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<pb::ModelMetadataRequest>,
    ) -> Answered<pb::ModelMetadataResponse> {
        let asked = request.into_inner();
        let told = self.metadata(&asked.name, &asked.version).await.map_err(status)?;
        Ok(Response::new(pb::ModelMetadataResponse {
            name: told.name,
            versions: told.versions,
            platform: told.platform,
            inputs: told.inputs.iter().map(tensor_metadata).collect(),
            outputs: told.outputs.iter().map(tensor_metadata).collect(),
        }))
    }

    async fn model_infer(&self, request: Request<pb::ModelInferRequest>) -> Answered<pb::ModelInferResponse> {
        self.infer(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<pb::ModelInferRequest>>,
    ) -> Answered<Self::ModelStreamInferStream> {
        let (api, questions) = (self.clone(), request.into_inner());
        let answers = stream::unfold(questions, move |mut questions| {
            let api = api.clone();
            async move {
                match questions.message().await {
                    Ok(Some(question)) => Some((Ok(in_stream(api.infer(question).await)), questions)),
                    Ok(None) => None,
                    Err(broken) => Some((Err(broken), questions)),
                }
            }
        });
        Ok(Response::new(answers.boxed()))
    }

    async fn model_config(
        &self,
        request: Request<pb::ModelConfigRequest>,
    ) -> Answered<pb::ModelConfigResponse> {
        let asked = request.into_inner();
        let config = self.config(&asked.name, &asked.version).await.map_err(status)?;
        Ok(Response::new(pb::ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<pb::ModelStatisticsRequest>,
    ) -> Answered<pb::ModelStatisticsResponse> {
        let asked = request.into_inner();
        let model_stats = self.statistics(&asked.name, &asked.version).await.map_err(status)?;
        Ok(Response::new(pb::ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<pb::RepositoryIndexRequest>,
    ) -> Answered<pb::RepositoryIndexResponse> {
        let all = oip::index(&self.0.service, request.into_inner().ready).await.map_err(status)?;
        let models = all.into_iter().map(|entry| pb::repository_index_response::ModelIndex {
            state: entry.state().to_owned(),
            name: entry.name,
            version: entry.version,
            reason: entry.reason.unwrap_or_default(),
        });
        Ok(Response::new(pb::RepositoryIndexResponse { models: models.collect() }))
    }

    async fn repository_model_load(
        &self,
        request: Request<pb::RepositoryModelLoadRequest>,
    ) -> Answered<pb::RepositoryModelLoadResponse> {
        oip::load(&self.0.service, &request.into_inner().model_name).await.map_err(status)?;
        Ok(Response::new(pb::RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<pb::RepositoryModelUnloadRequest>,
    ) -> Answered<pb::RepositoryModelUnloadResponse> {
        oip::unload(&self.0.service, &request.into_inner().model_name).await.map_err(status)?;
        Ok(Response::new(pb::RepositoryModelUnloadResponse {}))
    }
}

impl Api {
    async fn metadata(&self, name: &str, version: &str) -> Result<Metadata> {
        let model = oip::find(&self.0.service, name, version).await?;
        Metadata::of(&self.0.service, &model).await
    }

    async fn config(&self, name: &str, version: &str) -> Result<pb::ModelConfig> {
        let model = oip::find(&self.0.service, name, version).await?;
        let Config { metadata, parameters } = Config::of(&self.0.service, &model).await?;
        let parameter =
            |(name, value): (&str, String)| (name.to_owned(), pb::ModelParameter { string_value: value });
        Ok(pb::ModelConfig {
            name: metadata.name,
            platform: metadata.platform,
            backend: SERVER.to_owned(),
            max_batch_size: 0,
            input: metadata.inputs.into_iter().map(model_input).collect(),
            output: metadata.outputs.into_iter().map(model_output).collect(),
            parameters: parameters.into_iter().map(parameter).collect(),
        })
    }

    async fn statistics(&self, name: &str, version: &str) -> Result<Vec<pb::ModelStatistics>> {
        if name.is_empty() {
            let all = self.0.tally.all().into_iter();
            return Ok(all.map(|((name, version), told)| told_of(name, version, &told)).collect());
        }
        let model = oip::find(&self.0.service, name, version).await?;
        let version = model.version_word();
        let told = self.0.tally.of(model.name(), &version);
        Ok(vec![told_of(model.name().to_owned(), version, &told)])
    }

    async fn infer(&self, asked: pb::ModelInferRequest) -> Result<pb::ModelInferResponse> {
        let answer = question(asked)?.answer(&self.0).await?;
        Ok(response(answer))
    }
}

fn tensor_metadata(told: &TensorType) -> pb::model_metadata_response::TensorMetadata {
    pb::model_metadata_response::TensorMetadata {
        name: told.name.to_owned(),
        datatype: told.datatype.to_owned(),
        shape: told.shape.clone(),
    }
}

fn data_type(datatype: &str) -> i32 {
    let known = match datatype {
        "INT64" => pb::DataType::TypeInt64,
        "FP32" => pb::DataType::TypeFp32,
        "FP64" => pb::DataType::TypeFp64,
        "BYTES" => pb::DataType::TypeString,
        _ => pb::DataType::TypeInvalid,
    };
    known.into()
}

fn model_input(told: TensorType) -> pb::ModelInput {
    pb::ModelInput {
        name: told.name.to_owned(),
        data_type: data_type(told.datatype),
        dims: told.shape,
        optional: told.optional,
    }
}

fn model_output(told: TensorType) -> pb::ModelOutput {
    pb::ModelOutput { name: told.name.to_owned(), data_type: data_type(told.datatype), dims: told.shape }
}

fn told_of(name: String, version: String, told: &Told) -> pb::ModelStatistics {
    let sum = |sum: Sum| Some(pb::StatisticDuration { count: sum.count, ns: sum.ns });
    pb::ModelStatistics {
        name,
        version,
        last_inference: told.last_ms,
        inference_count: told.success.count,
        execution_count: told.success.count,
        inference_stats: Some(pb::InferStatistics {
            success: sum(told.success),
            fail: sum(told.fail),
            queue: sum(Sum::default()),
            compute_input: sum(told.input),
            compute_infer: sum(told.infer),
            compute_output: sum(told.output),
            cache_hit: None,
            cache_miss: None,
        }),
    }
}

/// The question in a message.
fn question(asked: pb::ModelInferRequest) -> Result<Question> {
    let raw = &asked.raw_input_contents;
    if !raw.is_empty() && raw.len() != asked.inputs.len() {
        let message =
            format!("{} raw contents for {} inputs: send one for each", raw.len(), asked.inputs.len());
        return Err(Error::invalid(message));
    }
    let inputs = asked.inputs.iter().enumerate().map(|(i, input)| tensor(input, raw.get(i)));
    Ok(Question {
        inputs: inputs.collect::<Result<_>>()?,
        priority: whole(&asked.parameters, "priority")?.unwrap_or(0),
        timeout: whole(&asked.parameters, "timeout")?.filter(|&micros| micros > 0).map(Duration::from_micros),
        wanted: asked.outputs.into_iter().map(|output| output.name).collect(),
        model: asked.model_name,
        version: asked.model_version,
        id: asked.id,
    })
}

fn whole(parameters: &HashMap<String, pb::InferParameter>, name: &str) -> Result<Option<u64>> {
    use pb::infer_parameter::ParameterChoice as Choice;
    let Some(parameter) = parameters.get(name) else { return Ok(None) };
    let read = match &parameter.parameter_choice {
        Some(Choice::Uint64Param(value)) => Some(*value),
        Some(Choice::Int64Param(value)) => u64::try_from(*value).ok(),
        _ => None,
    };
    read.map(Some).ok_or_else(|| Error::invalid(format!("parameters.{name} is not a whole number from 0")))
}

/// One input: from its raw contents where there are any, else from the typed ones.
fn tensor(input: &pb::model_infer_request::InferInputTensor, raw: Option<&Vec<u8>>) -> Result<Tensor> {
    let name = &input.name;
    let data = match (raw, &input.contents) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid(format!(
                "input `{name}` has both contents and raw contents: send one"
            )));
        }
        (Some(raw), None) => Data::from_raw(name, &input.datatype, raw)?,
        (None, Some(contents)) => typed(name, &input.datatype, contents)?,
        (None, None) => return Err(Error::invalid(format!("input `{name}` has no contents"))),
    };
    Tensor::new(name, &input.shape, data)
}

fn typed(name: &str, datatype: &str, contents: &pb::InferTensorContents) -> Result<Data> {
    let wide = |value: &i32| i64::from(*value);
    Ok(match datatype {
        "BOOL" => Data::Int64(contents.bool_contents.iter().map(|&value| i64::from(value)).collect()),
        "INT8" | "INT16" | "INT32" => Data::Int64(contents.int_contents.iter().map(wide).collect()),
        "INT64" => Data::Int64(contents.int64_contents.clone()),
        "UINT8" | "UINT16" | "UINT32" => {
            Data::Int64(contents.uint_contents.iter().map(|&value| i64::from(value)).collect())
        }
        "UINT64" => {
            let bounded = |&value: &u64| i64::try_from(value).unwrap_or(i64::MAX);
            Data::Int64(contents.uint64_contents.iter().map(bounded).collect())
        }
        "FP32" => Data::Fp32(contents.fp32_contents.clone()),
        "FP64" => Data::Fp64(contents.fp64_contents.clone()),
        "BYTES" => Data::Bytes(contents.bytes_contents.clone()),
        // No bytes of an unknown type read: this says which types do.
        other => Data::from_raw(name, other, &[])?,
    })
}

fn response(answer: Reply) -> pb::ModelInferResponse {
    use pb::infer_parameter::ParameterChoice;
    let parameter = |(name, value): (&str, String)| {
        let parameter_choice = Some(ParameterChoice::StringParam(value));
        (name.to_owned(), pb::InferParameter { parameter_choice })
    };
    let output = |tensor: &Tensor| pb::model_infer_response::InferOutputTensor {
        name: tensor.name.clone(),
        datatype: tensor.data.datatype().to_owned(),
        shape: tensor.extents(),
        ..Default::default()
    };
    pb::ModelInferResponse {
        model_name: answer.model,
        model_version: answer.version,
        id: answer.id,
        parameters: answer.parameters.into_iter().map(parameter).collect(),
        outputs: answer.outputs.iter().map(output).collect(),
        raw_output_contents: answer.outputs.iter().map(|tensor| tensor.data.to_raw()).collect(),
    }
}

/// In a stream a failed question does not end the others.
fn in_stream(answer: Result<pb::ModelInferResponse>) -> pb::ModelStreamInferResponse {
    match answer {
        Ok(response) => {
            pb::ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) }
        }
        Err(error) => pb::ModelStreamInferResponse { error_message: error.message, infer_response: None },
    }
}
