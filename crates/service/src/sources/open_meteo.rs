//! JSON as Open-Meteo answers: a list of times, and under each variable a list of values of the same length.

use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_domain::{Location, Resolution, Time};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::answer::{Column, Document, POINTS_MAX};

/// The blocks that hold steps of one length.
const BLOCKS: [&str; 2] = ["hourly", "minutely_15"];

/// Reads an answer.
///
/// # Errors
/// A text that says where it is not what it should be.
pub(super) fn read(body: &[u8]) -> Result<Document, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    if let Some(reason) = answer.get("reason").filter(|_| answer["error"] == true) {
        return Err(format!("the source refused: {}", reason.as_str().unwrap_or("without a reason")));
    }
    let offset = answer.get("utc_offset_seconds").map_or(Some(0), Value::as_i64);
    let offset = offset.filter(|o| o.abs() <= 86_400).ok_or("utc_offset_seconds is no offset")?;
    let place = answer["latitude"].as_f64().zip(answer["longitude"].as_f64());
    let location = place.and_then(|(latitude, longitude)| Location::new(latitude, longitude).ok());
    let mut document = Document::default();
    for block in BLOCKS {
        if let Some(values) = answer.get(block) {
            let units = answer.get(format!("{block}_units")).ok_or(format!("there is no `{block}_units`"))?;
            document.columns.extend(columns(block, values, units, offset, location)?);
        }
    }
    if document.columns.is_empty() {
        return Err("it has no `hourly` or `minutely_15` values".to_owned());
    }
    Ok(document)
}

fn columns(
    block: &str,
    values: &Value,
    units: &Value,
    offset: i64,
    location: Option<Location>,
) -> Result<Vec<Column>, String> {
    let values: &Map<String, Value> = values.as_object().ok_or(format!("`{block}` is no object"))?;
    let times = list(values.get("time"), block, "time")?;
    let times: Vec<Time> = times.iter().map(|time| instant(time, offset)).collect::<Result<_, _>>()?;
    let step = step(block, &times)?;
    let mut found = Vec::new();
    for (name, column) in values.iter().filter(|(name, _)| *name != "time") {
        let column = list(Some(column), block, name)?;
        if column.len() != times.len() {
            return Err(format!("`{block}.{name}` has {} values for {} times", column.len(), times.len()));
        }
        let unit = units[name].as_str().ok_or(format!("`{block}_units` has no unit for `{name}`"))?;
        let mut points = Vec::with_capacity(times.len());
        for (&time, value) in times.iter().zip(column).filter(|(_, value)| !value.is_null()) {
            let number =
                value.as_f64().ok_or(format!("`{block}.{name}` has {value} at {time}: no number"))?;
            points.push((time, number));
        }
        found.push(Column { name: name.clone(), unit: unit.to_owned(), step, points, location });
    }
    Ok(found)
}

fn list<'a>(value: Option<&'a Value>, block: &str, name: &str) -> Result<&'a Vec<Value>, String> {
    let list = value.and_then(Value::as_array).ok_or(format!("`{block}.{name}` is no list"))?;
    if list.len() > POINTS_MAX {
        return Err(format!("`{block}.{name}` has {} values, the limit is {POINTS_MAX}", list.len()));
    }
    Ok(list)
}

/// `2026-01-31T23:00` by the clock of the answer, or seconds since 1970 in UTC.
fn instant(time: &Value, offset: i64) -> Result<Time, String> {
    if let Some(seconds) = time.as_i64() {
        return Ok(Time::from_seconds(seconds));
    }
    let local: DateTime =
        time.as_str().and_then(|text| text.parse().ok()).ok_or(format!("{time} is no time"))?;
    let utc = TimeZone::UTC.to_timestamp(local).map_err(|error| format!("{time} is no time: {error}"))?;
    Ok(Time::from(utc).plus_micros(-offset * MICROS_PER_SECOND))
}

/// The one distance between all times.
fn step(block: &str, times: &[Time]) -> Result<Resolution, String> {
    let [first, second, ..] = times else { return Err(format!("`{block}.time` has fewer than two times")) };
    let micros = second.micros_since(*first);
    if let Some(pair) = times.windows(2).find(|pair| pair[1].micros_since(pair[0]) != micros) {
        return Err(format!("`{block}.time` goes back or jumps from {} to {}", pair[0], pair[1]));
    }
    Resolution::from_seconds(micros / MICROS_PER_SECOND).map_err(|error| format!("`{block}.time`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{"latitude":52.52,"longitude":13.419998,"generationtime_ms":0.06,"utc_offset_seconds":3600,
        "timezone":"Europe/Berlin","timezone_abbreviation":"GMT+1","elevation":38.0,
        "hourly_units":{"time":"iso8601","temperature_2m":"°C","wind_speed_10m":"km/h"},
        "hourly":{"time":["2026-01-01T00:00","2026-01-01T01:00","2026-01-01T02:00"],
        "temperature_2m":[1.5,null,-0.25],"wind_speed_10m":[10,11.2,12]}}"#;

    #[test]
    fn an_answer_is_read_in_utc_and_what_is_missing_is_left_out() {
        let document = read(ANSWER.as_bytes()).unwrap();
        let column = document.column("temperature_2m").unwrap();
        let times: Vec<String> = column.points.iter().map(|(time, _)| time.to_string()).collect();
        assert_eq!(times, ["2025-12-31T23:00:00Z", "2026-01-01T01:00:00Z"]);
        assert_eq!((column.points[1].1, column.unit.as_str(), column.step), (-0.25, "°C", Resolution::HOUR));
        assert_eq!(column.location, Some(Location::new(52.52, 13.419_998).unwrap()));
        assert!(document.column("snow").unwrap_err().message.contains("temperature_2m, wind_speed_10m"));
        let quarters =
            ANSWER.replace("hourly", "minutely_15").replace("T01:00", "T00:15").replace("T02:00", "T00:30");
        assert_eq!(read(quarters.as_bytes()).unwrap().columns[0].step.seconds(), 900);
        let seconds =
            ANSWER.replace("\"2026-01-01T00:00\",\"2026-01-01T01:00\",\"2026-01-01T02:00\"", "0,3600,7200");
        assert_eq!(read(seconds.as_bytes()).unwrap().columns[0].points[0].0, Time::from_seconds(0));
    }

    #[test]
    fn what_is_no_answer_says_where() {
        for (from, to, told) in [
            ("1.5,null", "NaN,null", "not JSON"),
            ("1.5,null", "\"NaN\",null", "no number"),
            ("1.5,null", "1e999,null", "not JSON"),
            ("1.5,null,", "1.5,", "2 values for 3 times"),
            ("T02:00", "T00:30", "goes back"),
            ("T02:00", "T03:00", "jumps"),
            ("T00:00", "T25:00", "is no time"),
            ("\"temperature_2m\":\"°C\",", "", "no unit"),
            ("3600", "1e9", "no offset"),
            ("hourly_units", "units", "hourly_units"),
            ("\"hourly\"", "\"daily\"", "no `hourly`"),
        ] {
            let lie = ANSWER.replacen(from, to, 1);
            assert_ne!(lie, ANSWER, "{from}");
            let refused = read(lie.as_bytes()).unwrap_err();
            assert!(refused.contains(told), "{from} -> {to}: {refused}");
        }
        assert!(read(&ANSWER.as_bytes()[..200]).unwrap_err().contains("not JSON"));
        let refusal = br#"{"error":true,"reason":"Parameter 'latitude' is wrong"}"#;
        assert!(read(refusal).unwrap_err().contains("latitude"));
    }
}
