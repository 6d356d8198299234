//! Keys, rights and limits over gRPC: the same gate, in gRPC's words.

use forewatt_service::domain::Scope;
use tonic::Code;
use tonic::metadata::MetadataValue;

use super::*;
use crate::http::tests::access::{closed, key};
use crate::http::tests::tokens::{House, trusting};
use crate::http::tests::with_champion_and;

fn with_key<T>(message: T, key: &str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    let value = MetadataValue::try_from(format!("Bearer {key}")).unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

#[tokio::test]
async fn keys_open_grpc_as_they_open_rest() {
    let server = with_champion_and(closed()).await;
    let (reader, writer) =
        (key(&server, &[Scope::Read], "*").await, key(&server, &[Scope::Write], "*").await);
    let told = forecasts(&server).get_forecast(question("city.load")).await.unwrap_err();
    assert_eq!(told.code(), Code::Unauthenticated);
    let told =
        forecasts(&server).get_forecast(with_key(question("city.load"), &writer.key)).await.unwrap_err();
    assert_eq!(told.code(), Code::PermissionDenied);
    assert!(forecasts(&server).get_forecast(with_key(question("city.load"), &reader.key)).await.is_ok());
    assert_eq!(health(&server, "").await.unwrap().status(), ServingStatus::Serving, "health needs no key");
}

#[tokio::test]
async fn a_key_names_its_own_series_in_calls_and_in_streams() {
    let server = with_champion_and(closed()).await;
    let mine = key(&server, &[Scope::Read, Scope::Write, Scope::Train], "town.*").await;
    let ask = |name: &str| with_key(question(name), &mine.key);
    let there = forecasts(&server).get_forecast(ask("city.load")).await.unwrap_err();
    let missing = forecasts(&server).get_forecast(ask("city.nothing")).await.unwrap_err();
    assert_eq!((there.code(), there.message()), (Code::PermissionDenied, missing.message()));
    // The answers of a batch are made while the stream is read, after the handler has returned.
    let asked = pb::BatchForecastsRequest { requests: vec![question("city.load"), question("town.load")] };
    let mut stream =
        forecasts(&server).batch_forecasts(with_key(asked, &mine.key)).await.unwrap().into_inner();
    let mut codes = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        let Some(pb::batch_forecasts_response::Result::Error(error)) = message.result else { panic!() };
        codes.push(error.code);
    }
    assert_eq!(codes, [i32::from(Code::PermissionDenied), i32::from(Code::NotFound)]);
    let mut models = ModelServiceClient::new(server.router.clone());
    let train = pb::TrainModelRequest { series: "city.load".to_owned(), ..Default::default() };
    assert_eq!(
        models.train_model(with_key(train, &mine.key)).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    let listed = models.list_models(with_key(pb::ListModelsRequest::default(), &mine.key)).await.unwrap();
    assert!(listed.into_inner().models.is_empty());
}

#[tokio::test]
async fn every_method_needs_a_scope_and_writes_are_audited() {
    let server = with_champion_and(closed()).await;
    let writer = key(&server, &[Scope::Write], "*").await;
    let mut series = SeriesServiceClient::new(server.router.clone());
    let put = pb::Series {
        name: "town.load".to_owned(),
        kind: "load".to_owned(),
        unit: "MW".to_owned(),
        resolution: Some(span(jiff::SignedDuration::from_hours(1))),
        time_zone: "UTC".to_owned(),
        ..Default::default()
    };
    let put = pb::PutSeriesRequest { series: Some(put) };
    series.put_series(with_key(put, &writer.key)).await.unwrap();
    let line = server.service.list_audit(None, Some(1)).await.unwrap().remove(0);
    assert_eq!(line.action, "POST /forewatt.v1.SeriesService/PutSeries");
    assert_eq!((line.series.unwrap().as_str(), line.before), ("town.load", None));
    // A method that the table of rights does not know needs `admin`, which the writer is not.
    let told = series.list_series(with_key(pb::ListSeriesRequest::default(), &writer.key)).await.unwrap_err();
    assert_eq!(told.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn tokens_open_grpc_as_they_open_rest() {
    let house = House::new();
    let server = with_champion_and(trusting(&house)).await;
    let ask = |token: &str| with_key(question("city.load"), token);
    assert!(forecasts(&server).get_forecast(ask(&house.token("read", "*"))).await.is_ok());
    for (token, code) in [
        (house.token("write", "*"), Code::PermissionDenied),
        (house.token("read", "town.*"), Code::PermissionDenied),
        (house.strangers(), Code::Unauthenticated),
    ] {
        assert_eq!(forecasts(&server).get_forecast(ask(&token)).await.unwrap_err().code(), code);
    }
}
