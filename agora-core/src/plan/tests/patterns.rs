//! Plans for queues with patterns: what a pattern cannot work with is refused before anything runs.

use serde_json::{Value, json};

use super::{found, well_formed};
use crate::error::Problem;
use crate::id::Name;
use crate::limits::{FIX_ATTEMPTS_DEFAULT, FIX_ATTEMPTS_MAX, PATTERN_ID_BYTES_MAX, PATTERN_ITEMS_MAX, REVIEWERS_MAX};
use crate::plan::{Plan, QueuePattern, arrange, parse};

fn problems(queue: &str, plan: Value) -> Vec<Problem> {
    let name = |pattern: QueuePattern| (Name::new(pattern.as_str()).unwrap(), pattern);
    let mut plan = plan;
    plan["queue"] = json!(queue);
    let queues = QueuePattern::ALL.into_iter().map(name).collect();
    arrange(parse(plan.to_string().as_bytes()), &queues).problems
}

fn item(id: &str, inputs: Value) -> Value {
    let mut all = json!({ "subagent": "s" });
    for (key, value) in inputs.as_object().unwrap() {
        all[key] = value.clone();
    }
    json!({ "id": id, "inputs": all })
}

fn template() -> Value {
    json!({ "inputs": { "subagent": "s" } })
}

fn splitter(id: &str) -> Value {
    item(id, json!({ "mapReduce": { "map": template(), "reduce": template() } }))
}

fn gate(id: &str, subject: Option<&str>) -> Value {
    let mut gate = json!({ "onRed": "spawn-fix", "fixTemplate": template() });
    if let Some(subject) = subject {
        gate["subject"] = json!(subject);
    }
    item(id, json!({ "gate": gate }))
}

fn passed_by(id: &str) -> Value {
    item(id, json!({ "gate": { "onRed": "advance" } }))
}

fn reviewed(id: &str) -> Value {
    let quorum = json!({ "reviewers": [template()], "threshold": 1, "commit": template(), "onReject": "block" });
    item(id, json!({ "quorum": quorum }))
}

fn plain(id: &str) -> Value {
    item(id, json!({}))
}

#[test]
fn each_queue_takes_the_keys_of_its_own_pattern() {
    for (queue, right, wrong, at) in [
        ("pipeline", gate("a", None), splitter("a"), "/items/0/inputs/mapReduce"),
        ("map-reduce", splitter("a"), gate("a", None), "/items/0/inputs/gate"),
        ("quorum", reviewed("a"), gate("a", None), "/items/0/inputs/gate"),
        ("static-dag", plain("a"), reviewed("a"), "/items/0/inputs/quorum"),
        ("not-there", plain("a"), reviewed("a"), "/items/0/inputs/quorum"),
    ] {
        assert_eq!(problems(queue, json!({ "items": [right] })), [], "{queue}");
        let refused = problems(queue, json!({ "items": [wrong] }));
        assert!(found(&refused).contains(&("pattern-mismatch", at)), "{queue}: {refused:?}");
        well_formed(&refused);
    }
}

#[test]
fn what_a_pattern_cannot_work_with_is_refused() {
    let needing = |from: &str| {
        let mut item = plain("b");
        item["needs"] = json!({ "x": { "from": from, "select": { "kind": "patch" } } });
        item
    };
    let long = "x".repeat(PATTERN_ID_BYTES_MAX + 1);
    for (queue, items, at) in [
        ("map-reduce", vec![plain("a")], "/items"),
        ("map-reduce", vec![splitter("a"), splitter("b")], "/items/1/inputs/mapReduce"),
        ("map-reduce", vec![splitter("a"), plain("reduce")], "/items/1/id"),
        ("map-reduce", vec![splitter("a"), plain("map-x")], "/items/1/id"),
        ("pipeline", vec![plain("a"), plain("a~2")], "/items/1/id"),
        ("pipeline", vec![gate("a", None), plain("a-fix-1")], "/items/1/id"),
        ("pipeline", vec![plain(&long)], "/items/0/id"),
        ("pipeline", vec![plain("a"), gate("b", Some("c")), plain("c")], "/items/1/inputs/gate/subject"),
        ("pipeline", vec![gate("b", Some("b"))], "/items/0/inputs/gate/subject"),
        ("pipeline", vec![passed_by("a"), needing("a")], "/items/1/needs/x"),
        ("quorum", vec![reviewed("a"), plain("a-commit")], "/items/1/id"),
        ("quorum", vec![reviewed("a"), plain("a-review-1-1")], "/items/1/id"),
    ] {
        let refused = problems(queue, json!({ "items": items }));
        assert_eq!(found(&refused), [("pattern-plan", at)], "{queue}");
        well_formed(&refused);
    }
    for (queue, items) in [
        ("map-reduce", vec![plain("z"), splitter("a")]),
        ("pipeline", vec![plain("a"), plain("a-fix-1")]),
        ("pipeline", vec![plain(&long[1..])]),
        ("pipeline", vec![plain("a"), plain("b"), gate("c", Some("a"))]),
        ("pipeline", vec![gate("a", None), needing("a")]),
        ("quorum", vec![reviewed("a"), reviewed("b"), plain("c-commit")]),
    ] {
        assert_eq!(problems(queue, json!({ "items": items })), [], "{queue}");
        let open = problems(queue, json!({ "items": items, "openEnded": true }));
        assert_eq!(found(&open), [("pattern-plan", "/openEnded")], "{queue}");
    }
}

