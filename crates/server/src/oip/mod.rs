//! The Open Inference Protocol, version 2, without a transport: which models there are, what they take, what they say.
//!
//! Every series is a model of its name: `horizon` (and, if one likes, `series` and `quantiles`) in, the forecast out; its
//! versions are the model's versions, and without one the champion answers. Every version is also a model of its id that
//! takes rows of features. A series wins where a version has the same name.

mod describe;
mod infer;
mod stats;
pub mod tensor;

use std::sync::Arc;

use forewatt_service::domain::{SeriesName, VersionId};
use forewatt_service::infer::Signature;
use forewatt_service::{Error, ErrorKind, Result, SeriesInfo, Service};

pub use describe::{Config, Metadata, TensorType};
pub use infer::{Question, Reply};
pub use stats::{Sum, Tally, Told};

/// What `GET /v2` and `ServerMetadata` say of the protocol's extensions.
pub const EXTENSIONS: [&str; 4] =
    ["model_configuration", "model_repository", "statistics", "binary_tensor_data"];
/// The name of this server.
pub const SERVER: &str = "forewatt";
/// A model that takes features has this one version: the id names it already.
const ONLY_VERSION: &str = "1";
/// No id of a version is longer, in bytes.
const NAME_MAX_BYTES: usize = 140;

/// A model as a client names it.
#[derive(Clone)]
pub enum Model {
    /// A series, answered by one of its versions.
    Series {
        /// The series.
        info: Arc<SeriesInfo>,
        /// The version asked for; the champion when absent.
        version: Option<VersionId>,
    },
    /// A version that takes rows of features.
    Rows {
        /// Its id.
        id: VersionId,
        /// What it takes and gives.
        signature: Arc<Signature>,
    },
}

/// One line of the repository's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Why it cannot be asked; `None` when it can.
    pub reason: Option<String>,
}

impl Entry {
    /// The word of the protocol for it.
    pub const fn state(&self) -> &'static str {
        if self.reason.is_none() { "READY" } else { "UNAVAILABLE" }
    }
}

/// Finds the model of a name and a version; an empty version is the one that answers.
///
/// # Errors
/// `NotFound` with the nearest name; `InvalidInput` for what cannot be a name.
pub async fn find(service: &Service, name: &str, version: &str) -> Result<Model> {
    let no_such = |error: Error| match error.kind {
        ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, format!("there is no model of this name: {}", error.message))
        }
        _ => error,
    };
    let unknown = match name.parse::<SeriesName>() {
        Ok(series) => match service.series(&series).await {
            Ok(info) => return of_series(service, info, version).await,
            // Of a version's name the series' rights say nothing yet.
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Forbidden) => error,
            Err(error) => return Err(error),
        },
        Err(error) => error.into(),
    };
    let id = VersionId::from_text(name)
        .filter(|_| name.len() <= NAME_MAX_BYTES)
        .ok_or_else(|| no_such(unknown.clone()))?;
    match service.signature(&id).await {
        Ok(signature) if version.is_empty() || version == ONLY_VERSION => {
            Ok(Model::Rows { id, signature: Arc::new(signature) })
        }
        Ok(_) => {
            let message = format!("`{name}` is a version itself and has the one version {ONLY_VERSION}");
            Err(Error::new(ErrorKind::NotFound, message))
        }
        Err(error) if error.kind == ErrorKind::NotFound => Err(no_such(unknown)),
        Err(error) => Err(error),
    }
}

async fn of_series(service: &Service, info: Arc<SeriesInfo>, version: &str) -> Result<Model> {
    if version.is_empty() {
        return Ok(Model::Series { info, version: None });
    }
    let name = &info.series.name;
    let id = match version.parse::<u32>() {
        Ok(number) => VersionId::new(name, number),
        Err(_) => VersionId::from_text(version).ok_or_else(|| {
            let shown: String = version.chars().take(60).collect();
            Error::new(
                ErrorKind::NotFound,
                format!("`{name}` has no version `{shown}`: versions are numbers"),
            )
        })?,
    };
    let found = service.version(&id).await?;
    if found.series != *name {
        return Err(Error::new(ErrorKind::NotFound, format!("the version `{id}` is not one of `{name}`")));
    }
    Ok(Model::Series { info, version: Some(id) })
}

impl Model {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Series { info, .. } => info.series.name.as_str(),
            Self::Rows { id, .. } => id.as_str(),
        }
    }

    /// The version that answers.
    ///
    /// # Errors
    /// `NoModel` for a series without a champion.
    pub fn version(&self) -> Result<&VersionId> {
        match self {
            Self::Series { info, version } => version.as_ref().or_else(|| info.champion()).ok_or_else(|| {
                let name = &info.series.name;
                let message = format!(
                    "`{name}` has no champion: train one with POST /v1/train {{\"series\": \"{name}\"}}"
                );
                Error::new(ErrorKind::NoModel, message)
            }),
            Self::Rows { id, .. } => Ok(id),
        }
    }

    /// The version's word in this protocol: the number of a series' version.
    pub fn version_word(&self) -> String {
        match self {
            Self::Series { .. } => {
                self.version().map_or_else(|_| String::new(), |id| number(self.name(), id))
            }
            Self::Rows { .. } => ONLY_VERSION.to_owned(),
        }
    }
}

/// The number at the end of a version's id; the whole id where there is none.
fn number(series: &str, id: &VersionId) -> String {
    let rest = id.as_str().strip_prefix(series).and_then(|rest| rest.strip_prefix("-v"));
    rest.unwrap_or(id.as_str()).to_owned()
}

/// Every model, series first.
///
/// # Errors
/// When the store fails.
pub async fn index(service: &Service, only_ready: bool) -> Result<Vec<Entry>> {
    let series = service.list_series(None, None).await?.into_iter().map(|info| {
        let name = info.series.name.to_string();
        let version = info.champion().map_or_else(String::new, |id| number(&name, id));
        let reason =
            info.champion().is_none().then(|| "the series has no champion yet: train one".to_owned());
        Entry { name, version, reason }
    });
    let versions = service.list_versions(None, None).await?.into_iter().map(|version| Entry {
        name: version.id.to_string(),
        version: ONLY_VERSION.to_owned(),
        reason: None,
    });
    Ok(series.chain(versions).filter(|entry| !only_ready || entry.reason.is_none()).collect())
}

/// Reads a model into memory.
///
/// # Errors
/// As [`find`] and [`Model::version`]; `Corrupt`.
pub async fn load(service: &Service, name: &str) -> Result<()> {
    let model = find(service, name, "").await?;
    service.warm(model.version()?).await
}

/// Drops a model from memory. It stays in the registry, and whoever asks it next reads it again: a server that shares
/// its registry with others cannot take a model from them.
///
/// # Errors
/// As [`find`] and [`Model::version`].
pub async fn unload(service: &Service, name: &str) -> Result<()> {
    let model = find(service, name, "").await?;
    service.drop_from_memory(model.version()?).await;
    Ok(())
}

/// Whether a model can be asked: it is there, and its artifact reads.
///
/// # Errors
/// Why it cannot.
pub async fn ready(service: &Service, name: &str, version: &str) -> Result<()> {
    let model = find(service, name, version).await?;
    service.warm(model.version()?).await
}
