//! What there is to know of an item.

use serde::{Deserialize, Serialize};

use super::pattern::Rule;
use crate::id::{Digest, Enc, Hash, ItemId};
use crate::isolation::Isolation;
use crate::limits::STOP_SECONDS_MAX;
use crate::plan::Approval;
use crate::record::{
    AddedNeed, AnswerDecision, AttemptFinished, OutcomeWord, OutputArtifact, PatchArtifact, QuestionKind, UsedInput,
};
use crate::time::Time;
use crate::worker::{FailureClass, Reason};

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    /// Something it depends on is not done.
    Pending,
    /// It may start.
    Ready,
    /// An attempt holds a lease.
    Running,
    /// It asked, and waits for the answer.
    Waiting,
    /// Its result was accepted.
    Done,
    /// It failed for good.
    Failed,
    /// It will never run, since something it depends on ended other than done.
    Skipped,
    /// It was stopped.
    Cancelled,
    /// A policy did not allow it.
    Denied,
}

impl ItemStatus {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Ready,
        Self::Running,
        Self::Waiting,
        Self::Done,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Denied,
    ];

    /// Whether nothing changes it any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::Skipped | Self::Cancelled | Self::Denied => true,
            Self::Pending | Self::Ready | Self::Running | Self::Waiting => false,
        }
    }

    /// The word that people and programs are shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
        }
    }
}

/// What the plan says of an item beside the graph; not in the records, found again through the plan's digest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Knobs {
    /// 0 to 9, higher first.
    pub priority: u8,
    /// Attempts in all, at least 1.
    pub attempts_max: u64,
    /// Back-off after the first failed attempt, in milliseconds; doubled after each further one.
    pub backoff_ms: u64,
    /// The model asked for.
    pub model: Option<Enc>,
    /// Content that the plan pinned: input key to digest.
    pub refs: Vec<(String, Digest)>,
    /// Of an approval: the question's bytes, a blob.
    pub question: Option<Digest>,
    /// What its end leads to, in a queue with a pattern.
    pub rule: Option<Rule>,
}

/// A box of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Its name to the provider.
    pub handle: Enc,
    /// What is enforced.
    pub isolation: Isolation,
    /// When it started.
    pub at: Time,
    /// The digest of its `task.json`.
    pub task: Digest,
}

/// What the engine granted the running attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The position of `attempt.leased`.
    pub seq: u64,
    /// Which attempt.
    pub attempt: u64,
    /// Its fence.
    pub fence: u64,
    /// The target's name.
    pub target: Enc,
    /// What it consumes.
    pub inputs: Vec<UsedInput>,
    /// What the agent is told.
    pub message: Option<Digest>,
    /// When it was granted.
    pub at: Time,
    /// When it must have ended.
    pub deadline: Time,
    /// Its box.
    pub started: Option<Started>,
    /// The position of `attempt.finished`.
    pub finished: Option<u64>,
    /// That it is to stop, once somebody said so.
    pub stop: Option<Stop>,
}

/// Why a running attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// Its item was cancelled: whatever it brings is no result.
    Cancel,
    /// Its deadline passed: whatever it brings, it failed for that.
    Deadline,
    /// Its run was parked: its item goes on later, unless the attempt ends by itself first.
    Park,
}

/// A recorded wish that a running attempt stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The position of the first record that asks for it.
    pub seq: u64,
    /// When that was.
    pub at: Time,
    /// Why; a cancel beats what came before it.
    pub cause: StopCause,
}

/// An attempt that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAttempt {
    /// When it was granted.
    pub leased_at: Time,
    /// When it started, if it did.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Time,
    /// The target's name.
    pub target: Enc,
    /// What was enforced.
    pub isolation: Option<Isolation>,
    /// How it ended.
    pub finished: AttemptFinished,
}

/// The accepted result of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The position of `item.done`.
    pub done: u64,
    /// The tree it started from.
    pub start_tree: Option<Digest>,
    /// The tree it left.
    pub result_tree: Option<Digest>,
    /// Its patch.
    pub patch: Option<PatchArtifact>,
    /// Its outputs.
    pub outputs: Vec<OutputArtifact>,
}

/// A question that nobody answered yet, or whose answer the next attempts take up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQuestion {
    /// The position of `question.asked`.
    pub asked: u64,
    /// Its leaf.
    pub leaf: Hash,
    /// What is asked for.
    pub kind: QuestionKind,
    /// The question's bytes.
    pub text: Digest,
    /// How many options it offers.
    pub options: u64,
    /// When it was asked.
    pub at: Time,
    /// How it ended, and the position of `question.answered`.
    pub decision: Option<(AnswerDecision, u64)>,
    /// The answer's bytes, once there is one; of no refusal.
    pub answer: Option<Digest>,
}

