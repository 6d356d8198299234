//! Everything numeric, pure: the same input gives the same output, whatever the thread count.

pub mod backtest;
pub mod compare;
pub mod dataset;
pub mod features;
pub mod matrix;
pub mod metrics;
pub mod predict;
