//! What becomes of an item: ready, done, failed, tried again, skipped, cancelled, denied.

use super::StoryCode;
use super::item::{End, ItemResult, Standing};
use super::tell::Accepted;
use super::teller::Teller;
use crate::id::ItemId;
use crate::record::{
    AnswerDecision, AttemptFinished, CancelProof, CancelScope, OutcomeWord, ReadyCause, Record, SkipCause,
};
use crate::worker::Reason;

impl<'a> Teller<'a> {
    pub(super) fn ready(&mut self, id: &ItemId, cause: ReadyCause) {
        let Some(ix) = self.living(id) else { return };
        let item = &self.items[ix];
        let (standing, undone) = (item.standing, item.undone);
        match cause {
            ReadyCause::Dependencies => {
                self.rule(StoryCode::Order, Some(id), standing == Standing::Pending, || {
                    format!("the item {id} is {}, and becomes ready for what it depends on", standing.as_str())
                });
                self.rule(StoryCode::Order, Some(id), undone == 0, || {
                    format!("the item {id} is ready, and {undone} of those it depends on are not done")
                });
            }
            ReadyCause::Answer => {
                let decision = item.question.filter(|_| standing == Standing::Waiting).and_then(|q| q.decision());
                self.rule(StoryCode::Question, Some(id), decision == Some(AnswerDecision::Answered), || {
                    format!("the item {id} is ready for an answer that was not given")
                });
            }
            // `item.retried` says it, and from when on.
            ReadyCause::Retry => {
                self.rule(StoryCode::Order, Some(id), false, || format!("nothing makes the item {id} ready again"));
            }
        }
        if matches!(standing, Standing::Pending | Standing::Waiting) {
            self.items[ix].standing = Standing::Ready;
        }
    }

    pub(super) fn done(&mut self, id: &ItemId, finished: Option<u64>, answered: Option<u64>) {
        let Some(ix) = self.living(id) else { return };
        let problems = self.story.problems.len();
        let mut made = None;
        match (finished, answered) {
            (Some(finished), None) => {
                made = self.latest_end(ix, finished);
                if let Some(end) = made {
                    self.outcome_is(id, end, &[OutcomeWord::Done]);
                }
                let stops = self.is_cancelled(ix);
                self.rule(StoryCode::Result, Some(id), !stops, || format!("the item {id} was asked to stop"));
            }
            (None, Some(answered)) => self.decided(ix, answered, &[AnswerDecision::Approved]),
            _ => {
                self.rule(StoryCode::Result, Some(id), false, || format!("the item {id} is done by nothing"));
            }
        }
        self.end(ix, End::Done);
        if self.story.problems.len() == problems {
            self.accept(ix);
        }
        self.items[ix].result = Some(ItemResult { done: self.at, made });
        let patch = usize::from(self.items[ix].has_patch());
        for at in 0..self.items[ix].dependents.len() {
            let next = self.items[ix].dependents[at];
            let next = &mut self.items[next];
            next.undone -= 1;
            next.patches += patch;
        }
    }

    fn accept(&mut self, ix: usize) {
        let item = &self.items[ix];
        let Some(latest) = item.latest else { return };
        let (Some(started), Some((finished, _))) = (latest.started, latest.finished) else { return };
        self.story.accepted.push(Accepted {
            item: item.id.clone(),
            done: self.at as u64,
            added: item.added,
            leased: latest.leased as u64,
            started: started as u64,
            finished: finished as u64,
        });
    }

