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
/// Routes for those who run the server: they tell where data come from and who is told of events.
const RUNNING: [&str; 3] = ["/v1/audit", "/v1/sources", "/v1/webhooks"];
/// What MLflow's clients ask of the registry without changing it, by the end of the route.
const ASKED_OF_MLFLOW: [&str; 5] = ["/get", "/search", "/get-latest-versions", "/alias", "/get-download-uri"];
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
        _ if RUNNING.iter().any(|start| route.starts_with(start)) => Scope::Admin,
        _ if is_mlflow(route) => of_mlflow(method, route),
        _ if asks && known => Scope::Read,
        _ if *method == Method::POST && ASKED_BY_POST.contains(&route) => Scope::Read,
        _ if *method == Method::POST && TRAINING.contains(&route) => Scope::Train,
        _ if writes => Scope::Write,
        _ => Scope::Admin,
    }
}

fn is_mlflow(route: &str) -> bool {
    route.contains("/mlflow/registered-models/") || route.contains("/mlflow/model-versions/")
}

/// Labels and aliases are moved by those who train.
fn of_mlflow(method: &Method, route: &str) -> Scope {
    let asks = ASKED_OF_MLFLOW.iter().any(|end| route.ends_with(end));
    let changes = route.ends_with("/alias") && *method != Method::GET;
    if asks && !changes { Scope::Read } else { Scope::Train }
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
        for route in ["/v1/sources/{name}", "/v1/webhooks", "/v1/webhooks/dead"] {
            assert_eq!(needed(&Method::GET, route), Some(Scope::Admin), "{route}");
        }
        for (method, end, scope) in [
            (Method::GET, "registered-models/alias", Scope::Read),
            (Method::POST, "registered-models/alias", Scope::Train),
            (Method::POST, "registered-models/get-latest-versions", Scope::Read),
            (Method::POST, "model-versions/set-tag", Scope::Train),
            (Method::GET, "model-versions/search", Scope::Read),
        ] {
            assert_eq!(needed(&method, &format!("/api/2.0/mlflow/{end}")), Some(scope), "{method} {end}");
        }
        assert_eq!(needed(&Method::GET, "/metrics"), Some(Scope::Read));
        assert_eq!(needed(&Method::GET, "/health/ready"), None);
        assert_eq!(needed(&Method::POST, "/grpc.health.v1.Health/Watch"), None);
    }
}
