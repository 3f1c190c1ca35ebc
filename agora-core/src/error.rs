//! What every error of agora says: whose move it is, a stable code, and what to do next.

use serde::{Deserialize, Serialize};

/// Whose move it is after an error. Exit codes and MCP errors go by class and code, never by text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The caller asked for something that cannot be: change the request.
    Caller,
    /// What was named does not exist, or is not the caller's to see.
    Missing,
    /// The operator has to mend something: configuration, registry, keys, disk.
    Operator,
    /// Nothing is wrong with the request; the same call may work later.
    Later,
    /// A broken promise of agora itself.
    Bug,
}

/// One coded thing that is wrong, as people and programs are shown it.
///
/// `code` is stable, kebab-case and never reused; `docs/errors.md` has a paragraph for each. `message` is lower case,
/// has no full stop and names the thing; `hint` is the exact next step; `at` is a JSON pointer, an item or a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Whose move it is.
    pub class: Class,
    /// The stable code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where it is wrong, if it is in a document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub at: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
}

impl Problem {
    /// Makes a problem with no place and no hint.
    #[must_use]
    pub fn new(class: Class, code: &'static str, message: impl Into<String>) -> Self {
        Self { class, code: code.to_owned(), message: message.into(), at: None, hint: None }
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, at: impl Into<String>) -> Self {
        self.at = Some(at.into());
        self
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        // The empty pointer is the whole document.
        if let Some(at) = self.at.as_ref().filter(|at| !at.is_empty()) {
            write!(f, " (at {at})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// What every error enum of agora can say of itself.
pub trait Coded: std::fmt::Display {
    /// Whose move it is.
    fn class(&self) -> Class;
    /// The stable code.
    fn code(&self) -> &'static str;
    /// The exact next step, if there is one to name.
    fn hint(&self) -> Option<String> {
        None
    }
    /// Where in a document it is wrong.
    fn at(&self) -> Option<String> {
        None
    }
    /// The same as data.
    fn problem(&self) -> Problem {
        Problem {
            class: self.class(),
            code: self.code().to_owned(),
            message: self.to_string(),
            at: self.at(),
            hint: self.hint(),
        }
    }
}

/// Returns the known name nearest to `given`, if one is near enough to be a slip of the pen.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.len().min(given.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{Class, Problem, nearest};

    #[test]
    fn a_place_is_told_and_the_whole_document_is_none() {
        let problem = |at: &str| Problem::new(Class::Caller, "plan-shape", "the plan lacks `items`").at(at).to_string();
        assert_eq!(problem("/items"), "plan-shape: the plan lacks `items` (at /items)");
        assert_eq!(problem(""), "plan-shape: the plan lacks `items`");
    }

    #[test]
    fn the_nearest_name_is_offered_and_a_far_one_is_not() {
        assert_eq!(nearest("code-edti", ["code-edit", "verify"]), Some("code-edit"));
        assert_eq!(nearest("zzzzzz", ["code-edit", "verify"]), None);
    }
}
