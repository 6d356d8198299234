//! How long browsers and caches in front may keep a forecast (RFC 9111, RFC 5861, RFC 9213).

use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use forewatt_service::config::CdnConfig;

const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");

/// Tells an answer's caches how long they may keep it. Where nothing is configured it stays as it was: kept, but asked
/// about each time.
pub fn allow(response: &mut Response, config: &CdnConfig) {
    let headers = response.headers_mut();
    if config.client_max_age_s > 0 || config.client_stale_while_revalidate_s > 0 {
        let (fresh, stale) = (config.client_max_age_s, config.client_stale_while_revalidate_s);
        insert(headers, CACHE_CONTROL, &format!("max-age={fresh}, stale-while-revalidate={stale}"));
    }
    if config.max_age_s > 0 {
        let CdnConfig { max_age_s, stale_while_revalidate_s, stale_if_error_s, .. } = config;
        let text = format!(
            "max-age={max_age_s}, stale-while-revalidate={stale_while_revalidate_s}, stale-if-error={stale_if_error_s}"
        );
        insert(headers, CDN_CACHE_CONTROL, &text);
    }
}

fn insert(headers: &mut axum::http::HeaderMap, name: HeaderName, text: &str) {
    // Words and numbers of our own are always a header value.
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
