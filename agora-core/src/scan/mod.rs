//! The credential scanner: does text that is about to enter the registry hold something that looks like a credential?
//!
//! It is a pure function over bytes, linear in their number, and runs on everything an operator registers: files,
//! prompts, values, commands. It shows at most eight characters of what it found, never more. What a finding means —
//! refused, or allowed because `allowed_patterns` names the pattern — is decided by `crate::registry`.

mod pattern;
mod scanner;

pub use pattern::{Pattern, UnknownPattern};
pub use scanner::{FINDINGS_PER_PATTERN_MAX, Finding, SHOWN_CHARS_MAX, scan};
