//! Who answers when the champion cannot, and questions that are answered together.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod batching;
#[path = "../common/mod.rs"]
mod common;
mod ladder;
