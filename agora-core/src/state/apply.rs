//! Applying a record: which one changes what of the run, and which may not come.
//!
//! The records of attempts are in `attempts.rs`, those that move an item in `steps.rs`, growth is in `grow.rs`; the table
//! of statuses itself is `table.rs`.

use super::item::{ItemStatus, StopCause};
use super::run::{RunState, verdict};
use crate::id::{Digest, Hash, ItemId};
use crate::record::{
    AnswerDecision, CancelRequested, CancelScope, HoldMode, LogPlace, QuestionAnswered, Record, RunCompleted,
};
use crate::time::Time;

/// A record that may not come where it came. In replay the store is damaged; live it is a broken promise of agora.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record {kind} may not come at position {seq} of the run {run}: {why}")]
pub struct Illegal {
    /// The run.
    pub run: String,
    /// The position.
    pub seq: u64,
    /// The record.
    pub kind: &'static str,
    /// Why not.
    pub why: String,
}

/// What a record changed, for those who keep an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// An item went from one status to another.
    Moved {
        /// Its index.
        item: usize,
        /// Before.
        from: ItemStatus,
        /// After.
        to: ItemStatus,
    },
    /// Items were added from this index on, all pending.
    Grew {
        /// The first index.
        from: usize,
    },
    /// Something else of the run.
    Run,
}

impl RunState {
    /// Applies a record at the next position. `leaf` is the hash of its entry.
    ///
    /// # Errors
    /// [`Illegal`], and the state is as before.
    pub fn apply(&mut self, at: Time, leaf: Hash, record: &Record) -> Result<Applied, Illegal> {
        let seq = self.next_seq;
        let applied = self.change(seq, at, leaf, record).map_err(|why| Illegal {
            run: self.id.to_string(),
            seq,
            kind: record.kind(),
            why,
        })?;
        self.next_seq += 1;
        self.last_at = at;
        Ok(applied)
    }

    /// Every check comes before the first change: what is refused leaves nothing behind.
    fn change(&mut self, seq: u64, at: Time, leaf: Hash, record: &Record) -> Result<Applied, String> {
        if self.completed.is_some() {
            return Err("the run is completed (I8)".to_owned());
        }
        if at < self.last_at {
            return Err("it is earlier than the entry before".to_owned());
        }
        match record {
            Record::RunOpened(_) => return Err("a run is opened once, at 0".to_owned()),
            Record::ItemsAdded(added) => return self.add(added, at),
            Record::RunLogged(place) => self.log(place)?,
            Record::HoldSet { mode, .. } => self.set_hold(seq, at, *mode)?,
            Record::HoldReleased { hold } => self.release_hold(*hold)?,
            Record::PatternFailed { pattern, reason } => self.fail_pattern(pattern, reason, at)?,
            Record::RunClosed {} => self.close()?,
            Record::CancelRequested(request) => self.request_cancel(seq, at, request)?,
            Record::RunCompleted(completed) => self.complete(completed, at)?,
            Record::QuestionAsked(asked) => self.ask(seq, at, leaf, asked)?,
            Record::QuestionAnswered(answered) => self.answer(seq, answered)?,
            Record::AttemptLeased(body) => return self.lease(seq, at, body),
            Record::AttemptStarted(body) => self.start(at, body)?,
            Record::AttemptFinished(body) => self.finish(seq, at, body)?,
            Record::ItemReady { item, .. }
            | Record::ItemDone { item, .. }
            | Record::ItemFailed { item, .. }
            | Record::ItemRetried { item, .. }
            | Record::ItemWaiting { item, .. }
            | Record::ItemSkipped { item, .. }
            | Record::ItemCancelled { item, .. }
            | Record::ItemDenied { item, .. } => return self.step(seq, at, item, record),
        }
        Ok(Applied::Run)
    }

    pub(super) fn find(&self, id: &ItemId) -> Result<usize, String> {
        self.index_of(id).ok_or_else(|| format!("there is no item {id}"))
    }

    fn log(&mut self, place: &LogPlace) -> Result<(), String> {
        if self.logged {
            return Err("the log vouches for the run already".to_owned());
        }
        if place.size <= self.opened.log_seq {
            return Err("the log checkpoint does not cover the opening".to_owned());
        }
        self.logged = true;
        Ok(())
    }

