//! What each route needs: nothing, or a scope. What is not named here needs `admin`, so that a new route is closed until
//! somebody thought about it.

use axum::http::Method;
use forewatt_service::domain::Scope;

use crate::grpc::edge;
use crate::http::meters::UNMATCHED;

/// Routes that everybody may ask: they tell nothing that is stored.
const OPEN: [&str; 9] = [
    "/health/live",
    "/health/ready",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/openapi.json",
    "/docs",
    "/",
    UNMATCHED, // there is nothing there
];
/// Questions whose body is too long for an address.
const ASKED_BY_POST: [&str; 7] = [
    "/v1/forecasts:batch",
    "/v1/series/{name}/forecast:whatif",
    "/v1/compare",
    "/v1/timeseries/forecast",
    "/v2/repository/index",
    "/v2/models/{model}/infer",
    "/v2/models/{model}/versions/{version}/infer",
];
/// Routes that make or move models, or drop them from memory.
const TRAINING: [&str; 5] = [
    "/v1/train",
    "/v1/models/{id}",
    "/v1/series/{name}/models:import",
    "/v2/repository/models/{model}/load",
    "/v2/repository/models/{model}/unload",
];
/// Services of gRPC that tell nothing that is stored.
const OPEN_SERVICES: [&str; 3] = [
    "/grpc.health.v1.Health/",
    "/grpc.reflection.v1.ServerReflection/",
    "/grpc.reflection.v1alpha.ServerReflection/",
];

/// The scope that a request needs; `None` for routes that are open to everybody.
pub fn needed(method: &Method, route: &str) -> Option<Scope> {
    let is_open = OPEN.contains(&route)
        || edge::PROBES.contains(&route)
        || route.starts_with("/assets/")
        || OPEN_SERVICES.iter().any(|service| route.starts_with(service));
    if is_open {
        return None;
    }
    if let Some(method) = route.strip_prefix("/forewatt.v1.").and_then(|rest| rest.split_once('/')) {
        return Some(of_native_rpc(method.1));
    }
    if let Some(method) = route.strip_prefix("/inference.GRPCInferenceService/") {
        return Some(of_inference_rpc(method));
    }
    Some(of_rest(method, route))
}

fn of_rest(method: &Method, route: &str) -> Scope {
    let asks = *method == Method::GET || *method == Method::HEAD;
    let known = route.starts_with("/v1/") || route.starts_with("/v2/") || route == "/metrics";
    let writes = (*method == Method::PUT && route == "/v1/series/{name}")
        || (*method == Method::POST && route == "/v1/series/{name}/observations");
    match route {
        "/v1/audit" => Scope::Admin,
        _ if asks && known => Scope::Read,
        _ if *method == Method::POST && ASKED_BY_POST.contains(&route) => Scope::Read,
        _ if *method == Method::POST && TRAINING.contains(&route) => Scope::Train,
        _ if writes => Scope::Write,
        _ => Scope::Admin,
    }
}

fn of_native_rpc(method: &str) -> Scope {
    match method {
        "PutSeries" | "WriteObservations" => Scope::Write,
        "PromoteModel" | "TrainModel" => Scope::Train,
        "GetSeries" | "ListSeries" | "ReadObservations" | "GetForecast" | "BatchForecasts" | "ListModels"
        | "GetModel" | "GetJob" | "GetAccuracy" => Scope::Read,
        _ => Scope::Admin,
    }
}

fn of_inference_rpc(method: &str) -> Scope {
    match method {
        "ServerMetadata" | "ModelReady" | "ModelMetadata" | "ModelInfer" | "ModelStreamInfer"
        | "ModelConfig" | "ModelStatistics" | "RepositoryIndex" => Scope::Read,
        "RepositoryModelLoad" | "RepositoryModelUnload" => Scope::Train,
        _ => Scope::Admin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_thought_about_is_closed() {
        for (method, route) in [
            (Method::POST, "/v1/something"),
            (Method::DELETE, "/v1/series/{name}"),
            (Method::GET, "/api/2.0/mlflow/experiments/search"),
            (Method::GET, "/v1/audit"),
            (Method::POST, "/forewatt.v1.SeriesService/DeleteSeries"),
            (Method::POST, "/inference.GRPCInferenceService/Shutdown"),
            (Method::POST, "/other.Service/Method"),
            (Method::POST, "/metrics"),
        ] {
            assert_eq!(needed(&method, route), Some(Scope::Admin), "{method} {route}");
        }
        assert_eq!(needed(&Method::GET, "/metrics"), Some(Scope::Read));
        assert_eq!(needed(&Method::GET, "/health/ready"), None);
        assert_eq!(needed(&Method::POST, "/grpc.health.v1.Health/Watch"), None);
    }
}
