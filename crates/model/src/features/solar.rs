//! Solar position and clear-sky irradiance from place and time alone.

use std::f64::consts::TAU;

use forewatt_domain::{Location, SeriesKind};

use super::spec::LEVEL_DAYS;
use super::{Cells, Context, FeatureSpec, Origin, Row};

/// Below this clear-sky irradiance (W/m2) an index says more about the formula's edge than about clouds.
const INDEX_ABOVE: f32 = 50.0;
/// 2000-01-01T12:00:00Z in Unix seconds: the epoch of Michalsky's almanac.
const J2000: f64 = 946_728_000.0;
/// One sample of the sun per so many seconds of a period.
const SAMPLE_SECONDS: u32 = 900;

/// A place, ready for many instants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    sin_latitude: f64,
    cos_latitude: f64,
    longitude: f64,
}

/// The sun over one period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sun {
    /// Mean sine of the elevation; negative at night.
    pub elevation_sin: f32,
    /// Mean global horizontal irradiance of a clear sky in W/m2.
    pub clear_sky_ghi: f32,
}

impl Site {
    pub(super) fn new(location: Location) -> Self {
        let (sin_latitude, cos_latitude) = location.latitude.to_radians().sin_cos();
        Self { sin_latitude, cos_latitude, longitude: location.longitude.to_radians() }
    }

    /// The mean over the period of `length` seconds that starts at the Unix time `start`.
    ///
    /// Position: J. J. Michalsky, "The Astronomical Almanac's algorithm for approximate solar position
    /// (1950-2050)", Solar Energy 40 (1988) 227-235, to 0.01 degrees. Irradiance: [`haurwitz`].
    pub(super) fn over(&self, start: i64, length: u32) -> Sun {
        let samples = (length / SAMPLE_SECONDS).max(1);
        let first = start as f64 + f64::from(length) / f64::from(samples) / 2.0;
        // The sun's place among the stars moves by a degree a day, so the middle serves the whole period.
        let (x, y, z) = among_stars(start as f64 + f64::from(length) / 2.0);
        let (mut elevation, mut ghi) = (0.0, 0.0);
        for i in 0..samples {
            let second = first + f64::from(i) * f64::from(length) / f64::from(samples);
            let (sin, cos) = (sidereal(second) + self.longitude).sin_cos();
            let sine = self.cos_latitude * (x * cos + y * sin) + self.sin_latitude * z;
            elevation += sine;
            ghi += haurwitz(sine);
        }
        let mean = |sum: f64| (sum / f64::from(samples)) as f32;
        Sun { elevation_sin: mean(elevation), clear_sky_ghi: mean(ghi) }
    }
}

/// The sun's direction in equatorial coordinates (equinox, 6 h east of it, north), length one.
fn among_stars(second: f64) -> (f64, f64, f64) {
    let days = (second - J2000) / 86_400.0;
    let (sin_anomaly, cos_anomaly) = (357.528 + 0.985_600_3 * days).to_radians().sin_cos();
    let longitude =
        280.460 + 0.985_647_4 * days + 1.915 * sin_anomaly + 0.020 * 2.0 * sin_anomaly * cos_anomaly;
    let (sin, cos) = longitude.to_radians().sin_cos();
    let (sin_tilt, cos_tilt) = (23.439 - 0.000_000_4 * days).to_radians().sin_cos();
    (cos, cos_tilt * sin, sin_tilt * sin)
}

/// Greenwich mean sidereal time as an angle.
fn sidereal(second: f64) -> f64 {
    let days = (second - J2000) / 86_400.0;
    let hour = second.rem_euclid(86_400.0) / 3600.0;
    (6.697_375 + 0.065_709_824_2 * days + hour) / 24.0 * TAU
}

/// Clear-sky global horizontal irradiance in W/m2 from the sine of the elevation.
///
/// B. Haurwitz, "Insolation in relation to cloudiness and cloud density", Journal of Meteorology 2 (1945)
/// 154-166, in the form of Reno, Hansen and Stein, SAND2012-2389 (2012): the best of those that need the
/// sun's height alone.
fn haurwitz(elevation_sin: f64) -> f64 {
    if elevation_sin <= 0.0 {
        return 0.0;
    }
    1098.0 * elevation_sin * (-0.059 / elevation_sin).exp()
}

