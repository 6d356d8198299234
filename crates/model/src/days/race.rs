//! The race: learners answer the last days of the history, and those far behind are left out.

use forewatt_domain::Family;
use ndarray::Array2;

use super::frame::DayFrame;
use super::learner::Learner;
use super::roll::{Course, roll};

/// Days of the race, as far as they are a quarter of the history.
const RACE_DAYS: usize = 56;
/// During the race learners learn anew after so many days.
const REFIT_DAYS: usize = 14;
/// A learner whose absolute error is so many times the best one's is left out: the mixture would hardly weigh it.
const BEHIND: f64 = 1.5;

/// For [`Family::Auto`]: lets the team race on the last of `days` days and keeps those worth their time. Values of
/// the past always stay: with them the mixture cannot be far behind a naive forecast. Says what came out.
pub fn select(family: Family, team: &mut Vec<Learner>, frame: &DayFrame, days: usize) -> Vec<String> {
    let race = RACE_DAYS.min(days / 4);
    if family != Family::Auto || race < 7 || team.len() < 3 {
        return Vec::new();
    }
    let begin = days - race;
    let known = |day: usize| day.saturating_sub(1);
    let learns = |day: usize| (day - begin).is_multiple_of(REFIT_DAYS);
    let mut racers = team.clone();
    let course = Course { days: begin..days, known: &known, learns: &learns, progress: &|| true };
    let forecasts = roll(&mut racers, frame, &course).unwrap_or_default();
    let errors: Vec<f64> = forecasts.iter().map(|said| error(said, frame, begin)).collect();
    let best = errors.iter().copied().filter(|e| e.is_finite()).fold(f64::INFINITY, f64::min);
    let kept = |learner: &Learner, error: f64| {
        matches!(learner, Learner::Naive(_)) || error <= BEHIND * best || !best.is_finite()
    };
    let told = |(learner, &error): (&Learner, &f64)| {
        let verdict = if kept(learner, error) { "" } else { ", left out" };
        format!("race over {race} days: {} {error:.4} mean absolute error{verdict}", learner.name())
    };
    let notes = team.iter().zip(&errors).map(told).collect();
    let mut errors = errors.iter();
    team.retain(|learner| errors.next().is_none_or(|&error| kept(learner, error)));
    notes
}

/// The mean absolute error of a learner's best expert; infinite when it answered nothing.
fn error(said: &[Array2<f32>], frame: &DayFrame, begin: usize) -> f64 {
    let experts = said.first().map_or(0, Array2::nrows);
    let of_expert = |expert: usize| {
        let (mut sum, mut count) = (0.0, 0_usize);
        for (i, day) in said.iter().enumerate() {
            for (forecast, actual) in day.row(expert).iter().zip(frame.targets.row(begin + i)) {
                let error = f64::from((forecast - actual).abs());
                if error.is_finite() {
                    (sum, count) = (sum + error, count + 1);
                }
            }
        }
        if count == 0 { f64::INFINITY } else { sum / count as f64 }
    };
    (0..experts).map(of_expert).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::Role;
    use crate::days::frame::tests::daily;
    use crate::days::lear::{Lear, SPECS};
    use crate::days::rows::{Local, Naive};
    use crate::synthetic::NAMES;

    /// Days whose values follow a feature of single rows, which whole days do not read.
    fn frame() -> DayFrame {
        let (_, mut frame) = daily(120);
        for (d, rows) in frame.rows.clone().into_iter().enumerate() {
            for i in rows {
                let value = 10.0 * frame.data.features.row(i)[NAMES.len() - 1];
                frame.data.target[i] = value;
                frame.targets[(d, frame.output_of[i])] = value;
            }
        }
        frame
    }

    fn team(frame: &DayFrame) -> Vec<Learner> {
        vec![
            Learner::Lear(Lear::new(SPECS[0], &vec![Role::Past(1); frame.inputs.ncols()])),
            Learner::Local(Local::new(364)),
            Learner::Naive(Naive::new(&frame.data.features.names)),
        ]
    }

    #[test]
    fn who_is_far_behind_is_left_out_but_values_of_the_past_stay() {
        let frame = frame();
        let mut team = team(&frame);
        let notes = select(Family::Auto, &mut team, &frame, 112);
        assert_eq!(team.iter().map(Learner::kind).collect::<Vec<_>>(), ["local linear", "naive"]);
        assert_eq!(notes.len(), 3);
        assert!(notes[0].starts_with("race over 28 days: lear of 56 days"), "{notes:?}");
        assert!(
            notes[0].ends_with("left out")
                && !notes[1].contains("left out")
                && !notes[2].contains("left out")
        );
    }

    #[test]
    fn there_is_no_race_for_other_families_short_histories_and_small_teams() {
        let frame = frame();
        let all = team(&frame);
        for (family, days, size) in
            [(Family::Ensemble, 112, 3), (Family::Auto, 27, 3), (Family::Auto, 112, 2)]
        {
            let mut team = all[..size].to_vec();
            assert!(select(family, &mut team, &frame, days).is_empty());
            assert_eq!(team, all[..size]);
        }
    }
}
