//! What admission is told of a request: its class, the time it has, and how a refusal is worded.

use std::time::Duration;

use axum::http::Method;
use axum::http::header::{HeaderMap, HeaderName};
use forewatt_service::admission::{Class, Refusal};
use forewatt_service::{Error, ErrorKind};

use crate::error::Problem;
use crate::grpc::edge;

/// The time that the caller gives, in milliseconds.
const TIMEOUT_MS: HeaderName = HeaderName::from_static("x-request-timeout-ms");
/// The time that the caller gives, in seconds.
const TIMEOUT_S: HeaderName = HeaderName::from_static("request-timeout");
/// How urgent the caller says it is (RFC 9218).
const PRIORITY: HeaderName = HeaderName::from_static("priority");

/// Routes that answer even a full server's prober.
const PROBES: [&str; 5] =
    ["/health/live", "/health/ready", "/metrics", "/v2/health/live", "/v2/health/ready"];
/// Many questions at once, or much data.
const BATCH: [&str; 7] = [
    "/v1/forecasts:batch",
    "/v1/compare",
    "/v1/series/{name}/forecast:reconciled",
    "/v1/series/{name}/models:import",
    "/forewatt.v1.ForecastService/BatchForecasts",
    "/forewatt.v1.ObservationService/WriteObservations",
    "/inference.GRPCInferenceService/ModelStreamInfer",
];
/// What may be done later.
const BACKGROUND: [&str; 3] =
    ["/v1/train", "/v2/repository/models/{model}/load", "/forewatt.v1.ModelService/TrainModel"];

/// The class of a request; none for probes, which are always answered. A caller may lower it by `Priority` (RFC 9218:
/// `u=0` to `u=7`, 3 when absent, 7 for the background) and never raise it.
#[must_use]
pub fn class(route: &str, method: &Method, headers: &HeaderMap) -> Option<Class> {
    if PROBES.contains(&route) || edge::PROBES.contains(&route) {
        return None;
    }
    let writes = route == "/v1/series/{name}/observations" && !method.is_safe();
    let by_route = if BACKGROUND.contains(&route) {
        Class::Background
    } else if BATCH.contains(&route) || writes {
        Class::Batch
    } else {
        Class::Interactive
    };
    Some(by_route.max(by_caller(headers)))
}

/// What the caller says. As the standard asks, what cannot be read is passed over.
fn by_caller(headers: &HeaderMap) -> Class {
    let text = headers.get(PRIORITY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let urgency = text.split(',').find_map(|part| part.trim().strip_prefix("u="));
    match urgency.and_then(|digits| digits.split(';').next()?.trim().parse::<u8>().ok()) {
        Some(4..=6) => Class::Batch,
        Some(7) => Class::Background,
        _ => Class::Interactive,
    }
}

/// The time the caller gives: `X-Request-Timeout-Ms: 250`, or `Request-Timeout: 0.25` in seconds; the shorter of both.
///
/// # Errors
/// 400 when a header is not a positive number.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let read = |name: &HeaderName, unit: f64| {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let number = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
        let time = number.filter(|number| *number > 0.0);
        match time.and_then(|number| Duration::try_from_secs_f64(number * unit).ok()) {
            Some(time) => Ok(Some(time)),
            None => Err(Problem::invalid(format!("header.{name}"), "is not a positive number such as 250")),
        }
    };
    let (ms, s) = (read(&TIMEOUT_MS, 1e-3)?, read(&TIMEOUT_S, 1.0)?);
    Ok(ms.into_iter().chain(s).min())
}

/// A refusal in words; the answer carries `Retry-After`, over gRPC a push-back.
#[must_use]
pub fn refused(refusal: Refusal) -> Problem {
    let detail = match refusal {
        Refusal::Full => "the server is busy and as many requests wait as may: try again",
        Refusal::Late => {
            "the server is busy and this request's turn would come too late: try again, or give more time"
        }
    };
    Problem::from(Error::new(ErrorKind::Unavailable, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.clone(), value.parse().unwrap())])
    }

    #[test]
    fn routes_have_classes_and_callers_may_lower_them() {
        let of = |route, method, priority: &str| class(route, &method, &headers(&PRIORITY, priority));
        assert_eq!(of("/v1/series/{name}/forecast", Method::GET, ""), Some(Class::Interactive));
        assert_eq!(of("/v1/series/{name}/observations", Method::GET, ""), Some(Class::Interactive));
        assert_eq!(of("/v1/series/{name}/observations", Method::POST, ""), Some(Class::Batch));
        assert_eq!(of("/v1/train", Method::POST, "u=0"), Some(Class::Background), "never raised");
        assert_eq!(of("/v1/models", Method::GET, "u=5, i"), Some(Class::Batch));
        assert_eq!(of("/v1/models", Method::GET, "i, u=7"), Some(Class::Background));
        assert_eq!(of("/v1/models", Method::GET, "u=99"), Some(Class::Interactive));
        assert_eq!(of("/health/live", Method::GET, "u=7"), None);
        assert_eq!(of("/grpc.health.v1.Health/Check", Method::POST, ""), None);
    }

    #[test]
    fn classes_name_routes_that_exist() {
        let known = crate::http::openapi::paths();
        let rest = BATCH.iter().chain(&BACKGROUND).chain(&PROBES).filter(|r| !r.contains("Service/"));
        for route in rest {
            assert!(known.iter().any(|path| path == route), "{route}");
        }
    }

    #[test]
    fn times_are_read_or_refused() {
        let ms = |text: &str| timeout(&headers(&TIMEOUT_MS, text));
        assert_eq!(ms("250").unwrap(), Some(Duration::from_millis(250)));
        assert_eq!(timeout(&headers(&TIMEOUT_S, "0.5")).unwrap(), Some(Duration::from_millis(500)));
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        for wrong in ["", "soon", "0", "-1", "NaN", "inf", "1e300"] {
            assert!(ms(wrong).unwrap_err().detail.contains("x-request-timeout-ms"), "{wrong}");
        }
    }
}
