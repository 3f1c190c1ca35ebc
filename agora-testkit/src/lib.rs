#![doc = include_str!("../README.md")]
#![expect(clippy::unwrap_used, reason = "all of this runs inside tests, where a panic is the failure")]

pub mod env;
pub mod fakes;
pub mod simulation;
pub mod suites;
