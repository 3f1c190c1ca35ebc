//! Every limit of a plan at its boundary and one beyond (I08), and sizes that must stay cheap (C12).

use serde_json::{Value, json};

use super::{found, good, problems, with};
use crate::limits::{
    ATTEMPTS_DEFAULT, ATTEMPTS_MAX, BACKOFF_SECONDS_DEFAULT, BACKOFF_SECONDS_MAX, ITEM_CAPABILITIES_MAX, ITEM_ENVS_MAX,
    ITEM_INPUT_REFS_MAX, ITEM_LOCKS_MAX, ITEM_NEEDS_MAX, ITEM_RECORD_BYTES_MAX, LABEL_KEY_BYTES_MAX,
    LABEL_VALUE_BYTES_MAX, LABELS_MAX, LOCK_BYTES_MAX, MODEL_BYTES_MAX, PLAN_BYTES_MAX, PLAN_CYCLES_MAX,
    PLAN_DEPTH_MAX, PLAN_STORED_BYTES_MAX, PRIORITY_MAX, REV_BYTES_MAX, RUN_EDGES_MAX, RUN_ITEMS_MAX,
    RUN_WALL_SECONDS_MAX, SHAPE_BYTES_MAX, TIMEOUT_SECONDS_MAX,
};
use crate::plan::{Plan, StoredPlanError, overview, parse};

fn text(len: usize) -> Value {
    Value::String("x".repeat(len))
}

fn texts(len: usize) -> Value {
    (0..len).map(|i| Value::String(format!("n{i}"))).collect()
}

fn keyed(len: usize, value: &Value) -> Value {
    Value::Object((0..len).map(|i| (format!("k{i}"), value.clone())).collect())
}

