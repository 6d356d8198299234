//! The values on a regular grid, with the day and the time of day of every slot.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Series, SeriesKind, Time, TimeGrid};

/// Grids longer than this many slots a value are too scattered to check.
const SPARSE_MAX: usize = 50;
/// The longest grid: forty years of minutes.
const SLOTS_MAX: usize = 21_000_000;

/// What the checks work on. Slots that are missing or were taken out hold NaN.
pub(super) struct Frame {
    pub kind: SeriesKind,
    pub unit: String,
    pub zone: String,
    pub grid: TimeGrid,
    pub values: Vec<f64>,
    /// Steps in a day.
    pub per_day: usize,
    /// Day of each slot, from 0.
    pub day: Vec<u32>,
    /// Time of day of each slot, in steps.
    pub tod: Vec<u32>,
    /// How many days.
    pub days: usize,
    /// Days from 1970-01-01 to day 0.
    pub first_day: i64,
    /// Slot by day and time of day; `u32::MAX` where there is none.
    cells: Vec<u32>,
    /// Whether the series reports |latitude| > 60.
    pub polar: bool,
}

impl Frame {
    /// `None` when there is no value, or they are too scattered.
    pub(super) fn new(series: &Series, observations: &[(Time, f64)], upto: Option<Time>) -> Option<Self> {
        let (first, last) = (observations.first()?.0, observations.last()?.0);
        let step = series.resolution;
        let end = upto.unwrap_or(Time::MIN).max(last.plus_micros(1));
        let span = end.micros_since(first) / step.micros();
        let limit = observations.len().saturating_mul(SPARSE_MAX).saturating_add(10_000).min(SLOTS_MAX);
        if last < first || usize::try_from(span).ok()? > limit {
            return None;
        }
        let grid = TimeGrid::covering(first, end, step);
        let mut values = vec![f64::NAN; grid.len];
        for (time, value) in observations.iter().filter(|(_, v)| v.is_finite()) {
            if let Some(slot) = grid.slot(*time) {
                values[slot] = *value;
            }
        }
        let mut frame = Self {
            kind: series.kind,
            unit: series.unit.clone(),
            zone: series.time_zone.name().to_owned(),
            grid,
            values,
            per_day: step.steps_per_day(),
            day: Vec::with_capacity(grid.len),
            tod: Vec::with_capacity(grid.len),
            days: 0,
            first_day: 0,
            cells: Vec::new(),
            polar: series.location.is_some_and(|l| l.latitude.abs() > 60.0),
        };
        frame.set_clock(series);
        Some(frame)
    }

    /// People live by civil time, sun and weather by the sun's: those are placed by standard time all year.
    fn set_clock(&mut self, series: &Series) {
        let zone = &series.time_zone;
        let first = self.grid.start;
        let half_year = first.plus_micros(183 * MICROS_PER_DAY);
        let standard = zone.offset_micros(first).min(zone.offset_micros(half_year));
        let sun = matches!(
            series.kind,
            SeriesKind::Solar | SeriesKind::Wind | SeriesKind::Temperature | SeriesKind::Weather
        );
        let step = self.grid.step.micros();
        let (mut local_first, mut offset, mut offset_until) = (None, standard, i64::MIN);
        for i in 0..self.grid.len {
            let time = self.grid.time(i);
            if !sun && time.micros() >= offset_until {
                // Offsets are looked up once a day where none changes, else once a slot.
                let tomorrow = time.plus_micros(MICROS_PER_DAY);
                offset = zone.offset_micros(time);
                let steady = zone.offset_micros(tomorrow) == offset;
                offset_until = if steady { tomorrow.micros() } else { time.micros() + 1 };
            }
            let local = time.micros() + offset;
            let day = local.div_euclid(MICROS_PER_DAY);
            let day_first = *local_first.get_or_insert(day);
            self.day.push(u32::try_from(day - day_first).unwrap_or(0));
            self.tod.push(u32::try_from(local.rem_euclid(MICROS_PER_DAY) / step).unwrap_or(0));
        }
        self.first_day = local_first.unwrap_or(0);
        self.days = self.day.last().map_or(0, |d| *d as usize + 1);
        self.cells = vec![u32::MAX; self.days * self.per_day];
        for (i, (day, tod)) in self.day.iter().zip(&self.tod).enumerate() {
            let cell = *day as usize * self.per_day + (*tod as usize).min(self.per_day - 1);
            self.cells[cell] = u32::try_from(i).unwrap_or(u32::MAX);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.grid.len
    }

    pub(super) fn time(&self, slot: usize) -> Time {
        self.grid.time(slot)
    }

    /// How many slots have a value.
    pub(super) fn present(&self) -> usize {
        self.values.iter().filter(|v| !v.is_nan()).count()
    }

    /// The slot of a day and time of day.
    pub(super) fn slot_at(&self, day: usize, tod: usize) -> Option<usize> {
        let slot = *self.cells.get(day * self.per_day + tod)?;
        (slot != u32::MAX).then_some(slot as usize)
    }

    /// The value of a day and time of day; NaN when there is none.
    pub(super) fn at(&self, day: usize, tod: usize) -> f64 {
        self.slot_at(day, tod).map_or(f64::NAN, |slot| self.values[slot])
    }

    /// The slots of days `from..to`.
    pub(super) fn slots_of_days(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        let start = |day: usize| self.day.partition_point(|d| (*d as usize) < day);
        start(from)..start(to)
    }

    /// Hours in a number of slots.
    pub(super) fn hours(&self, slots: usize) -> f64 {
        slots as f64 * f64::from(self.grid.step.seconds()) / 3600.0
    }

    /// Slots in a number of hours, at least one.
    pub(super) fn steps(&self, hours: usize) -> usize {
        (hours * 3600 / self.grid.step.seconds() as usize).max(1)
    }

    /// A statistic of each day's values; NaN for days with less than half of them.
    pub(super) fn daily(&self, statistic: impl Fn(&mut Vec<f64>) -> Option<f64>) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.days);
        let mut buffer = Vec::with_capacity(self.per_day + 8);
        for day in 0..self.days {
            buffer.clear();
            let slots = self.slots_of_days(day, day + 1);
            buffer.extend(self.values[slots].iter().filter(|v| !v.is_nan()));
            let enough = buffer.len() * 2 >= self.per_day;
            out.push(if enough { statistic(&mut buffer).unwrap_or(f64::NAN) } else { f64::NAN });
        }
        out
    }

    /// The unit with a space before it, for evidence.
    pub(super) fn unit_text(&self) -> String {
        if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) }
    }
}

/// Runs of consecutive items for which `is` holds.
pub(super) fn runs(len: usize, is: impl Fn(usize) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    for i in (0..len).filter(|i| is(*i)) {
        match out.last_mut() {
            Some(run) if run.end == i => run.end += 1,
            _ => out.push(i..i + 1),
        }
    }
    out
}
