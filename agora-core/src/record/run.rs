//! The records of a run's journal, member for member as `docs/audit.md` §2 has them. Absent is absent: no nulls.

use serde::{Deserialize, Serialize};

use super::attempt::{AttemptFinished, AttemptLeased, AttemptStarted};
use super::opening::{Added, LogPlace, RunOpened};
use super::words::{
    AnswerDecision, CancelProof, CancelScope, CancelVia, HoldMode, QuestionKind, ReadyCause, RunOutcome, SkipCause,
};
use crate::id::{Digest, Enc, Hash, ItemId, Word};
use crate::time::Time;
use crate::worker::{FailureClass, Reason};

/// `question.asked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionAsked {
    /// The item.
    pub item: ItemId,
    /// What is asked for.
    pub kind: QuestionKind,
    /// The question's bytes, a blob.
    pub text: Digest,
    /// How many options it offers.
    pub options: u64,
    /// The artifacts that are shown with it.
    pub subjects: Vec<Digest>,
    /// The `attempt.finished` that asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub finished: Option<u64>,
    /// When it ends unanswered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<Time>,
}

/// `question.answered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuestionAnswered {
    /// The position of `question.asked`.
    pub asked: u64,
    /// That entry's leaf.
    pub leaf: Hash,
    /// How it ended.
    pub decision: AnswerDecision,
    /// The answer's bytes, a blob.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub answer: Option<Digest>,
}

/// `cancel.requested`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRequested {
    /// What is cancelled.
    pub scope: CancelScope,
    /// Which item.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub item: Option<ItemId>,
    /// Which attempt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub attempt: Option<u64>,
    /// Through what it came.
    pub via: CancelVia,
    /// Why, in a word.
    pub reason: Word,
    /// Why, in the caller's words; a blob.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub note: Option<Digest>,
}

/// `run.completed`: always the last entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCompleted {
    /// How it ended.
    pub outcome: RunOutcome,
    /// Items done.
    pub done: u64,
    /// Items failed.
    pub failed: u64,
    /// Items skipped.
    pub skipped: u64,
    /// Items cancelled.
    pub cancelled: u64,
    /// Items denied.
    pub denied: u64,
    /// What its attempts cost as reported, in millionths of a US dollar.
    pub cost_microusd: u64,
}

/// A record of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", deny_unknown_fields)]
pub enum Record {
    /// The run exists.
    #[serde(rename = "run.opened")]
    RunOpened(Box<RunOpened>),
    /// It has items.
    #[serde(rename = "items.added")]
    ItemsAdded(Box<Added>),
    /// The log vouches for its opening.
    #[serde(rename = "run.logged")]
    RunLogged(LogPlace),
    /// An item may start.
    #[serde(rename = "item.ready")]
    ItemReady {
        /// Which.
        item: ItemId,
        /// Why.
        cause: ReadyCause,
    },
    /// An attempt was granted.
    #[serde(rename = "attempt.leased")]
    AttemptLeased(Box<AttemptLeased>),
    /// Its box exists.
    #[serde(rename = "attempt.started")]
    AttemptStarted(Box<AttemptStarted>),
    /// Its box is gone.
    #[serde(rename = "attempt.finished")]
    AttemptFinished(Box<AttemptFinished>),
    /// A result was accepted.
    #[serde(rename = "item.done")]
    ItemDone {
        /// Which.
        item: ItemId,
        /// By the outcome of this attempt.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        finished: Option<u64>,
        /// By this approval.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        answered: Option<u64>,
    },
    /// An item failed for good.
    #[serde(rename = "item.failed")]
    ItemFailed {
        /// Which.
        item: ItemId,
        /// Whose fault.
        class: FailureClass,
        /// Why.
        reason: Reason,
        /// More, in agora's own words.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        detail: Option<String>,
        /// By the outcome of this attempt.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        finished: Option<u64>,
        /// By this rejection.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        answered: Option<u64>,
    },
    /// An item will have another attempt.
    #[serde(rename = "item.retried")]
    ItemRetried {
        /// Which.
        item: ItemId,
        /// After this attempt.
        finished: u64,
        /// Whose fault.
        class: FailureClass,
        /// Why.
        reason: Reason,
        /// Not before.
        not_before: Time,
    },
    /// An item waits for an answer.
    #[serde(rename = "item.waiting")]
    ItemWaiting {
        /// Which.
        item: ItemId,
        /// The position of its question.
        asked: u64,
    },
    /// An item will never run.
    #[serde(rename = "item.skipped")]
    ItemSkipped {
        /// Which.
        item: ItemId,
        /// Why.
        cause: SkipCause,
        /// The item that caused it.
        due_to: ItemId,
    },
    /// An item was cancelled.
    #[serde(rename = "item.cancelled")]
    ItemCancelled {
        /// Which.
        item: ItemId,
        /// The position of the request.
        request: u64,
        /// How its absence was proven.
        proof: CancelProof,
    },
    /// An item was not allowed.
    #[serde(rename = "item.denied")]
    ItemDenied {
        /// Which.
        item: ItemId,
        /// By which rule.
        rule: Enc,
        /// Of which policy.
        policy: Digest,
    },
    /// An agent asks.
    #[serde(rename = "question.asked")]
    QuestionAsked(Box<QuestionAsked>),
    /// Somebody answered.
    #[serde(rename = "question.answered")]
    QuestionAnswered(QuestionAnswered),
    /// No new attempts.
    #[serde(rename = "hold.set")]
    HoldSet {
        /// What happens to running ones.
        mode: HoldMode,
        /// Why, in a word.
        reason: Word,
        /// Why, in the caller's words; a blob.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        note: Option<Digest>,
    },
    /// New attempts again.
    #[serde(rename = "hold.released")]
    HoldReleased {
        /// The position of the hold.
        hold: u64,
    },
    /// Somebody wants it to stop.
    #[serde(rename = "cancel.requested")]
    CancelRequested(CancelRequested),
    /// A pattern erred.
    #[serde(rename = "pattern.failed")]
    PatternFailed {
        /// Which.
        pattern: Enc,
        /// Why.
        reason: Word,
    },
    /// No further extension.
    #[serde(rename = "run.closed")]
    RunClosed {},
    /// Every item is terminal.
    #[serde(rename = "run.completed")]
    RunCompleted(RunCompleted),
}

