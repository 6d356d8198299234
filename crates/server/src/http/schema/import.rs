//! The document of a model that was brought in.

use utoipa::ToSchema;

use super::ModelDocument;

documents! {
/// What became of a training or an import.
pub struct TrainReportDocument {
    /// The registered version.
    version: ModelDocument,
    /// Whether it became champion.
    promoted: bool,
    /// Why, or why not.
    promotion: String,
}
}
