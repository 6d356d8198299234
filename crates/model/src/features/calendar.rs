//! Calendar features: the clock on the wall, the weekday, holidays, the season.

use std::f64::consts::TAU;

use forewatt_domain::calendar::{Calendar, Region};
use jiff::civil::Date;

use super::{Cells, FeatureSpec, Row};
use crate::matrix::DayClass;

const NAMES: [&str; 18] = [
    "hour_sin",
    "hour_cos",
    "hour_sin_2",
    "hour_cos_2",
    "weekday_0",
    "weekday_1",
    "weekday_2",
    "weekday_3",
    "weekday_4",
    "weekday_5",
    "weekday_6",
    "weekend",
    "holiday",
    "bridge",
    "before_holiday",
    "after_holiday",
    "lead_hours",
    "slot_of_day",
];
const SEASON_NAMES: [&str; 5] =
    ["day_of_year_sin", "day_of_year_cos", "day_of_year_sin_2", "day_of_year_cos_2", "trend_years"];
/// Counted from Monday.
const SATURDAY: usize = 5;
const MICROS_PER_YEAR: f64 = 365.25 * 86_400e6;

/// What a local date is to people; the same for all its slots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    /// How it lives.
    pub class: DayClass,
    /// 1 to 366.
    pub day_of_year: u16,
    weekday: usize,
    weekend: bool,
    holiday: bool,
    bridge: bool,
    before_holiday: bool,
    after_holiday: bool,
    season: [f32; 4],
}

/// Every local day a call touches.
#[derive(Debug)]
pub(super) struct Days {
    first: i32,
    days: Vec<Day>,
}

impl Days {
    /// The days from `first` to `last`, both included, as days since 1970-01-01.
    pub(super) fn new(spec: &FeatureSpec, first: i32, last: i32) -> Self {
        let region: Option<Region> = spec.holiday_region.as_deref().and_then(|r| r.parse().ok());
        let calendar = Calendar::new(region.as_ref(), date(first - 1).year(), date(last + 1).year());
        let days = (first..=last.max(first)).map(|day| Day::new(&calendar, day)).collect();
        Self { first, days }
    }

    /// What the day is; the nearest day of the table for one outside it.
    pub(super) fn get(&self, day: i32) -> &Day {
        let place = usize::try_from(day - self.first).unwrap_or(0);
        &self.days[place.min(self.days.len() - 1)] // there is at least one day
    }
}

fn date(day: i32) -> Date {
    Date::constant(1970, 1, 1).saturating_add(jiff::Span::new().days(day))
}

impl Day {
    fn new(calendar: &Calendar, day: i32) -> Self {
        let today = date(day);
        let is_holiday = |day: i32| calendar.holiday(date(day)).is_some();
        let weekday = usize::from(today.weekday().to_monday_zero_offset().unsigned_abs());
        let (holiday, bridge, weekend) =
            (is_holiday(day), calendar.is_bridge(today), calendar.is_weekend(today));
        let class = if holiday || (weekend && weekday != SATURDAY) {
            DayClass::Sunday
        } else if weekend || bridge {
            DayClass::Saturday
        } else {
            DayClass::Workday
        };
        let day_of_year = today.day_of_year().unsigned_abs();
        let (sin, cos) = (TAU * f64::from(day_of_year - 1) / 365.25).sin_cos();
        Self {
            class,
            day_of_year,
            weekday,
            weekend,
            holiday,
            bridge,
            before_holiday: is_holiday(day + 1),
            after_holiday: is_holiday(day - 1),
            season: harmonics(sin, cos),
        }
    }
}

/// sin x, cos x, sin 2x, cos 2x.
fn harmonics(sin: f64, cos: f64) -> [f32; 4] {
    [sin as f32, cos as f32, (2.0 * sin * cos) as f32, (cos * cos - sin * sin) as f32]
}

pub(super) fn names(spec: &FeatureSpec, names: &mut Vec<String>) {
    if spec.calendar {
        let seasons = SEASON_NAMES.iter().filter(|_| spec.seasons);
        names.extend(NAMES.iter().chain(seasons).map(|&n| n.to_owned()));
    }
}

pub(super) fn row(spec: &FeatureSpec, row: &Row, cells: &mut Cells<'_>) {
    if !spec.calendar {
        return;
    }
    let flag = |yes: bool| f32::from(u8::from(yes));
    let day = row.day;
    // Civil quarter hours and half hours keep their place: the clock's reading counts, not the slot.
    let (sin, cos) = (TAU * f64::from(row.local.second_of_day) / 86_400.0).sin_cos();
    harmonics(sin, cos).iter().for_each(|&v| cells.put(v));
    (0..7).for_each(|weekday| cells.put(flag(day.weekday == weekday)));
    [day.weekend, day.holiday, day.bridge, day.before_holiday, day.after_holiday]
        .iter()
        .for_each(|&yes| cells.put(flag(yes)));
    cells.put((row.valid.micros_since(row.origin) as f64 / 3.6e9) as f32);
    cells.put(f32::from(row.slot_of_day));
    if spec.seasons {
        day.season.iter().for_each(|&v| cells.put(v));
        cells.put((row.valid.micros_since(spec.epoch) as f64 / MICROS_PER_YEAR) as f32);
    }
}
