//! What the patterns of a run's queue owe it: the items whose end they have to answer, and what their answers changed.

use super::item::{ItemState, ItemStatus};
use super::run::RunState;
use crate::id::{Enc, ItemId, Word};
use crate::plan::{OnRed, Pattern, generation};
use crate::record::Added;
use crate::time::Time;

/// What of an item's pattern has to be known to tell what its end leads to; the items themselves stand in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A gate; `fixes_max` is absent for one that the run passes by.
    Gate {
        /// How often it may be fixed.
        fixes_max: Option<u64>,
    },
    /// A splitter.
    MapReduce,
    /// Work that is reviewed.
    Quorum,
}

impl Rule {
    /// Of this pattern.
    #[must_use]
    pub fn of(pattern: &Pattern) -> Self {
        match pattern {
            Pattern::Gate(gate) => Self::Gate {
                fixes_max: match &gate.on_red {
                    OnRed::Advance => None,
                    OnRed::SpawnFix { attempts_max, .. } => Some(*attempts_max),
                },
            },
            Pattern::MapReduce(_) => Self::MapReduce,
            Pattern::Quorum(_) => Self::Quorum,
        }
    }
}

/// A pattern that could not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternFailure {
    /// The pattern's name.
    pub pattern: String,
    /// The item whose end it could not answer.
    pub item: Option<ItemId>,
    /// Why, a word of `docs/patterns.md`, or the code that its items were refused with.
    pub reason: Word,
    /// When.
    pub at: Time,
}

impl ItemState {
    /// Whether its last attempt's own check did not pass.
    #[must_use]
    pub fn verify_failed(&self) -> bool {
        self.last().and_then(|last| last.verify.as_ref()).is_some_and(|verify| !verify.passed)
    }

    /// Whether it failed, or is done with its verify not passed.
    #[must_use]
    pub fn is_red(&self) -> bool {
        self.status == ItemStatus::Failed || self.status == ItemStatus::Done && self.verify_failed()
    }

    /// Whether it is done and no verify says otherwise.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.status == ItemStatus::Done && !self.verify_failed()
    }
}

impl RunState {
    /// The first item whose end a pattern has to answer. There is none in a run that is to stop.
    #[must_use]
    pub fn due(&self) -> Option<usize> {
        self.due.first().copied().filter(|_| self.cancel.is_none())
    }

    /// Whether a pattern could not go on.
    #[must_use]
    pub fn erred(&self) -> bool {
        !self.pattern_failures.is_empty()
    }

    /// The latest copy of an item that a pattern may have copied; itself where there is none.
    #[must_use]
    pub fn latest(&self, id: &ItemId) -> ItemId {
        let (base, mut number) = generation(id.as_str());
        let mut latest = id.clone();
        while let Ok(next) = ItemId::new(format!("{base}~{}", number + 1))
            && self.index_of(&next).is_some()
        {
            (latest, number) = (next, number + 1);
        }
        latest
    }

    /// How many items there are of this name and a number, from 1 on without a gap.
    #[must_use]
    pub fn numbered(&self, name: &str) -> u64 {
        let is_there =
            |number: &u64| ItemId::new(format!("{name}{number}")).is_ok_and(|id| self.index_of(&id).is_some());
        (1..).take_while(is_there).count() as u64
    }

    /// Whether nothing may start that depends on this item, although it is done: a red gate that is to be fixed.
    #[must_use]
    pub fn is_barred(&self, ix: usize) -> bool {
        let item = &self.items[ix];
        let spawns = matches!(item.knobs.rule, Some(Rule::Gate { fixes_max: Some(_) }));
        spawns && item.status == ItemStatus::Done && item.verify_failed()
    }

    /// Whether all that this item was for is its verdict: it was added to review, and no work went on from what it wrote. That
    /// is so of those that rejected, and of all of a round that led to a fix.
    #[must_use]
    pub fn is_verdict(&self, ix: usize) -> bool {
        let item = &self.items[ix];
        let Some(of) = item.source.filter(|of| self.items[*of].knobs.rule == Some(Rule::Quorum)) else { return false };
        let is_commit = item.id.as_str().strip_prefix(self.items[of].id.as_str()) == Some("-commit");
        !is_commit && !self.items.iter().any(|other| other.depends_on.contains(&ix))
    }

    /// Whether the pattern of this item would go on if it failed: what depends on it is then skipped by design.
    #[must_use]
    pub fn outlives_failure(&self, ix: usize) -> bool {
        let item = &self.items[ix];
        match item.knobs.rule {
            Some(Rule::Gate { fixes_max: None }) => true,
            Some(Rule::Gate { fixes_max: Some(max) }) => {
                self.numbered(&format!("{}-fix-", generation(item.id.as_str()).0)) < max
            }
            Some(Rule::MapReduce | Rule::Quorum) | None => false,
        }
    }

    /// An item ended: notes whether its own pattern, or the one that added it, has to answer.
    pub(super) fn note_due(&mut self, ix: usize) {
        for of in std::iter::once(ix).chain(self.items[ix].source) {
            if self.owes(of) {
                self.due.insert(of);
            }
        }
    }

    fn owes(&self, ix: usize) -> bool {
        let item = &self.items[ix];
        let added = self.groups.get(&ix);
        match item.knobs.rule {
            None => false,
            Some(Rule::Gate { fixes_max: None }) => item.status == ItemStatus::Failed && added.is_none(),
            Some(Rule::Gate { fixes_max: Some(_) }) => item.is_red() && added.is_none(),
            Some(Rule::MapReduce) => item.status == ItemStatus::Done && added.is_none(),
            Some(Rule::Quorum) => {
                let added = added.map(Vec::as_slice).unwrap_or_default();
                let committed = ItemId::new(format!("{}-commit", item.id)).is_ok_and(|id| self.index_of(&id).is_some());
                let all_ended = || added.iter().all(|ix| self.items[*ix].status.is_terminal());
                item.status == ItemStatus::Done && !committed && all_ended()
            }
        }
    }

    /// The item whose pattern adds these, where a pattern does.
    pub(super) fn source(&self, added: &Added) -> Result<Option<usize>, String> {
        use crate::record::GrowthCause::{Extend, Pattern, Plan};
        match added.cause {
            Plan | Extend => Ok(None),
            Pattern => {
                let Some(source) = &added.source else { return Ok(None) };
                self.find(&ItemId::new(source.as_str()).map_err(|error| error.to_string())?).map(Some)
            }
        }
    }

    /// The pattern of this item went on: what failed of it is made good by what is added now.
    pub(super) fn answered(&mut self, source: usize) {
        self.due.remove(&source);
        let added = self.groups.entry(source).or_default().clone();
        for ix in std::iter::once(source).chain(added) {
            let item = &mut self.items[ix];
            if item.status == ItemStatus::Failed && !item.made_good {
                item.made_good = true;
                self.by_design += 1;
            }
        }
    }

    pub(super) fn fail_pattern(&mut self, pattern: &Enc, reason: &Word, at: Time) -> Result<(), String> {
        let (pattern, item) = match pattern.as_str().split_once(':') {
            Some((pattern, item)) => (pattern, Some(ItemId::new(item).map_err(|error| error.to_string())?)),
            None => (pattern.as_str(), None),
        };
        if let Some(item) = &item {
            let ix = self.find(item)?;
            self.due.remove(&ix);
        }
        self.pattern_failures.push(PatternFailure { pattern: pattern.to_owned(), item, reason: reason.clone(), at });
        Ok(())
    }
}
