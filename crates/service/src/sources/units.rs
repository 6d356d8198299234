//! Units as sources write them, and what values they can have on Earth.

use forewatt_domain::SeriesKind;

/// A unit, how it is written in small letters without blanks, the kind of series it speaks of, and its range.
type Row = (&'static str, &'static [&'static str], SeriesKind, f64, f64);

/// Beyond the records of the weather by a margin; market prices beyond every limit of the exchanges.
const UNITS: [Row; 16] = [
    ("degC", &["degc", "°c", "c", "celsius"], SeriesKind::Temperature, -95.0, 65.0),
    ("degF", &["degf", "°f", "f", "fahrenheit"], SeriesKind::Temperature, -140.0, 150.0),
    ("K", &["k", "kelvin"], SeriesKind::Temperature, 178.0, 338.0),
    ("%", &["%", "percent"], SeriesKind::Weather, 0.0, 100.0),
    ("W/m2", &["w/m2", "w/m²", "wm-2"], SeriesKind::Weather, -10.0, 2_000.0),
    ("km/h", &["km/h", "kmh", "kph"], SeriesKind::Weather, 0.0, 500.0),
    ("m/s", &["m/s", "ms-1"], SeriesKind::Weather, 0.0, 140.0),
    ("mm", &["mm"], SeriesKind::Weather, 0.0, 2_000.0),
    ("hPa", &["hpa", "mbar"], SeriesKind::Weather, 300.0, 1_100.0),
    ("deg", &["deg", "°"], SeriesKind::Weather, -360.0, 360.0),
    ("EUR/MWh", &["eur/mwh", "€/mwh"], SeriesKind::Price, -10_000.0, 100_000.0),
    ("GBP/MWh", &["gbp/mwh", "£/mwh"], SeriesKind::Price, -10_000.0, 100_000.0),
    ("MW", &["mw", "maw"], SeriesKind::Load, -1e6, 1e7),
    ("MWh", &["mwh"], SeriesKind::Load, -1e6, 1e7),
    ("kW", &["kw"], SeriesKind::Load, -1e9, 1e10),
    ("kWh", &["kwh"], SeriesKind::Load, -1e9, 1e10),
];

fn row(unit: &str) -> Option<&'static Row> {
    let plain: String = unit.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
    UNITS.iter().find(|row| row.1.contains(&plain.as_str()))
}

/// Whether two ways of writing mean the same unit.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b || row(a).is_some_and(|found| row(b).is_some_and(|other| found.0 == other.0))
}

/// A unit as series here write it.
pub(super) fn plain(unit: &str) -> String {
    row(unit).map_or(unit, |row| row.0).to_owned()
}

/// The kind of a series in this unit.
pub(super) fn kind(unit: &str) -> SeriesKind {
    row(unit).map_or(SeriesKind::Other, |row| row.2)
}

/// The least and the greatest value that can be.
pub(super) fn range(unit: &str) -> (f64, f64) {
    row(unit).map_or((-1e12, 1e12), |row| (row.3, row.4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_known_however_they_are_written() {
        for (a, b) in [("°C", "degC"), ("W/m²", "W/m2"), ("MAW", "MW"), ("EUR/MWH", "EUR/MWh"), ("x", "x")]
        {
            assert!(same(a, b) && same(b, a), "{a} {b}");
        }
        for (a, b) in [("°C", "°F"), ("°C", "K"), ("MW", "MWh"), ("km/h", "m/s"), ("x", "y"), ("MW", "kW")]
        {
            assert!(!same(a, b), "{a} {b}");
        }
        assert_eq!((plain("°C").as_str(), kind("°C")), ("degC", SeriesKind::Temperature));
        assert_eq!((plain("furlong").as_str(), kind("furlong")), ("furlong", SeriesKind::Other));
        let names: std::collections::BTreeSet<&str> = UNITS.iter().flat_map(|row| row.1).copied().collect();
        assert_eq!(
            names.len(),
            UNITS.iter().map(|row| row.1.len()).sum::<usize>(),
            "no way of writing means two"
        );
    }

    #[test]
    fn kelvin_sold_as_celsius_is_seen() {
        let (low, high) = range("°C");
        assert!((low..=high).contains(&-40.0) && !(low..=high).contains(&285.0));
    }
}
