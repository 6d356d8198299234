//! The list of tasks: what is measured, what others reached, what we want to reach.

use super::task::Bound::{AtMost, Below, Times};
use super::task::{
    Column, FAR_MODELS, Goal, Kind, MODELS, POOL_MODELS, Published, Task, column, goal, published,
};
use super::{epf, load};

const EPF_ABOUT: &str = "Day-ahead prices: every day at midnight the next 24 hours, the last 728 days \
    (2016-12-27 to 2018-12-24), fitted anew every day; both exogenous forecasts known for the whole day. Times are \
    local with the clock changes already interpolated, so they are read as UTC. MAE and RMSE over all 728 days. \
    rMAE = MAE / MAE of the naive 168 h, the first 168 hours of the test left out of both. `p`: two-sided \
    Diebold-Mariano test on daily absolute losses against the forecasts published by Lago et al. 2021. `in 80 %`: \
    share of prices inside that interval, in percent.";
const EPF_COLUMNS: &[Column] = &[
    column("MAE", 3),
    column("RMSE", 2),
    column("rMAE", 3),
    column("MAE of medians", 3),
    column("in 50 %", 1),
    column("in 80 %", 1),
    column("in 90 %", 1),
    column("p LEAR ensemble", 4),
    column("p DNN ensemble", 4),
    column("p their average", 4),
];
const FEV_ABOUT: &str = "The same forecasts as fev-bench scores them: 20 windows of 24 hours, the last 480 hours. \
    SQL = mean over levels .1 to .9 of twice the pinball loss, MASE = absolute error of the median; both over the \
    window's seasonal error: the mean absolute change over 24 hours of all prices before the window.";
const FEV_COLUMNS: &[Column] = &[column("SQL", 3), column("MASE", 3)];
const LOAD_COLUMNS: &[Column] = &[
    column("MAPE", 2),
    column(load::BESIDE_OFFICIAL, 2),
    column("MAPE of medians", 2),
    column("MAE", 1),
    column("in 80 %", 1),
    column("rows", 0),
];

const fn plain(name: &'static str, title: &'static str, about: &'static str, kind: Kind) -> Task {
    Task {
        name,
        runs: name,
        title,
        about,
        models: MODELS,
        columns: LOAD_COLUMNS,
        published: &[],
        goals: &[],
        optional: false,
        at_once: 1,
        kind,
    }
}

const fn for_model(model: &'static str, goal: Goal) -> Goal {
    Goal { model: Some(model), ..goal }
}

const fn prices(
    name: &'static str,
    title: &'static str,
    kind: Kind,
    published: &'static [Published],
    goals: &'static [Goal],
) -> Task {
    Task { columns: EPF_COLUMNS, published, goals, ..plain(name, title, EPF_ABOUT, kind) }
}

const fn fev(
    name: &'static str,
    runs: &'static str,
    title: &'static str,
    kind: Kind,
    published: &'static [Published],
    goals: &'static [Goal],
) -> Task {
    Task { runs, columns: FEV_COLUMNS, published, goals, ..plain(name, title, FEV_ABOUT, kind) }
}

const GEFCOM_LOAD: Task = Task {
    models: FAR_MODELS,
    columns: &[column("pinball", 3), column("ratio", 3), column("MAE", 2), column("in 80 %", 1)],
    published: &[published(
        "trivial seasonal-empirical, as published",
        &[("pinball", 7.607), ("ratio", 0.4996)],
    )],
    goals: &[
        goal("pinball", Below(7.607), "the trivial model, as published"),
        goal("ratio", Below(0.6), "60 % of the official benchmark"),
        goal("ratio", Below(1.0 - 0.5077), "the winner, Tololo, over tasks 4 to 15"),
    ],
    ..plain(
        "gefcom-load",
        "GEFCom2014 load, a month ahead",
        "Tasks 4 to 9, January to June 2011: from the first of the month the whole month, from history only (the 25 \
         temperatures are known up to the start). Pinball loss averaged over .01 to .99, then over the tasks; ratio = \
         pinball / pinball of the official benchmark (the same hour a year before), averaged over the tasks; the \
         competition's rating is one minus it. The trivial model here takes all history since 2005.",
        Kind::GefcomLoad,
    )
};

const GEFCOM_WIND: Task = Task {
    columns: &[column("MAE", 4), column("MAE of medians", 4), column("pinball", 4), column("in 80 %", 1)],
    published: &[published("a first GBM, zone 1 only", &[("MAE", 0.126)])],
    goals: &[goal("MAE", Below(0.13), "our goal for the mean of the zones")],
    ..plain(
        "gefcom-wind",
        "GEFCom2014 wind, zones 1 to 5",
        "Day-ahead power as a share of capacity, June to November 2013, fitted anew every 28 days (models of whole days every day); wind forecasts at \
         10 and 100 m known ahead. MAE averaged over the zones.",
        Kind::Wind,
    )
};

