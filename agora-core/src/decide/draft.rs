//! A decision in the making.

use std::collections::{BTreeMap, BTreeSet};

use super::{Decision, Effect, Refusal};
use crate::error::nearest;
use crate::id::ItemId;
use crate::record::{CancelScope, ReadyCause, Record, RunCompleted, SkipCause};
use crate::state::{ItemState, ItemStatus, RunState, add_capped, verdict};
use crate::worker::AttemptId;

/// Collects records, and knows what the ones collected so far change.
pub(super) struct Draft<'a> {
    pub(super) state: &'a RunState,
    decision: Decision,
    moved: BTreeMap<usize, ItemStatus>,
    cost_microusd: u64,
    /// Whether a pushed record asks the whole run to stop.
    cancels_run: bool,
    /// Whether a pushed record adds items.
    grows: bool,
    /// Whether a pushed record closes the run.
    closes: bool,
    /// Whether a pushed record says that a pattern failed.
    errs: bool,
    /// Whether this step may end a run that has patterns: one in which none of its items moves.
    settles: bool,
    /// Ends of items that this step answers.
    answers: BTreeSet<usize>,
}

/// Items whose ids are compared with one that is not there, to offer the nearest: a slip is found, a large run is not read.
const NEAREST_OF_MAX: usize = 1_000;

impl<'a> Draft<'a> {
    pub(super) fn new(state: &'a RunState) -> Result<Self, Refusal> {
        if state.is_over() {
            return Err(Refusal::Over { run: state.id.to_string(), word: state.word() });
        }
        Ok(Self {
            state,
            decision: Decision::default(),
            moved: BTreeMap::new(),
            cost_microusd: state.cost_microusd,
            cancels_run: false,
            grows: false,
            closes: false,
            errs: false,
            settles: false,
            answers: BTreeSet::new(),
        })
    }

    /// Adds a record and returns the position it will have.
    pub(super) fn push(&mut self, record: Record) -> u64 {
        let seq = self.state.next_seq + self.decision.records.len() as u64;
        if let Record::CancelRequested(request) = &record {
            self.cancels_run |= request.scope == CancelScope::Run;
        }
        self.grows |= matches!(record, Record::ItemsAdded(_));
        self.closes |= matches!(record, Record::RunClosed {});
        self.errs |= matches!(record, Record::PatternFailed { .. });
        self.decision.records.push(record);
        seq
    }

    /// Notes that the end of this item is answered.
    pub(super) fn answers(&mut self, ix: usize) {
        self.answers.insert(ix);
    }

    /// Lets this step end a run that has patterns: what they owe is known only once all that moved is committed.
    pub(super) fn settles(&mut self) {
        self.settles = true;
    }

    /// Whether a pattern may still have something to add.
    fn patterns_rest(&self) -> bool {
        let stops = self.state.cancel.is_some() || self.cancels_run;
        !stops && self.state.patterned && (!self.settles || self.state.due.difference(&self.answers).next().is_some())
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.decision.effects.push(effect);
    }

    /// Adds an effect on the item's running attempt.
    pub(super) fn effect_of(&mut self, ix: usize, effect: impl FnOnce(AttemptId) -> Effect) {
        if let Some(attempt) = self.attempt(ix) {
            self.effect(effect(attempt));
        }
    }

    pub(super) fn add_cost(&mut self, microusd: u64) {
        self.cost_microusd = add_capped(self.cost_microusd, microusd);
    }

    pub(super) fn find(&self, id: &ItemId) -> Result<usize, Refusal> {
        self.state.index_of(id).ok_or_else(|| Refusal::NoItem {
            run: self.state.id.to_string(),
            item: id.to_string(),
            nearest: nearest(id.as_str(), self.state.items.iter().take(NEAREST_OF_MAX).map(|item| item.id.as_str()))
                .map(str::to_owned),
        })
    }

