//! Checkpoints: origin, size and root of a journal, signed as a note (C2SP tlog-checkpoint, `docs/audit.md` §3).

mod error;
mod origin;
mod signed;

pub use error::CheckpointError;
pub use origin::{LOG_ORIGIN_BYTES_MAX, ORIGIN_BYTES_MAX, is_log_origin, run_key_name, run_origin};
pub use signed::{Checkpoint, Opened, RoleKeys};

#[cfg(test)]
mod tests;
