//! Two forecasts compared: ours, a third party's, from the store, a file or a request.

pub mod files;
mod stored;

use forewatt_domain::{SeriesName, Time, VersionId, Zone};
use forewatt_model::compare::{self, SIGNIFICANCE};
pub use forewatt_model::compare::{
    ForecastRow, Forecasts, LeadTested, Loss, LossComparison, MatchedBy, Side, SideCount, Tested,
};
use jiff::SignedDuration;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::{Service, blocking};

/// Where one of the two forecasts comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// What a model version issued while it served.
    Version(VersionId),
    /// A series whose observations are a forecast, as a third party's is imported.
    Series(SeriesName),
    /// Values the caller has, under a name for the words of the answer.
    Given {
        /// What to call it.
        name: String,
        /// The values.
        forecasts: Forecasts,
    },
}

/// What to compare, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct CompareRequest {
    /// The first forecast.
    pub a: Source,
    /// The second.
    pub b: Source,
    /// The series both are about: what came true. A version's own series when absent.
    pub of: Option<SeriesName>,
    /// First valid time.
    pub from: Option<Time>,
    /// First valid time not included.
    pub to: Option<Time>,
    /// Match by valid time, each side by its newest forecast that begins at least so long before.
    pub lead: Option<SignedDuration>,
    /// Whose days losses are averaged over; that of the series, else UTC, when absent.
    pub time_zone: Option<Zone>,
}

/// One side and what became of its values.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SideDocument {
    /// What it is called here.
    pub name: String,
    /// `version`, `series` or `given`.
    pub kind: &'static str,
    /// Matched and left out.
    #[serde(flatten)]
    pub count: SideCount,
}

/// The outcome, as every transport tells it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CompareDocument {
    /// The first forecast.
    pub a: SideDocument,
    /// The second.
    pub b: SideDocument,
    /// The series both are about, when it is stored.
    pub of: Option<SeriesName>,
    /// Its unit; empty when not told.
    pub unit: String,
    /// Whose days losses are averaged over.
    pub time_zone: Zone,
    /// How values found their counterparts.
    pub matched_by: MatchedBy,
    /// Values compared.
    pub values: usize,
    /// Days they lie on.
    pub days: usize,
    /// The first valid time compared.
    pub from: Time,
    /// The last.
    pub to: Time,
    /// The levels of the pinball loss.
    pub quantiles: Vec<f64>,
    /// A p-value below this counts as a difference.
    pub significance: f64,
    /// Absolute and squared error, and pinball when both sides have quantiles.
    pub losses: Vec<LossComparison>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// A side with its values at hand.
#[derive(Debug, Clone, PartialEq)]
struct Loaded {
    name: String,
    kind: &'static str,
    forecasts: Forecasts,
}

/// What is known beside the values.
#[derive(Debug, Clone, PartialEq)]
struct Setting {
    of: Option<SeriesName>,
    unit: String,
    zone: Zone,
    lead_micros: Option<i64>,
    notes: Vec<String>,
}

impl Service {
    /// Compares two forecasts by Diebold-Mariano and Giacomini-White, overall and by lead time.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for forecasts of different series, units or steps, or when nothing tells what came
    /// true; `InsufficientData` for fewer shared days than the tests need; `TooLarge` beyond `limits.read_points_max`.
    pub async fn compare(&self, request: CompareRequest) -> Result<CompareDocument> {
        check_range(request.from, request.to)?;
        let (sides, setting) = self.load_sides(request).await?;
        blocking(move || run(sides, setting)).await?
    }
}

/// Compares two forecasts that the caller has, without a store.
///
/// # Errors
/// As [`Service::compare`]; `InvalidInput` for stored sources.
pub fn given(request: CompareRequest) -> Result<CompareDocument> {
    check_range(request.from, request.to)?;
    let setting = Setting {
        of: request.of.clone(),
        unit: String::new(),
        zone: request.time_zone.clone().unwrap_or_else(Zone::utc),
        lead_micros: lead_micros(&request),
        notes: Vec::new(),
    };
    let range = (request.from, request.to);
    let load = |source: Source| match source {
        Source::Given { name, forecasts } => Ok(loaded_given(name, forecasts, range)),
        Source::Version(_) | Source::Series(_) => {
            Err(Error::invalid("a stored forecast needs the store: this comparison has none"))
        }
    };
    run([load(request.a)?, load(request.b)?], setting)
}

