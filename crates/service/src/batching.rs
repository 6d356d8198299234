//! Questions of rows that come at the same time, answered by one call of the model.
//!
//! Nobody waits while the machine is idle: a question begins at once as long as fewer than `calls_max` calls of its
//! version run. Those that come while all run are answered together by the next call. Whoever has left is skipped, and
//! when a call fails, each of its questions is asked alone, so that one cannot spoil the others' answers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewatt_domain::VersionId;
use metrics::Counter;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::Service;
use crate::error::{Error, Result};
use crate::infer::{Inferred, Rows, Signature, call, spans_too_much};
use crate::models::LoadedModel;

/// `[batching]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchingConfig {
    /// Whether questions of rows are answered together.
    pub enabled: bool,
    /// Rows of one call at most; a question of more than half of them is asked alone.
    pub rows_max: usize,
    /// After a call that answered several, how long the next may wait for more, in microseconds.
    pub delay_max_us: u64,
    /// Calls of one version that run at once; 0 for as many as processors.
    pub calls_max: usize,
}

/// Rows with times and rows without are not answered by one call.
type LaneKey = (VersionId, bool);

/// One who waits for an answer.
struct Asked {
    rows: Rows,
    count: usize,
    tell: oneshot::Sender<Result<Inferred>>,
}

#[derive(Default)]
struct Lane {
    running: usize,
    waiting: VecDeque<Asked>,
}

/// Who waits, by version. Their number is bounded by those at work in the server.
pub(crate) struct Batcher {
    config: BatchingConfig,
    calls_max: usize,
    lanes: Mutex<HashMap<LaneKey, Lane>>,
    calls: Counter,
    questions: Counter,
    skipped: Counter,
}

impl Batcher {
    pub(crate) fn new(config: &BatchingConfig) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            config: config.clone(),
            calls_max: if config.calls_max == 0 { processors } else { config.calls_max },
            lanes: Mutex::default(),
            calls: metrics::counter!("forewatt_infer_calls_total"),
            questions: metrics::counter!("forewatt_infer_questions_total"),
            skipped: metrics::counter!("forewatt_infer_abandoned_total"),
        }
    }

    /// Whether a question of so many rows may share a call.
    pub(crate) fn takes(&self, count: usize) -> bool {
        self.config.enabled && count * 2 <= self.config.rows_max
    }

    fn lanes(&self) -> MutexGuard<'_, HashMap<LaneKey, Lane>> {
        // Nothing under the lock panics; if it did, whoever waits would be told that the answer is missing.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a question; true when a call must be begun for it.
    fn add(&self, key: &LaneKey, asked: Asked) -> bool {
        let mut lanes = self.lanes();
        let lane = lanes.entry(key.clone()).or_default();
        lane.waiting.push_back(asked);
        let begins = lane.running < self.calls_max;
        lane.running += usize::from(begins);
        begins
    }

    /// The questions of the next call; none ends the caller's turn.
    fn next(&self, key: &LaneKey) -> Vec<Asked> {
        let mut lanes = self.lanes();
        let Some(lane) = lanes.get_mut(key) else { return Vec::new() };
        let (taken, skipped) = take(&mut lane.waiting, self.config.rows_max);
        self.skipped.increment(skipped);
        if taken.is_empty() {
            lane.running -= 1;
            if lane.running == 0 {
                lanes.remove(key);
            }
        }
        taken
    }
}

/// Takes what fits into one call, in order, and counts those who have left.
fn take(waiting: &mut VecDeque<Asked>, rows_max: usize) -> (Vec<Asked>, u64) {
    let (mut taken, mut rows, mut skipped) = (Vec::<Asked>::new(), 0, 0);
    let mut span = None;
    while let Some(next) = waiting.front() {
        if next.tell.is_closed() {
            waiting.pop_front();
            skipped += 1;
            continue;
        }
        let wider = next.rows.span().map(|(from, to)| {
            let (first, last) = span.unwrap_or((from, to));
            (from.min(first), to.max(last))
        });
        let full = rows + next.count > rows_max || wider.is_some_and(spans_too_much);
        if full && !taken.is_empty() {
            break;
        }
        (rows, span) = (rows + next.count, wider);
        taken.extend(waiting.pop_front());
    }
    (taken, skipped)
}

impl Service {
    /// Answers checked rows together with others of the same version.
    pub(crate) async fn infer_together(
        &self,
        model: Arc<LoadedModel>,
        signature: Signature,
        rows: Rows,
        count: usize,
    ) -> Result<Inferred> {
        let key = (model.version.id.clone(), rows.times.is_some());
        let (tell, told) = oneshot::channel();
        self.batcher.questions.increment(1);
        if self.batcher.add(&key, Asked { rows, count, tell }) {
            // A task of its own: whoever came first may leave while the others still wait.
            let service = self.clone();
            tokio::spawn(async move { service.work_off(&key, &model, &signature).await });
        }
        told.await.unwrap_or_else(|_| Err(Error::internal("the computation broke off; the log says where")))
    }