#[test]
fn the_boundary_passes_and_one_more_is_refused() {
    let digest = json!(format!("sha256:{}", "0".repeat(64)));
    let need = json!({ "from": "b", "select": { "kind": "patch" } });
    let plan = with(good(), "/items/-", json!({ "id": "b", "inputs": { "subagent": "x" } }));
    let key = |len: usize| json!({ "x".repeat(len): "v" });
    let rev = |len: usize| json!({ "name": "cwd", "rev": "x".repeat(len) });
    type Make<'a> = &'a dyn Fn(usize) -> Value;
    let rows: [(&str, usize, Make<'_>, &str); 20] = [
        ("/labels", LABELS_MAX, &|n| keyed(n, &json!("v")), "plan-too-large"),
        ("/labels", LABEL_KEY_BYTES_MAX, &key, "plan-too-large"),
        ("/labels", LABEL_VALUE_BYTES_MAX, &|n| json!({ "k": text(n) }), "plan-too-large"),
        ("/workspace", REV_BYTES_MAX, &rev, "plan-too-large"),
        ("/budget", RUN_WALL_SECONDS_MAX as usize, &|n| json!({ "wall_seconds": n }), "plan-shape"),
        ("/budget", (1 << 53) - 1, &|n| json!({ "tokens": n }), "plan-shape"),
        ("/items/0/id", 128, &text, "id-syntax"),
        ("/items/0/resourceLocks", ITEM_LOCKS_MAX, &texts, "plan-too-large"),
        ("/items/0/resourceLocks", LOCK_BYTES_MAX, &|n| json!([text(n)]), "lock-syntax"),
        ("/items/0/subagentShape", SHAPE_BYTES_MAX, &text, "plan-too-large"),
        ("/items/0/timeoutSeconds", TIMEOUT_SECONDS_MAX as usize, &|n| json!(n), "plan-shape"),
        ("/items/0/retry", ATTEMPTS_MAX as usize, &|n| json!({ "max_attempts": n }), "plan-shape"),
        ("/items/0/retry", BACKOFF_SECONDS_MAX as usize, &|n| json!({ "backoff_seconds": n }), "plan-shape"),
        ("/items/0/priority", PRIORITY_MAX as usize, &|n| json!(n), "plan-shape"),
        ("/items/0/needs", ITEM_NEEDS_MAX, &|n| keyed(n, &need), "plan-too-large"),
        ("/items/0/inputs/inputRefs", ITEM_INPUT_REFS_MAX, &|n| keyed(n, &digest), "plan-too-large"),
        ("/items/0/inputs/env", ITEM_ENVS_MAX, &texts, "plan-too-large"),
        ("/items/0/inputs/capabilities", ITEM_CAPABILITIES_MAX, &texts, "plan-too-large"),
        ("/items/0/inputs/model", MODEL_BYTES_MAX, &text, "plan-too-large"),
        ("/queue", 64, &text, "queue-unknown"),
    ];
    for (pointer, max, make, code) in rows {
        assert_eq!(problems(&with(plan.clone(), pointer, make(max))), [], "{pointer} {max}");
        let refused = problems(&with(plan.clone(), pointer, make(max + 1)));
        assert_eq!(refused.len(), 1, "{pointer} {max} {refused:?}");
        assert_eq!(refused[0].code, code, "{pointer} {max}");
    }
}

#[test]
fn bytes_and_depth_of_the_document() {
    let padded = |len: usize| {
        let mut bytes = good().to_string().into_bytes();
        bytes.resize(len, b' ');
        parse(&bytes).problems
    };
    assert_eq!(padded(PLAN_BYTES_MAX), []);
    assert_eq!(found(&padded(PLAN_BYTES_MAX + 1))[0].0, "plan-too-large");
    // Plan, items, item and inputs are four levels.
    let nested = |levels: usize| {
        let deep = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        parse(good().to_string().replace("\"a.ts\"", &deep).as_bytes()).problems
    };
    assert_eq!(nested(PLAN_DEPTH_MAX - 5), []);
    assert_eq!(found(&nested(PLAN_DEPTH_MAX - 4))[0].0, "plan-too-large");
    assert_eq!(found(&nested(1_000_000))[0].0, "plan-too-large");
}

/// A plan whose item `i` depends on what `on` says, as text: building JSON values is most of the time otherwise.
fn plan_of(items: usize, on: impl Fn(usize) -> String) -> String {
    let items: Vec<String> = (0..items)
        .map(|i| format!(r#"{{"id":"i{i}","depends_on":[{}],"inputs":{{"subagent":"x"}}}}"#, on(i)))
        .collect();
    format!(r#"{{"items":[{}]}}"#, items.join(","))
}

#[test]
fn a_chain_of_20_000_and_a_fan_of_10_000_are_plans() {
    let chain = parse(plan_of(20_000, |i| if i == 0 { String::new() } else { format!(r#""i{}""#, i - 1) }).as_bytes());
    assert_eq!(chain.problems, []);
    assert_eq!(overview(&chain.plan).critical_path.len(), 20_000);
    let all = || (0..10_000).map(|i| format!(r#""i{i}""#)).collect::<Vec<_>>().join(",");
    let fan_in = parse(plan_of(10_001, |i| if i == 10_000 { all() } else { String::new() }).as_bytes());
    assert_eq!(fan_in.problems, []);
    assert_eq!(overview(&fan_in.plan).layers.iter().map(Vec::len).collect::<Vec<_>>(), [10_000, 1]);
}

#[test]
fn a_cycle_of_20_000_is_one_problem_of_bounded_length() {
    let ring = parse(plan_of(20_000, |i| format!(r#""i{}""#, (i + 1) % 20_000)).as_bytes());
    assert_eq!(found(&ring.problems), [("dep-cycle", "/items/0/depends_on")]);
    assert!(ring.problems[0].message.contains("… 19900 more …") && ring.problems[0].message.len() < 2_000);
}

#[test]
fn cycles_are_named_up_to_a_number_of_them() {
    // Pairs that wait for each other.
    let pairs = |count: usize| parse(plan_of(2 * count, |i| format!(r#""i{}""#, i ^ 1)).as_bytes()).problems;
    assert_eq!(pairs(PLAN_CYCLES_MAX).len(), PLAN_CYCLES_MAX);
    assert_eq!(pairs(PLAN_CYCLES_MAX + 1).len(), PLAN_CYCLES_MAX);
}

#[test]
fn what_is_left_out_is_the_default() {
    let retry = parse(good().to_string().as_bytes()).plan.items[0].retry;
    assert_eq!((retry.max_attempts, retry.backoff_seconds), (ATTEMPTS_DEFAULT, BACKOFF_SECONDS_DEFAULT));
}

/// A stored plan may be longer than one that is handed in, up to a bound of its own.
#[test]
fn a_stored_plan_has_a_longest_length() {
    let padded = |len: usize| {
        let mut bytes = parse(good().to_string().as_bytes()).plan.to_bytes().unwrap();
        bytes.resize(len, b' ');
        Plan::from_bytes(&bytes)
    };
    assert!(matches!(padded(PLAN_STORED_BYTES_MAX), Err(StoredPlanError::NotNormal)));
    assert!(matches!(padded(PLAN_STORED_BYTES_MAX + 1), Err(StoredPlanError::Refused(_))));
}

#[test]
fn items_and_edges_of_the_whole() {
    assert_eq!(parse(plan_of(RUN_ITEMS_MAX, |_| String::new()).as_bytes()).problems, []);
    let refused = parse(plan_of(RUN_ITEMS_MAX + 1, |_| String::new()).as_bytes()).problems;
    assert_eq!(found(&refused), [("plan-too-large", "/items")]);
    // 500 items that each depend on the first 1,000, and one more edge.
    let first = (0..1_000).map(|i| format!(r#""i{i}""#)).collect::<Vec<_>>().join(",");
    let dense = |more: usize| {
        plan_of(1_501, |i| match i {
            1_000..1_500 => first.clone(),
            1_500 if more == 1 => r#""i0""#.to_owned(),
            _ => String::new(),
        })
    };
    assert_eq!(500 * 1_000, RUN_EDGES_MAX);
    assert_eq!(parse(dense(0).as_bytes()).problems, []);
    assert_eq!(found(&parse(dense(1).as_bytes()).problems), [("plan-too-large", "/items")]);
}

#[test]
fn an_item_whose_record_could_not_fit_is_refused() {
    // Producers with long ids, as many as the bound holds: 140 bytes and the id each, and what is fixed.
    let id = |i: usize| format!("{i:0>128}");
    let fits = (ITEM_RECORD_BYTES_MAX - 1_024 - 1) / (140 + 128);
    let plan = |producers: usize| {
        let mut items: Vec<Value> =
            (0..producers).map(|i| json!({ "id": id(i), "inputs": { "subagent": "x" } })).collect();
        let on: Vec<String> = (0..producers).map(id).collect();
        items.push(json!({ "id": "z", "depends_on": on, "inputs": { "subagent": "x" } }));
        json!({ "items": items })
    };
    assert_eq!(problems(&plan(fits)), []);
    let refused = problems(&plan(fits + 1));
    assert_eq!(found(&refused), [("plan-too-large", format!("/items/{}", fits + 1).as_str())]);
}
