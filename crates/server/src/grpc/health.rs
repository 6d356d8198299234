//! `grpc.health.v1`, as truthful as `/health/ready`: every question asks the store.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::convert::Answered;
use crate::http::AppState;

/// How often somebody who watches is told of a change.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Clients that watch at once: their streams last, so they have a limit of their own.
const WATCHERS_MAX: usize = 256;

/// The health of every service: all stand and fall with the store.
#[derive(Clone)]
pub struct Health {
    state: AppState,
    services: Arc<[String]>,
    watchers: Arc<Semaphore>,
}

impl Health {
    /// For a state and the services that are asked about by name.
    pub fn new(state: AppState, services: Vec<String>) -> Self {
        Self { state, services: services.into(), watchers: Arc::new(Semaphore::new(WATCHERS_MAX)) }
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.iter().any(|known| known == service)
    }

    async fn now(&self, service: &str) -> ServingStatus {
        if !self.knows(service) {
            return ServingStatus::ServiceUnknown;
        }
        match self.state.ready().await {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        }
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl tonic_health::pb::health_server::Health for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Answered<HealthCheckResponse> {
        let service = request.into_inner().service;
        match self.now(&service).await {
            ServingStatus::ServiceUnknown => {
                let shown: String = service.chars().take(60).collect();
                Err(Status::not_found(format!("there is no service `{shown}`: reflection lists them")))
            }
            status => Ok(Response::new(answer(status))),
        }
    }

    /// Tells the status at once and then whenever it changes, until the client goes or the server stops.
    async fn watch(&self, request: Request<HealthCheckRequest>) -> Answered<Self::WatchStream> {
        let place = Arc::clone(&self.watchers).try_acquire_owned().map_err(|_| {
            Status::resource_exhausted(format!(
                "{WATCHERS_MAX} clients watch already, the limit: ask by Check"
            ))
        })?;
        let watch = Watch {
            health: self.clone(),
            service: request.into_inner().service,
            ticks: tokio::time::interval(WATCH_EVERY),
            told: None,
            _place: place,
        };
        let changes = stream::unfold(watch, |mut watch| async move {
            let status = watch.next().await?;
            Some((Ok(answer(status)), watch))
        });
        Ok(Response::new(changes.boxed()))
    }
}

/// One client that watches.
struct Watch {
    health: Health,
    service: String,
    ticks: tokio::time::Interval,
    told: Option<ServingStatus>,
    _place: tokio::sync::OwnedSemaphorePermit,
}

impl Watch {
    /// The next change; `None` once the server stops and this was told.
    async fn next(&mut self) -> Option<ServingStatus> {
        loop {
            let stopping = self.health.state.is_stopping();
            if !stopping {
                let mut stop = self.health.state.stopping();
                tokio::select! {
                    _ = self.ticks.tick() => {}
                    _ = stop.changed() => {} // whether it stops is read again below
                }
            }
            let status = self.health.now(&self.service).await;
            if self.told != Some(status) {
                self.told = Some(status);
                return Some(status);
            }
            if stopping {
                return None;
            }
        }
    }
}
