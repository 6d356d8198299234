//! Forecasts of a whole and its parts that add up: reconciliation of a hierarchy, of means and of samples.
//!
//! A hierarchy is a tree whose every inner node is the sum of its children. Base forecasts, each made on its own,
//! do not add up. With the summing matrix `S` (nodes by leaves), base forecasts `y` and weights `W`, the reconciled
//! ones are `S (S' W^-1 S)^-1 S' W^-1 y`. We compute the same from the constraints `C` (one row an inner node:
//! itself minus its children) as `y - W C' (C W C')^-1 C y`, which inverts only as many rows as there are sums.
//!
//! | method | W or rule | source |
//! |---|---|---|
//! | bottom-up | leaves kept, sums made of them | |
//! | top-down | the root kept, shared out by the children's own forecasts | Athanasopoulos, Ahmed and Hyndman, IJF 25 (2009) |
//! | ols | identity | Hyndman et al., CSDA 55 (2011) |
//! | wls-structural | how many leaves a node sums | Athanasopoulos et al., EJOR 262 (2017) |
//! | wls | variances of past errors | Hyndman, Lee and Wang, CSDA 97 (2016) |
//! | mint | covariance of past errors, shrunk to its diagonal | Wickramasuriya, Athanasopoulos and Hyndman, JASA 114 (2019) |

mod copula;
mod covariance;
mod reconcile;
mod step;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

pub use copula::Copula;
pub use covariance::{Covariance, Errors};
pub use reconcile::Reconciler;
pub(crate) use reconcile::{cholesky, solve};
pub use step::{BaseStep, Step, reconcile_step};
pub use tree::Tree;

/// The most nodes of one hierarchy: weights take the square of it in memory.
pub const NODES_MAX: usize = 200;

/// How base forecasts are made to add up; see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Leaves kept, sums made of them.
    BottomUp,
    /// The root kept and shared out in proportion to the children's forecasts.
    TopDown,
    /// Ordinary least squares: every node moves alike.
    Ols,
    /// Weights by how many leaves a node sums: needs no past errors.
    WlsStructural,
    /// Weights by the variance of past errors.
    Wls,
    /// Minimum trace: weights by the shrunk covariance of past errors.
    Mint,
}

impl Method {
    /// The words that name the methods, in the order of [`Method::ALL`].
    pub const NAMES: [&'static str; 6] = ["bottom-up", "top-down", "ols", "wls-structural", "wls", "mint"];
    /// Every method, simplest first.
    pub const ALL: [Self; 6] =
        [Self::BottomUp, Self::TopDown, Self::Ols, Self::WlsStructural, Self::Wls, Self::Mint];

    /// The word that names this method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether its weights are learned from past errors.
    #[must_use]
    pub const fn needs_errors(self) -> bool {
        matches!(self, Self::Wls | Self::Mint)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Method {
    type Err = HierarchyError;
    fn from_str(text: &str) -> Result<Self, HierarchyError> {
        let position = Self::NAMES.iter().position(|name| *name == text);
        let shown = || text.chars().take(60).collect();
        position.map(|i| Self::ALL[i]).ok_or_else(|| HierarchyError::Method { text: shown() })
    }
}

/// Why a hierarchy cannot be reconciled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HierarchyError {
    /// The text names no method.
    #[error("`{text}` is not a method of reconciliation: use one of {}", Method::NAMES.join(", "))]
    Method {
        /// What was given.
        text: String,
    },
    /// A root without parts.
    #[error("a hierarchy needs a root and at least one part of it, {nodes} nodes were given")]
    Empty {
        /// How many nodes there are.
        nodes: usize,
    },
    /// More nodes than are worked on at once.
    #[error(
        "{nodes} nodes are more than the {NODES_MAX} that are reconciled at once: reconcile a smaller part"
    )]
    TooMany {
        /// How many nodes there are.
        nodes: usize,
    },
    /// Not one tree.
    #[error("node {node} is not below the root: parents must lead to node 0 without a circle")]
    NotATree {
        /// The first node that is not reached.
        node: usize,
    },
    /// Values of another number of nodes.
    #[error("{found} values were given for {expected} nodes")]
    Shape {
        /// Nodes of the tree.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error("the value of node {node} is not a finite number")]
    NotFinite {
        /// Which node.
        node: usize,
    },
    /// Too few past errors to weigh by.
    #[error("{rows} joint past errors are too few to weigh {nodes} series by: {needed} are needed")]
    TooFewErrors {
        /// Rows in which every node's error is known.
        rows: usize,
        /// Nodes.
        nodes: usize,
        /// Rows needed.
        needed: usize,
    },
    /// The past errors do not vary, so they tell nothing about whom to trust.
    #[error("the past errors do not vary: they cannot tell whom to trust")]
    NoSpread,
}
