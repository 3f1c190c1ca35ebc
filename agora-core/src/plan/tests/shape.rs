//! Keys, types, ids, edges.

use serde_json::{Value, json};

use super::{found, good, problems, well_formed, with};
use crate::limits::QUESTION_BYTES_MAX;
use crate::plan::{Code, Plan, parse};

#[test]
fn what_is_no_plan_at_all_is_refused_with_its_place() {
    for (text, code, at) in [
        ("", "plan-shape", "byte 0"),
        ("[]", "plan-shape", ""),
        ("null", "plan-shape", ""),
        ("{}", "plan-shape", ""),
        (r#"{"items":[]}"#, "plan-empty", "/items"),
        (r#"{"items":{}}"#, "plan-shape", "/items"),
        (r#"{"items":[1]}"#, "plan-shape", "/items/0"),
        (r#"{"items":[],"items":[]}"#, "plan-shape", "/items"),
        (r#"{"items":[]} x"#, "plan-shape", "byte 13"),
    ] {
        let problems = parse(text.as_bytes()).problems;
        assert_eq!(found(&problems), [(code, at)], "{text}");
        well_formed(&problems);
    }
    assert_eq!(problems(&good()), []);
}

#[test]
fn each_value_is_refused_where_it_is_wrong_and_accepted_where_it_is_right() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let rows = [
        ("/id", json!("a b"), "id-syntax", json!("rename-logger")),
        ("/id", json!(1), "plan-shape", json!("a")),
        ("/queue", json!("Default"), "queue-unknown", json!("default")),
        ("/queue", json!(null), "plan-shape", json!("fast")),
        ("/workspace", json!("cwd"), "plan-shape", json!({ "name": "cwd" })),
        ("/workspace", json!({}), "plan-shape", json!({ "name": "shop", "rev": "main~2" })),
        ("/workspace", json!({ "name": "cwd", "dirty": "yes" }), "plan-shape", json!({ "name": "cwd", "dirty": true })),
        (
            "/workspace",
            json!({ "name": "cwd", "dirty": true, "rev": "v1" }),
            "plan-shape",
            json!({ "name": "cwd", "rev": "v1" }),
        ),
        ("/workspace", json!({ "name": "cwd", "rev": "--exec=x" }), "plan-shape", json!({ "name": "cwd", "rev": "x" })),
        ("/openEnded", json!("false"), "plan-shape", json!(true)),
        ("/labels", json!({ "issue": 7 }), "plan-shape", json!({ "issue": "7" })),
        ("/labels", json!({ "issue": "a\u{1b}[2J" }), "plan-shape", json!({ "any key": "é" })),
        ("/budget", json!({ "usd": 5.0 }), "plan-shape", json!({ "usd": "5.00" })),
        ("/budget", json!({ "usd": "5.0000001" }), "plan-shape", json!({ "usd": "5.000001" })),
        ("/budget", json!({ "tokens": 0 }), "plan-shape", json!({ "tokens": 1 })),
        ("/budget", json!({ "tokens": 1.5 }), "plan-shape", json!({})),
        ("/items/0/id", json!("-a"), "id-syntax", json!("a~1:b@c")),
        ("/items/0/executor", json!("Docker"), "executor-unknown", json!("docker")),
        ("/items/0/depends_on", json!("b"), "plan-shape", json!([])),
        ("/items/0/depends_on", json!(["b"]), "dep-unknown", json!([])),
        ("/items/0/depends_on", json!(["not an id"]), "dep-unknown", json!([])),
        ("/items/0/depends_on", json!(["a"]), "dep-cycle", json!([])),
        ("/items/0/resourceLocks", json!([""]), "lock-syntax", json!(["src/alpha.ts"])),
        ("/items/0/resourceLocks", json!(["a\nb"]), "lock-syntax", json!(["a b é", "a b é"])),
        ("/items/0/resourceLocks", json!([1]), "plan-shape", json!([])),
        ("/items/0/subagentShape", json!(""), "plan-shape", json!("dev.code-edit")),
        ("/items/0/timeoutSeconds", json!(0), "plan-shape", json!(1)),
        ("/items/0/timeoutSeconds", json!("60"), "plan-shape", json!(60)),
        ("/items/0/retry", json!({ "max_attempts": 0 }), "plan-shape", json!({ "max_attempts": 1 })),
        ("/items/0/retry", json!(3), "plan-shape", json!({})),
        ("/items/0/retry", json!({ "backoff_seconds": -1 }), "plan-shape", json!({ "backoff_seconds": 0 })),
        ("/items/0/priority", json!(10), "plan-shape", json!(9)),
        ("/items/0/inputs", json!("code-edit"), "plan-shape", json!({ "subagent": "code-edit" })),
        ("/items/0/inputs", json!({}), "plan-shape", json!({ "subagent": "x", "workerInput": "any" })),
        ("/items/0/inputs/subagent", json!("Code Edit"), "subagent-unknown", json!("code-edit")),
        ("/items/0/inputs/workerInput", json!(1_u64 << 53), "plan-shape", json!([null, 1.5, { "deep": [true] }])),
        ("/items/0/inputs/env", json!({ "PATH": "/evil" }), "plan-shape", json!("tooling")),
        ("/items/0/inputs/env", json!(["FOO=bar"]), "env-unknown", json!(["tooling"])),
        ("/items/0/inputs/env", json!(true), "plan-shape", json!([])),
        ("/items/0/inputs/capabilities", json!([1]), "plan-shape", json!(["house-rules"])),
        ("/items/0/inputs/capabilities", json!(["../x"]), "capability-unknown", json!([])),
        ("/items/0/inputs/pipeline", json!(["p"]), "plan-shape", json!("p")),
        ("/items/0/inputs/pipeline", json!("P"), "pipeline-unknown", json!("p")),
        ("/items/0/inputs/model", json!(7), "plan-shape", json!("some/Model:id")),
        ("/items/0/inputs/workspace", json!({ "apply": "all" }), "plan-shape", json!({ "apply": "none" })),
        ("/items/0/inputs/workspace", json!("other"), "plan-shape", json!({ "apply": "none" })),
        ("/items/0/inputs/inputRefs", json!({ "a": "sha256:00" }), "plan-shape", json!({ "a": digest })),
        ("/items/0/inputs/gate", json!({}), "plan-shape", json!({ "onRed": "advance" })),
        ("/items/0/inputs/gate", json!({ "onRed": "spawn-fix" }), "plan-shape", fixed()),
        ("/items/0/inputs/gate", json!({ "onRed": "advance", "maxFixAttempts": 2 }), "plan-shape", fixed()),
        ("/items/0/inputs/mapReduce", json!({ "map": of_pattern() }), "plan-shape", mapped(of_pattern())),
        (
            "/items/0/inputs/mapReduce",
            mapped(json!({ "id": "x", "inputs": { "subagent": "s" } })),
            "plan-shape",
            json!(null),
        ),
        ("/items/0/inputs/mapReduce", mapped(json!({ "inputs": {} })), "plan-shape", json!(null)),
        ("/items/0/inputs/quorum", reviewed(0, 1), "plan-shape", reviewed(1, 1)),
        ("/items/0/inputs/quorum", reviewed(2, 3), "plan-shape", reviewed(3, 3)),
        ("/items/0/inputs/quorum", reviewed(17, 1), "plan-too-large", reviewed(16, 1)),
    ];
    for (pointer, wrong, code, right) in rows {
        let refused = problems(&with(good(), pointer, wrong.clone()));
        assert_eq!(refused.len(), 1, "{pointer} {wrong} {refused:?}");
        assert_eq!(refused[0].code, code, "{pointer} {wrong}");
        assert!(refused[0].at.as_ref().unwrap().starts_with(pointer), "{pointer} {wrong}");
        well_formed(&refused);
        let right = if right.is_null() { good() } else { with(good(), pointer, right) };
        assert_eq!(problems(&right), [], "{pointer}");
    }
}

fn of_pattern() -> Value {
    json!({ "inputs": { "subagent": "s" } })
}

fn fixed() -> Value {
    json!({ "onRed": "spawn-fix", "fixTemplate": of_pattern(), "maxFixAttempts": 10, "subject": "a" })
}

fn mapped(each: Value) -> Value {
    json!({ "map": each, "reduce": of_pattern() })
}

fn reviewed(reviewers: usize, threshold: u64) -> Value {
    let reviewers = vec![of_pattern(); reviewers];
    json!({ "reviewers": reviewers, "threshold": threshold, "commit": of_pattern(), "onReject": "block" })
}

/// A plan with a pattern, written out, reads as the same plan.
#[test]
fn patterns_are_stored_as_they_are_read() {
    let spawn = json!({ "onReject": "spawn-fix", "fixTemplate": of_pattern(), "maxRounds": 3 });
    let mut again = reviewed(2, 2);
    for (key, value) in spawn.as_object().unwrap() {
        again[key] = value.clone();
    }
    for (key, value) in
        [("gate", fixed()), ("mapReduce", mapped(of_pattern())), ("quorum", again), ("quorum", reviewed(1, 1))]
    {
        let parsed = parse(with(good(), &format!("/items/0/inputs/{key}"), value).to_string().as_bytes());
        assert_eq!(parsed.problems, []);
        assert!(parsed.plan.items[0].pattern().is_some());
        assert_eq!(Plan::from_bytes(&parsed.plan.to_bytes().unwrap()).as_ref(), Ok(&parsed.plan), "{key}");
    }
}

#[test]
fn needs_name_a_producer_a_product_and_a_file() {
    let two = with(good(), "/items/-", json!({ "id": "b", "inputs": { "subagent": "x" } }));
    let right = json!({ "from": "a", "select": { "kind": "output", "path": "sub/report.json" } });
    assert_eq!(problems(&with(two.clone(), "/items/1/needs", json!({ "report": right }))), []);
    for (needs, code, at) in [
        (json!({ "r": { "from": "z", "select": { "kind": "patch" } } }), "need-unknown", "/items/1/needs/r/from"),
        (json!({ "r": { "from": "a" } }), "plan-shape", "/items/1/needs/r"),
        (json!({ "r": { "select": { "kind": "patch" } } }), "plan-shape", "/items/1/needs/r"),
        (json!({ "r": { "from": "a", "select": { "kind": "log" } } }), "plan-shape", "/items/1/needs/r/select/kind"),
        (json!({ "r": { "from": "a", "select": { "kind": "output" } } }), "plan-shape", "/items/1/needs/r/select"),
        (
            json!({ "r": { "from": "a", "select": { "kind": "output", "path": "../x" } } }),
            "plan-shape",
            "/items/1/needs/r/select/path",
        ),
        (
            json!({ "r": { "from": "a", "select": { "kind": "patch", "path": "x" } } }),
            "plan-shape",
            "/items/1/needs/r/select/path",
        ),
        (json!({ "../r": { "from": "a", "select": { "kind": "patch" } } }), "plan-shape", "/items/1/needs/..~1r"),
        (json!({ "x/r": { "from": "a", "select": { "kind": "patch" } } }), "plan-shape", "/items/1/needs/x~1r"),
        (json!({ "R": right, "r": right }), "plan-shape", "/items/1/needs/r"),
        (json!({ "r": { "from": "b", "select": { "kind": "patch" } } }), "dep-cycle", "/items/1/depends_on"),
    ] {
        let refused = problems(&with(two.clone(), "/items/1/needs", needs.clone()));
        assert_eq!(found(&refused), [(code, at)], "{needs}");
        well_formed(&refused);
    }
    let digest = format!("sha256:{}", "0".repeat(64));
    let refs = with(two, "/items/1/inputs/inputRefs", json!({ "Report": digest }));
    assert_eq!(problems(&refs), []);
    let both = with(refs, "/items/1/needs", json!({ "report": right }));
    assert_eq!(found(&problems(&both)), [("plan-shape", "/items/1/inputs/inputRefs/Report")]);
}

#[test]
fn both_kinds_of_capabilities_at_once_are_refused() {
    let one = with(good(), "/items/0/inputs/addCapabilities", json!(["x"]));
    assert_eq!(problems(&one), []);
    let both = with(one, "/items/0/inputs/capabilities", json!(["y"]));
    assert_eq!(found(&problems(&both)), [("plan-shape", "/items/0/inputs")]);
}

#[test]
fn ids_are_unique_and_cycles_named_in_full() {
    let item = |id: &str, on: &[&str]| json!({ "id": id, "depends_on": on, "inputs": { "subagent": "x" } });
    let plan = json!({ "items": [item("a", &["b"]), item("b", &["a", "c"]), item("c", &[]), item("c", &["e"])] });
    let refused = problems(&plan);
    let cycle = ("dep-cycle", "/items/0/depends_on");
    assert_eq!(found(&refused), [cycle, ("dep-unknown", "/items/3/depends_on/0"), ("id-duplicate", "/items/3/id")]);
    assert_eq!(refused[0].message, "these items wait for each other: a → b → a");
    assert_eq!(refused[2].message, "the id c is given twice, first at /items/2");
    let right = json!({ "items": [item("a", &["b"]), item("b", &["c"]), item("c", &[]), item("d", &["c", "c"])] });
    assert_eq!(problems(&right), []);
    assert_eq!(parse(right.to_string().as_bytes()).plan.items[3].depends_on.len(), 1);
}

#[test]
fn an_item_that_cannot_be_read_whole_is_still_an_item_to_others() {
    let plan = json!({ "items": [
        { "id": "a", "inputs": {} },
        { "id": "b", "inputs": { "subagent": "x" }, "depends_on": ["a"] },
    ] });
    let parsed = parse(plan.to_string().as_bytes());
    assert_eq!(found(&parsed.problems), [("plan-shape", "/items/0/inputs")]);
    assert_eq!(parsed.plan.items.len(), 1);
}

#[test]
fn everything_wrong_is_said_at_once_and_each_item_is_named() {
    let plan = json!({
        "Id": "x", "queue": 1, "items": [
            { "id": "a", "image": "x", "timeoutSeconds": -1, "inputs": { "subagent": "x", "workerinput": 1, "model": [] } },
            { "id": "b", "dependsOn": ["a"], "executor": "approval", "inputs": { "question": " " } },
        ]
    });
    let refused = problems(&plan);
    assert_eq!(
        found(&refused),
        [
            ("plan-shape", "/Id"),
            ("plan-shape", "/items/0/image"),
            ("plan-shape", "/items/0/inputs/model"),
            ("plan-shape", "/items/0/inputs/workerinput"),
            ("plan-shape", "/items/0/timeoutSeconds"),
            ("plan-shape", "/items/1/dependsOn"),
            ("plan-shape", "/items/1/inputs/question"),
            ("plan-shape", "/queue"),
        ]
    );
    assert!(refused[1].message.starts_with("item a: an item has no key \"image\""), "{}", refused[1].message);
    well_formed(&refused);
}

#[test]
fn a_wrong_key_is_answered_with_the_right_one() {
    for (pointer, hint) in [
        ("/Items_", "did you mean `items`?"),
        ("/open_ended", "did you mean `openEnded`?"),
        ("/depends_on", "`depends_on` belongs to an item, inside `items`"),
        ("/tasks", "did you mean `items`?"),
        ("/zzz", "the keys of a plan are id, queue, workspace, openEnded, labels, budget, items"),
        ("/items/0/dependsOn", "did you mean `depends_on`?"),
        ("/items/0/resource_locks", "did you mean `resourceLocks`?"),
        ("/items/0/locks", "did you mean `resourceLocks`?"),
        ("/items/0/timeout_seconds", "did you mean `timeoutSeconds`?"),
        ("/items/0/timeout", "did you mean `timeoutSeconds`?"),
        ("/items/0/retries", "did you mean `retry`?"),
        ("/items/0/prioritiy", "did you mean `priority`?"),
        ("/items/0/subagent", "`subagent` belongs inside `inputs`"),
        ("/items/0/prompt", "`workerInput` belongs inside `inputs`"),
        ("/items/0/inputs/add_capabilities", "did you mean `addCapabilities`?"),
        ("/items/0/inputs/dependsOn", "`depends_on` belongs to the item, beside `inputs`"),
    ] {
        let refused = problems(&with(good(), pointer, json!(null)));
        assert_eq!(found(&refused), [("plan-shape", pointer)]);
        assert_eq!(refused[0].hint.as_deref(), Some(hint), "{pointer}");
    }
}

#[test]
fn other_inputs_are_the_caller_s_own_and_are_warned_of() {
    let plan = with(good(), "/items/0/inputs/ticket", json!("SHOP-1"));
    let parsed = parse(plan.to_string().as_bytes());
    assert_eq!(parsed.problems, []);
    assert_eq!(found(&parsed.warnings), [("key-ignored", "/items/0/inputs/ticket")]);
    assert_eq!(parsed.plan, parse(good().to_string().as_bytes()).plan);
}

#[test]
fn codes_are_words_and_none_is_used_twice() {
    let all: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(all.len(), Code::ALL.len());
    assert!(all.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
}

#[test]
fn what_is_named_twice_counts_once_and_keeps_its_first_place() {
    let mut plan = with(good(), "/items/0/resourceLocks", json!(["b", "a", "b"]));
    plan["items"][0]["inputs"]["env"] = json!(["y", "x", "y"]);
    plan["items"][0]["inputs"]["capabilities"] = json!(["y", "x", "y"]);
    let parsed = parse(plan.to_string().as_bytes());
    assert_eq!(parsed.problems, []);
    let item = &parsed.plan.items[0];
    let texts = |names: &[crate::id::Name]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(item.locks, ["b", "a"]);
    let inputs = item.inputs().unwrap();
    assert_eq!(texts(&inputs.env), ["y", "x"]);
    assert_eq!(texts(inputs.capabilities.as_ref().unwrap()), ["y", "x"]);
}

#[test]
fn an_approval_asks_a_person_and_takes_nothing_that_runs() {
    let gated = |approval: Value| {
        let mut plan = good();
        plan["items"].as_array_mut().unwrap().push(approval);
        plan
    };
    let right =
        json!({ "id": "ok", "executor": "approval", "depends_on": ["a"], "inputs": { "question": "Ship it?" } });
    let parsed = parse(gated(right.clone()).to_string().as_bytes());
    assert_eq!(parsed.problems, []);
    let item = &parsed.plan.items[1];
    assert_eq!((item.inputs(), item.approval().map(|a| a.question.as_str())), (None, Some("Ship it?")));
    assert_eq!(item.approval().unwrap().to_bytes().unwrap(), br#"{"question":"Ship it?"}"#);
    assert_eq!(Plan::from_bytes(&parsed.plan.to_bytes().unwrap()).unwrap(), parsed.plan);
    for (key, value, at) in [
        ("inputs", json!({}), "/items/1/inputs"),
        ("inputs", json!({ "question": "" }), "/items/1/inputs/question"),
        ("inputs", json!({ "question": 1 }), "/items/1/inputs/question"),
        ("inputs", json!({ "question": "?", "subagent": "code-edit" }), "/items/1/inputs/subagent"),
        ("resourceLocks", json!(["x"]), "/items/1/resourceLocks"),
        ("retry", json!({}), "/items/1/retry"),
        ("timeoutSeconds", json!(60), "/items/1/timeoutSeconds"),
    ] {
        let mut wrong = right.clone();
        wrong[key] = value;
        let refused = problems(&gated(wrong));
        assert_eq!(found(&refused), [("plan-shape", at)]);
        well_formed(&refused);
    }
    // Whoever waits for it may depend on it, and takes nothing from it.
    let after = |how: Value| {
        let mut item = json!({ "id": "after", "inputs": { "subagent": "code-edit" } });
        item[how[0].as_str().unwrap()] = how[1].clone();
        problems(&with(gated(right.clone()), "/items/-", item))
    };
    let gate = gated(right.clone())["items"][1]["id"].clone();
    assert_eq!(after(json!(["depends_on", [gate.clone()]])), []);
    let refused = after(json!(["needs", { "x": { "from": gate, "select": { "kind": "patch" } } }]));
    assert_eq!(found(&refused), [("need-type", "/items/2/needs/x/from")]);
    well_formed(&refused);
    let mut long = right;
    long["inputs"]["question"] = json!("x".repeat(QUESTION_BYTES_MAX));
    assert_eq!(problems(&gated(long.clone())), []);
    long["inputs"]["question"] = json!("x".repeat(QUESTION_BYTES_MAX + 1));
    assert_eq!(found(&problems(&gated(long))), [("plan-too-large", "/items/1/inputs/question")]);
}
