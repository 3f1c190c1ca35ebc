//! Tables of what is refused, each row beside a plan that is not.

mod bounds;
mod checking;
mod growth;
mod hostile;
mod patterns;
mod shape;

use serde_json::{Value, json};

use super::parse;
use crate::error::Problem;

/// A plan of one item that nothing is wrong with.
fn good() -> Value {
    json!({ "items": [{ "id": "a", "inputs": { "subagent": "code-edit", "workerInput": { "file": "a.ts" } } }] })
}

/// The plan with the value at a JSON pointer set; the parent must exist.
fn with(mut plan: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = plan.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list.push(value),
        _ => parent[key] = value,
    }
    plan
}

fn problems(plan: &Value) -> Vec<Problem> {
    parse(plan.to_string().as_bytes()).problems
}

/// Code and place of each problem.
fn found(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems.iter().map(|p| (p.code.as_str(), p.at.as_deref().unwrap_or("-"))).collect()
}

/// Every problem has a place and a hint, and reads as style asks.
fn well_formed(problems: &[Problem]) {
    for problem in problems {
        assert!(problem.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{problem:?}");
        assert!(!problem.message.ends_with('.'), "{problem:?}");
        assert!(problem.message.chars().all(|c| !c.is_control()), "{problem:?}");
        assert!(super::Code::ALL.iter().any(|code| code.as_str() == problem.code), "{problem:?}");
    }
}
