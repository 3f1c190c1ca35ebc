//! What entries tell: what is wrong with it, and what the other checks and the report take from it.

use std::collections::BTreeMap;

use super::StoryCode;
use super::teller::Teller;
use crate::id::{Hash, ItemId};
use crate::record::{Entry, RunOutcome};

/// An entry that is canonical and in its schema, with its leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The entry.
    pub entry: Entry,
    /// The leaf of its bytes.
    pub leaf: Hash,
}

/// Something that cannot have come where it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryProblem {
    /// Which rule.
    pub code: StoryCode,
    /// The position of the entry.
    pub seq: u64,
    /// The item it is about.
    pub item: Option<ItemId>,
    /// What is wrong, in printable ASCII of bounded length.
    pub detail: String,
}

/// An item whose result was accepted from an attempt, and where each part of that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The item.
    pub item: ItemId,
    /// The position of its `item.done`.
    pub done: u64,
    /// The position of the `items.added` that has it, and its index there.
    pub added: (u64, usize),
    /// The position of the attempt's `attempt.leased`.
    pub leased: u64,
    /// The position of its `attempt.started`.
    pub started: u64,
    /// The position of its `attempt.finished`.
    pub finished: u64,
}

/// An attempt that reported a model other than the requested one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherModel {
    /// The position of the `attempt.leased` with the model that was requested.
    pub leased: u64,
    /// The position of the `attempt.finished` with those that were reported.
    pub finished: u64,
}

/// What the entries of a run tell.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Story {
    /// All that is wrong, in order of position.
    pub problems: Vec<StoryProblem>,
    /// How much each code had to judge; what is absent judged nothing.
    pub judged: BTreeMap<StoryCode, u64>,
    /// The items that an attempt's result was accepted for, by position of `item.done`. One that may not have been accepted
    /// is among the problems instead.
    pub accepted: Vec<Accepted>,
    /// The outcome that `run.completed` states.
    pub outcome: Option<RunOutcome>,
    /// The index of `run.opened`: 0, if entry 0 is one.
    pub opened: Option<usize>,
    /// The positions of each `item.cancelled` with the proof `forced`.
    pub forced: Vec<u64>,
    /// The position of the first `attempt.leased`.
    pub first_lease: Option<u64>,
    /// The positions of each `run.logged`.
    pub logged: Vec<u64>,
    /// The attempts that reported another model than was requested, by position of `attempt.finished`.
    pub other_models: Vec<OtherModel>,
    /// The positions of each `attempt.finished` whose own verify did not pass.
    pub unverified: Vec<u64>,
    /// How many entries there are.
    pub entries: u64,
}

impl Story {
    /// Judges that the run is said to be sealed: only what is completed can be. The entries alone do not say so.
    pub fn judge_seal(&mut self) {
        *self.judged.entry(StoryCode::End).or_default() += 1;
        if self.outcome.is_none() {
            self.problems.push(StoryProblem {
                code: StoryCode::End,
                seq: self.entries.saturating_sub(1),
                item: None,
                detail: "the run is sealed, and no entry completes it".to_owned(),
            });
        }
    }
}

/// Replays the entries of a run, open or completed, and judges what they tell. Takes O(n log n) in their length.
#[must_use]
pub fn tell(entries: &[Told]) -> Story {
    Teller::new(entries).tell()
}
