//! What a backtest found, as a table, a chart or a document.

use std::collections::BTreeMap;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{SeriesName, Time};
use forewatt_service::Outcome;
use forewatt_service::peaks::Peaks;
use serde_json::{Value, json};

use super::backtest::Scored;
use super::forecast::{band_name, fan_point};
use super::output::Output;
use crate::plot::{Chart, FanPoint, render};
use crate::table::{Table, count, number};

/// Days at the end that are drawn.
const CHART_DAYS: i64 = 10;
/// Scores in the table, by name, with their headings.
const SHOWN: [(&str, &str); 9] = [
    ("mae", ">MAE"),
    ("rmse", ">RMSE"),
    ("mape", ">MAPE %"),
    ("smape", ">sMAPE %"),
    ("mase", ">MASE"),
    ("rmae", ">rMAE"),
    ("pinball", ">pinball"),
    ("crps", ">CRPS"),
    ("bias", ">bias"),
];

/// Prints the document, or table and chart.
pub fn show(out: Output, scored: &Scored, no_plot: bool) -> anyhow::Result<()> {
    if out.json {
        return out.document(&document(scored));
    }
    let outcome = &scored.outcome;
    let starts = outcome.rows.chunk_by(|a, b| a.forecast_start == b.forecast_start).count();
    let mut text = out.heading(&format!(
        "{}: {} forecasts from {} to {}",
        scored.name,
        count(starts as u64),
        scored.from,
        scored.to
    ));
    text.push_str(&format!(
        "\n{} fits of {}, {} values scored\n\n",
        outcome.fits,
        outcome.family,
        count(outcome.metrics.count as u64)
    ));
    text.push_str(&overall(outcome));
    text.push_str(&peers(&scored.peers));
    text.push_str(&outcome.notes.iter().map(|note| format!("{note}\n")).collect::<String>());
    if outcome.by_lead.len() > 1 {
        text.push('\n');
        text.push_str(&by_lead(outcome));
    }
    if let Some(found) = &scored.peaks {
        text.push('\n');
        text.push_str(&peaks(found, &scored.unit));
    }
    if !no_plot {
        text.push('\n');
        text.push_str(&chart(out, scored));
    }
    Ok(out.text(&text)?)
}

/// How the peers were forecast, in a line; nothing without any.
fn peers(peers: &[(SeriesName, Outcome)]) -> String {
    if peers.is_empty() {
        return String::new();
    }
    let ratios: Vec<f64> = peers.iter().filter_map(|(_, outcome)| outcome.metrics.rmae).collect();
    let better = ratios.iter().filter(|ratio| **ratio < 1.0).count();
    let mean = ratios.iter().sum::<f64>() / ratios.len().max(1) as f64;
    format!(
        "{} peers by the same model: {better} better than the baseline, mean ratio of absolute errors {mean:.3}\n",
        peers.len()
    )
}

/// The metrics by name.
fn named(metrics: &[(String, f64)]) -> BTreeMap<&str, f64> {
    metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

fn overall(outcome: &Outcome) -> String {
    let (ours, theirs) = (outcome.metrics.named(), outcome.baseline_metrics.named());
    let (ours, theirs) = (named(&ours), named(&theirs));
    let columns: Vec<(String, String)> = SHOWN
        .iter()
        .filter(|(key, _)| ours.contains_key(key))
        .map(|(key, heading)| ((*key).to_owned(), (*heading).to_owned()))
        .chain(intervals(&ours))
        .collect();
    let headings: Vec<&str> =
        std::iter::once("model").chain(columns.iter().map(|(_, heading)| heading.as_str())).collect();
    let mut table = Table::new(&headings);
    let mut add = |name: String, metrics: &BTreeMap<&str, f64>| {
        let value = |key: &String| metrics.get(key.as_str()).map_or_else(|| "-".to_owned(), |v| number(*v));
        table.row(std::iter::once(name).chain(columns.iter().map(|(key, _)| value(key))));
    };
    add(outcome.family.to_string(), &ours);
    if outcome.baseline != outcome.family {
        add(format!("{} (baseline)", outcome.baseline), &theirs);
    }
    table.render()
}

/// Coverage and width of the widest interval.
fn intervals(metrics: &BTreeMap<&str, f64>) -> Vec<(String, String)> {
    let widest = metrics
        .keys()
        .filter_map(|key| key.strip_prefix("coverage_"))
        .max_by(|a, b| a.parse::<f64>().unwrap_or(0.0).total_cmp(&b.parse().unwrap_or(0.0)));
    let Some(percent) = widest else { return Vec::new() };
    ["coverage", "width"].map(|what| (format!("{what}_{percent}"), format!(">{what} {percent} %"))).into()
}

fn by_lead(outcome: &Outcome) -> String {
    let mut table = Table::new(&["lead time", ">values", ">MAE", ">rMAE", ">pinball", ">baseline MAE"]);
    for (ours, theirs) in outcome.by_lead.iter().zip(&outcome.baseline_by_lead) {
        let to = ours.to_hours.map_or_else(String::new, |to| format!(" to {to}"));
        table.row([
            format!("from {}{to} h", ours.from_hours),
            count(ours.metrics.count as u64),
            number(ours.metrics.mae),
            ours.metrics.rmae.map_or_else(|| "-".to_owned(), number),
            number(ours.metrics.pinball),
            number(theirs.metrics.mae),
        ]);
    }
    table.render()
}

/// What the forecasts told of the values above the threshold.
fn peaks(found: &Peaks, unit: &str) -> String {
    let or_dash = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number);
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let mut text = format!(
        "peaks above {}{unit}: {} of {} values\n",
        number(found.threshold),
        count(found.above as u64),
        count(found.count as u64)
    );
    let mut table = Table::new(&["told by", ">told", ">hits", ">precision", ">recall", ">F1"]);
    for (name, told) in [("the mean", &found.by_mean), ("P > 0.5", &found.by_probability)] {
        let ratios = [told.precision, told.recall, told.f1].map(or_dash);
        let counts = [told.told, told.hits].map(|n| count(n as u64));
        table.row(std::iter::once(name.to_owned()).chain(counts).chain(ratios));
    }
    text.push_str(&table.render());
    text.push_str(&format!(
        "Brier score {}, skill {}; rCRPS {}, at peaks {}\n",
        number(found.brier),
        or_dash(found.brier_skill),
        or_dash(found.rcrps),
        or_dash(found.rcrps_peaks)
    ));
    text.push_str(&match &found.days {
        Some(days) => format!(
            "peak of the day, {} whole days: right step {:.0} %, within one {:.0} %; height MAE {}, bias {}\n",
            count(days.days as u64),
            100.0 * days.hit_exact,
            100.0 * days.hit_near,
            number(days.magnitude_mae),
            number(days.magnitude_bias)
        ),
        None => "peak of the day: no forecast covers a whole local day; start them at local midnight\n".to_owned(),
    });
    text
}

