//! A chart in the terminal: history, median and shaded band, drawn with braille dots or plain ASCII.

use std::fmt::Write as _;

use forewatt_domain::{Time, Zone};
use jiff::civil::{DateTime, Time as Clock};

/// Most marks on the time axis; each needs room for its label.
const LABEL_COLUMNS: usize = 12;
/// Dots of one character cell, across and down.
const DOTS: (usize, usize) = (2, 4);
/// Distances between marks on the time axis, in minutes.
const TICK_MINUTES: [i64; 12] =
    [15, 60, 180, 360, 720, 1_440, 2_880, 10_080, 20_160, 43_200, 129_600, 525_600];

/// One step of a forecast: the lower edge of the band, the median and the upper edge.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FanPoint {
    /// The period it is about.
    pub time: Time,
    /// The lowest quantile shown.
    pub low: f64,
    /// The median.
    pub middle: f64,
    /// The highest quantile shown.
    pub high: f64,
}

/// What to draw. Points are in order of time; values that are not finite are left out.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// The line above the chart.
    pub title: String,
    /// The unit of every value.
    pub unit: &'a str,
    /// The zone of the time axis.
    pub zone: &'a Zone,
    /// What was measured, and its name in the legend.
    pub measured: (&'a str, &'a [(Time, f64)]),
    /// What was forecast.
    pub fan: &'a [FanPoint],
    /// What the band covers, for the legend: `10-90 %`.
    pub band: String,
}

/// How to draw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Characters across, everything included.
    pub columns: usize,
    /// Characters down, without title, axis and legend.
    pub rows: usize,
    /// Braille dots; plain ASCII otherwise.
    pub unicode: bool,
    /// ANSI colours.
    pub color: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Band,
    Middle,
    Measured,
}

/// The rectangle of time and value that is drawn, and its dots by layer.
struct Canvas {
    columns: usize,
    rows: usize,
    from: Time,
    to: Time,
    low: f64,
    high: f64,
    dots: [Vec<u8>; 3],
}

/// Draws the chart, a line break after every line. Says so when there is nothing to draw.
#[must_use]
pub fn render(chart: &Chart<'_>, look: Look) -> String {
    let Some((low, high, step)) = value_range(chart, look.rows) else {
        return format!("{}: nothing to draw\n", chart.title);
    };
    let labels: Vec<(f64, String)> = value_labels(low, high, step);
    let margin = labels.iter().map(|(_, text)| text.len()).max().unwrap_or(0) + 2;
    let times = || {
        let measured = chart.measured.1.iter().map(|p| p.0);
        measured.chain(chart.fan.iter().map(|p| p.time))
    };
    let (Some(from), Some(to)) = (times().min(), times().max()) else {
        return format!("{}: nothing to draw\n", chart.title);
    };
    let columns = look.columns.saturating_sub(margin).max(20);
    let mut canvas = Canvas {
        columns,
        rows: look.rows.max(4),
        from,
        to: if to > from { to } else { from.plus_micros(1) },
        low,
        high,
        dots: std::array::from_fn(|_| vec![0; columns * look.rows.max(4)]),
    };
    canvas.draw(chart);
    let mut text = format!("{}\n", chart.title);
    for row in 0..canvas.rows {
        let label = labels.iter().find(|(value, _)| canvas.y(*value) / DOTS.1 == row);
        let axis = match (label.is_some(), look.unicode) {
            (true, true) => '┤',
            (false, true) => '│',
            (true, false) => '+',
            (false, false) => '|',
        };
        let _ = write!(text, "{:>1$}{axis}", label.map_or("", |(_, t)| t), margin - 1);
        text.push_str(canvas.row(row, look).trim_end());
        text.push('\n');
    }
    canvas.time_axis(&mut text, margin, chart.zone, look);
    legend(&mut text, chart, margin, look);
    text
}

