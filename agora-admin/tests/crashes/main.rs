//! C02, C03, C05, C16: the real programs, killed and together. Workers are real processes whose end a test decides; each leaves
//! a line outside its workspace when it starts, so that one that is started twice is seen.
//!
//! `AGORA_KILLS=200` says how many kills, `AGORA_SEED=…` which.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "all of this runs inside tests, where a panic is the failure"
)]

mod commits;
mod kills;
mod linger;
mod many;
mod mcp;
mod place;
mod program;
mod tree;
