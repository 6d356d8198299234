//! Made-up load for the tests of every model: seasonal, noisy, and with known structure.

use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_HOUR};
use forewatt_domain::{Choice, Family, Horizon, QuantileLevels, Recipe, Resolution, Time};

use crate::matrix::{DayClass, FeatureMatrix, RowKey, TrainingSet};

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Days with origins.
    pub days: usize,
    /// Steps between origins.
    pub every: usize,
    /// Steps forecast.
    pub horizon: usize,
    /// Standard deviation of the noise around a level of 100.
    pub noise: f64,
    /// Multiplies the noise from this share of the days on; shows what calibration is for.
    pub shift: Option<(f64, f64)>,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { days: 420, every: 24, horizon: 24, noise: 5.0, shift: None, seed: 1 }
    }
}

/// Names of the columns made.
pub const NAMES: [&str; 12] = [
    "lag_week_1",
    "lag_week_2",
    "lag_day_1",
    "lag_day_2",
    "last_1",
    "mean_24h",
    "hour_sin",
    "hour_cos",
    "weekend",
    "lead_hours",
    "cov:temperature",
    "useless",
];

/// Normal random numbers (splitmix64, Box-Muller).
pub struct Normal(pub u64);

impl Normal {
    /// Uniform in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard normal.
    pub fn draw(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

const WARM_UP_DAYS: usize = 21;

/// Hourly rows in UTC: a daily and a weekly shape, a temperature effect and autocorrelated noise.
pub fn training(shape: Shape) -> TrainingSet {
    let hours = (shape.days + WARM_UP_DAYS) * 24 + shape.horizon;
    let mut normal = Normal(shape.seed);
    let (mut drift, mut weather) = (0.0, 0.0);
    let mut value = Vec::with_capacity(hours);
    let mut temperature = Vec::with_capacity(hours);
    for hour in 0..hours {
        let day = (hour / 24) as i32;
        let phase = std::f64::consts::TAU * (hour % 24) as f64 / 24.0;
        weather = 0.99 * weather + normal.draw();
        drift = 0.8 * drift + 0.6 * normal.draw();
        let grow = shape.shift.map_or(1.0, |(at, by)| if hour as f64 > at * hours as f64 { by } else { 1.0 });
        let shape_of_day = 20.0 * phase.sin() - 8.0 * (2.0 * phase).cos();
        let weekend = if class_of(day) == DayClass::Workday { 0.0 } else { -15.0 };
        value.push((100.0 + shape_of_day + weekend + 1.5 * weather + grow * shape.noise * drift) as f32);
        temperature.push(weather as f32);
    }
    let mut set = TrainingSet {
        features: FeatureMatrix {
            names: NAMES.map(str::to_owned).to_vec(),
            keys: vec![],
            values: vec![],
            windows: None,
        },
        target: vec![],
        past: None,
        courses: None,
    };
    for origin in (WARM_UP_DAYS * 24..(WARM_UP_DAYS + shape.days) * 24).step_by(shape.every) {
        for lead in 0..shape.horizon {
            push_row(&mut set, &value, &temperature, origin, lead);
        }
    }
    for (i, row) in set.features.values.chunks_exact_mut(NAMES.len()).enumerate() {
        row[NAMES.len() - 1] = normal.draw() as f32;
        if i % 10 == 0 {
            row[3] = f32::NAN; // sometimes a lag is not known
        }
    }
    set
}

fn push_row(set: &mut TrainingSet, value: &[f32], temperature: &[f32], origin: usize, lead: usize) {
    let hour = origin + lead;
    let day = (hour / 24) as i32;
    let back = |hours: usize| {
        let mut at = hour - hours;
        while at >= origin {
            at -= hours;
        }
        value[at]
    };
    let phase = std::f32::consts::TAU * (hour % 24) as f32 / 24.0;
    let mean = value[origin - 24..origin].iter().sum::<f32>() / 24.0;
    let weekend = f32::from(u8::from(class_of(day) != DayClass::Workday));
    let two_days = if hour - 48 < origin { value[hour - 48] } else { back(24) };
    set.features.values.extend([
        back(168),
        back(336),
        back(24),
        two_days,
        value[origin - 1],
        mean,
        phase.sin(),
        phase.cos(),
        weekend,
        lead as f32,
        temperature[hour],
        0.0,
    ]);
    set.features.keys.push(RowKey {
        origin: Time::from_micros(origin as i64 * MICROS_PER_HOUR),
        valid_time: Time::from_micros(hour as i64 * MICROS_PER_HOUR),
        lead: lead as u32,
        slot_of_day: (hour % 24) as u16,
        day_class: class_of(day),
        day_of_year: (day % 365 + 1) as u16,
        local_day: day,
    });
    set.target.push(value[hour]);
}

fn class_of(day: i32) -> DayClass {
    match (day + 3).rem_euclid(7) {
        5 => DayClass::Saturday,
        6 => DayClass::Sunday,
        _ => DayClass::Workday,
    }
}

/// The first part of the origins, and the rest.
pub fn cut(data: &TrainingSet, share: f64) -> (TrainingSet, TrainingSet) {
    let keys = &data.features.keys;
    let (first, last) = (keys[0].origin.micros(), keys[keys.len() - 1].origin.micros());
    let at = first + ((last - first) as f64 * share) as i64 / MICROS_PER_DAY * MICROS_PER_DAY;
    (data.filter(|i| keys[i].valid_time.micros() < at), data.filter(|i| keys[i].origin.micros() >= at))
}

/// Runs in a pool of so many threads.
pub fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

/// A day-ahead recipe of a family for the made-up load.
pub fn recipe(family: Family, seed: u64) -> Recipe {
    let day = Resolution::HOUR.steps_per_day();
    Recipe {
        target: "load".parse().unwrap(),
        family,
        covariates: vec![],
        resolution: Resolution::HOUR,
        horizon: Horizon::from_steps(24, Resolution::HOUR).unwrap(),
        levels: QuantileLevels::parse("0.1,0.5,0.9").unwrap(),
        origin_every_steps: u32::try_from(day).unwrap(),
        training_days: None,
        non_negative: false,
        choice: Choice::default(),
        daily: false,
        any_hour: false,
        seed,
    }
}
