//! From texts to a graph: ids are unique, dependencies and producers exist, nothing waits for itself.

use std::collections::{BTreeMap, BTreeSet};

use super::code::Code;
use super::cursor::{Place, Report};
use super::item::Draft;
use super::model::{Item, Plan, Select};
use super::suggest::shown;
use crate::graph::Graph;
use crate::id::ItemId;
use crate::limits::{CYCLE_ITEMS_SHOWN_MAX, ITEM_RECORD_BYTES_MAX, PLAN_CYCLES_MAX, RUN_EDGES_MAX};

impl Plan {
    /// The graph of the items, by position. A dependency on what the plan does not hold is left out: a plan that parsed
    /// without problems has none.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let mut at: BTreeMap<&str, usize> = BTreeMap::new();
        for (position, item) in self.items.iter().enumerate() {
            at.entry(item.id.as_str()).or_insert(position);
        }
        let on = |item: &Item| item.depends_on.iter().filter_map(|id| at.get(id.as_str()).copied()).collect();
        Graph::new(self.items.iter().map(on).collect())
    }
}

impl Item {
    /// An upper bound, in bytes, for the part of any one record that names this item with all it depends on, takes and
    /// locks: the lease is the largest. Names outside ASCII count three times, as they are percent-encoded.
    #[must_use]
    pub fn record_bytes_max(&self) -> usize {
        // A digest of 71 bytes, a sequence number of up to 16, and the names and quotes of the members.
        const PATCH_INPUT: usize = 140;
        const NAMED_INPUT: usize = 170;
        const FIXED: usize = 1_024;
        let patches: usize = self.depends_on.iter().map(|on| PATCH_INPUT + on.as_str().len()).sum();
        let products: usize = self
            .needs
            .iter()
            .map(|(key, need)| {
                let path = match &need.select {
                    Select::Patch => 0,
                    Select::Output { path } => path.len(),
                };
                NAMED_INPUT + need.from.as_str().len() + 3 * (key.len() + path)
            })
            .sum();
        let refs = self.inputs().into_iter().flat_map(|inputs| inputs.input_refs.keys());
        let pinned: usize = refs.map(|key| NAMED_INPUT + 3 * key.len()).sum();
        let locks: usize = self.locks.iter().map(|lock| 3 * lock.len() + 3).sum();
        FIXED + self.id.as_str().len() + patches + products + pinned + locks
    }
}

/// What drafts are wired into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wired<'a> {
    /// The positions of the drafts in the document, where some of it were left out; else empty.
    pub(super) at: &'a [usize],
    /// Items that are there already: they wait for each other alone.
    pub(super) beside: &'a [Item],
}

impl Wired<'_> {
    /// A plan: nothing was there before.
    pub(super) fn plan() -> Self {
        Self { at: &[], beside: &[] }
    }

    fn position(&self, draft: usize) -> usize {
        self.at.get(draft).copied().unwrap_or(draft)
    }

    fn whole(&self) -> &'static str {
        if self.beside.is_empty() { "plan" } else { "run" }
    }
}

/// Resolves what the items wait for, and returns those that could be read whole, with their positions in the document.
pub(super) fn wire(
    drafts: Vec<Draft<'_>>,
    into: Wired<'_>,
    place: &Place<'_>,
    report: &mut Report,
) -> Vec<(usize, Item)> {
    // What is there already comes after the drafts: nothing of it waits for any of them.
    let mut at = positions(&drafts, into, place, report);
    for (ix, item) in into.beside.iter().enumerate() {
        at.entry(item.id.as_str()).or_insert(drafts.len() + ix);
    }
    let all = drafts.iter().map(|draft| draft.item.as_ref()).chain(into.beside.iter().map(Some)).enumerate();
    let approvals: BTreeSet<usize> =
        all.filter(|(_, item)| item.is_some_and(|item| item.approval().is_some())).map(|(ix, _)| ix).collect();
    let mut waits: Vec<Vec<usize>> = drafts
        .iter()
        .enumerate()
        .map(|(i, draft)| resolve(draft, (&at, &approvals), into, &place.index(into.position(i)), report))
        .collect();
    let ids: Vec<Option<ItemId>> = drafts
        .iter()
        .map(|draft| draft.id.clone())
        .chain(into.beside.iter().map(|item| Some(item.id.clone())))
        .collect();
    let there: usize = into.beside.iter().map(|item| item.depends_on.len()).sum();
    let edges: usize = waits.iter().map(Vec::len).sum::<usize>() + there;
    waits.resize(ids.len(), Vec::new());
    if edges > RUN_EDGES_MAX {
        report.too_large(place, &format!("the {}", into.whole()), edges, RUN_EDGES_MAX, "dependencies");
    } else {
        report_cycles(&Graph::new(waits.clone()), &ids, into, place, report);
    }
    let mut items = Vec::with_capacity(drafts.len());
    for (position, (draft, waits)) in drafts.into_iter().zip(waits).enumerate() {
        let Some(mut item) = draft.item else { continue };
        item.depends_on = waits.into_iter().filter_map(|on| ids.get(on).cloned().flatten()).collect();
        let bytes = item.record_bytes_max();
        if bytes > ITEM_RECORD_BYTES_MAX {
            report.about(Some(&item.id));
            let what = "its record, which names all that it depends on, takes and locks,";
            report.too_large(&place.index(into.position(position)), what, bytes, ITEM_RECORD_BYTES_MAX, "bytes");
            report.about(None);
        }
        items.push((into.position(position), item));
    }
    items
}

