//! Windows of a series and how a model is told of them.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// Days of the past in a window.
pub const WINDOW_DAYS: usize = 14;
/// Days of a week.
const WEEK: usize = 7;
/// A step may be at most this many seasons' worth of the usual move away; further ones are cut.
const MOVE_MAX: f32 = 10.0;
/// As [`MOVE_MAX`], for the shape of the last day and for targets.
const SHAPE_MAX: f32 = 30.0;
const TARGET_MAX: f32 = 15.0;
/// The shape of the last day counts less than its moves, or the ridge would lean on it.
const SHAPE_SHARE: f32 = 0.3;
/// A window of which more than this share is unknown teaches nothing.
const UNKNOWN_MAX: f32 = 0.25;
/// No usual move is smaller than this share of the usual size: a constant series has no moves to measure by.
const UNIT_SHARE: f32 = 1e-4;

/// The sizes of a window, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Steps of a day.
    pub season: usize,
    /// Steps ahead.
    pub horizon: usize,
}

/// A window as a model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// [`Shape::inputs`] values.
    pub inputs: Vec<f32>,
    /// The usual move from one day to the next, in the series' unit; above 0.
    pub unit: f32,
}

impl Shape {
    /// Steps of the past in a window.
    #[must_use]
    pub fn length(self) -> usize {
        WINDOW_DAYS * self.season
    }

    /// Values a window is told by: its moves, the shape of its last day, that day's move since a week before, and 1.
    #[must_use]
    pub fn inputs(self) -> usize {
        self.length() - self.season + 2 * self.season + 1
    }

    /// Tells of a window of [`Shape::length`] known values.
    #[must_use]
    pub fn tell(self, window: &[f32]) -> Told {
        let (season, length) = (self.season, window.len());
        let size = mean(window.iter().map(|v| v.abs()));
        let moves = || window[season..].iter().zip(window).map(|(now, before)| now - before);
        let unit = mean(moves().map(f32::abs)).max(UNIT_SHARE * size).max(f32::MIN_POSITIVE);
        let last = &window[length - season..];
        let week = &window[length - season * (WEEK + 1)..length - season * WEEK];
        let level = mean(last.iter().copied());
        let cut = |value: f32, most: f32| (value / unit).clamp(-most, most);
        let mut inputs = Vec::with_capacity(self.inputs());
        inputs.extend(moves().map(|v| cut(v, MOVE_MAX)));
        inputs.extend(last.iter().map(|v| SHAPE_SHARE * cut(v - level, SHAPE_MAX)));
        inputs.extend(last.iter().zip(week).map(|(now, then)| cut(now - then, 2.0 * MOVE_MAX)));
        inputs.push(1.0);
        Told { inputs, unit }
    }

    /// The value of the day before at a step ahead: what every answer is counted from.
    #[must_use]
    pub fn base(self, window: &[f32], step: usize) -> f32 {
        window[window.len() - self.season + step % self.season]
    }

    /// What a step ahead moved from its base, in units; cut.
    fn target(self, window: &[f32], unit: f32, step: usize, value: f32) -> f32 {
        ((value - self.base(window, step)) / unit).clamp(-TARGET_MAX, TARGET_MAX)
    }
}

/// A course with its unknown values filled, and where they were.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    values: Vec<f32>,
    /// Unknown values before each place: `values.len() + 1` counts.
    unknown: Vec<u32>,
}

impl Course {
    /// From values with NaN where nothing was known.
    #[must_use]
    pub fn new(values: &[f32], season: usize) -> Self {
        let mut unknown = vec![0; values.len() + 1];
        for (i, value) in values.iter().enumerate() {
            unknown[i + 1] = unknown[i] + u32::from(!value.is_finite());
        }
        let mut values = values.to_vec();
        fill(&mut values, season);
        Self { values, unknown }
    }