const M4: Task = Task {
    columns: &[
        column("MASE", 3),
        column("sMAPE", 3),
        column("MSIS", 3),
        column("in 95 %", 1),
        column("MASE of medians", 3),
    ],
    published: &[
        published("Smyl", &[("sMAPE", 9.328), ("MASE", 0.893)]),
        published("best (Doornik)", &[("sMAPE", 8.913), ("MASE", 0.801), ("MSIS", 6.139)]),
    ],
    goals: &[
        goal("MASE", Below(0.801), "the best of M4 (Doornik)"),
        goal("MSIS", Below(6.139), "the best of M4 (Doornik)"),
    ],
    models: POOL_MODELS,
    at_once: 2,
    ..plain(
        "m4-hourly",
        "M4 hourly",
        "414 series, the last 48 hours of each, forecast once. MASE and MSIS (at \
         95 %) over the mean absolute change over 24 hours before the test; all averaged over the series. `windows` \
         learns all series together, the others each alone.",
        Kind::M4,
    )
};

const ETT_COLUMNS: &[Column] = &[column("MSE", 3), column("MAE", 3), column("windows", 0)];

const ETT_96: Task = Task {
    columns: ETT_COLUMNS,
    published: &[
        published("DLinear", &[("MSE", 0.375), ("MAE", 0.399)]),
        published("PatchTST/64", &[("MSE", 0.370), ("MAE", 0.400)]),
    ],
    goals: &[
        goal("MSE", AtMost(0.370), "PatchTST/64"),
        goal("MAE", AtMost(0.399), "DLinear, the better MAE of the two"),
    ],
    models: POOL_MODELS,
    ..plain(
        "etth1-96",
        "ETTh1, 96 hours ahead",
        "Each of seven columns from its own past, from every hour of months 17 to 20 (2,785 windows), fitted once on \
         all before (the benchmark's train and validation parts). Errors over the standard deviation of the train \
         part, averaged over the columns. `windows` learns all columns together.",
        Kind::Ett(96),
    )
};

const ETT_720: Task = Task {
    columns: ETT_COLUMNS,
    published: &[
        published("DLinear", &[("MSE", 0.472), ("MAE", 0.490)]),
        published("PatchTST", &[("MSE", 0.447), ("MAE", 0.468)]),
    ],
    goals: &[goal("MSE", AtMost(0.447), "PatchTST"), goal("MAE", AtMost(0.468), "PatchTST")],
    models: POOL_MODELS,
    optional: true,
    ..plain(
        "etth1-720",
        "ETTh1, 720 hours ahead (a subset)",
        "As etth1-96, 720 hours ahead, but **only from one hour a day** (91 windows, not the benchmark's 2,161): more \
         would not fit into a backtest's memory limit. The published figures are over all windows.",
        Kind::Ett(720),
    )
};

const fn area(
    name: &'static str,
    title: &'static str,
    about: &'static str,
    area: &'static load::Area,
    goals: &'static [Goal],
) -> Task {
    Task { goals, ..plain(name, title, about, Kind::Load(area)) }
}

const LOAD_ABOUT: &str = "Day-ahead load: every 24 hours from local midnight (standard or summer time, whichever \
    held at the beginning) the next 24 hours, for a year; fitted anew every 28 days (models of whole days every day). MAPE on the hours whose load is \
    known (`rows`), and on those of them that the official forecast covers. Observed temperatures, where there are some, \
    count as known ahead.";
const TO_OFFICIAL: &[Goal] =
    &[goal(load::BESIDE_OFFICIAL, Times(1.5, "official"), "1.5 times the official forecast")];

