//! What a comparison found, for people.

use forewatt_service::compare::{CompareDocument, LossComparison, MatchedBy, Side, SideDocument, Tested};

use super::output::Output;
use crate::table::{Table, count, number};

/// Headings, what was matched, the verdicts, and a table a loss.
pub fn render(document: &CompareDocument, out: Output) -> String {
    let (a, b) = (&document.a, &document.b);
    let mut text = out.heading(&format!("{} (A) against {} (B)", a.name, b.name));
    let by = match document.matched_by {
        MatchedBy::StartAndValidTime => "forecast start and valid time",
        MatchedBy::ValidTime => "valid time",
    };
    text.push_str(&format!(
        "\n{} values on {} days of {}, {} to {}, matched by {by}\n",
        count(document.values as u64),
        count(document.days as u64),
        document.time_zone,
        document.from,
        document.to
    ));
    for side in [a, b] {
        text.push_str(&matched(side));
    }
    for note in &document.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    for loss in &document.losses {
        text.push_str(&section(loss, &document.unit, out));
    }
    text
}

/// `ours.csv: 240 of 264 values matched; left out: 24 without a known actual`.
fn matched(side: &SideDocument) -> String {
    let c = &side.count;
    let left = [
        (c.without_counterpart, "without a counterpart"),
        (c.replaced, "replaced by a newer forecast"),
        (c.too_late, "begun too late for the lead"),
        (c.without_actual, "without a known actual"),
    ];
    let left: Vec<String> =
        left.iter().filter(|(n, _)| *n > 0).map(|(n, why)| format!("{} {why}", count(*n as u64))).collect();
    let left = if left.is_empty() { String::new() } else { format!("; left out: {}", left.join(", ")) };
    format!("{}: {} of {} values matched{left}\n", side.name, count(c.matched as u64), count(c.rows as u64))
}

fn section(loss: &LossComparison, unit: &str, out: Output) -> String {
    let what = loss.loss.words();
    let unit = match (unit, loss.loss) {
        ("", _) => String::new(),
        (unit, forewatt_service::compare::Loss::Squared) => format!(" [({unit})^2]"),
        (unit, _) => format!(" [{unit}]"),
    };
    let heading = out.heading(&format!("{what}{unit}"));
    let mut table = Table::new(&[
        "lead time",
        ">values",
        ">days",
        ">A",
        ">B",
        ">A - B %",
        ">effect",
        ">p DM",
        ">p GW",
        "better",
    ]);
    let row =
        |lead: String, t: &Tested, (average, foresight): (Option<f64>, Option<f64>), better: Option<Side>| {
            [
                lead,
                count(t.values as u64),
                count(t.days as u64),
                number(t.a),
                number(t.b),
                t.relative_percent.map_or_else(|| "-".to_owned(), |p| format!("{p:+.1}")),
                t.standardized.map_or_else(|| "-".to_owned(), |d| format!("{d:+.2}")),
                p_value(average),
                p_value(foresight),
                match better {
                    Some(Side::A) => "A".to_owned(),
                    Some(Side::B) => "B".to_owned(),
                    None => "-".to_owned(),
                },
            ]
        };
    let overall = &loss.overall;
    let alone =
        (overall.diebold_mariano.map(|test| test.p_value), overall.giacomini_white.map(|test| test.p_value));
    table.row(row("all".to_owned(), overall, alone, loss.better));
    for bucket in &loss.by_lead {
        let to = bucket.to_hours.map_or_else(String::new, |to| format!(" to {to}"));
        let corrected = (bucket.diebold_mariano_holm, bucket.giacomini_white_holm);
        table.row(row(format!("from {}{to} h", bucket.from_hours), &bucket.tested, corrected, bucket.better));
    }
    format!("\n{heading}\n{}\n{}\n\n{}", loss.verdict, loss.leads, table.render())
}

fn p_value(p: Option<f64>) -> String {
    match p {
        None => "-".to_owned(),
        Some(p) if p < 0.0001 => "<0.0001".to_owned(),
        Some(p) => format!("{p:.4}"),
    }
}
