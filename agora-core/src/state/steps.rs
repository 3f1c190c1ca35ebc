//! The records that move an item from one status to another: what each asks of the item beyond its status.

use super::apply::Applied;
use super::item::{Accepted, ItemState, ItemStatus, StopCause};
use super::run::RunState;
use super::table::target_status;
use crate::id::ItemId;
use crate::record::{AnswerDecision, AttemptFinished, OutcomeWord, ReadyCause, Record, SkipCause};
use crate::time::Time;

impl RunState {
    pub(super) fn step(&mut self, seq: u64, at: Time, id: &ItemId, record: &Record) -> Result<Applied, String> {
        let ix = self.find(id)?;
        let item = &self.items[ix];
        let to = target_status(item.status, item.has_ended(), record)
            .ok_or_else(|| format!("the item {id} is {}", item.stands()))?;
        self.allow(item, record)?;
        match record {
            Record::ItemDone { .. } => self.accept(ix, seq),
            Record::ItemFailed { class, reason, detail, .. } => {
                let item = &mut self.items[ix];
                item.failure = Some((*class, *reason));
                item.detail.clone_from(detail);
            }
            Record::ItemRetried { class, reason, not_before, .. } => {
                let item = &mut self.items[ix];
                item.failure = Some((*class, *reason));
                item.not_before = Some(*not_before);
            }
            Record::ItemSkipped { due_to, cause, .. } => {
                self.items[ix].due_to = Some(due_to.clone());
                self.by_design += u64::from(*cause == SkipCause::Pattern);
            }
            Record::ItemWaiting { asked, .. } => {
                self.questions.insert(*asked, ix);
            }
            // The table, which lists every record, let only those of items through; the rest keep nothing more.
            _ => {}
        }
        let item = &mut self.items[ix];
        if to != ItemStatus::Waiting
            && let Some(question) = &item.question
        {
            self.questions.remove(&question.asked);
        }
        item.lease = None;
        Ok(self.enter(ix, at, to))
    }

    /// What a record asks of its item beyond the status, which the table has allowed.
    fn allow(&self, item: &ItemState, record: &Record) -> Result<(), String> {
        match record {
            Record::ItemReady { cause, .. } => ready(item, *cause),
            Record::ItemDone { finished: Some(finished), .. } => {
                let last = ended_at(item, Some(*finished))?;
                not_cancelled(item)?;
                outcome(last, &[OutcomeWord::Done])
            }
            Record::ItemDone { answered, .. } => decided(item, *answered, &[AnswerDecision::Approved]),
            Record::ItemRetried { finished, .. } => {
                let last = ended_at(item, Some(*finished))?;
                not_cancelled(item)?;
                match item.stop().map(|stop| stop.cause) {
                    Some(StopCause::Park) => {
                        outcome(last, &[OutcomeWord::Failed, OutcomeWord::Lost, OutcomeWord::Cancelled])
                    }
                    Some(StopCause::Cancel | StopCause::Deadline) | None => {
                        outcome(last, &[OutcomeWord::Failed, OutcomeWord::Lost])
                    }
                }
            }
            Record::ItemFailed { finished, answered, .. } => match item.status {
                ItemStatus::Running if answered.is_none() => {
                    let last = ended_at(item, *finished)?;
                    outcome(last, &[OutcomeWord::Failed, OutcomeWord::Lost, OutcomeWord::Cancelled])
                }
                ItemStatus::Waiting if finished.is_none() => {
                    decided(item, *answered, &[AnswerDecision::Rejected, AnswerDecision::Expired])
                }
                _ if finished.is_none() && answered.is_none() => Ok(()),
                _ => Err(format!("nothing of the item {} ended there", item.id)),
            },
            Record::ItemWaiting { asked, .. } => {
                not_cancelled(item)?;
                if item.status == ItemStatus::Ready && !item.is_approval() {
                    return Err(format!("the item {} is ready, and no approval", item.id));
                }
                let finished = item.lease.as_ref().and_then(|lease| lease.finished);
                let open = item.question.as_ref().filter(|open| open.asked == *asked && Some(open.asked) > finished);
                open.map(|_| ()).ok_or_else(|| format!("the item {} asked nothing there", item.id))
            }
            Record::ItemSkipped { due_to, cause, .. } => self.skippable(due_to, *cause),
            Record::ItemCancelled { request, .. } => {
                let asked = item.cancel == Some(*request) || self.cancel == Some(*request);
                if asked { Ok(()) } else { Err(format!("nobody asked the item {} to stop there", item.id)) }
            }
            _ => Ok(()),
        }
    }

