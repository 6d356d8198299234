//! Everything numeric, pure: the same input gives the same output, whatever the thread count.

pub mod artifact;
pub mod backtest;
pub mod baseline;
pub mod calibration;
pub mod compare;
pub mod dataset;
pub mod days;
pub mod ensemble;
pub mod explain;
pub mod features;
pub mod foreign;
pub mod gbdt;
pub mod groups;
pub mod hierarchy;
pub mod learn;
pub mod linear;
pub mod matrix;
pub mod member;
pub mod metrics;
pub mod predict;
pub mod quality;
pub mod quantile;
mod random;
pub mod scenario;
#[cfg(test)]
mod synthetic;
mod wide;