    pub(super) fn failed(&mut self, id: &ItemId, reason: Reason, finished: Option<u64>, answered: Option<u64>) {
        let Some(ix) = self.living(id) else { return };
        let standing = self.items[ix].standing;
        match (finished, answered) {
            (Some(finished), None) => {
                let stops = self.is_cancelled(ix);
                self.rule(StoryCode::Result, Some(id), !stops, || {
                    format!("the item {id} was asked to stop, and failed instead")
                });
                if let Some(end) = self.latest_end(ix, finished) {
                    let allowed = [OutcomeWord::Failed, OutcomeWord::Lost, OutcomeWord::Cancelled];
                    self.outcome_is(id, end, &allowed);
                    self.reason_is(id, end, reason);
                    let parked = end.outcome == OutcomeWord::Cancelled && self.only_parked(ix);
                    self.rule(StoryCode::Result, Some(id), !parked, || {
                        format!("an attempt at the item {id} was parked, and the item failed of it")
                    });
                }
            }
            (None, Some(answered)) => {
                self.decided(ix, answered, &[AnswerDecision::Rejected, AnswerDecision::Expired]);
            }
            // It could never start: its inputs, its budget or what it uses are not to be had. An open attempt is its end's
            // to judge.
            (None, None) => {
                self.rule(StoryCode::Order, Some(id), standing != Standing::Pending, || {
                    format!("the item {id} failed before it was ready")
                });
                let starts = !matches!(standing, Standing::Ended | Standing::Waiting);
                self.rule(StoryCode::Result, Some(id), starts, || {
                    format!("the item {id} is {}, and failed by nothing", standing.as_str())
                });
            }
            (Some(_), Some(_)) => {
                self.rule(StoryCode::Result, Some(id), false, || format!("the item {id} failed twice at once"));
            }
        }
        self.end(ix, End::Failed);
    }

    pub(super) fn retried(&mut self, id: &ItemId, finished: u64, reason: Reason) {
        let Some(ix) = self.living(id) else { return };
        let stops = self.is_cancelled(ix);
        self.rule(StoryCode::Result, Some(id), !stops, || {
            format!("the item {id} was asked to stop, and is tried again")
        });
        if let Some(end) = self.latest_end(ix, finished) {
            self.outcome_is(id, end, &[OutcomeWord::Failed, OutcomeWord::Lost, OutcomeWord::Cancelled]);
            self.reason_is(id, end, reason);
            let stopped = end.outcome == OutcomeWord::Cancelled && !self.only_parked(ix);
            self.rule(StoryCode::Result, Some(id), !stopped, || {
                format!("an attempt at the item {id} was cancelled, and nobody parked it")
            });
        }
        if self.items[ix].standing != Standing::Running {
            self.items[ix].standing = Standing::Ready;
        }
    }

    /// Whether the item's latest attempt was stopped by a park, and by nothing else.
    fn only_parked(&self, ix: usize) -> bool {
        self.items[ix].latest.is_some_and(|attempt| !attempt.expired && self.was_parked(&attempt))
    }

    pub(super) fn skipped(&mut self, id: &ItemId, cause: SkipCause, due_to: &ItemId) {
        let Some(ix) = self.living(id) else { return };
        let standing = self.items[ix].standing;
        let waits = matches!(standing, Standing::Pending | Standing::Running);
        self.rule(StoryCode::Order, Some(id), waits, || format!("the item {id} is {}, and skipped", standing.as_str()));
        if let Some(of) = self.known(due_to) {
            let leads = self.items[ix].depends_on.iter().any(|on| *on == of || self.items[*on].due_to == Some(of));
            self.rule(StoryCode::Order, Some(id), leads, || {
                format!("the item {id} is skipped due to {due_to}, which nothing leads to")
            });
            let ended = match (cause, self.items[of].standing) {
                (SkipCause::Dependency, Standing::Over(end)) => end != End::Done,
                (SkipCause::Pattern, Standing::Over(End::Failed)) => true,
                (SkipCause::Pattern, Standing::Over(End::Done)) => self.items[of].is_done_red(),
                (SkipCause::Dependency | SkipCause::Pattern, _) => false,
            };
            self.rule(StoryCode::Order, Some(id), ended, || {
                let standing = no_cause(due_to, cause);
                format!("the item {id} is skipped due to {due_to}, {standing}")
            });
            self.items[ix].due_to = Some(of);
            let due = !self.items[of].stuck && !self.items[of].answered;
            if cause == SkipCause::Pattern && due {
                self.owing.insert(of);
            }
        }
        self.by_design += u64::from(cause == SkipCause::Pattern);
        self.end(ix, End::Skipped);
    }

