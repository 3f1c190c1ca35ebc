//! What a plan looks like before it runs: its layers, its longest chain, who waits for whose lock.

use std::collections::BTreeMap;

use super::model::Plan;
use crate::id::ItemId;

/// The shape of a plan. Of one whose items wait for each other, layers and path are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overview {
    /// Items by layer: those of one layer may run at the same time, as far as locks and slots allow.
    pub layers: Vec<Vec<ItemId>>,
    /// A longest chain of items that each depend on the one before.
    pub critical_path: Vec<ItemId>,
    /// Locks that more than one item takes, and these items in plan order.
    pub contention: BTreeMap<String, Vec<ItemId>>,
}

/// Returns the shape of a plan.
#[must_use]
pub fn overview(plan: &Plan) -> Overview {
    let graph = plan.graph();
    let ids = |positions: Vec<usize>| -> Vec<ItemId> {
        positions.into_iter().filter_map(|position| Some(plan.items.get(position)?.id.clone())).collect()
    };
    let mut contention: BTreeMap<String, Vec<ItemId>> = BTreeMap::new();
    for item in &plan.items {
        for lock in &item.locks {
            contention.entry(lock.clone()).or_default().push(item.id.clone());
        }
    }
    contention.retain(|_, items| items.len() > 1);
    Overview {
        layers: graph.layers().unwrap_or_default().into_iter().map(ids).collect(),
        critical_path: graph.critical_path().map(ids).unwrap_or_default(),
        contention,
    }
}
