//! Writing answers: JSON, ready-made bytes, entity tags.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use forewatt_service::Error;
use forewatt_service::cache::Answer;
use serde::Serialize;

use crate::error::{HttpResult, Problem};

/// Clients and proxies may keep it but must ask whether it is still the answer: new data change it at any time.
pub const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// It is about this moment and must not be kept.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Who answered for a champion that could not: `last-good` or `seasonal-empirical`.
pub const FALLBACK: HeaderName = HeaderName::from_static("forewatt-fallback");
/// `true` when the document's `degraded` tells what is not as it should be.
pub const DEGRADED: HeaderName = HeaderName::from_static("forewatt-degraded");
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");

/// 200 with a JSON document that must not be kept.
///
/// # Errors
/// 500 when the value cannot be written as JSON.
pub fn json<T: Serialize>(value: &T) -> HttpResult {
    json_with_status(StatusCode::OK, value)
}

/// A JSON document under a status.
///
/// # Errors
/// 500 when the value cannot be written as JSON.
pub fn json_with_status<T: Serialize>(status: StatusCode, value: &T) -> HttpResult {
    let body = serde_json::to_vec(value).map_err(|error| {
        Problem::from(Error::internal(format!("the answer could not be written as JSON: {error}")))
    })?;
    Ok((status, [(CONTENT_TYPE, APPLICATION_JSON), (CACHE_CONTROL, NO_STORE)], body).into_response())
}

/// Ready-made JSON under its entity tag, or 304 when the client holds it already.
///
/// # Errors
/// 500 when the tag or the key is not a header value.
pub fn tagged_json(held: &Held, json: Bytes, etag: &str, surrogate_key: &str) -> HttpResult {
    let value = |text: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| Problem::from(Error::internal(format!("`{text}` is not a header value"))))
    };
    let tags = [(ETAG, value(etag)?), (CACHE_CONTROL, REVALIDATE), (SURROGATE_KEY, value(surrogate_key)?)];
    if held.has(etag) {
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    Ok((tags, [(CONTENT_TYPE, APPLICATION_JSON)], json).into_response())
}

/// Says who answered when it was not the champion, and whether anything else is not as it should be.
pub fn label(response: &mut Response, answer: &Answer) {
    let headers = response.headers_mut();
    if let Some(rung) = answer.rung.label() {
        headers.insert(FALLBACK, HeaderValue::from_static(rung));
    }
    if answer.forecast.degraded.is_some() {
        headers.insert(DEGRADED, HeaderValue::from_static("true"));
    }
}

/// The entity tags a client holds: its `If-None-Match`, taken without copying the other headers.
pub struct Held(Vec<HeaderValue>);

impl<S: Send + Sync> FromRequestParts<S> for Held {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.headers.get_all(IF_NONE_MATCH).iter().cloned().collect()))
    }
}

impl Held {
    /// Whether the client holds the content with this tag (weak comparison, RFC 9110 section 13.1.2).
    #[must_use]
    pub fn has(&self, etag: &str) -> bool {
        let mut lists = self.0.iter().filter_map(|value| value.to_str().ok());
        lists.any(|list| {
            list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        let held = |text: &'static str| Held(vec![HeaderValue::from_static(text)]).has("\"a\"");
        assert!(held("\"a\"") && held("W/\"a\"") && held("\"b\", \"a\"") && held("*"));
        assert!(!held("\"b\"") && !held("a") && !held(""));
        assert!(!Held(Vec::new()).has("\"a\""));
    }
}
