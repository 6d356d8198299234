//! What every command gets: the configuration, a voice, and a service when it asks for one.

use std::future::Future;
use std::path::Path;

use anyhow::Context as _;
use forewatt_domain::Reach;
use forewatt_service::Service;
use forewatt_service::access::Call;

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
    /// The command, for the audit log.
    pub command: String,
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

    /// Runs work with a service on the configured data folder and closes it, whatever comes out. What it changed is in
    /// the audit log.
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
            let call = Call::new(user(), &Reach::all());
            let result = call.scope(work(&service)).await;
            let (action, outcome) =
                (format!("forewatt {}", context.command), if result.is_ok() { "done" } else { "failed" });
            service.audit_call(&call, &action, outcome, "").await?;
            service.close().await;
            result
        })
    }
}

/// Who runs the command, for the audit log: as the system's environment says, which its user could change.
pub fn user() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(std::env::var_os);
    let name = named.map_or_else(|| "somebody".to_owned(), |name| name.to_string_lossy().into_owned());
    format!("command line ({})", name.chars().filter(|c| !c.is_control()).take(60).collect::<String>())
}
