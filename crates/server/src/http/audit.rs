//! `GET /v1/audit`: who changed what, and who was refused.

use axum::extract::State;
use forewatt_service::AuditEntry;
use serde::Serialize;

use crate::error::{HttpResult, Problem};
use crate::http::extract::Params;
use crate::http::{AppState, reply};

/// Lines in one answer when the request names no limit.
const LIMIT_DEFAULT: u32 = 1_000;

#[derive(Serialize)]
struct Lines {
    entries: Vec<AuditEntry>,
}

/// The audit log, newest first. Needs the scope `admin`.
#[utoipa::path(get, path = "/v1/audit", tag = "operations",
    params(
        ("since" = Option<String>, Query, description = "Only from this instant on (RFC 3339)."),
        ("limit" = Option<u32>, Query, description = "At most this many.", minimum = 1),
    ),
    responses(
        (status = 200, description = "`{\"entries\": [..]}`.", body = crate::http::schema::AuditDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(State(app): State<AppState>, params: Params) -> HttpResult {
    let mut params = params.only(&["since", "limit"]);
    let since = params.time("since");
    let limit = params.count("limit", app.service.config().limits.list_max).unwrap_or(LIMIT_DEFAULT);
    params.finish()?;
    reply::json(&Lines { entries: app.service.list_audit(since, Some(limit)).await? })
}
