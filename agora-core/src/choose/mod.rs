//! What starts next, across all open runs: slots, locks, fairness, priority.
//!
//! The [`Board`] holds the open runs and the indices that make a choice cost what it touches, never the size of a run or
//! the number of runs. It is changed by records alone ([`Board::apply`]); a choice changes nothing but the order in which
//! it looks, so a board made anew from the same states may start things in another order, and starts the same things.
//!
//! **Order** (`lanes.rs`): priority, then the run that was granted something longest ago, then plan order.
//!
//! **Locks** (`locks.rs`) are global: an item takes all its keys or none. One that had a slot within reach and found a key
//! taken queues up for *all* its keys at once and thereby reserves them: nobody who came later takes one of them. As every
//! queue has the same order, two of them cannot wait for each other. An item that cannot start anyway, as its run is held
//! or its target is down, reserves nothing; it queues up anew.

mod board;
mod index;
mod lanes;
mod locks;
#[cfg(test)]
mod tests;

pub use board::{Board, Capacity, Grant};
