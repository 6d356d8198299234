//! `GET /v1/series/{name}/holidays`.

use axum::extract::State;
use forewatt_service::domain::calendar::{Calendar, Region};
use forewatt_service::domain::time::MICROS_PER_DAY;
use forewatt_service::domain::{Time, Zone};
use jiff::civil::Date;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{Params, SeriesPath};
use crate::http::{AppState, reply};

/// Days one answer may cover: ten years.
const DAYS_MAX: i64 = 3_660;

/// The special days of a series' region.
#[derive(Serialize, ToSchema)]
pub struct HolidaysDocument {
    /// The series.
    series: String,
    /// The region whose holidays these are; absent when the series names none (then there are no days).
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    /// The time zone of the dates.
    time_zone: String,
    /// By rising date.
    days: Vec<Day>,
}

/// A day on which people rest, or the working day between two such.
#[derive(Serialize, ToSchema)]
pub struct Day {
    /// The local date.
    date: String,
    /// Its first instant.
    start: String,
    /// The first instant after it.
    end: String,
    /// `holiday` or `bridge`.
    kind: &'static str,
    /// What it is called.
    name: &'static str,
}

/// Public holidays and bridge days of the series' region.
#[utoipa::path(get, path = "/v1/series/{name}/holidays", tag = "series",
    params(
        ("name" = String, Path, description = "The series."),
        ("from" = Option<String>, Query, description = "First day: an RFC 3339 time, or a date in the series' zone; now when absent."),
        ("to" = Option<String>, Query, description = "The end, excluded; a year after `from` when absent."),
    ),
    responses(
        (status = 200, description = "The days.", body = HolidaysDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn read(State(app): State<AppState>, SeriesPath(name): SeriesPath, params: Params) -> HttpResult {
    let info = app.service.series(&name).await?;
    let zone = &info.series.time_zone;
    let mut params = params.only(&["from", "to"]);
    let from = params.parsed("from", |text| day_or_time(text, zone)).unwrap_or_else(|| app.service.now());
    let to = params
        .parsed("to", |text| day_or_time(text, zone))
        .unwrap_or_else(|| from.plus_micros(365 * MICROS_PER_DAY));
    if to <= from {
        params.fault("to", &format!("must lie after `from` ({from})"));
    } else if to.micros_since(from) > DAYS_MAX * MICROS_PER_DAY {
        params.fault("to", &format!("lies more than {DAYS_MAX} days after `from`: ask for less"));
    }
    params.finish()?;
    let region = match &info.series.holiday_region {
        Some(code) => {
            Some(code.parse::<Region>().map_err(|e| forewatt_service::Error::invalid(e.to_string()))?)
        }
        None => None,
    };
    reply::json(&HolidaysDocument {
        series: name.to_string(),
        region: region.as_ref().map(Region::to_string),
        time_zone: zone.name().to_owned(),
        days: region.map_or_else(Vec::new, |region| special_days(&region, zone, from, to)),
    })
}

/// `2026-01-01` in the zone, or an RFC 3339 time.
fn day_or_time(text: &str, zone: &Zone) -> Result<Time, String> {
    if let Ok(date) = text.parse::<Date>()
        && text.len() == 10
    {
        return Ok(zone.start_of_day(date));
    }
    text.replace(' ', "+")
        .parse()
        .map_err(|_| format!("`{text}` is neither a date such as 2026-01-31 nor an RFC 3339 time"))
}

/// Holidays and bridge days that overlap `from..to`.
fn special_days(region: &Region, zone: &Zone, from: Time, to: Time) -> Vec<Day> {
    let (mut date, last) = (zone.civil(from).date, zone.civil(to.plus_micros(-1)).date);
    // A bridge day looks at its neighbours, which may lie in the next year.
    let calendar = Calendar::new(Some(region), date.year() - 1, last.year() + 1);
    let mut days = Vec::new();
    while date <= last {
        let bridge = || calendar.is_bridge(date).then_some(("bridge", "Bridge day"));
        if let Some((kind, name)) = calendar.holiday(date).map(|name| ("holiday", name)).or_else(bridge) {
            let tomorrow = date.saturating_add(jiff::Span::new().days(1));
            let (start, end) = (zone.start_of_day(date).to_string(), zone.start_of_day(tomorrow).to_string());
            days.push(Day { date: date.to_string(), start, end, kind, name });
        }
        match date.tomorrow() {
            Ok(tomorrow) => date = tomorrow,
            Err(_) => break,
        }
    }
    days
}
