//! From an effect to the world and back: what an attempt is made of, its life, and what it left.
//!
//! `context.rs` reads what a run is bound to; `assignment.rs` says all of one attempt; `prepare.rs` lays out its folder;
//! `attempt.rs` lives its life, over the provider as `guard.rs` has it; `left.rs` reads what it left, `collect.rs` checks it;
//! `grow.rs` checks what patterns add; `seal.rs` signs checkpoints, `statements.rs` what was accepted.

mod assignment;
mod attempt;
mod collect;
mod context;
mod grow;
mod guard;
mod left;
mod prepare;
mod seal;
mod statements;

pub(crate) use assignment::{Assignment, assign, terms};
pub(crate) use attempt::{Control, World, life};
pub(crate) use context::{RunContext, Wanted};
pub(crate) use grow::{Grown, Growth, grow};
pub(crate) use seal::{log_note, log_place, seal, sign};
pub(crate) use statements::{Signatures, Whole, derive_statements, sign_statements};
