//! The program as clients meet it: both eras of the protocol, and everything a client should not send.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic in a test's helper is the failure")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::{start, stateless};

const NINE: [&str; 9] = ["catalog", "dispatch", "submit", "status", "watch", "result", "answer", "cancel", "audit"];

fn names(answer: &Value) -> Vec<&str> {
    answer["result"]["tools"].as_array().expect("tools").iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

fn text(answer: &Value) -> &str {
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    assert!(answer["result"].get("structuredContent").is_none(), "{answer}");
    answer["result"]["content"][0]["text"].as_str().unwrap()
}

fn no_home() -> &'static Path {
    Path::new("/nonexistent/agora")
}

#[test]
fn every_revision_with_a_handshake_gets_the_nine() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut program = start(no_home());
        let hello = program.initialize(version);
        assert_eq!(hello["result"]["protocolVersion"], version);
        assert_eq!(hello["result"]["serverInfo"]["name"], "agora");
        assert!(hello["result"]["instructions"].as_str().unwrap().len() <= 2048);
        let list = program.ask(1, "tools/list", json!({}));
        assert_eq!(names(&list), NINE, "{version}");
        let (status, rest, _) = program.end();
        assert!(status.success() && rest.is_empty());
    }
}

#[test]
fn an_unknown_revision_gets_the_newest_one_with_a_handshake() {
    let mut program = start(no_home());
    assert_eq!(program.initialize("2099-01-01")["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn the_stateless_revision_gets_the_nine_without_a_handshake() {
    let mut program = start(no_home());
    let discovered = program.ask(1, "server/discover", stateless(json!({})));
    let versions = discovered["result"]["supportedVersions"].as_array().expect("versions");
    assert!(versions.contains(&json!("2026-07-28")), "{discovered}");
    let list = program.ask(2, "tools/list", stateless(json!({})));
    assert_eq!(names(&list), NINE);
    let refused = program.ask(3, "tools/call", stateless(json!({"name": "catalog", "arguments": {}})));
    assert!(text(&refused).starts_with("home-missing: "), "{refused}");
    let wrong = program.ask(4, "tools/list", json!({}));
    assert_eq!(wrong["error"]["code"], -32602, "a request that does not say what it speaks");
}

#[test]
fn a_home_that_was_not_made_is_a_tools_error_with_the_way_out() {
    let mut program = start(no_home());
    program.initialize("2025-11-25");
    let answer = program.call(1, "catalog", json!({}));
    assert!(text(&answer).starts_with("home-missing: "));
    assert!(text(&answer).contains("`agora-admin init`"));
    assert!(!answer.to_string().contains("/nonexistent"), "no path of the host");
    assert_eq!(answer["result"]["_meta"]["agora/problems"][0]["code"], "home-missing");
}

#[test]
fn wrong_arguments_and_names_are_told_before_the_home_is_looked_at() {
    let mut program = start(no_home());
    program.initialize("2025-11-25");
    let answer = program.call(1, "status", json!({"runid": "r"}));
    assert!(text(&answer).starts_with("unknown-argument: "));
    assert!(text(&answer).contains("did you mean \"run_id\"?"), "{answer}");
    let answer = program.call(2, "cancel", json!({"run_id": "r"}));
    assert!(text(&answer).starts_with("missing-argument: "));
    let answer = program.call(3, "start_worker", json!({}));
    assert_eq!(answer["error"]["code"], -32602);
    assert!(answer["error"]["message"].as_str().unwrap().ends_with("Hint: call dispatch"), "{answer}");
    // What no plan or call may ever name.
    for name in ["image", "mounts", "env_vars", "secret", "egress", "callback", "actor", "home"] {
        let answer = program.call(4, "dispatch", json!({"subagent": "s", name: "x"}));
        assert!(text(&answer).contains(name), "{answer}");
    }
}

#[test]
fn what_is_no_message_is_answered_and_the_next_one_served() {
    let long = format!(r#"{{"jsonrpc":"2.0","method":"ping","params":{{"x":"{}"}},"id":77}}"#, "x".repeat(1 << 20));
    let deep =
        format!(r#"{{"jsonrpc":"2.0","id":78,"method":"ping","params":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let cases: [(&[u8], i32, Value); 9] = [
        (b"{\"jsonrpc\":\"2.0\",", -32700, Value::Null),
        (b"\xff\xfe", -32700, Value::Null),
        (b"[]", -32600, Value::Null),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600, Value::Null),
        (br#"{"jsonrpc":"2.0","id":76,"method":"ping","method":"tools/list"}"#, -32600, json!(76)),
        (long.as_bytes(), -32600, json!(77)),
        (deep.as_bytes(), -32600, json!(78)),
        (br#"{"jsonrpc":"2.0","id":79,"method":"no/such"}"#, -32601, json!(79)),
        (br#"{"jsonrpc":"2.0","id":80,"method":"tools/call","params":{"name":7}}"#, -32602, json!(80)),
    ];
    let mut program = start(no_home());
    program.initialize("2025-11-25");
    for (line, code, id) in cases {
        program.raw(line);
        let answer = program.answer();
        let shown = String::from_utf8_lossy(&line[..line.len().min(60)]).into_owned();
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &id), "{shown}: {answer}");
        assert!(answer.get("id").is_some(), "an id that could not be read is null");
    }
    assert_eq!(program.ask(5, "ping", json!({}))["result"], json!({}));
    let (status, rest, _) = program.end();
    assert!(status.success() && rest.is_empty());
}

#[test]
fn a_client_that_begins_wrongly_is_still_served() {
    let mut program = start(no_home());
    program.raw(b"");
    program.give(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    program.give(&json!({"jsonrpc": "2.0", "id": 9, "result": {}}));
    let early = program.ask(1, "tools/list", json!({}));
    assert_eq!(early["error"]["code"], -32602);
    program.initialize("2025-11-25");
    assert_eq!(names(&program.ask(2, "tools/list", json!({}))), NINE);
}

#[test]
fn a_batch_is_answered_as_a_batch_where_the_revision_has_them() {
    let ping = |id: i64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    let mut program = start(no_home());
    program.initialize("2025-03-26");
    program.give(&json!([ping(1), {"jsonrpc": "2.0", "method": "notifications/initialized"}, 7, ping(2)]));
    let answer = program.got();
    let mut ids: Vec<String> =
        answer.as_array().expect("a batch").iter().map(|answer| answer["id"].to_string()).collect();
    ids.sort();
    assert_eq!(ids, ["1", "2", "null"]);
}

#[test]
fn the_end_of_input_and_a_signal_end_it_at_once_with_success() {
    let (status, rest, log) = start(no_home()).end();
    assert!(status.success() && rest.is_empty(), "{log}");

    let mut program = start(no_home());
    program.initialize("2025-11-25");
    let killed = Command::new("/bin/kill").args(["-TERM", &program.pid()]).status().unwrap();
    assert!(killed.success());
    assert!(program.wait().success());
}

#[test]
fn calls_in_flight_at_the_end_of_input_are_answered() {
    let mut program = start(no_home());
    program.initialize("2025-11-25");
    for id in 1..=20 {
        let params = json!({"name": "status", "arguments": {}});
        program.give(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
    }
    let (status, rest, _) = program.end();
    assert!(status.success());
    assert_eq!(rest.len(), 20);
}

#[test]
fn the_prompt_and_the_resource_templates_are_there_and_others_are_not() {
    let mut program = start(no_home());
    program.initialize("2025-11-25");
    let prompts = program.ask(1, "prompts/list", json!({}));
    assert_eq!(prompts["result"]["prompts"][0]["name"], "offload");
    let prompt = program.ask(2, "prompts/get", json!({"name": "offload", "arguments": {"task": "T"}}));
    assert!(prompt["result"]["messages"][0]["content"]["text"].as_str().unwrap().contains("agora: T"));
    assert_eq!(program.ask(3, "prompts/get", json!({"name": "x"}))["error"]["code"], -32602);
    let templates = program.ask(4, "resources/templates/list", json!({}));
    let uris: Vec<&str> = templates["result"]["resourceTemplates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|template| template["uriTemplate"].as_str().unwrap())
        .collect();
    assert_eq!(
        uris,
        [
            "agora://run/{run}/patch",
            "agora://run/{run}/item/{item}/patch",
            "agora://run/{run}/item/{item}/output/{path}",
            "agora://run/{run}/item/{item}/log",
            "agora://run/{run}/report"
        ]
    );
    assert_eq!(program.ask(5, "resources/list", json!({}))["result"]["resources"], json!([]));
    assert_eq!(program.ask(6, "resources/read", json!({"uri": "file:///etc/passwd"}))["error"]["code"], -32002);
    assert_eq!(program.ask(7, "tools/list", json!({"cursor": "x"}))["error"]["code"], -32602);
}

#[test]
fn nothing_is_written_where_there_is_no_home() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = start(&folder.path().join("home"));
    program.initialize("2025-11-25");
    program.call(1, "catalog", json!({}));
    program.end();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_folder_of_somebody_else_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "x").unwrap();
    let mut program = start(folder.path());
    program.initialize("2025-11-25");
    let answer = program.call(1, "catalog", json!({}));
    assert!(text(&answer).starts_with("home-foreign: $AGORA_HOME holds other things"), "{answer}");
    program.end();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn the_command_line_says_its_version_and_refuses_what_it_does_not_know() {
    let run = |argument: &str| Command::new(env!("CARGO_BIN_EXE_agora-mcp")).arg(argument).output().unwrap();
    let version = run("--version");
    assert_eq!(String::from_utf8_lossy(&version.stdout), format!("agora-mcp {}\n", env!("CARGO_PKG_VERSION")));
    let help = run("--help");
    assert!(help.status.success() && !String::from_utf8_lossy(&help.stdout).contains("drive-until-idle"));
    let wrong = run("--publish");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(wrong.stdout.is_empty());
}
