//! The use cases, without HTTP or gRPC: every transport calls these same functions.

pub mod access;
pub mod admission;
mod answer;
pub mod backtest;
pub mod backup;
pub mod batch;
pub mod batching;
mod budget;
pub mod cache;
mod cached;
pub mod cdn;
pub mod compare;
mod compute;
pub mod config;
pub mod dataset;
pub mod doctor;
pub mod error;
pub mod explain;
pub mod feature_table;
pub mod file_dataset;
pub mod forecast;
pub mod foreign;
mod gate;
pub mod infer;
pub mod ingest;
pub mod issued;
pub mod jobs;
pub mod ladder;
pub mod migrate;
pub mod models;
pub mod observations;
pub mod optimize;
pub mod peaks;
pub mod promote;
pub mod quality;
pub mod reconcile;
pub mod registry;
pub mod resilience;
pub mod sent;
pub mod series;
pub mod sources;
pub mod train;
pub mod upkeep;
pub mod webhooks;
pub mod whatif;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use forewatt_domain::{SeriesName, Time};
use forewatt_store::Backend;
use moka::future::Cache;

pub use config::Config;
pub use error::{Error, ErrorKind, Result};
pub use forewatt_domain as domain;
pub use forewatt_model::backtest::{Outcome, Refit};
pub use forewatt_model::dataset::Dataset;
pub use forewatt_store::{
    AuditEntry, ForecastQuery, IssuedPoint, JobRecord, JobState, KeyRecord, Label, LabelKey, LabelKind,
    PostgresOptions, QualityRecord, SeriesState, Upkeep, UpkeepDone, WriteOutcome,
};
pub use series::SeriesInfo;

/// Tells the time; a test, a demonstration or a replay may stop it.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Everything the use cases need. Cheap to clone: all clones are one service.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

/// What all clones share.
pub struct Inner {
    /// Persistence.
    pub(crate) store: Backend,
    /// What it was told.
    pub(crate) config: Config,
    clock: Clock,
    /// Series as last read from the store.
    pub(crate) known_series: Cache<SeriesName, Arc<SeriesInfo>>,
    /// Whose answers read a series.
    pub(crate) readers: cache::Readers,
    /// Who answers for a series.
    pub(crate) answering: Cache<SeriesName, Arc<forecast::Answering>>,
    /// Models in memory.
    pub(crate) loaded_models: models::LoadedModels,
    /// Questions of rows that wait to be answered together.
    pub(crate) batcher: batching::Batcher,
    /// What is remembered of versions that failed.
    pub(crate) ladder: ladder::Ladder,
    /// How often something that is remembered of a series was forgotten.
    pub(crate) forgotten: AtomicU64,
    /// The threads that compute forecasts.
    pub(crate) compute: compute::Threads,
    /// Forecasts and encoded answers.
    pub(crate) answers: cache::Answers,
    /// Where issued forecasts go to be kept.
    pub(crate) issued: issued::Writer,
    /// Background work.
    pub(crate) jobs: jobs::Queue,
    /// Clients for calls to others.
    pub(crate) outward: Outside,
    /// Where events go to be told.
    pub(crate) outbox: webhooks::Outbox,
    /// What caches in front are told to forget.
    pub(crate) purger: cdn::Purger,
}

/// A client for each kind of call, so that one kind cannot take the room of another.
pub(crate) struct Outside {
    /// Fetches data.
    pub sources: resilience::Outward,
    /// Tells events.
    pub webhooks: resilience::Outward,
}

impl std::ops::Deref for Service {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// How to open the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// Connections that read at once, of SQLite.
    pub read_connections: u32,
    /// How long to wait for another process's lock, in ms, with SQLite.
    pub busy_timeout_ms: u64,
    /// The database server, when one is used: then only artifacts lie in the data folder.
    pub postgres: Option<PostgresOptions>,
}

impl Service {
    /// Opens (or creates) the data folder and starts the background writers. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the folder cannot be opened or written, holds a newer schema, or the configuration is unusable.
    pub async fn open(data_dir: &Path, options: &StoreOptions, config: Config) -> Result<Self> {
        let clock = clock_of(&config)?;
        cache::check_redis_url(&config.cache.redis_url)
            .map_err(|reason| Error::invalid(format!("cache.redis_url: {reason}")))?;
        let store = open_store(data_dir, options).await?;
        Ok(Self::with_store(store, config, clock))
    }

