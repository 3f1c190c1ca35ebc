//! The trust policy: whose keys an auditor believes, each for one role and from where to where (`docs/audit.md`, Keys).
//!
//! A policy is TOML that the auditor has by another way than what it judges. Reading it refuses whatever is not known: a
//! row that was passed over would be a limit that silently does not hold. What the windows are measured in, and which axes
//! a requirement may name, is known to those who verify.

mod error;
mod key;
mod model;
mod read;
mod role;
mod write;

pub use error::{PolicyError, Window};
pub use key::PublicKey;
pub use model::{Policy, PolicyAnchor, PolicyKey, Seen};
pub use role::{KeyRole, rotation_text};

#[cfg(test)]
mod tests;
