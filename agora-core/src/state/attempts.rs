//! The records of attempts: leased, started, finished, asked. None of them ends an item.

use super::apply::Applied;
use super::item::{EndedAttempt, ItemState, ItemStatus, Lease, OpenQuestion, Started};
use super::run::{RunState, add_capped};
use crate::id::{Hash, ItemId};
use crate::record::{AttemptFinished, AttemptLeased, AttemptStarted, OutcomeWord, QuestionAsked, QuestionKind};
use crate::time::Time;

impl RunState {
    pub(super) fn lease(&mut self, seq: u64, at: Time, body: &AttemptLeased) -> Result<Applied, String> {
        if !self.logged {
            return Err("the log does not vouch for the run yet".to_owned());
        }
        let ix = self.find(&body.item)?;
        let heads = self.heads(ix);
        let item = &mut self.items[ix];
        if item.status != ItemStatus::Ready {
            return Err(format!("the item {} is {}", item.id, item.status.as_str()));
        }
        if item.cancel.is_some() {
            return Err(format!("the item {} was asked to stop", item.id));
        }
        if item.is_approval() {
            return Err(format!("the item {} is a person's to decide", item.id));
        }
        if body.attempt != item.attempts + 1 || item.ended.last().is_some_and(|e| e.finished.fence >= body.fence) {
            return Err(format!("attempt {} under fence {} does not come next", body.attempt, body.fence));
        }
        if body.locks != item.locks {
            return Err(format!("its locks are not those of the item {} (I4)", item.id));
        }
        item.attempts = body.attempt;
        item.heads = heads;
        item.not_before = None;
        item.lease = Some(Lease {
            seq,
            attempt: body.attempt,
            fence: body.fence,
            target: body.target.clone(),
            inputs: body.inputs.clone(),
            message: body.message,
            at,
            deadline: body.deadline,
            started: None,
            finished: None,
            stop: None,
        });
        Ok(self.enter(ix, at, ItemStatus::Running))
    }

    pub(super) fn start(&mut self, at: Time, body: &AttemptStarted) -> Result<(), String> {
        let lease = self.open_lease(&body.item, body.attempt, body.fence)?;
        if lease.started.is_some() {
            return Err("it is started already".to_owned());
        }
        lease.started =
            Some(Started { handle: body.handle.clone(), isolation: body.isolation.clone(), at, task: body.task });
        Ok(())
    }

    pub(super) fn finish(&mut self, seq: u64, at: Time, body: &AttemptFinished) -> Result<(), String> {
        let lease = self.open_lease(&body.item, body.attempt, body.fence)?;
        match body.outcome {
            OutcomeWord::Done | OutcomeWord::NeedsInput if lease.started.is_none() => {
                return Err("what never started cannot have worked".to_owned());
            }
            OutcomeWord::Done
            | OutcomeWord::NeedsInput
            | OutcomeWord::Failed
            | OutcomeWord::Cancelled
            | OutcomeWord::Lost => {}
        }
        lease.finished = Some(seq);
        let ended = EndedAttempt {
            leased_at: lease.at,
            started_at: lease.started.as_ref().map(|started| started.at),
            finished_at: at,
            target: lease.target.clone(),
            isolation: lease.started.as_ref().map(|started| started.isolation.clone()),
            finished: body.clone(),
        };
        if let Some(usage) = &body.usage {
            self.cost_microusd = add_capped(self.cost_microusd, usage.cost_microusd.unwrap_or(0));
            let tokens = add_capped(usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
            self.tokens = add_capped(self.tokens, tokens);
        }
        let ix = self.find(&body.item)?;
        self.items[ix].ended.push(ended);
        Ok(())
    }

    /// The lease of a running attempt, if it is this very one (I7).
    fn open_lease(&mut self, id: &ItemId, attempt: u64, fence: u64) -> Result<&mut Lease, String> {
        let ix = self.find(id)?;
        let lease = self.items[ix].lease.as_mut().ok_or_else(|| format!("the item {id} has no lease"))?;
        if lease.attempt != attempt || lease.fence != fence || lease.finished.is_some() {
            return Err(format!("attempt {attempt} under fence {fence} is not the running one (I7)"));
        }
        Ok(lease)
    }

    pub(super) fn ask(&mut self, seq: u64, at: Time, leaf: Hash, asked: &QuestionAsked) -> Result<(), String> {
        let ix = self.find(&asked.item)?;
        let item = &mut self.items[ix];
        if item.is_approval() {
            may_ask_for_approval(item, asked)?;
        } else {
            may_ask(item, asked)?;
        }
        item.question = Some(OpenQuestion {
            asked: seq,
            leaf,
            kind: asked.kind,
            text: asked.text,
            options: asked.options,
            at,
            decision: None,
            answer: None,
        });
        Ok(())
    }
}

/// An attempt that ended with a question asks once.
fn may_ask(item: &ItemState, asked: &QuestionAsked) -> Result<(), String> {
    let finished = item.lease.as_ref().and_then(|lease| lease.finished);
    let asks = item.last().is_some_and(|last| last.outcome == OutcomeWord::NeedsInput);
    if item.status != ItemStatus::Running || finished.is_none() || finished != asked.finished || !asks {
        return Err(format!("the latest attempt at the item {} does not ask", item.id));
    }
    if asked.kind != QuestionKind::Input {
        return Err(format!("an attempt at the item {} asks for words, not for approval", item.id));
    }
    if item.question.as_ref().is_some_and(|earlier| Some(earlier.asked) > finished) {
        return Err(format!("the item {} asks already", item.id));
    }
    Ok(())
}

/// An approval asks once, when all it depends on is done.
fn may_ask_for_approval(item: &ItemState, asked: &QuestionAsked) -> Result<(), String> {
    if item.status != ItemStatus::Ready || item.question.is_some() {
        return Err(format!("the item {} is {}, and asks once, when it is ready", item.id, item.status.as_str()));
    }
    if asked.kind != QuestionKind::Approval || asked.finished.is_some() || asked.options != 0 {
        return Err(format!("the item {} asks for approval alone", item.id));
    }
    Ok(())
}
