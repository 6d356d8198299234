//! Windows: one model from the last two weeks of a series to its next steps, learned from many series at once.
//!
//! Forecasts may start at any step. A window of the past is told by its moves from one season (a day) to the next in
//! units of the usual move, so that series of any size and shape teach one another: a short series borrows what the
//! others know ("global" or "cross-learning" models: Montero-Manso and Hyndman, IJF 37 (2021) 1632-1653). Four
//! members answer, weighed by their absolute errors on windows held out at the end:
//!
//! | member | what it is |
//! |---|---|
//! | squares | ridge regression on all windows, least squares in the series' unit |
//! | median | the same for the least absolute errors, by reweighting (IRLS) |
//! | net | the mean of small networks with a linear path (`crate::net`) |
//! | own | a ridge regression on the windows of the series itself |
//!
//! Quantiles are those of the held-out errors by lead time, in units of the window's usual move, wider or narrower
//! where the series itself was (normalised split conformal: Lei et al., JASA 113 (2018) 1094-1111). Covariates are
//! read only as further series of the target's kind to learn from. Days are counted in steps, not by the clocks.
//!
//! | room | what is in it |
//! |---|---|
//! | `frame` | windows and how they are told |
//! | `ridge` | the linear members |
//! | `team` | the members, learned together |
//! | `fan` | the weights and the quantiles, from held-out windows |
//! | `model` | what a recipe learns and asks |

#![allow(
    clippy::needless_pass_by_value,
    reason = "views of arrays and iterators over them are passed by value, as ndarray itself does"
)]

mod fan;
pub(crate) mod frame;
mod model;
mod ridge;
mod team;
#[cfg(test)]
mod tests;

pub use frame::WINDOW_DAYS;
pub use model::{Pool, WindowModel};