    pub(super) fn cancelled(&mut self, id: &ItemId, request: u64, proof: CancelProof) {
        if proof == CancelProof::Forced {
            self.story.forced.push(self.at as u64);
        }
        let Some(ix) = self.living(id) else { return };
        let scope = self.requests(request, id);
        self.rule(StoryCode::Reference, Some(id), scope.is_some(), || {
            format!("the item {id} is cancelled by no request of it or of its run")
        });
        let item = &self.items[ix];
        let ended = item.ended();
        let leased = item.latest.map(|attempt| attempt.leased as u64);
        if let Some((at, end)) = ended {
            self.outcome_is(id, end, &[OutcomeWord::Cancelled]);
            self.rule(StoryCode::Result, Some(id), request < at as u64, || {
                format!("the attempt at the item {id} had ended before it was asked to stop")
            });
        }
        let fits = match proof {
            CancelProof::NeverStarted => leased.is_none(),
            CancelProof::Absent => leased.is_some(),
            // The operator's own word, while an attempt was not proven gone.
            CancelProof::Forced => {
                ended.is_some() && scope != Some(CancelScope::Run) && leased.is_some_and(|leased| leased < request)
            }
        };
        self.rule(StoryCode::Attempt, Some(id), fits, || {
            format!("the proof {} does not fit the attempts at the item {id}", proof.as_str())
        });
        self.end(ix, End::Cancelled);
    }

    pub(super) fn denied(&mut self, id: &ItemId) {
        let Some(ix) = self.living(id) else { return };
        let ended = self.items[ix].ended().is_some();
        self.rule(StoryCode::Result, Some(id), !ended, || {
            format!("an attempt at the item {id} ended, and the item is denied instead")
        });
        self.end(ix, End::Denied);
    }

    /// The end of an attempt at the item that stands at this position, if one does.
    pub(super) fn finish_of(&mut self, id: &ItemId, finished: u64) -> Option<&'a AttemptFinished> {
        let named = self.earlier(finished).and_then(|told| match &told.entry.record {
            Record::AttemptFinished(body) if body.item == *id => Some(&**body),
            _ => None,
        });
        self.rule(StoryCode::Reference, Some(id), named.is_some(), || {
            format!("no attempt at the item {id} ended at {finished}")
        });
        named
    }

    /// The same; judged to be the end of its latest attempt, of which nothing came yet.
    fn latest_end(&mut self, ix: usize, finished: u64) -> Option<&'a AttemptFinished> {
        let (id, ended) = (self.items[ix].id, self.items[ix].ended());
        let named = self.finish_of(id, finished)?;
        let latest = ended.is_some_and(|(at, _)| at as u64 == finished);
        self.rule(StoryCode::Result, Some(id), latest, || {
            format!("the end at {finished} is not what is to be decided of the item {id}")
        });
        Some(named)
    }

    fn outcome_is(&mut self, id: &ItemId, end: &AttemptFinished, allowed: &[OutcomeWord]) {
        self.rule(StoryCode::Result, Some(id), allowed.contains(&end.outcome), || {
            format!("the attempt at the item {id} ended {}", end.outcome.as_str())
        });
    }

    fn reason_is(&mut self, id: &ItemId, end: &AttemptFinished, reason: Reason) {
        self.rule(StoryCode::Result, Some(id), end.reason == Some(reason), || {
            format!("the attempt at the item {id} did not end for {}", reason.as_str())
        });
    }

    /// The item's question was decided at this position, in one of these ways.
    fn decided(&mut self, ix: usize, answered: u64, allowed: &[AnswerDecision]) {
        let item = &self.items[ix];
        let (id, question, standing) = (item.id, item.question, item.standing);
        let asked = self.earlier(answered).and_then(|told| match &told.entry.record {
            Record::QuestionAnswered(body) => self.earlier(body.asked),
            _ => None,
        });
        let named =
            asked.is_some_and(|told| matches!(&told.entry.record, Record::QuestionAsked(body) if body.item == *id));
        if !self
            .rule(StoryCode::Reference, Some(id), named, || format!("no question of the item {id} was decided there"))
        {
            return;
        }
        let decided = question.and_then(|question| question.answered).filter(|(at, _)| *at as u64 == answered);
        let fits = decided.is_some_and(|(_, body)| allowed.contains(&body.decision));
        self.rule(StoryCode::Result, Some(id), fits && standing == Standing::Waiting, || {
            format!("no such decision about the item {id} was taken")
        });
    }
}

/// Why an item that others are skipped due to cannot be the cause.
fn no_cause(due_to: &ItemId, cause: SkipCause) -> String {
    match cause {
        SkipCause::Dependency => format!("and {due_to} has not ended otherwise than done"),
        SkipCause::Pattern => format!("and {due_to} did not fail, nor its verify"),
    }
}
