//! Whether one forecast is better than another: matched, scored by day and by lead time, tested, told in words.
//!
//! Losses are averaged over each civil day of forecast starts (of valid times when starts are not known), for values
//! of one day share their weather and their news: a day is one piece of evidence, not twenty-four. The overall tests
//! and those of each lead bucket run on these daily means, with the overlap of forecasts longer than the distance
//! between them. Buckets are those of [`crate::metrics::by_lead`]; many buckets find a difference by luck more
//! easily than one, so their p-values are corrected as by Holm, Scand. J. Statist. 6 (1979) 65-70.

mod diebold_mariano;
mod giacomini_white;
mod holm;
mod matching;
mod tested;
mod verdict;

#[cfg(test)]
mod tests;

use forewatt_domain::{Time, Zone};
use serde::{Deserialize, Serialize};

use crate::metrics::pinball;
pub use diebold_mariano::{DieboldMariano, diebold_mariano};
pub use giacomini_white::{GiacominiWhite, giacomini_white};
pub use matching::{ForecastRow, Forecasts, MatchedBy, SideCount};
use matching::{Matched, Pair, pair_up};
pub use tested::{LeadTested, Tested};
pub use verdict::Side;

/// A p-value below this counts as a difference.
pub const SIGNIFICANCE: f64 = 0.05;

/// How a value is held against what came true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The distance of the mean from the actual, in the unit of the series.
    Absolute,
    /// Its square.
    Squared,
    /// The mean pinball loss over the levels that both sides have.
    Pinball,
}

/// One loss: tested overall and by lead time, and what that means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossComparison {
    /// Which.
    pub loss: Loss,
    /// Over all matched values.
    pub overall: Tested,
    /// By lead time, shortest first; empty when no side tells its forecast starts.
    pub by_lead: Vec<LeadTested>,
    /// Which side is better overall; `None` when that cannot be told.
    pub better: Option<Side>,
    /// That in words, with the size of the difference and how likely it is by luck.
    pub verdict: String,
    /// At which leads it holds, in words.
    pub leads: String,
}

/// Two forecasts of the same thing, compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// How values found their counterparts.
    pub matched_by: MatchedBy,
    /// What became of the first side's rows.
    pub a: SideCount,
    /// What became of the second's.
    pub b: SideCount,
    /// Values compared.
    pub values: usize,
    /// Days they lie on.
    pub days: usize,
    /// The first valid time compared.
    pub from: Time,
    /// The last.
    pub to: Time,
    /// Pairs for which both sides know what came true and do not agree; the first side's is taken.
    pub actuals_differ: usize,
    /// The levels that both sides have.
    pub quantiles: Vec<f64>,
    /// Absolute and squared losses, and pinball when there are levels.
    pub losses: Vec<LossComparison>,
}

/// Why two forecasts cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// Nothing is about the same.
    #[error(
        "no value of `{a}` ({a_rows} given) and `{b}` ({b_rows} given) is about the same time: `{a}` is about {a_reach}, `{b}` about {b_reach}; check the range, the time zone and which end of its period a time marks"
    )]
    NothingShared {
        /// The first name.
        a: String,
        /// Its rows.
        a_rows: usize,
        /// Its first and last valid time.
        a_reach: String,
        /// The second name.
        b: String,
        /// Its rows.
        b_rows: usize,
        /// Its first and last valid time.
        b_reach: String,
    },
    /// Something is, but what came true is not known.
    #[error(
        "`{a}` and `{b}` share {shared} values and of none is it known what came true: name the series (`of`) or the column (`actual`) that holds it"
    )]
    NoActuals {
        /// The first name.
        a: String,
        /// The second name.
        b: String,
        /// Values they share.
        shared: usize,
    },
    /// Both sides know what came true, and mostly disagree.
    #[error(
        "what came true differs between `{a}` and `{b}` for {differ} of {known} values, so they are not about the same: check the time zone, which end of its period a time marks, and the unit"
    )]
    OtherActuals {
        /// The first name.
        a: String,
        /// The second name.
        b: String,
        /// Pairs whose actuals differ.
        differ: usize,
        /// Pairs compared.
        known: usize,
    },
    /// Fewer days than the tests need.
    #[error(
        "`{a}` and `{b}` share {values} values on {days} days with a known actual, and the tests need at least {needed} days: compare a longer stretch"
    )]
    TooFewDays {
        /// The first name.
        a: String,
        /// The second name.
        b: String,
        /// Values they share.
        values: usize,
        /// Days these lie on.
        days: usize,
        /// Days that are needed.
        needed: usize,
    },
}

