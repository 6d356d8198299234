//! `GET` and `POST /v1/series/{name}/observations`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use forewatt_service::domain::time::parse_duration;
use forewatt_service::domain::{SeriesName, Time};
use forewatt_service::ingest::json::{JsonTarget, parse_json};
use forewatt_service::ingest::{Availability, BytesSource, ColumnMap, ImportOptions, SeriesDefaults};
use forewatt_service::observations::{NewObservation, ObservationPage, ObservationQuery};
use forewatt_service::{Error, SeriesInfo};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::error::{HttpResult, Problem};
use crate::http::extract::{Params, SeriesPath, body_bytes, media_type, unsupported_media_type};
use crate::http::{AppState, reply};

/// Observations in one answer when the request names no limit.
pub const LIMIT_DEFAULT: u32 = 10_000;

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    page: ObservationPage,
    /// Pass it as `from` to read on.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Time>,
}

/// For every valid time, the newest value known at `as_of`.
#[utoipa::path(get, path = "/v1/series/{name}/observations", tag = "series",
    params(
        ("name" = String, Path, description = "The series."),
        ("from" = Option<String>, Query, description = "First valid time (RFC 3339); a week before `to` when absent."),
        ("to" = Option<String>, Query, description = "First valid time not included; the end of the data when absent."),
        ("as_of" = Option<String>, Query, description = "What was known at this instant; now when absent."),
        ("limit" = Option<u32>, Query, description = "At most so many; 10000 when absent. `next` tells where to read on."),
    ),
    responses(
        (status = 200, description = "The observations.", body = crate::http::schema::ObservationsDocument),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn read(State(app): State<AppState>, SeriesPath(series): SeriesPath, params: Params) -> HttpResult {
    let mut params = params.only(&["from", "to", "as_of", "limit"]);
    let query = ObservationQuery {
        series,
        from: params.time("from"),
        to: params.time("to"),
        as_of: params.time("as_of"),
    };
    let limit_max = u32::try_from(app.service.config().limits.read_points_max).unwrap_or(u32::MAX);
    let limit = params.count("limit", limit_max).unwrap_or(LIMIT_DEFAULT.min(limit_max));
    params.finish()?;
    let mut page = app.service.read_observations(&query).await?;
    let next = page.observations.get(limit as usize).map(|first_left_out| first_left_out.valid_time);
    page.observations.truncate(limit as usize);
    reply::json(&Page { page, next })
}
/// The parameters of a CSV body; a JSON body takes none.
const CSV_PARAMETERS: [&str; 12] = [
    "time",
    "value",
    "time_zone",
    "time_format",
    "available_at",
    "available_after",
    "labels",
    "ambiguous",
    "decimal",
    "delimiter",
    "dry_run",
    "revise",
];

/// Stores observations from JSON or CSV. Acknowledged means durable; the same again changes nothing.
///
/// JSON: `{"observations": [{"valid_time": "2026-01-31T15:00:00Z", "value": 1.5, "available_at": "..."}]}`. CSV needs a
/// header line; what it leaves open (naive times, day or month first, decimal comma) is refused with the parameter
/// that settles it. Both may be gzipped (`Content-Encoding: gzip`).
#[utoipa::path(post, path = "/v1/series/{name}/observations", tag = "series",
    params(
        ("name" = String, Path, description = "The series; PUT it first."),
        ("time" = Option<String>, Query, description = "CSV: the column of valid times; `valid_time` when absent."),
        ("value" = Option<String>, Query, description = "CSV: the column of values; `value` when absent."),
        ("time_zone" = Option<String>, Query, description = "CSV: the zone whose clocks naive times were read from."),
        ("time_format" = Option<String>, Query, description = "CSV: a strptime format, such as `%d/%m/%Y %H:%M`."),
        ("available_at" = Option<String>, Query, description = "CSV: the column that tells when a value became known."),
        ("available_after" = Option<String>, Query, description = "CSV: how long after the end of its period a value became known."),
        ("labels" = Option<String>, Query, description = "CSV: `start` or `end`: which end of its period a time marks."),
        ("ambiguous" = Option<String>, Query, description = "CSV: `earlier` or `later`: an hour the clocks showed twice."),
        ("decimal" = Option<String>, Query, description = "CSV: `point` or `comma`."),
        ("delimiter" = Option<String>, Query, description = "CSV: the character between fields, or `tab`."),
        ("dry_run" = Option<bool>, Query, description = "CSV: read and report, store nothing."),
        ("revise" = Option<bool>, Query, description = "CSV: keep values that differ from the stored ones as corrections known now."),
    ),
    request_body(
        content((ObservationsBody = "application/json"), (String = "text/csv")),
        description = "Observations.",
    ),
    responses(
        (status = 200, description = "What became of every row.", body = ImportReport),
        (status = "4XX", description = "What is wrong and how to mend it.", body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn write(
    State(app): State<AppState>,
    SeriesPath(name): SeriesPath,
    params: Params,
    request: Request,
) -> HttpResult {
    let info = app.service.series(&name).await?;
    match media_type(request.headers()).as_str() {
        "application/json" => {
            params.only(&[]).finish()?;
            let body = body_bytes(request, &app, usize::MAX).await?;
            write_json(&app, &info, &body).await
        }
        "text/csv" | "application/csv" => {
            let (options, dry_run) = csv_options(&name, params, app.options.body_max_bytes)?;
            let body = body_bytes(request, &app, usize::MAX).await?;
            let source = Arc::new(BytesSource(body));
            let defaults = SeriesDefaults::default(); // the series exists: nothing is left to describe
            let report = app.service.import(source, options, &defaults, dry_run, |_, _| ()).await;
            reply::json(&report.map_err(in_words_of_http)?)
        }
        other => Err(unsupported_media_type(other, "application/json or text/csv")),
    }
}

/// A JSON body of observations.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read by the importer")]
pub struct ObservationsBody {
    /// In any order.
    observations: Vec<ObservationBody>,
}

/// A value to store.
#[derive(ToSchema)]
#[expect(dead_code, reason = "described here, read by the importer")]
pub struct ObservationBody {
    /// The start of the period it is about (RFC 3339), on the series' grid.
    valid_time: String,
    /// The value.
    value: f64,
    /// When it became known; the end of its period when absent.
    available_at: Option<String>,
}

/// What became of a write. A CSV body's report has more: gaps, clock changes, how the file was understood.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportReport {
    /// Rows or items read.
    rows_read: usize,
    /// New observations.
    stored: u64,
    /// Observations that were there already with the same value.
    unchanged: u64,
    /// Rows not taken, by reason.
    rejected: BTreeMap<&'static str, Rejected>,
}

/// Rows not taken for one reason.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rejected {
    /// How many.
    count: u64,
    /// The first of them: lines of a CSV body, places in a JSON list (from 0).
    lines: Vec<usize>,
    /// What the first looked like.
    example: Option<String>,
}

/// How many rejected places are listed.
const LISTED_MAX: usize = 20;

async fn write_json(app: &AppState, info: &SeriesInfo, body: &[u8]) -> HttpResult {
    let target = JsonTarget {
        resolution: info.series.resolution,
        anchor: info.state.first_valid_time,
        max_observations: app.service.config().limits.write_points_max,
    };
    let read = parse_json(body, &target).map_err(|error| Problem::invalid("body", error.to_string()))?;
    let new: Vec<NewObservation> = read
        .iter()
        .map(|o| NewObservation {
            valid_time: o.valid_time,
            available_at: Some(o.available_at),
            value: o.value,
        })
        .collect();
    let outcome = app.service.write_observations(&info.series.name, &new).await?;
    let mut rejected = BTreeMap::new();
    if outcome.conflict_count > 0 {
        let example = outcome.conflicts.first().and_then(|&i| new.get(i)).map(|o| {
            format!(
                "another value than {} is stored for {}; it stays, a later available_at makes a revision",
                o.value, o.valid_time
            )
        });
        let lines = outcome.conflicts.iter().copied().take(LISTED_MAX).collect();
        rejected.insert("conflicts_with_stored", Rejected { count: outcome.conflict_count, lines, example });
    }
    let (stored, unchanged) = (outcome.stored, outcome.unchanged);
    reply::json(&ImportReport { rows_read: new.len(), stored, unchanged, rejected })
}

/// How a CSV body is to be read.
fn csv_options(
    name: &SeriesName,
    params: Params,
    body_max_bytes: usize,
) -> HttpResult<(ImportOptions, bool)> {
    let mut params = params.only(&CSV_PARAMETERS);
    let time = params.text("time").unwrap_or_else(|| "valid_time".to_owned());
    let column = params.text("value").unwrap_or_else(|| "value".to_owned());
    let mut options = ImportOptions::new(&time, vec![ColumnMap { column, series: name.clone() }]);
    options.time_zone = params.read("time_zone");
    options.time_format = params.text("time_format");
    let known_at = params.text("available_at");
    let known_after = params.parsed("available_after", parse_duration);
    options.available = match (known_at, known_after) {
        (Some(_), Some(_)) => {
            params.fault("available_after", "does not go with `available_at`: give one of them");
            Availability::AtPeriodEnd
        }
        (Some(column), None) => Availability::Column(column),
        (None, Some(after)) => Availability::After(after),
        (None, None) => Availability::AtPeriodEnd,
    };
    options.labels = params.parsed("labels", |text| word(text, "start or end"));
    options.ambiguous = params.parsed("ambiguous", |text| word(text, "earlier or later"));
    options.decimal = params.parsed("decimal", |text| word(text, "point or comma"));
    options.delimiter = params.parsed("delimiter", delimiter);
    let dry_run = params.parsed("dry_run", |text| word(text, "true or false"));
    options.revise = params.parsed("revise", |text| word(text, "true or false")).unwrap_or(false);
    options.limits.max_bytes = body_max_bytes as u64;
    params.finish()?;
    Ok((options, dry_run.unwrap_or(false)))
}

/// One of the words that serde knows a type by.
fn word<T: DeserializeOwned>(text: &str, known: &str) -> Result<T, String> {
    let value = match text {
        "true" | "false" => serde_json::Value::Bool(text == "true"),
        _ => serde_json::Value::String(text.to_owned()),
    };
    serde_json::from_value(value).map_err(|_| format!("`{text}` is not known: write {known}"))
}

fn delimiter(text: &str) -> Result<u8, String> {
    match (text, text.as_bytes()) {
        ("tab", _) => Ok(b'\t'),
        (_, &[byte @ (b',' | b';' | b'|' | b'\t')]) => Ok(byte),
        _ => Err("write one of , ; | or the word tab".to_owned()),
    }
}

/// The importer speaks of the command line's flags (`--time-zone`); here they are parameters (`time_zone`).
fn in_words_of_http(mut error: Error) -> Error {
    let mut pieces = error.message.split("--");
    let mut message = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let flag_end = piece.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(piece.len());
        message.push_str(&piece[..flag_end].replace('-', "_"));
        message.push_str(&piece[flag_end..]);
    }
    error.message = message;
    error
}
