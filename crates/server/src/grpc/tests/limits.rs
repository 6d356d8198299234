//! What the gate does to gRPC: deadlines, a full server, sizes, hosts and origins, strangers' paths.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::routing::post;
use forewatt_service::admission::Class;
use tonic::Code;

use super::*;
use crate::http::tests::{BODY_MAX_BYTES, empty_with, options, send};
use crate::http::{HttpOptions, middleware};

#[tokio::test]
async fn the_callers_deadline_is_kept() {
    let server = empty_with(HttpOptions { request_timeout: Duration::from_secs(3_600), ..options() }).await;
    let slow = Router::new()
        .route("/forewatt.v1.ForecastService/GetForecast", post(std::future::pending::<()>))
        .layer(axum::middleware::from_fn_with_state(server.state.clone(), middleware::gate));
    let mut request = tonic::Request::new(question("city.load"));
    request.set_timeout(Duration::from_millis(1));
    let told = ForecastServiceClient::new(slow).get_forecast(request).await.unwrap_err();
    assert_eq!(told.code(), Code::DeadlineExceeded);
    assert!(told.message().contains("1 ms"), "{told:?}");
    let mut request = tonic::Request::new(question("city.load"));
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    let told = forecasts(&server).get_forecast(request).await.unwrap_err();
    assert!(told.code() == Code::InvalidArgument && told.message().contains("grpc-timeout"), "{told:?}");
}

#[tokio::test]
async fn a_full_server_pushes_back_and_still_tells_its_health() {
    let server = empty_with(HttpOptions { concurrency_max: 1, ..options() }).await;
    let busy = server.state.admission.try_enter(Class::Interactive).unwrap();
    let told = forecasts(&server).get_forecast(question("city.load")).await.unwrap_err();
    assert_eq!(told.code(), Code::ResourceExhausted);
    assert_eq!(told.metadata().get("grpc-retry-pushback-ms").unwrap(), "1000");
    assert_eq!(health(&server, "").await.unwrap().status(), ServingStatus::Serving);
    drop(busy);
    assert_eq!(forecasts(&server).get_forecast(question("x")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_stream_keeps_its_place_until_it_ends() {
    let server = empty_with(HttpOptions { concurrency_max: 1, ..options() }).await;
    let asked = pb::BatchForecastsRequest { requests: vec![question("nobody"); 3] };
    let mut stream = forecasts(&server).batch_forecasts(asked).await.unwrap().into_inner();
    assert_eq!(server.state.admission.standing(Class::Batch).at_work, 1);
    while stream.message().await.unwrap().is_some() {}
    drop(stream);
    assert_eq!(server.state.admission.standing(Class::Batch).at_work, 0);
}

#[tokio::test]
async fn messages_have_a_limit() {
    let server = empty().await;
    let mut large = question("city.load");
    large.quantiles = vec![0.5; BODY_MAX_BYTES / 8 + 1];
    let told = forecasts(&server).get_forecast(large).await.unwrap_err();
    assert_eq!(told.code(), Code::OutOfRange, "{told:?}");
    let max = server.service.config().forecast.batch_max;
    let requests = vec![pb::GetForecastRequest::default(); max + 1];
    let told = forecasts(&server).batch_forecasts(pb::BatchForecastsRequest { requests }).await.unwrap_err();
    assert!(told.code() == Code::OutOfRange && told.message().contains("split"), "{told:?}");
}

#[tokio::test]
async fn the_gate_speaks_grpc_to_those_who_do() {
    let server = empty().await;
    for (path, header, value, code) in [
        ("/forewatt.v1.ForecastService/GetForecast", "host", "evil.example", Code::PermissionDenied),
        ("/forewatt.v1.ForecastService/GetForecast", "origin", "http://evil.example", Code::PermissionDenied),
        ("/forewatt.v1.ForecastService/Nothing", "x-a", "b", Code::Unimplemented),
        ("/other.Service/Method", "x-a", "b", Code::Unimplemented),
    ] {
        let request = Request::post(path).header("content-type", "application/grpc").header(header, value);
        let reply = send(&server.router, request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("content-type")),
            (200, "application/grpc"),
            "{path}"
        );
        assert_eq!(Code::from_bytes(reply.header("grpc-status").as_bytes()), code, "{path}");
        assert!(!reply.header("x-request-id").is_empty() && reply.body.is_empty());
    }
}

#[tokio::test]
async fn grpc_may_have_a_port_of_its_own() {
    let server = empty_with(HttpOptions { grpc: false, ..options() }).await;
    let told = forecasts(&server).get_forecast(question("x")).await.unwrap_err();
    assert_eq!(told.code(), Code::Unimplemented);
    let alone = crate::http::grpc_router(server.state.clone());
    let told = ForecastServiceClient::new(alone.clone()).get_forecast(question("x")).await.unwrap_err();
    assert_eq!(told.code(), Code::NotFound);
    let rest = Request::get("/v1/series").body(Body::empty()).unwrap();
    assert_eq!(send(&alone, rest).await.status, 404);
}
