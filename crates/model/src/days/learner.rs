//! The learners of the mixture: one type for all, and who takes part.

use forewatt_domain::{Choice, Family, Inputs, Penalty, Recipe, Transform, TreeExtra};
use ndarray::{Array2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::chosen::{self, Chosen};
use super::frame::{DayFrame, Layout, Question};
use super::gp::{self, Gp};
use super::lear::{self, Lear, LearSpec};
use super::mlp::Mlp;
use super::rows::{LOCAL_PENALTIES, Local, Naive};
use super::trees::{TreeBase, TreeSpec, Trees};

/// Networks that are averaged to one expert.
const NETS: u64 = 8;
/// Windows of the local regressions, in days.
const LOCAL_WINDOWS: [usize; 2] = [364, 1456];
/// What trees are grown for: the value itself, and its difference to yesterday's and to that of the last like day.
const TREE_BASES: [TreeBase; 3] =
    [TreeBase::Value, TreeBase::Column("lag_day_1"), TreeBase::Column("lag_like_1")];
/// After so many days a day counts half for trees that are asked to forget.
const TREE_HALF_LIFE_DAYS: f64 = 364.0;
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
    /// LASSOs on the whole course of the days before, their penalties chosen, averaged.
    Chosen(Vec<Chosen>),
}

