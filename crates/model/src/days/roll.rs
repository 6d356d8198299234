//! Learning day after day: what every learner would have said of each day, had it known the days before.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::Array2;
use rayon::prelude::*;

use super::frame::DayFrame;
use super::learner::Learner;
use super::state::{Said, State};

/// Which days to answer, and what was known at each.
pub struct Course<'a> {
    /// The days to answer.
    pub days: Range<usize>,
    /// For a day of the frame: the number of days whose values were all known at its forecast start.
    pub known: &'a (dyn Fn(usize) -> usize + Sync),
    /// Whether the learners learn before they answer a day; they always do before the first.
    pub learns: &'a (dyn Fn(usize) -> bool + Sync),
    /// Told after every day of every learner; answers whether to go on.
    pub progress: &'a (dyn Fn() -> bool + Sync),
}

/// What each learner said of each day, `experts x outputs`.
pub type Forecasts = Vec<Vec<Array2<f32>>>;

/// Lets every learner answer every day, learning on the way; `None` when told to stop. The learners go their ways
/// in parallel and do not know of each other, so the result does not depend on the threads.
#[must_use]
pub fn roll(team: &mut [Learner], frame: &DayFrame, course: &Course<'_>) -> Option<Forecasts> {
    let stopped = AtomicBool::new(false);
    let one = |learner: &mut Learner| -> Vec<Array2<f32>> {
        let mut said = Vec::with_capacity(course.days.len());
        for day in course.days.clone() {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            if day == course.days.start || (course.learns)(day) {
                learner.learn(frame, (course.known)(day));
            }
            said.push(learner.predict(&frame.question(day)));
            if !(course.progress)() {
                stopped.store(true, Ordering::Relaxed);
            }
        }
        said
    };
    let forecasts = team.par_iter_mut().map(one).collect();
    (!stopped.load(Ordering::Relaxed)).then_some(forecasts)
}

/// Mixes what the learners said, the weights and errors learning as the values become known: one answer per day of
/// the course, and the state after all days known at the end of the frame.
///
/// `answer` is given every day with what was said of it.
#[must_use]
pub fn mix(
    team: &[Learner],
    frame: &DayFrame,
    course: &Course<'_>,
    forecasts: &Forecasts,
    mut answer: impl FnMut(usize, &Said),
) -> State {
    let mut state = State::new(team, frame.targets.ncols());
    // What days said whose values are not known yet.
    let mut said = VecDeque::new();
    let mut learned = course.days.start;
    for (i, day) in course.days.clone().enumerate() {
        if (course.learns)(day) {
            learn(&mut state, frame, &mut said, &mut learned, (course.known)(day));
        }
        let parts: Vec<Array2<f32>> = forecasts.iter().map(|learner| learner[i].clone()).collect();
        let now = state.answer(&parts);
        answer(day, &now);
        said.push_back(now);
    }
    learn(&mut state, frame, &mut said, &mut learned, course.days.end);
    state
}

/// Teaches the state the days before `known` that it has not learned from.
fn learn(state: &mut State, frame: &DayFrame, said: &mut VecDeque<Said>, learned: &mut usize, known: usize) {
    while *learned < known
        && let Some(said) = said.pop_front()
    {
        state.learn(&said, &frame.targets.row(*learned).to_vec());
        *learned += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::Role;
    use crate::days::frame::tests::daily;
    use crate::days::lear::{Lear, SPECS};
    use crate::days::rows::{Local, Naive};

    fn team(frame: &DayFrame) -> Vec<Learner> {
        vec![
            Learner::Lear(Lear::new(SPECS[0], &vec![Role::Past(1); frame.inputs.ncols()])),
            Learner::Local(Local::new(364)),
            Learner::Naive(Naive::new(&frame.data.features.names)),
        ]
    }

    /// What the learners and their mixture say of days 30 to 41, where values come two days late.
    fn said(frame: &DayFrame) -> (Forecasts, Vec<Vec<f32>>) {
        let known = |day: usize| day - 2;
        let course = Course { days: 30..42, known: &known, learns: &|_| true, progress: &|| true };
        let mut team = team(frame);
        let forecasts = roll(&mut team, frame, &course).unwrap();
        let mut mixed = Vec::new();
        let _state = mix(&team, frame, &course, &forecasts, |_, said| {
            mixed.push([said.level(), &said.quantiles(&[0.1, 0.9])[..]].concat());
        });
        (forecasts, mixed)
    }

    #[test]
    fn what_became_known_later_changes_no_answer() {
        let (_, frame) = daily(45);
        let mut other = frame.clone();
        let changed = 34;
        for i in other.rows[changed].clone() {
            other.data.target[i] *= 7.0;
            other.targets[(changed, other.output_of[i])] *= 7.0;
        }
        let ((forecasts, mixed), (other_forecasts, other_mixed)) = (said(&frame), said(&other));
        // Day 36 knows the days before 34; the next one knows day 34 too.
        let same = 36 + 1 - 30;
        for (learner, (a, b)) in forecasts.iter().zip(&other_forecasts).enumerate() {
            assert_eq!(a[..same], b[..same]);
            assert_eq!(a[same] != b[same], learner < 2, "those who learn notice on the first day they can");
        }
        assert_eq!(mixed[..same], other_mixed[..same]);
        assert!(mixed[same] != other_mixed[same]);
    }

    #[test]
    fn it_stops_when_told_and_answers_every_day_else() {
        let (_, frame) = daily(30);
        let known = |day: usize| day;
        let stopped = Course { days: 20..25, known: &known, learns: &|_| true, progress: &|| false };
        assert!(roll(&mut team(&frame), &frame, &stopped).is_none());
        let course = Course { progress: &|| true, ..stopped };
        let forecasts = roll(&mut team(&frame), &frame, &course).unwrap();
        assert_eq!(forecasts.iter().map(Vec::len).collect::<Vec<_>>(), [5, 5, 5]);
        // Without learning anew on the way only the first day is as before.
        let once = Course { learns: &|_| false, ..course };
        let other = roll(&mut team(&frame), &frame, &once).unwrap();
        assert_eq!(forecasts[0][0], other[0][0]);
        assert!(forecasts[0][4] != other[0][4]);
    }
}
