//! Entries: one of each kind as frozen bytes, read and written without a difference, and what is no entry.
//!
//! `fixtures/entries.txt` has one entry a line, of a run and then of the log, with and without its optional members. Its
//! bytes are a promise (`docs/audit.md` §2): a line may be added, never changed.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic there is the failure")]

use std::collections::BTreeSet;

use agora_core::canon;
use agora_core::error::Coded as _;
use agora_core::record::{ENTRY_BYTES_MAX, ENTRY_DEPTH_MAX, Entry, EntryError, LOG_ENTRY_BYTES_MAX, LogEntry};
use serde_json::{Value, json};

const FIXTURES: &str = include_str!("fixtures/entries.txt");

/// Kinds of a run's journal, then of the log.
const RUN_KINDS: [&str; 22] = [
    "attempt.finished",
    "attempt.leased",
    "attempt.started",
    "cancel.requested",
    "hold.released",
    "hold.set",
    "item.cancelled",
    "item.denied",
    "item.done",
    "item.failed",
    "item.ready",
    "item.retried",
    "item.skipped",
    "item.waiting",
    "items.added",
    "pattern.failed",
    "question.answered",
    "question.asked",
    "run.closed",
    "run.completed",
    "run.logged",
    "run.opened",
];
const LOG_KINDS: [&str; 10] = [
    "anchor.receipt",
    "clock.jump",
    "key.added",
    "key.revoked",
    "key.rotated",
    "log.opened",
    "registry.accepted",
    "registry.refused",
    "run.opened",
    "run.sealed",
];

fn lines() -> impl Iterator<Item = &'static str> {
    FIXTURES.lines().filter(|line| !line.starts_with('#'))
}

/// Reads a line as what it is, and writes it again.
fn again(bytes: &[u8]) -> Result<Vec<u8>, EntryError> {
    let of_a_run = serde_json::from_slice::<Value>(bytes).is_ok_and(|value| value.get("run").is_some());
    if of_a_run { Entry::from_bytes(bytes)?.to_bytes() } else { LogEntry::from_bytes(bytes)?.to_bytes() }
}

/// The canonical bytes of a changed entry.
fn bytes(value: &Value) -> Vec<u8> {
    canon::entry_bytes(value, ENTRY_DEPTH_MAX).unwrap()
}

fn code(result: Result<Vec<u8>, EntryError>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "accepted")
}

#[test]
fn every_kind_has_frozen_bytes_that_read_and_write_without_a_difference() {
    let (mut run, mut log) = (BTreeSet::new(), BTreeSet::new());
    for line in lines() {
        assert_eq!(again(line.as_bytes()).as_deref(), Ok(line.as_bytes()), "{line}");
        let value: Value = serde_json::from_str(line).unwrap();
        let kind = value["type"].as_str().unwrap().to_owned();
        if value.get("run").is_some() {
            assert_eq!(Entry::from_bytes(line.as_bytes()).unwrap().record.kind(), kind);
            run.insert(kind);
        } else {
            assert_eq!(LogEntry::from_bytes(line.as_bytes()).unwrap().record.kind(), kind);
            log.insert(kind);
        }
    }
    assert_eq!(run.iter().map(String::as_str).collect::<Vec<_>>(), RUN_KINDS);
    assert_eq!(log.iter().map(String::as_str).collect::<Vec<_>>(), LOG_KINDS);
}

/// Every object below a value, by JSON pointer.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            members.iter().for_each(|(name, value)| objects(value, &format!("{at}/{name}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(ix, value)| objects(value, &format!("{at}/{ix}"), found));
        }
        _ => {}
    }
}

#[test]
fn an_unknown_member_is_refused_wherever_it_stands() {
    for line in lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let mut places = Vec::new();
        objects(&value, "", &mut places);
        for place in places {
            // What an isolation report has beyond its own members is open.
            let open = place.starts_with("/body/isolation");
            let mut changed = value.clone();
            changed.pointer_mut(&place).unwrap()["zz"] = json!(1);
            let changed = bytes(&changed);
            match open {
                // Kept, too: what is shown and stated is what was sealed.
                true => assert_eq!(again(&changed), Ok(changed), "{place} of {line}"),
                false => assert_eq!(code(again(&changed)), "entry-schema", "{place} of {line}"),
            }
        }
    }
}

#[test]
fn the_member_x_is_open_in_bodies_and_added_items_alone() {
    for line in lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let items = value.pointer("/body/items").and_then(Value::as_array).map_or(0, Vec::len);
        let open = (0..items).map(|ix| format!("/body/items/{ix}")).chain(["/body".to_owned()]);
        for place in open {
            let mut changed = value.clone();
            changed.pointer_mut(&place).unwrap()["x"] = json!({ "later": [1] });
            assert_eq!(again(&bytes(&changed)).as_deref(), Ok(line.as_bytes()), "{place} of {line}");
        }
        let mut changed = value.clone();
        changed["x"] = json!(1);
        assert_eq!(code(again(&bytes(&changed))), "entry-schema", "{line}");
    }
}

