//! Statements: what an in-toto Statement v1 says of one accepted item, as a pure function of its run's entries
//! (`docs/audit.md`, "Statements"; in-toto Statement v1, SLSA Provenance v1).
//!
//! `payload.rs` writes the bytes; `gather.rs` finds what they are made of, entry by entry. Envelopes and signatures are
//! [`super::dsse`]'s.

mod gather;
mod payload;

pub use gather::{Gather, Statement};
pub use payload::{Parts, payload};

#[cfg(test)]
mod tests;
