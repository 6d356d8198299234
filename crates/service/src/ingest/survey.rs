//! The second look: which times occur, once or more often; the step between them; what clock changes reveal.

use std::collections::BTreeMap;

use forewatt_domain::civil::Reading;
use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_domain::{Resolution, Zone};

use super::error::ImportError;
use super::options::{ImportOptions, Labels};
use super::report::{LISTED_GAPS, LabelGaps};
use super::slots::{SlotSet, check_memory};
use super::times::{Stamp, civil_of, civil_text};

const MINUTE: i64 = 60 * MICROS_PER_SECOND;
/// 1900-01-01 and 2200-01-01, in microseconds since 1970.
pub(super) const RANGE: std::ops::Range<i64> = -2_208_988_800_000_000..7_258_118_400_000_000;

/// Labels seen, by the minute.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Survey {
    seen: SlotSet,
    twice: SlotSet,
    rising: u64,
    falling: u64,
    last: Option<i64>,
}

/// Number of the minute a label lies in.
fn minute(micros: i64) -> i64 {
    micros.div_euclid(MINUTE)
}

impl Survey {
    /// Takes a label into account.
    pub(super) fn observe(&mut self, stamp: Stamp, options: &ImportOptions) -> Result<(), ImportError> {
        if !RANGE.contains(&stamp.micros) {
            return Ok(());
        }
        let slot = minute(stamp.micros);
        if !self.seen.insert(slot) {
            self.twice.insert(slot);
        }
        match self.last.map(|last| stamp.micros.cmp(&last)) {
            Some(std::cmp::Ordering::Greater) => self.rising += 1,
            Some(std::cmp::Ordering::Less) => self.falling += 1,
            _ => {}
        }
        self.last = Some(stamp.micros);
        // Growth is a chunk a call at most, so looking now and then is enough.
        if slot & 63 == 0 {
            check_memory(self.seen.bytes() + self.twice.bytes(), options.limits.max_slot_bytes)?;
        }
        Ok(())
    }

    /// The newest rows come first in the file.
    pub(super) fn descending(&self) -> bool {
        self.falling > self.rising
    }

    /// Whether this label occurs more than once.
    pub(super) fn is_repeated(&self, micros: i64) -> bool {
        self.twice.contains(minute(micros))
    }

    /// Whether any label occurs more than once.
    pub(super) fn has_repeats(&self) -> bool {
        !self.twice.is_empty()
    }

    /// The most frequent distance between neighbouring labels, and a word when another one is frequent too.
    pub(super) fn resolution(&self) -> Result<(Resolution, Option<String>), ImportError> {
        let mend = || "give --resolution, such as --resolution 15min or --resolution 1h".to_owned();
        let mut distances: BTreeMap<i64, u64> = BTreeMap::new();
        let mut labels = self.seen.iter();
        let mut previous = labels.next();
        for label in labels {
            let distance = label - previous.unwrap_or(label);
            // Steps longer than a day are gaps; so the map stays small.
            if distance <= 1440 {
                *distances.entry(distance).or_default() += 1;
            }
            previous = Some(label);
        }
        let total: u64 = distances.values().sum();
        let by_count = |(minutes, count): &(&i64, &u64)| (**count, -**minutes);
        let Some((&minutes, &count)) = distances.iter().max_by_key(by_count) else {
            let problem = "cannot be found: no two times lie within a day of each other".to_owned();
            return Err(ImportError::Resolution { problem, mend: mend() });
        };
        let resolution = Resolution::from_seconds(minutes * 60).map_err(|_| ImportError::Resolution {
            problem: format!("is mostly {minutes} minutes, which does not divide a day"),
            mend: mend(),
        })?;
        let finer = distances.iter().find(|(m, n)| *m % minutes != 0 && **n * 20 > total);
        let note = finer.map(|(m, n)| {
            format!("{n} neighbouring times lie {m} minutes apart, {count} lie {minutes}: values between the steps are rejected (--resolution sets another step)")
        });
        Ok((resolution, note))
    }

