//! The Open Inference Protocol over gRPC beside REST: the same numbers, raw contents, streams, failures.

use super::*;
use crate::grpc::pb::inference as oip;
use crate::grpc::pb::inference::grpc_inference_service_client::GrpcInferenceServiceClient;

fn input(name: &str, datatype: &str, shape: Vec<i64>) -> oip::model_infer_request::InferInputTensor {
    oip::model_infer_request::InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape,
        ..Default::default()
    }
}

fn horizon(steps: i64) -> oip::ModelInferRequest {
    oip::ModelInferRequest {
        model_name: "city.load".to_owned(),
        id: "q1".to_owned(),
        inputs: vec![input("horizon", "INT64", vec![1])],
        raw_input_contents: vec![steps.to_le_bytes().to_vec()],
        ..Default::default()
    }
}

fn floats(raw: &[u8]) -> Vec<f64> {
    raw.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}

#[tokio::test]
async fn tensors_hold_the_numbers_of_the_forecast() {
    let server = with_champion().await;
    let mut client = GrpcInferenceServiceClient::new(server.router.clone());
    let answer = client.model_infer(horizon(6)).await.unwrap().into_inner();
    let forecast = server.get("/v1/series/city.load/forecast?horizon=PT6H").await.json();
    let means: Vec<f64> =
        forecast["points"].as_array().unwrap().iter().map(|p| p["mean"].as_f64().unwrap()).collect();
    let names: Vec<&str> = answer.outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["mean", "quantiles", "levels", "timestamps"]);
    assert_eq!(floats(&answer.raw_output_contents[0]), means);
    assert_eq!(answer.outputs[1].shape, [6, 9]);
    assert_eq!((answer.id.as_str(), answer.model_version.as_str()), ("q1", "1"));
    assert_eq!(server.state.tally.of("city.load", "1").success.count, 1);
}

#[tokio::test]
async fn a_stream_answers_every_question_in_its_place() {
    let server = with_champion().await;
    let mut wrong = horizon(6);
    wrong.inputs[0].name = "horizn".to_owned();
    let mut typed = horizon(3);
    typed.raw_input_contents.clear();
    typed.inputs[0].contents =
        Some(oip::InferTensorContents { int64_contents: vec![3], ..Default::default() });
    let questions = futures::stream::iter([horizon(2), wrong, typed]);
    let mut client = GrpcInferenceServiceClient::new(server.router.clone());
    let mut answers = client.model_stream_infer(questions).await.unwrap().into_inner();
    let first = answers.message().await.unwrap().unwrap().infer_response.unwrap();
    assert_eq!(first.outputs[0].shape, [2]);
    assert!(answers.message().await.unwrap().unwrap().error_message.contains("horizn"));
    assert_eq!(answers.message().await.unwrap().unwrap().infer_response.unwrap().outputs[0].shape, [3]);
    assert!(answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn the_registry_is_told_and_failures_have_codes() {
    let server = with_champion().await;
    let mut client = GrpcInferenceServiceClient::new(server.router.clone());
    let index = client.repository_index(oip::RepositoryIndexRequest::default()).await.unwrap().into_inner();
    let names: Vec<(&str, &str)> =
        index.models.iter().map(|model| (model.name.as_str(), model.state.as_str())).collect();
    assert_eq!(names, [("city.load", "READY"), ("city.load-v1", "READY")]);
    for model_name in ["city.load", "city.load-v1"] {
        let load =
            oip::RepositoryModelLoadRequest { model_name: model_name.to_owned(), ..Default::default() };
        client.repository_model_load(load).await.unwrap();
        let unload =
            oip::RepositoryModelUnloadRequest { model_name: model_name.to_owned(), ..Default::default() };
        client.repository_model_unload(unload).await.unwrap();
        let ready = oip::ModelReadyRequest { name: model_name.to_owned(), version: "1".to_owned() };
        assert!(client.model_ready(ready).await.unwrap().into_inner().ready, "it is read again");
        let config = oip::ModelConfigRequest { name: model_name.to_owned(), version: String::new() };
        assert_eq!(client.model_config(config).await.unwrap().into_inner().config.unwrap().name, model_name);
    }
    let nobody = oip::ModelMetadataRequest { name: "city.laod".to_owned(), version: String::new() };
    let told = client.model_metadata(nobody).await.unwrap_err();
    assert!(told.code() == Code::NotFound && told.message().contains("city.load"), "{told:?}");
    let mut two = horizon(1);
    two.raw_input_contents.push(Vec::new());
    assert_eq!(client.model_infer(two).await.unwrap_err().code(), Code::InvalidArgument);
    let mut short = horizon(1);
    short.raw_input_contents[0].pop();
    assert!(client.model_infer(short).await.unwrap_err().message().contains("7 raw bytes"));
    let ready = client.server_ready(oip::ServerReadyRequest {}).await.unwrap().into_inner();
    assert!(ready.ready);
}
