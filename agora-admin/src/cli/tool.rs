//! The calls of tools that the engine names, as verbs of this program: who reads them here has no tools.

use serde_json::{Map, Value};

/// Returns the hint with each call of a tool, between backquotes, as the verb that does the same.
pub(crate) fn in_verbs(hint: &str) -> String {
    let parts = hint.split('`').enumerate().map(|(at, part)| match at % 2 {
        1 => verb(part).unwrap_or_else(|| part.to_owned()),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

/// Returns the verb for a call: a tool's name and its arguments as JSON. `None` for what is no call, or one that no verb takes
/// in the same words.
pub(crate) fn verb(call: &str) -> Option<String> {
    let (tool, arguments) = call.split_once(' ')?;
    let mut given: Map<String, Value> = serde_json::from_str(arguments).ok()?;
    let verb = match tool {
        "status" | "watch" | "result" | "audit" => tool,
        // An answer without an item is to a hold.
        "answer" if given.keys().eq(["run_id"]) => "release",
        "submit" => return close(&given),
        _ => return None,
    };
    let mut words = vec!["agora-admin".to_owned(), verb.to_owned()];
    for place in ["run_id", "run_ids", "item_id"] {
        if let Some(value) = given.remove(place) {
            words.push(word(&value)?);
        }
    }
    for option in ["view", "state", "part"] {
        if let Some(value) = given.remove(option) {
            words.extend([format!("--{option}"), word(&value)?]);
        }
    }
    given.is_empty().then(|| words.join(" "))
}

/// The verb for the call that closes an open-ended run, and for no other `submit`.
fn close(given: &Map<String, Value>) -> Option<String> {
    let run = given.get("extend")?.as_object().filter(|extend| extend.keys().eq(["run_id"]))?.get("run_id")?;
    let closes = given.len() == 2 && given.get("close") == Some(&Value::Bool(true));
    closes.then(|| Some(format!("agora-admin submit --extend {} --close", word(run)?)))?
}

/// A value that a shell takes as it stands; of a list, its only one.
fn word(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Array(values) => match values.as_slice() {
            [Value::String(text)] => text,
            _ => return None,
        },
        _ => return None,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    // What begins with a dash would be read as an option.
    (!text.is_empty() && !text.starts_with('-') && text.bytes().all(plain)).then(|| text.clone())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn a_call_in_a_hint_becomes_the_verb() {
        assert_eq!(in_verbs(r#"see `status {"view":"inbox"}`"#), "see `agora-admin status --view inbox`");
        assert_eq!(in_verbs(r#"`watch {"run_ids":["r1"]}` waits"#), "`agora-admin watch r1` waits");
    }

    #[test]
    fn every_verb_that_is_named_can_be_read_by_this_program() {
        for (call, expected) in [
            (r#"audit {"run_id":"r1"}"#, "audit r1"),
            (r#"answer {"run_id":"r1"}"#, "release r1"),
            (r#"watch {"run_ids":["r1"]}"#, "watch r1"),
            (r#"submit {"close":true,"extend":{"run_id":"r1"}}"#, "submit --extend r1 --close"),
            (r#"status {"run_id":"r1","state":"failed"}"#, "status r1 --state failed"),
            (r#"status {"item_id":"a","run_id":"r1","view":"item"}"#, "status r1 a --view item"),
            (r#"result {"item_id":"a:b","part":"log","run_id":"r1"}"#, "result r1 a:b --part log"),
        ] {
            let line = verb(call).unwrap();
            assert_eq!(line, format!("agora-admin {expected}"));
            Cli::try_parse_from(line.split(' ')).unwrap();
        }
    }

    #[test]
    fn what_is_no_call_or_has_no_verb_stays_as_it_is() {
        for hint in [
            "run `agora-admin doctor`",
            "list the runs with `status`",
            "an odd `",
            r#"`watch {"run_ids":["a","b"]}`"#,
            r#"`watch {"run_ids":["a"],"after":"c1"}`"#,
            r#"`status {"run_id":"a; b"}`"#,
            r#"`status {"run_id":"--all"}`"#,
            r#"`answer {"run_id":"a","item_id":"b","question_id":1}`"#,
            r#"`dispatch {"subagent":"a"}`"#,
            r#"`submit {"extend":{"run_id":"r1"}}`"#,
            r#"`submit {"close":true,"extend":{"run_id":"r1","items":[]}}`"#,
        ] {
            assert_eq!(in_verbs(hint), hint);
        }
    }
}