/// Members that a body may lack, by kind.
fn optional(kind: &str, of_a_run: bool) -> &'static [&'static str] {
    match (kind, of_a_run) {
        ("run.opened", true) => &["tools", "base", "budget", "retain_days"],
        ("items.added", _) => &["source"],
        ("attempt.leased", _) => &["message", "model", "reserved_microusd"],
        ("attempt.started", _) => &["image"],
        ("attempt.finished", _) => &[
            "exit_code",
            "signal",
            "start_tree",
            "result_tree",
            "patch",
            "draft",
            "verify",
            "usage",
            "usage_broker",
            "log",
            "report",
            "egress",
        ],
        ("item.failed", _) => &["detail", "finished", "answered"],
        ("question.asked", _) => &["finished", "expires"],
        ("question.answered", _) => &["answer"],
        ("hold.set" | "cancel.requested", _) => &["note"],
        ("registry.refused", _) => &["version", "digest"],
        ("anchor.receipt", _) => &["place"],
        _ => &[],
    }
}

#[test]
fn a_missing_member_is_refused_unless_it_is_optional() {
    for line in lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let (kind, of_a_run) = (value["type"].as_str().unwrap(), value.get("run").is_some());
        for member in ["v", "type", "seq", "prev", "at", "actor", "body"] {
            let mut changed = value.clone();
            changed.as_object_mut().unwrap().remove(member);
            assert_eq!(code(again(&bytes(&changed))), "entry-schema", "{member} of {line}");
        }
        let optional = optional(kind, of_a_run);
        for member in value["body"].as_object().unwrap().keys() {
            let mut changed = value.clone();
            changed["body"].as_object_mut().unwrap().remove(member);
            let expected = if optional.contains(&member.as_str()) { "accepted" } else { "entry-schema" };
            assert_eq!(code(again(&bytes(&changed))), expected, "{member} of {line}");
        }
    }
}

#[test]
fn a_mistyped_member_is_refused() {
    for line in lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        let mut places = Vec::new();
        objects(&value, "", &mut places);
        for place in places {
            for (name, old) in value.pointer(&place).unwrap().as_object().unwrap() {
                let other = match old {
                    Value::String(_) => json!(7),
                    Value::Number(_) => json!("7"),
                    Value::Bool(_) => json!(0),
                    Value::Array(_) => json!({}),
                    // Its values in an array, which is how serde reads a struct too.
                    Value::Object(members) => Value::Array(members.values().cloned().collect()),
                    Value::Null => json!(0),
                };
                for other in [other, json!([])].into_iter().filter(|other| other.is_array() != old.is_array()) {
                    let mut changed = value.clone();
                    changed.pointer_mut(&place).unwrap()[name] = other;
                    assert_eq!(code(again(&bytes(&changed))), "entry-schema", "{place}/{name} of {line}");
                }
            }
        }
    }
}

/// The first line of a kind, with the value at a pointer set.
fn with(kind: &str, pointer: &str, value: Value) -> Vec<u8> {
    let line = lines().find(|line| line.contains(&format!("\"type\":\"{kind}\""))).unwrap();
    let mut entry: Value = serde_json::from_str(line).unwrap();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match entry.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        object => object[name] = value,
    }
    bytes(&entry)
}

