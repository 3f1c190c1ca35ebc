//! Why an item is not running.

use serde::Serialize;

use crate::id::{Enc, ItemId, RunId};
use crate::time::Time;

/// One reason why an item that is not terminal does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Blocked {
    /// These are not done yet; the first 20.
    Dependency {
        /// Which.
        items: Vec<ItemId>,
    },
    /// The log does not vouch for the run yet: no driver has taken it up.
    NoDriver,
    /// Every slot of the queue is taken.
    Slot {
        /// The queue.
        queue: Enc,
        /// How many slots it has.
        concurrency: u64,
    },
    /// The run's queue is not configured any more.
    QueueGone {
        /// The queue.
        queue: Enc,
    },
    /// Another attempt holds a lock, or waits for it longer.
    Lock {
        /// The key.
        key: Enc,
        /// Whose attempt.
        run: RunId,
        /// Which item.
        item: ItemId,
    },
    /// A retry is due later.
    BackOff {
        /// When.
        until: Time,
    },
    /// The run is held.
    Hold,
    /// A question waits for an answer.
    Question {
        /// The position of the question.
        question: u64,
    },
    /// The target cannot run anything now.
    TargetDown {
        /// Which.
        target: Enc,
        /// Why, in the provider's words.
        detail: String,
    },
    /// A stop was asked for, and absence is not proven yet.
    Stopping,
    /// A stop was asked for so long ago that somebody has to look.
    StopUnverified {
        /// When it was asked for.
        since: Time,
    },
}
