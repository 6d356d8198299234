//! Which questions are asked most, so that they can be answered before they are asked.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use forewatt_domain::SeriesName;
use serde::{Deserialize, Serialize};

use super::AnswerKey;

/// Questions counted at once.
pub(crate) const QUESTIONS_MAX: usize = 10_000;

/// A question without its time: what is asked again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Question {
    pub series: SeriesName,
    pub steps: usize,
    pub levels: Vec<f64>,
    pub threshold: Option<f64>,
}

impl From<&AnswerKey> for Question {
    fn from(key: &AnswerKey) -> Self {
        Self {
            series: key.base.series.clone(),
            steps: key.steps,
            levels: key.levels.iter().map(|&bits| f64::from_bits(bits)).collect(),
            threshold: key.threshold.map(f64::from_bits),
        }
    }
}

#[derive(Debug)]
struct Asked {
    question: Question,
    times: u64,
    /// Of these, how many the other nodes do not know of.
    untold: u64,
}

/// Counts of questions in this process.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    asked: Mutex<HashMap<u64, Asked>>,
    hasher: RandomState,
}

impl Hot {
    /// Counts a question. Those about the past are no habit.
    pub(crate) fn count(&self, key: &AnswerKey) {
        if key.base.as_of.is_some() {
            return;
        }
        // By hash, so that a question counted before costs no allocation; two that share one are counted as one.
        let hash = self.hasher.hash_one((&key.base.series, key.steps, &key.levels, key.threshold));
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = asked.get_mut(&hash) {
            known.times += 1;
            known.untold += 1;
            return;
        }
        if asked.len() >= QUESTIONS_MAX {
            // Old habits fade, and rare ones make room.
            asked.retain(|_, known| {
                known.times /= 2;
                known.times > 0
            });
        }
        if asked.len() < QUESTIONS_MAX {
            asked.insert(hash, Asked { question: key.into(), times: 1, untold: 1 });
        }
    }

    /// What was asked since the last call, and how often.
    pub(crate) fn untold(&self) -> Vec<(Question, u64)> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let new = asked.values_mut().filter(|known| known.untold > 0);
        new.map(|known| (known.question.clone(), std::mem::take(&mut known.untold))).collect()
    }

    /// The questions asked most, at most `max`; of one series or of all.
    pub(crate) fn hottest(&self, series: Option<&SeriesName>, max: usize) -> Vec<Question> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = asked.values().filter(|known| series.is_none_or(|name| known.question.series == *name));
        most(wanted.map(|known| (known.question.clone(), known.times)).collect(), max)
    }
}

/// Those with the greatest counts, at most `max`, the greatest first.
pub(crate) fn most(mut counted: Vec<(Question, u64)>, max: usize) -> Vec<Question> {
    counted.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.series.cmp(&b.series)));
    counted.truncate(max);
    counted.into_iter().map(|(question, _)| question).collect()
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{Time, VersionId};

    use super::*;
    use crate::cache::BaseKey;

    fn key(series: &str, steps: usize, start: i64) -> AnswerKey {
        let base = BaseKey {
            series: series.parse().unwrap(),
            version: VersionId::from_text("v").unwrap(),
            revisions: vec![1],
            forecast_start: Time::from_seconds(start),
            as_of: None,
            moved: false,
            rung: crate::ladder::Rung::Champion,
        };
        AnswerKey { base, steps, levels: vec![0.5_f64.to_bits()], threshold: None }
    }

    #[test]
    fn the_most_asked_come_first_whatever_their_start() {
        let hot = Hot::default();
        for start in 0..3 {
            hot.count(&key("a", 24, start));
        }
        hot.count(&key("b", 24, 0));
        hot.count(&key("a", 48, 0));
        hot.count(&key("a", 48, 0));
        let mut past = key("b", 24, 0);
        past.base.as_of = Some(Time::from_seconds(0));
        (0..9).for_each(|_| hot.count(&past));
        let found = hot.hottest(None, 2);
        let named: Vec<_> = found.iter().map(|q| (q.series.as_str(), q.steps)).collect();
        assert_eq!(named, [("a", 24), ("a", 48)]);
        assert_eq!(found[0].levels, [0.5]);
        assert_eq!(hot.hottest(Some(&"b".parse().unwrap()), 9).len(), 1);
        assert_eq!(hot.untold().iter().map(|(_, times)| times).sum::<u64>(), 6);
        assert_eq!(hot.untold(), [], "told once");
    }

    #[test]
    fn rare_questions_make_room() {
        let hot = Hot::default();
        hot.count(&key("often", 1, 0));
        hot.count(&key("often", 1, 0));
        for steps in 0..QUESTIONS_MAX + 5 {
            hot.count(&key("rare", steps, 0));
        }
        assert!(hot.asked.lock().unwrap().len() <= QUESTIONS_MAX);
        assert_eq!(hot.hottest(Some(&"often".parse().unwrap()), 1).len(), 1);
        assert_eq!(hot.hottest(Some(&"rare".parse().unwrap()), usize::MAX).len(), 6);
    }
}
