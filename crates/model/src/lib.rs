//! Everything numeric, pure: the same input gives the same output, whatever the thread count.

pub mod dataset;
pub mod features;
pub mod matrix;
pub mod predict;
