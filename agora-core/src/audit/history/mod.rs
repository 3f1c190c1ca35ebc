//! The keys of an installation, as its log tells of them: who could sign what, from where to where (`docs/audit.md`, Keys).
//!
//! Keys of the log, of runs and of statements count by position in the log; the registry's by version. Of one name one key
//! is in force at a time, and each but the first was put there by a record that it and the one before it signed: who knows
//! one key of a name knows them all.

mod error;
mod known;

pub use error::HistoryError;
pub use known::{KeyHistory, KnownKey};

#[cfg(test)]
mod tests;