impl Record {
    /// The item the record is about, if it is about one.
    #[must_use]
    pub fn item(&self) -> Option<&ItemId> {
        match self {
            Self::ItemReady { item, .. }
            | Self::ItemDone { item, .. }
            | Self::ItemFailed { item, .. }
            | Self::ItemRetried { item, .. }
            | Self::ItemWaiting { item, .. }
            | Self::ItemSkipped { item, .. }
            | Self::ItemCancelled { item, .. }
            | Self::ItemDenied { item, .. } => Some(item),
            Self::AttemptLeased(body) => Some(&body.item),
            Self::AttemptStarted(body) => Some(&body.item),
            Self::AttemptFinished(body) => Some(&body.item),
            Self::QuestionAsked(body) => Some(&body.item),
            Self::CancelRequested(body) => body.item.as_ref(),
            Self::RunOpened(_)
            | Self::ItemsAdded(_)
            | Self::RunLogged(_)
            | Self::QuestionAnswered(_)
            | Self::HoldSet { .. }
            | Self::HoldReleased { .. }
            | Self::PatternFailed { .. }
            | Self::RunClosed {}
            | Self::RunCompleted(_) => None,
        }
    }

    /// The word in the entry's `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunOpened(_) => "run.opened",
            Self::ItemsAdded(_) => "items.added",
            Self::RunLogged(_) => "run.logged",
            Self::ItemReady { .. } => "item.ready",
            Self::AttemptLeased(_) => "attempt.leased",
            Self::AttemptStarted(_) => "attempt.started",
            Self::AttemptFinished(_) => "attempt.finished",
            Self::ItemDone { .. } => "item.done",
            Self::ItemFailed { .. } => "item.failed",
            Self::ItemRetried { .. } => "item.retried",
            Self::ItemWaiting { .. } => "item.waiting",
            Self::ItemSkipped { .. } => "item.skipped",
            Self::ItemCancelled { .. } => "item.cancelled",
            Self::ItemDenied { .. } => "item.denied",
            Self::QuestionAsked(_) => "question.asked",
            Self::QuestionAnswered(_) => "question.answered",
            Self::HoldSet { .. } => "hold.set",
            Self::HoldReleased { .. } => "hold.released",
            Self::CancelRequested(_) => "cancel.requested",
            Self::PatternFailed { .. } => "pattern.failed",
            Self::RunClosed {} => "run.closed",
            Self::RunCompleted(_) => "run.completed",
        }
    }
}
