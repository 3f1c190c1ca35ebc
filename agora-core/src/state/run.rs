//! What there is to know of a run.

use std::collections::{BTreeMap, BTreeSet};

use super::item::{ItemState, ItemStatus, Knobs};
use super::pattern::PatternFailure;
use crate::canon::INTEGER_MAX;
use crate::id::{Actor, ItemId, RunId};
use crate::record::{RunOpened, RunOutcome};
use crate::time::Time;
use crate::worker::{Change, Reason};

/// How many items stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    by_status: [u64; 9],
}

impl Counts {
    /// How many items have this status.
    #[must_use]
    pub fn of(&self, status: ItemStatus) -> u64 {
        self.by_status[status as usize]
    }

    /// How many have one that nothing changes any more.
    #[must_use]
    pub fn terminal(&self) -> u64 {
        ItemStatus::ALL.iter().filter(|s| s.is_terminal()).map(|s| self.of(*s)).sum()
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.by_status.iter().sum()
    }

    pub(crate) fn enter(&mut self, status: ItemStatus) {
        self.by_status[status as usize] += 1;
    }

    pub(crate) fn leave(&mut self, status: ItemStatus) {
        self.by_status[status as usize] -= 1;
    }
}

/// How a run ends whose items stand like this: `done` if all are done, or skipped or made good by a pattern (`by_design`),
/// and no pattern failed; else `cancelled` after a cancel of the run, else `failed`.
pub(crate) fn verdict(counts: &Counts, by_design: u64, erred: bool, cancelled: bool) -> RunOutcome {
    if !erred && counts.of(ItemStatus::Done) + by_design == counts.total() {
        RunOutcome::Done
    } else if cancelled {
        RunOutcome::Cancelled
    } else {
        RunOutcome::Failed
    }
}

