//! `pipeline`: a red gate is passed by, or fixed and tried again with all that depends on it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, json};

use super::answer::{Case, StuckReason, id, red_report, with_input};
use crate::id::ItemId;
use crate::plan::{Gate, Item, OnRed, generation};
use crate::state::ItemStatus;

/// What follows a red gate: a fix, the gate's next copy, and the next copies of what was skipped because of it; of a gate
/// that is passed by, these copies alone.
pub(super) fn answer(case: &Case<'_>, gate: &Gate) -> Result<Vec<Item>, StuckReason> {
    let mut copies = Copies { case, next: BTreeMap::new() };
    let mut items = Vec::new();
    match &gate.on_red {
        OnRed::Advance => {}
        OnRed::SpawnFix { fix, attempts_max } => {
            let (base, _) = generation(case.item.id.as_str());
            let round = case.run.numbered(&format!("{base}-fix-")) + 1;
            if round > *attempts_max {
                return Err(StuckReason::GateRed);
            }
            let fix_id = id(format!("{base}-fix-{round}"))?;
            // What a failed gate stood on, or what a gate that is done has left.
            let on = match case.ended.status {
                ItemStatus::Done => vec![case.item.id.clone()],
                _ => case.item.depends_on.clone(),
            };
            let mut told =
                Map::from_iter([("gate".to_owned(), json!(case.item.id)), ("round".to_owned(), json!(round))]);
            if let Some(subject) = &gate.subject {
                told.insert("subject".to_owned(), json!(case.run.latest(subject)));
            }
            let fix = fix.item(fix_id.clone(), on).told(told.into());
            items.push(with_input(fix, "report".to_owned(), red_report(case.ended)));
            copies.plan(&case.item.id)?;
            let mut again = copies.copy(&case.item.id)?;
            again.depends_on.push(fix_id);
            items.push(again);
        }
    }
    let skipped = skipped(case);
    for old in &skipped {
        copies.plan(old)?;
    }
    for old in &skipped {
        items.push(copies.copy(old)?);
    }
    Ok(items)
}

/// What was skipped because of the gate, the latest copy of each, in the order of the run.
fn skipped(case: &Case<'_>) -> Vec<ItemId> {
    let (run, mut seen) = (case.run, BTreeSet::new());
    let mut open = case.ended.dependents.clone();
    while let Some(ix) = open.pop() {
        let item = &run.items[ix];
        if item.due_to.as_ref() == Some(&case.item.id) && seen.insert(ix) {
            open.extend(&item.dependents);
        }
    }
    seen.into_iter().map(|ix| run.items[ix].id.clone()).filter(|id| run.latest(id) == *id).collect()
}

/// The copies in the making.
struct Copies<'a> {
    case: &'a Case<'a>,
    /// The plan's own id to the copy that comes next.
    next: BTreeMap<String, ItemId>,
}

impl Copies<'_> {
    fn plan(&mut self, old: &ItemId) -> Result<(), StuckReason> {
        let (base, number) = generation(old.as_str());
        self.next.insert(base.to_owned(), id(format!("{base}~{}", number + 1))?);
        Ok(())
    }

    /// The copy of what an item depends on, if there is one.
    fn of(&self, old: &ItemId) -> ItemId {
        self.next.get(generation(old.as_str()).0).cloned().unwrap_or_else(|| self.case.run.latest(old))
    }

    fn copy(&self, old: &ItemId) -> Result<Item, StuckReason> {
        let mut item = self.case.planned(old)?.clone();
        let gate = self.case.item;
        let passed_by = |on: &ItemId| *on == gate.id && !self.next.contains_key(generation(gate.id.as_str()).0);
        item.id = self.of(old);
        let on = std::mem::take(&mut item.depends_on);
        let on = on
            .iter()
            .flat_map(|on| if passed_by(on) { gate.depends_on.iter() } else { std::slice::from_ref(on).iter() });
        for on in on.map(|on| self.of(on)) {
            if !item.depends_on.contains(&on) {
                item.depends_on.push(on);
            }
        }
        for need in item.needs.values_mut() {
            need.from = self.of(&need.from);
        }
        Ok(item)
    }
}
