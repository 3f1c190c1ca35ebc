//! The items that may start, ordered: within a run by priority and plan order, between runs by priority and turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Enc, RunId};

/// The best item of a run on an executor: its priority, when the run had its last turn, the run.
type Rank = (Reverse<u8>, u64, RunId);

#[derive(Debug)]
struct Lane {
    queue: Enc,
    /// Whether anything of the run may start: the log vouches for it, and no hold is in force.
    open: bool,
    /// The number of its last turn; 0 before the first.
    turn: u64,
    ready: BTreeMap<Enc, BTreeSet<(Reverse<u8>, usize)>>,
}

impl Lane {
    fn rank(&self, id: &RunId, executor: &Enc) -> Option<Rank> {
        let (priority, _) = self.ready.get(executor)?.first()?;
        self.open.then(|| (*priority, self.turn, id.clone()))
    }
}

/// The ready items of all runs. A run is listed under its queue and an executor exactly while it is open and has an item
/// for it, so that a choice looks at no run in vain.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    runs: BTreeMap<RunId, Lane>,
    listed: BTreeMap<Enc, BTreeMap<Enc, BTreeSet<Rank>>>,
    turns: u64,
}

impl Lanes {
    pub(super) fn add_run(&mut self, id: &RunId, queue: &Enc, open: bool) {
        let lane = Lane { queue: queue.clone(), open, turn: 0, ready: BTreeMap::new() };
        self.runs.insert(id.clone(), lane);
    }

    pub(super) fn remove_run(&mut self, id: &RunId) {
        self.change(id, None, |lane| lane.ready.clear());
        self.runs.remove(id);
    }

    /// Says whether anything of the run may start.
    pub(super) fn set_open(&mut self, id: &RunId, open: bool) {
        self.change(id, None, |lane| lane.open = open);
    }

    /// The run was granted something: the others come first now.
    pub(super) fn served(&mut self, id: &RunId) {
        self.turns += 1;
        let turn = self.turns;
        self.change(id, None, |lane| lane.turn = turn);
    }

    pub(super) fn insert(&mut self, id: &RunId, executor: &Enc, priority: u8, ix: usize) {
        self.change(id, Some(executor), |lane| {
            lane.ready.entry(executor.clone()).or_default().insert((Reverse(priority), ix));
        });
    }

    pub(super) fn remove(&mut self, id: &RunId, executor: &Enc, priority: u8, ix: usize) {
        self.change(id, Some(executor), |lane| {
            if let Some(ready) = lane.ready.get_mut(executor) {
                ready.remove(&(Reverse(priority), ix));
                if ready.is_empty() {
                    lane.ready.remove(executor);
                }
            }
        });
    }

    /// Changes a run's lane and lists it anew, for one executor or for all of them.
    fn change(&mut self, id: &RunId, only: Option<&Enc>, change: impl FnOnce(&mut Lane)) {
        let Some(lane) = self.runs.get_mut(id) else { return };
        let touched: Vec<Enc> = match only {
            Some(executor) => vec![executor.clone()],
            None => lane.ready.keys().cloned().collect(),
        };
        let before: Vec<Option<Rank>> = touched.iter().map(|executor| lane.rank(id, executor)).collect();
        change(lane);
        for (executor, before) in touched.into_iter().zip(before) {
            let after = lane.rank(id, &executor);
            if before == after {
                continue;
            }
            let executors = self.listed.entry(lane.queue.clone()).or_default();
            let ranks = executors.entry(executor.clone()).or_default();
            if let Some(before) = before {
                ranks.remove(&before);
            }
            ranks.extend(after);
            if ranks.is_empty() {
                executors.remove(&executor);
            }
        }
    }

    /// The best item among those that the three filters let through: of a queue, an executor, a run.
    pub(super) fn best(
        &self,
        queue_has_room: impl Fn(&Enc) -> bool,
        executor_is_up: impl Fn(&Enc) -> bool,
        run_is_ready: impl Fn(&RunId) -> bool,
    ) -> Option<(RunId, usize, Enc)> {
        let mut best: Option<((&Rank, usize), &Enc)> = None;
        for (_, executors) in self.listed.iter().filter(|(queue, _)| queue_has_room(queue)) {
            for (executor, ranks) in executors.iter().filter(|(executor, _)| executor_is_up(executor)) {
                let Some(rank) = ranks.iter().find(|(_, _, id)| run_is_ready(id)) else { continue };
                let first = self.runs.get(&rank.2).and_then(|lane| lane.ready.get(executor)?.first());
                let Some((_, ix)) = first else { continue };
                if best.is_none_or(|(least, _)| (rank, *ix) < least) {
                    best = Some(((rank, *ix), executor));
                }
            }
        }
        best.map(|((rank, ix), executor)| (rank.2.clone(), ix, executor.clone()))
    }

    #[cfg(test)]
    pub(super) fn ready(&self) -> BTreeSet<(RunId, usize)> {
        let of = |(id, lane): (&RunId, &Lane)| -> Vec<(RunId, usize)> {
            lane.ready.values().flatten().map(|(_, ix)| (id.clone(), *ix)).collect()
        };
        self.runs.iter().flat_map(of).collect()
    }

    /// What is listed, turns left out: a board made anew has had none.
    #[cfg(test)]
    pub(super) fn listed(&self) -> BTreeSet<(Enc, Enc, RunId)> {
        let mut listed = BTreeSet::new();
        for (queue, executors) in &self.listed {
            for (executor, ranks) in executors {
                listed.extend(ranks.iter().map(|(_, _, id)| (queue.clone(), executor.clone(), id.clone())));
            }
        }
        listed
    }
}