impl Learner {
    /// What it is called among its like.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Lear(_) | Self::Chosen(_) => "lear",
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
                let how = match lear.spec().transform {
                    Transform::None => ", plain",
                    Transform::BoxCox => ", box-cox",
                    _ => "",
                };
                format!("lear of {} days{how}", lear.spec().window)
            }
            Self::Mlp(nets) => format!("{} neural nets", nets.len()),
            Self::Gp(processes) => format!("{} Gaussian processes", processes.len()),
            Self::Trees(trees) => {
                let on = trees.base().map_or(String::new(), |base| format!(" on the difference to {base}"));
                let (decays, adds) = trees.manner();
                let decays = if decays { ", old days counting less" } else { "" };
                format!("trees{on}{decays}{}", if adds { ", added to weekly" } else { "" })
            }
            Self::Local(local) => format!("local linear of {} days", local.window()),
            Self::Naive(_) => "values of the past".to_owned(),
            Self::Chosen(lears) => {
                let windows: Vec<String> = lears.iter().map(|l| l.spec().window.to_string()).collect();
                let by = lears.first().map_or(Penalty::Aic, Chosen::by);
                format!("mean of lears of {} days, penalties by {by}", windows.join(", "))
            }
        }
    }

    /// Its place among all kinds from the cheapest to the dearest to learn.
    #[must_use]
    pub fn cost(&self) -> usize {
        match self {
            Self::Naive(_) => 0,
            Self::Lear(_) | Self::Chosen(_) => 1,
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
            Self::Mlp(_) | Self::Gp(_) | Self::Trees(_) | Self::Chosen(_) => 1,
        }
    }

    /// What the mixture trusts the learners of this kind with, all together, before it has seen them.
    fn mass(&self) -> f64 {
        match self {
            Self::Naive(_) => 0.05,
            Self::Local(_) => 0.5,
            Self::Lear(_) | Self::Mlp(_) | Self::Gp(_) | Self::Trees(_) | Self::Chosen(_) => 1.0,
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
            Self::Chosen(lears) => lears.par_iter_mut().for_each(|lear| lear.learn(frame, end)),
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
            Self::Chosen(lears) => {
                mean(lears.iter().map(|lear| lear.predict(&question.inputs)), question.outputs)
            }
        }
    }

    /// Drops what only further learning needs.
    pub fn settle(&mut self) {
        match self {
            Self::Mlp(nets) => nets.iter_mut().for_each(Mlp::settle),
            Self::Gp(processes) => processes.iter_mut().for_each(Gp::settle),
            Self::Lear(lear) => lear.settle(),
            Self::Local(local) => local.settle(),
            Self::Chosen(lears) => lears.iter_mut().for_each(Chosen::settle),
            Self::Trees(trees) => trees.settle(),
            Self::Naive(_) => {}
        }
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, layout: &Layout) -> bool {
        let (inputs, outputs, columns) = (layout.inputs(), layout.outputs(), layout.columns().len());
        let common = layout.common();
        match self {
            Self::Lear(lear) => lear.is_sound(inputs, outputs),
            Self::Mlp(nets) => !nets.is_empty() && nets.iter().all(|net| net.is_sound(common, outputs)),
            Self::Gp(processes) => {
                !processes.is_empty() && processes.iter().all(|gp| gp.is_sound(common, outputs))
            }
            Self::Trees(trees) => trees.is_sound(columns, inputs, outputs),
            Self::Local(local) => local.is_sound(columns, outputs),
            Self::Naive(naive) => naive.is_sound(columns),
            Self::Chosen(lears) => {
                !lears.is_empty() && lears.iter().all(|lear| lear.is_sound(inputs, outputs))
            }
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

/// Whether a window is one to learn from: the shortest beyond the days there are holds all of them, and longer ones
/// would only repeat it.
fn fits(window: usize, days: usize, mut windows: impl Iterator<Item = usize>) -> bool {
    window <= days || windows.all(|other| other <= days || other >= window)
}

/// The forests of a mixture.
fn tree_specs(extras: &[TreeExtra]) -> Vec<TreeSpec> {
    let asked = |extra| extras.contains(&extra);
    let half_life_days = asked(TreeExtra::Decay).then_some(TREE_HALF_LIFE_DAYS);
    let linear = asked(TreeExtra::Linear).then_some(TreeBase::Linear);
    let bases = TREE_BASES.into_iter().chain(linear);
    bases.map(|base| TreeSpec { base, half_life_days, adds: asked(TreeExtra::Add) }).collect()
}

/// The one learner of LEARs whose penalties are chosen; `None` when they are to be mixed.
fn chosen(choice: &Choice, layout: &Layout, days: usize) -> Option<Learner> {
    let by = choice.penalty.filter(|penalty| *penalty != Penalty::Mixture)?;
    let spec = |window: usize| LearSpec {
        window,
        inputs: choice.inputs.unwrap_or(Inputs::Base),
        transform: choice.transform.unwrap_or(Transform::Asinh),
    };
    let roles = layout.roles();
    let windows = chosen::WINDOWS.into_iter().filter(|w| fits(*w, days, chosen::WINDOWS.into_iter()));
    Some(Learner::Chosen(windows.map(|window| Chosen::new(spec(window), by, &roles)).collect()))
}

/// The learners of a recipe's family that can learn from so many days.
#[must_use]
pub fn team(recipe: &Recipe, layout: &Layout, days: usize) -> Vec<Learner> {
    let (family, seed) = (recipe.family, recipe.seed);
    let roles = layout.roles();
    let all = matches!(family, Family::Ensemble | Family::Auto);
    let mut team = Vec::new();
    let one = if family == Family::Lear { chosen(&recipe.choice, layout, days) } else { None };
    if let Some(one) = one {
        team.push(one);
    } else if all || family == Family::Lear {
        let windows = || lear::SPECS.iter().map(|spec| spec.window);
        let kept = lear::SPECS.iter().filter(|spec| fits(spec.window, days, windows()));
        let asked = kept.filter_map(|spec| spec.asked(&recipe.choice));
        team.extend(asked.map(|spec| Learner::Lear(Lear::new(spec, &roles))));
    }
    if (all && days >= NET_DAYS_MIN) || family == Family::Mlp {
        // Streams of one seed must not meet those of the next.
        let nets = (0..NETS).map(|i| Mlp::new(seed.wrapping_mul(NETS).wrapping_add(i)));
        team.push(Learner::Mlp(nets.collect()));
    }
    if (all && days >= GP_DAYS_MIN) || family == Family::Gp {
        team.push(Learner::Gp(
            gp::SPECS.iter().map(|spec| Gp::new(*spec, &roles[..layout.common()])).collect(),
        ));
    }
    if all {
        if days >= TREE_DAYS_MIN {
            let grown = tree_specs(&recipe.choice.trees).into_iter();
            let grown = grown.map(|spec| Trees::new(spec, seed, layout.columns(), &roles));
            team.extend(grown.map(Learner::Trees));
        }
        let windows = LOCAL_WINDOWS.iter().filter(|w| fits(**w, days, LOCAL_WINDOWS.into_iter()));
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
    use crate::synthetic::recipe;

    fn names(family: Family, days: usize) -> Vec<String> {
        let (layout, _) = daily(1);
        team(&recipe(family, 3), &layout, days).iter().map(Learner::name).collect()
    }

    #[test]
    fn who_takes_part_depends_on_the_number_of_days() {
        let (naive, local) = ("values of the past", "local linear of 364 days");
        assert_eq!(names(Family::Ensemble, 30), ["lear of 56 days", local, naive]);
        assert_eq!(names(Family::Auto, 30), names(Family::Ensemble, 30));
        assert_eq!(names(Family::Lear, 30), ["lear of 56 days"]);
        let two = ["lear of 56 days", "lear of 84 days", "lear of 84 days, box-cox"];
        assert_eq!(names(Family::Lear, 56), two, "with the shortest window that holds all days");
        assert_eq!(
            names(Family::Ensemble, 60),
            [two[0], two[1], two[2], "3 Gaussian processes", local, naive]
        );
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
    fn a_choice_of_penalties_is_one_expert_of_the_published_windows() {
        let (layout, _) = daily(1);
        let asked = |penalty, days| {
            let choice = Choice { penalty: Some(penalty), ..Choice::default() };
            team(&Recipe { choice, ..recipe(Family::Lear, 3) }, &layout, days)
        };
        let published = asked(Penalty::Aic, 2000);
        assert_eq!(
            published.iter().map(Learner::name).collect::<Vec<_>>(),
            ["mean of lears of 56, 84, 1092, 1456 days, penalties by aic"]
        );
        assert_eq!(published[0].experts(), 1);
        assert_eq!(asked(Penalty::Bic, 60)[0].name(), "mean of lears of 56, 84 days, penalties by bic");
        let mixture: Vec<String> = asked(Penalty::Mixture, 5000).iter().map(Learner::name).collect();
        assert_eq!(mixture, names(Family::Lear, 5000));
        for penalty in [Penalty::Aic, Penalty::Bic, Penalty::Rolling, Penalty::Published] {
            let mut one = asked(penalty, 60).remove(0);
            let (layout, frame) = daily(60);
            one.learn(&frame, 60);
            assert!(one.is_sound(&layout) && one.predict(&frame.question(59)).iter().all(|v| v.is_finite()));
            one.settle();
            assert!(one.is_sound(&layout));
        }
    }

    #[test]
    fn trees_do_what_they_are_asked_for() {
        let (layout, _) = daily(1);
        let named = |trees: Vec<TreeExtra>| -> Vec<String> {
            let asked =
                Recipe { choice: Choice { trees, ..Choice::default() }, ..recipe(Family::Ensemble, 3) };
            let team = team(&asked, &layout, 120);
            let trees = team.iter().filter(|learner| matches!(learner, Learner::Trees(_)));
            trees.map(Learner::name).collect()
        };
        let usual = ["trees", "trees on the difference to lag_day_1"];
        assert_eq!(named(vec![])[..2], usual);
        let one_more = named(vec![TreeExtra::Linear]);
        assert_eq!((one_more.len(), &one_more[..2]), (4, &usual.map(str::to_owned)[..]));
        assert_eq!(one_more[3], "trees on the difference to a linear forecast");
        let both = named(vec![TreeExtra::Add, TreeExtra::Decay]);
        assert!(both.len() == 3 && both[0] == "trees, old days counting less, added to weekly", "{both:?}");
    }

    #[test]
    fn kinds_are_trusted_alike_but_for_those_in_case_others_fail() {
        let (layout, _) = daily(1);
        let team = team(&recipe(Family::Ensemble, 3), &layout, 1456);
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
        let nets = |seed: u64| match team(&recipe(Family::Mlp, seed), &layout, 14).remove(0) {
            Learner::Mlp(nets) => nets,
            _ => vec![],
        };
        let (first, second) = (nets(1), nets(2));
        assert_eq!((first.len(), second.len()), (8, 8));
        assert!(first.iter().all(|net| !second.contains(net)));
    }
}
