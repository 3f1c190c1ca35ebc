//! `map-reduce`: each output of the splitter becomes an item, and one more joins them.

use serde_json::json;

use super::answer::{Case, StuckReason, id};
use crate::id::ItemId;
use crate::limits::OUTPUTS_MAX;
use crate::plan::{Item, MapReduce, Need, Select};

/// What follows a splitter that is done. An untrusted worker named the outputs: a name that no id can be made of stops the
/// pattern, and none of them is worked on.
pub(super) fn answer(case: &Case<'_>, of: &MapReduce) -> Result<Vec<Item>, StuckReason> {
    let outputs = case.ended.accepted.as_ref().map(|accepted| accepted.outputs.as_slice()).unwrap_or_default();
    if outputs.len() > OUTPUTS_MAX {
        return Err(StuckReason::OutputsMany);
    }
    let splitter = &case.item.id;
    let mut items = Vec::with_capacity(outputs.len() + 1);
    for output in outputs {
        // Percent-encoded, so that whatever is no part of an id shows.
        let key = output.path.as_str();
        let id = ItemId::new(format!("map-{key}")).map_err(|_| StuckReason::OutputName)?;
        let mut item = of.map.item(id, vec![splitter.clone()]).told(json!({ "key": key }));
        if item.approval().is_none() {
            let need = Need { from: splitter.clone(), select: Select::Output { path: key.to_owned() } };
            item.needs.insert("item".to_owned(), need);
        }
        items.push(item);
    }
    let mut on: Vec<ItemId> = items.iter().map(|item| item.id.clone()).collect();
    if on.is_empty() {
        on.push(splitter.clone());
    }
    items.push(of.reduce.item(id("reduce".to_owned())?, on));
    Ok(items)
}
