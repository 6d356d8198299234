//! What the tests mean, in words.

use serde::{Deserialize, Serialize};

use super::diebold_mariano::LOSSES_MIN;
use super::tested::better;
use super::{GiacominiWhite, LeadTested, Loss, LossComparison, SIGNIFICANCE, Tested};

/// One of the two forecasts compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Loss {
    /// What it is called in a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Absolute => "absolute error",
            Self::Squared => "squared error",
            Self::Pinball => "pinball loss",
        }
    }
}

/// A tested loss with its verdict.
pub(super) fn comparison(
    names: [&str; 2],
    loss: Loss,
    overall: Tested,
    by_lead: Vec<LeadTested>,
) -> LossComparison {
    let better = better(overall.difference, overall.diebold_mariano.map(|test| test.p_value));
    let verdict = verdict(names, loss, &overall, better);
    let leads = leads(names, &by_lead);
    LossComparison { loss, overall, by_lead, better, verdict, leads }
}

fn verdict(names: [&str; 2], loss: Loss, tested: &Tested, better: Option<Side>) -> String {
    let [winner, loser] = if tested.difference < 0.0 { names } else { [names[1], names[0]] };
    let what = loss.words();
    let days = tested.days;
    let greater = tested.a.max(tested.b);
    let percent = if greater > 0.0 { 100.0 * tested.difference.abs() / greater } else { 0.0 };
    let Some(test) = tested.diebold_mariano else {
        let how = if tested.difference == 0.0 { "the same" } else { "a steady difference in" };
        return format!(
            "No difference can be tested between {} and {}: they have {how} {what} on each of {days} days.",
            names[0], names[1]
        );
    };
    let average = chance(test.p_value);
    let foresight = match tested.giacomini_white {
        Some(test) => foresight(names, &test, better),
        None => " The Giacomini-White test cannot decide: it needs more days.".to_owned(),
    };
    if better.is_some() {
        let size = tested.standardized.map_or_else(String::new, |d| {
            format!(" The difference is {:.2} standard deviations of its daily values.", d.abs())
        });
        return format!(
            "{winner} is better than {loser} by {} % of {what} over {days} days; a difference this large by luck: {average} (Diebold-Mariano).{size}{foresight}",
            digits(percent)
        );
    }
    let power = tested.smallest_told_percent.map_or_else(String::new, |least| {
        format!(" So many days would show a difference of {} % four times in five.", digits(least))
    });
    format!(
        "No difference can be told between {} and {} in {what} with {days} days: {winner} is lower by {} %, and luck alone does as much with {average} (Diebold-Mariano).{power}{foresight}",
        names[0],
        names[1],
        digits(percent)
    )
}

/// What the day before tells, as far as it does.
fn foresight(names: [&str; 2], test: &GiacominiWhite, better: Option<Side>) -> String {
    let chance = chance(test.p_value);
    if test.p_value >= SIGNIFICANCE {
        return match better {
            Some(_) => format!(
                " The test of Giacomini and White, which also looks at the last known difference, does not confirm it: {chance}."
            ),
            None => format!(
                " Nor does the last known difference foretell which will be better: {chance} (Giacomini-White)."
            ),
        };
    }
    let share = 100.0 * test.first_ahead_share;
    let [ahead, share] = if share >= 50.0 {
        [names[0].to_owned(), format!("{share:.0}")]
    } else {
        [names[1].to_owned(), format!("{:.0}", 100.0 - share)]
    };
    format!(
        " Knowing the last difference, {ahead} is expected to be better on {share} % of the days: {chance} (Giacomini-White)."
    )
}

/// `p = 0.003`, with as many digits as mean something.
fn chance(p_value: f64) -> String {
    match p_value {
        p if p < 0.0001 => "p < 0.0001".to_owned(),
        p if p < 0.001 => format!("p = {p:.4}"),
        p if p < 0.1 => format!("p = {p:.3}"),
        p => format!("p = {p:.2}"),
    }
}