/// The values' range widened to round numbers, and the distance between labels.
fn value_range(chart: &Chart<'_>, rows: usize) -> Option<(f64, f64, f64)> {
    let measured = chart.measured.1.iter().map(|p| p.1);
    let fan = chart.fan.iter().flat_map(|p| [p.low, p.middle, p.high]);
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    for value in measured.chain(fan).filter(|v| v.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return None;
    }
    // A flat line, or one whose spread drowns in rounding, still needs a range to be drawn in.
    let span = (high - low).max(high.abs().max(low.abs()) * 1e-6).max(1e-9);
    if !span.is_finite() {
        return Some((low, high, f64::MAX / 4.0));
    }
    let rough = span / (rows as f64 / 4.0).clamp(2.0, 8.0);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
    let (down, up) = ((low / step).floor() * step, (high / step).ceil() * step);
    Some((down, if up > down { up } else { down + step }, step))
}

fn value_labels(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let decimals = usize::try_from((-step.log10().floor()) as i64).unwrap_or(0).min(9);
    let count = ((high - low) / step).round().clamp(1.0, 20.0) as usize;
    (0..=count)
        .map(|i| low + step * i as f64)
        .map(|value| if value.abs() < step * 1e-6 { 0.0 } else { value }) // no "-0"
        .map(|value| {
            if value.abs() >= 1e9 || step < 1e-6 {
                (value, format!("{value:.2e}"))
            } else {
                (value, format!("{value:.decimals$}"))
            }
        })
        .collect()
}

fn legend(text: &mut String, chart: &Chart<'_>, margin: usize, look: Look) {
    let entry = |layer, name: &str| format!("{} {name}", paint(sample(layer, look), layer, look));
    let mut entries = Vec::new();
    if !chart.measured.1.is_empty() {
        entries.push(entry(Layer::Measured, chart.measured.0));
    }
    if !chart.fan.is_empty() {
        entries.push(entry(Layer::Middle, "median"));
        entries.push(entry(Layer::Band, &chart.band));
    }
    let unit = if chart.unit.is_empty() { "no unit" } else { chart.unit };
    entries.push(format!("[{unit}, {} time]", chart.zone));
    let _ = writeln!(text, "{:margin$}{}", "", entries.join("   "));
}

fn sample(layer: Layer, look: Look) -> &'static str {
    match (layer, look.unicode) {
        (Layer::Band, true) => "⢕⢕",
        (Layer::Middle, true) => "⠶⠶",
        (Layer::Measured, true) => "⠒⠒",
        (Layer::Band, false) => "::",
        (Layer::Middle, false) => "**",
        (Layer::Measured, false) => "oo",
    }
}

fn paint(cell: &str, layer: Layer, look: Look) -> String {
    match (look.color, layer) {
        (true, Layer::Band) => format!("\x1b[2;36m{cell}\x1b[0m"),
        (true, Layer::Middle) => format!("\x1b[1;36m{cell}\x1b[0m"),
        (true, Layer::Measured) => format!("\x1b[33m{cell}\x1b[0m"),
        (false, _) => cell.to_owned(),
    }
}

impl Canvas {
    /// The dot across for an instant.
    fn x(&self, time: Time) -> usize {
        let share = time.micros_since(self.from) as f64 / self.to.micros_since(self.from) as f64;
        let last = self.columns * DOTS.0 - 1;
        ((share * last as f64).round() as usize).min(last)
    }

    /// The dot down for a value; 0 is the top.
    fn y(&self, value: f64) -> usize {
        let last = self.rows * DOTS.1 - 1;
        // Halves keep the difference finite even for values near the ends of f64.
        let share = (self.high / 2.0 - value / 2.0) / (self.high / 2.0 - self.low / 2.0);
        ((share.clamp(0.0, 1.0) * last as f64).round() as usize).min(last)
    }

    fn set(&mut self, layer: Layer, x: usize, y: usize) {
        const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        let cell = (y / DOTS.1) * self.columns + x / DOTS.0;
        self.dots[layer as usize][cell] |= BITS[x % DOTS.0][y % DOTS.1];
    }

