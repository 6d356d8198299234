//! How long a training or backtest may take: how much of that the race of learners gets.

use std::time::Instant;

use forewatt_domain::Family;
use forewatt_domain::time::duration_micros;
use forewatt_model::backtest::Refit;
use jiff::SignedDuration;

use crate::backtest::BacktestRequest;
use crate::error::{Error, Result};

/// Times the learners learn anew in a race, and before the first day of a backtest.
const RACE_FITS: f64 = 4.0;
const WARM_UP_FITS: f64 = 8.0;
/// The part of a training's budget that is its backtest's.
pub(crate) const SCORE_PART: f64 = 0.25;
/// The share of a training's budget after which the race of its last fit ends: the learners that stay learn some ten
/// times as often as in the race.
pub(crate) const FIT_SHARE: f64 = 1.0 / 12.0;

/// Refuses a budget for what cannot keep it, and one that is no time at all.
pub(crate) fn check(family: Family, budget: Option<SignedDuration>) -> Result<()> {
    match budget {
        None => Ok(()),
        Some(_) if family != Family::Auto => Err(Error::invalid(format!(
            "a budget of time is for `auto`, whose race of learners can stop early: leave it out for `{family}`"
        ))),
        Some(budget) if budget <= SignedDuration::ZERO => {
            Err(Error::invalid("a budget of time must be longer than nothing, such as 5m"))
        }
        Some(_) => Ok(()),
    }
}

/// Answers whether less than a share of the budget has gone by since now.
pub(crate) fn share(whole: SignedDuration, share: f64) -> impl Fn() -> bool + Send + Sync {
    let (begun, seconds) = (Instant::now(), whole.as_secs_f64() * share);
    move || begun.elapsed().as_secs_f64() < seconds
}

/// As [`share`], for a backtest: whoever stays in the race learns again at every refit.
pub(crate) fn of_backtest(
    whole: SignedDuration,
    request: &BacktestRequest,
) -> impl Fn() -> bool + Send + Sync {
    let fits = match request.refit {
        Refit::Never => 1.0,
        Refit::Every(span) => {
            let days = request.to.micros_since(request.from) as f64;
            (days / duration_micros(span.max(request.every)).max(1) as f64).max(1.0)
        }
    };
    share(whole, RACE_FITS / (RACE_FITS + WARM_UP_FITS + fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_race_can_keep_a_budget() {
        let minutes = |minutes| Some(SignedDuration::from_mins(minutes));
        assert!(check(Family::Auto, minutes(5)).is_ok() && check(Family::Lear, None).is_ok());
        let told = check(Family::Lear, minutes(5)).unwrap_err().message;
        assert!(told.contains("`auto`") && told.contains("`lear`"), "{told}");
        assert!(check(Family::Auto, minutes(0)).is_err() && check(Family::Auto, minutes(-1)).is_err());
    }

    #[test]
    fn a_share_of_nothing_is_over_and_one_of_a_year_is_not() {
        assert!(!share(SignedDuration::ZERO, 0.5)());
        assert!(share(SignedDuration::from_hours(24 * 365), 0.5)());
    }
}