    pub(super) fn item(&self, ix: usize) -> &'a ItemState {
        &self.state.items[ix]
    }

    pub(super) fn status(&self, ix: usize) -> ItemStatus {
        self.moved.get(&ix).copied().unwrap_or(self.state.items[ix].status)
    }

    /// Notes that a pushed record moves the item.
    pub(super) fn moves(&mut self, ix: usize, to: ItemStatus) {
        self.moved.insert(ix, to);
    }

    /// The item is done: what waited for nothing else becomes ready.
    pub(super) fn release_dependents(&mut self, ix: usize) {
        for next in &self.item(ix).dependents {
            let dependent = self.item(*next);
            let ready_now = self.status(*next) == ItemStatus::Pending && dependent.undone == 1;
            if ready_now {
                self.push(Record::ItemReady { item: dependent.id.clone(), cause: ReadyCause::Dependencies });
                self.moves(*next, ItemStatus::Ready);
            }
        }
    }

    /// The item ended other than done: all that depends on it, near and far, is skipped, one record each. By design, where
    /// its pattern goes on all the same.
    pub(super) fn skip_dependents(&mut self, ix: usize) {
        let fails = self.status(ix) == ItemStatus::Failed;
        let by_design = fails && self.state.cancel.is_none() && self.state.outlives_failure(ix);
        self.skip_dependents_as(ix, if by_design { SkipCause::Pattern } else { SkipCause::Dependency });
    }

    /// The same with its cause.
    pub(super) fn skip_dependents_as(&mut self, ix: usize, cause: SkipCause) {
        let mut seen = BTreeSet::new();
        let mut queue = std::collections::VecDeque::from([ix]);
        while let Some(at) = queue.pop_front() {
            for next in &self.item(at).dependents {
                if seen.insert(*next) && self.status(*next) == ItemStatus::Pending {
                    self.push(Record::ItemSkipped {
                        item: self.item(*next).id.clone(),
                        cause,
                        due_to: self.item(ix).id.clone(),
                    });
                    self.moves(*next, ItemStatus::Skipped);
                    queue.push_back(*next);
                }
            }
        }
    }

    /// Completes the run if every item is terminal now, and hands out the decision. A run that grows goes on.
    pub(super) fn finish(mut self) -> Decision {
        let mut counts = self.state.counts;
        for (ix, to) in &self.moved {
            counts.leave(self.state.items[*ix].status);
            counts.enter(*to);
        }
        // A run that was closed empty is complete too; one without items otherwise has not got them yet.
        let closed = self.state.closed || self.closes;
        let has_all = counts.total() > 0 || closed;
        let may_grow = self.grows || self.state.may_grow() && !closed || self.patterns_rest();
        if has_all && counts.terminal() == counts.total() && !may_grow {
            let cancelled = self.state.cancel.is_some() || self.cancels_run;
            let outcome = verdict(&counts, self.by_design(), self.errs || self.state.erred(), cancelled);
            let completed = RunCompleted {
                outcome,
                done: counts.of(ItemStatus::Done),
                failed: counts.of(ItemStatus::Failed),
                skipped: counts.of(ItemStatus::Skipped),
                cancelled: counts.of(ItemStatus::Cancelled),
                denied: counts.of(ItemStatus::Denied),
                cost_microusd: self.cost_microusd,
            };
            self.push(Record::RunCompleted(completed));
            self.effect(Effect::Seal(self.state.id.clone()));
        }
        self.decision
    }

    /// What this step and those before it skipped by design, or made good.
    fn by_design(&self) -> u64 {
        let skipped = self
            .decision
            .records
            .iter()
            .filter(|record| matches!(record, Record::ItemSkipped { cause: SkipCause::Pattern, .. }));
        self.state.by_design + skipped.count() as u64
    }

    pub(super) fn attempt(&self, ix: usize) -> Option<AttemptId> {
        let item = self.item(ix);
        item.lease.as_ref().map(|lease| AttemptId {
            run: self.state.id.clone(),
            item: item.id.clone(),
            attempt: lease.attempt,
            fence: lease.fence,
        })
    }
}
