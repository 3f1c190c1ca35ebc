//! Tests of decisions, played on a board as a driver plays them.

mod approving;
mod cancelling;
mod ending;
mod growing;
mod retrying;
mod scale;
mod stopping;
