//! The state of a run: what its records add up to.
//!
//! [`RunState::apply`] is the only thing that changes it, live and in replay. `apply.rs` takes each record to its place
//! (`grow.rs`, `attempts.rs`, `steps.rs`), `table.rs` has the transitions, `item.rs` and `run.rs` what there is to know,
//! `pattern.rs` what patterns owe it,
//! `blocked.rs` why an item is not running.

mod apply;
mod attempts;
mod blocked;
mod grow;
mod item;
mod pattern;
mod run;
mod steps;
mod table;
#[cfg(test)]
mod tests;

pub use apply::{Applied, Illegal};
pub use blocked::Blocked;
pub use item::{Accepted, EndedAttempt, ItemState, ItemStatus, Knobs, Lease, OpenQuestion, Started, Stop, StopCause};
pub use pattern::{PatternFailure, Rule};
pub use run::{Counts, RunState};
pub(crate) use run::{add_capped, verdict};