#[test]
fn fixes_and_reviewers_have_bounds() {
    let gated = |often: u64| {
        let mut gate = gate("a", None);
        gate["inputs"]["gate"]["maxFixAttempts"] = json!(often);
        problems("pipeline", json!({ "items": [gate] }))
    };
    assert_eq!(gated(FIX_ATTEMPTS_MAX), []);
    assert_eq!(found(&gated(FIX_ATTEMPTS_MAX + 1)), [("plan-shape", "/items/0/inputs/gate/maxFixAttempts")]);
    let asked = |reviewers: usize| {
        let mut item = reviewed("a");
        item["inputs"]["quorum"]["reviewers"] = json!(vec![template(); reviewers]);
        problems("quorum", json!({ "items": [item] }))
    };
    assert_eq!(asked(REVIEWERS_MAX), []);
    assert_eq!(found(&asked(REVIEWERS_MAX + 1)), [("plan-too-large", "/items/0/inputs/quorum/reviewers")]);
    let unsaid = parse(json!({ "queue": "q", "items": [gate("a", None)] }).to_string().as_bytes()).plan;
    let said = gated_at(FIX_ATTEMPTS_DEFAULT);
    assert_eq!(unsaid.to_bytes().unwrap(), said.to_bytes().unwrap(), "what is left out is the default");
}

fn gated_at(often: u64) -> Plan {
    let mut gate = gate("a", None);
    gate["inputs"]["gate"]["maxFixAttempts"] = json!(often);
    parse(json!({ "queue": "q", "items": [gate] }).to_string().as_bytes()).plan
}

#[test]
fn patterns_are_counted() {
    for (count, wanted) in [(PATTERN_ITEMS_MAX, vec![]), (PATTERN_ITEMS_MAX + 1, vec![("plan-too-large", "/items")])] {
        let items: Vec<Value> = (0..count).map(|n| passed_by(&format!("g{n}"))).collect();
        assert_eq!(found(&problems("pipeline", json!({ "items": items }))), wanted);
    }
}

#[test]
fn an_item_of_a_pattern_leaves_its_keys_to_the_pattern() {
    let with = |inputs: Value| {
        let fix = json!({ "inputs": inputs });
        json!({ "items": [item("a", json!({ "gate": { "onRed": "spawn-fix", "fixTemplate": fix } }))] })
    };
    let digest = format!("sha256:{}", "0".repeat(64));
    let at = |rest: &str| format!("/items/0/inputs/gate/fixTemplate/inputs/{rest}");
    for (inputs, wanted) in [
        (json!({ "subagent": "s", "workerInput": { "pattern": 1 } }), at("workerInput/pattern")),
        (json!({ "subagent": "s", "inputRefs": { "report": digest } }), at("inputRefs/report")),
        (json!({ "subagent": "s", "gate": { "onRed": "advance" } }), at("gate")),
    ] {
        let refused = problems("pipeline", with(inputs));
        assert_eq!(found(&refused), [("plan-shape", wanted.as_str())]);
    }
    let fine = json!({ "subagent": "s", "workerInput": { "a": 1 }, "inputRefs": { "spec": digest } });
    assert_eq!(problems("pipeline", with(fine)), []);
}
