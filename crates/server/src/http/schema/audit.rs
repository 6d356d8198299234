//! The lines of the audit log.

use utoipa::ToSchema;

documents! {
/// The audit log, newest first.
pub struct AuditDocument {
    /// Its lines.
    entries: Vec<AuditLineDocument>,
}

/// A change, or a refusal.
pub struct AuditLineDocument {
    /// When (RFC 3339).
    at: String,
    /// Who: a key by its id and name, `anonymous`, a job, a user of the command line.
    actor: String,
    /// What was asked for: a method and a route, a command.
    action: String,
    /// The status, or why it was refused.
    outcome: String,
    /// The series that was changed.
    series: Option<String>,
    /// SHA-256 of the series before: its description, state and aliases; absent when there was none.
    before: Option<String>,
    /// The same afterwards.
    after: Option<String>,
    /// Under which the server's log knows the request; empty on the command line.
    request_id: String,
    /// How many like it this line stands for.
    count: u32,
}
}