    /// Number of steps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The values of a range.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> &[f32] {
        &self.values[range]
    }

    fn unknown(&self, from: usize, to: usize) -> u32 {
        self.unknown[to] - self.unknown[from]
    }

    /// The window that ends before `origin`.
    #[must_use]
    pub fn window(&self, origin: usize, shape: Shape) -> &[f32] {
        &self.values[origin - shape.length()..origin]
    }

    /// The values from `origin` on.
    #[must_use]
    pub fn ahead(&self, origin: usize, shape: Shape) -> &[f32] {
        &self.values[origin..origin + shape.horizon]
    }

    /// Whether the window before `origin` is known well enough, and every value ahead of it before `end`.
    fn teaches(&self, origin: usize, end: usize, shape: Shape) -> bool {
        let (from, to) = (origin - shape.length(), origin + shape.horizon);
        to <= end.min(self.len())
            && self.unknown(origin, to) == 0
            && self.unknown(from, origin) as f32 <= UNKNOWN_MAX * shape.length() as f32
    }

    /// Origins from `from` on, `stride` apart counted back from the last, whose targets end before `end`.
    #[must_use]
    pub fn origins(&self, (from, end): (usize, usize), stride: usize, shape: Shape) -> Vec<usize> {
        let first = from.max(shape.length());
        let Some(last) = end.min(self.len()).checked_sub(shape.horizon) else { return Vec::new() };
        let mut origins: Vec<usize> = (first..=last)
            .rev()
            .step_by(stride.max(1))
            .filter(|&origin| self.teaches(origin, end, shape))
            .collect();
        origins.reverse();
        origins
    }
}

/// Fills unknown values by the day before, else the value before, else the next known one; 0 where none is known.
pub fn fill(values: &mut [f32], season: usize) {
    let first = values.iter().position(|v| v.is_finite());
    let start = first.map_or(0.0, |i| values[i]);
    for i in 0..values.len() {
        if !values[i].is_finite() {
            let before = i.checked_sub(season).or_else(|| i.checked_sub(1)).map_or(start, |at| values[at]);
            values[i] = before;
        }
    }
}

/// Windows as a matrix, and what followed them.
#[derive(Debug)]
pub struct Rows {
    /// Rows x [`Shape::inputs`].
    pub inputs: Array2<f32>,
    /// Rows x horizon: moves from the base in units.
    pub targets: Array2<f32>,
    /// The unit of each row.
    pub units: Vec<f32>,
}

impl Rows {
    /// The windows at `(course, origin)` places.
    #[must_use]
    pub fn new(courses: &[Course], places: &[(usize, usize)], shape: Shape) -> Self {
        let mut inputs = Array2::zeros((places.len(), shape.inputs()));
        let mut targets = Array2::zeros((places.len(), shape.horizon));
        let mut units = Vec::with_capacity(places.len());
        let rows = inputs.rows_mut().into_iter().zip(targets.rows_mut());
        for (&(course, origin), (mut row, mut target)) in places.iter().zip(rows) {
            let window = courses[course].window(origin, shape);
            let told = shape.tell(window);
            row.iter_mut().zip(&told.inputs).for_each(|(cell, value)| *cell = *value);
            let ahead = courses[course].ahead(origin, shape).iter().enumerate();
            target
                .iter_mut()
                .zip(ahead)
                .for_each(|(cell, (step, &value))| *cell = shape.target(window, told.unit, step, value));
            units.push(told.unit);
        }
        Self { inputs, targets, units }
    }
}

/// About `most` places in all courses at most (half as many more, where a finer stride is that near), spread evenly
/// over the hours of the day; in every span targets end before its end.
#[must_use]
pub fn places(
    courses: &[Course],
    spans: &[(usize, usize)],
    most: usize,
    shape: Shape,
) -> Vec<(usize, usize)> {
    let all: usize =
        spans.iter().map(|&(from, end)| end.saturating_sub(from.max(shape.length()) + shape.horizon)).sum();
    let mut stride = (2 * all).div_ceil(3 * most.max(1)).max(1);
    while stride > 1 && gcd(stride, shape.season) != 1 {
        stride += 1;
    }
    let of = |(i, course): (usize, &Course)| {
        course.origins(spans[i], stride, shape).into_iter().map(move |origin| (i, origin)).collect::<Vec<_>>()
    };
    courses.iter().enumerate().flat_map(of).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The mean; 0 of nothing.
pub fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = values.fold((0.0_f64, 0_usize), |(sum, count), v| (sum + f64::from(v), count + 1));
    (sum / count.max(1) as f64) as f32
}