    /// The most frequent remainder of the labels (shifted and read by `start`) by the step.
    pub(super) fn phase(&self, step: i64, start: impl Fn(i64) -> Option<i64>) -> i64 {
        let count = self.seen.iter().count();
        let stride = count / 20_000 + 1;
        let mut phases: BTreeMap<i64, u64> = BTreeMap::new();
        for micros in self.seen.iter().step_by(stride).filter_map(|m| start(m * MINUTE)) {
            *phases.entry(micros.rem_euclid(step)).or_default() += 1;
        }
        phases.into_iter().max_by_key(|(phase, n)| (*n, -phase)).map_or(0, |(phase, _)| phase)
    }

    /// Gaps between naive labels as written, told apart from what the clocks skipped.
    pub(super) fn label_gaps(&self, zone: &Zone, labels: Labels, resolution: Resolution) -> LabelGaps {
        let step = resolution.micros() / MINUTE;
        let shift = if labels == Labels::End { step } else { 0 };
        let mut gaps = LabelGaps::default();
        let mut previous: Option<i64> = None;
        for label in self.seen.iter() {
            let from = previous.replace(label).unwrap_or(label);
            if label - from <= step {
                continue;
            }
            gaps.count += 1;
            let missing = (label - from - 1) / step;
            let never = |i: i64| {
                let civil = civil_of((from + i * step - shift) * MINUTE);
                matches!(zone.read(civil), Reading::Never(_))
            };
            gaps.skipped_by_clocks += u64::from(missing <= 1440 && (1..=missing).all(never));
            if gaps.first.len() < LISTED_GAPS {
                gaps.first.push((civil_text(from * MINUTE), civil_text(label * MINUTE)));
            }
        }
        gaps
    }

    /// What the labels around clock changes say about which end of the period they mark.
    pub(super) fn label_votes(&self, zone: &Zone, resolution: Resolution) -> LabelVotes {
        let step = resolution.micros() / MINUTE;
        let mut votes = LabelVotes::default();
        if step > 60 {
            return votes;
        }
        let read = |label: i64| zone.read(civil_of(label * MINUTE));
        for label in self.seen.iter() {
            match read(label) {
                Reading::Twice(..) if self.twice.contains(label) => {
                    // With labels of ends the first repeated label comes one step after the clocks' first.
                    let first = !matches!(read(label - step), Reading::Twice(..));
                    votes.start += u64::from(first);
                }
                Reading::Never(_) => {
                    let first = !matches!(read(label - step), Reading::Never(_));
                    let next = label + step;
                    votes.skipped += u64::from(first);
                    votes.skipped_then_hole += u64::from(first && !self.seen.contains(next));
                }
                Reading::Once(_) if self.twice.contains(label) => {
                    let before = label - step;
                    let after_fold = matches!(read(before), Reading::Twice(..));
                    // A file that repeats whole rows repeats its neighbours too.
                    votes.end += u64::from(after_fold && !self.twice.contains(label + step));
                    if votes.end == 1 && votes.example.is_none() && after_fold {
                        votes.example = Some(civil_text(label * MINUTE));
                    }
                }
                _ => {}
            }
        }
        votes
    }
}

/// Clock changes that speak for labels of starts or of ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LabelVotes {
    /// Repeated hours whose first label comes twice.
    pub start: u64,
    /// Repeated labels right after the repeated hour.
    pub end: u64,
    /// Labels at the start of an hour the clocks skipped.
    pub skipped: u64,
    /// Those among them that the next label does not follow: the mark of "hour ending" in spring.
    pub skipped_then_hole: u64,
    /// A label that votes for ends.
    pub example: Option<String>,
}

impl LabelVotes {
    /// Whether the file would be read wrongly as labels of starts.
    pub(super) fn speaks_for_ends(&self) -> bool {
        self.start == 0 && (self.end > 0 || self.skipped_then_hole >= 2)
    }
}
