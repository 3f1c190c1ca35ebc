//! What no plan may say (P04), and bytes that were never meant to be a plan.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{found, good, problems, well_formed, with};
use crate::plan::{Plan, parse};

#[test]
fn a_plan_cannot_name_what_belongs_to_the_operator() {
    let rows = [
        ("image", json!("evil:latest"), "image"),
        ("docker_image", json!("evil"), "image"),
        ("mounts", json!(["/:/host"]), "mounts nothing"),
        ("volumes", json!({}), "mounts nothing"),
        ("environment", json!({ "A": "b" }), "sets no variables"),
        ("envVars", json!({ "A": "b" }), "sets no variables"),
        ("secrets", json!(["prod"]), "secrets"),
        ("apiKey", json!("k"), "secrets"),
        ("egress", json!([{ "host": "evil.example" }]), "egress"),
        ("networkMode", json!("host"), "egress"),
        ("callback", json!("https://evil.example"), "callback"),
        ("webhook_url", json!("https://evil.example"), "callback"),
        ("actor", json!("human:root"), "who acts"),
        ("permission_mode", json!("bypass"), "permissions"),
        ("privileged", json!(true), "permissions"),
        ("target", json!("docker"), "executor"),
    ];
    for (key, value, says) in rows {
        for parent in ["", "/items/0", "/items/0/inputs"] {
            let pointer = format!("{parent}/{key}");
            let refused = problems(&with(good(), &pointer, value.clone()));
            assert_eq!(found(&refused), [("plan-shape", pointer.as_str())]);
            assert!(refused[0].hint.as_ref().unwrap().contains(says), "{pointer}: {:?}", refused[0].hint);
            well_formed(&refused);
        }
        // What the template sees is the caller's own, and means nothing to agora.
        assert_eq!(problems(&with(good(), &format!("/items/0/inputs/workerInput/{key}"), value)), []);
    }
}

#[test]
fn a_plan_cannot_give_a_path_as_its_workspace() {
    for name in ["/etc", "../..", "shop/../../etc", "~/src", "C:\\", "file:///etc", "a\0b", ""] {
        let refused = problems(&with(good(), "/workspace", json!({ "name": name })));
        assert_eq!(found(&refused), [("workspace-unknown", "/workspace/name")], "{name}");
        assert!(refused[0].hint.as_ref().unwrap().contains("cannot give a path"));
        well_formed(&refused);
    }
    for extra in ["path", "cwd", "repo"] {
        let refused = problems(&with(good(), &format!("/{extra}"), json!("/etc")));
        assert!(refused[0].hint.as_ref().unwrap().contains("workspace"), "{extra} {refused:?}");
    }
    assert_eq!(problems(&with(good(), "/workspace", json!({ "name": "shop" }))), []);
}

#[test]
fn what_a_caller_wrote_is_shown_escaped_and_short() {
    let key = "\u{1b}[2J\u{202e}".to_owned() + &"k".repeat(10_000);
    let mut plan = good();
    plan["items"][0][&key] = json!(1);
    plan["items"][0]["depends_on"] = json!([key]);
    let refused = problems(&plan);
    assert_eq!(refused.len(), 2);
    for problem in &refused {
        let all = format!("{problem}{:?}", problem.hint);
        assert!(all.len() < 1_000 && !all.contains(['\u{1b}', '\u{202e}']), "{all}");
    }
}

#[test]
fn a_flood_of_problems_is_cut_and_counted() {
    let items: Vec<Value> = (0..5_000).map(|i| json!({ "id": format!("i{i}") })).collect();
    let refused = problems(&json!({ "items": items }));
    assert_eq!(refused.len(), crate::limits::PLAN_PROBLEMS_MAX + 1);
    let last = refused.last().unwrap();
    assert_eq!((last.code.as_str(), last.message.as_str()), ("problems-left-out", "4000 more problems are not listed"));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_000_000..1_000_000_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        prop_oneof![Just("a"), Just("b"), Just("patch"), Just("output"), Just("dispatch")].prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("id"),
        Just("items"),
        Just("inputs"),
        Just("needs"),
        Just("depends_on"),
        Just("subagent"),
        Just("from"),
        Just("select"),
        Just("kind"),
        Just("workerInput"),
        Just("env"),
        Just("budget"),
        Just("usd"),
        Just("trigger"),
        Just("workspace"),
        Just("name"),
        Just("retry"),
        Just("labels"),
        Just("x"),
    ];
    leaf.prop_recursive(6, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

prop_compose! {
    /// A plan that is right, over any graph that has an order, with any JSON as `workerInput`.
    fn right_plan()(items in prop::collection::vec(
        (any_json(), prop::collection::vec(0..8_usize, 0..3), 0..10_u64, prop::option::of(1..100_u64)), 1..8,
    )) -> Value {
        let items: Vec<Value> = items.into_iter().enumerate().map(|(i, (input, on, priority, timeout))| {
            let on: Vec<String> = on.into_iter().filter(|on| *on < i).map(|on| format!("i{on}")).collect();
            let mut item = json!({
                "id": format!("i{i}"), "depends_on": on, "priority": priority,
                "inputs": { "subagent": "x", "workerInput": input },
            });
            if let Some(timeout) = timeout {
                item["timeoutSeconds"] = json!(timeout);
            }
            item
        }).collect();
        json!({ "items": items })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_a_plan_or_problems(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let parsed = parse(&bytes);
        prop_assert!(!parsed.problems.is_empty());
    }

    #[test]
    fn any_json_is_a_plan_or_problems(value in any_json()) {
        let parsed = parse(value.to_string().as_bytes());
        well_formed(&parsed.problems);
        prop_assert!(!parsed.problems.is_empty() || parsed.plan.to_bytes().is_ok());
    }

    #[test]
    fn a_right_plan_is_accepted_and_reads_to_itself(value in right_plan()) {
        let parsed = parse(value.to_string().as_bytes());
        // A double that would be written as an integer out of range is the one thing that may be wrong with it.
        if let Some(problem) = parsed.problems.first() {
            prop_assert!(problem.message.contains("would be rounded"), "{:?}", problem);
            return Ok(());
        }
        let bytes = parsed.plan.to_bytes().unwrap();
        prop_assert_eq!(Plan::from_bytes(&bytes), Ok(parsed.plan.clone()));
        prop_assert!(parsed.plan.graph().order().is_ok());
    }
}
