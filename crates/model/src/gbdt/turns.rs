//! Whose turn it is: the order in which levels get trees, and when a course of trees has come far enough.

use std::ops::Range;

use super::aim::Aim;
use crate::random::Random;

/// Outputs whose trees are counted and stopped together.
pub(super) struct Course {
    /// Which outputs.
    pub outputs: Range<usize>,
    /// The most trees.
    limit: usize,
    /// Trees grown.
    grown: usize,
    /// The least loss on the held-out rows, and with how many trees.
    best: (f64, usize),
    is_open: bool,
}

/// The courses, and the levels in a random order, then in another, until every course has ended.
pub(super) struct Turns {
    pub courses: Vec<Course>,
    order: Vec<usize>,
    at: usize,
    random: Random,
}

impl Turns {
    /// One course of all outputs, or one for each, with the most trees of each course.
    pub fn new(seed: u64, aim: &Aim, limits: &[usize]) -> Self {
        let outputs = aim.outputs();
        let width = if limits.len() == outputs { 1 } else { outputs };
        let course = |(i, &limit): (usize, &usize)| Course {
            outputs: i * width..(i + 1) * width,
            limit,
            grown: 0,
            best: (f64::INFINITY, 0),
            is_open: true,
        };
        let courses = limits.iter().enumerate().map(course).collect();
        Self { courses, order: (0..outputs).collect(), at: outputs, random: Random::new(seed, 0) }
    }

    /// The outputs of the next trees and their courses, at most so many.
    pub fn next(&mut self, at_once: usize) -> Vec<(usize, usize)> {
        let mut picks = Vec::with_capacity(at_once);
        while picks.len() < at_once && self.courses.iter().any(Course::wants_more) {
            if self.at == self.order.len() {
                self.random.shuffle(&mut self.order);
                self.at = 0;
            }
            let output = self.order[self.at];
            self.at += 1;
            let wanting = |course: &Course| course.outputs.contains(&output) && course.wants_more();
            if let Some(course) = self.courses.iter().position(wanting) {
                self.courses[course].grown += 1;
                picks.push((output, course));
            }
        }
        picks
    }

    /// Takes note of the losses; a course that has not improved for so many trees ends.
    pub fn judge(&mut self, patience: usize, loss: impl Fn(&Range<usize>) -> f64) {
        for course in self.courses.iter_mut().filter(|course| course.is_open) {
            let loss = loss(&course.outputs);
            if loss < course.best.0 {
                course.best = (loss, course.grown);
            } else if course.grown >= course.best.1 + patience {
                course.is_open = false;
            }
        }
    }

    /// With how many trees each course lost least; those grown, when none was judged.
    pub fn best(&self) -> Vec<usize> {
        let best = |course: &Course| if course.best.0.is_finite() { course.best.1 } else { course.grown };
        self.courses.iter().map(best).collect()
    }
}

impl Course {
    fn wants_more(&self) -> bool {
        self.is_open && self.grown < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_has_its_turn_and_courses_end_by_themselves() {
        let aim = Aim::Quantiles(vec![0.1, 0.5, 0.9]);
        let mut turns = Turns::new(1, &aim, &[7]);
        let mut picks: Vec<usize> = (0..3).flat_map(|_| turns.next(4)).map(|(output, _)| output).collect();
        assert_eq!(picks.len(), 7, "the limit");
        picks[..3].sort_unstable();
        assert_eq!(picks[..3], [0, 1, 2]);
        let mut turns = Turns::new(1, &aim, &[2, 20, 20]);
        turns.judge(100, |_| 10.0);
        for round in 0..10 {
            turns.next(4);
            turns.judge(3, |outputs| if outputs.start == 1 { 9.0 } else { 8.0 - f64::from(round) });
        }
        let best = turns.best();
        assert_eq!((best[0], best[2]), (2, 20));
        assert!(best[1] <= 2, "{best:?}");
    }
}
