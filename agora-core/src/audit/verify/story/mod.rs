//! The story of a run: whether its entries, each of them well-formed, can have come in this order.
//!
//! [`tell`] replays the entries once and judges every rule, collecting all that is wrong. It knows the engine's transition
//! table no more than an auditor does: it has a model of its own, of what the engine may write and nothing else, so that a
//! slip of one is found by the other.
//!
//! `code.rs` says what each code means and `tell.rs` what is found; `teller.rs` takes each record to its rules: `growth.rs`
//! (items), `attempts.rs` and `inputs.rs`, `ends.rs` (what becomes of an item), `questions.rs`, `whole.rs` (holds, cancels,
//! completion). `item.rs` has what there is to know of an item.
//!
//! Bytes, chain, times, keys and the log are judged elsewhere: an entry is judged by where it stands among the others, and
//! what it names as a `seq` is a position. What only the plan knows, such as how many attempts an item has or what its
//! pattern adds, is not judged.

mod attempts;
mod code;
mod ends;
mod growth;
mod inputs;
mod item;
mod questions;
mod tell;
mod teller;
#[cfg(test)]
mod tests;
mod whole;

pub use code::StoryCode;
pub use tell::{Accepted, OtherModel, Story, StoryProblem, Told, tell};
