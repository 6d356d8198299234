//! The learners of the mixture: one type for all, and who takes part.

use forewatt_domain::Family;
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::{DayFrame, Layout, Question};
use super::gp::{self, Gp};
use super::lear::{self, Lear};
use super::mlp::Mlp;
use super::rows::{LOCAL_PENALTIES, Local, Naive, Trees};

/// Networks that are averaged to one expert.
const NETS: u64 = 8;
/// Windows of the local regressions, in days.
const LOCAL_WINDOWS: [usize; 2] = [364, 1456];
/// What trees are grown for: the value itself, and its difference to yesterday's and to that of the last like day.
const TREE_BASES: [Option<&str>; 3] = [None, Some("lag_day_1"), Some("lag_like_1")];
/// Fewer days than this teach the learner of a kind nothing.
const GP_DAYS_MIN: usize = 60;
const TREE_DAYS_MIN: usize = 90;
const NET_DAYS_MIN: usize = 180;

/// Something that learns from days and answers days; one or several experts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Learner {
    /// LASSOs on the whole course of the days before, one expert per penalty.
    Lear(Lear),
    /// Neural networks, averaged.
    Mlp(Vec<Mlp>),
    /// Gaussian processes, averaged.
    Gp(Vec<Gp>),
    /// A boosted forest.
    Trees(Trees),
    /// LASSOs on the features of single rows, one expert per penalty.
    Local(Local),
    /// Values of the past.
    Naive(Naive),
}

impl Learner {
    /// What it is called among its like.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lear(_) => "lear",
            Self::Mlp(_) => "mlp",
            Self::Gp(_) => "gp",
            Self::Trees(_) => "trees",
            Self::Local(_) => "local linear",
            Self::Naive(_) => "naive",
        }
    }

    /// Its name with what sets it apart, for people.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Lear(lear) => {
                let plain = if lear.spec().asinh { "" } else { ", plain" };
                format!("lear of {} days{plain}", lear.spec().window)
            }
            Self::Mlp(nets) => format!("{} neural nets", nets.len()),
            Self::Gp(processes) => format!("{} Gaussian processes", processes.len()),
            Self::Trees(trees) => match trees.base() {
                Some(base) => format!("trees on the difference to {base}"),
                None => "trees".to_owned(),
            },
            Self::Local(local) => format!("local linear of {} days", local.window()),
            Self::Naive(_) => "values of the past".to_owned(),
        }
    }

    /// Its place among all kinds from the cheapest to the dearest to learn.
    #[must_use]
    pub fn cost(&self) -> usize {
        match self {
            Self::Naive(_) => 0,
            Self::Lear(_) => 1,
            Self::Local(_) => 2,
            Self::Gp(_) => 3,
            Self::Trees(_) => 4,
            Self::Mlp(_) => 5,
        }
    }

    /// How many experts it is.
    #[must_use]
    pub fn experts(&self) -> usize {
        match self {
            Self::Lear(lear) => lear.experts(),
            Self::Local(_) => LOCAL_PENALTIES.len(),
            Self::Naive(naive) => naive.experts(),
            Self::Mlp(_) | Self::Gp(_) | Self::Trees(_) => 1,
        }
    }

    /// What the mixture trusts the learners of this kind with, all together, before it has seen them.
    fn mass(&self) -> f64 {
        match self {
            Self::Naive(_) => 0.05,
            Self::Local(_) => 0.5,
            Self::Lear(_) | Self::Mlp(_) | Self::Gp(_) | Self::Trees(_) => 1.0,
        }
    }

    /// Learns from the days before `end`.
    pub fn learn(&mut self, frame: &DayFrame, end: usize) {
        match self {
            Self::Lear(lear) => lear.learn(frame, end),
            Self::Mlp(nets) => nets.par_iter_mut().for_each(|net| net.learn(frame, end)),
            Self::Gp(processes) => processes.par_iter_mut().for_each(|gp| gp.learn(frame, end)),
            Self::Trees(trees) => trees.learn(frame, end),
            Self::Local(local) => local.learn(frame, end),
            Self::Naive(_) => {}
        }
    }

    /// What its experts say of a day: `experts x outputs`, NaN where one cannot tell.
    #[must_use]
    pub fn predict(&self, question: &Question<'_>) -> Array2<f32> {
        match self {
            Self::Lear(lear) => lear.predict(&question.inputs),
            Self::Mlp(nets) => mean(nets.iter().map(|net| net.predict(&question.inputs)), question.outputs),
            Self::Gp(processes) => {
                mean(processes.iter().map(|gp| gp.predict(&question.inputs)), question.outputs)
            }
            Self::Trees(trees) => mean(std::iter::once(trees.predict(question)), question.outputs),
            Self::Local(local) => local.predict(question),
            Self::Naive(naive) => naive.predict(question),
        }
    }

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        match self {
            Self::Mlp(nets) => nets.iter_mut().for_each(Mlp::settle),
            Self::Gp(processes) => processes.iter_mut().for_each(Gp::settle),
            Self::Lear(lear) => lear.settle(),
            Self::Local(local) => local.settle(),
            Self::Trees(_) | Self::Naive(_) => {}
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, layout: &Layout) -> bool {
        let (inputs, outputs, columns) = (layout.inputs(), layout.outputs(), layout.columns().len());
        match self {
            Self::Lear(lear) => lear.is_sound(inputs, outputs),
            Self::Mlp(nets) => !nets.is_empty() && nets.iter().all(|net| net.is_sound(inputs, outputs)),
            Self::Gp(processes) => {
                !processes.is_empty() && processes.iter().all(|gp| gp.is_sound(inputs, outputs))
            }
            Self::Trees(trees) => trees.is_sound(columns),
            Self::Local(local) => local.is_sound(columns, outputs),
            Self::Naive(naive) => naive.is_sound(columns),
        }
    }
}

