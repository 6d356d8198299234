//! The JSON body of `POST /v1/series/{name}/observations`, with positions in its errors.

use std::borrow::Cow;
use std::fmt;

use forewatt_domain::{Observation, Resolution, Time};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::ImportError;
use super::numbers::MAX_ABS;
use super::survey::RANGE;

/// The most observations one body may bring.
pub const JSON_MAX_OBSERVATIONS: usize = 100_000;

/// What a body's observations must suit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonTarget {
    /// The series' step.
    pub resolution: Resolution,
    /// Any valid time of the series, to which all others keep a whole number of steps; the body's first when `None`.
    pub anchor: Option<Time>,
    /// The most observations, at most [`JSON_MAX_OBSERVATIONS`].
    pub max_observations: usize,
}

/// Reads `{"observations": [{"valid_time": "2026-01-31T15:00:00Z", "value": 1.5, "available_at": "..."}]}`.
///
/// Without `available_at` a value is known when its period has ended. The order is kept.
///
/// # Errors
/// [`ImportError::Json`] with the position of the first fault. A body with a fault is refused as a whole.
pub fn parse_json(body: &[u8], target: &JsonTarget) -> Result<Vec<Observation>, ImportError> {
    let refuse = |problem: String| ImportError::Json { problem };
    let limit = target.max_observations.min(JSON_MAX_OBSERVATIONS);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let items = reader
        .deserialize_map(Body { limit })
        .and_then(|items| reader.end().map(|()| items))
        .map_err(|e| refuse(format!("{e}; expected {EXPECTED}")))?;
    let mut observations = Vec::with_capacity(items.len());
    let mut anchor = target.anchor;
    for (i, item) in items.iter().enumerate() {
        let observation = item
            .observation(target.resolution, &mut anchor)
            .map_err(|problem| refuse(format!("observations[{i}].{problem}")))?;
        observations.push(observation);
    }
    Ok(observations)
}

const EXPECTED: &str =
    r#"{"observations": [{"valid_time": "2026-01-31T15:00:00Z", "value": 1.5, "available_at": "..."}]}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    #[serde(borrow)]
    valid_time: Cow<'a, str>,
    value: f64,
    #[serde(borrow, default)]
    available_at: Option<Cow<'a, str>>,
}

impl Item<'_> {
    fn observation(&self, resolution: Resolution, anchor: &mut Option<Time>) -> Result<Observation, String> {
        let valid_time: Time = self.valid_time.parse().map_err(|e| format!("valid_time: {e}"))?;
        if !RANGE.contains(&valid_time.micros()) {
            return Err(format!("valid_time: {valid_time} lies outside the years 1900 to 2200"));
        }
        let first = *anchor.get_or_insert(valid_time);
        if valid_time.micros_since(first) % resolution.micros() != 0 {
            return Err(format!(
                "valid_time: {valid_time} is no whole number of {resolution} from {first}, a time of this series"
            ));
        }
        if !self.value.is_finite() || self.value.abs() > MAX_ABS {
            return Err(format!("value: {} is beyond 1e15", self.value));
        }
        let available_at = match &self.available_at {
            Some(text) => text.parse().map_err(|e| format!("available_at: {e}"))?,
            None => valid_time.plus_micros(resolution.micros()),
        };
        Ok(Observation { valid_time, available_at, value: self.value + 0.0 })
    }
}

/// The outer object.
struct Body {
    limit: usize,
}

impl<'de> Visitor<'de> for Body {
    type Value = Vec<Item<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `observations`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut items = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "observations" if items.is_none() => {
                    items = Some(map.next_value_seed(Items { limit: self.limit })?);
                }
                "observations" => return Err(A::Error::duplicate_field("observations")),
                other => {
                    let message = format!("unknown field `{}`", other.escape_debug());
                    map.next_value::<IgnoredAny>()?;
                    return Err(A::Error::custom(message));
                }
            }
        }
        items.ok_or_else(|| A::Error::missing_field("observations"))
    }
}

/// The list, which names the place of what is wrong in it.
struct Items {
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for Items {
    type Value = Vec<Item<'de>>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Items {
    type Value = Vec<Item<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of observations")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let next = list.next_element::<Item<'de>>();
            let next = next.map_err(|e| A::Error::custom(format!("observations[{}]: {e}", items.len())))?;
            let Some(item) = next else { return Ok(items) };
            if items.len() == self.limit {
                return Err(A::Error::custom(format!(
                    "more than {} observations in one body: send them in parts, or as CSV",
                    self.limit
                )));
            }
            items.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: JsonTarget = JsonTarget { resolution: Resolution::HOUR, anchor: None, max_observations: 3 };

    #[test]
    fn reads_values_and_availability() {
        let body = br#"{"observations":[{"valid_time":"2026-01-31T15:00:00+01:00","value":-1.5},
            {"valid_time":"2026-01-31T16:00:00Z","value":2,"available_at":"2026-01-30T00:00:00Z"}]}"#;
        let read = parse_json(body, &TARGET).unwrap();
        assert_eq!(read[0].valid_time.to_string(), "2026-01-31T14:00:00Z");
        assert_eq!(read[0].available_at.to_string(), "2026-01-31T15:00:00Z");
        assert_eq!((read[0].value, read[1].value), (-1.5, 2.0));
        assert_eq!(read[1].available_at.to_string(), "2026-01-30T00:00:00Z");
        assert_eq!(parse_json(br#"{"observations":[]}"#, &TARGET).unwrap(), []);
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let item = r#"{"valid_time":"2026-01-31T15:00:00Z","value":1}"#;
        for (body, part) in [
            ("", "EOF"),
            ("[]", "object"),
            ("{}", "missing field `observations`"),
            (r#"{"observations":[]} x"#, "trailing"),
            (r#"{"observations":[],"x":1}"#, "unknown field `x`"),
            (
                &format!(r#"{{"observations":[{item},{{"valid_time":"x","value":1}}]}}"#),
                "observations[1].valid_time",
            ),
            (
                &format!(r#"{{"observations":[{item},{{"valid_time":"2026-01-31T15:30:00Z","value":1}}]}}"#),
                "whole number",
            ),
            (
                &format!(r#"{{"observations":[{item},{{"valid_time":"2026-01-31T15:00:00Z"}}]}}"#),
                "observations[1]: missing field `value`",
            ),
            (
                &format!(
                    r#"{{"observations":[{item},{{"valid_time":"2026-01-31T15:00:00Z","value":null}}]}}"#
                ),
                "observations[1]",
            ),
            (
                &format!(
                    r#"{{"observations":[{item},{{"valid_time":"2026-01-31T15:00:00Z","value":1e17}}]}}"#
                ),
                "observations[1].value",
            ),
            (
                &format!(
                    r#"{{"observations":[{item},{{"valid_time":"2026-01-31T15:00:00Z","value":NaN}}]}}"#
                ),
                "observations[1]",
            ),
            (
                &format!(r#"{{"observations":[{item},{{"valid_time":"1850-01-31T15:00:00Z","value":1}}]}}"#),
                "1900",
            ),
            (&format!(r#"{{"observations":[{item},{item},{item},{item}]}}"#), "in parts"),
        ] {
            let error = parse_json(body.as_bytes(), &TARGET).unwrap_err().to_string();
            assert!(error.contains(part), "{body}: {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_json(&body, &TARGET);
        }
    }
}
