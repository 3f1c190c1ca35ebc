//! Patterns of queues: pure functions from how a run's items ended to the items that follow. One file per pattern.
//!
//! A pattern is asked when the end of an item is due to be answered ([`RunState::due`](crate::state::RunState::due)). Its
//! ids are made of the plan's own ids and of how many there are already, so the same ends lead to the same items; what it
//! adds goes through the same gateway as an extension. `docs/patterns.md` has what each pattern does.

mod answer;
mod map_reduce;
mod pipeline;
mod quorum;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Stuck, StuckReason, answer};
