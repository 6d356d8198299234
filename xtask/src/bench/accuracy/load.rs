//! Day-ahead load of countries, states and balancing authorities, beside the official forecast where there is one.

use std::sync::Arc;

use super::data::{DAY, HOUR, Series, Source, rfc3339, seconds};
use super::exe::Forecasts;
use super::metrics::{Metrics, coverage, known, mae, mape, means, medians, named};
use super::task::{Input, Part, words};

/// The MAPE on the hours that the official forecast covers too: the only ones where the two compare.
pub const BESIDE_OFFICIAL: &str = "MAPE, official's hours";

/// An area and the year to forecast.
#[derive(Debug)]
pub struct Area {
    /// The data.
    pub file: &'static str,
    /// Keep only the rows that begin with this field.
    pub only: Option<&'static str>,
    /// Column of the times.
    pub time: &'static str,
    /// Zone of the times, and of `from` and `to`.
    pub zone: &'static str,
    /// Columns to forecast, a backtest each.
    pub targets: &'static [&'static str],
    /// Add a column of this name, the sum of all others.
    pub sum: Option<&'static str>,
    /// Column of the official forecast.
    pub official: Option<&'static str>,
    /// Further arguments of `forewatt backtest`.
    pub arguments: &'static str,
    /// The first forecast start.
    pub from: &'static str,
    /// The end of the test.
    pub to: &'static str,
    /// How often the model is fitted anew.
    pub refit: &'static str,
}

const fn authority(
    code: &'static str,
    arguments: &'static str,
    from: &'static str,
    to: &'static str,
) -> Area {
    Area {
        file: "eia930_54ba_2017_2020.csv.gz",
        only: Some(code),
        time: "time_utc",
        zone: "UTC",
        targets: &["demand_mw"],
        sum: None,
        official: Some("demand_forecast_mw"),
        arguments,
        from,
        to,
        refit: "28d",
    }
}

/// PJM Interconnection.
pub const PJM: Area = authority(
    "PJM",
    "--civil-zone America/New_York --holidays US",
    "2018-07-01T04:00:00Z",
    "2019-07-01T04:00:00Z",
);
/// Texas.
pub const ERCO: Area = authority(
    "ERCO",
    "--civil-zone America/Chicago --holidays US-TX",
    "2019-07-01T05:00:00Z",
    "2020-07-01T05:00:00Z",
);
/// New England.
pub const ISNE: Area = authority(
    "ISNE",
    "--civil-zone America/New_York --holidays US-MA",
    "2019-07-01T04:00:00Z",
    "2020-07-01T04:00:00Z",
);
/// California.
pub const CISO: Area = authority(
    "CISO",
    "--civil-zone America/Los_Angeles --holidays US-CA",
    "2019-07-01T07:00:00Z",
    "2020-07-01T07:00:00Z",
);
/// Duke Energy Carolinas.
pub const DUK: Area = authority(
    "DUK",
    "--civil-zone America/New_York --holidays US-NC",
    "2019-07-01T04:00:00Z",
    "2020-07-01T04:00:00Z",
);
/// Seattle City Light.
pub const SCL: Area = authority(
    "SCL",
    "--civil-zone America/Los_Angeles --holidays US-WA",
    "2019-07-01T07:00:00Z",
    "2020-07-01T07:00:00Z",
);

/// Spain with observed temperatures.
pub const SPAIN: Area = Area {
    file: "spain_2015_2017.csv.gz",
    only: None,
    time: "local_time_madrid",
    zone: "Europe/Madrid",
    targets: &["load_mw"],
    sum: None,
    official: Some("load_forecast_tso_mw"),
    arguments: "--ambiguous earlier --holidays ES --known-ahead temp_barcelona:temperature,\
                temp_bilbao:temperature,temp_madrid:temperature,temp_seville:temperature,temp_valencia:temperature",
    from: "2017-01-01",
    to: "2018-01-01",
    refit: "28d",
};

/// Victoria with Melbourne's observed temperature.
pub const VICTORIA: Area = Area {
    file: "vic_elec_30min_2012_2014.csv.gz",
    only: None,
    time: "Time",
    zone: "UTC",
    targets: &["Demand"],
    sum: None,
    official: None,
    arguments: "--civil-zone Australia/Melbourne --holidays AU-VIC --known-ahead Temperature:temperature",
    from: "2013-12-31T13:00:00Z",
    to: "2014-12-31T13:00:00Z",
    refit: "28d",
};

/// Delhi with observed temperature.
pub const DELHI: Area = Area {
    file: "delhi_hourly_2010_2013.csv.gz",
    only: None,
    time: "timestamp",
    zone: "Asia/Kolkata",
    targets: &["load_mw"],
    sum: None,
    official: None,
    arguments: "--holidays IN --known-ahead temp_c:temperature",
    from: "2012-03-11",
    to: "2013-03-11",
    refit: "28d",
};

/// India's five regions.
pub const INDIA: Area = Area {
    file: "india_5region_hourly_2018_2023.csv.gz",
    only: None,
    time: "timestamp_ist",
    zone: "Asia/Kolkata",
    targets: &[
        "Northern Region",
        "North Eastern Region",
        "Eastern Region",
        "Southern Region",
        "Western Region",
    ],
    sum: None,
    official: None,
    arguments: "--holidays IN",
    from: "2023-01-01",
    to: "2024-01-01",
    refit: "28d",
};

/// The five regions together.
pub const INDIA_TOTAL: Area = Area { targets: &["total"], sum: Some("total"), ..INDIA };

