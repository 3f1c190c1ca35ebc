//! Trees, patches and branches against the real git.
#![expect(clippy::unwrap_used, reason = "a panic in a test is the failure")]

mod base;
mod branch;
mod merge;
mod patch;
mod support;
mod worktree;
