//! Random graphs, approvals and gates among them, and what some of them grow by.

use std::collections::{BTreeMap, BTreeSet};

use agora_testkit::simulation::Chaos;
use serde_json::{Value, json};

/// A plan and what the checker knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) id: String,
    pub(crate) json: Value,
    /// Each item with what it depends on, those that may be added included.
    pub(crate) items: BTreeMap<String, Vec<String>>,
    /// The items that a person decides.
    pub(crate) approvals: BTreeSet<String>,
    /// Whether some items are gates, in a queue with the pattern `pipeline`.
    pub(crate) patterned: bool,
    /// What the run may grow by, if it is open-ended: any of it, in any order.
    pub(crate) growth: Vec<Vec<Value>>,
}

/// Draws a plan: a chain, a fan, diamonds or whatever comes, with locks that other runs want too.
pub(crate) fn draw(chaos: &Chaos, at: usize) -> Plan {
    let id = format!("run-{at}");
    let (shape, count) = (chaos.below(4), 1 + chaos.below(6) as usize);
    let (items, approvals) = (BTreeMap::new(), BTreeSet::new());
    let mut plan = Plan { json: json!({}), id, items, approvals, patterned: false, growth: Vec::new() };
    let mut list = Vec::new();
    for ix in 0..count {
        let depends_on: Vec<usize> = match shape {
            0 => (ix > 0).then(|| ix - 1).into_iter().collect(),
            1 => (ix > 0).then_some(0).into_iter().collect(),
            // Layers of two, each behind the whole layer before it.
            2 => (0..ix).filter(|before| before / 2 + 1 == ix / 2).collect(),
            _ => (0..ix).filter(|_| chaos.below(3) == 0).collect(),
        };
        let depends_on = depends_on.into_iter().map(|before| format!("i{before}")).collect();
        list.push(plan.item(chaos, format!("i{ix}"), depends_on));
    }
    let open_ended = chaos.below(3) == 0;
    for batch in 0..if open_ended { 1 + chaos.below(3) } else { 0 } {
        let mut items = Vec::new();
        for ix in 0..=chaos.below(2) {
            let mut depends_on: Vec<String> =
                (0..count).filter(|_| chaos.below(4) == 0).map(|there| format!("i{there}")).collect();
            depends_on.extend((ix > 0).then(|| format!("g{batch}-0")));
            items.push(plan.item(chaos, format!("g{batch}-{ix}"), depends_on));
        }
        plan.growth.push(items);
    }
    let mut queue = if chaos.below(2) == 0 { "default" } else { "other" };
    // No draw decides it, so that the schedules of fewer runs stay what they are.
    plan.patterned = at == 2 && !open_ended;
    if plan.patterned {
        queue = "checked";
        plan.gate(&mut list);
    }
    plan.json = json!({ "id": plan.id, "queue": queue, "openEnded": open_ended, "items": list });
    plan
}

impl Plan {
    fn item(&mut self, chaos: &Chaos, id: String, depends_on: Vec<String>) -> Value {
        self.items.insert(id.clone(), depends_on.clone());
        if chaos.below(8) == 0 {
            self.approvals.insert(id.clone());
            let inputs = json!({ "question": "go on?" });
            return json!({ "id": id, "executor": "approval", "depends_on": depends_on, "inputs": inputs });
        }
        let locks: Vec<String> = (0..3).filter(|_| chaos.below(5) == 0).map(|key| format!("file-{key}")).collect();
        json!({
            "id": id,
            "inputs": { "subagent": "noop", "workerInput": { "prompt": "do it" } },
            "depends_on": depends_on,
            "resourceLocks": locks,
            "priority": chaos.below(3),
            "timeoutSeconds": 5 + chaos.below(30),
            "retry": { "max_attempts": 1 + chaos.below(3), "backoff_seconds": chaos.below(4) },
        })
    }

    /// Makes two of three items gates, and of what depends on nothing the chain that the queue makes of it.
    fn gate(&mut self, list: &mut [Value]) {
        let mut last: Option<String> = None;
        for (ix, item) in list.iter_mut().enumerate() {
            let id = item["id"].as_str().unwrap().to_owned();
            let depends_on = self.items.get_mut(&id).unwrap();
            if depends_on.is_empty() {
                depends_on.extend(last.replace(id.clone()));
            }
            let fix = json!({ "inputs": { "subagent": "noop", "workerInput": { "prompt": "mend it" } } });
            let gate = match ix % 3 {
                0 => json!({ "onRed": "spawn-fix", "fixTemplate": fix, "maxFixAttempts": 2 }),
                1 => json!({ "onRed": "advance" }),
                _ => continue,
            };
            if !self.approvals.contains(&id) {
                item["inputs"]["gate"] = gate;
            }
        }
    }

    pub(crate) fn is_open_ended(&self) -> bool {
        !self.growth.is_empty()
    }
}
