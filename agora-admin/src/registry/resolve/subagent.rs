//! Subagents of a document: prompts become blobs, names must exist in the new state, capabilities are frozen.

use agora_core::error::{Class, Problem};
use agora_core::registry::check::{PROMPT_BYTES_MAX, check_text};
use agora_core::registry::{CapabilityRef, Kind, Subagent};
use agora_core::template::Template;
use serde_json::Value;

use super::Work;
use super::field::{Fields, artifact};
use crate::registry::capability::read_text;
use crate::registry::document::Table;

const KEYS: [&str; 22] = [
    "about",
    "expects",
    "runtime",
    "argv",
    "system_prompt",
    "system_prompt_file",
    "template",
    "template_file",
    "model",
    "models",
    "capabilities",
    "env",
    "may_add_env",
    "pipeline",
    "may_use_pipelines",
    "verify",
    "requires",
    "targets",
    "permission_mode",
    "git",
    "may_ask",
    "limits",
];
const TRUST_UPSTREAM: &str = "trust_upstream_config";

pub(super) fn subagents(work: &mut Work<'_>) {
    let document = work.document;
    for (name, table) in document.of(Kind::Subagent) {
        let subagent = one(work, table);
        work.take(name, subagent);
    }
}

fn one(work: &mut Work<'_>, table: &Table) -> Result<Subagent, Vec<Problem>> {
    let known: Vec<&str> = KEYS.into_iter().chain([TRUST_UPSTREAM]).collect();
    let mut fields = Fields::new(table, &known, &["egress"]);
    fields.need("runtime");
    fields.need("targets");
    let mut own = table.clone();
    for key in ["system_prompt", "template"] {
        own.remove(&format!("{key}_file"));
        own.remove(key);
        if let Some(bytes) = text_of(work, &mut fields, table, key)
            && let Some(digest) = prompt(work, &mut fields, key, bytes)
        {
            own.insert(key.to_owned(), digest);
        }
    }
    own.remove("capabilities");
    let mut frozen = Vec::new();
    for (name, at) in fields.names("capabilities", false) {
        match work.digest(Kind::Capability, &name) {
            Some(digest) => frozen.push(CapabilityRef { name, digest }),
            None => work.known(Kind::Capability, &name, &at).into_iter().for_each(|problem| fields.refuse(problem)),
        }
    }
    for (key, kind) in [("env", Kind::Env), ("may_add_env", Kind::Env), ("may_use_pipelines", Kind::Pipeline)] {
        for (name, at) in fields.names(key, false) {
            work.known(kind, &name, &at).into_iter().for_each(|problem| fields.refuse(problem));
        }
    }
    if table.contains_key("pipeline") {
        match table.get("pipeline") {
            Some(Value::String(_)) => {
                for (name, at) in fields.names("pipeline", true) {
                    work.known(Kind::Pipeline, &name, &at).into_iter().for_each(|problem| fields.refuse(problem));
                }
            }
            _ => fields.text("pipeline").into_iter().for_each(drop),
        }
    }
    let mut problems = fields.finish();
    // The lists of names were told of above; what is left are the other keys.
    let told = |key: &str| {
        problems.iter().any(|p| p.at.as_deref().is_some_and(|at| at.trim_start_matches('/').starts_with(key)))
    };
    let unknown: Vec<String> = own.keys().filter(|key| told(key) || !known.contains(&key.as_str())).cloned().collect();
    for key in unknown {
        own.remove(&key);
    }
    own.entry("runtime").or_insert_with(|| "command".into());
    own.entry("targets").or_insert_with(|| Value::Array(Vec::new()));
    match artifact::<Subagent>(own) {
        Ok(mut subagent) => {
            subagent.capabilities = frozen;
            if problems.is_empty() { Ok(subagent) } else { Err(problems) }
        }
        Err(more) => {
            problems.extend(more);
            Err(problems)
        }
    }
}

/// The bytes of a prompt: written in the document, or in a file that it names.
fn text_of(work: &Work<'_>, fields: &mut Fields<'_>, table: &Table, key: &str) -> Option<Vec<u8>> {
    let file_key = format!("{key}_file");
    if table.contains_key(key) && table.contains_key(&file_key) {
        let message = format!("{key} and {file_key} are both there");
        let problem = Problem::new(Class::Operator, "document-shape", message).at(format!("/{key}"));
        fields.refuse(problem.hint("keep one of them"));
        return None;
    }
    if let Some(text) = fields.text(key) {
        return Some(text.into_bytes());
    }
    let path = work.document.folder.join(fields.text(&file_key)?);
    match read_text(&path, PROMPT_BYTES_MAX as u64) {
        Ok(bytes) => Some(bytes),
        Err(problem) => {
            fields.refuse(problem.at(format!("/{file_key}")));
            None
        }
    }
}

/// Checks a prompt and stages it.
fn prompt(work: &mut Work<'_>, fields: &mut Fields<'_>, key: &str, bytes: Vec<u8>) -> Option<Value> {
    let place = format!("/{key}");
    let mut problems = check_text(&place, &bytes);
    if key == "template"
        && problems.is_empty()
        && let Ok(text) = std::str::from_utf8(&bytes)
        && let Err(problem) = Template::parse(text)
    {
        problems.push(problem.at(place));
    }
    if problems.is_empty() {
        match work.resolved.staged.add(bytes) {
            Ok(digest) => return Some(Value::String(digest.to_string())),
            Err(problem) => problems.push(problem),
        }
    }
    problems.into_iter().for_each(|problem| fields.refuse(problem));
    None
}
