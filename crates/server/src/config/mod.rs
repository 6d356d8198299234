//! Configuration: `config/default.toml` < file < `FOREWATT_SECTION__KEY` < flags; unknown keys are refused.

mod check;
mod outward;
mod print;
mod security;
mod serving;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use forewatt_service::Upkeep;
use forewatt_service::access::config::{AuthConfig, RateLimitConfig};
use forewatt_service::admission::AdmissionConfig;
use forewatt_service::batching::BatchingConfig;
use forewatt_service::config::{
    CacheConfig, ExplainConfig, ForecastConfig, LimitsConfig, OutwardConfig, TrainConfig,
};
use forewatt_service::domain::{SeriesKind, Time};
use forewatt_service::ladder::DegradationConfig;
use forewatt_service::series::nearest;
use serde::{Deserialize, Serialize};

pub use security::{CorsConfig, TlsConfig};
pub use store::StoreConfig;

/// The embedded file that holds every default.
pub const DEFAULT: &str = include_str!("../../../../config/default.toml");
/// The file that is read from the current folder when `--config` names none.
pub const LOCAL_FILE: &str = "forewatt.toml";
const ENV_PREFIX: &str = "FOREWATT_";

/// Everything the executable can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub server: ServerConfig,
    /// Which requests are worked on, wait, or are refused.
    pub admission: AdmissionConfig,
    /// The database and the artifacts.
    pub store: StoreConfig,
    /// `[retention_days]`: days that observations are kept, by the kind of their series; 0 for ever.
    pub retention_days: BTreeMap<SeriesKind, u32>,
    /// Forecast answers.
    pub forecast: ForecastConfig,
    /// The local cache.
    pub cache: CacheConfig,
    /// Training and backtests.
    pub train: TrainConfig,
    /// Limits on reads and writes.
    pub limits: LimitsConfig,
    /// Explanations and what-if questions.
    pub explain: ExplainConfig,
    /// Calls to others.
    pub outward: OutwardConfig,
    /// Who answers when the champion cannot.
    pub degradation: DegradationConfig,
    /// Questions of rows that are answered together.
    pub batching: BatchingConfig,
    /// Keys.
    pub auth: AuthConfig,
    /// How much a caller may ask.
    pub rate_limit: RateLimitConfig,
    /// Pages of other sites.
    pub cors: CorsConfig,
    /// Encrypted connections.
    pub tls: TlsConfig,
    /// Logs.
    pub log: LogConfig,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Where to listen: an address of this computer and a port.
    pub listen: String,
    /// Where to answer gRPC alone; empty: on `listen`, beside REST.
    pub grpc_listen: String,
    /// Largest request body in bytes, decompressed.
    pub body_max_bytes: u64,
    /// The time one request may take, in ms.
    pub request_timeout_ms: u64,
    /// Requests worked on at once.
    pub concurrency_max: usize,
    /// The time open requests have to finish after a signal to stop, in ms.
    pub shutdown_timeout_ms: u64,
    /// The time before that in which the server says not to be ready and still answers, in ms.
    pub drain_ms: u64,
    /// Whether `/` and `/docs` are served.
    pub dashboard: bool,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// A level or a filter of `tracing-subscriber`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

/// Why a configuration is refused; every text names the key or the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {reason}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A layer is not TOML.
    #[error("{origin} is not valid TOML: {reason}")]
    Syntax {
        /// Which layer.
        origin: String,
        /// Where and what.
        reason: String,
    },
    /// There is no such key.
    #[error("{origin}: there is no key `{key}`; {hint}")]
    UnknownKey {
        /// Which layer.
        origin: String,
        /// The key with its section.
        key: String,
        /// What to write instead.
        hint: String,
    },
    /// A value has the wrong type.
    #[error("{origin}: `{key}` {reason}")]
    Type {
        /// Which layer.
        origin: String,
        /// The key with its section.
        key: String,
        /// What it is and what it should be.
        reason: String,
    },
    /// Values out of range: one line each.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// What a start of the program brings along.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment, whole; other variables are ignored.
    pub environment: Vec<(String, String)>,
    /// Keys set by flags: flag, key, value.
    pub flags: Vec<(&'static str, &'static str, String)>,
}

/// The configuration in force, and where each value came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The checked values.
    pub config: Config,
    figment: Figment,
}

/// A set of values with the name of where they came from.
#[derive(Debug, Clone)]
struct Layer {
    origin: String,
    values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

impl Config {
    /// The part the use cases need.
    #[must_use]
    pub fn service(&self) -> forewatt_service::Config {
        forewatt_service::Config {
            forecast: self.forecast.clone(),
            cache: self.cache.clone(),
            train: self.train.clone(),
            limits: self.limits.clone(),
            explain: self.explain.clone(),
            outward: self.outward.clone(),
            degradation: self.degradation.clone(),
            batching: self.batching.clone(),
        }
    }

    /// What to do for the store now and then, at an instant.
    #[must_use]
    pub fn upkeep(&self, now: Time) -> Upkeep {
        let kept = self.retention_days.iter().filter(|(_, days)| **days > 0);
        Upkeep {
            now,
            ahead_months: self.store.partitions_ahead_months,
            retention_days: kept.map(|(kind, days)| (*kind, *days)).collect(),
        }
    }

