//! The chain over a journal's entries and the head that grows with it (`docs/audit.md` §3).
//!
//! Here an entry is only its frame: `run`, `seq`, `prev` and `at`. What its type and body may be is the record schema's.

mod check;
mod error;
mod head;

pub use check::{ChainCheck, Checked, verify_chain};
pub use error::ChainError;
pub use head::{ChainHead, LOG_SEED, genesis};

#[cfg(test)]
mod tests;
