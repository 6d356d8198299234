//! Reading requests: strict query parameters, names in paths, bounded JSON and gzip bodies.

use std::io::Read;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use forewatt_service::domain::{SeriesName, Time};
use forewatt_service::series::nearest;
use serde::de::DeserializeOwned;

use crate::error::{FieldError, HttpResult, Problem};
use crate::http::AppState;

/// The largest JSON body that describes work (not data), in bytes.
const JSON_BODY_MAX_BYTES: usize = 1 << 20;
/// How many parts of a wrong request are named in one answer.
const FIELD_ERRORS_MAX: usize = 20;

/// The query string: each name once, only names the route knows; wrong values are collected, so that one answer names all.
pub struct Params {
    pairs: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if parts.uri.query().is_none_or(str::is_empty) {
            return Ok(Self { pairs: Vec::new(), errors: Vec::new() });
        }
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(pairs)) => Ok(Self { pairs, errors: Vec::new() }),
            Err(rejection) => Err(Problem::invalid("query", rejection.body_text())),
        }
    }
}

impl Params {
    /// Refuses parameters the route does not know, and any given twice.
    #[must_use]
    pub fn only(mut self, known: &[&str]) -> Self {
        for (i, (name, _)) in self.pairs.iter().enumerate() {
            let detail = if !known.contains(&name.as_str()) {
                unknown_parameter(known, name)
            } else if self.pairs[..i].iter().any(|(earlier, _)| earlier == name) {
                "is given twice: give it once".to_owned()
            } else {
                continue;
            };
            self.errors.push(FieldError { field: format!("query.{name}"), detail });
        }
        self
    }

    /// The value of a parameter as it was written; an empty value counts as absent.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let found = self.pairs.iter_mut().find(|(known, _)| known == name)?;
        let value = std::mem::take(&mut found.1);
        (!value.is_empty()).then_some(value)
    }

    /// A parameter read by a function of the domain; a failure is kept for [`Params::finish`].
    pub fn parsed<T, E: std::fmt::Display>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.errors.push(FieldError { field: format!("query.{name}"), detail: error.to_string() });
                None
            }
        }
    }

    /// An instant in RFC 3339. A `+` in a query string means a blank, so a blank before the offset is forgiven.
    pub fn time(&mut self, name: &str) -> Option<Time> {
        self.parsed(name, |text| text.replace(' ', "+").parse::<Time>())
    }

    /// A finite number.
    pub fn number(&mut self, name: &str) -> Option<f64> {
        self.parsed(name, |text| match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => Err(format!("`{text}` is not a finite number such as 12.5")),
        })
    }

    /// A whole number from 1 to `max`.
    pub fn count(&mut self, name: &str, max: u32) -> Option<u32> {
        self.parsed(name, |text| match text.parse::<u32>() {
            Ok(value) if (1..=max).contains(&value) => Ok(value),
            _ => Err(format!("`{text}` is not a whole number from 1 to {max}")),
        })
    }

    /// Anything that reads itself from text.
    pub fn read<T: FromStr<Err: std::fmt::Display>>(&mut self, name: &str) -> Option<T> {
        self.parsed(name, T::from_str)
    }

    /// Keeps a fault that only the handler can see.
    pub fn fault(&mut self, name: &str, detail: &str) {
        self.errors.push(FieldError { field: format!("query.{name}"), detail: detail.to_owned() });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// 400 that names every parameter that was wrong.
    pub fn finish(mut self) -> HttpResult<()> {
        if self.errors.is_empty() {
            return Ok(());
        }
        self.errors.truncate(FIELD_ERRORS_MAX);
        Err(Problem::invalid_fields(self.errors))
    }
}

/// What to say of a parameter the route does not know.
fn unknown_parameter(known: &[&str], name: &str) -> String {
    let shown: String = name.chars().take(60).collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("`{shown}` is not known here; did you mean `{near}`?"),
        None if known.is_empty() => format!("`{shown}` is not known here: this route takes no parameters"),
        None => format!("`{shown}` is not known here; known are {}", known.join(", ")),
    }
}

/// The name of a series in the path.
pub struct SeriesPath(pub SeriesName);

impl<S: Send + Sync> FromRequestParts<S> for SeriesPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let TextPath(text) = TextPath::from_request_parts(parts, state).await?;
        let name = text.parse().map_err(|error| Problem::invalid("path.name", format!("{error}")))?;
        Ok(Self(name))
    }
}

/// The one parameter of the path, percent-decoded.
pub struct TextPath(pub String);

impl<S: Send + Sync> FromRequestParts<S> for TextPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) => Ok(Self(text)),
            Err(rejection) => Err(Problem::invalid("path", rejection.body_text())),
        }
    }
}

/// A JSON body that describes work: at most 1 MiB, `Content-Type: application/json`.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Problem> {
        let media = media_type(request.headers());
        if media != "application/json" {
            return Err(unsupported_media_type(&media, "application/json"));
        }
        let body = body_bytes(request, state, JSON_BODY_MAX_BYTES).await?;
        parse_json(&body).map(Self)
    }
}

/// Reads JSON and says where it is wrong.
///
/// # Errors
/// 400 with line, column and what was expected.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> HttpResult<T> {
    if body.is_empty() {
        return Err(Problem::invalid("body", "is empty: send a JSON document"));
    }
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid("body", format!("is not the JSON expected: {error}")))
}

