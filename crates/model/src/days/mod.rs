//! Models that answer a whole day at once from the whole course of the days before, and learn anew every day.
//!
//! | room | what is in it |
//! |---|---|
//! | `frame` | days as rows: inputs, outputs, and where both stand in the feature matrix |
//! | `scale` | median, deviation, and the curve between (inverse hyperbolic sine, powers, ranks, ...) |
//! | `lear`, `chosen`, `reader`, `lasso`, `moments` | LASSOs on the whole course of the days before |
//! | `mlp`, `gp` | small neural networks, Gaussian processes |
//! | `trees`, `rows` | trees, local regressions and naive values: learners that read single rows |
//! | `learner` | one type for all of them, and who takes part |
//! | `roll` | what every learner would have said of each past day |
//! | `race` | which learners are worth their time |
//! | `mix`, `boa`, `simplex`, `blend` | weights: exponentiated gradient, Bernstein aggregation, least squares, and all of them |
//! | `errors`, `adaptive`, `quantreg`, `averaging`, `crps`, `fans` | quantiles: from past errors, adapted, regressed, learned by level, and all of them |
//! | `state` | weights and quantiles together |
//! | `model` | all of it fitted, as a model |

#![allow(
    clippy::needless_pass_by_value,
    reason = "views of arrays and iterators over them are passed by value, as ndarray itself does"
)]

mod adaptive;
mod averaging;
mod blend;
mod boa;
mod chosen;
mod crps;
mod errors;
mod fans;
pub mod frame;
pub mod gp;
mod lasso;
pub mod lear;
pub(crate) mod learner;
mod mix;
pub mod mlp;
pub(crate) mod model;
pub(crate) mod moments;
mod quantreg;
pub(crate) mod race;
mod reader;
pub(crate) mod roll;
pub mod rows;
mod scale;
mod simplex;
pub(crate) mod state;
pub mod trees;

pub use frame::OUTPUTS_MAX;
pub use model::{DAYS_MIN, DayModel};
pub use race::TimeLeft;
