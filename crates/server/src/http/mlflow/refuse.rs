//! Refusals as MLflow's clients read them: `{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "..."}`.

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Problem;

/// A refusal of these routes.
#[derive(Debug, Serialize, ToSchema)]
pub struct MlflowRefusal<'a> {
    /// MLflow's word for the kind of failure.
    error_code: &'a str,
    /// What is wrong and how to mend it.
    message: &'a str,
}

impl MlflowRefusal<'_> {
    /// The body of a refusal.
    pub fn body(problem: &Problem) -> Vec<u8> {
        let error_code = match problem.kind {
            "not_found" => "RESOURCE_DOES_NOT_EXIST",
            "already_exists" => "RESOURCE_ALREADY_EXISTS",
            "conflict" | "no_model" | "insufficient_data" => "INVALID_STATE",
            "forbidden" => "PERMISSION_DENIED",
            "unauthorized" => "UNAUTHENTICATED",
            "unavailable" => "TEMPORARILY_UNAVAILABLE",
            "timeout" => "DEADLINE_EXCEEDED",
            _ if problem.status < 500 => "INVALID_PARAMETER_VALUE",
            _ => "INTERNAL_ERROR",
        };
        // Two texts always serialise.
        serde_json::to_vec(&MlflowRefusal { error_code, message: &problem.detail }).unwrap_or_default()
    }
}

/// A field that is wrong.
pub fn invalid(field: &str, detail: impl Into<String>) -> Problem {
    Problem::invalid(field, detail)
}

/// No series has this name, whatever it looks like.
pub fn unknown_model(name: &str) -> Problem {
    let shown: String = name.chars().take(100).collect();
    let detail = format!("there is no registered model `{shown}`: every series is one");
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
}

/// It is there already.
pub fn exists(name: &str) -> Problem {
    let detail = format!("the registered model `{name}` is there already: every series is one");
    Problem::new(StatusCode::BAD_REQUEST, "already_exists", "Exists already", detail)
}
