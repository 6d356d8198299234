//! gRPC as its clients meet it: generated clients on the router, a real service behind it, no network.

mod access;
mod limits;
mod oip;

use axum::Router;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::convert::{span, stamp};
use super::pb::v1 as pb;
use super::pb::v1::accuracy_service_client::AccuracyServiceClient;
use super::pb::v1::forecast_service_client::ForecastServiceClient;
use super::pb::v1::model_service_client::ModelServiceClient;
use super::pb::v1::observation_service_client::ObservationServiceClient;
use super::pb::v1::series_service_client::SeriesServiceClient;
use crate::error::grpc_code;
use crate::http::tests::{NOW, TestServer, empty, with_champion};

fn forecasts(server: &TestServer) -> ForecastServiceClient<Router> {
    ForecastServiceClient::new(server.router.clone())
}

fn question(series: &str) -> pb::GetForecastRequest {
    pb::GetForecastRequest {
        series: series.to_owned(),
        horizon: Some(span(jiff::SignedDuration::from_hours(24))),
        quantiles: vec![0.1, 0.5, 0.9],
        threshold: Some(120.0),
        ..Default::default()
    }
}

/// A forecast message in the shape of REST's document.
fn as_document(forecast: &pb::Forecast) -> Value {
    let time = |stamp: &Option<prost_types::Timestamp>| {
        super::convert::needed_time("t", stamp.as_ref()).unwrap().to_string()
    };
    let points = forecast.points.iter().map(|point| {
        let levels = forecast.levels.iter().map(f64::to_string);
        let quantiles: serde_json::Map<String, Value> =
            levels.zip(point.quantiles.iter().map(|&q| Value::from(q))).collect();
        json!({
            "valid_time": time(&point.valid_time),
            "mean": point.mean,
            "quantiles": quantiles,
            "probability_above": point.probability_above,
        })
    });
    json!({
        "series": forecast.series,
        "unit": forecast.unit,
        "model_version": forecast.model_version,
        "forecast_start": time(&forecast.forecast_start),
        "issued_at": time(&forecast.issued_at),
        "data_watermark": time(&forecast.data_watermark),
        "quality": forecast.quality,
        "degraded": forecast.degraded,
        "threshold": forecast.threshold,
        "points": points.collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn rest_and_grpc_give_the_same_numbers() {
    let server = with_champion().await;
    let answer = forecasts(&server).get_forecast(question("city.load")).await.unwrap().into_inner();
    let path = "/v1/series/city.load/forecast?horizon=PT24H&quantiles=0.1,0.5,0.9&threshold=120";
    assert_eq!(as_document(&answer.forecast.unwrap()), server.get(path).await.json());

    let mut accuracy = AccuracyServiceClient::new(server.router.clone());
    let asked = pb::GetAccuracyRequest { series: "city.load".to_owned() };
    let table = accuracy.get_accuracy(asked).await.unwrap().into_inner();
    let rest = server.get("/v1/series/city.load/accuracy").await.json();
    assert_eq!(table.rows.len(), rest["rows"].as_array().unwrap().len());
    for (row, document) in table.rows.iter().zip(rest["rows"].as_array().unwrap()) {
        assert_eq!(document["model"], row.model);
        assert_eq!(document["metrics"], json!(row.metrics));
    }
    let from = super::convert::needed_time("from", table.from.as_ref()).unwrap();
    assert_eq!(rest["from"], from.to_string());
}

#[tokio::test]
async fn a_batch_is_a_stream_in_order_and_fails_one_by_one() {
    let server = with_champion().await;
    let mut requests = vec![question("city.load"); 70]; // more than are answered together
    requests[1].series = "nobody".to_owned();
    requests[2].quantiles = vec![0.9, 0.1];
    let asked = pb::BatchForecastsRequest { requests };
    let mut stream = forecasts(&server).batch_forecasts(asked).await.unwrap().into_inner();
    let mut results = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        assert_eq!(message.index as usize, results.len());
        results.push(message.result.unwrap());
    }
    use pb::batch_forecasts_response::Result as Either;
    assert_eq!(results.len(), 70);
    assert!(matches!(&results[1], Either::Error(e) if e.code == i32::from(Code::NotFound)));
    assert!(matches!(&results[2], Either::Error(e) if e.message.contains("rise")));
    assert!(matches!((&results[0], &results[69]), (Either::Forecast(a), Either::Forecast(b)) if a == b));
}

#[tokio::test]
async fn series_are_described_and_filled_by_a_stream() {
    let server = empty().await;
    let mut series = SeriesServiceClient::new(server.router.clone());
    let city = pb::Series {
        name: "city.load".to_owned(),
        kind: "load".to_owned(),
        unit: "MW".to_owned(),
        resolution: Some(span(jiff::SignedDuration::from_hours(1))),
        time_zone: "Europe/Madrid".to_owned(),
        ..Default::default()
    };
    let put =
        series.put_series(pb::PutSeriesRequest { series: Some(city.clone()) }).await.unwrap().into_inner();
    assert_eq!(put.series.unwrap().series.unwrap(), city);
    let wrong = pb::Series { kind: "laod".to_owned(), ..city };
    let told = series.put_series(pb::PutSeriesRequest { series: Some(wrong) }).await.unwrap_err();
    assert!(told.code() == Code::InvalidArgument && told.message().starts_with("kind: "), "{told:?}");

    let start: forewatt_service::domain::Time = NOW.parse().unwrap();
    let part = |from: i64| pb::WriteObservationsRequest {
        series: "city.load".to_owned(),
        observations: (from..from + 10)
            .map(|hour| pb::Observation {
                valid_time: Some(stamp(start.plus_micros(hour * 3_600_000_000))),
                available_at: None,
                value: hour as f64,
            })
            .collect(),
    };
    let mut observations = ObservationServiceClient::new(server.router.clone());
    let write = |parts: Vec<_>| tonic::Request::new(futures::stream::iter(parts));
    let sum = observations.write_observations(write(vec![part(0), part(5)])).await.unwrap().into_inner();
    assert_eq!((sum.read, sum.stored, sum.unchanged, sum.conflicts), (20, 15, 5, 0));
    let mut off_grid = part(20);
    off_grid.observations[3].valid_time.as_mut().unwrap().seconds += 1;
    let told = observations.write_observations(write(vec![part(20), off_grid])).await.unwrap_err();
    assert!(told.message().contains("observations[3]") && told.message().contains("10 values"), "{told:?}");

    let asked = pb::ReadObservationsRequest {
        series: "city.load".to_owned(),
        from: Some(stamp(start)),
        to: Some(stamp(start.plus_micros(40 * 3_600_000_000))),
        as_of: Some(stamp(start.plus_micros(60 * 3_600_000_000))),
        limit: Some(20),
    };
    let page = observations.read_observations(asked).await.unwrap().into_inner();
    let values: Vec<f64> = page.observations.iter().map(|o| o.value).collect();
    assert_eq!(values, (0..15).chain(20..25).map(f64::from).collect::<Vec<_>>());
    assert_eq!(page.next, Some(stamp(start.plus_micros(25 * 3_600_000_000))));

    let list = series.list_series(pb::ListSeriesRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.series[0].state.unwrap().observations, 25);
}

#[tokio::test]
async fn versions_are_listed_promoted_and_trained() {
    let server = with_champion().await;
    let mut models = ModelServiceClient::new(server.router.clone());
    let list = models.list_models(pb::ListModelsRequest::default()).await.unwrap().into_inner();
    assert_eq!((list.models.len(), list.models[0].family.as_str()), (1, "seasonal-naive"));
    let id = || "city.load-v1".to_owned();
    let one = models.get_model(pb::GetModelRequest { id: id() }).await.unwrap().into_inner();
    assert_eq!(one.model.unwrap(), list.models[0]);
    let promoted =
        models.promote_model(pb::PromoteModelRequest { id: id(), force_reason: None }).await.unwrap();
    assert!(promoted.into_inner().decision.contains("champion already"));
    let told = models.get_model(pb::GetModelRequest { id: "city.load-v2".to_owned() }).await.unwrap_err();
    assert!(told.code() == Code::NotFound && told.message().contains("city.load-v1"), "{told:?}");
    let train = pb::TrainModelRequest {
        series: "city.load".to_owned(),
        model: Some("seasonal-naive".to_owned()),
        ..Default::default()
    };
    let job = models.train_model(train).await.unwrap().into_inner().job.unwrap();
    let again = models.get_job(pb::GetJobRequest { id: job.id.clone() }).await.unwrap().into_inner();
    assert_eq!(again.job.unwrap().id, job.id);
}

async fn health(server: &TestServer, service: &str) -> Result<HealthCheckResponse, Status> {
    let asked = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(server.router.clone()).check(asked).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn health_is_what_the_store_says() {
    let server = empty().await;
    for service in ["", "forewatt.v1.ForecastService", "grpc.health.v1.Health"] {
        assert_eq!(health(&server, service).await.unwrap().status(), ServingStatus::Serving, "{service}");
    }
    assert_eq!(health(&server, "nothing").await.unwrap_err().code(), Code::NotFound);
    let asked = HealthCheckRequest { service: String::new() };
    let mut client = HealthClient::new(server.router.clone());
    let mut watch = client.watch(asked).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    server.state.stop();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert_eq!(watch.message().await.unwrap(), None, "the stream ends, so it does not hold up the stop");

    let server = empty().await;
    server.service.close().await;
    assert_eq!(server.get("/health/ready").await.status, 503);
    assert_eq!(health(&server, "").await.unwrap().status(), ServingStatus::NotServing);
}

#[tokio::test]
async fn reflection_lists_every_service() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let server = empty().await;
    let asked = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(server.router.clone());
    let stream = client.server_reflection_info(futures::stream::iter([asked])).await;
    let answer = stream.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["Accuracy", "Forecast", "Model", "Observation", "Series"] {
        assert!(names.contains(&format!("forewatt.v1.{name}Service").as_str()), "{names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health"), "{names:?}");
    assert!(names.contains(&"inference.GRPCInferenceService"), "{names:?}");
}

#[test]
fn every_kind_of_failure_has_a_code() {
    use forewatt_service::ErrorKind as Kind;
    for (kind, code) in [
        (Kind::InvalidInput, Code::InvalidArgument),
        (Kind::NotFound, Code::NotFound),
        (Kind::NoModel, Code::FailedPrecondition),
        (Kind::TooLarge, Code::OutOfRange),
        (Kind::Unavailable, Code::Unavailable),
        (Kind::Timeout, Code::DeadlineExceeded),
        (Kind::Corrupt, Code::DataLoss),
    ] {
        assert_eq!(grpc_code(kind), code);
    }
}
