//! Wind for wind power: speed, power and direction from the components of a wind, or from its speed alone.
//!
//! The power of a turbine rises with the cube of the speed until it is rated and is flat after that, so a forecast of
//! the components says little to a model until they are speeds, and little to a linear model until they are curves of
//! the speed. Timing errors of weather forecasts smear a ramp over hours, which the means around a row stand for
//! (Landry et al., "Probabilistic gradient boosting machines for GEFCom2014 wind forecasting", IJF 32 (2016) 1061-1066).

use forewatt_domain::SeriesKind;

use super::covariates::Known;
use super::spec::CovariateSpec;
use super::{Cells, Context, FeatureSpec, Row};

/// What follows from the two components of a wind.
const PAIR: [&str; 5] = ["speed", "sin", "cos", "ramp_before", "ramp_after"];
/// What follows from any speed.
const SPEED: [&str; 7] = ["around", "day_mean", "cubed", "power_6", "power_9", "power_12", "power_around"];
/// Between the lowest and the highest of several winds.
const BETWEEN: [&str; 2] = ["wind:shear", "wind:veer"];
/// Speeds, in m/s, at which a saturating curve of the speed reaches one half: slack, fresh and strong winds.
const HALF_POWER: [f32; 3] = [6.0, 9.0, 12.0];
/// More winds than this are not derived from; a farm has a handful of heights.
const WINDS_MAX: usize = 16;
/// No wind is faster, in m/s: what is, is an error that must not be raised to the third power.
const SPEED_MAX: f32 = 150.0;

/// One wind: at a height, or of a source.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wind {
    /// What its columns are named after.
    tag: String,
    /// Height in its name, for the order.
    height: u32,
    from: From,
    /// Metres per second in one unit of the covariate.
    scale: f32,
}

/// Places among the covariates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Components { u: usize, v: usize },
    Speed(usize),
}

/// The winds among the covariates known ahead of a wind series, lowest first; none for other series.
pub(super) fn winds(spec: &FeatureSpec) -> Vec<Wind> {
    if spec.kind != SeriesKind::Wind {
        return Vec::new();
    }
    let usable = |c: &CovariateSpec| c.known_ahead && c.kind != SeriesKind::Temperature;
    let named: Vec<(usize, String, &CovariateSpec)> = spec
        .covariates
        .iter()
        .enumerate()
        .filter(|(_, c)| usable(c))
        .map(|(i, c)| (i, c.series.to_string().to_ascii_lowercase(), c))
        .collect();
    let mut winds = Vec::new();
    let mut parts = Vec::new();
    for (u, name, c) in &named {
        let partner = component(name).and_then(|partner| named.iter().find(|(_, n, _)| *n == partner));
        if let Some((v, _, _)) = partner {
            parts.extend([*u, *v]);
            winds.push(Wind::new(name, c, From::Components { u: *u, v: *v }));
        }
    }
    let alone = |i: &usize, name: &str| !parts.contains(i) && is_speed(name);
    for (i, name, c) in named.iter().filter(|(i, name, c)| c.kind == SeriesKind::Weather && alone(i, name)) {
        winds.push(Wind::new(name, c, From::Speed(*i)));
    }
    let heights: Vec<u32> = winds.iter().map(|wind| wind.height).collect();
    for wind in &mut winds {
        // Two winds of one height keep their whole names.
        if wind.height > 0 && heights.iter().filter(|&&height| height == wind.height).count() == 1 {
            wind.tag = wind.height.to_string();
        }
    }
    winds.sort_by(|a, b| (a.height, &a.tag).cmp(&(b.height, &b.tag)));
    winds.truncate(WINDS_MAX);
    winds
}

/// The name of the northward part of the wind whose eastward part has this (lower-case) name.
fn component(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let is_token = |&i: &usize| {
        let begins = i == 0 || !bytes[i - 1].is_ascii_alphabetic();
        let rest = &name[i + 1..];
        let ends = rest.bytes().next().is_none_or(|next| !next.is_ascii_alphabetic());
        // The words of GRIB files and of climate models: ugrd, uwind, uas.
        begins && (ends || ["grd", "wind", "as"].iter().any(|word| rest.starts_with(word)))
    };
    let place = name.match_indices('u').map(|(i, _)| i).find(is_token)?;
    Some(format!("{}v{}", &name[..place], &name[place + 1..]))
}

/// Whether a (lower-case) name tells a wind's speed and not its direction.
fn is_speed(name: &str) -> bool {
    let words = name.split(|c: char| !c.is_ascii_alphabetic()).collect::<Vec<_>>();
    let speed = name.contains("wind") || words.contains(&"ws");
    speed && !words.iter().any(|word| word.contains("dir") || *word == "deg" || *word == "wd")
}

impl Wind {
    fn new(name: &str, covariate: &CovariateSpec, from: From) -> Self {
        let digits: String =
            name.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        Self {
            tag: name.to_owned(),
            height: digits.parse().unwrap_or(0),
            from,
            scale: metres_per_second(&covariate.unit),
        }
    }

