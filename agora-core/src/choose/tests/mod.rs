//! Tests of the choice, together with the decisions and states it works on.

mod blocked;
mod order;
mod play;