/// An item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemState {
    /// Its id.
    pub id: ItemId,
    /// The digest of the normalised item.
    pub digest: Digest,
    /// Its executor.
    pub executor: Enc,
    /// Indices of what it depends on.
    pub depends_on: Vec<usize>,
    /// Indices of what depends on it.
    pub dependents: Vec<usize>,
    /// The products it asks for.
    pub needs: Vec<AddedNeed>,
    /// Its lock keys.
    pub locks: Vec<Enc>,
    /// Kind, name and digest of what it uses from the registry.
    pub uses: Vec<crate::record::NamedRef>,
    /// What the plan says beside the graph.
    pub knobs: Knobs,
    /// Where it stands.
    pub status: ItemStatus,
    /// Since when.
    pub since: Time,
    /// Since its last lease: the nearest items, of those it depends on near or far, that have an accepted patch or join
    /// several that have; never more than `depends_on`. [`super::RunState::lineage`] walks along them.
    pub heads: Vec<usize>,
    /// How many of `depends_on` are not done.
    pub undone: usize,
    /// While ready: not before this, after a failed attempt.
    pub not_before: Option<Time>,
    /// Attempts so far.
    pub attempts: u64,
    /// The running attempt.
    pub lease: Option<Lease>,
    /// Those that ended, in order.
    pub ended: Vec<EndedAttempt>,
    /// Its last question.
    pub question: Option<OpenQuestion>,
    /// Why it failed, or was last retried.
    pub failure: Option<(FailureClass, Reason)>,
    /// More of it, in agora's own words.
    pub detail: Option<String>,
    /// The item that made it be skipped.
    pub due_to: Option<ItemId>,
    /// The position of a cancel request for it, or for its run.
    pub cancel: Option<u64>,
    /// Its result.
    pub accepted: Option<Accepted>,
    /// Of an item that a pattern added: the index of the item whose pattern that was.
    pub source: Option<usize>,
    /// Whether it failed, and its pattern went on all the same: such a failure is none of the run's.
    pub made_good: bool,
}

impl ItemState {
    /// Whether a person decides it: nothing of it is ever leased.
    #[must_use]
    pub fn is_approval(&self) -> bool {
        self.executor.as_str() == Approval::EXECUTOR
    }

    /// That its running attempt is to stop, if it is.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        self.lease.as_ref().filter(|_| self.status == ItemStatus::Running).and_then(|lease| lease.stop)
    }

    /// Whether its running attempt was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop().is_some()
    }

    /// The word for where it stands, and since when: its status, but `stopping` while its attempt is to stop.
    #[must_use]
    pub fn standing(&self) -> (&'static str, Time) {
        self.stop().map_or((self.status.as_str(), self.since), |stop| ("stopping", stop.at))
    }

    /// Whether its running attempt was asked to stop so long ago that somebody has to look.
    #[must_use]
    pub fn is_stop_unverified(&self, now: Time) -> bool {
        self.stop().is_some_and(|stop| now.ms_since(stop.at) > STOP_SECONDS_MAX * 1000)
    }

    /// Notes that its running attempt is to stop.
    pub(super) fn ask_stop(&mut self, seq: u64, at: Time, cause: StopCause) {
        let running = self.lease.as_mut().filter(|lease| lease.finished.is_none());
        let Some(lease) = running else { return };
        let stop = lease.stop.get_or_insert(Stop { seq, at, cause });
        if cause == StopCause::Cancel {
            stop.cause = cause;
        }
    }

    /// Whether it runs no more, and the record that says what follows is yet to come (in the same commit).
    pub(crate) fn has_ended(&self) -> bool {
        self.status == ItemStatus::Running && self.lease.as_ref().is_some_and(|lease| lease.finished.is_some())
    }

    /// Whether a patch of it was accepted.
    pub(super) fn has_patch(&self) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| accepted.patch.is_some())
    }

    pub(super) fn stands(&self) -> &'static str {
        if self.has_ended() { "running, its attempt finished" } else { self.status.as_str() }
    }

    /// Attempts that ended in a failure or were lost; one that stopped to ask, or was parked, did not fail.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let failed = |ended: &&EndedAttempt| match ended.finished.outcome {
            OutcomeWord::Failed | OutcomeWord::Lost => true,
            OutcomeWord::Done | OutcomeWord::NeedsInput | OutcomeWord::Cancelled => false,
        };
        self.ended.iter().filter(failed).count() as u64
    }

    /// The last attempt that ended.
    #[must_use]
    pub fn last(&self) -> Option<&AttemptFinished> {
        self.ended.last().map(|ended| &ended.finished)
    }
}