    fn draw(&mut self, chart: &Chart<'_>) {
        for pair in chart.fan.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            if [a.low, a.high, b.low, b.high].iter().all(|v| v.is_finite()) {
                self.shade(a, b);
            }
        }
        let middle: Vec<(Time, f64)> = chart.fan.iter().map(|p| (p.time, p.middle)).collect();
        self.line(Layer::Middle, &middle);
        self.line(Layer::Measured, chart.measured.1);
    }

    /// Fills between the edges of the band with every other dot.
    fn shade(&mut self, a: FanPoint, b: FanPoint) {
        let (from, to) = (self.x(a.time), self.x(b.time));
        for x in from..=to {
            let share = if to > from { (x - from) as f64 / (to - from) as f64 } else { 0.0 };
            let top = self.y(a.high + (b.high - a.high) * share);
            let bottom = self.y(a.low + (b.low - a.low) * share);
            for y in top..=bottom {
                if (x + y) % 2 == 0 {
                    self.set(Layer::Band, x, y);
                }
            }
        }
    }

    /// Joins neighbours that are both finite; a lone point stays a dot.
    fn line(&mut self, layer: Layer, points: &[(Time, f64)]) {
        let mut before: Option<(usize, usize)> = None;
        for &(time, value) in points {
            if !value.is_finite() {
                before = None;
                continue;
            }
            let (x, y) = (self.x(time), self.y(value));
            let (x0, y0) = before.unwrap_or((x, y));
            let steps = x.abs_diff(x0).max(y.abs_diff(y0)).max(1);
            for i in 0..=steps {
                let along = |a: usize, b: usize| {
                    (a as f64 + (b as f64 - a as f64) * i as f64 / steps as f64).round() as usize
                };
                self.set(layer, along(x0, x), along(y0, y));
            }
            before = Some((x, y));
        }
    }

    /// One line of characters; where layers meet, the lines win over the band.
    fn row(&self, row: usize, look: Look) -> String {
        let mut text = String::new();
        for column in 0..self.columns {
            let cell = row * self.columns + column;
            let layers = [Layer::Measured, Layer::Middle, Layer::Band];
            match layers.into_iter().find(|l| self.dots[*l as usize][cell] != 0) {
                None => text.push(' '),
                Some(layer) if look.unicode => {
                    let bits = u32::from(self.dots[layer as usize][cell]);
                    let dot = char::from_u32(0x2800 + bits).unwrap_or(' ');
                    text.push_str(&paint(dot.encode_utf8(&mut [0; 4]), layer, look));
                }
                Some(layer) => text.push_str(&paint(&sample(layer, look)[..1], layer, look)),
            }
        }
        text
    }

    /// The line with its marks and the labels in local time below it.
    fn time_axis(&self, text: &mut String, margin: usize, zone: &Zone, look: Look) {
        let most = (self.columns / LABEL_COLUMNS).max(2) as i64;
        let minutes = self.to.micros_since(self.from) / 60_000_000;
        let step = TICK_MINUTES.into_iter().find(|s| minutes / s <= most).unwrap_or(minutes / most + 1);
        let mut line: Vec<char> = vec![if look.unicode { '─' } else { '-' }; self.columns];
        let mut labels = vec![' '; self.columns];
        let mut free = 0;
        for (time, label) in ticks(self.from, self.to, step, zone) {
            let column = self.x(time) / DOTS.0;
            let start = column.saturating_sub(label.len() / 2);
            line[column] = if look.unicode { '┴' } else { '+' };
            if start >= free && start + label.len() <= self.columns {
                label.chars().enumerate().for_each(|(i, c)| labels[start + i] = c);
                free = start + label.len() + 2;
            }
        }
        let corner = if look.unicode { '└' } else { '+' };
        let _ = writeln!(text, "{:>margin$}{}", corner, line.iter().collect::<String>());
        let labels: String = labels.iter().collect();
        let _ = writeln!(text, "{:margin$}{}", "", labels.trim_end());
    }
}

