//! The records of the run as a whole: holds, cancels, its closing and its completion.

use super::StoryCode;
use super::item::{End, Standing};
use super::teller::Teller;
use crate::record::{CancelRequested, CancelScope, HoldMode, Record, RunCompleted, RunOutcome};

impl Teller<'_> {
    pub(super) fn set_hold(&mut self, mode: HoldMode) {
        let free = self.hold.is_none();
        self.rule(StoryCode::Order, None, free, || "the run is held already".to_owned());
        self.hold = Some(self.at);
        if mode == HoldMode::Park {
            self.park = Some(self.at);
        }
    }

    pub(super) fn release_hold(&mut self, hold: u64) {
        let named = self.earlier(hold).is_some_and(|told| matches!(told.entry.record, Record::HoldSet { .. }));
        self.rule(StoryCode::Reference, None, named, || "what is released is no hold".to_owned());
        if named {
            let holds = self.hold.is_some_and(|at| at as u64 == hold);
            self.rule(StoryCode::Order, None, holds, || "what is released is not the hold in force".to_owned());
        }
        self.hold = None;
    }

    pub(super) fn close(&mut self) {
        let grows = self.may_grow();
        self.rule(StoryCode::End, None, grows, || "the run takes no extension anyway".to_owned());
        self.closed = true;
    }

    pub(super) fn request_cancel(&mut self, body: &CancelRequested) {
        let Some(id) = &body.item else {
            self.run_cancelled |= body.scope == CancelScope::Run;
            return;
        };
        let Some(ix) = self.living(id) else { return };
        match body.scope {
            CancelScope::Run => self.run_cancelled = true,
            CancelScope::Item => self.items[ix].cancelled = true,
            CancelScope::Attempt => {
                let open = self.items[ix].open().filter(|open| Some(open.lease.attempt) == body.attempt);
                self.rule(StoryCode::Attempt, Some(id), open.is_some(), || {
                    format!("an attempt at the item {id} is stopped that is not open")
                });
                // One that is stopped already is left to that stop.
                let stops = self.is_cancelled(ix) || open.is_some_and(|open| open.expired || self.was_parked(&open));
                self.rule(StoryCode::Attempt, Some(id), !stops, || {
                    format!("the attempt at the item {id} is asked to stop, and was already")
                });
                if let Some(attempt) = &mut self.items[ix].latest {
                    attempt.expired = true;
                }
            }
        }
    }

    pub(super) fn complete(&mut self, body: &RunCompleted) {
        self.story.outcome = Some(body.outcome);
        let (grows, owes) = (self.opened.is_some() && self.may_grow(), !self.owing.is_empty());
        let empty = self.items.is_empty() && !self.closed;
        self.rule(StoryCode::End, None, !grows, || "the run is completed, and may grow".to_owned());
        self.rule(StoryCode::End, None, !owes, || "the run is completed, and one of its patterns owes it".to_owned());
        self.rule(StoryCode::End, None, !empty, || "the run is completed, and never had an item".to_owned());
        for ix in 0..self.items.len() {
            let (id, standing) = (self.items[ix].id, self.items[ix].standing);
            self.rule(StoryCode::Item, Some(id), matches!(standing, Standing::Over(_)), || {
                format!("the run is completed, and the item {id} is {}", standing.as_str())
            });
        }
        self.count(body);
    }

    fn count(&mut self, body: &RunCompleted) {
        let of = |end: End| self.ends[end as usize];
        let numbers = [
            ("done", body.done, of(End::Done)),
            ("failed", body.failed, of(End::Failed)),
            ("skipped", body.skipped, of(End::Skipped)),
            ("cancelled", body.cancelled, of(End::Cancelled)),
            ("denied", body.denied, of(End::Denied)),
            ("cost_microusd", body.cost_microusd, self.cost_microusd),
        ];
        for (member, stated, told) in numbers {
            self.rule(StoryCode::Count, None, stated == told, || {
                format!("{member} is stated as {stated}, and the entries say {told}")
            });
        }
        let outcome = self.outcome();
        self.rule(StoryCode::Count, None, body.outcome == outcome, || {
            format!("the outcome is stated as {}, and the entries say {}", body.outcome.as_str(), outcome.as_str())
        });
    }

    /// `done` if no pattern failed and every item is done, was skipped by a pattern's design, or failed and was made good.
    fn outcome(&self) -> RunOutcome {
        if !self.erred && self.ends[End::Done as usize] + self.by_design == self.items.len() as u64 {
            RunOutcome::Done
        } else if self.run_cancelled {
            RunOutcome::Cancelled
        } else {
            RunOutcome::Failed
        }
    }
}
