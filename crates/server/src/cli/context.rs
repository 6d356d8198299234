//! What every command gets: the configuration, a voice, and a service when it asks for one.

use std::future::Future;
use std::path::Path;

use anyhow::Context as _;
use forewatt_service::Service;

use super::exit;
use super::output::Output;
use crate::config::{Config, Loaded};

/// The surroundings of one command.
#[derive(Debug, Clone)]
pub struct Context {
    /// The configuration with its sources.
    pub loaded: Loaded,
    /// How to speak.
    pub out: Output,
}

impl Context {
    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Opens the service on a data folder, and the configured database when there is one. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the folder cannot be opened or written, or the database not be reached.
    pub async fn open(&self, data_dir: &Path) -> anyhow::Result<Service> {
        let store = &self.config().store;
        let options = store.options(&store.url);
        let opened = Service::open(data_dir, &options, self.config().service()).await;
        opened.with_context(|| match options.postgres {
            Some(_) => "opening the store that store.url names".to_owned(),
            None => format!("opening the data folder {}", data_dir.display()),
        })
    }

    /// Runs work on a runtime of its own until it ends or Ctrl-C ends it.
    ///
    /// # Errors
    /// Those of the work; [`exit::interrupted`] after Ctrl-C.
    pub fn block_on<T>(&self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .context("cannot start the asynchronous runtime")?;
        let result = runtime.block_on(async {
            tokio::select! {
                biased;
                _ = tokio::signal::ctrl_c() => Err(exit::interrupted()),
                result = work => result,
            }
        });
        // Work on other threads that nobody waits for any more must not hold up the exit.
        runtime.shutdown_background();
        result
    }

    /// Runs work with a service on the configured data folder and closes it, whatever comes out.
    ///
    /// # Errors
    /// Those of opening and of the work.
    pub fn with_service<T>(
        &self,
        work: impl AsyncFnOnce(&Service) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        // One command needs few connections, and the pool need not be filled for it.
        let mut context = self.clone();
        context.loaded.config.store.min_connections = 0;
        context.block_on(async {
            let service = context.open(&context.config().store.data_dir).await?;
            let result = work(&service).await;
            service.close().await;
            result
        })
    }
}
