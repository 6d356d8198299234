//! What a model takes and gives, as metadata and as a configuration.

use forewatt_service::{Result, Service};

use super::{Model, ONLY_VERSION, number};

/// The name of an input or output, its type and shape; -1 is any extent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorType {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub datatype: &'static str,
    /// Its shape.
    pub shape: Vec<i64>,
    /// Whether an input may be left out.
    pub optional: bool,
}

/// A model as `GET /v2/models/{model}` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its versions, newest first.
    pub versions: Vec<String>,
    /// What runs it: `forewatt_` and its family.
    pub platform: String,
    /// What it takes.
    pub inputs: Vec<TensorType>,
    /// What it gives.
    pub outputs: Vec<TensorType>,
}

/// A model as a configuration: its tensors, and in words what does not fit there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The description it repeats.
    pub metadata: Metadata,
    /// `feature_names`, `quantile_levels`, `unit`, ...
    pub parameters: Vec<(&'static str, String)>,
}

const fn tensor(name: &'static str, datatype: &'static str, shape: Vec<i64>) -> TensorType {
    TensorType { name, datatype, shape, optional: false }
}

const fn optional(name: &'static str, datatype: &'static str) -> TensorType {
    TensorType { name, datatype, shape: Vec::new(), optional: true }
}

impl Metadata {
    /// Of a model.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn of(service: &Service, model: &Model) -> Result<Self> {
        let name = model.name().to_owned();
        let (versions, family) = match model {
            Model::Series { info, .. } => {
                let all = service.list_versions(Some(&info.series.name), None).await?;
                let answering = model.version().ok().cloned();
                let family = all
                    .iter()
                    .find(|version| Some(&version.id) == answering.as_ref())
                    .map(|v| v.recipe.family);
                (all.iter().map(|version| number(&name, &version.id)).collect(), family)
            }
            Model::Rows { id, .. } => {
                (vec![ONLY_VERSION.to_owned()], Some(service.version(id).await?.recipe.family))
            }
        };
        let platform = family.map_or_else(|| "forewatt".to_owned(), |family| format!("forewatt_{family}"));
        let (inputs, outputs) = (inputs(model), outputs(model));
        Ok(Self { name, versions, platform, inputs, outputs })
    }
}

impl Config {
    /// Of a model.
    ///
    /// # Errors
    /// As [`Metadata::of`].
    pub async fn of(service: &Service, model: &Model) -> Result<Self> {
        let metadata = Metadata::of(service, model).await?;
        let parameters = match model {
            Model::Series { info, .. } => vec![
                ("unit", info.series.unit.clone()),
                ("resolution", info.series.resolution.to_string()),
                ("time_zone", info.series.time_zone.to_string()),
            ],
            Model::Rows { signature, .. } => {
                let levels: Vec<String> = signature.levels.as_slice().iter().map(f64::to_string).collect();
                let mut told = vec![
                    ("feature_names", signature.features.join(",")),
                    ("quantile_levels", levels.join(",")),
                    ("needs_times", signature.needs_times.to_string()),
                ];
                told.extend(signature.refuses.clone().map(|why| ("refuses", why)));
                told
            }
        };
        Ok(Self { metadata, parameters })
    }
}

fn inputs(model: &Model) -> Vec<TensorType> {
    match model {
        Model::Series { .. } => {
            let series = TensorType { shape: vec![1], ..optional("series", "BYTES") };
            let horizon = TensorType { shape: vec![1], ..optional("horizon", "INT64") };
            let quantiles = TensorType { shape: vec![-1], ..optional("quantiles", "FP64") };
            vec![series, horizon, quantiles]
        }
        Model::Rows { signature, .. } => {
            let columns = i64::try_from(signature.features.len()).unwrap_or(-1);
            let time = |name| TensorType {
                shape: vec![-1],
                optional: !signature.needs_times,
                ..optional(name, "INT64")
            };
            vec![tensor("features", "FP32", vec![-1, columns]), time("forecast_start"), time("valid_time")]
        }
    }
}

fn outputs(model: &Model) -> Vec<TensorType> {
    match model {
        Model::Series { .. } => vec![
            tensor("mean", "FP64", vec![-1]),
            tensor("quantiles", "FP64", vec![-1, -1]),
            tensor("levels", "FP64", vec![-1]),
            tensor("timestamps", "INT64", vec![-1]),
        ],
        Model::Rows { signature, .. } => {
            let levels = i64::try_from(signature.levels.len()).unwrap_or(-1);
            vec![
                tensor("mean", "FP32", vec![-1]),
                tensor("quantiles", "FP32", vec![-1, levels]),
                tensor("levels", "FP64", vec![levels]),
            ]
        }
    }
}
