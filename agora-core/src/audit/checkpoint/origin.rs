//! The names of journals and of the keys that sign their checkpoints.

use crate::id::RunId;

/// Bytes of a log's origin at most.
pub const LOG_ORIGIN_BYTES_MAX: usize = 100;

/// Bytes of any origin at most: a log's, `/run/` and a run's id of 128, with room.
pub const ORIGIN_BYTES_MAX: usize = 256;

/// Whether a text can be a log's origin: `[a-z0-9.-]+(/[A-Za-z0-9._-]+)*`, at most 100 bytes.
#[must_use]
pub fn is_log_origin(text: &str) -> bool {
    let host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b);
    let path = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let mut parts = text.split('/');
    text.len() <= LOG_ORIGIN_BYTES_MAX
        && parts.next().is_some_and(|part| !part.is_empty() && part.bytes().all(host))
        && parts.all(|part| !part.is_empty() && part.bytes().all(path))
}

/// Returns a run's origin, `<log>/run/<run>`.
#[must_use]
pub fn run_origin(log: &str, run: &RunId) -> String {
    format!("{log}/run/{run}")
}

/// Returns the key name of the role `run`, `<log>/run`. The role `log` has the origin itself.
#[must_use]
pub fn run_key_name(log: &str) -> String {
    format!("{log}/run")
}