    /// Calls the model until nobody waits.
    async fn work_off(&self, key: &LaneKey, model: &Arc<LoadedModel>, signature: &Signature) {
        let delay = Duration::from_micros(self.batcher.config.delay_max_us);
        loop {
            let asked = self.batcher.next(key);
            if asked.is_empty() {
                return;
            }
            let several = asked.len() > 1;
            self.call_together(model, signature, asked).await;
            if several && !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
        }
    }

    /// One call for all, each of whom gets its own rows back.
    async fn call_together(&self, model: &Arc<LoadedModel>, signature: &Signature, mut asked: Vec<Asked>) {
        self.batcher.calls.increment(1);
        let counts: Vec<usize> = asked.iter().map(|one| one.count).collect();
        if asked.len() > 1 {
            let rows = joined(&asked);
            let said = self.call(model, signature, rows, counts.iter().sum()).await;
            if let Ok(said) = said {
                for (one, answer) in asked.into_iter().zip(parted(&said, &counts)) {
                    let _ = one.tell.send(Ok(answer)); // who has left misses nothing
                }
                return;
            }
        }
        for one in asked.drain(..) {
            let said = self.call(model, signature, one.rows, one.count).await;
            let _ = one.tell.send(said);
        }
    }

    async fn call(
        &self,
        model: &Arc<LoadedModel>,
        signature: &Signature,
        rows: Rows,
        count: usize,
    ) -> Result<Inferred> {
        let (model, signature) = (Arc::clone(model), signature.clone());
        self.compute.run(move || call(&model.artifact, signature, rows, count)).await?
    }
}

/// The rows of all, one after the other.
fn joined(asked: &[Asked]) -> Rows {
    let values = asked.iter().flat_map(|one| one.rows.values.iter().copied()).collect();
    let times: Option<Vec<_>> = asked.iter().map(|one| one.rows.times.clone()).collect();
    Rows { values, times: times.map(|times| times.concat()) }
}

/// Each one's part of what was said to all.
fn parted(said: &Inferred, counts: &[usize]) -> Vec<Inferred> {
    let levels = said.levels.len();
    let mut first = 0;
    let part = |&count: &usize| {
        let rows = first..first + count;
        first = rows.end;
        Inferred {
            mean: said.mean[rows.clone()].to_vec(),
            quantiles: said.quantiles[rows.start * levels..rows.end * levels].to_vec(),
            levels: said.levels.clone(),
            calibrated: said.calibrated,
        }
    };
    counts.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{QuantileLevels, Time};

    use super::*;

    fn asked(count: usize, year: Option<i64>) -> (Asked, oneshot::Receiver<Result<Inferred>>) {
        let (tell, told) = oneshot::channel();
        let at = |year: i64| Time::from_seconds(year * 366 * 86_400);
        let times = year.map(|year| vec![(at(year), at(year)); count]);
        (Asked { rows: Rows { values: vec![count as f32; count], times }, count, tell }, told)
    }

    #[test]
    fn calls_are_bounded_and_who_left_is_skipped() {
        let (all, mut ears): (VecDeque<_>, Vec<_>) =
            [3, 3, 3, 9, 1].map(|count| asked(count, None)).into_iter().unzip();
        let mut waiting = all;
        drop(ears.remove(1));
        let counts =
            |(taken, skipped): (Vec<Asked>, u64)| (taken.iter().map(|one| one.count).collect(), skipped);
        let told: (Vec<usize>, u64) = counts(take(&mut waiting, 8));
        assert_eq!(told, (vec![3, 3], 1));
        assert_eq!(counts(take(&mut waiting, 8)), (vec![9], 0), "one that is too large goes alone");
        assert_eq!(counts(take(&mut waiting, 8)), (vec![1], 0));
        assert_eq!(counts(take(&mut waiting, 8)), (vec![], 0));
    }

    #[test]
    fn rows_of_distant_years_are_not_joined() {
        let (mut waiting, _ears): (VecDeque<_>, Vec<_>) =
            [0, 10, 40].map(|year| asked(1, Some(year))).into_iter().unzip();
        assert_eq!(take(&mut waiting, 8).0.len(), 2);
        assert_eq!(take(&mut waiting, 8).0.len(), 1);
    }

    #[test]
    fn everyone_gets_the_own_part() {
        let said = Inferred {
            mean: vec![1.0, 2.0, 3.0],
            quantiles: vec![1.1, 1.9, 2.1, 2.9, 3.1, 3.9],
            levels: QuantileLevels::parse("0.1,0.9").unwrap(),
            calibrated: false,
        };
        let parts = parted(&said, &[1, 2]);
        assert_eq!((parts[0].mean.clone(), parts[0].quantiles.clone()), (vec![1.0], vec![1.1, 1.9]));
        assert_eq!(
            (parts[1].mean.clone(), parts[1].quantiles.clone()),
            (vec![2.0, 3.0], vec![2.1, 2.9, 3.1, 3.9])
        );
    }
}
