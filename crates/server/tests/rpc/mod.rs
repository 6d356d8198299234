//! A gRPC client on a real connection: HTTP/2 without TLS to the port that also speaks HTTP/1.1.

use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};

mod pb {
    #![allow(
        missing_docs,
        unused_qualifications,
        dead_code,
        clippy::all,
        reason = "generated from proto/forewatt/v1"
    )]
    tonic::include_proto!("forewatt.v1");
}

/// Twelve hours of a forecast at three levels: the points as the other transports tell them.
pub fn forecast_points(address: &str, series: &str) -> Value {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let forecast = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let service = tower::service_fn(move |request| sender.clone().send_request(request));
        let origin = format!("http://{address}").parse().unwrap();
        let mut client = pb::forecast_service_client::ForecastServiceClient::with_origin(service, origin);
        let question = pb::GetForecastRequest {
            series: series.to_owned(),
            horizon: Some(prost_types::Duration { seconds: 12 * 3_600, nanos: 0 }),
            quantiles: vec![0.05, 0.5, 0.95],
            ..Default::default()
        };
        client.get_forecast(question).await.unwrap().into_inner().forecast.unwrap()
    });
    let levels: Vec<String> = forecast.levels.iter().map(f64::to_string).collect();
    let points = forecast.points.iter().map(|point| {
        let time = jiff::Timestamp::from_second(point.valid_time.unwrap().seconds).unwrap();
        let quantiles: serde_json::Map<String, Value> =
            levels.iter().cloned().zip(point.quantiles.iter().map(|&q| Value::from(q))).collect();
        json!({"valid_time": time.to_string(), "mean": point.mean, "quantiles": quantiles})
    });
    points.collect()
}
