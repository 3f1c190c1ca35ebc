//! What follows from what: `(state, input, now) → records and effects`, pure.
//!
//! One file per kind of input. A draft (`draft.rs`) numbers the records as they will stand in the journal and carries what
//! earlier records of the same decision change, so that one input's whole cascade is one commit.

mod answer;
mod approve;
mod cancel;
mod draft;
mod extend;
mod finish;
mod hold;
mod lease;
mod pattern;
mod recover;
mod stop;
mod submit;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use answer::{Answer, answer};
pub use approve::{Approve, Verdict, approve};
pub use cancel::{Cancel, cancel};
pub use extend::{extend, may_extend, settle};
pub use finish::{Finish, finish, logged, started};
pub use hold::{hold, release};
pub use lease::{LeaseTerms, lease};
pub use pattern::{grow, pattern_failed};
pub use recover::owed;
pub use stop::{Force, expire, force};
pub use submit::{added, submit};

use crate::error::{Class, Coded};
use crate::id::{Enc, RunId};
use crate::limits::STOP_SECONDS_MAX;
use crate::record::Record;
use crate::worker::AttemptId;

/// Something to do in the world, once the records are committed. It can be derived from the state again after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Launch the attempt; idempotent by its identity.
    Launch(AttemptId),
    /// Wait for the end of the attempt's box.
    Watch {
        /// Which.
        attempt: AttemptId,
        /// The box's name to the provider.
        handle: Enc,
    },
    /// Stop the attempt, and say so once absence is proven.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// The box's name to the provider, if there is one yet.
        handle: Option<Enc>,
    },
    /// Remove what is left of the ended attempt.
    Remove(AttemptId),
    /// Sign and seal the completed run.
    Seal(RunId),
}

/// What an input leads to.
#[must_use = "a decision that is not committed never happened"]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// To append, in this order, in one transaction.
    pub records: Vec<Record>,
    /// To do afterwards.
    pub effects: Vec<Effect>,
}

/// Why an input leads to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The attempt is not the running one (I7).
    #[error("attempt {attempt} under fence {fence} at the item {item} is not the running one")]
    Stale {
        /// The item.
        item: String,
        /// Which attempt.
        attempt: u64,
        /// Its fence.
        fence: u64,
    },
    /// There is no such item.
    #[error("the run {run} has no item {item}")]
    NoItem {
        /// The run.
        run: String,
        /// The item.
        item: String,
        /// The nearest item's id.
        nearest: Option<String>,
    },
    /// The run is over.
    #[error("the run {run} is {word} already")]
    Over {
        /// The run.
        run: String,
        /// How it ended.
        word: &'static str,
    },
    /// The run takes no items but those of its plan.
    #[error("the run {run} is not open-ended")]
    NotOpenEnded {
        /// The run.
        run: String,
    },
    /// The run takes no items any more.
    #[error("the run {run} is closed")]
    Closed {
        /// The run.
        run: String,
    },
    /// The run was asked to stop.
    #[error("the run {run} is being stopped")]
    Stopping {
        /// The run.
        run: String,
    },
    /// The item is no approval that waits to be decided.
    #[error("the item {item} has no approval open")]
    NoApproval {
        /// The item.
        item: String,
    },
    /// The item is a person's to approve or reject, and takes no words.
    #[error("the item {item} asks a person to approve or reject, not for an answer")]
    WantsApproval {
        /// The item.
        item: String,
    },
    /// The item is over.
    #[error("the item {item} is {word} already")]
    ItemOver {
        /// The item.
        item: String,
        /// How it ended.
        word: &'static str,
    },
    /// The item's absence may yet be proven, or it was not asked to stop.
    #[error("the item {item} is {word}, not stopping_unverified")]
    NotUnverified {
        /// The item.
        item: String,
        /// Where it stands.
        word: &'static str,
    },
    /// There is no such question.
    #[error("the item {item} has no open question {question}")]
    NoQuestion {
        /// The item.
        item: String,
        /// The question.
        question: u64,
    },
    /// The run is not held.
    #[error("the run {run} is not held")]
    NotHeld {
        /// The run.
        run: String,
    },
    /// The run is held already.
    #[error("the run {run} is held already")]
    Held {
        /// The run.
        run: String,
    },
}

impl Coded for Refusal {
    fn class(&self) -> Class {
        match self {
            Self::Stale { .. } => Class::Bug,
            Self::NoItem { .. } | Self::NoQuestion { .. } | Self::NoApproval { .. } => Class::Missing,
            Self::Over { .. }
            | Self::NotOpenEnded { .. }
            | Self::Closed { .. }
            | Self::Stopping { .. }
            | Self::WantsApproval { .. }
            | Self::ItemOver { .. }
            | Self::NotUnverified { .. }
            | Self::NotHeld { .. }
            | Self::Held { .. } => Class::Caller,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Stale { .. } => "attempt-stale",
            Self::NoItem { .. } => "item-unknown",
            Self::Over { .. } => "run-over",
            Self::NotOpenEnded { .. } => "run-not-open-ended",
            Self::Closed { .. } => "run-closed",
            Self::Stopping { .. } => "run-stopping",
            Self::NoApproval { .. } => "approval-unknown",
            Self::WantsApproval { .. } => "approval-wanted",
            Self::ItemOver { .. } => "item-over",
            Self::NotUnverified { .. } => "stop-not-unverified",
            Self::NoQuestion { .. } => "question-unknown",
            Self::NotHeld { .. } => "not-held",
            Self::Held { .. } => "held-already",
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoItem { nearest, .. } => nearest.as_ref().map(|name| format!("did you mean {name}?")),
            Self::NotOpenEnded { .. } => Some(
                "a plan with \"openEnded\": true makes a run that can be extended; submit these as a plan".to_owned(),
            ),
            Self::Closed { .. } | Self::Stopping { .. } => Some("submit these items as a plan of their own".to_owned()),
            Self::Over { .. } | Self::ItemOver { .. } => Some("`result` has what came of it".to_owned()),
            Self::NoApproval { .. } => Some("see what waits to be decided in the inbox".to_owned()),
            Self::WantsApproval { .. } => {
                Some("a person decides: `agora-admin approve RUN ITEM`, or reject".to_owned())
            }
            Self::NotUnverified { word, .. } => {
                let first = if *word == "stopping" { "wait" } else { "cancel it" };
                Some(format!("{first}; only a stop that is not proven after {STOP_SECONDS_MAX} s can be forced"))
            }
            Self::NoQuestion { .. } => Some("see the open questions in the inbox".to_owned()),
            Self::NotHeld { run } => {
                Some(format!("nothing has to be released; `status {{\"run_id\":\"{run}\"}}` shows what it waits for"))
            }
            Self::Held { run } => {
                Some(format!("nothing has to be held; `answer {{\"run_id\":\"{run}\"}}` releases it"))
            }
            Self::Stale { .. } => None,
        }
    }
}
