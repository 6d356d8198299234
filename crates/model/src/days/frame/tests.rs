//! Where inputs and outputs of a day stand: over one day and two, through changes of the clocks, with holes.

use super::*;
use crate::matrix::DayClass;
use crate::synthetic::{self, Shape};

/// Days of made-up load and their layout, for the tests of everything that learns from days.
pub fn daily(days: usize) -> (Layout, DayFrame) {
    let data = synthetic::training(Shape { days, ..Shape::default() });
    let layout = Layout::new(&data.features).unwrap();
    let frame = DayFrame::new(&layout, data).unwrap();
    (layout, frame)
}

/// Days whose values are the useless column of their row, the later the more of it, and 30 more.
pub fn obedient(days: usize) -> DayFrame {
    let (_, mut frame) = daily(days);
    let column = synthetic::NAMES.len() - 1;
    for (d, rows) in frame.rows.clone().into_iter().enumerate() {
        for i in rows {
            let share = 1.0 + frame.output_of[i] as f32 / 8.0;
            let value = share * frame.data.features.row(i)[column] + 30.0;
            frame.data.target[i] = value;
            frame.targets[(d, frame.output_of[i])] = value;
        }
    }
    frame
}

const NAMES: [&str; 9] = [
    "lag_day_1",
    "lag_day_7",
    "cov:t",
    "cov:t:day_before",
    "cov:t:week_before",
    "weekday_0",
    "holiday",
    "day_of_year_sin",
    "mean_168h",
];

/// One forecast start with columns of these names; `value` tells each from the place of its column and the lead.
pub fn matrix(
    names: &[&str],
    steps: usize,
    per_day: usize,
    value: impl Fn(usize, usize) -> f32,
) -> FeatureMatrix {
    let keys = start(per_day, &slots(steps, per_day)).keys;
    let values = (0..steps).flat_map(|lead| (0..names.len()).map(move |c| (c, lead)));
    let names = names.iter().map(|&name| name.to_owned()).collect();
    FeatureMatrix { names, keys, values: values.map(|(c, lead)| value(c, lead)).collect(), windows: None }
}

/// One forecast start whose values are 1000 times the column plus the lead; `slots` are times on the clock.
fn start(per_day: usize, slots: &[u16]) -> FeatureMatrix {
    let step = MICROS_PER_DAY / per_day as i64;
    let keys = slots.iter().zip(0..).map(|(&slot_of_day, lead)| RowKey {
        origin: Time::from_micros(0),
        valid_time: Time::from_micros(i64::from(lead) * step),
        lead,
        slot_of_day,
        day_class: DayClass::Workday,
        day_of_year: 1,
        local_day: 0,
    });
    let values = (0..slots.len()).flat_map(|lead| (0..NAMES.len()).map(move |c| (1000 * c + lead) as f32));
    FeatureMatrix {
        names: NAMES.map(str::to_owned).to_vec(),
        keys: keys.collect(),
        values: values.collect(),
        windows: None,
    }
}

fn slots(steps: usize, per_day: usize) -> Vec<u16> {
    (0..steps).map(|lead| (lead % per_day) as u16).collect()
}

fn inputs(rows: &FeatureMatrix) -> (Layout, Vec<f32>) {
    let layout = Layout::new(rows).unwrap();
    let inputs = layout.read(rows).unwrap().remove(0).inputs;
    assert!(layout.is_sound() && inputs.len() == layout.inputs() && layout.roles().len() == inputs.len());
    (layout, inputs)
}

fn count(layout: &Layout, role: Role) -> usize {
    layout.roles().iter().filter(|known| **known == role).count()
}

fn rising(from: usize, steps: usize) -> Vec<f32> {
    (from..from + steps).map(|value| value as f32).collect()
}

#[test]
fn a_day_is_its_courses_its_calendar_and_their_summaries() {
    let (layout, inputs) = inputs(&start(24, &slots(24, 24)));
    assert_eq!((layout.per_day(), layout.outputs()), (24, 24));
    for (role, expected) in [
        (Role::Past(1), 24),
        (Role::Past(7), 24),
        (Role::Ahead(0), 24),
        (Role::Ahead(1), 24),
        (Role::Ahead(7), 24),
        (Role::Weekday, 2),
        (Role::Season, 1),
        (Role::Extra, 1 + 4 * 3),
    ] {
        assert_eq!(count(&layout, role), expected, "{role:?}");
    }
    assert_eq!(inputs[..24], rising(0, 24));
    assert_eq!(inputs[24..48], rising(1000, 24));
    assert_eq!(inputs[48..72], rising(2000, 24));
    // The calendar is read at noon; then the mean of the week, and the summary of yesterday.
    assert_eq!(inputs[120..127], [5012.0, 6012.0, 7012.0, 8012.0, 0.0, 23.0, 11.5]);
}

#[test]
fn two_days_have_the_weather_of_both_and_the_past_of_one() {
    let rows = start(24, &slots(48, 24));
    let (layout, inputs) = inputs(&rows);
    assert_eq!(layout.outputs(), 48);
    let counts =
        [Role::Past(1), Role::Ahead(0), Role::Ahead(1), Role::Weekday].map(|role| count(&layout, role));
    assert_eq!(counts, [24, 48, 24, 4]);
    assert_eq!(inputs[48..96], rising(2000, 48));
    assert_eq!(inputs[144..148], [5012.0, 6012.0, 5036.0, 6036.0], "the noons of both days");
    assert_eq!(
        rows.keys.iter().map(|key| layout.output(key)).collect::<Vec<_>>(),
        (0..48).collect::<Vec<_>>()
    );
}