fn positions<'d>(
    drafts: &'d [Draft<'_>],
    into: Wired<'_>,
    place: &Place<'_>,
    report: &mut Report,
) -> BTreeMap<&'d str, usize> {
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    for (position, id) in drafts.iter().enumerate().filter_map(|(i, draft)| Some((i, draft.id.as_ref()?))) {
        if let Some(first) = at.get(id.as_str()) {
            let message = format!("the id {id} is given twice, first at {}", place.index(into.position(*first)));
            let place = place.index(into.position(position));
            let problem = Code::IdDuplicate.problem(place.key("id").to_string(), message);
            report.refuse(problem.hint("give each item an id of its own"));
        } else {
            at.insert(id.as_str(), position);
        }
    }
    at
}

/// The positions of what an item waits for: `depends_on` as given, then the producers of `needs`, each once.
fn resolve(
    draft: &Draft<'_>,
    (at, approvals): (&BTreeMap<&str, usize>, &BTreeSet<usize>),
    into: Wired<'_>,
    place: &Place<'_>,
    report: &mut Report,
) -> Vec<usize> {
    let (whole, mut waits, mut seen) = (into.whole(), Vec::new(), BTreeSet::new());
    report.about(draft.id.as_ref());
    for (i, id) in &draft.depends_on {
        match at.get(id) {
            Some(on) if seen.insert(*on) => waits.push(*on),
            Some(_) => {}
            None => {
                let message = format!("depends on {}, which is no item of the {whole}", shown(id));
                let known = ("items", at.keys().copied());
                report.unknown(Code::DepUnknown, &place.key("depends_on").index(*i), message, id, known);
            }
        }
    }
    for (key, from) in &draft.producers {
        match at.get(from) {
            Some(on) if approvals.contains(on) => {
                let message = format!("needs a product of {from}, which is an approval and makes none");
                let problem = Code::NeedType.problem(place.key("needs").key(key).key("from").to_string(), message);
                report.refuse(problem.hint("name it in `depends_on`, and take products from what it approves"));
            }
            Some(on) if seen.insert(*on) => waits.push(*on),
            Some(_) => {}
            None => {
                let message = format!("needs a product of {}, which is no item of the {whole}", shown(from));
                let known = ("items", at.keys().copied());
                report.unknown(Code::NeedUnknown, &place.key("needs").key(key).key("from"), message, from, known);
            }
        }
    }
    report.about(None);
    waits
}

fn report_cycles(graph: &Graph, ids: &[Option<ItemId>], into: Wired<'_>, place: &Place<'_>, report: &mut Report) {
    if graph.order().is_ok() {
        return;
    }
    for cycle in graph.cycles(PLAN_CYCLES_MAX) {
        let Some(&first) = cycle.first() else { continue };
        let named: Vec<&str> =
            cycle.iter().filter_map(|item| ids.get(*item).and_then(Option::as_ref)).map(ItemId::as_str).collect();
        let problem = Code::DepCycle.problem(
            place.index(into.position(first)).key("depends_on").to_string(),
            format!("these items wait for each other: {}", in_full(&named)),
        );
        report.refuse(
            problem.hint("each depends on the next (by `depends_on` or `needs`); take out one of these dependencies"),
        );
    }
}

/// `a → b → a`; of a very long cycle the ends, and how many lie between.
fn in_full(cycle: &[&str]) -> String {
    let first = cycle.first().copied().unwrap_or_default();
    let half = CYCLE_ITEMS_SHOWN_MAX / 2;
    if cycle.len() <= CYCLE_ITEMS_SHOWN_MAX {
        return format!("{} → {first}", cycle.join(" → "));
    }
    let (head, tail) = (&cycle[..half], &cycle[cycle.len() - half..]);
    let between = cycle.len() - 2 * half;
    format!("{} → … {between} more … → {} → {first}", head.join(" → "), tail.join(" → "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_is_written_in_full_up_to_its_bound() {
        assert_eq!(in_full(&["a"]), "a → a");
        assert_eq!(in_full(&["a", "b"]), "a → b → a");
        let names: Vec<String> = (0..=CYCLE_ITEMS_SHOWN_MAX).map(|i| format!("i{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(!in_full(&names[1..]).contains('…'));
        assert!(in_full(&names).contains("i49 → … 1 more … → i51"));
    }
}
