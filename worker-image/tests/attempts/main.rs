//! Whole attempts on real folders, in this process and by the real program.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is the failure of a test, in its helpers too")]

mod after;
mod before;
mod fixture;
