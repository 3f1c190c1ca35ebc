//! Reading one table of a document: each key once, every problem at once, the nearest key for a slip of the pen.

use agora_core::error::{Class, Problem, nearest};
use agora_core::id::Name;
use agora_core::registry::Artifact;
use serde_json::{Value, json};

use crate::registry::document::{Table, escape};

/// A table being read.
pub(super) struct Fields<'t> {
    table: &'t Table,
    problems: Vec<Problem>,
}

fn shape(key: &str, message: String) -> Problem {
    Problem::new(Class::Operator, "document-shape", message)
        .at(format!("/{}", escape(key)))
        .hint("docs/registry.md lists every field with its type")
}

impl<'t> Fields<'t> {
    /// Refuses at once every key that is not known; `absent` has those that other versions know.
    pub(super) fn new(table: &'t Table, known: &[&str], absent: &[&str]) -> Self {
        let mut problems = Vec::new();
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            let at = format!("/{}", escape(key));
            let shown: String = key.chars().take(80).collect();
            if absent.contains(&key.as_str()) {
                let message = format!("the key {shown} is not in this version of agora");
                problems.push(Problem::new(Class::Operator, "not-available", message).at(at).hint("remove it"));
                continue;
            }
            let hint = match nearest(&shown, known.iter().copied()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            problems
                .push(Problem::new(Class::Operator, "document-key", format!("unknown key {shown}")).at(at).hint(hint));
        }
        Self { table, problems }
    }

    /// Refuses the absence of a key.
    pub(super) fn need(&mut self, key: &str) {
        if !self.table.contains_key(key) {
            let problem = Problem::new(Class::Operator, "document-incomplete", format!("{key} is missing"));
            self.problems.push(problem.hint(format!("add {key}")));
        }
    }

    pub(super) fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// A text, if it is there.
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.table.get(key)? {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.problems.push(shape(key, format!("{key} is not text")));
                None
            }
        }
    }

    /// A list of texts; empty when it is not there.
    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.table.get(key) else { return Vec::new() };
        let texts = value.as_array().map(|values| values.iter().map(|v| v.as_str().map(str::to_owned)).collect());
        match texts {
            Some(Some(texts)) => texts,
            _ => {
                self.problems.push(shape(key, format!("{key} is not a list of texts")));
                Vec::new()
            }
        }
    }

    /// A list of names, or one name, with the pointer of each; empty when it is not there.
    pub(super) fn names(&mut self, key: &str, or_one: bool) -> Vec<(Name, String)> {
        let at = format!("/{}", escape(key));
        let texts = match self.table.get(key) {
            Some(Value::String(text)) if or_one => vec![(text.clone(), at)],
            _ => self.texts(key).into_iter().enumerate().map(|(i, text)| (text, format!("{at}/{i}"))).collect(),
        };
        let mut names = Vec::new();
        for (text, at) in texts {
            match Name::new(text) {
                Ok(name) => names.push((name, at)),
                Err(error) => {
                    self.problems.push(Problem::new(Class::Operator, "name-syntax", error.to_string()).at(at))
                }
            }
        }
        names
    }

    /// Everything found wrong.
    pub(super) fn finish(self) -> Vec<Problem> {
        self.problems
    }
}

/// Makes an artifact of a table that already has the artifact's own keys and no others.
///
/// The keys are tried one by one on an artifact that is good without them, so that each wrong one is told of.
pub(super) fn artifact<T: Artifact>(mut table: Table) -> Result<T, Vec<Problem>> {
    let least = json!({"blocks": [], "files": [], "runtime": "command", "targets": []});
    let own: &[&str] = match T::KIND {
        agora_core::registry::Kind::Capability => &["files"],
        agora_core::registry::Kind::Subagent => &["runtime", "targets"],
        agora_core::registry::Kind::Env => &[],
        agora_core::registry::Kind::Pipeline => &["blocks"],
    };
    let mut problems = Vec::new();
    for (key, value) in &table {
        let mut probe: Table = own.iter().map(|key| ((*key).to_owned(), least[*key].clone())).collect();
        probe.insert("format".to_owned(), T::FORMAT.into());
        probe.insert(key.clone(), value.clone());
        if let Err(error) = serde_json::from_value::<T>(Value::Object(probe)) {
            let why: String = error.to_string().chars().take(300).collect();
            problems.push(shape(key, format!("{key}: {why}")));
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    table.insert("format".to_owned(), T::FORMAT.into());
    serde_json::from_value(Value::Object(table)).map_err(|error| {
        vec![
            Problem::new(Class::Operator, "document-shape", error.to_string())
                .hint("docs/registry.md lists every field"),
        ]
    })
}
