//! Plans: what is asked. Bytes become a normalised [`Plan`], or every problem at once; a plan is checked against the
//! registry snapshot and configuration it would be bound to.
//!
//! Left to the engine, which has the store, the repository and the policy: `run-conflict`, `quota-exceeded`,
//! `budget-exceeds-policy`, `rev-unknown`, `workspace-path`.

mod allow;
mod approval;
mod arrange;
mod budget;
mod check;
mod code;
mod cursor;
mod encode;
mod growth;
mod inputs;
mod item;
mod keys;
mod model;
mod needs;
mod overview;
mod parse;
mod pattern;
mod pattern_ids;
mod pattern_read;
mod suggest;
mod surroundings;
mod wiring;
mod worker_input;

pub use arrange::arrange;
pub use check::{Resolved, check};
pub use code::Code;
pub use encode::{StoredPlanError, items_from_bytes, items_to_bytes};
pub use growth::{Growth, growth_of, parse_growth};
pub use model::{Approval, Budget, Inputs, Item, Need, Plan, Retry, Select, Work, WorkspaceRef};
pub use overview::{Overview, overview};
pub use parse::{Parsed, parse};
pub use pattern::{Gate, MapReduce, OnRed, OnReject, Pattern, QueuePattern, Quorum, TOLD, Template, TemplateAt};
pub use pattern_ids::generation;
pub use surroundings::{Known, Surroundings, Wanted, names};

#[cfg(test)]
mod tests;