/// One backtest a target.
///
/// # Errors
/// When the data are missing or not as expected.
pub fn parts(area: &Area, source: &Source) -> anyhow::Result<Vec<Part>> {
    let mut table = source.read(area.file)?;
    let mut input = Input::File(source.folder.join(area.file));
    if let Some(first) = area.only {
        table = table.only(first);
    }
    if let Some(name) = area.sum {
        table = table.with_sum(name);
    }
    if area.only.is_some() || area.sum.is_some() {
        input = Input::Text(Arc::new(table.text.clone()));
    }
    let zone = jiff::tz::TimeZone::get(area.zone)?;
    let from = seconds(area.from, &zone)?;
    let to = if source.quick { from + 28 * DAY } else { seconds(area.to, &zone)? };
    let mut parts = Vec::new();
    for target in area.targets {
        let actual = table.series(area.time, area.zone, target)?;
        let official = area.official.map(|column| table.series(area.time, area.zone, column)).transpose()?;
        let mut arguments = words(&format!("--time {} --time-zone {} --target", area.time, area.zone));
        arguments.push((*target).to_owned());
        arguments.extend(words(&format!(
            "--kind load {} --from {} --to {} --every 24h --horizon 24h --refit {}",
            area.arguments,
            rfc3339(from)?,
            rfc3339(to)?,
            area.refit
        )));
        parts.push(Part {
            name: (*target).to_owned(),
            input: input.clone(),
            arguments,
            anchors: anchors(&actual, official.as_ref(), from, to),
            score: Box::new(move |forecasts| score(forecasts, official.as_ref())),
        });
    }
    Ok(parts)
}

fn score(forecasts: &Forecasts, official: Option<&Series>) -> Metrics {
    let beside = |official: &Series| {
        let rows = forecasts.rows.iter().filter(|row| official.contains_key(&row.valid));
        mape(rows.map(|row| (row.actual, row.mean)))
    };
    named(&[
        ("rows", known(forecasts)),
        ("MAPE", mape(means(forecasts))),
        (BESIDE_OFFICIAL, official.map_or(f64::NAN, beside)),
        ("MAPE of medians", mape(medians(forecasts))),
        ("MAE", mae(means(forecasts))),
        ("in 80 %", coverage(forecasts, 80.0)),
    ])
}

/// A week before, a day before, and the official forecast, on the rows whose actual is known.
fn anchors(actual: &Series, official: Option<&Series>, from: i64, to: i64) -> Vec<(String, Metrics)> {
    let point = |forecast: &Series, back: i64| {
        let pairs = |also_official: bool| -> Vec<(f64, f64)> {
            actual
                .range(from..to)
                .filter(|(time, _)| !also_official || official.is_some_and(|o| o.contains_key(*time)))
                .filter_map(|(time, actual)| Some((*actual, *forecast.get(&(time - back))?)))
                .collect()
        };
        let all = pairs(false);
        named(&[
            ("rows", all.len() as f64),
            ("MAPE", mape(all.iter().copied())),
            (BESIDE_OFFICIAL, mape(pairs(true))),
            ("MAE", mae(all.iter().copied())),
        ])
    };
    let naives = [168, 24].map(|hours| (format!("naive {hours} h"), point(actual, hours * HOUR)));
    let official = official.map(|official| ("official".to_owned(), point(official, 0)));
    naives.into_iter().chain(official).collect()
}

#[cfg(test)]
mod tests {
    use super::super::exe::Row;
    use super::*;

    #[test]
    fn anchors_are_scored_on_known_rows_only() {
        // Ten days of a load that doubles on the last; its fifth hour is unknown.
        let load = |hour: i64| if hour >= 9 * 24 { 200.0 } else { 100.0 };
        let mut actual: Series = (0..10 * 24).map(|hour| (hour * HOUR, load(hour))).collect();
        actual.remove(&((9 * 24 + 5) * HOUR));
        // The official forecast is ten percent too high and has no last hour.
        let official: Series = (0..10 * 24 - 1).map(|hour| (hour * HOUR, load(hour) * 1.1)).collect();
        let anchors = anchors(&actual, Some(&official), 9 * DAY, 10 * DAY);
        let mape: Vec<(&str, f64)> = anchors.iter().map(|(name, m)| (name.as_str(), m["MAPE"])).collect();
        assert_eq!(mape[..2], [("naive 168 h", 50.0), ("naive 24 h", 50.0)]);
        assert!((mape[2].1 - 10.0).abs() < 1e-9 && mape[2].0 == "official");
        assert_eq!((anchors[0].1["rows"], anchors[0].1["MAE"]), (23.0, 100.0));
        assert_eq!((anchors[2].1["rows"], anchors[0].1[BESIDE_OFFICIAL]), (22.0, 50.0));
    }

    #[test]
    fn our_error_beside_the_official_one_is_taken_on_its_hours() {
        let row = |valid: i64, mean: f64| Row { start: 0, valid, actual: 100.0, mean, quantiles: Vec::new() };
        let forecasts = Forecasts { levels: Vec::new(), rows: vec![row(0, 110.0), row(HOUR, 130.0)] };
        let scores = score(&forecasts, Some(&Series::from([(0, 90.0)])));
        assert_eq!((scores["MAPE"], scores[BESIDE_OFFICIAL], scores["rows"]), (20.0, 10.0, 2.0));
        assert!(!score(&forecasts, None).contains_key(BESIDE_OFFICIAL));
    }
}