/// Instants at round local times from `from` to `to`, and what to write below them.
fn ticks(from: Time, to: Time, step_minutes: i64, zone: &Zone) -> Vec<(Time, String)> {
    const DAY: i64 = 1_440;
    let mut found = Vec::new();
    let mut date = zone.civil(from).date;
    let last = zone.civil(to).date;
    let every_days = (step_minutes / DAY).max(1);
    let epoch = jiff::civil::Date::constant(1970, 1, 5); // a Monday, so that weeks start on Mondays
    while date <= last {
        let days = epoch.until(date).map_or(0, |span| i64::from(span.get_days()));
        if days.rem_euclid(every_days) == 0 {
            let of_day = (0..DAY).step_by(usize::try_from(step_minutes.clamp(15, DAY)).unwrap_or(60));
            for minute in of_day {
                let hour = i8::try_from(minute / 60).unwrap_or(0);
                let clock = Clock::constant(hour, i8::try_from(minute % 60).unwrap_or(0), 0, 0);
                let time = instant(zone, date.to_datetime(clock));
                if time.is_some_and(|t| t >= from && t <= to) {
                    let label = match (minute, every_days) {
                        (0, 1..=8) => date.strftime("%a %d %b").to_string(),
                        (0, _) => date.strftime("%d %b %Y").to_string(),
                        _ => format!("{hour:02}:{:02}", minute % 60),
                    };
                    found.extend(time.map(|t| (t, label)));
                }
            }
        }
        let Ok(next) = date.tomorrow() else { break };
        date = next;
    }
    found
}

/// The instant of a clock reading; none where the clocks skipped it.
fn instant(zone: &Zone, civil: DateTime) -> Option<Time> {
    match zone.read(civil) {
        forewatt_domain::civil::Reading::Once(time) | forewatt_domain::civil::Reading::Twice(time, _) => {
            Some(time)
        }
        forewatt_domain::civil::Reading::Never(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { columns: 72, rows: 12, unicode: false, color: false };

    fn day(start: i64, shape: impl Fn(f64) -> f64) -> Vec<(Time, f64)> {
        (0..24).map(|h| (Time::from_seconds(start + h * 3600), shape(h as f64))).collect()
    }

    fn wave(hour: f64) -> f64 {
        30.0 + 10.0 * (hour / 24.0 * std::f64::consts::TAU).sin()
    }

    fn drawn(look: Look) -> String {
        let start = 1_767_225_600; // 2026-01-01T00:00:00Z
        let zone: Zone = "Europe/Madrid".parse().unwrap();
        let history = day(start, wave);
        let fan: Vec<FanPoint> = day(start + 86_400, wave)
            .into_iter()
            .map(|(time, middle)| FanPoint { time, low: middle - 4.0, middle, high: middle + 4.0 })
            .collect();
        let chart = Chart {
            title: "load".to_owned(),
            unit: "MW",
            zone: &zone,
            measured: ("history", &history),
            fan: &fan,
            band: "10-90 %".to_owned(),
        };
        render(&chart, look)
    }

    #[test]
    fn two_days_in_ascii() {
        insta::assert_snapshot!(drawn(PLAIN));
    }

    #[test]
    fn two_days_in_braille() {
        insta::assert_snapshot!(drawn(Look { unicode: true, ..PLAIN }));
    }

    #[test]
    fn colours_change_no_character() {
        let coloured = drawn(Look { color: true, ..PLAIN });
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain.push_str(rest);
        let trimmed = |text: &str| text.lines().map(|l| l.trim_end().to_owned()).collect::<Vec<_>>();
        assert_eq!(trimmed(&plain), trimmed(&drawn(PLAIN)));
    }

    #[test]
    fn nothing_odd_breaks_it() {
        let zone = Zone::utc();
        let at = Time::from_seconds(0);
        let cases: [Vec<(Time, f64)>; 6] = [
            vec![],
            vec![(at, f64::NAN)],
            vec![(at, 0.0)],
            vec![(at, 5.0), (Time::from_seconds(60), 5.0)],
            vec![(at, f64::MAX), (Time::from_seconds(3600), f64::MIN)],
            vec![(Time::MIN, 1.0), (Time::MAX, f64::INFINITY)],
        ];
        for points in &cases {
            for columns in [0, 10, 80, 300] {
                let chart = Chart {
                    title: "x".to_owned(),
                    unit: "",
                    zone: &zone,
                    measured: ("history", points),
                    fan: &[],
                    band: String::new(),
                };
                assert!(render(&chart, Look { columns, rows: 0, ..PLAIN }).starts_with('x'));
            }
        }
    }

    #[test]
    fn labels_are_round() {
        let labels: Vec<String> = value_labels(-0.2, 0.2, 0.1).into_iter().map(|l| l.1).collect();
        assert_eq!(labels, ["-0.2", "-0.1", "0.0", "0.1", "0.2"]);
    }
}
