//! Plans as JSON.

use serde_json::{Value, json};

/// An item of the subagent `noop` that depends on these.
pub(crate) fn item(id: &str, depends_on: &[&str]) -> Value {
    json!({ "id": id, "inputs": { "subagent": "noop", "workerInput": { "prompt": "do it" } }, "depends_on": depends_on })
}

/// A plan of these items.
pub(crate) fn plan(id: &str, items: Vec<Value>) -> Value {
    json!({ "id": id, "items": items })
}

/// Items `i0`, `i1`, … that depend on nothing.
pub(crate) fn fan_out(id: &str, count: usize) -> Value {
    plan(id, (0..count).map(|at| item(&format!("i{at}"), &[])).collect())
}

/// Items `i0`, `i1`, … of which each depends on the one before.
pub(crate) fn chain(id: &str, count: usize) -> Value {
    let items = (0..count).map(|at| match at {
        0 => item("i0", &[]),
        _ => item(&format!("i{at}"), &[&format!("i{}", at - 1)]),
    });
    plan(id, items.collect())
}
