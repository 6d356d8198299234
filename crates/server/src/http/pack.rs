//! Packs large text with gzip for clients that take it.
//!
//! Every answer here is whole in memory, so packing is one call and not a stream; small answers and clients without
//! gzip (programs on the same machine) pay nothing for it.

use std::io::Write as _;

use axum::body::{Body, HttpBody as _};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::response::Response;

/// Answers shorter than this are not packed: it would cost more than it saves. In bytes.
const PACK_MIN_BYTES: u64 = 2_048;
/// Answers longer than this are packed on a thread of their own, not on one that serves. In bytes.
const PACK_HERE_MAX_BYTES: usize = 128 * 1024;
/// The end of the entity tag of a packed answer: other bytes need another strong tag.
const GZIP_TAG_END: &str = "-gzip\"";

/// Whether `Accept-Encoding` takes gzip (RFC 9110 section 12.5.3).
#[must_use]
pub fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = || headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let weight = |wanted: &str| {
        let mut parts = values().flat_map(|list| list.split(',')).filter_map(|part| {
            let (coding, rest) = part.split_once(';').unwrap_or((part, ""));
            let coding = coding.trim();
            coding.eq_ignore_ascii_case(wanted).then(|| {
                let q = rest.trim().strip_prefix("q=").or_else(|| rest.trim().strip_prefix("Q="));
                q.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0))
            })
        });
        parts.next()
    };
    weight("gzip").or_else(|| weight("*")).is_some_and(|q| q > 0.0)
}

/// Packs an answer that is large and text, for a client that takes gzip.
pub async fn pack(response: Response, client_takes_gzip: bool) -> Response {
    if !is_large_text(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !client_takes_gzip {
        return Response::from_parts(parts, body);
    }
    // The body is whole in memory and its length was known above, so collecting it neither waits nor fails.
    let plain = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let packed = if plain.len() > PACK_HERE_MAX_BYTES {
        let plain = plain.clone();
        tokio::task::spawn_blocking(move || gzip(&plain)).await.ok().flatten()
    } else {
        gzip(&plain)
    };
    let Some(packed) = packed else { return Response::from_parts(parts, Body::from(plain)) };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH); // hyper counts the new body
    if let Some(tag) = parts.headers.get(header::ETAG).and_then(packed_tag) {
        parts.headers.insert(header::ETAG, tag);
    }
    Response::from_parts(parts, Body::from(packed))
}

fn is_large_text(response: &Response) -> bool {
    let headers = response.headers();
    let media = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let text = media.starts_with(b"application/json") || media.starts_with(b"text/");
    text && !headers.contains_key(header::CONTENT_ENCODING)
        && response.body().size_hint().exact().is_some_and(|bytes| bytes >= PACK_MIN_BYTES)
}

fn gzip(plain: &[u8]) -> Option<Vec<u8>> {
    let mut packer =
        flate2::write::GzEncoder::new(Vec::with_capacity(plain.len() / 4), flate2::Compression::fast());
    packer.write_all(plain).and_then(|()| packer.finish()).ok()
}

fn packed_tag(tag: &HeaderValue) -> Option<HeaderValue> {
    let bare = tag.to_str().ok()?.strip_suffix('"')?;
    HeaderValue::try_from(format!("{bare}{GZIP_TAG_END}")).ok()
}

/// Whether the client asks with the tag of a packed answer.
#[must_use]
pub fn holds_packed(headers: &HeaderMap) -> bool {
    let held = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    held.is_some_and(|text| text.contains(GZIP_TAG_END))
}

/// A client that holds the packed answer holds the same content: handlers see the tag without its `-gzip`.
pub fn forget_packed_tag(headers: &mut HeaderMap) {
    let Some(text) = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()) else { return };
    if let Ok(plain) = HeaderValue::try_from(text.replace(GZIP_TAG_END, "\"")) {
        headers.insert(header::IF_NONE_MATCH, plain);
    }
}

/// The 304 of a client that asked with a packed tag names that tag again.
pub fn restore_packed_tag(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(header::ETAG).and_then(packed_tag) {
        headers.insert(header::ETAG, tag);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_decide_whether_gzip_is_taken() {
        let takes = |text: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(text))]))
        };
        for yes in
            ["gzip", "br, gzip", "GZIP;q=0.5", "*", "identity;q=0.1, *;q=0.5", "deflate, gzip;q=1.0, *;q=0"]
        {
            assert!(takes(yes), "{yes}");
        }
        for no in ["", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzip;q=x", "identity"] {
            assert!(!takes(no), "{no}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
