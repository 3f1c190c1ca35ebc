//! The list of tools as clients get it. A changed test snapshot is a changed contract.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a test's helper is the failure")]

#[expect(dead_code, reason = "the rest is for the other tests")]
mod support;

use std::path::Path;

use serde_json::{Value, json};

fn list() -> Vec<Value> {
    let mut program = support::start(Path::new("/nonexistent/agora"));
    program.initialize("2025-11-25");
    match program.ask(1, "tools/list", json!({}))["result"]["tools"].take() {
        Value::Array(tools) => tools,
        other => panic!("no list: {other}"),
    }
}

#[test]
fn the_list_is_what_was_promised() {
    insta::assert_json_snapshot!(list());
}

#[test]
fn the_list_is_the_same_in_both_eras() {
    let mut program = support::start(Path::new("/nonexistent/agora"));
    let stateless = program.ask(1, "tools/list", support::stateless(json!({})));
    assert_eq!(stateless["result"]["tools"], Value::Array(list()));
}

#[test]
fn descriptions_are_short_and_hints_are_explicit_and_true() {
    let writes = ["dispatch", "submit", "answer", "cancel"];
    let always = ["dispatch", "submit", "status", "watch", "result"];
    let idempotent = ["catalog", "status", "watch", "result", "cancel", "audit"];
    for tool in list() {
        let name = tool["name"].as_str().unwrap();
        let about = tool["description"].as_str().unwrap();
        assert!(about.chars().count() <= 600, "{name}: {}", about.chars().count());
        assert!(!tool["title"].as_str().unwrap().is_empty());
        let hint = |hint: &str| tool["annotations"][hint].as_bool().unwrap_or_else(|| panic!("{name}: no {hint}"));
        assert_eq!(hint("readOnlyHint"), !writes.contains(&name), "{name}");
        assert_eq!(hint("destructiveHint"), name == "cancel", "{name}");
        assert_eq!(hint("idempotentHint"), idempotent.contains(&name), "{name}");
        // What starts agents reaches whatever their targets let them reach.
        assert_eq!(hint("openWorldHint"), ["dispatch", "submit", "answer"].contains(&name), "{name}");
        assert_eq!(tool["_meta"]["anthropic/alwaysLoad"] == json!(true), always.contains(&name), "{name}");
        assert!(tool["outputSchema"].is_object(), "{name}");
    }
}

#[test]
fn schemas_use_nothing_that_clients_differ_in() {
    for tool in list() {
        let name = tool["name"].as_str().unwrap();
        for schema in ["inputSchema", "outputSchema"] {
            let schema = &tool[schema];
            assert_eq!(schema["type"], "object", "{name}");
            for word in ["oneOf", "anyOf", "allOf"] {
                assert!(schema.get(word).is_none(), "{name}: {word} at the root");
            }
            check(schema, name);
        }
        assert_eq!(tool["inputSchema"]["additionalProperties"], false, "{name}");
        for (argument, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{name}.{argument} has no description");
            assert!(schema["type"].is_string(), "{name}.{argument} has no type");
        }
    }
}

fn check(schema: &Value, name: &str) {
    let Some(node) = schema.as_object() else {
        assert!(!schema.is_boolean(), "{name}: a bare boolean");
        return;
    };
    for word in ["$ref", "$defs", "format", "oneOf", "anyOf", "allOf", "not", "default"] {
        assert!(!node.contains_key(word), "{name}: {word} in {schema}");
    }
    assert!(node["type"].is_string(), "{name}: not one type in {schema}");
    for member in node.get("properties").and_then(Value::as_object).into_iter().flat_map(|members| members.values()) {
        check(member, name);
    }
    if let Some(items) = node.get("items") {
        check(items, name);
    }
}
