//! XML as ENTSO-E's transparency platform answers: IEC 62325-351 documents, whose points have positions in a period.

use std::collections::BTreeMap;

use forewatt_domain::{Resolution, Time};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::answer::{Column, Document, POINTS_MAX};

/// Elements within elements.
const DEPTH_MAX: usize = 16;

/// Reads an answer. Its columns are called by production type (`B16`) where there is one, else `price` or `quantity`.
///
/// # Errors
/// A text that says where it is not what it should be.
pub(super) fn read(body: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(body).map_err(|_| "it is not text in UTF-8".to_owned())?;
    let mut reader = Reader::from_str(text);
    let (mut path, mut leaf): (Vec<String>, String) = (Vec::new(), String::new());
    let mut found = Found::default();
    loop {
        match reader.read_event().map_err(|error| format!("it is not XML: {error}"))? {
            Event::Start(element) => {
                path.push(element.local_name().into_inner().to_owned());
                leaf.clear();
                if path.len() > DEPTH_MAX {
                    return Err(format!("its elements are nested deeper than {DEPTH_MAX}"));
                }
            }
            Event::Text(text) => leaf.push_str(&text.xml10_content()),
            Event::End(_) => {
                let Some(name) = path.pop() else {
                    return Err("an element ends that never began".to_owned());
                };
                found.ends(&name, leaf.trim(), &path)?;
                leaf.clear();
                found.root = name;
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if let Some(open) = path.last() {
        return Err(format!("it is cut off inside `{open}`"));
    }
    found.document()
}

/// What has been read so far.
#[derive(Default)]
struct Found {
    root: String,
    reason: String,
    series: TimeSeries,
    period: Period,
    point: (Option<usize>, Option<f64>),
    columns: BTreeMap<String, Gathered>,
}

#[derive(Default)]
struct TimeSeries {
    production: String,
    currency: String,
    measure: String,
    /// A03: a value holds until the next one.
    blocks: bool,
}

#[derive(Default)]
struct Period {
    start: Option<Time>,
    end: Option<Time>,
    step: Option<Resolution>,
    price: bool,
    points: Vec<(usize, f64)>,
}

struct Gathered {
    unit: String,
    step: Resolution,
    points: BTreeMap<Time, f64>,
}

impl Found {
    /// An element has ended; `path` is what it lies in.
    fn ends(&mut self, name: &str, text: &str, path: &[String]) -> Result<(), String> {
        let within = path.last().map_or("", String::as_str);
        match (within, name) {
            ("Reason", "text") => text.clone_into(&mut self.reason),
            (_, "psrType") => text.clone_into(&mut self.series.production),
            ("TimeSeries", "currency_Unit.name") => text.clone_into(&mut self.series.currency),
            ("TimeSeries", "price_Measure_Unit.name" | "quantity_Measure_Unit.name") => {
                text.clone_into(&mut self.series.measure);
            }
            ("TimeSeries", "curveType") => self.series.blocks = text == "A03",
            ("timeInterval", "start") if is_period(path) => self.period.start = Some(instant(text)?),
            ("timeInterval", "end") if is_period(path) => self.period.end = Some(instant(text)?),
            ("Period", "resolution") => {
                self.period.step = Some(text.parse().map_err(|error| format!("resolution: {error}"))?);
            }
            ("Point", "position") => {
                self.point.0 = Some(text.parse().map_err(|_| format!("`{text}` is no position"))?);
            }
            ("Point", "price.amount" | "quantity") => {
                let value = text.parse().ok().filter(|value: &f64| value.is_finite());
                self.point.1 = Some(value.ok_or(format!("`{text}` is no number"))?);
                self.period.price = name == "price.amount";
            }
            (_, "Point") => self.keep_point()?,
            (_, "Period") => self.keep_period()?,
            (_, "TimeSeries") => self.series = TimeSeries::default(),
            _ => {}
        }
        Ok(())
    }

    fn keep_point(&mut self) -> Result<(), String> {
        let (Some(position), Some(value)) = std::mem::take(&mut self.point) else {
            return Err("a point has no position or no value".to_owned());
        };
        let last = self.period.points.last().map_or(0, |(last, _)| *last);
        if position <= last || position > POINTS_MAX {
            return Err(format!("the position {position} follows {last}: time goes back"));
        }
        self.period.points.push((position, value));
        Ok(())
    }

    /// Puts a period's points in their place in time.
    fn keep_period(&mut self) -> Result<(), String> {
        let period = std::mem::take(&mut self.period);
        let (Some(start), Some(end), Some(step)) = (period.start, period.end, period.step) else {
            return Err("a period lacks its start, its end or its resolution".to_owned());
        };
        let count = usize::try_from(end.micros_since(start) / step.micros()).unwrap_or(0);
        if count == 0 || count > POINTS_MAX {
            return Err(format!("a period from {start} to {end} cannot be"));
        }
        if period.points.last().is_some_and(|(last, _)| *last > count) {
            return Err(format!("a point lies beyond the end of its period, {end}"));
        }
        let (name, unit) = self.series.called(period.price);
        let column = self.columns.entry(name.clone()).or_insert(Gathered {
            unit: unit.clone(),
            step,
            points: BTreeMap::new(),
        });
        if column.unit != unit || column.step != step {
            return Err(format!("`{name}` comes in two units or resolutions: narrow the URL"));
        }
        let ends = period.points.iter().skip(1).map(|(next, _)| *next).chain([count + 1]);
        for (&(position, value), next) in period.points.iter().zip(ends) {
            let until = if self.series.blocks { next } else { position + 1 };
            for at in position..until {
                let time = start.plus_micros((at as i64 - 1) * step.micros());
                if column.points.insert(time, value).is_some_and(|before| before != value) {
                    return Err(format!("`{name}` has two values for {time}: narrow the URL"));
                }
            }
        }
        if column.points.len() > POINTS_MAX {
            return Err(format!("`{name}` has more than {POINTS_MAX} values"));
        }
        Ok(())
    }

    fn document(self) -> Result<Document, String> {
        if self.root == "Acknowledgement_MarketDocument" {
            return Ok(Document { empty: Some(self.reason), columns: Vec::new() });
        }
        if self.columns.is_empty() {
            return Err(format!("`{}` holds no periods", self.root));
        }
        let column = |(name, found): (String, Gathered)| Column {
            name,
            unit: found.unit,
            step: found.step,
            points: found.points.into_iter().collect(),
            location: None,
        };
        Ok(Document { empty: None, columns: self.columns.into_iter().map(column).collect() })
    }
}

impl TimeSeries {
    /// The name and unit of its values.
    fn called(&self, price: bool) -> (String, String) {
        if price {
            return ("price".to_owned(), format!("{}/{}", self.currency, self.measure));
        }
        let name = if self.production.is_empty() { "quantity" } else { &self.production };
        (name.to_owned(), self.measure.clone())
    }
}

/// Whether a `timeInterval` is that of a `Period`, and not of the whole document.
fn is_period(path: &[String]) -> bool {
    path.len() >= 2 && path[path.len() - 2] == "Period"
}

/// `2026-01-31T23:00Z`.
fn instant(text: &str) -> Result<Time, String> {
    text.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<Publication_MarketDocument xmlns="urn:iec62325.351:tc57wg16:451-3:publicationdocument:7:3">
  <mRID>f1b2</mRID><revisionNumber>1</revisionNumber><type>A44</type>
  <createdDateTime>2026-01-01T13:00:00Z</createdDateTime>
  <period.timeInterval><start>2025-12-31T23:00Z</start><end>2026-01-01T23:00Z</end></period.timeInterval>
  <TimeSeries>
    <mRID>1</mRID><businessType>A62</businessType>
    <in_Domain.mRID codingScheme="A01">10YES-REE------0</in_Domain.mRID>
    <currency_Unit.name>EUR</currency_Unit.name><price_Measure_Unit.name>MWH</price_Measure_Unit.name>
    <curveType>A03</curveType>
    <Period>
      <timeInterval><start>2025-12-31T23:00Z</start><end>2026-01-01T03:00Z</end></timeInterval>
      <resolution>PT60M</resolution>
      <Point><position>1</position><price.amount>63.3</price.amount></Point>
      <Point><position>3</position><price.amount>-1.5</price.amount></Point>
    </Period>
  </TimeSeries>
</Publication_MarketDocument>"#;

    fn values(text: &str, name: &str) -> Vec<(String, f64)> {
        let document = read(text.as_bytes()).unwrap();
        document.column(name).unwrap().points.iter().map(|(t, v)| (t.to_string(), *v)).collect()
    }

    #[test]
    fn prices_hold_until_the_next_one() {
        let found = values(PRICES, "price");
        let prices: Vec<f64> = found.iter().map(|(_, value)| *value).collect();
        assert_eq!(prices, [63.3, 63.3, -1.5, -1.5]);
        assert_eq!(
            (found[0].0.as_str(), found[3].0.as_str()),
            ("2025-12-31T23:00:00Z", "2026-01-01T02:00:00Z")
        );
        assert_eq!(read(PRICES.as_bytes()).unwrap().columns[0].unit, "EUR/MWH");
        let points = values(&PRICES.replace("A03", "A01"), "price");
        assert_eq!(points.len(), 2, "of the other curve only what is there");
    }

    #[test]
    fn quantities_are_told_apart_by_production() {
        let load = PRICES
            .replace("<currency_Unit.name>EUR</currency_Unit.name>", "")
            .replace("price_Measure_Unit.name>MWH", "quantity_Measure_Unit.name>MAW")
            .replace("</price_Measure_Unit.name>", "</quantity_Measure_Unit.name>")
            .replace("price.amount", "quantity");
        assert_eq!(values(&load, "quantity").len(), 4);
        let solar = load.replace("<mRID>1</mRID>", "<MktPSRType><psrType>B16</psrType></MktPSRType>");
        assert_eq!(values(&solar, "B16").len(), 4);
        assert_eq!(read(solar.as_bytes()).unwrap().columns[0].unit, "MAW");
    }

    #[test]
    fn nothing_to_tell_is_no_fault() {
        let text = "<Acknowledgement_MarketDocument><Reason><code>999</code><text>No matching data found</text></Reason></Acknowledgement_MarketDocument>";
        assert_eq!(read(text.as_bytes()).unwrap().empty.as_deref(), Some("No matching data found"));
    }

    #[test]
    fn what_is_no_answer_says_where() {
        for (from, to, told) in [
            ("63.3", "NaN", "no number"),
            ("63.3", "1e999", "no number"),
            ("<position>3<", "<position>1<", "time goes back"),
            ("<position>3<", "<position>5<", "beyond the end"),
            ("<position>3<", "<position>-3<", "no position"),
            ("<price.amount>63.3</price.amount>", "", "no value"),
            ("PT60M", "PT7M", "resolution"),
            ("<end>2026-01-01T03:00Z", "<end>2025-01-01T03:00Z", "cannot be"),
            ("<end>2026-01-01T03:00Z", "<end>9999-01-01T03:00Z", ""),
            ("<resolution>PT60M</resolution>", "", "lacks"),
            ("</TimeSeries>", "</TimeSerie>", "not XML"),
            ("</Publication_MarketDocument>", "", "cut off"),
        ] {
            let lie = PRICES.replacen(from, to, 1);
            assert_ne!(lie, PRICES, "{from}");
            let refused = read(lie.as_bytes()).unwrap_err();
            assert!(refused.contains(told), "{from} -> {to}: {refused}");
        }
        let deep = "<a>".repeat(40);
        assert!(read(deep.as_bytes()).unwrap_err().contains("nested deeper"));
        assert!(read(b"<html><body>Bad gateway</body></html>").unwrap_err().contains("no periods"));
        assert!(read(&[0xff, 0xfe]).unwrap_err().contains("UTF-8"));
    }
}
