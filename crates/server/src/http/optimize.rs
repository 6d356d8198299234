//! Smaller versions of a model.

use forewatt_service::domain::VersionId;
use forewatt_service::optimize::{Cost, OptimizeReport, OptimizeRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::{AppState, reply};

/// How to make a version smaller; an empty object does all of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptimizeBody {
    /// Keep leaves of trees in 8 bits and coefficients in bf16. Without `prune` and this, both are done.
    #[serde(default)]
    quantize: bool,
    /// Drop trees and leaves as far as the loss allows.
    #[serde(default)]
    prune: bool,
    /// The greatest loss allowed, as a share of the pinball loss; 0.005 when absent.
    max_loss: Option<f64>,
    /// Days at the end of the data to judge by; 60 when absent.
    days: Option<u32>,
}

impl OptimizeBody {
    fn request(&self) -> OptimizeRequest {
        let default = OptimizeRequest::default();
        OptimizeRequest {
            quantize: self.quantize,
            prune: self.prune,
            max_loss: self.max_loss.unwrap_or(default.max_loss),
            days: self.days.unwrap_or(default.days),
        }
    }
}

/// A smaller version beside the one it was made from.
#[derive(Debug, Serialize, ToSchema)]
pub struct Optimization {
    /// The new version: a candidate, not yet champion.
    model_version: String,
    /// The version it was made from.
    parent: String,
    /// By which share the loss rose on the days judged by; below zero when it fell.
    loss: f64,
    /// The first forecast start judged by.
    judged_from: String,
    /// The last one.
    judged_to: String,
    /// What the parent costs.
    before: CostDocument,
    /// What the new version costs.
    after: CostDocument,
    /// What was done.
    notes: Vec<String>,
}

/// What a model costs.
#[derive(Debug, Serialize, ToSchema)]
pub struct CostDocument {
    /// The artifact's size.
    bytes: u64,
    /// Rows answered in a second of one thread.
    rows_per_second: f64,
    /// Mean pinball loss on the days judged by.
    pinball: f64,
    /// Trees walked.
    trees: usize,
}

impl From<Cost> for CostDocument {
    fn from(Cost { bytes, rows_per_second, pinball, trees }: Cost) -> Self {
        Self { bytes, rows_per_second, pinball, trees }
    }
}

impl From<OptimizeReport> for Optimization {
    fn from(report: OptimizeReport) -> Self {
        let OptimizeReport { version, before, after, loss, judged } = report;
        Self {
            model_version: version.id.to_string(),
            parent: version.parent.map(|parent| parent.to_string()).unwrap_or_default(),
            loss,
            judged_from: judged.0.to_string(),
            judged_to: judged.1.to_string(),
            before: before.into(),
            after: after.into(),
            notes: version.notes,
        }
    }
}

/// Makes a smaller, faster version of a version: quantized, pruned, and registered only if it loses no more than allowed.
#[utoipa::path(post, path = "/v1/models/{id}:optimize", tag = "models",
    params(("id" = String, Path, description = "The version: `district.load-v3`.")),
    request_body(content = OptimizeBody, description = "An empty object quantizes and prunes, losing half a percent at most."),
    responses(
        (status = 200, description = "The new version beside its parent.", body = Optimization),
        (status = 409, description = "It loses more than allowed; the detail says by how much.", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn optimize(app: &AppState, id: &VersionId, body: &OptimizeBody) -> HttpResult {
    let quiet = std::sync::Arc::new(|_: f64, _: &str| ());
    let report = app.service.optimize(id, body.request(), quiet).await.map_err(in_words_of_http)?;
    reply::json(&Optimization::from(report))
}

/// The service speaks of the command line's flags; here they are fields of the body.
fn in_words_of_http(mut error: forewatt_service::Error) -> forewatt_service::Error {
    let words = [("`--max-loss`", "`max_loss`"), ("`--quantize`", "`quantize`"), ("`--prune`", "`prune`")];
    for (flag, field) in words {
        error.message = error.message.replace(flag, field);
    }
    error
}
