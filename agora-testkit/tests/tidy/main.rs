//! What no compiler checks: who may depend on whom, that core stays pure, that docs and code speak of the same codes and of
//! the same promises, that links lead somewhere, that every ignored test has a lane, and words that belong in no file. Prints
//! the longest files and functions.

#![expect(clippy::unwrap_used, reason = "a panic is the failure, in what tests share too")]

mod codes;
mod files;
mod lanes;
mod layers;
mod length;
mod limits;
mod links;
mod promises;
mod purity;
mod source;
mod words;
