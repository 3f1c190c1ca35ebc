//! The question: `.agora/needs_input.json`, read beneath the workspace, strictly and bounded.

use agora_core::canon;
use agora_core::worker::{Failure, Question, Reason};

use crate::beneath::Root;
use crate::failure::fail;

/// Where an agent puts it.
pub(crate) const QUESTION_PATH: &[u8] = b".agora/needs_input.json";
const QUESTION_BYTES_MAX: usize = 4 << 10;
const OPTIONS_MAX: usize = 16;
const OPTION_BYTES_MAX: usize = 256;
const CONTEXT_BYTES_MAX: usize = 16 << 10;
const STATE_BYTES_MAX: usize = 1 << 20;
/// The whole file: all of it at its limit, with as much again for escapes and white space.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads the question, if the agent asked one.
///
/// # Errors
/// `needs-input-malformed`, which names the rule.
pub(crate) fn read(workspace: &Root) -> Result<Option<Question>, Failure> {
    let bytes = match workspace.read(QUESTION_PATH, FILE_BYTES_MAX) {
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => bytes,
        Err(error) => return Err(malformed(&format!("it cannot be read: {error}"))),
    };
    parse(&bytes).map(Some)
}

fn parse(bytes: &[u8]) -> Result<Question, Failure> {
    let question: Question = serde_json::from_slice(bytes).map_err(|error| malformed(&error.to_string()))?;
    let state = question.partial_state.as_ref().map(canon::to_bytes).transpose();
    let state = state.map_err(|error| malformed(&format!("partial_state: {error}")))?;
    let option = question.options.iter().map(String::len).max().unwrap_or(0);
    let sizes = [
        ("question", question.question.len(), QUESTION_BYTES_MAX, "bytes"),
        ("options", question.options.len(), OPTIONS_MAX, "of them"),
        ("an option", option, OPTION_BYTES_MAX, "bytes"),
        ("context", question.context.as_ref().map_or(0, String::len), CONTEXT_BYTES_MAX, "bytes"),
        ("partial_state", state.map_or(0, |state| state.len()), STATE_BYTES_MAX, "bytes of canonical JSON"),
    ];
    for (what, size, max, unit) in sizes {
        if size > max {
            return Err(malformed(&format!("{what}: {size}, at most {max} {unit}")));
        }
    }
    if question.question.trim().is_empty() {
        return Err(malformed("question is empty"));
    }
    Ok(question)
}

fn malformed(why: &str) -> Failure {
    fail(Reason::NeedsInputMalformed, format!(".agora/needs_input.json: {why}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_bound_passes_at_its_boundary_and_not_beyond() {
        let with = |key: &str, value: serde_json::Value| {
            let mut whole = json!({"question": "q"});
            whole[key] = value;
            parse(whole.to_string().as_bytes())
        };
        type Make = fn(usize) -> serde_json::Value;
        let table: [(&str, usize, Make); 5] = [
            ("question", 4096, |n| json!("x".repeat(n))),
            ("options", 16, |n| json!(vec!["x"; n])),
            ("options", 256, |n| json!(["x".repeat(n)])),
            ("context", 16 << 10, |n| json!("x".repeat(n))),
            ("partial_state", 1 << 20, |n| json!("x".repeat(n - 2))),
        ];
        for (key, max, make) in table {
            assert!(with(key, make(max)).is_ok(), "{key}");
            let failure = with(key, make(max + 1)).unwrap_err();
            assert_eq!(failure.reason, Reason::NeedsInputMalformed);
            assert!(failure.detail.contains(&max.to_string()), "{}", failure.detail);
        }
    }

    #[test]
    fn another_shape_is_refused_and_says_what_is_wrong() {
        for (text, part) in [
            ("", "EOF"),
            ("[]", "invalid"),
            ("{}", "question"),
            (r#"{"question":" "}"#, "empty"),
            (r#"{"question":"q","anwser":1}"#, "anwser"),
            (r#"{"question":"q","options":"a"}"#, "invalid type"),
            (r#"{"question":"q","partial_state":1.5}"#, "partial_state"),
        ] {
            let failure = parse(text.as_bytes()).unwrap_err();
            assert!(failure.detail.contains(part), "{text}: {}", failure.detail);
        }
        assert!(parse(br#"{"question":"q","partial_state":{"step":[1,null]}}"#).is_ok());
    }

    #[test]
    fn a_link_in_its_place_is_malformed_and_its_absence_is_no_question() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert_eq!(read(&root), Ok(None));
        root.create(b"elsewhere.json", 0o644, br#"{"question":"q"}"#).unwrap();
        root.link(QUESTION_PATH, b"../elsewhere.json").unwrap();
        assert_eq!(read(&root).unwrap_err().reason, Reason::NeedsInputMalformed);
        root.remove(QUESTION_PATH).unwrap();
        root.create(QUESTION_PATH, 0o644, br#"{"question":"q"}"#).unwrap();
        assert_eq!(read(&root).unwrap().unwrap().question, "q");
    }
}
