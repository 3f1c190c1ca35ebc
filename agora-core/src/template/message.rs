//! What a template sees beside the input, and the message where there is no template.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::error::TemplateError;

/// Bytes of a message: as large as a prompt may be.
pub const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// What a template knows under the reserved name `agora`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AgoraVars {
    /// The run.
    pub run: String,
    /// The item.
    pub item: String,
    /// The attempt, from 1.
    pub attempt: u64,
    /// Key of an input to its path in the workspace.
    pub inputs: BTreeMap<String, String>,
    /// The answer to the question an earlier attempt asked; `none` in a template until there is one.
    pub answer: Option<String>,
    /// What that attempt wanted to find again; `none` until there is something.
    pub partial_state: Option<Value>,
}

impl AgoraVars {
    /// The members' names.
    pub(super) const NAMES: &'static [&'static str] = &["run", "item", "attempt", "inputs", "answer", "partial_state"];
}

/// Returns the message of a subagent without a template: the input's `prompt` if that is text, else all of it as JSON.
///
/// # Errors
/// [`TemplateError::TooLarge`] over [`MESSAGE_BYTES_MAX`].
pub fn message_without_template(input: &Value) -> Result<String, TemplateError> {
    let message = match input.get("prompt") {
        Some(Value::String(prompt)) => prompt.clone(),
        _ => input.to_string(),
    };
    if message.len() > MESSAGE_BYTES_MAX { Err(TemplateError::TooLarge) } else { Ok(message) }
}

/// Adds the answer to a question, and what its asker wanted to find again, to a message made without a template.
///
/// What would take the message over [`MESSAGE_BYTES_MAX`] is named instead: both lie in the inputs under their reserved
/// names anyway. A message of that very size already stays as it is.
#[must_use]
pub fn add_answer(message: &str, answer: &str, partial_state: Option<&Value>) -> String {
    let mut out = message.to_owned();
    add(&mut out, "Answer to your question", answer, "inputs/answer");
    if let Some(state) = partial_state {
        add(&mut out, "Where you stopped", &state.to_string(), "inputs/partial_state");
    }
    out
}

fn add(message: &mut String, title: &str, text: &str, file: &str) {
    // Room for the reference to whatever comes after it is kept free.
    let room = MESSAGE_BYTES_MAX.saturating_sub(message.len()).saturating_sub(100);
    let whole = format!("\n\n## {title}\n\n{text}\n");
    let named = format!("\n\n## {title}\n\nSee the file {file}.\n");
    if whole.len() <= room {
        message.push_str(&whole);
    } else if message.len() + named.len() <= MESSAGE_BYTES_MAX {
        message.push_str(&named);
    }
}
