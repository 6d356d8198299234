//! From a time as written to the period it is about, in UTC.

use forewatt_domain::civil::Reading;
use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Resolution, Time, Zone};

use super::options::{Ambiguous, Labels};
use super::report::Reason;
use super::survey::RANGE;
use super::times::{Stamp, civil_of};

/// How labels become periods.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placer {
    pub zone: Zone,
    pub labels: Labels,
    pub resolution: Resolution,
    /// The grid's distance from the epoch's, in microseconds.
    pub phase: i64,
    pub ambiguous: Option<Ambiguous>,
    /// The labels are dates: one naive value a day. They sit at 00:00 UTC, for local midnights lie on no grid.
    pub dates: bool,
}

/// Which of its occurrences a repeated reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It occurs once, or nobody can tell.
    Unknown,
    Earlier,
    Later,
}

/// A period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// Its start.
    pub valid: Time,
    /// Its end.
    pub end: Time,
}

impl Placer {
    /// The label's distance from the period's start.
    fn shift(&self) -> i64 {
        if self.labels == Labels::End { self.resolution.micros() } else { 0 }
    }

    fn is_date(&self, stamp: Stamp) -> bool {
        stamp.naive && self.dates
    }

    /// The phase of the grid of valid times.
    pub(super) fn grid_phase(&self) -> i64 {
        if self.dates { 0 } else { self.phase }
    }

    /// Whether the clocks showed the start of this label's period twice.
    pub(super) fn is_twofold(&self, stamp: Stamp) -> bool {
        stamp.naive
            && !self.is_date(stamp)
            && RANGE.contains(&stamp.micros)
            && matches!(self.zone.read(civil_of(stamp.micros - self.shift())), Reading::Twice(..))
    }

    /// The start of the period before the grid is applied; `None` off the calendar.
    pub(super) fn start(&self, stamp: Stamp) -> Option<i64> {
        let micros = stamp.micros - self.shift();
        if !stamp.naive || self.is_date(stamp) {
            return Some(micros);
        }
        match self.zone.read(civil_of(micros)) {
            Reading::Once(time) => Some(time.micros()),
            Reading::Never(_) | Reading::Twice(..) => None,
        }
    }

    /// The period a label is about, or why it has none.
    pub(super) fn place(&self, stamp: Stamp, turn: Turn) -> Result<Period, Reason> {
        if !RANGE.contains(&stamp.micros) {
            return Err(Reason::TimeOutOfRange);
        }
        let micros = stamp.micros - self.shift();
        if self.is_date(stamp) {
            return self.day(micros);
        }
        let valid = if stamp.naive {
            let turn = match (turn, self.ambiguous) {
                (Turn::Unknown, Some(Ambiguous::Earlier)) => Turn::Earlier,
                (Turn::Unknown, Some(Ambiguous::Later)) => Turn::Later,
                (turn, _) => turn,
            };
            match (self.zone.read(civil_of(micros)), turn) {
                (Reading::Once(time), _)
                | (Reading::Twice(time, _), Turn::Earlier)
                | (Reading::Twice(_, time), Turn::Later) => time,
                (Reading::Twice(..), Turn::Unknown) => return Err(Reason::AmbiguousHour),
                (Reading::Never(_), _) => return Err(Reason::SkippedHour),
            }
        } else {
            Time::from_micros(micros)
        };
        if (valid.micros() - self.grid_phase()).rem_euclid(self.resolution.micros()) != 0 {
            return Err(Reason::OffGrid);
        }
        Ok(Period { valid, end: valid.plus_micros(self.resolution.micros()) })
    }

    /// The day that begins with this reading of the clock.
    fn day(&self, micros: i64) -> Result<Period, Reason> {
        if (micros - self.phase).rem_euclid(MICROS_PER_DAY) != 0 {
            return Err(Reason::OffGrid);
        }
        let midnight = micros.div_euclid(MICROS_PER_DAY) * MICROS_PER_DAY;
        let tomorrow = civil_of(midnight + MICROS_PER_DAY).date();
        let end = self.zone.start_of_day(tomorrow).max(Time::from_micros(midnight + MICROS_PER_DAY));
        Ok(Period { valid: Time::from_micros(midnight), end })
    }

    /// The number of a valid time's slot.
    pub(super) fn slot(&self, valid: Time) -> i64 {
        valid.micros().div_euclid(self.resolution.micros())
    }

    /// The valid time of a slot.
    pub(super) fn time_of(&self, slot: i64) -> Time {
        Time::from_micros(slot * self.resolution.micros() + self.grid_phase())
    }
}
