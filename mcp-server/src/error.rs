//! The one map from agora's errors to MCP's: tools answer with `isError` and text, the rest of the protocol with an error.

use std::path::Path;

use agora_core::error::{Class, Problem};
use agora_engine::operations::OpError;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, ErrorCode, MetaObject};
use serde_json::{Value, json};

/// Problems that one answer lists: more than anybody mends in one go, and well under what clients cut.
const PROBLEMS_SHOWN_MAX: usize = 50;

/// Characters of one problem's line.
const LINE_CHARS_MAX: usize = 1000;

/// The member of `_meta` in which programs find the same problems as data.
const META_PROBLEMS: &str = "agora/problems";

/// Returns the error without the home's path: where things lie on the host is not for agents to know, and `agora-admin` finds
/// the home as this process did.
pub(crate) fn without_home(mut error: OpError, home: &Path) -> OpError {
    let home = home.to_string_lossy();
    let scrub = |text: &mut String| {
        if text.contains(&*home) {
            *text = text.replace(&format!(" --home {home}"), "").replace(&*home, "$AGORA_HOME");
        }
    };
    // A home at the root would match everywhere.
    if home.len() > 1 {
        for problem in &mut error.problems {
            scrub(&mut problem.message);
            problem.at.iter_mut().chain(&mut problem.hint).for_each(scrub);
        }
    }
    error
}

/// Returns the answer of a tool that could not do what was asked: text alone, because clients hide the structured content of
/// an error or check it against the schema of a success.
pub(crate) fn tool_error(error: &OpError) -> CallToolResult {
    let mut result = CallToolResult::error(vec![ContentBlock::text(text(error))]);
    let mut meta = MetaObject::new();
    meta.0.insert(META_PROBLEMS.to_owned(), shown(error).iter().map(data).collect());
    result.meta = Some(meta);
    result
}

/// Returns the protocol's error for a resource or prompt that could not be had.
pub(crate) fn protocol_error(error: &OpError) -> ErrorData {
    let problem = error.first();
    let code = match problem.class {
        Class::Caller => ErrorCode::INVALID_PARAMS,
        Class::Missing => ErrorCode::RESOURCE_NOT_FOUND,
        Class::Operator | Class::Later | Class::Bug => ErrorCode::INTERNAL_ERROR,
    };
    ErrorData::new(code, line(&problem), Some(data(&problem)))
}

fn shown(error: &OpError) -> Vec<Problem> {
    match error.problems.len() {
        0 => vec![error.first()],
        _ => error.problems.iter().take(PROBLEMS_SHOWN_MAX).cloned().collect(),
    }
}

fn text(error: &OpError) -> String {
    let problems = shown(error);
    let mut lines: Vec<String> = problems.iter().map(line).collect();
    let all = error.problems.len();
    if all > 1 {
        lines.insert(0, format!("{all} problems; nothing was done:"));
    }
    if all > problems.len() {
        lines.push(format!("… and {} more", all - problems.len()));
    }
    if error.retryable() {
        lines.push("Nothing is wrong with the call: the same one may work later.".to_owned());
    }
    lines.join("\n")
}

/// One problem as one line: `code: what happened (at where). Hint: what to do.`
fn line(problem: &Problem) -> String {
    let mut line = problem.to_string();
    if let Some(hint) = &problem.hint {
        line.push_str(". Hint: ");
        line.push_str(hint);
    }
    // A message may quote what a caller or a file said: it stays one line, without escapes.
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn data(problem: &Problem) -> Value {
    let mut data = json!({
        "code": problem.code,
        "message": problem.message,
        "retryable": problem.class == Class::Later,
    });
    for (name, value) in [("at", &problem.at), ("hint", &problem.hint)] {
        if let Some(value) = value {
            data[name] = value.as_str().into();
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(code: &'static str) -> Problem {
        Problem::new(Class::Caller, code, "the item is\nnot there")
            .at("/items/3")
            .hint("call status {\"run_id\":\"r\"}")
    }

    fn text_of(error: &OpError) -> String {
        let result = serde_json::to_value(tool_error(error)).unwrap();
        assert_eq!(result["isError"], true);
        assert!(result.get("structuredContent").is_none());
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    #[test]
    fn an_error_says_code_what_where_and_what_to_do_on_one_line() {
        let text = text_of(&OpError::one(problem("item-missing")));
        assert_eq!(text, "item-missing: the item is not there (at /items/3). Hint: call status {\"run_id\":\"r\"}");
    }

    #[test]
    fn every_problem_is_listed_up_to_the_bound() {
        let problems = |count| OpError { problems: vec![problem("a"); count] };
        assert_eq!(text_of(&problems(2)).lines().count(), 3);
        assert_eq!(text_of(&problems(PROBLEMS_SHOWN_MAX)).lines().count(), 1 + PROBLEMS_SHOWN_MAX);
        let text = text_of(&problems(PROBLEMS_SHOWN_MAX + 3));
        assert!(text.ends_with("… and 3 more"));
    }

    #[test]
    fn the_home_is_not_named() {
        let problem = Problem::new(Class::Operator, "home-missing", "there is no folder /h/x")
            .at("/h/x/agora.toml")
            .hint("run `agora-admin --home /h/x init`");
        let scrubbed = text_of(&without_home(OpError::one(problem.clone()), Path::new("/h/x")));
        assert_eq!(
            scrubbed,
            "home-missing: there is no folder $AGORA_HOME (at $AGORA_HOME/agora.toml). Hint: run `agora-admin init`"
        );
        assert!(text_of(&without_home(OpError::one(problem), Path::new("/other"))).contains("/h/x"));
    }

    #[test]
    fn only_what_may_work_later_says_so() {
        let later = OpError::one(Problem::new(Class::Later, "busy", "the store is busy"));
        assert!(text_of(&later).contains("may work later"));
        assert!(!text_of(&OpError::one(problem("a"))).contains("may work later"));
    }

    #[test]
    fn classes_have_their_protocol_codes() {
        let code = |class| protocol_error(&OpError::one(Problem::new(class, "c", "m"))).code.0;
        assert_eq!(
            [Class::Caller, Class::Missing, Class::Operator, Class::Later, Class::Bug].map(code),
            [-32602, -32002, -32603, -32603, -32603]
        );
    }
}
