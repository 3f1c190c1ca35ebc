//! The command line as its users meet it: the real program, an own home, what it prints and how it ends.
#![expect(clippy::unwrap_used, reason = "all of this runs inside tests, where a panic is the failure")]

mod backup;
mod bundles;
mod errors;
mod gc;
mod golden;
mod help;
mod home;
mod keys;
mod markup;
mod pages;
mod patterns;
mod registry;
mod runs;
mod schedules;
mod statements;
mod stopping;
mod support;
