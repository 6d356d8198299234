//! URLs with places to be filled in: the window of time, and a token that is kept out of the store.

use std::env;

use forewatt_domain::Time;
use forewatt_domain::time::MICROS_PER_HOUR;

use super::SourceSpec;
use crate::error::{Error, Result};

/// Only variables that begin so are read: a source must not send others to a place of its choice.
const TOKEN_PREFIX: &str = "FOREWATT_SOURCE_";
const PLACES: [&str; 5] = ["{from}", "{to}", "{from_date}", "{to_date}", "{token}"];

/// Refuses places that are none, and a token that has no home.
pub(super) fn check(spec: &SourceSpec) -> Result<()> {
    if without_places(&spec.url).contains(['{', '}']) {
        return Err(Error::invalid(format!("the URL has a place that is none of {}", PLACES.join(" "))));
    }
    // In the host or before it a place could lead anywhere.
    let path_at = spec.url.split_once("://").and_then(|(_, rest)| rest.find(['/', '?']));
    let host = spec.url.split_once("://").map_or("", |(_, rest)| &rest[..path_at.unwrap_or(rest.len())]);
    if host.contains('{') {
        return Err(Error::invalid("the URL has a place in its host: fill it in"));
    }
    match (&spec.token_env, spec.url.contains("{token}")) {
        (None, true) => Err(Error::invalid(format!(
            "the URL has {{token}}: name the environment variable that holds it, {TOKEN_PREFIX}..."
        ))),
        (Some(_), false) => Err(Error::invalid("a token is named, but the URL has no {token}")),
        (Some(name), true) if !is_ours(name) => Err(Error::invalid(format!(
            "`{name}` is no variable for a token: its name begins with {TOKEN_PREFIX} and goes on in A-Z 0-9 _"
        ))),
        _ => Ok(()),
    }
}

fn is_ours(name: &str) -> bool {
    let rest = name.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The URL with something harmless in each place.
pub(super) fn without_places(url: &str) -> String {
    PLACES.iter().fold(url.to_owned(), |url, place| url.replace(place, "x"))
}

/// The URL to call now.
pub(super) fn filled(spec: &SourceSpec, now: Time) -> Result<String> {
    let token = match &spec.token_env {
        None => String::new(),
        Some(name) => env::var(name).map_err(|_| {
            Error::invalid(format!(
                "the environment variable {name} of the source `{}` is not set",
                spec.name
            ))
        })?,
    };
    Ok(with_window(spec, now).replace("{token}", &escaped(&token)))
}

/// Whole hours: an answer asked for twice within one can be the same.
fn with_window(spec: &SourceSpec, now: Time) -> String {
    let hour = now.micros().div_euclid(MICROS_PER_HOUR) * MICROS_PER_HOUR;
    let from = Time::from_micros(hour - i64::from(spec.past_hours) * MICROS_PER_HOUR);
    let to = Time::from_micros(hour + i64::from(spec.ahead_hours) * MICROS_PER_HOUR);
    let written = |time: Time, how: &str| time.timestamp().strftime(how).to_string();
    spec.url
        .replace("{from}", &written(from, "%Y%m%d%H%M"))
        .replace("{to}", &written(to, "%Y%m%d%H%M"))
        .replace("{from_date}", &written(from, "%Y-%m-%d"))
        .replace("{to_date}", &written(to, "%Y-%m-%d"))
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 section 2.3).
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.trim()
        .bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::SourceKind;

    fn spec(url: &str, token_env: Option<&str>) -> SourceSpec {
        SourceSpec {
            name: "prices".parse().unwrap(),
            kind: SourceKind::Entsoe,
            url: url.to_owned(),
            series: [("price".to_owned(), "es.price".parse().unwrap())].into(),
            every_seconds: 3_600,
            past_hours: 24,
            ahead_hours: 48,
            token_env: token_env.map(str::to_owned),
        }
    }

    #[test]
    fn the_window_is_filled_in() {
        let now: Time = "2026-03-01T00:59:00Z".parse().unwrap();
        let filled = with_window(&spec("https://h/api?a={from}&b={to}&c={from_date}&d={to_date}", None), now);
        assert_eq!(filled, "https://h/api?a=202602280000&b=202603030000&c=2026-02-28&d=2026-03-03");
        assert_eq!(escaped(" a/b c&d "), "a%2Fb%20c%26d");
    }

    #[test]
    fn places_and_tokens_are_held_to_their_rules() {
        assert!(check(&spec("https://h/?t={token}", Some("FOREWATT_SOURCE_ENTSOE"))).is_ok());
        for (url, token, told) in [
            ("https://h/?t={token}", None, "name the environment variable"),
            ("https://h/?t={token}", Some("PGPASSWORD"), "begins with FOREWATT_SOURCE_"),
            ("https://h/?t={token}", Some("FOREWATT_SOURCE_"), "begins with FOREWATT_SOURCE_"),
            ("https://h/", Some("FOREWATT_SOURCE_X"), "no {token}"),
            ("https://h/{until}", None, "none of"),
            ("https://{token}/x", Some("FOREWATT_SOURCE_X"), "in its host"),
        ] {
            let refused = check(&spec(url, token)).unwrap_err().message;
            assert!(refused.contains(told), "{url}: {refused}");
        }
    }
}