#[test]
fn members_that_do_not_fit_each_other_or_their_list_are_refused() {
    let accepted: [(&str, &str, Value); 9] = [
        ("attempt.started", "/body/isolation/profile", json!("other")),
        ("attempt.started", "/body/secrets/0/deliver", json!("env")),
        ("attempt.finished", "/body/outputs/1/path", json!("z")),
        ("item.failed", "/body/detail", json!("x".repeat(256))),
        ("item.failed", "/body/reason", json!("no-result")),
        ("items.added", "/body/items/0/uses/0", json!(1)),
        ("key.added", "/body/custody", json!("offline")),
        ("run.logged", "/body/sig", json!("QUJD")),
        ("attempt.leased", "/body/attempt", json!(2)),
    ];
    for (kind, at, value) in accepted {
        assert_eq!(code(again(&with(kind, at, value))), "accepted", "{at} of {kind}");
    }
    let refused: [(&str, &str, Value); 23] = [
        ("attempt.started", "/body/isolation/profile", json!("two words")),
        ("attempt.started", "/body/isolation/provider", json!("Process")),
        ("attempt.started", "/body/isolation/weaker/0", json!("x".repeat(257))),
        ("attempt.started", "/body/secrets/0/deliver", json!("mail")),
        ("attempt.finished", "/body/outputs/1/path", json!("a")),
        ("attempt.finished", "/body/outcome", json!("failed")),
        ("attempt.finished", "/body/class", json!("agent")),
        ("item.failed", "/body/detail", json!("x".repeat(257))),
        ("item.failed", "/body/reason", json!("wall")),
        ("item.failed", "/body/reason", json!("made-up")),
        ("item.failed", "/body/answered", json!(3)),
        ("item.done", "/body/answered", json!(3)),
        ("items.added", "/body/items/0/uses/0", json!(2)),
        ("items.added", "/body/items/1/needs/0/path", json!("out")),
        ("items.added", "/body/items/1/needs/0/use", json!("ref")),
        ("key.added", "/body/custody", json!("paper")),
        ("key.added", "/body/key", json!("AAA")),
        ("run.logged", "/body/sig", json!("QUJD=")),
        ("attempt.leased", "/body/attempt", json!(0)),
        ("attempt.leased", "/body/inputs/0/path", json!("out")),
        ("cancel.requested", "/body/scope", json!("run")),
        ("run.closed", "/v", json!(2)),
        ("run.closed", "/type", json!("run.opened.again")),
    ];
    for (kind, at, value) in refused {
        assert_eq!(code(again(&with(kind, at, value))), "entry-schema", "{at} of {kind}");
    }
}

#[test]
fn an_entry_of_the_log_is_none_of_a_run_and_the_reverse() {
    for line in lines() {
        let of_a_run = line.contains("\"run\":\"r1\",\"seq\"");
        assert_eq!(Entry::from_bytes(line.as_bytes()).is_ok(), of_a_run, "{line}");
        assert_eq!(LogEntry::from_bytes(line.as_bytes()).is_ok(), !of_a_run, "{line}");
    }
    let mut entry: Value = serde_json::from_slice(&with("clock.jump", "/seq", json!(9))).unwrap();
    entry["run"] = json!("r1");
    assert_eq!(code(again(&bytes(&entry))), "entry-schema", "a log type in a run");
}

#[test]
fn hostile_bytes_are_refused_as_they_are() {
    let line = lines().find(|line| line.contains("\"type\":\"clock.jump\"")).unwrap();
    assert!(line.contains("\"by_ms\":60000"));
    let table = [
        ("a double", line.replace("60000", "60000.0")),
        ("an exponent", line.replace("60000", "6e4")),
        ("a negative number", line.replace("60000", "-60000")),
        ("a leading zero", line.replace("60000", "060000")),
        ("beyond 2^53-1", line.replace("60000", "9007199254740993")),
        ("a null", line.replace("60000", "null")),
        ("a byte outside ASCII", line.replace("\"engine\"", "\"engin\u{e9}\"")),
        ("an escape", line.replace("\"engine\"", "\"\\u0065ngine\"")),
        ("a control character", line.replace("\"engine\"", "\"engine\\n\"")),
        ("white space", line.replace(":60000", ": 60000")),
        ("a name twice", line.replace("\"by_ms\":60000", "\"by_ms\":60000,\"by_ms\":60000")),
        ("names out of order", line.replace("\"back\":false,\"by_ms\":60000", "\"by_ms\":60000,\"back\":false")),
        ("something after it", format!("{line}\n")),
        ("something before it", format!("\u{feff}{line}")),
        ("nothing", String::new()),
        ("no object", "[]".to_owned()),
        ("too deep", line.replace("60000", "[[[[[[[0]]]]]]]")),
    ];
    assert_eq!(code(again(line.as_bytes())), "accepted");
    for (name, text) in table {
        assert_ne!(text, line, "{name}");
        assert_eq!(LogEntry::from_bytes(text.as_bytes()).map_err(|e| e.code()), Err("entry-encoding"), "{name}");
    }
}

#[test]
fn an_entry_has_a_longest_length() {
    for (kind, max) in [("pattern.failed", ENTRY_BYTES_MAX), ("clock.jump", LOG_ENTRY_BYTES_MAX)] {
        let fill = |len: usize| with(kind, "/body/x", json!("x".repeat(len)));
        let empty = fill(0).len();
        assert_eq!(code(again(&fill(max - empty))), "accepted", "{kind}");
        assert_eq!(code(again(&fill(max - empty + 1))), "entry-limit", "{kind}");
    }
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let mut entry = Entry::from_bytes(&with("item.failed", "/seq", json!(4))).unwrap();
    assert!(entry.to_bytes().is_ok());
    if let agora_core::record::Record::ItemFailed { detail, .. } = &mut entry.record {
        *detail = Some("é".to_owned());
    }
    assert_eq!(code(entry.to_bytes()), "entry-schema");
    entry.seq = 1 << 53;
    assert_ne!(code(entry.to_bytes()), "accepted");
}