    fn columns(&self) -> impl Iterator<Item = &'static str> {
        let pair = matches!(self.from, From::Components { .. });
        PAIR.into_iter().filter(move |_| pair).chain(SPEED)
    }

    /// Eastward and northward speed in m/s; of a speed alone the direction is not known.
    fn vector(&self, known: &[Known], index: i64) -> Option<(f32, f32)> {
        match self.from {
            From::Components { u, v } => {
                Some((self.scale * known[u].ahead(index), self.scale * known[v].ahead(index)))
            }
            From::Speed(_) => None,
        }
    }

    /// In m/s; NaN where not known.
    fn speed(&self, known: &[Known], index: i64) -> f32 {
        let speed = match self.from {
            From::Components { .. } => self.vector(known, index).map_or(f32::NAN, |(u, v)| u.hypot(v)),
            From::Speed(i) => self.scale * known[i].ahead(index),
        };
        speed.clamp(0.0, SPEED_MAX)
    }
}

/// From a unit as people write it; metres per second when it says nothing else.
fn metres_per_second(unit: &str) -> f32 {
    match unit.trim().to_ascii_lowercase().as_str() {
        "km/h" | "kmh" | "kph" => 1.0 / 3.6,
        "mph" | "mi/h" => 0.447_04,
        "kt" | "kn" | "knot" | "knots" => 0.514_444,
        _ => 1.0,
    }
}

/// A curve from 0 to 1 that rises with the cube of the speed and is one half at `half`.
fn power(speed: f32, half: f32) -> f32 {
    let cube = (speed / half).powi(3);
    cube / (1.0 + cube)
}

pub(super) fn names(spec: &FeatureSpec, names: &mut Vec<String>) {
    let winds = winds(spec);
    for wind in &winds {
        names.extend(wind.columns().map(|column| format!("wind:{}:{column}", wind.tag)));
    }
    if ends(&winds).is_some() {
        names.extend(BETWEEN.map(str::to_owned));
    }
}

/// The lowest and the highest wind of known direction.
fn ends(winds: &[Wind]) -> Option<(&Wind, &Wind)> {
    let mut vectors = winds.iter().filter(|wind| matches!(wind.from, From::Components { .. }));
    Some((vectors.next()?, vectors.next_back()?))
}

pub(super) fn row(context: &Context<'_>, known: &[Known], row: &Row, cells: &mut Cells<'_>) {
    for wind in &context.winds {
        let speed = wind.speed(known, row.index);
        if let Some((u, v)) = wind.vector(known, row.index) {
            let length = speed.max(f32::MIN_POSITIVE); // a calm has no direction: both are zero
            cells.put(speed);
            cells.put(v / length);
            cells.put(u / length);
            cells.put(speed - wind.speed(known, row.index - 1));
            cells.put(wind.speed(known, row.index + 1) - speed);
        }
        let hours = context.per_day / 8;
        let (start, end) = context.day_bounds(row.local.day);
        let around = row.index - hours..row.index + hours + 1;
        let speeds = |indices: std::ops::Range<i64>| indices.map(|index| wind.speed(known, index));
        cells.put(mean(speeds(around.clone())));
        cells.put(mean(speeds(start..end)));
        cells.put(speed.powi(3));
        HALF_POWER.iter().for_each(|&half| cells.put(power(speed, half)));
        cells.put(mean(speeds(around).map(|speed| power(speed, HALF_POWER[1]))));
    }
    if let Some((low, high)) = ends(&context.winds) {
        let (slow, fast) = (low.speed(known, row.index), high.speed(known, row.index));
        cells.put((fast - slow) / (fast + slow).max(f32::MIN_POSITIVE));
        let vectors = low.vector(known, row.index).zip(high.vector(known, row.index));
        let turn = |((u, v), (x, y)): ((f32, f32), (f32, f32))| (u * y - v * x) / (slow * fast).max(1e-12);
        cells.put(vectors.map_or(f32::NAN, turn));
    }
}

/// The mean of the known values; NaN when there are none.
fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let known = values.filter(|value| !value.is_nan());
    let (sum, count) = known.fold((0.0_f64, 0.0_f64), |(s, n), value| (s + f64::from(value), n + 1.0));
    (sum / count) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_told_by_their_names() {
        for (u, v) in [
            ("u10", "v10"),
            ("u", "v"),
            ("wind_u_10m", "wind_v_10m"),
            ("10u", "10v"),
            ("ugrd80", "vgrd80"),
            ("plant.u-100", "plant.v-100"),
        ] {
            assert_eq!(component(u).as_deref(), Some(v), "{u}");
        }
        assert_eq!(component("humidity"), None);
        assert!(is_speed("wind_speed_10m") && is_speed("ws100") && is_speed("plant.ws.80"));
        assert!(!is_speed("wind_direction_10m") && !is_speed("draws") && !is_speed("winddir"));
    }

    #[test]
    fn curves_rise_from_zero_to_one() {
        assert_eq!(power(0.0, 9.0), 0.0);
        assert!((power(9.0, 9.0) - 0.5).abs() < 1e-6);
        assert!(power(30.0, 9.0) > 0.97 && power(SPEED_MAX, 6.0) <= 1.0);
        assert!(power(f32::NAN, 6.0).is_nan());
        assert!((metres_per_second("km/h") * 36.0 - 10.0).abs() < 1e-5);
    }
}
