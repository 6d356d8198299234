//! How much a caller may ask: a bucket of units that fills again, a quota a day, and so many requests at once.
//!
//! A request is let in when the bucket is not empty, and pays when its cost is known: values asked for and sent, at
//! least one unit. So a dear request may leave a debt, which the next ones wait for. What is counted is this process's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forewatt_domain::Time;
use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_SECOND};
use moka::future::Cache;

use super::config::RateLimitConfig;

/// Purses of callers that ask for nothing are forgotten after this long, which is more than a quota lasts.
const FORGET_AFTER: Duration = Duration::from_secs(2 * 24 * 3_600);

/// The purses of all callers.
#[derive(Debug)]
pub struct Limiter {
    config: RateLimitConfig,
    purses: Cache<String, Arc<Mutex<Purse>>>,
}

/// What one caller has left.
#[derive(Debug)]
struct Purse {
    /// Units now; below zero after a dear request.
    units: f64,
    /// When that was true.
    at: Time,
    /// The day, counted from 1970, that `used_today` is about.
    day: i64,
    used_today: u64,
    at_work: u32,
}

/// Where a caller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whole units left in the bucket.
    pub units: u64,
    /// Seconds until it is full.
    pub full_in_s: u64,
    /// Units left today; `None` without a quota.
    pub today: Option<u64>,
    /// Seconds until the next day.
    pub day_ends_in_s: u64,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The bucket is empty.
    Rate,
    /// The day's quota is used up.
    Quota,
    /// Too many requests of this caller are at work.
    Concurrency,
}

/// A request that is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denied {
    /// Which limit.
    pub why: Why,
    /// Seconds after which it is worth trying again, at least 1.
    pub retry_after_s: u64,
    /// Where the caller stands.
    pub standing: Standing,
}

/// A request that was let in. Dropping it makes room for the caller's next.
#[derive(Debug)]
pub struct Entered {
    purse: Arc<Mutex<Purse>>,
    config: RateLimitConfig,
}

impl Limiter {
    /// Every purse is full.
    #[must_use]
    pub fn new(config: RateLimitConfig) -> Self {
        let purses = Cache::builder().max_capacity(config.callers_max).time_to_idle(FORGET_AFTER).build();
        Self { config, purses }
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &RateLimitConfig {
        &self.config
    }

    /// Lets a caller's request in, or tells when to come again. `now` must be the real clock.
    ///
    /// # Errors
    /// [`Denied`].
    pub async fn enter(&self, caller: &str, now: Time) -> Result<Entered, Denied> {
        let burst = f64::from(self.config.burst_units);
        let full = async {
            Arc::new(Mutex::new(Purse { units: burst, at: now, day: day_of(now), used_today: 0, at_work: 0 }))
        };
        let purse = self.purses.get_with_by_ref(caller, full).await;
        lock(&purse).take_place(&self.config, now)?;
        Ok(Entered { purse, config: self.config.clone() })
    }
}

impl Entered {
    /// Pays for the request and tells where the caller stands now.
    #[must_use]
    pub fn pay(&self, units: u64, now: Time) -> Standing {
        let mut purse = lock(&self.purse);
        purse.refill(&self.config, now);
        purse.units -= units as f64;
        purse.used_today = purse.used_today.saturating_add(units);
        purse.standing(&self.config)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut purse = lock(&self.purse);
        purse.at_work = purse.at_work.saturating_sub(1);
    }
}

fn lock(purse: &Mutex<Purse>) -> MutexGuard<'_, Purse> {
    purse.lock().unwrap_or_else(PoisonError::into_inner)
}

fn day_of(now: Time) -> i64 {
    now.micros().div_euclid(MICROS_PER_DAY)
}

impl Purse {
    fn refill(&mut self, config: &RateLimitConfig, now: Time) {
        let gone = now.micros_since(self.at).max(0); // a clock set back gives nothing and takes nothing
        self.at = now;
        let per_micro = f64::from(config.units_per_minute) / (60.0 * MICROS_PER_SECOND as f64);
        self.units = (self.units + gone as f64 * per_micro).min(f64::from(config.burst_units));
        if day_of(now) != self.day {
            (self.day, self.used_today) = (day_of(now), 0);
        }
    }

    fn take_place(&mut self, config: &RateLimitConfig, now: Time) -> Result<(), Denied> {
        self.refill(config, now);
        let standing = self.standing(config);
        let deny = |why, retry_after_s: u64| Denied { why, retry_after_s: retry_after_s.max(1), standing };
        if standing.today == Some(0) {
            return Err(deny(Why::Quota, standing.day_ends_in_s));
        }
        if self.units < 1.0 {
            return Err(deny(Why::Rate, seconds_for(1.0 - self.units, config)));
        }
        if config.concurrency_per_key_max > 0 && self.at_work >= config.concurrency_per_key_max {
            return Err(deny(Why::Concurrency, 1));
        }
        self.at_work += 1;
        Ok(())
    }

    fn standing(&self, config: &RateLimitConfig) -> Standing {
        let next_day = (self.day + 1).saturating_mul(MICROS_PER_DAY);
        let left = (next_day - self.at.micros()) as f64 / MICROS_PER_SECOND as f64;
        let quota = (config.units_per_day > 0).then_some(config.units_per_day);
        Standing {
            units: self.units.max(0.0) as u64,
            full_in_s: seconds_for(f64::from(config.burst_units) - self.units, config),
            today: quota.map(|quota| quota.saturating_sub(self.used_today)),
            day_ends_in_s: left.ceil() as u64,
        }
    }
}

/// Seconds until so many units have come back.
fn seconds_for(units: f64, config: &RateLimitConfig) -> u64 {
    (units * 60.0 / f64::from(config.units_per_minute.max(1))).ceil().max(0.0) as u64
}
