//! Who holds which lock keys, and who waits for them, in the order of asking.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{Enc, RunId};

/// An item of a run, by its index.
pub(super) type Place = (RunId, usize);

/// Each waiter has one number for all its keys, so every queue has the same order and no two waiters wait for each other:
/// the one with the lowest number waits for holders alone.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// More than one only while a process reads what others wrote, run by run.
    holders: BTreeMap<Enc, BTreeSet<Place>>,
    queues: BTreeMap<Enc, BTreeMap<u64, Place>>,
    waiting: BTreeMap<Place, (u64, Vec<Enc>)>,
    issued: u64,
}

impl Locks {
    pub(super) fn hold(&mut self, keys: &[Enc], place: &Place) {
        for key in keys {
            self.holders.entry(key.clone()).or_default().insert(place.clone());
        }
    }

    /// Lets go of keys; returns who may look again.
    pub(super) fn free(&mut self, keys: &[Enc], place: &Place) -> Vec<Place> {
        let mut next = Vec::new();
        for key in keys {
            if let Some(holders) = self.holders.get_mut(key) {
                holders.remove(place);
                if holders.is_empty() {
                    self.holders.remove(key);
                    next.extend(self.first(key).cloned());
                }
            }
        }
        next
    }

    /// Whether nobody else holds or reserves one of the keys.
    pub(super) fn may_take(&self, keys: &[Enc], place: &Place) -> bool {
        keys.iter().all(|key| self.in_the_way(key, place).is_none())
    }

    /// Who holds the key, or else reserves it.
    pub(super) fn in_the_way(&self, key: &Enc, place: &Place) -> Option<&Place> {
        let holder = self.holders.get(key).and_then(|holders| holders.iter().find(|holder| *holder != place));
        holder.or_else(|| self.first(key).filter(|first| *first != place))
    }

    fn first(&self, key: &Enc) -> Option<&Place> {
        self.queues.get(key)?.first_key_value().map(|(_, place)| place)
    }

    /// Queues up for all keys, unless it does already.
    pub(super) fn wait(&mut self, keys: &[Enc], place: &Place) {
        if self.waiting.contains_key(place) {
            return;
        }
        self.issued += 1;
        for key in keys {
            self.queues.entry(key.clone()).or_default().insert(self.issued, place.clone());
        }
        self.waiting.insert(place.clone(), (self.issued, keys.to_vec()));
    }

    /// Leaves all queues; returns who may look again: those who come first now for a key that nobody holds.
    pub(super) fn leave(&mut self, place: &Place) -> Vec<Place> {
        let Some((number, keys)) = self.waiting.remove(place) else { return Vec::new() };
        let mut next = Vec::new();
        for key in &keys {
            let Some(queue) = self.queues.get_mut(key) else { continue };
            let was_first = queue.first_key_value().is_some_and(|(first, _)| *first == number);
            queue.remove(&number);
            if queue.is_empty() {
                self.queues.remove(key);
            } else if was_first && !self.holders.contains_key(key) {
                next.extend(self.first(key).cloned());
            }
        }
        next
    }

    /// Everybody who waits.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Place> {
        self.waiting.keys()
    }

    /// Those of a run who wait.
    pub(super) fn waiters_of(&self, run: &RunId) -> Vec<Place> {
        let from = (run.clone(), 0);
        self.waiting.range(from..).map(|(place, _)| place).take_while(|(id, _)| id == run).cloned().collect()
    }

    #[cfg(test)]
    pub(super) fn holders(&self) -> &BTreeMap<Enc, BTreeSet<Place>> {
        &self.holders
    }

    #[cfg(test)]
    pub(super) fn queues(&self) -> &BTreeMap<Enc, BTreeMap<u64, Place>> {
        &self.queues
    }
}