/// One digit after the point, two for small numbers.
fn digits(value: f64) -> String {
    if value < 1.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

/// At which leads who is better.
fn leads(names: [&str; 2], by_lead: &[LeadTested]) -> String {
    if by_lead.is_empty() {
        return "Nothing can be told by lead time: no side tells its forecast starts.".to_owned();
    }
    let tested = by_lead.iter().filter(|bucket| bucket.diebold_mariano_holm.is_some()).count();
    let listed = |better: Option<Side>| {
        let inside = by_lead.iter().filter(|b| b.better == better && b.diebold_mariano_holm.is_some());
        inside.map(span).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    for (side, name) in [(Side::A, names[0]), (Side::B, names[1])] {
        let where_ = listed(Some(side));
        if !where_.is_empty() {
            parts.push(format!("{name} is better at {where_}"));
        }
    }
    let open = listed(None);
    if !open.is_empty() {
        parts.push(format!("no difference can be told at {open}"));
    }
    let untested: Vec<String> =
        by_lead.iter().filter(|bucket| bucket.diebold_mariano_holm.is_none()).map(span).collect();
    if !untested.is_empty() {
        parts.push(format!(
            "{} cannot be tested (fewer than {LOSSES_MIN} days, or no variation)",
            untested.join(", ")
        ));
    }
    let among = match tested {
        0 | 1 => "By lead time".to_owned(),
        several => format!("By lead time (corrected for {several} looks, Holm)"),
    };
    format!("{among}: {}.", parts.join("; "))
}

/// `1 to 3 h`.
fn span(bucket: &LeadTested) -> String {
    match bucket.to_hours {
        Some(to) => format!("{} to {to} h", bucket.from_hours),
        None => format!("{} h and more", bucket.from_hours),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::DieboldMariano;

    fn told(average: f64, foresight: Option<(f64, f64)>) -> String {
        let test = DieboldMariano { mean_difference: -1.0, statistic: -2.0, p_value: average, count: 50 };
        let tested = Tested {
            values: 1_200,
            days: 50,
            a: 9.0,
            b: 10.0,
            difference: -1.0,
            relative_percent: Some(-10.0),
            standardized: Some(-0.3),
            smallest_told_percent: Some(14.0),
            overlap_days: 1,
            diebold_mariano: Some(test),
            giacomini_white: foresight.map(|(p_value, first_ahead_share)| GiacominiWhite {
                statistic: 1.0,
                p_value,
                first_ahead_share,
                count: 49,
            }),
        };
        comparison(["A", "B"], Loss::Absolute, tested, vec![]).verdict
    }

    #[test]
    fn every_outcome_has_its_words() {
        let better = "A is better than B by 10.0 % of absolute error over 50 days; a difference this large by luck: p = ";
        for (average, foresight, starts, holds) in [
            (
                0.003,
                Some((0.02, 0.7)),
                format!("{better}0.003"),
                "A is expected to be better on 70 % of the days: p = 0.020",
            ),
            (0.0004, Some((0.08, 0.9)), format!("{better}0.0004"), "does not confirm it: p = 0.080"),
            (0.049, None, format!("{better}0.049"), "it needs more days"),
            (
                0.3,
                Some((0.01, 0.2)),
                "No difference can be told".to_owned(),
                "B is expected to be better on 80 %",
            ),
            (
                0.3,
                Some((0.5, 0.2)),
                "No difference can be told".to_owned(),
                "Nor does the last known difference",
            ),
            (
                0.3,
                None,
                "No difference can be told".to_owned(),
                "show a difference of 14.0 % four times in five",
            ),
        ] {
            let verdict = told(average, foresight);
            assert!(verdict.starts_with(&starts) && verdict.contains(holds), "{holds}: {verdict}");
        }
        assert_eq!(chance(1e-9), "p < 0.0001");
    }
}