    /// Where to listen. Checked when the configuration was loaded.
    ///
    /// # Errors
    /// When the text is not an address and a port, or one that others could reach without keys.
    pub fn listen(&self) -> Result<SocketAddr, ConfigError> {
        check::listen(&self.server.listen, self.auth.required)
            .map_err(|reason| ConfigError::Invalid(vec![reason]))
    }

    /// Where to answer gRPC alone; `None` where it answers beside REST.
    ///
    /// # Errors
    /// As [`Config::listen`].
    pub fn grpc_listen(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let text = self.server.grpc_listen.trim();
        let address = (!text.is_empty()).then(|| check::listen(text, self.auth.required)).transpose();
        address.map_err(|reason| ConfigError::Invalid(vec![reason]))
    }
}

impl Loaded {
    /// Merges the layers and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`], naming the layer and the key.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let defaults = parse("config/default.toml", DEFAULT)?;
        let known = leaves(&defaults.values);
        let mut figment = Figment::from(defaults);
        for layer in layers(sources, &known)? {
            refuse_unknown(&layer, &known)?;
            figment = figment.merge(layer);
        }
        let config: Config = figment.extract().map_err(|error| wrong_type(&error))?;
        let problems = check::problems(&config);
        if problems.is_empty() { Ok(Self { config, figment }) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// The default file with the values in force, secrets hidden: itself a valid configuration file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::toml(&self.figment)
    }

    /// The values in force as JSON, secrets hidden.
    ///
    /// # Errors
    /// Never in practice: the configuration is plain data.
    pub fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        Ok(print::redacted(serde_json::to_value(&self.config)?))
    }
}

fn layers(sources: &Sources, known: &BTreeMap<String, Value>) -> Result<Vec<Layer>, ConfigError> {
    let mut layers = Vec::new();
    if let Some(path) = config_file(sources) {
        let text = std::fs::read_to_string(&path)
            .map_err(|error| ConfigError::Unreadable { path: path.clone(), reason: error.to_string() })?;
        layers.push(parse(&path.display().to_string(), &text)?);
    }
    for (variable, text) in &sources.environment {
        // Without a section it is not a key: Kubernetes sets FOREWATT_PORT and the like for a service of that name.
        let Some(key) = variable.strip_prefix(ENV_PREFIX).filter(|rest| rest.contains("__")) else {
            continue;
        };
        let key = key.to_lowercase().replace("__", ".");
        layers.push(single(format!("environment variable {variable}"), &key, text, known));
    }
    for (flag, key, text) in &sources.flags {
        layers.push(single((*flag).to_owned(), key, text, known));
    }
    Ok(layers)
}

fn config_file(sources: &Sources) -> Option<PathBuf> {
    let local = || Path::new(LOCAL_FILE).is_file().then(|| PathBuf::from(LOCAL_FILE));
    sources.file.clone().or_else(local)
}

fn parse(origin: &str, text: &str) -> Result<Layer, ConfigError> {
    let mut profiles = Toml::string(text)
        .data()
        .map_err(|error| ConfigError::Syntax { origin: origin.to_owned(), reason: error.kind.to_string() })?;
    let values = profiles.remove(&Profile::Default).unwrap_or_default();
    Ok(Layer { origin: origin.to_owned(), values })
}

/// A layer of one key. Where the default is text the value is text, whatever it looks like (`data_dir=2024`).
fn single(origin: String, key: &str, text: &str, known: &BTreeMap<String, Value>) -> Layer {
    let is_text = matches!(known.get(key), Some(Value::String(..)));
    let value = match text.parse::<Value>() {
        Ok(value) if !is_text => value,
        _ => Value::from(text),
    };
    let mut values = Dict::new();
    if let Value::Dict(_, nested) = figment::util::nest(key, value) {
        values = nested;
    }
    Layer { origin, values }
}

/// Every value that is not a table, by its dotted key.
fn leaves(values: &Dict) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (key, value) in values {
        match value {
            Value::Dict(_, nested) => {
                found.extend(leaves(nested).into_iter().map(|(rest, v)| (format!("{key}.{rest}"), v)));
            }
            other => {
                found.insert(key.clone(), other.clone());
            }
        }
    }
    found
}

fn refuse_unknown(layer: &Layer, known: &BTreeMap<String, Value>) -> Result<(), ConfigError> {
    let found = leaves(&layer.values);
    let Some(key) = found.keys().find(|key| !known.contains_key(*key)) else { return Ok(()) };
    let section = format!("{}.", key.split('.').next().unwrap_or(key));
    let in_section: Vec<&str> =
        known.keys().filter(|k| k.starts_with(&section)).map(String::as_str).collect();
    let last = key.rsplit('.').next().unwrap_or(key);
    let near = nearest(key, known.keys().map(String::as_str))
        .or_else(|| known.keys().map(String::as_str).find(|k| k.rsplit('.').next() == Some(last)));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if in_section.is_empty() => "`forewatt config print` shows every key".to_owned(),
        None => format!("this section has {}", in_section.join(", ")),
    };
    Err(ConfigError::UnknownKey { origin: layer.origin.clone(), key: key.clone(), hint })
}