pub(super) fn names(spec: &FeatureSpec, names: &mut Vec<String>) {
    if spec.location.is_none() {
        return;
    }
    names.extend(["solar_elevation_sin", "clear_sky_ghi"].map(String::from));
    if spec.kind == SeriesKind::Solar {
        let more = [
            "clear_sky_index_24h",
            "clear_sky_index_7d",
            "clear_sky_index_day_1",
            "clear_sky_expected_24h",
            "clear_sky_expected_7d",
        ];
        names.extend(more.map(String::from));
    }
}

/// Generation per clear-sky irradiance over the last day and week before an origin; NaN when unknown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clearness {
    day: f32,
    week: f32,
}

impl Clearness {
    pub(super) fn new(context: &Context<'_>, origin: &Origin) -> Self {
        let Some(site) = context.site.filter(|_| context.spec.kind == SeriesKind::Solar) else {
            return Self { day: f32::NAN, week: f32::NAN };
        };
        let (mut generated, mut clear) = (0.0_f64, 0.0_f64);
        let ratio =
            |generated: f64, clear: f64| (if clear > 0.0 { generated / clear } else { f64::NAN }) as f32;
        let mut day = f32::NAN;
        for back in 1..=LEVEL_DAYS as i64 * context.per_day {
            let value = context.target.get(origin.index - back, origin.time);
            if !value.is_nan() {
                let sun = site.over(context.second(origin.index - back), context.step_seconds);
                generated += f64::from(value);
                clear += f64::from(sun.clear_sky_ghi);
            }
            if back == context.per_day {
                day = ratio(generated, clear);
            }
        }
        Self { day, week: ratio(generated, clear) }
    }
}

pub(super) fn row(context: &Context<'_>, clearness: &Clearness, row: &Row, cells: &mut Cells<'_>) {
    let Some(site) = context.site else { return };
    let sun = site.over(context.second(row.index), context.step_seconds);
    cells.put(sun.elevation_sin);
    cells.put(sun.clear_sky_ghi);
    if context.spec.kind == SeriesKind::Solar {
        let lag = context.days_before(row, row.first_day);
        let then = site.over(context.second(lag), context.step_seconds).clear_sky_ghi;
        let value = context.target.get(lag, row.origin);
        cells.put(clearness.day);
        cells.put(clearness.week);
        cells.put(if then > INDEX_ABOVE { value / then } else { f32::NAN });
        cells.put(clearness.day * sun.clear_sky_ghi);
        cells.put(clearness.week * sun.clear_sky_ghi);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forewatt_domain::Time;

    /// Reda and Andreas, "Solar position algorithm", NREL/TP-560-34302 (2008), appendix A.5: the elevation
    /// without refraction is 39.872046 degrees.
    #[test]
    fn the_sun_stands_where_the_reference_algorithm_says() {
        let site = Site::new(Location::new(39.742_476, -105.178_6).unwrap());
        let time: Time = "2003-10-17T12:30:30-07:00".parse().unwrap();
        let sun = site.over(time.seconds(), 0);
        let degrees = f64::from(sun.elevation_sin).asin().to_degrees();
        assert!((degrees - 39.872_046).abs() < 0.02, "{degrees}");
    }

    #[test]
    fn a_clear_noon_is_bright_and_the_night_is_dark() {
        let madrid = Site::new(Location::new(40.4, -3.7).unwrap());
        let at = |text: &str| madrid.over(text.parse::<Time>().unwrap().seconds(), 3600);
        let noon = at("2026-06-21T12:00:00Z");
        // Elevation 73 degrees: 1098 * 0.956 * exp(-0.059 / 0.956) = 987.
        assert!((noon.clear_sky_ghi - 987.0).abs() < 5.0, "{noon:?}");
        let night = at("2026-06-21T00:00:00Z");
        assert_eq!(night.clear_sky_ghi, 0.0);
        assert!(night.elevation_sin < 0.0);
        let dawn = at("2026-06-21T04:00:00Z");
        assert!(dawn.clear_sky_ghi > 0.0, "the hour in which the sun rises has some light: {dawn:?}");
    }

    #[test]
    fn quarters_average_to_the_hour() {
        let site = Site::new(Location::new(-37.8, 145.0).unwrap());
        let start = "2026-01-01T20:00:00Z".parse::<Time>().unwrap().seconds();
        let hour = site.over(start, 3600);
        let quarters: f32 = (0..4).map(|i| site.over(start + 900 * i, 900).clear_sky_ghi).sum::<f32>() / 4.0;
        assert!((hour.clear_sky_ghi - quarters).abs() < 0.5);
    }
}
