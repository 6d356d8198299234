//! Counts requests and times them, by route template, method and status.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use axum::http::{Method, StatusCode};
use metrics::{Counter, Histogram, Label, SharedString};

/// The word for requests that no route matched: paths of strangers must not become label values.
pub const UNMATCHED: &str = "unmatched";

/// The meters of one combination of labels.
#[derive(Clone)]
struct Meter {
    requests: Counter,
    seconds: Histogram,
}

/// Meters that were used before. Asking the recorder anew would build and hash three labels for every request.
#[derive(Default)]
pub struct Meters {
    known: RwLock<HashMap<Box<str>, HashMap<MethodStatus, Meter>>>,
}

type MethodStatus = (&'static str, u16);

impl Meters {
    /// Counts a request that has been answered.
    pub fn record(&self, method: &Method, route: &str, status: StatusCode, seconds: f64) {
        let key = (method_label(method), status.as_u16());
        let meter = self.known(route, key).unwrap_or_else(|| self.add(route, key));
        meter.requests.increment(1);
        meter.seconds.record(seconds);
    }

    fn known(&self, route: &str, key: MethodStatus) -> Option<Meter> {
        // A poisoned lock only means that another thread panicked while adding: the map is whole.
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(route)?.get(&key).cloned()
    }

    /// Routes, methods and statuses are all bounded, so the map is too.
    fn add(&self, route: &str, (method, status): MethodStatus) -> Meter {
        let labels = [
            Label::from_static_parts("method", method),
            Label::new("route", SharedString::from_owned(route.to_owned())),
            Label::new("status", SharedString::from_owned(status.to_string())),
        ];
        let meter = Meter {
            requests: metrics::counter!("forewatt_http_requests_total", labels.iter()),
            seconds: metrics::histogram!("forewatt_http_request_duration_seconds", labels[..2].iter()),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(route.into()).or_default().insert((method, status), meter.clone());
        meter
    }
}

/// Known methods by name; whatever else a stranger writes is one word.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