/// Compares two forecasts, called by their names in the words of the outcome.
///
/// Values are matched by forecast start and valid time when the sides share starts; else, or with `lead_micros`
/// (microseconds), by valid time alone, each side by its newest forecast that begins at least so long before. Days
/// are those of `zone`.
///
/// # Errors
/// [`CompareError`] when nothing is shared, no actual is known, the actuals contradict each other, or there are
/// fewer days than the tests need.
pub fn compare(
    names: [&str; 2],
    a: &Forecasts,
    b: &Forecasts,
    lead_micros: Option<i64>,
    zone: &Zone,
) -> Result<Comparison, CompareError> {
    let matched = pair_up(a, b, lead_micros, zone);
    let days = days(&matched.pairs);
    check(names, (a, b), &matched, days.len())?;
    let levels = common_levels(&a.levels, &b.levels);
    let quantiles: Vec<f64> = levels.iter().map(|&(i, _)| a.levels[i]).collect();
    let loss_of = |loss: Loss, pair: &Pair| -> [f64; 2] {
        let rows = [&a.rows[pair.a], &b.rows[pair.b]];
        let of_levels = |side: usize| {
            let at = |&(i, j): &(usize, usize)| if side == 0 { i } else { j };
            let losses = levels.iter().zip(&quantiles).map(|(places, &level)| {
                let quantile = rows[side].quantiles.get(at(places)).copied().unwrap_or(f64::NAN);
                pinball(level, quantile, pair.actual)
            });
            losses.sum::<f64>() / levels.len() as f64
        };
        match loss {
            Loss::Absolute => rows.map(|row| (row.mean - pair.actual).abs()),
            Loss::Squared => rows.map(|row| (row.mean - pair.actual).powi(2)),
            Loss::Pinball => [of_levels(0), of_levels(1)],
        }
    };
    let mut losses = vec![Loss::Absolute, Loss::Squared];
    if !levels.is_empty() {
        losses.push(Loss::Pinball);
    }
    let losses = losses.into_iter().map(|loss| {
        let of = |pair: &Pair| loss_of(loss, pair);
        let overall = tested::test(&matched.pairs, &of);
        let by_lead = tested::by_lead(&matched.pairs, &of);
        verdict::comparison(names, loss, overall, by_lead)
    });
    let losses = losses.collect();
    let times = matched.pairs.iter().map(|pair| a.rows[pair.a].valid_time);
    Ok(Comparison {
        matched_by: matched.by,
        a: matched.a,
        b: matched.b,
        values: matched.pairs.len(),
        days: days.len(),
        from: times.clone().min().unwrap_or(Time::MIN),
        to: times.max().unwrap_or(Time::MAX),
        actuals_differ: matched.actuals_differ,
        quantiles,
        losses,
    })
}

/// The days of pairs, rising.
fn days(pairs: &[Pair]) -> std::collections::BTreeSet<i64> {
    pairs.iter().map(|pair| pair.day).collect()
}

/// Refuses what the tests cannot decide.
fn check(
    [a, b]: [&str; 2],
    sides: (&Forecasts, &Forecasts),
    matched: &Matched,
    days: usize,
) -> Result<(), CompareError> {
    let (a, b) = (a.to_owned(), b.to_owned());
    let values = matched.pairs.len();
    let shared = values + matched.a.without_actual;
    if shared == 0 {
        return Err(CompareError::NothingShared {
            a,
            a_rows: sides.0.rows.len(),
            a_reach: reach(sides.0),
            b,
            b_rows: sides.1.rows.len(),
            b_reach: reach(sides.1),
        });
    }
    if values == 0 {
        return Err(CompareError::NoActuals { a, b, shared });
    }
    if matched.actuals_differ * 2 > values {
        return Err(CompareError::OtherActuals { a, b, differ: matched.actuals_differ, known: values });
    }
    let needed = diebold_mariano::LOSSES_MIN.max(tested::overlap(&matched.pairs) + 1);
    if days < needed {
        return Err(CompareError::TooFewDays { a, b, values, days, needed });
    }
    Ok(())
}

fn reach(side: &Forecasts) -> String {
    let times = side.rows.iter().map(|row| row.valid_time);
    match times.clone().min().zip(times.max()) {
        Some((first, last)) => format!("{first} to {last}"),
        None => "nothing".to_owned(),
    }
}

/// The places of levels that both sides have.
fn common_levels(a: &[f64], b: &[f64]) -> Vec<(usize, usize)> {
    let same = |level: &f64| b.iter().position(|other| (other - level).abs() < 1e-9);
    a.iter().enumerate().filter_map(|(i, level)| Some((i, same(level)?))).collect()
}