fn wrong_type(error: &figment::Error) -> ConfigError {
    ConfigError::Type {
        origin: error.metadata.as_ref().map_or_else(|| "configuration".to_owned(), |m| m.name.to_string()),
        key: error.path.join("."),
        reason: format!("has the wrong type: {}", error.kind),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The defaults alone, for other modules' tests.
    pub(crate) fn defaults() -> Config {
        Loaded::read(&Sources { file: Some(empty_file().path().to_owned()), ..Sources::default() })
            .unwrap()
            .config
    }

    fn empty_file() -> tempfile::NamedTempFile {
        file("")
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn read(
        text: &str,
        environment: &[(&str, &str)],
        flags: &[(&'static str, &'static str, &str)],
    ) -> Result<Loaded, ConfigError> {
        let file = file(text);
        Loaded::read(&Sources {
            file: Some(file.path().to_owned()),
            environment: environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            flags: flags.iter().map(|(f, k, v)| (*f, *k, (*v).to_owned())).collect(),
        })
    }

    fn refusal(text: &str, environment: &[(&str, &str)]) -> String {
        read(text, environment, &[]).unwrap_err().to_string()
    }

    #[test]
    fn later_layers_win() {
        let text = "[server]\nlisten = \"127.0.0.1:1\"\nconcurrency_max = 7\n";
        let env = ("FOREWATT_SERVER__LISTEN", "127.0.0.1:2");
        let flag = ("--listen", "server.listen", "127.0.0.1:3");
        assert_eq!(read("", &[], &[]).unwrap().config.server.listen, "127.0.0.1:8080");
        assert_eq!(read(text, &[], &[]).unwrap().config.server.listen, "127.0.0.1:1");
        assert_eq!(read(text, &[env], &[]).unwrap().config.server.listen, "127.0.0.1:2");
        let loaded = read(text, &[env], &[flag]).unwrap();
        assert_eq!(loaded.config.server.listen, "127.0.0.1:3");
        assert_eq!(loaded.config.server.concurrency_max, 7);
    }

    #[test]
    fn the_environment_is_typed_by_the_default() {
        let loaded = read(
            "",
            &[
                ("FOREWATT_STORE__DATA_DIR", "2024"),
                ("FOREWATT_STORE__READ_CONNECTIONS", "3"),
                ("FOREWATT_FORECAST__LEVELS", "[0.05, 0.5, 0.95]"),
                ("FOREWATT_SERVER__DASHBOARD", "false"),
                ("FOREWATT_PORT", "tcp://10.0.0.1:80"),
                ("OTHER", "x"),
            ],
            &[],
        )
        .unwrap()
        .config;
        assert_eq!(loaded.store.data_dir, PathBuf::from("2024"));
        assert_eq!(loaded.store.read_connections, 3);
        assert_eq!(loaded.forecast.levels, [0.05, 0.5, 0.95]);
        assert!(!loaded.server.dashboard);
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        let message = refusal("[server]\nlissten = \"127.0.0.1:1\"\n", &[]);
        assert!(
            message.contains("`server.lissten`") && message.contains("did you mean `server.listen`?"),
            "{message}"
        );
        let message = refusal("", &[("FOREWATT_STORE__LISTEN", "x")]);
        assert!(
            message.contains("FOREWATT_STORE__LISTEN") && message.contains("`server.listen`"),
            "{message}"
        );
        assert!(refusal("listen = 1\n", &[]).contains("`listen`"));
        assert!(refusal("[nothing]\nlike = 1\n", &[]).contains("config print"));
        assert!(refusal("[server]\nwhatever = 1\n", &[]).contains("server.body_max_bytes"));
    }

    #[test]
    fn wrong_types_and_bad_toml_name_the_place() {
        let message = refusal("", &[("FOREWATT_SERVER__CONCURRENCY_MAX", "many")]);
        assert!(
            message.contains("FOREWATT_SERVER__CONCURRENCY_MAX")
                && message.contains("server.concurrency_max"),
            "{message}"
        );
        assert!(refusal("[server\n", &[]).contains("line 1"));
        assert!(refusal("[server]\nconcurrency_max = -1\n", &[]).contains("server.concurrency_max"));
        assert!(refusal("server = 3\n", &[]).contains("`server`"));
        let sources = Sources { file: Some("no/such/file.toml".into()), ..Sources::default() };
        assert!(Loaded::read(&sources).unwrap_err().to_string().contains("no/such/file.toml"));
    }

    #[test]
    fn the_default_file_documents_every_key() {
        let mut comment = false;
        for line in DEFAULT.lines() {
            match line {
                l if l.starts_with('#') => comment = true,
                l if l.contains(" = ") => {
                    assert!(comment, "no comment above `{line}`");
                    comment = false;
                }
                _ => comment = false,
            }
        }
    }

    #[test]
    fn the_default_configuration_is_a_contract() {
        insta::assert_snapshot!(read("", &[], &[]).unwrap().to_toml());
    }
}
