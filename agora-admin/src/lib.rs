//! Talks to operators: the only code that signs registry snapshots and opens a registry-admin key.

pub mod backup;
pub mod init;
pub mod key_change;
pub mod keys;
pub mod registry;