fn lead_micros(request: &CompareRequest) -> Option<i64> {
    request.lead.map(forewatt_domain::time::duration_micros)
}

fn check_range(from: Option<Time>, to: Option<Time>) -> Result<()> {
    match from.zip(to) {
        Some((from, to)) if to <= from => Err(Error::invalid(format!(
            "the range is reversed or empty: `to` ({to}) must lie after `from` ({from})"
        ))),
        _ => Ok(()),
    }
}

/// Given values within the range of valid times.
fn loaded_given(name: String, mut forecasts: Forecasts, (from, to): (Option<Time>, Option<Time>)) -> Loaded {
    forecasts.rows.retain(|row| {
        from.is_none_or(|from| row.valid_time >= from) && to.is_none_or(|to| row.valid_time < to)
    });
    Loaded { name, kind: "given", forecasts }
}

/// The comparison of two loaded sides.
fn run([a, mut b]: [Loaded; 2], setting: Setting) -> Result<CompareDocument> {
    if a.name == b.name {
        b.name.push_str(" (b)"); // a verdict must say which of the two it means
    }
    for side in [&a, &b] {
        check_values(side)?;
    }
    let Setting { of, unit, zone, lead_micros, mut notes } = setting;
    let names = [a.name.as_str(), b.name.as_str()];
    let found = compare::compare(names, &a.forecasts, &b.forecasts, lead_micros, &zone)?;
    notes.extend(matching_notes(names, &found, lead_micros.is_some()));
    Ok(CompareDocument {
        a: SideDocument { name: a.name, kind: a.kind, count: found.a },
        b: SideDocument { name: b.name, kind: b.kind, count: found.b },
        of,
        unit,
        time_zone: zone,
        matched_by: found.matched_by,
        values: found.values,
        days: found.days,
        from: found.from,
        to: found.to,
        quantiles: found.quantiles,
        significance: SIGNIFICANCE,
        losses: found.losses,
        notes,
    })
}

/// Numbers must be numbers, one quantile a level.
fn check_values(side: &Loaded) -> Result<()> {
    let levels = side.forecasts.levels.len();
    for (i, row) in side.forecasts.rows.iter().enumerate() {
        let what = if !row.mean.is_finite() {
            "the mean is not a finite number".to_owned()
        } else if row.quantiles.len() != levels {
            format!("{} quantiles for {levels} levels", row.quantiles.len())
        } else if row.quantiles.iter().any(|q| !q.is_finite()) {
            "a quantile is not a finite number".to_owned()
        } else {
            continue;
        };
        let message =
            format!("`{}`, value {i} ({}): {what}: mend it or leave it out", side.name, row.valid_time);
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// What the way of matching means for the reader.
fn matching_notes(names: [&str; 2], found: &compare::Comparison, lead_given: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if found.matched_by == MatchedBy::ValidTime && !lead_given {
        notes.push(
            "no forecast start is shared, so values are matched by valid time, each side by its newest forecast"
                .to_owned(),
        );
    }
    if let Some((a, b)) = found.a.mean_lead_hours.zip(found.b.mean_lead_hours)
        && (a - b).abs() > 1.0
    {
        notes.push(format!(
            "the sides did not know equally much: the mean lead of {} is {a:.1} h, that of {} {b:.1} h; a lead makes them alike",
            names[0], names[1]
        ));
    }
    if found.actuals_differ > 0 {
        notes.push(format!(
            "what came true differs between the sides for {} of {} values; that of {} is taken",
            found.actuals_differ, found.values, names[0]
        ));
    }
    notes
}