#[test]
fn quarters_of_an_hour_are_read_in_pairs_and_answered_one_by_one() {
    let (layout, inputs) = inputs(&start(96, &slots(96, 96)));
    assert_eq!((layout.outputs(), count(&layout, Role::Past(1))), (96, 48));
    assert_eq!(inputs[..3], [0.5, 2.5, 4.5]);
    // A part of a day that begins at noon is told by lead time, not by the clock.
    let afternoon: Vec<u16> = (48..60).collect();
    let rows = start(96, &afternoon);
    let layout = Layout::new(&rows).unwrap();
    assert_eq!(
        rows.keys.iter().map(|key| layout.output(key)).collect::<Vec<_>>(),
        (0..12).collect::<Vec<_>>()
    );
}

#[test]
fn a_day_with_a_change_of_the_clocks_keeps_its_place_on_the_clock() {
    // In spring two o'clock does not exist; the last row is the midnight after.
    let spring: Vec<u16> = (0..2).chain(3..24).chain(0..1).collect();
    let rows = start(24, &spring);
    let (layout, inputs) = inputs(&rows);
    assert_eq!(
        rows.keys[2..23].iter().map(|key| layout.output(key)).collect::<Vec<_>>(),
        (3..24).collect::<Vec<_>>()
    );
    assert!(inputs[2].is_nan() && inputs[26].is_nan());
    assert_eq!(inputs[3..24], rising(2, 21), "evening stays evening");
    assert_eq!(inputs[0], 0.0, "the midnight after does not take the place of the day's own");
    let frame = DayFrame::new(
        &layout,
        TrainingSet { target: rising(0, 24), features: rows, past: None, courses: None },
    )
    .unwrap();
    assert!(frame.targets[(0, 2)].is_nan());
    assert_eq!((frame.targets[(0, 3)], frame.targets[(0, 23)]), (2.0, 22.0));
    assert_eq!(frame.targets[(0, 0)], 0.0);
    // In autumn two o'clock is there twice, the first one counts, and the last hour is not foretold.
    let autumn: Vec<u16> = (0..3).chain(2..23).collect();
    let (_, inputs) = self::inputs(&start(24, &autumn));
    assert_eq!(inputs[..4], [0.0, 1.0, 2.0, 4.0]);
    assert!(inputs[23].is_nan());
}

#[test]
fn what_is_not_known_stays_unknown() {
    let mut rows = start(24, &slots(24, 24));
    rows.values[5 * NAMES.len()] = f32::NAN;
    rows.values.chunks_exact_mut(NAMES.len()).for_each(|row| row[2] = f32::INFINITY);
    let (layout, inputs) = inputs(&rows);
    assert!(inputs[5].is_nan() && inputs[4] == 4.0 && inputs[6] == 6.0);
    assert!(inputs[48..72].iter().all(|value| value.is_nan()), "an infinite value is no value");
    assert_eq!(inputs[124..126], [0.0, 23.0], "summaries pass over it");
    assert!(inputs[127..130].iter().all(|value| value.is_nan()), "of nothing there is no summary");
    let mut target = rising(0, 24);
    target[7] = f32::NAN;
    let frame =
        DayFrame::new(&layout, TrainingSet { target, features: rows, past: None, courses: None }).unwrap();
    assert!(frame.targets[(0, 7)].is_nan() && frame.targets[(0, 8)] == 8.0);
}

#[test]
fn horizons_too_long_and_missing_columns_are_refused() {
    let far = start(24, &slots(OUTPUTS_MAX + 1, 24));
    let error = Layout::new(&far).unwrap_err().to_string();
    assert!(error.contains("401 steps ahead") && error.contains("shorter horizon"), "{error}");
    assert!(Layout::new(&start(24, &slots(OUTPUTS_MAX, 24))).is_ok());
    let rows = start(24, &slots(24, 24));
    let layout = Layout::new(&rows).unwrap();
    let other = FeatureMatrix { names: NAMES.map(|name| format!("{name}?")).to_vec(), ..rows };
    assert!(matches!(layout.read(&other), Err(ModelError::MissingFeature { name }) if name == "lag_day_1"));
}

#[test]
fn days_are_found_by_their_start_and_spans_are_bounded() {
    let (_, mut frame) = daily(30);
    assert_eq!((frame.days(), frame.span(20, 7), frame.span(5, 7)), (30, 13..20, 0..5));
    frame.window = 3;
    assert_eq!(frame.span(20, 7), 17..20, "no learner looks back further than the recipe says");
    let second = frame.origins[1];
    assert_eq!(frame.day_at(second), 1);
    assert_eq!(frame.day_at(second.plus_micros(1)), 2);
    let question = frame.question(2);
    assert_eq!((question.outputs, question.rows.len()), (24, 24));
    assert_eq!(question.rows[3].1, frame.data.features.row(2 * 24 + 3));
    assert_eq!(question.keys[0].origin, frame.origins[2]);
}

#[test]
fn daily_starts_may_be_off_by_the_hour_of_a_change_of_the_clocks() {
    let hours =
        |list: &[i64]| list.iter().map(|h| Time::from_micros(h * MICROS_PER_HOUR)).collect::<Vec<_>>();
    assert!(is_daily(&hours(&[0, 24, 47, 71, 96, 144])));
    assert!(!is_daily(&hours(&[0, 24, 46])));
    assert!(!is_daily(&hours(&[0, 7])));
}
