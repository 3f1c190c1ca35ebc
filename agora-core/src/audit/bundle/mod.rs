//! The bundle: all that checking one run, or the log, takes, in one file (`docs/audit.md` §8).
//!
//! A bundle is one object in the subset of canonical JSON that entries are written in, and one LF. Entries are the exact
//! strings that were hashed; notes, payloads and artifacts are base64. Nothing in it says what it proves.

mod b64;
mod model;
mod read;

pub use b64::B64;
pub use model::{
    Anchored, ArtifactPart, BUNDLE_FORMAT, BundleKey, FromSize, InLog, Kind, LogBundle, LogManifest, LogPart,
    RegistryPart, RunBundle, RunManifest, WholeLog,
};
pub use read::{BUNDLE_DEPTH_MAX, Bundle, BundleError};

#[cfg(test)]
mod tests;