    /// A service on a store that is open already, with a clock of one's own. A URL of Redis that is none is told and not
    /// used; [`Service::open`] refuses it.
    #[must_use]
    pub fn with_store(store: Backend, config: Config, clock: Clock) -> Self {
        // What is remembered of who answers is made of what is remembered of series: half the bound for each.
        let half_ttl = std::time::Duration::from_millis(config.cache.series_ttl_ms / 2);
        let known_series =
            Cache::builder().max_capacity(config.cache.series_max).time_to_live(half_ttl).build();
        let answering = Cache::builder().max_capacity(config.cache.series_max).time_to_live(half_ttl).build();
        let loaded_models = models::LoadedModels::new(config.cache.models_max_bytes);
        let answers = cache::Answers::new(&config, &store).unwrap_or_else(|reason| {
            tracing::error!("cache.redis_url: {reason}; going on without");
            let mut alone = config.clone();
            alone.cache.redis_url.clear();
            cache::Answers::new(&alone, &store).expect("without a URL there is nothing to refuse")
        });
        let outbox = webhooks::Outbox::new(store.clone(), &config);
        let issued = issued::Writer::start(
            store.clone(),
            config.forecast.issued_queue_max,
            outbox.clone(),
            clock.clone(),
        );
        let purger = cdn::Purger::start(&config);
        let outward = Outside {
            sources: resilience::Outward::new("sources", &config.outward),
            webhooks: resilience::Outward::new("webhooks", &config.outward),
        };
        let batcher = batching::Batcher::new(&config.batching);
        let ladder = ladder::Ladder::new(&config.degradation);
        let (jobs, jobs_inbox) = jobs::Queue::new(config.train.jobs_queue_max);
        let inner = Inner {
            store,
            config,
            clock,
            known_series,
            readers: cache::Readers::default(),
            answering,
            loaded_models,
            batcher,
            ladder,
            forgotten: AtomicU64::new(0),
            compute: compute::Threads::start(),
            answers,
            issued,
            jobs,
            outward,
            outbox,
            purger,
        };
        let service = Self(Arc::new(inner));
        jobs::start_workers(&service, &jobs_inbox);
        service
    }

    /// The time the service lives by.
    #[must_use]
    pub fn now(&self) -> Time {
        (self.0.clock)()
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Whether the store answers and the hottest questions are answered ahead.
    ///
    /// # Errors
    /// `Unavailable` with what the store said, or while the cache is being warmed.
    pub async fn ready(&self) -> Result<()> {
        if self.answers.warming.load(std::sync::atomic::Ordering::SeqCst) {
            let message = "the hottest forecasts are being made ready: in a moment";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        self.store.ping().await.map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("the store does not answer: {error}"))
        })
    }

    /// Writes what waits and closes the store.
    pub async fn close(&self) {
        self.answers.stop();
        self.issued.flush().await;
        self.purger.flush().await;
        self.store.close().await;
    }
}

/// Opens the store: a database server when one is named, else SQLite in the data folder.
pub(crate) async fn open_store(data_dir: &Path, options: &StoreOptions) -> Result<Backend> {
    if let Some(postgres) = &options.postgres {
        let artifacts = data_dir.join(forewatt_store::sqlite::ARTIFACT_FOLDER);
        return Ok(forewatt_store::Postgres::open(&artifacts, postgres).await?.into());
    }
    let options = forewatt_store::SqliteOptions {
        read_connections: options.read_connections,
        busy_timeout_ms: options.busy_timeout_ms,
        ..Default::default()
    };
    Ok(forewatt_store::Sqlite::open(data_dir, options).await?.into())
}

/// The real clock, or the fixed instant of `forecast.fixed_now`.
fn clock_of(config: &Config) -> Result<Clock> {
    let fixed = config.forecast.fixed_now.trim();
    if fixed.is_empty() {
        return Ok(Arc::new(system_now));
    }
    let now: Time = fixed.parse().map_err(|error| Error::invalid(format!("forecast.fixed_now: {error}")))?;
    Ok(Arc::new(move || now))
}

/// The computer's clock.
#[must_use]
pub fn system_now() -> Time {
    Time::from(jiff::Timestamp::now())
}

/// Runs numeric work on the threads meant for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("the computation broke off: {error}")))
}