    fn set_hold(&mut self, seq: u64, at: Time, mode: HoldMode) -> Result<(), String> {
        if self.hold.is_some() {
            return Err("a hold is in force already".to_owned());
        }
        self.hold = Some(seq);
        self.parked = mode == HoldMode::Park;
        if self.parked {
            self.items.iter_mut().for_each(|item| item.ask_stop(seq, at, StopCause::Park));
        }
        Ok(())
    }

    fn release_hold(&mut self, hold: u64) -> Result<(), String> {
        if self.hold != Some(hold) {
            return Err("no such hold is in force".to_owned());
        }
        self.hold = None;
        self.parked = false;
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        if !self.may_grow() {
            return Err("the run takes no extension anyway".to_owned());
        }
        self.closed = true;
        Ok(())
    }

    fn request_cancel(&mut self, seq: u64, at: Time, request: &CancelRequested) -> Result<(), String> {
        match (request.scope, &request.item) {
            (CancelScope::Run, None) => {
                self.cancel.get_or_insert(seq);
                for item in self.items.iter_mut().filter(|item| !item.status.is_terminal()) {
                    item.cancel.get_or_insert(seq);
                    item.ask_stop(seq, at, StopCause::Cancel);
                }
                Ok(())
            }
            (CancelScope::Item, Some(id)) => {
                let ix = self.find(id)?;
                let item = &mut self.items[ix];
                if item.status.is_terminal() {
                    return Err(format!("the item {id} is {}", item.status.as_str()));
                }
                // The last one counts: an operator's word comes after the request that could not be verified.
                item.cancel = Some(seq);
                item.ask_stop(seq, at, StopCause::Cancel);
                Ok(())
            }
            (CancelScope::Attempt, Some(id)) => {
                let ix = self.find(id)?;
                let item = &mut self.items[ix];
                let running = item.lease.as_ref().filter(|lease| lease.finished.is_none()).map(|lease| lease.attempt);
                if running.is_none() || running != request.attempt {
                    return Err(format!("that attempt at the item {id} does not run"));
                }
                item.ask_stop(seq, at, StopCause::Deadline);
                Ok(())
            }
            (CancelScope::Run, Some(_)) => Err("a cancel of the run names an item".to_owned()),
            (CancelScope::Item | CancelScope::Attempt, None) => Err("no item is named".to_owned()),
        }
    }

    fn answer(&mut self, seq: u64, answered: &QuestionAnswered) -> Result<(), String> {
        let open = self.questions.get(&answered.asked).and_then(|ix| self.items[*ix].question.as_mut());
        let open = open.ok_or("no such question is open")?;
        if open.leaf != answered.leaf {
            return Err("the question's leaf is another".to_owned());
        }
        open.decision = Some((answered.decision, seq));
        open.answer = accepted_answer(answered);
        self.questions.remove(&answered.asked);
        Ok(())
    }

    /// The end of a run says what its entries say (`story-count` of `docs/audit.md` §9).
    fn complete(&mut self, completed: &RunCompleted, at: Time) -> Result<(), String> {
        let counts = &self.counts;
        if counts.terminal() != counts.total() {
            return Err("not every item is terminal".to_owned());
        }
        if self.may_grow() {
            return Err("the run may still grow".to_owned());
        }
        let true_one = RunCompleted {
            outcome: verdict(counts, self.by_design, self.erred(), self.cancel.is_some()),
            done: counts.of(ItemStatus::Done),
            failed: counts.of(ItemStatus::Failed),
            skipped: counts.of(ItemStatus::Skipped),
            cancelled: counts.of(ItemStatus::Cancelled),
            denied: counts.of(ItemStatus::Denied),
            cost_microusd: self.cost_microusd,
        };
        if *completed != true_one {
            return Err("its outcome, counts or cost are not those of the entries".to_owned());
        }
        self.completed = Some((completed.outcome, at));
        Ok(())
    }
}

/// The bytes that the next attempt takes up: of an answer, not of words beside a refusal.
fn accepted_answer(answered: &QuestionAnswered) -> Option<Digest> {
    match answered.decision {
        AnswerDecision::Answered | AnswerDecision::Approved => answered.answer,
        AnswerDecision::Rejected | AnswerDecision::Expired => None,
    }
}