fn mean(answers: impl Iterator<Item = Vec<f32>>, outputs: usize) -> Array2<f32> {
    let (mut sum, mut count) = (Array2::zeros((1, outputs)), 0.0_f32);
    for answer in answers {
        sum.index_axis_mut(Axis(0), 0).iter_mut().zip(answer).for_each(|(s, a)| *s += a);
        count += 1.0;
    }
    sum / count
}

/// The learners of a family that can learn from so many days.
#[must_use]
pub fn team(family: Family, layout: &Layout, days: usize, seed: u64) -> Vec<Learner> {
    let roles = layout.roles();
    // The shortest window beyond the days there are holds all of them; longer ones would only repeat it.
    let fits = |window: usize, windows: &mut dyn Iterator<Item = usize>| {
        window <= days || windows.filter(|w| *w > days).min() == Some(window)
    };
    let all = matches!(family, Family::Ensemble | Family::Auto);
    let mut team = Vec::new();
    if all || family == Family::Lear {
        let windows = || lear::SPECS.iter().map(|spec| spec.window);
        let kept = lear::SPECS.iter().filter(|spec| fits(spec.window, &mut windows()));
        team.extend(kept.map(|spec| Learner::Lear(Lear::new(*spec, &roles))));
    }
    if (all && days >= NET_DAYS_MIN) || family == Family::Mlp {
        // Streams of one seed must not meet those of the next.
        let nets = (0..NETS).map(|i| Mlp::new(seed.wrapping_mul(NETS).wrapping_add(i)));
        team.push(Learner::Mlp(nets.collect()));
    }
    if (all && days >= GP_DAYS_MIN) || family == Family::Gp {
        team.push(Learner::Gp(gp::SPECS.iter().map(|spec| Gp::new(*spec, &roles)).collect()));
    }
    if all {
        if days >= TREE_DAYS_MIN {
            let grown =
                TREE_BASES.iter().map(|base| Learner::Trees(Trees::new(seed, layout.columns(), *base)));
            team.extend(grown);
        }
        let windows = LOCAL_WINDOWS.iter().filter(|w| fits(**w, &mut LOCAL_WINDOWS.into_iter()));
        team.extend(windows.map(|window| Learner::Local(Local::new(*window))));
        team.push(Learner::Naive(Naive::new(layout.columns())));
    }
    team
}

