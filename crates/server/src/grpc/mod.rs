//! gRPC: thin adapters over the calls that REST answers with, on the same port and behind the same gate.

mod accuracy;
mod convert;
pub mod edge;
mod forecasts;
mod health;
mod models;
mod observations;
mod oip;
mod series;
#[cfg(test)]
mod tests;

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::response::IntoResponse;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::server::NamedService;
use tower::Service;

use crate::http::AppState;

/// What `proto/` describes, as Rust.
pub mod pb {
    /// The native interface.
    pub mod v1 {
        #![allow(
            missing_docs,
            unused_qualifications,
            dead_code,
            clippy::all,
            reason = "generated from proto/forewatt/v1"
        )]
        tonic::include_proto!("forewatt.v1");
    }

    /// The Open Inference Protocol.
    pub mod inference {
        #![allow(
            missing_docs,
            unused_qualifications,
            dead_code,
            clippy::all,
            reason = "generated from proto/inference"
        )]
        tonic::include_proto!("inference");
    }
}

/// The description of every service of `proto/`, as reflection gives it.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Every description there is: ours, health, both versions of reflection.
const DESCRIBED: [&[u8]; 4] = [
    DESCRIPTORS,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// The services over one state.
#[derive(Clone)]
struct Api(AppState);

/// Every method of every service as a route. Needs a tokio runtime.
pub fn routes(state: &AppState) -> Router<AppState> {
    use pb::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
    use pb::v1::accuracy_service_server::AccuracyServiceServer;
    use pb::v1::forecast_service_server::ForecastServiceServer;
    use pb::v1::model_service_server::ModelServiceServer;
    use pb::v1::observation_service_server::ObservationServiceServer;
    use pb::v1::series_service_server::SeriesServiceServer;
    use tonic_health::pb::health_server::HealthServer;

    let max = state.options.body_max_bytes;
    let api = || Api(state.clone());
    let mut methods = Methods::read();
    methods.mount(&SeriesServiceServer::new(api()).max_decoding_message_size(max));
    methods.mount(&ObservationServiceServer::new(api()).max_decoding_message_size(max));
    methods.mount(&ForecastServiceServer::new(api()).max_decoding_message_size(max));
    methods.mount(&ModelServiceServer::new(api()).max_decoding_message_size(max));
    methods.mount(&AccuracyServiceServer::new(api()).max_decoding_message_size(max));
    methods.mount(&GrpcInferenceServiceServer::new(api()).max_decoding_message_size(max));
    methods.mount(&HealthServer::new(health::Health::new(state.clone(), methods.services())));
    methods.mount_reflection();
    methods.router
}

/// The methods that the descriptions name, and the routes made of them: one a method, so that metrics tell them apart
/// and a stranger's path is no label.
struct Methods {
    described: Vec<FileDescriptorSet>,
    router: Router<AppState>,
}

impl Methods {
    fn read() -> Self {
        // Each was written by the build that made this executable, so it reads; one that did not would have no routes.
        let described = DESCRIBED.iter().filter_map(|bytes| FileDescriptorSet::decode(*bytes).ok()).collect();
        Self { described, router: Router::new() }
    }

    /// The full name of every service with the names of its methods.
    fn all(&self) -> impl Iterator<Item = (String, Vec<&str>)> {
        self.described.iter().flat_map(|set| &set.file).flat_map(|file| {
            file.service.iter().map(|service| {
                let name = format!("{}.{}", file.package(), service.name());
                (name, service.method.iter().map(|method| method.name()).collect())
            })
        })
    }

    fn services(&self) -> Vec<String> {
        self.all().map(|(name, _)| name).collect()
    }

    fn mount<S>(&mut self, service: &S)
    where
        S: Service<Request, Error = Infallible, Response: IntoResponse, Future: Send + 'static>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let found = self.all().find(|(name, _)| name == S::NAME);
        let paths: Vec<String> = found
            .into_iter()
            .flat_map(|(name, methods)| methods.into_iter().map(move |method| format!("/{name}/{method}")))
            .collect();
        for path in paths {
            self.router = std::mem::take(&mut self.router).route_service(&path, service.clone());
        }
    }

    /// Both versions: tools of today ask for v1, those of yesterday for v1alpha.
    fn mount_reflection(&mut self) {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // The descriptions were made by this build; if they did not read, there would be no reflection and all else.
        if let Ok(service) = builder().build_v1() {
            self.mount(&service);
        }
        if let Ok(service) = builder().build_v1alpha() {
            self.mount(&service);
        }
    }
}