/// The media type of `Content-Type` in lower case, without its parameters; empty when absent.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// 415 with what would be read.
pub fn unsupported_media_type(found: &str, wanted: &str) -> Problem {
    let found =
        if found.is_empty() { "no Content-Type".to_owned() } else { format!("Content-Type `{found}`") };
    let detail = format!("{found} was sent: send the body as {wanted}");
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Unsupported media type",
        detail,
    )
}

/// The whole body, unpacked when it came gzipped; `max_bytes` bounds it as sent, the state's limits bound it unpacked.
///
/// # Errors
/// 413 beyond a limit, 415 for other encodings, 400 for broken gzip or a connection that broke off.
pub async fn body_bytes(request: Request, state: &AppState, max_bytes: usize) -> HttpResult<Bytes> {
    let encoding = request.headers().get(CONTENT_ENCODING).map(|v| v.as_bytes().to_ascii_lowercase());
    let max_bytes = max_bytes.min(state.options.body_max_bytes);
    let body = limited_body(request, max_bytes).await?;
    match encoding.as_deref() {
        None | Some(b"" | b"identity") => Ok(body),
        Some(coding @ (b"gzip" | b"x-gzip" | b"deflate")) => {
            let deflated = coding == b"deflate";
            let inflated_max_bytes = state.options.body_max_bytes;
            // Unpacking is pure computation: it must not hold up the other requests of this thread.
            tokio::task::spawn_blocking(move || inflate(&body, deflated, inflated_max_bytes))
                .await
                .map_err(|_| Problem::invalid("body", "could not be unpacked"))?
        }
        Some(other) => {
            let found = String::from_utf8_lossy(other).into_owned();
            let detail =
                format!("Content-Encoding `{found}` is not read here: send gzip, deflate or identity");
            Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Unsupported media type",
                detail,
            ))
        }
    }
}

/// The body as it was sent, up to a limit.
async fn limited_body(mut request: Request, max_bytes: usize) -> HttpResult<Bytes> {
    DefaultBodyLimit::max(max_bytes).apply(&mut request);
    Bytes::from_request(request, &()).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::too_large(max_bytes)
        } else {
            Problem::invalid("body", "broke off before its end: send it again")
        }
    })
}

/// Unpacks gzip, or deflate (which over HTTP is zlib: RFC 9110 section 8.4.1.2), up to a limit, so that a small bomb
/// cannot fill the memory.
fn inflate(packed: &[u8], deflated: bool, max_bytes: usize) -> HttpResult<Bytes> {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut unpacked = Vec::new();
    let read = if deflated {
        flate2::read::ZlibDecoder::new(packed).take(limit).read_to_end(&mut unpacked)
    } else {
        flate2::read::MultiGzDecoder::new(packed).take(limit).read_to_end(&mut unpacked)
    };
    read.map_err(|error| {
        let coding = if deflated { "deflate" } else { "gzip" };
        Problem::invalid("body", format!("is not intact {coding} ({error}): send it again"))
    })?;
    if unpacked.len() > max_bytes {
        return Err(Problem::too_large(max_bytes));
    }
    Ok(unpacked.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn params(query: &str) -> Params {
        let uri = format!("/x?{query}").parse().unwrap();
        let Query(pairs) = Query::try_from_uri(&uri).unwrap();
        Params { pairs, errors: Vec::new() }
    }

    #[test]
    fn unknown_and_repeated_parameters_are_all_named() {
        let problem = params("horizn=PT1H&as_of=x&as_of=y").only(&["horizon", "as_of"]).finish().unwrap_err();
        assert_eq!(problem.status, 400);
        assert!(problem.detail.contains("did you mean `horizon`"), "{}", problem.detail);
        assert!(problem.detail.contains("given twice"), "{}", problem.detail);
        assert_eq!(problem.errors.len(), 2);
    }

    #[test]
    fn values_are_read_or_told() {
        let mut p = params("t=2026-01-01T00:00:00+01:00&n=1.5&c=7");
        assert_eq!(p.time("t").unwrap().to_string(), "2025-12-31T23:00:00Z");
        assert_eq!(p.number("n"), Some(1.5));
        assert_eq!(p.count("c", 9), Some(7));
        assert!(p.finish().is_ok());

        let mut p = params("t=yesterday&n=inf&c=0&empty=");
        assert_eq!((p.time("t"), p.number("n"), p.count("c", 9), p.text("empty")), (None, None, None, None));
        assert_eq!(p.finish().unwrap_err().errors.len(), 3);
    }

    #[test]
    fn gzip_is_bounded_and_checked() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&vec![b'x'; 10_000]).unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(inflate(&packed, false, 10_000).unwrap().len(), 10_000);
        assert_eq!(inflate(&packed, false, 9_999).unwrap_err().status, 413);
        assert_eq!(inflate(&packed[..packed.len() - 9], false, 10_000).unwrap_err().status, 400);
        assert_eq!(inflate(b"not gzip", false, 100).unwrap_err().status, 400);
        let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&[b'x'; 1_000]).unwrap();
        let packed = packer.finish().unwrap();
        assert_eq!(inflate(&packed, true, 1_000).unwrap().len(), 1_000);
        assert_eq!(inflate(&packed, true, 999).unwrap_err().status, 413);
        assert_eq!(inflate(&packed, false, 1_000).unwrap_err().status, 400);
    }
}
