//! Extensions: what the run has stays, what is new is wired into it, and every problem comes at once.

use serde_json::{Value, json};

use super::{found, well_formed};
use crate::plan::{Growth, Plan, items_from_bytes, items_to_bytes, parse, parse_growth};

fn item(id: &str, deps: &[&str]) -> Value {
    json!({ "id": id, "depends_on": deps, "inputs": { "subagent": "s", "workerInput": { "at": 1.5 } } })
}

fn taking(id: &str, from: &str) -> Value {
    let mut item = item(id, &[]);
    item["needs"] = json!({ "x": { "from": from, "select": { "kind": "patch" } } });
    item
}

/// `a`, and `b` that takes a patch of it.
fn run() -> Plan {
    let plan = json!({ "openEnded": true, "queue": "fast", "items": [item("a", &[]), taking("b", "a")] });
    let parsed = parse(plan.to_string().as_bytes());
    assert_eq!(parsed.problems, []);
    parsed.plan
}

fn grow(items: Value) -> Growth {
    parse_growth(json!({ "items": items }).to_string().as_bytes(), &run())
}

#[test]
fn new_items_are_wired_into_the_run() {
    let growth = grow(json!([item("d", &["c", "a"]), taking("c", "b")]));
    assert_eq!((growth.parsed.problems.len(), growth.known), (0, 0));
    let plan = &growth.parsed.plan;
    let shown = plan.items.iter().map(|i| (i.id.as_str(), i.depends_on.iter().map(|d| d.as_str()).collect()));
    let shown: Vec<(&str, Vec<&str>)> = shown.collect();
    assert_eq!(shown, [("d", vec!["c", "a"]), ("c", vec!["b"])]);
    assert_eq!((plan.queue.as_str(), plan.id.is_none()), ("fast", true));
    let looked_up: Vec<_> = growth.parsed.to_look_up().items.into_iter().map(|item| item.id.to_string()).collect();
    assert_eq!(looked_up, ["d", "c", "b"], "the producer of what is taken is looked up too");
}

#[test]
fn an_item_given_again_is_known_as_it_is_and_refused_as_another() {
    let growth = grow(json!([taking("b", "a"), item("c", &["b"]), item("a", &[])]));
    assert_eq!((growth.parsed.problems.len(), growth.known), (0, 2));
    assert_eq!(growth.parsed.plan.items.len(), 1);
    let mut other = item("a", &[]);
    other["priority"] = json!(3);
    let growth = grow(json!([item("c", &[]), other, item("b", &["a"])]));
    assert_eq!(found(&growth.parsed.problems), [("item-conflict", "/items/1/id"), ("item-conflict", "/items/2/id")]);
    well_formed(&growth.parsed.problems);
}

#[test]
fn all_that_is_wrong_comes_at_once_with_its_place_in_the_extension() {
    let growth = grow(json!([
        item("a", &[]),
        item("c", &["d"]),
        item("d", &["c"]),
        item("e", &["nobody"]),
        item("e", &[]),
        { "id": "f", "executor": "dispatch" },
    ]));
    let problems = &growth.parsed.problems;
    well_formed(problems);
    let wanted = [
        ("dep-cycle", "/items/1/depends_on"),
        ("dep-unknown", "/items/3/depends_on/0"),
        ("id-duplicate", "/items/4/id"),
        ("plan-shape", "/items/5"),
    ];
    assert_eq!(found(problems), wanted, "the known item before them shifts no place");
    assert!(problems[1].message.contains("no item of the run"), "{:?}", problems[1]);
}

#[test]
fn what_is_no_extension_is_refused() {
    for (text, code, at) in [
        ("", "plan-shape", "byte 0"),
        ("[]", "plan-shape", ""),
        ("{}", "plan-shape", ""),
        (r#"{"items":[]}"#, "plan-empty", "/items"),
    ] {
        let problems = parse_growth(text.as_bytes(), &run()).parsed.problems;
        assert_eq!(found(&problems), [(code, at)], "{text}");
        well_formed(&problems);
    }
    let with_more = json!({ "queue": "slow", "items": [item("c", &[])] });
    let problems = parse_growth(with_more.to_string().as_bytes(), &run()).parsed.problems;
    assert_eq!(found(&problems), [("plan-shape", "/queue")]);
}

#[test]
fn the_stored_items_are_read_as_they_were_written_and_in_no_other_form() {
    let items = grow(json!([item("d", &["c", "a"]), taking("c", "b")])).parsed.plan.items;
    let bytes = items_to_bytes(&items).unwrap();
    assert_eq!(items_from_bytes(&bytes).unwrap(), items);
    assert_eq!(items_from_bytes(b"[]").unwrap(), []);
    let spaced = String::from_utf8(bytes).unwrap().replacen(',', ", ", 1);
    for bad in [spaced.as_bytes(), b"{}", b"[1]", b""] {
        assert!(items_from_bytes(bad).is_err());
    }
}