/// A sum that an entry can hold, whatever was reported.
pub(crate) fn add_capped(sum: u64, more: u64) -> u64 {
    sum.saturating_add(more).min(INTEGER_MAX)
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunState {
    /// Its id.
    pub id: RunId,
    /// Who opened it.
    pub actor: Actor,
    /// When.
    pub opened_at: Time,
    /// Its opening.
    pub opened: RunOpened,
    /// How many entries it has: the position of the next.
    pub next_seq: u64,
    /// When its last entry was written.
    pub last_at: Time,
    /// Whether a log checkpoint vouches for its opening; nothing is leased before.
    pub logged: bool,
    /// The position of the hold in force.
    pub hold: Option<u64>,
    /// Whether that hold also stopped what ran.
    pub parked: bool,
    /// The position of a cancel request for the whole run.
    pub cancel: Option<u64>,
    /// Whether no further extension is taken.
    pub closed: bool,
    /// How it ended, and when.
    pub completed: Option<(RunOutcome, Time)>,
    /// How many items stand where.
    pub counts: Counts,
    /// What its attempts cost as reported, in millionths of a US dollar.
    pub cost_microusd: u64,
    /// Tokens used as reported, input and output.
    pub tokens: u64,
    /// The items in topological order, ties in plan order: an item depends on earlier ones alone.
    pub items: Vec<ItemState>,
    pub(crate) index: BTreeMap<ItemId, usize>,
    /// The open questions: position of `question.asked` to item.
    pub(crate) questions: BTreeMap<u64, usize>,
    /// The approvals that are ready and not asked for yet.
    pub(crate) unasked: BTreeSet<usize>,
    /// How many of the skipped items a pattern skipped, and of the failed ones a pattern made good: no failures.
    pub(crate) by_design: u64,
    /// The items whose pattern has to answer their end.
    pub(crate) due: BTreeSet<usize>,
    /// Source to the items that its pattern added.
    pub(crate) groups: BTreeMap<usize, Vec<usize>>,
    /// Whether any item has a pattern.
    pub(crate) patterned: bool,
    /// The patterns that could not go on.
    pub pattern_failures: Vec<PatternFailure>,
    pub(crate) knobs: Option<BTreeMap<ItemId, Knobs>>,
}

impl RunState {
    /// Makes a run from its opening, entry 0. The knobs are those of its plan, whose digest the opening names.
    #[must_use]
    pub fn open(id: RunId, actor: Actor, at: Time, opened: RunOpened, knobs: BTreeMap<ItemId, Knobs>) -> Self {
        Self {
            id,
            actor,
            opened_at: at,
            opened,
            next_seq: 1,
            last_at: at,
            logged: false,
            hold: None,
            parked: false,
            cancel: None,
            closed: false,
            completed: None,
            counts: Counts::default(),
            cost_microusd: 0,
            tokens: 0,
            items: Vec::new(),
            index: BTreeMap::new(),
            questions: BTreeMap::new(),
            unasked: BTreeSet::new(),
            by_design: 0,
            due: BTreeSet::new(),
            groups: BTreeMap::new(),
            patterned: knobs.values().any(|knobs| knobs.rule.is_some()),
            pattern_failures: Vec::new(),
            knobs: Some(knobs),
        }
    }

    /// The same for a verifier, who has the records alone: the plan's knobs are not looked for.
    #[must_use]
    pub fn without_knobs(mut self) -> Self {
        self.knobs = None;
        self
    }

    /// Takes in what is known, beside the graph, of items that are about to be added.
    pub fn learn(&mut self, knobs: BTreeMap<ItemId, Knobs>) {
        self.patterned |= knobs.values().any(|knobs| knobs.rule.is_some());
        if let Some(known) = &mut self.knobs {
            known.extend(knobs);
        }
    }

    /// The item's index.
    #[must_use]
    pub fn index_of(&self, id: &ItemId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The item.
    #[must_use]
    pub fn item(&self, id: &ItemId) -> Option<&ItemState> {
        self.index_of(id).and_then(|ix| self.items.get(ix))
    }

    /// Whether nothing is appended to it any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.completed.is_some()
    }

    /// The word for where the run stands: `open`, `done`, `failed`, `cancelled`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.completed.map_or("open", |(outcome, _)| outcome.as_str())
    }

    /// Whether an extension is still taken: what is open-ended completes only once it is closed.
    #[must_use]
    pub fn may_grow(&self) -> bool {
        self.opened.open_ended && !self.closed
    }

    /// Whether its budget of money, tokens or time is used up.
    #[must_use]
    pub fn budget_spent(&self, now: Time) -> bool {
        self.spent(now).is_some()
    }

    /// Which part of its budget is used up, and as which reason nothing starts any more.
    pub(crate) fn spent(&self, now: Time) -> Option<(Reason, &'static str)> {
        let budget = self.opened.budget.as_ref()?;
        if budget.microusd.is_some_and(|most| self.cost_microusd >= most) {
            Some((Reason::Cost, "the run's budget of money is used up"))
        } else if budget.tokens.is_some_and(|most| self.tokens >= most) {
            Some((Reason::Tokens, "the run's budget of tokens is used up"))
        } else if budget.wall_ms.is_some_and(|most| now.ms_since(self.opened_at) >= most) {
            Some((Reason::Wall, "the run's budget of time is used up"))
        } else {
            None
        }
    }

    /// Every item with an accepted patch that an item depends on, near or far, itself not included, in the order of the
    /// items: what its start tree is merged from. Of an item that was never leased, what it would be now.
    #[must_use]
    pub fn lineage(&self, ix: usize) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let mut stack = self.heads(ix);
        while let Some(head) = stack.pop() {
            if seen.insert(head) {
                stack.extend(&self.items[head].heads);
            }
        }
        seen.into_iter().filter(|ix| self.items[*ix].has_patch()).collect()
    }

    /// The nearest items that have an accepted patch or join several that have, each once. An item without a patch below
    /// which there is but one is looked through, so a list is never longer than the item's own dependencies.
    pub(crate) fn heads(&self, ix: usize) -> Vec<usize> {
        let mut heads = BTreeSet::new();
        for at in &self.items[ix].depends_on {
            let dep = &self.items[*at];
            match dep.heads.as_slice() {
                only_or_none if !dep.has_patch() && only_or_none.len() <= 1 => heads.extend(only_or_none),
                _ => {
                    heads.insert(*at);
                }
            }
        }
        heads.into_iter().collect()
    }

    /// The merges that make a tree of these items' patches, in order (`docs/worker.md`).
    #[must_use]
    pub fn changes(&self, members: &[usize]) -> Vec<Change> {
        let change = |ix: &usize| {
            let item = &self.items[*ix];
            let accepted = item.accepted.as_ref()?;
            let after = self.lineage(*ix).into_iter().map(|dep| self.items[dep].id.clone()).collect();
            let patch = Some(accepted.patch.as_ref()?.digest);
            Some(Change { item: item.id.clone(), patch, after, result_tree: accepted.result_tree? })
        };
        members.iter().filter_map(change).collect()
    }

    /// Every item whose accepted patch is part of what the run made, in the order of the items.
    #[must_use]
    pub fn patched(&self) -> Vec<usize> {
        (0..self.items.len()).filter(|ix| self.items[*ix].has_patch() && !self.is_verdict(*ix)).collect()
    }
}