/// The last days: what was measured over what had been forecast, the newest forecast where several overlap.
fn chart(out: Output, scored: &Scored) -> String {
    let outcome = &scored.outcome;
    let Some(end) = outcome.rows.iter().map(|row| row.valid_time).max() else { return String::new() };
    let begin = end.plus_micros(-CHART_DAYS * MICROS_PER_DAY);
    let mut newest: BTreeMap<Time, usize> = BTreeMap::new();
    for (i, row) in outcome.rows.iter().enumerate().filter(|(_, row)| row.valid_time > begin) {
        newest.insert(row.valid_time, i); // rows come by rising forecast start
    }
    let rows = || newest.values().map(|&i| &outcome.rows[i]);
    let measured: Vec<(Time, f64)> = rows().map(|row| (row.valid_time, f64::from(row.actual))).collect();
    let fan = rows().map(|row| {
        let quantiles: Vec<f64> = row.quantiles.iter().map(|&q| f64::from(q)).collect();
        fan_point(row.valid_time, &outcome.levels, &quantiles)
    });
    let fan: Vec<FanPoint> = fan.collect();
    let chart = Chart {
        title: out.heading(&format!("{}, the last {CHART_DAYS} days", scored.name)),
        unit: &scored.unit,
        zone: &scored.zone,
        measured: ("measured", &measured),
        fan: &fan,
        band: band_name(&outcome.levels),
    };
    render(&chart, out.look())
}

fn document(scored: &Scored) -> Value {
    let outcome = &scored.outcome;
    let leads = outcome.by_lead.iter().zip(&outcome.baseline_by_lead).map(|(ours, theirs)| {
        json!({
            "from_hours": ours.from_hours,
            "to_hours": ours.to_hours,
            "metrics": map(&ours.metrics.named()),
            "baseline_metrics": map(&theirs.metrics.named()),
        })
    });
    let leads: Vec<Value> = leads.collect();
    let mut document = json!({
        "series": scored.name,
        "model": outcome.family,
        "baseline": outcome.baseline,
        "from": scored.from,
        "to": scored.to,
        "fits": outcome.fits,
        "notes": outcome.notes,
        "quantiles": outcome.levels,
        "metrics": map(&outcome.metrics.named()),
        "baseline_metrics": map(&outcome.baseline_metrics.named()),
        "by_lead": leads,
    });
    if !scored.peers.is_empty() {
        let peer = |(name, outcome): &(SeriesName, Outcome)| {
            let metrics = map(&outcome.metrics.named());
            json!({ "series": name, "metrics": metrics, "baseline_metrics": map(&outcome.baseline_metrics.named()) })
        };
        document["peers"] = scored.peers.iter().map(peer).collect();
    }
    if let Some(peaks) = &scored.peaks {
        document["peaks"] = json!(peaks);
    }
    document
}

fn map(named: &[(String, f64)]) -> Value {
    named.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}
