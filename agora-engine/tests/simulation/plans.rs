//! Random graphs.

use std::collections::BTreeMap;

use agora_testkit::simulation::Chaos;
use serde_json::{Value, json};

/// A plan and what the checker knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) json: Value,
    /// Each item with what it depends on.
    pub(crate) items: BTreeMap<String, Vec<String>>,
}

/// Draws a plan: a chain, a fan, diamonds or whatever comes, with locks that other runs want too.
pub(crate) fn draw(chaos: &Chaos, at: usize) -> Plan {
    let id = format!("run-{at}");
    let (shape, count) = (chaos.below(4), 1 + chaos.below(6) as usize);
    let mut items = BTreeMap::new();
    let mut list = Vec::new();
    for ix in 0..count {
        let depends_on: Vec<usize> = match shape {
            0 => (ix > 0).then(|| ix - 1).into_iter().collect(),
            1 => (ix > 0).then_some(0).into_iter().collect(),
            // Layers of two, each behind the whole layer before it.
            2 => (0..ix).filter(|before| before / 2 + 1 == ix / 2).collect(),
            _ => (0..ix).filter(|_| chaos.below(3) == 0).collect(),
        };
        let depends_on: Vec<String> = depends_on.into_iter().map(|before| format!("i{before}")).collect();
        let locks: Vec<String> = (0..3).filter(|_| chaos.below(5) == 0).map(|key| format!("file-{key}")).collect();
        list.push(json!({
            "id": format!("i{ix}"),
            "inputs": { "subagent": "noop", "workerInput": { "prompt": "do it" } },
            "depends_on": depends_on,
            "resourceLocks": locks,
            "priority": chaos.below(3),
            "timeoutSeconds": 5 + chaos.below(30),
            "retry": { "max_attempts": 1 + chaos.below(3), "backoff_seconds": chaos.below(4) },
        }));
        items.insert(format!("i{ix}"), depends_on);
    }
    let queue = if chaos.below(2) == 0 { "default" } else { "other" };
    Plan { json: json!({ "id": id, "queue": queue, "items": list }), id, items }
}
