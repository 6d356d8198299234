//! The race: learners answer the last days of the history, and those far behind are left out.

use forewatt_domain::Family;
use ndarray::Array2;

use super::frame::DayFrame;
use super::learner::Learner;
use super::roll::{Course, Forecasts, roll};

/// Days of the race, as far as they are a quarter of the history.
const RACE_DAYS: usize = 56;
/// During the race learners learn anew after so many days.
const REFIT_DAYS: usize = 14;
/// A learner whose absolute error is so many times the best one's is left out: the mixture would hardly weigh it.
const BEHIND: f64 = 1.5;

/// Answers whether there is time to try more.
pub type TimeLeft<'a> = dyn Fn() -> bool + Sync + 'a;

/// On what the learners race.
pub struct Race<'a> {
    /// There is a race only for [`Family::Auto`].
    pub family: Family,
    /// The days.
    pub frame: &'a DayFrame,
    /// How many of them are known: the race is on the last of those.
    pub days: usize,
    /// Days until a day's values are all known, as [`super::frame::Layout::lag`] says.
    pub lag: usize,
}

impl Race<'_> {
    /// Lets the team race and keeps those worth their time. Values of the past always stay: with them the mixture
    /// cannot be far behind a naive forecast. Says what came out.
    ///
    /// With `time_left` the learners are tried one by one, the cheapest first, as long as it says yes; it is asked
    /// before the first and after each but the values of the past. Who was at work when it says no, and who was not
    /// tried, is left out.
    pub fn select(&self, team: &mut Vec<Learner>, time_left: Option<&TimeLeft<'_>>) -> Vec<String> {
        let race = RACE_DAYS.min(self.days / 4);
        if self.family != Family::Auto || race < 7 || team.len() < 3 {
            return Vec::new();
        }
        let begin = self.days - race;
        let mut notes = Vec::new();
        let forecasts = match time_left {
            None => self.run(&mut team.clone(), begin),
            Some(time_left) => self.in_turn(team, begin, time_left, &mut notes),
        };
        let errors: Vec<f64> = forecasts.iter().map(|said| error(said, self.frame, begin)).collect();
        let best = errors.iter().copied().filter(|e| e.is_finite()).fold(f64::INFINITY, f64::min);
        let kept = |learner: &Learner, error: f64| {
            matches!(learner, Learner::Naive(_)) || error <= BEHIND * best || !best.is_finite()
        };
        let told = |(learner, &error): (&Learner, &f64)| {
            let verdict = if kept(learner, error) { "" } else { ", left out" };
            format!("race over {race} days: {} {error:.4} mean absolute error{verdict}", learner.name())
        };
        notes.splice(0..0, team.iter().zip(&errors).map(told));
        let mut errors = errors.iter();
        team.retain(|learner| errors.next().is_none_or(|&error| kept(learner, error)));
        notes
    }

    /// Tries one after the other, the cheapest first, and leaves in the team who was done in time.
    fn in_turn(
        &self,
        team: &mut Vec<Learner>,
        begin: usize,
        time_left: &TimeLeft<'_>,
        notes: &mut Vec<String>,
    ) -> Forecasts {
        let mut waiting = std::mem::take(team);
        waiting.sort_by_key(Learner::cost);
        let (mut forecasts, mut untried, mut goes_on) = (Forecasts::new(), Vec::new(), time_left());
        for learner in waiting {
            let free = matches!(learner, Learner::Naive(_));
            if !free && !goes_on {
                untried.push(learner.name());
                continue;
            }
            let said = self.run(&mut [learner.clone()], begin);
            goes_on = goes_on && (free || time_left());
            if free || goes_on {
                forecasts.extend(said);
                team.push(learner);
            } else {
                // What follows the race takes several times as long as the race.
                notes.push(format!("left out, the time was up before it had raced: {}", learner.name()));
            }
        }
        if !untried.is_empty() {
            notes.push(format!("not tried, the time was up: {}", untried.join(", ")));
        }
        forecasts
    }

    /// What everyone would have said on the days of the race.
    fn run(&self, racers: &mut [Learner], begin: usize) -> Forecasts {
        let known = |day: usize| day.saturating_sub(self.lag.max(1));
        let learns = |day: usize| (day - begin).is_multiple_of(REFIT_DAYS);
        let course = Course { days: begin..self.days, known: &known, learns: &learns, progress: &|| true };
        roll(racers, self.frame, &course).unwrap_or_default()
    }
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
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::days::frame::tests::daily;
    use crate::days::frame::{Layout, Role};
    use crate::days::lear::{Lear, SPECS};
    use crate::days::learner::team;
    use crate::days::rows::{Local, Naive};
    use crate::synthetic::{self, NAMES, Shape};

    const DAYS: usize = 100;

    fn frame() -> DayFrame {
        let data = synthetic::training(Shape { days: DAYS, ..Shape::default() });
        DayFrame::new(&Layout::new(&data.features).unwrap(), data).unwrap()
    }

    fn race(frame: &DayFrame, time_left: Option<&TimeLeft<'_>>) -> (Vec<String>, Vec<String>) {
        let (layout, days) = (Layout::new(&frame.data.features).unwrap(), 60);
        let mut team = team(&synthetic::recipe(Family::Auto, 1), &layout, days);
        let notes = Race { family: Family::Auto, frame, days, lag: 0 }.select(&mut team, time_left);
        (team.iter().map(Learner::name).collect(), notes)
    }

    #[test]
    fn when_the_time_is_up_no_further_learner_is_tried() {
        let frame = frame();
        let (all, told) = race(&frame, None);
        assert!(told.len() > 3 && told.iter().all(|note| note.starts_with("race over")), "{told:?}");
        for yes in [0, 2] {
            let asked = AtomicUsize::new(0);
            let (team, notes) = race(&frame, Some(&|| asked.fetch_add(1, Ordering::Relaxed) < yes));
            assert_eq!(asked.load(Ordering::Relaxed), yes + 1, "asked once more than it said yes");
            assert!(team.len() <= yes + 1 && team[0] == "values of the past", "{team:?}");
            assert_eq!(notes.len(), yes + 2, "one a learner tried, one for the rest: {notes:?}");
            let untried = notes.last().unwrap();
            assert!(untried.starts_with("not tried") && untried.contains("Gaussian"), "{untried}");
            let late = notes.iter().any(|note| note.ends_with("before it had raced: lear of 84 days"));
            assert_eq!(late, yes == 2, "{notes:?}");
        }
        let (unhurried, notes) = race(&frame, Some(&|| true));
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        assert_eq!(
            (sorted(unhurried), sorted(notes)),
            (sorted(all), sorted(told)),
            "time enough changes nothing"
        );
    }

    /// Days whose values follow a feature of single rows, which whole days do not read.
    fn frame_of_rows() -> DayFrame {
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

    fn three(frame: &DayFrame) -> Vec<Learner> {
        vec![
            Learner::Lear(Lear::new(SPECS[0], &vec![Role::Past(1); frame.inputs.ncols()])),
            Learner::Local(Local::new(364)),
            Learner::Naive(Naive::new(&frame.data.features.names)),
        ]
    }

    #[test]
    fn who_is_far_behind_is_left_out_but_values_of_the_past_stay() {
        let frame = frame_of_rows();
        let mut team = three(&frame);
        let notes = Race { family: Family::Auto, frame: &frame, days: 112, lag: 0 }.select(&mut team, None);
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
        let frame = frame_of_rows();
        let all = three(&frame);
        for (family, days, size) in
            [(Family::Ensemble, 112, 3), (Family::Auto, 27, 3), (Family::Auto, 112, 2)]
        {
            let mut team = all[..size].to_vec();
            assert!(Race { family, frame: &frame, days, lag: 0 }.select(&mut team, None).is_empty());
            assert_eq!(team, all[..size]);
        }
    }
}
