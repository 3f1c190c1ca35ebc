//! An extension: items for a run that is there already. What the run has is never changed: an item that is given again as
//! it is counts as known, and one that is given again as another is refused.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::code::Code;
use super::cursor::{Place, Report};
use super::model::{Item, Plan};
use super::parse::{Parsed, not_json};
use super::{item, keys, wiring};
use crate::canon;
use crate::limits::{PLAN_BYTES_MAX, PLAN_DEPTH_MAX, RUN_ITEMS_MAX};

/// An extension as far as it could be read.
#[derive(Debug, Clone)]
pub struct Growth {
    /// The items that the run does not have, in the order of the document, with the run's queue; to be checked as a
    /// plan is.
    pub parsed: Parsed,
    /// How many of the given items the run has already, just as they are given.
    pub known: usize,
}

/// Reads an extension of a run, `{"items": […]}`, where `run` is its plan with all that was added since.
///
/// The graph is the merged one: a new item may depend on what the run has. Places are those of the extension.
#[must_use]
pub fn parse_growth(bytes: &[u8], run: &Plan) -> Growth {
    let mut report = Report::default();
    let value = match canon::parse(bytes, PLAN_DEPTH_MAX, PLAN_BYTES_MAX) {
        Ok(value) => Some(value),
        Err(error) => {
            report.refuse(not_json(&error, "the extension"));
            None
        }
    };
    grown(value.as_ref(), run, report)
}

/// The same for items that a pattern makes: what a caller's items must be, they must be too.
#[must_use]
pub fn growth_of(items: &[Item], run: &Plan) -> Growth {
    let value = json!({ "items": items.iter().map(Item::to_value).collect::<Value>() });
    grown(Some(&value), run, Report::default())
}

fn grown(value: Option<&Value>, run: &Plan, mut report: Report) -> Growth {
    let mut plan = run.head();
    let (mut positions, mut known, mut beside) = (Vec::new(), 0, Vec::new());
    if let Some(value) = value {
        let (items, seen) = read(value, run, &mut report);
        known = seen;
        positions = items.iter().map(|(position, _)| *position).collect();
        plan.items = items.into_iter().map(|(_, item)| item).collect();
        beside = producers(&plan, run);
    }
    let left_out = report.left_out();
    let (problems, warnings) = report.finish();
    Growth { parsed: Parsed { plan, problems, warnings, positions, left_out, beside }, known }
}

fn read(value: &Value, run: &Plan, report: &mut Report) -> (Vec<(usize, Item)>, usize) {
    let root = Place::Root;
    let Some(map) = report.object(&root, value) else { return (Vec::new(), 0) };
    keys::refuse_others(map, &root, keys::GROWTH, "an extension", report);
    let Some(list) = items_of(map, &root, report) else { return (Vec::new(), 0) };
    let place = root.key("items");
    if list.is_empty() {
        let problem = Code::PlanEmpty.problem(place.to_string(), "the extension has no items");
        report.refuse(problem.hint("add at least one item, or only close the run"));
    }
    if run.items.len() + list.len() > RUN_ITEMS_MAX {
        report.too_large(&place, "the run with these", run.items.len() + list.len(), RUN_ITEMS_MAX, "elements");
        return (Vec::new(), 0);
    }
    let mine: BTreeMap<&str, &Item> = run.items.iter().map(|item| (item.id.as_str(), item)).collect();
    let (mut drafts, mut at, mut known) = (Vec::new(), Vec::new(), 0);
    for (position, value) in list.iter().enumerate() {
        let here = place.index(position);
        let draft = item::read(value, &here, report);
        match draft.id.as_ref().and_then(|id| mine.get(id.as_str())) {
            None => {
                drafts.push(draft);
                at.push(position);
            }
            Some(item) if draft.whole().as_ref() == Some(*item) => known += 1,
            // What is wrong with it was noted already.
            Some(_) if draft.item.is_none() => {}
            Some(item) => {
                let message = format!("the run has another item {}", item.id);
                let problem = Code::ItemConflict.problem(here.key("id").to_string(), message);
                report.refuse(problem.hint("what a run has never changes: give the new item an id of its own"));
            }
        }
    }
    (wiring::wire(drafts, wiring::Wired { at: &at, beside: &run.items }, &place, report), known)
}

fn items_of<'a>(map: &'a Map<String, Value>, root: &Place<'_>, report: &mut Report) -> Option<&'a [Value]> {
    match map.get("items") {
        Some(value) => report.array(&root.key("items"), value, RUN_ITEMS_MAX, "the extension"),
        None => {
            report.shape(root, "the extension lacks `items`", r#"add "items": [{"id": "…", "inputs": {…}}]"#);
            None
        }
    }
}

/// The run's own items whose products the new ones take: the types of both must agree.
fn producers(plan: &Plan, run: &Plan) -> Vec<Item> {
    let from = plan.items.iter().flat_map(|item| item.needs.values().map(|need| &need.from));
    let wanted: std::collections::BTreeSet<_> = from.collect();
    run.items.iter().filter(|item| wanted.contains(&item.id)).cloned().collect()
}
