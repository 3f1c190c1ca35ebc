//! Stories that can have been, and what is found in those that cannot.

mod bad;
mod facts;
mod good;
mod moved;
mod played;
mod scale;
mod tale;