/// Every task.
pub const TASKS: &[Task] = &[
    prices(
        "epf-np",
        "Day-ahead prices, Nord Pool",
        Kind::Epf(&epf::NP),
        &[published("LEAR, best single", &[("MAE", 1.952)])],
        &[
            goal("MAE", Below(1.631), "the average of the two published ensembles"),
            for_model("auto", goal("MAE", AtMost(1.60), "our goal for `auto`")),
            for_model("lear", goal("MAE", Times(1.01, "LEAR ensemble"), "the published LEAR within 1 %")),
        ],
    ),
    prices(
        "epf-pjm",
        "Day-ahead prices, PJM",
        Kind::Epf(&epf::PJM),
        &[published("LEAR, best single", &[("MAE", 3.096)])],
        &[
            goal("MAE", Below(2.787), "the average of the two published ensembles"),
            for_model("auto", goal("MAE", AtMost(2.76), "our goal for `auto`")),
            for_model("lear", goal("MAE", Times(1.01, "LEAR ensemble"), "the published LEAR within 1 %")),
        ],
    ),
    fev(
        "fev-np",
        "epf-np",
        "fev-bench, Nord Pool",
        Kind::Epf(&epf::NP),
        &[
            published("TiRex-2", &[("SQL", 0.612), ("MASE", 0.796)]),
            published("Chronos-2", &[("SQL", 0.658)]),
            published("LightGBM, point only", &[("SQL", 1.303)]),
            published("seasonal naive of fev-bench", &[("SQL", 1.530), ("MASE", 1.761)]),
        ],
        &[goal("SQL", AtMost(0.612), "TiRex-2, the best published")],
    ),
    fev(
        "fev-pjm",
        "epf-pjm",
        "fev-bench, PJM",
        Kind::Epf(&epf::PJM),
        &[
            published("TFT", &[("SQL", 0.346), ("MASE", 0.428)]),
            published("LightGBM, point only", &[("SQL", 0.598)]),
            published("seasonal naive of fev-bench", &[("SQL", 0.515), ("MASE", 0.581)]),
        ],
        &[goal("SQL", AtMost(0.346), "TFT, the best published")],
    ),
    GEFCOM_LOAD,
    GEFCOM_WIND,
    M4,
    ETT_96,
    ETT_720,
    area(
        "spain-2017",
        "Spain 2017, observed temperatures",
        LOAD_ABOUT,
        &load::SPAIN,
        &[goal("MAPE", Below(1.5), "our goal")],
    ),
    area("pjm", "PJM, July 2018 to June 2019", LOAD_ABOUT, &load::PJM, TO_OFFICIAL),
    area("erco", "ERCO, July 2019 to June 2020", LOAD_ABOUT, &load::ERCO, TO_OFFICIAL),
    area("isne", "ISNE, July 2019 to June 2020", LOAD_ABOUT, &load::ISNE, TO_OFFICIAL),
    area("ciso", "CISO, July 2019 to June 2020", LOAD_ABOUT, &load::CISO, TO_OFFICIAL),
    area("duk", "DUK, July 2019 to June 2020", LOAD_ABOUT, &load::DUK, TO_OFFICIAL),
    area("scl", "SCL, July 2019 to June 2020", LOAD_ABOUT, &load::SCL, TO_OFFICIAL),
    Task {
        published: &[published("a first GBM", &[("MAPE", 2.97)])],
        ..area(
            "victoria-2014",
            "Victoria 2014, half-hourly, observed temperature",
            LOAD_ABOUT,
            &load::VICTORIA,
            &[goal("MAPE", Below(2.5), "our goal")],
        )
    },
    Task {
        published: &[published("claimed by the data's publisher", &[("MAPE", 2.89)])],
        ..area(
            "delhi",
            "Delhi, 11 March 2012 to 10 March 2013, observed temperature",
            LOAD_ABOUT,
            &load::DELHI,
            &[goal("MAPE", Below(2.8), "our goal")],
        )
    },
    area("india", "India 2023, mean of the five regions", LOAD_ABOUT, &load::INDIA, &[]),
    area("india-total", "India 2023, the five regions together", LOAD_ABOUT, &load::INDIA_TOTAL, &[]),
];

/// What was tried where a goal is not reached, and what it gave.
pub fn tried(task: &str) -> Option<&'static str> {
    Some(match task {
        "fev-np" => {
            "quantiles by conformal errors alone gave 0.700; quantile regression averaging, adaptive conformal and CRPS \
             learning raced beside them gained LEARs alone 1.5 % on the 250 days before the test, here 0.6 %"
        }
        "fev-pjm" => {
            "quantiles by conformal errors alone gave 0.369; the race of five ways, which gained LEARs alone 0.7 % on the \
             250 days before the test, lost 0.5 % here"
        }
        "m4-hourly" => {
            "each series alone gave 11.5 (`auto`); one model of all series 6.9, after less dropout, finer strides and \
             weights averaged half-way, chosen on the 48 hours before the test"
        }
        "isne" => "rows of hours with the days that lived alike gave 4.19; the booster of now 4.18",
        "gefcom-load" => "temperatures of past years as scenarios, holidays kept in place",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_shared_runs_exist() {
        for (i, task) in TASKS.iter().enumerate() {
            assert!(TASKS[..i].iter().all(|other| other.name != task.name), "{} twice", task.name);
            let owner = TASKS.iter().find(|other| other.name == task.runs).unwrap();
            assert_eq!(owner.name, owner.runs, "{} takes the runs of a task without its own", task.name);
        }
    }

    #[test]
    fn goals_are_about_scores_that_are_shown_and_models_that_are_asked() {
        for task in TASKS {
            for goal in task.goals {
                assert!(task.columns.iter().any(|column| column.key == goal.key), "{}", task.name);
                assert!(goal.model.is_none_or(|model| task.models.contains(&model)), "{}", task.name);
            }
        }
    }
}
