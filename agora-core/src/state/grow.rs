//! `items.added`: a run gets items. Costs what the new items and their dependencies are, never what the run has.

use std::collections::{BTreeMap, BTreeSet};

use super::apply::Applied;
use super::item::{ItemState, ItemStatus, Knobs};
use super::run::RunState;
use crate::id::ItemId;
use crate::record::{Added, AddedItem, GrowthCause, NamedRef};
use crate::time::Time;

impl RunState {
    pub(super) fn add(&mut self, added: &Added, at: Time) -> Result<Applied, String> {
        match added.cause {
            GrowthCause::Extend if !self.may_grow() => return Err("the run takes no extension".to_owned()),
            GrowthCause::Plan | GrowthCause::Extend | GrowthCause::Pattern => {}
        }
        let source = self.source(added)?;
        let first = self.items.len();
        let mut fresh: BTreeMap<&ItemId, usize> = BTreeMap::new();
        let mut states = Vec::with_capacity(added.items.len());
        for (offset, item) in added.items.iter().enumerate() {
            let depends_on = self.resolve(item, &fresh)?;
            if self.index.contains_key(&item.id) || fresh.insert(&item.id, first + offset).is_some() {
                return Err(format!("the item {} is there already", item.id));
            }
            let uses = uses(item, &added.resolved)?;
            states.push(fresh_item(item, depends_on, uses, self.knobs_of(&item.id)?, at));
        }
        if let Some(source) = source {
            self.answered(source);
            for (offset, state) in states.iter_mut().enumerate() {
                state.source = Some(source);
                self.groups.entry(source).or_default().push(first + offset);
            }
        }
        self.index.extend(fresh.into_iter().map(|(id, ix)| (id.clone(), ix)));
        self.items.extend(states);
        self.link(first);
        Ok(Applied::Grew { from: first })
    }

    /// The indices of what an item depends on, each once: an item depends on earlier ones alone.
    fn resolve(&self, item: &AddedItem, fresh: &BTreeMap<&ItemId, usize>) -> Result<Vec<usize>, String> {
        let mut seen = BTreeSet::new();
        let mut depends_on = Vec::with_capacity(item.depends_on.len());
        for dep in &item.depends_on {
            let ix = fresh.get(dep).copied().or_else(|| self.index_of(dep));
            let ix =
                ix.ok_or_else(|| format!("the item {} depends on {dep}, which does not come before it", item.id))?;
            if seen.insert(ix) {
                depends_on.push(ix);
            }
        }
        Ok(depends_on)
    }

    fn knobs_of(&self, id: &ItemId) -> Result<Knobs, String> {
        match &self.knobs {
            None => Ok(Knobs::default()),
            Some(known) => known.get(id).cloned().ok_or_else(|| format!("the plan has no item {id}")),
        }
    }

    fn link(&mut self, first: usize) {
        for ix in first..self.items.len() {
            self.counts.enter(ItemStatus::Pending);
            let depends_on = std::mem::take(&mut self.items[ix].depends_on);
            for dep in &depends_on {
                self.items[*dep].dependents.push(ix);
                if self.items[*dep].status == ItemStatus::Done {
                    self.items[ix].undone -= 1;
                }
            }
            self.items[ix].depends_on = depends_on;
        }
    }
}

fn uses(item: &AddedItem, resolved: &[NamedRef]) -> Result<Vec<NamedRef>, String> {
    let at = |at: &u64| usize::try_from(*at).ok().and_then(|at| resolved.get(at)).cloned();
    let uses: Option<Vec<_>> = item.uses.iter().map(at).collect();
    uses.ok_or_else(|| format!("the item {} uses what was not resolved", item.id))
}

fn fresh_item(item: &AddedItem, depends_on: Vec<usize>, uses: Vec<NamedRef>, knobs: Knobs, at: Time) -> ItemState {
    ItemState {
        id: item.id.clone(),
        digest: item.digest,
        executor: item.executor.clone(),
        undone: depends_on.len(),
        depends_on,
        dependents: Vec::new(),
        heads: Vec::new(),
        needs: item.needs.clone(),
        locks: item.locks.clone(),
        uses,
        knobs,
        status: ItemStatus::Pending,
        since: at,
        not_before: None,
        attempts: 0,
        lease: None,
        ended: Vec::new(),
        question: None,
        failure: None,
        detail: None,
        due_to: None,
        cancel: None,
        accepted: None,
        source: None,
        made_good: false,
    }
}
