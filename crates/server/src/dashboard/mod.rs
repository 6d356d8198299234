//! The page at `/`, the API's description at `/docs`, and their scripts: all carried in the executable.

use std::io::Write;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, VARY};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::AppState;
use crate::http::openapi::content_tag;
use crate::http::pack::takes_gzip;
use crate::http::reply::Held;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CSS: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");
const SVG: HeaderValue = HeaderValue::from_static("image/svg+xml");
/// Small files are asked for anew each time (304 when unchanged), so that a new version shows at once.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");
/// The chart library changes only with the executable and is large: a week, then one question.
const A_WEEK: HeaderValue = HeaderValue::from_static("public, max-age=604800");

/// A file in the executable.
struct Asset {
    path: &'static str,
    content_type: HeaderValue,
    text: &'static str,
}

const ASSETS: [Asset; 12] = [
    Asset { path: "/", content_type: HTML, text: include_str!("assets/index.html") },
    Asset { path: "/docs", content_type: HTML, text: include_str!("assets/docs.html") },
    Asset { path: "/assets/style.css", content_type: CSS, text: include_str!("assets/style.css") },
    Asset { path: "/assets/docs.css", content_type: CSS, text: include_str!("assets/docs.css") },
    Asset { path: "/assets/icon.svg", content_type: SVG, text: include_str!("assets/icon.svg") },
    Asset { path: "/assets/api.js", content_type: SCRIPT, text: include_str!("assets/api.js") },
    Asset { path: "/assets/app.js", content_type: SCRIPT, text: include_str!("assets/app.js") },
    Asset { path: "/assets/charts.js", content_type: SCRIPT, text: include_str!("assets/charts.js") },
    Asset { path: "/assets/docs.js", content_type: SCRIPT, text: include_str!("assets/docs.js") },
    Asset { path: "/assets/panels.js", content_type: SCRIPT, text: include_str!("assets/panels.js") },
    Asset { path: "/assets/picker.js", content_type: SCRIPT, text: include_str!("assets/picker.js") },
    Asset { path: "/assets/time.js", content_type: SCRIPT, text: include_str!("assets/time.js") },
];

/// The chart library, as it is and packed, with its entity tag.
struct Plotly {
    plain: Bytes,
    packed: Bytes,
    etag: String,
}

/// Cut out of the HTML that the plotly crate offers, and packed, when the first page asks for it.
static PLOTLY: LazyLock<Plotly> = LazyLock::new(|| {
    let html = plotly::Plot::offline_js_sources();
    // The crate writes `<script ..>plotly</script> <script ..>mathjax</script>`; only the first is needed.
    let script = html
        .split_once('>')
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .map_or("", |(script, _)| script);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing to memory does not fail; were it to, the packed copy is left empty and the plain one is sent.
    let packed = packer.write_all(script.as_bytes()).and_then(|()| packer.finish()).unwrap_or_default();
    Plotly { etag: content_tag(script.as_bytes()), plain: script.to_owned().into(), packed: packed.into() }
});

/// The routes of the page. The small files are packed by the middleware when the client asks for it.
pub fn routes() -> Router<AppState> {
    let mut router = Router::new().route("/assets/plotly.min.js", get(plotly_script));
    for asset in ASSETS {
        let etag = content_tag(asset.text.as_bytes());
        let handler = move |held: Held| {
            let body = Bytes::from_static(asset.text.as_bytes());
            let answer = answer(&held, &etag, &asset.content_type, &ASK, body);
            std::future::ready(answer)
        };
        router = router.route(asset.path, get(handler));
    }
    router
}

/// A body under its tag, or 304.
fn answer(held: &Held, etag: &str, content_type: &HeaderValue, cache: &HeaderValue, body: Bytes) -> Response {
    // Tags are quoted hex digits and always header values.
    let tag = HeaderValue::from_str(etag).unwrap_or(HeaderValue::from_static("\"\""));
    let tags = [(ETAG, tag), (CACHE_CONTROL, cache.clone())];
    if held.has(etag) {
        return (StatusCode::NOT_MODIFIED, tags).into_response();
    }
    (tags, [(CONTENT_TYPE, content_type.clone())], body).into_response()
}

/// The chart library; packed once, not for every reader.
async fn plotly_script(held: Held, headers: HeaderMap) -> Response {
    // The first call packs 4.6 MB: that would hold up the other requests of this thread.
    let ready = tokio::task::spawn_blocking(|| &*PLOTLY).await;
    let Ok(plotly) = ready else {
        return crate::error::Problem::from(forewatt_service::Error::internal(
            "the chart library cannot be unpacked",
        ))
        .into_response();
    };
    let packed = takes_gzip(&headers) && !plotly.packed.is_empty();
    let body = if packed { plotly.packed.clone() } else { plotly.plain.clone() };
    let mut response = answer(&held, &plotly.etag, &SCRIPT, &A_WEEK, body);
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept-encoding"));
    if packed && response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_library_is_one_whole_script() {
        let text = std::str::from_utf8(&PLOTLY.plain).unwrap();
        assert!(text.len() > 1_000_000 && text.contains("plotly.js v"));
        assert!(!text.contains("<script"), "only the first script, without its tags");
        assert!(!text.contains("MathJax.version ="), "without the formula typesetter");
        assert!(PLOTLY.packed.len() < PLOTLY.plain.len() / 2);
    }

    #[test]
    fn pages_have_no_inline_script_and_nothing_from_elsewhere() {
        for asset in &ASSETS {
            let text = asset.text;
            for scheme in ["http://", "https://", "//cdn"] {
                let found = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!found.contains(scheme), "{} names {scheme}", asset.path);
            }
            if asset.content_type == HTML {
                assert!(
                    !text.contains("<script>") && !text.contains(" onclick=") && !text.contains(" style="),
                    "{}",
                    asset.path
                );
                for link in text.split("=\"/assets/").skip(1).filter_map(|rest| rest.split('"').next()) {
                    assert!(ASSETS.iter().any(|a| a.path == format!("/assets/{link}")), "{link}");
                }
            }
        }
    }
}