/// What the mixture trusts every expert of a team with at first: kinds alike, but for those that are there only in
/// case the others fail.
#[must_use]
pub fn prior(team: &[Learner]) -> Vec<f64> {
    let of_kind = |kind: &str| -> usize {
        team.iter().filter(|other| other.kind() == kind).map(Learner::experts).sum()
    };
    let share = |learner: &Learner| learner.mass() / of_kind(learner.kind()) as f64;
    team.iter().flat_map(|learner| std::iter::repeat_n(share(learner), learner.experts())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days::frame::tests::daily;

    fn names(family: Family, days: usize) -> Vec<String> {
        let (layout, _) = daily(1);
        team(family, &layout, days, 3).iter().map(Learner::name).collect()
    }

    #[test]
    fn who_takes_part_depends_on_the_number_of_days() {
        let (naive, local) = ("values of the past", "local linear of 364 days");
        assert_eq!(names(Family::Ensemble, 30), ["lear of 56 days", local, naive]);
        assert_eq!(names(Family::Auto, 30), names(Family::Ensemble, 30));
        assert_eq!(names(Family::Lear, 30), ["lear of 56 days"]);
        let two = ["lear of 56 days", "lear of 84 days"];
        assert_eq!(names(Family::Lear, 56), two, "with the shortest window that holds all days");
        assert_eq!(names(Family::Ensemble, 60), [two[0], two[1], "3 Gaussian processes", local, naive]);
        let trees = ["trees", "trees on the difference to lag_day_1"].map(str::to_owned);
        let at_90 = names(Family::Ensemble, 90);
        assert!(
            trees.iter().all(|name| at_90.contains(name)) && !names(Family::Ensemble, 89).contains(&trees[0])
        );
        assert!(names(Family::Ensemble, 180).contains(&"8 neural nets".to_owned()));
        assert!(!names(Family::Ensemble, 179).contains(&"8 neural nets".to_owned()));
        let all = names(Family::Lear, 5000);
        assert_eq!(all.len(), lear::SPECS.len(), "{all:?}");
        assert_eq!(all[4], "lear of 1456 days, plain");
        assert_eq!((names(Family::Mlp, 14).len(), names(Family::Gp, 14).len()), (1, 1));
    }

    #[test]
    fn kinds_are_trusted_alike_but_for_those_in_case_others_fail() {
        let (layout, _) = daily(1);
        let team = team(Family::Ensemble, &layout, 1456, 3);
        let prior = prior(&team);
        assert_eq!(prior.len(), team.iter().map(Learner::experts).sum::<usize>());
        let mut from = 0;
        let mut of_kind = std::collections::BTreeMap::new();
        for learner in &team {
            *of_kind.entry(learner.kind()).or_insert(0.0) +=
                prior[from..from + learner.experts()].iter().sum::<f64>();
            from += learner.experts();
        }
        let expected = [
            ("gp", 1.0),
            ("lear", 1.0),
            ("local linear", 0.5),
            ("mlp", 1.0),
            ("naive", 0.05),
            ("trees", 1.0),
        ];
        assert_eq!(of_kind.len(), expected.len());
        for (kind, mass) in expected {
            assert!((of_kind[kind] - mass).abs() < 1e-12, "{kind}: {}", of_kind[kind]);
        }
    }

    #[test]
    fn seeds_do_not_share_their_networks() {
        let (layout, _) = daily(1);
        let nets = |seed: u64| match team(Family::Mlp, &layout, 14, seed).remove(0) {
            Learner::Mlp(nets) => nets,
            _ => vec![],
        };
        let (first, second) = (nets(1), nets(2));
        assert_eq!((first.len(), second.len()), (8, 8));
        assert!(first.iter().all(|net| !second.contains(net)));
    }
}