    fn skippable(&self, due_to: &ItemId, cause: SkipCause) -> Result<(), String> {
        let status = self.items[self.find(due_to)?].status;
        match cause {
            SkipCause::Dependency if !status.is_terminal() || status == ItemStatus::Done => {
                Err(format!("the item {due_to} is {}", status.as_str()))
            }
            SkipCause::Dependency | SkipCause::Pattern => Ok(()),
        }
    }

    /// The result of the item's latest attempt, or its approval, is accepted: what depends on it lacks one thing less.
    fn accept(&mut self, ix: usize, seq: u64) {
        if self.items[ix].status != ItemStatus::Running {
            // An approval has no lease that would have noted them.
            self.items[ix].heads = self.heads(ix);
        }
        let item = &mut self.items[ix];
        let last = item.ended.last().map(|ended| &ended.finished).filter(|_| item.status == ItemStatus::Running);
        item.accepted = Some(Accepted {
            done: seq,
            start_tree: last.and_then(|last| last.start_tree),
            result_tree: last.and_then(|last| last.result_tree),
            patch: last.and_then(|last| last.patch.clone()),
            outputs: last.map(|last| last.outputs.clone()).unwrap_or_default(),
        });
        item.failure = None;
        let dependents = std::mem::take(&mut item.dependents);
        for next in &dependents {
            self.items[*next].undone -= 1;
        }
        self.items[ix].dependents = dependents;
    }

    pub(super) fn enter(&mut self, ix: usize, at: Time, to: ItemStatus) -> Applied {
        let item = &mut self.items[ix];
        let from = item.status;
        item.status = to;
        item.since = at;
        if item.is_approval() {
            match to {
                ItemStatus::Ready => self.unasked.insert(ix),
                _ => self.unasked.remove(&ix),
            };
        }
        self.counts.leave(from);
        self.counts.enter(to);
        if to.is_terminal() {
            self.note_due(ix);
        }
        Applied::Moved { item: ix, from, to }
    }
}

fn ready(item: &ItemState, cause: ReadyCause) -> Result<(), String> {
    match (item.status, cause) {
        (ItemStatus::Waiting, _) if item.is_approval() => {
            Err(format!("the item {} is decided, and does not start", item.id))
        }
        (ItemStatus::Pending, ReadyCause::Dependencies) if item.undone == 0 => Ok(()),
        (ItemStatus::Pending, ReadyCause::Dependencies) => {
            Err(format!("something the item {} depends on is not done (I3)", item.id))
        }
        (ItemStatus::Waiting, ReadyCause::Answer) => {
            let answered = item.question.as_ref().and_then(|question| question.decision);
            match answered {
                Some((AnswerDecision::Answered | AnswerDecision::Approved, _)) => Ok(()),
                Some((AnswerDecision::Rejected | AnswerDecision::Expired, _)) | None => {
                    Err(format!("the question of the item {} has no answer", item.id))
                }
            }
        }
        _ => Err(format!("the item {} is {}, that is not a cause", item.id, item.status.as_str())),
    }
}

/// The latest attempt, if it ended at this position (I2).
fn ended_at(item: &ItemState, finished: Option<u64>) -> Result<&AttemptFinished, String> {
    let latest = item.lease.as_ref().and_then(|lease| lease.finished);
    let last = item.last().filter(|_| latest.is_some() && latest == finished);
    last.ok_or_else(|| format!("that is not the end of the latest attempt at the item {} (I2)", item.id))
}

fn outcome(last: &AttemptFinished, allowed: &[OutcomeWord]) -> Result<(), String> {
    let fits = allowed.contains(&last.outcome);
    if fits { Ok(()) } else { Err(format!("its latest attempt ended {}", last.outcome.as_str())) }
}

fn decided(item: &ItemState, answered: Option<u64>, allowed: &[AnswerDecision]) -> Result<(), String> {
    let decision = item.question.as_ref().and_then(|question| question.decision);
    let fits = decision.is_some_and(|(decision, seq)| answered == Some(seq) && allowed.contains(&decision));
    if fits { Ok(()) } else { Err(format!("no such decision about the item {} was taken", item.id)) }
}

/// A cancel is recorded first and fences what runs: it beats the result.
fn not_cancelled(item: &ItemState) -> Result<(), String> {
    if item.cancel.is_some() { Err(format!("the item {} was asked to stop", item.id)) } else { Ok(()) }
}
