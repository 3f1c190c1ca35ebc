//! Reading JSON by place: what is wrong is noted with its JSON pointer, and reading goes on.

use std::fmt;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::code::Code;
use super::suggest::{Suggest, shown};
use crate::error::Problem;
use crate::id::{ItemId, Name};
use crate::limits::PLAN_PROBLEMS_MAX;

/// A place in the document, written out only when something is wrong there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// The document.
    Root,
    /// A member of an object.
    Key(&'a Place<'a>, &'a str),
    /// An element of an array.
    Index(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    pub(super) fn key(&'a self, key: &'a str) -> Self {
        Self::Key(self, key)
    }

    pub(super) fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }
}

/// The JSON pointer (RFC 6901 §3); of a key at most 80 characters, since a caller chose it.
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(parent, key) => {
                let key: String = key.chars().take(80).collect();
                let key: String = key.replace('~', "~0").replace('/', "~1").escape_debug().collect();
                write!(f, "{parent}/{key}")
            }
            Self::Index(parent, index) => write!(f, "{parent}/{index}"),
        }
    }
}

/// What was found wrong or odd so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    left_out: usize,
    item: Option<ItemId>,
    pub(super) suggest: Suggest,
}

impl Report {
    /// Says which item the next findings are about, so that messages name it beside its place.
    pub(super) fn about(&mut self, item: Option<&ItemId>) {
        self.item = item.cloned();
    }

    fn named(&self, mut finding: Problem) -> Problem {
        if let Some(item) = &self.item {
            finding.message = format!("item {item}: {}", finding.message);
        }
        finding
    }

    /// Goes on from what an earlier step found and counted.
    pub(super) fn with(problems: Vec<Problem>, left_out: usize) -> Self {
        Self { problems, left_out, ..Self::default() }
    }

    /// How many problems were counted and not kept.
    pub(super) fn left_out(&self) -> usize {
        self.left_out
    }

    /// Notes a problem; beyond [`PLAN_PROBLEMS_MAX`] it is only counted, so that memory stays bounded.
    pub(super) fn refuse(&mut self, problem: Problem) {
        if self.problems.len() < PLAN_PROBLEMS_MAX {
            let problem = self.named(problem);
            self.problems.push(problem);
        } else {
            self.left_out += 1;
        }
    }

    /// Notes a name that does not exist, with the near one. Looking for it costs, so it ends where notes do.
    pub(super) fn unknown<'n>(
        &mut self,
        code: Code,
        place: &Place<'_>,
        message: String,
        given: &str,
        (kind, known): (&str, impl Iterator<Item = &'n str> + Clone),
    ) {
        if self.problems.len() < PLAN_PROBLEMS_MAX {
            let hint = self.suggest.hint(given, kind, known);
            self.refuse(code.problem(place.to_string(), message).hint(hint));
        } else {
            self.left_out += 1;
        }
    }

    /// Notes that a value has not the shape it should have.
    pub(super) fn shape(&mut self, place: &Place<'_>, message: impl Into<String>, hint: impl Into<String>) {
        self.refuse(Code::PlanShape.problem(place.to_string(), message).hint(hint));
    }

    /// Notes that a limit was hit.
    pub(super) fn too_large(&mut self, place: &Place<'_>, what: &str, found: usize, max: usize, unit: &str) {
        self.refuse(
            Code::PlanTooLarge
                .problem(place.to_string(), format!("{what}: {found} {unit}, the limit is {max}"))
                .hint("make it smaller, or cut the plan into several"),
        );
    }

    /// Notes something that has no effect.
    pub(super) fn warn(&mut self, warning: Problem) {
        if self.warnings.len() < PLAN_PROBLEMS_MAX {
            let warning = self.named(warning);
            self.warnings.push(warning);
        }
    }

    /// Problems and warnings in the order of the document.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Vec<Problem>) {
        // The count of an earlier step is not one of the problems; the new one includes it.
        self.problems.retain(|problem| problem.code != Code::ProblemsLeftOut.as_str());
        sort_by_place(&mut self.problems);
        sort_by_place(&mut self.warnings);
        if self.left_out > 0 {
            let message = format!("{} more problems are not listed", self.left_out);
            let problem = Problem::new(Code::ProblemsLeftOut.class(), Code::ProblemsLeftOut.as_str(), message);
            self.problems.push(problem.hint("mend the listed ones first; many have one cause"));
        }
        (self.problems, self.warnings)
    }
}

/// Sorts by JSON pointer, numbers as numbers, so that item 9 stands before item 10. Stable: of one place, first found first.
fn sort_by_place(problems: &mut [Problem]) {
    problems.sort_by_cached_key(|problem| {
        let place = problem.at.as_deref().unwrap_or_default();
        place
            .split('/')
            .skip(1)
            .map(|part| (part.parse::<u64>().unwrap_or(u64::MAX), part.to_owned()))
            .collect::<Vec<_>>()
    });
}

/// What a JSON value is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

impl Report {
    /// Notes that a value has the wrong type.
    pub(super) fn wrong_type(&mut self, place: &Place<'_>, value: &Value, wanted: &str) {
        let hint =
            if value.is_null() { "leave the key out instead of null".to_owned() } else { format!("give {wanted}") };
        self.shape(place, format!("expected {wanted}, found {}", kind(value)), hint);
    }

    /// The members of an object.
    pub(super) fn object<'v>(&mut self, place: &Place<'_>, value: &'v Value) -> Option<&'v Map<String, Value>> {
        let object = value.as_object();
        if object.is_none() {
            self.wrong_type(place, value, "an object");
        }
        object
    }

    /// The elements of an array of at most `max`.
    pub(super) fn array<'v>(
        &mut self,
        place: &Place<'_>,
        value: &'v Value,
        max: usize,
        what: &str,
    ) -> Option<&'v [Value]> {
        let Some(array) = value.as_array() else {
            self.wrong_type(place, value, "an array");
            return None;
        };
        if array.len() > max {
            self.too_large(place, what, array.len(), max, "elements");
            return None;
        }
        Some(array)
    }

    /// A text.
    pub(super) fn text<'v>(&mut self, place: &Place<'_>, value: &'v Value) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(place, value, "a string");
        }
        text
    }

    /// A text of one line: 1 to `max` bytes without control characters.
    pub(super) fn line<'v>(&mut self, place: &Place<'_>, value: &'v Value, max: usize, what: &str) -> Option<&'v str> {
        let text = self.text(place, value)?;
        if text.len() > max {
            self.too_large(place, what, text.len(), max, "bytes");
        } else if text.is_empty() || text.chars().any(char::is_control) {
            self.shape(
                place,
                format!("{what} {} is empty or holds a control character", shown(text)),
                "give one line of text",
            );
        } else {
            return Some(text);
        }
        None
    }

    /// A boolean.
    pub(super) fn flag(&mut self, place: &Place<'_>, value: &Value) -> Option<bool> {
        let flag = value.as_bool();
        if flag.is_none() {
            self.wrong_type(place, value, "true or false");
        }
        flag
    }

    /// A whole number within a range.
    pub(super) fn whole(&mut self, place: &Place<'_>, value: &Value, range: RangeInclusive<u64>) -> Option<u64> {
        if !value.is_number() {
            self.wrong_type(place, value, "a whole number");
            return None;
        }
        let whole = value.as_u64().filter(|whole| range.contains(whole));
        if whole.is_none() {
            let (low, high) = (range.start(), range.end());
            self.shape(
                place,
                format!("{value} is not a whole number from {low} to {high}"),
                format!("give {low} to {high}"),
            );
        }
        whole
    }

    /// A name of the registry or configuration. One that does not follow the syntax cannot exist, hence `code`.
    pub(super) fn name(&mut self, place: &Place<'_>, value: &Value, code: Code, what: &str) -> Option<Name> {
        let text = self.text(place, value)?;
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                let hint = match Name::new(text.to_lowercase().replace([' ', '/'], "-")) {
                    Ok(name) => format!("names are written in lower case: `{name}`?"),
                    Err(_) => format!("a name is {}; `catalog` lists them", error.syntax),
                };
                self.refuse(
                    code.problem(place.to_string(), format!("no {what} can be called {}", shown(text))).hint(hint),
                );
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_json_pointer() {
        let items = Place::Root.key("items");
        let third = items.index(3);
        assert_eq!(third.key("a/b~c").to_string(), "/items/3/a~1b~0c");
        assert_eq!(Place::Root.to_string(), "");
    }

    #[test]
    fn problems_come_in_the_order_of_the_document_and_the_rest_is_counted() {
        let mut report = Report::default();
        for at in ["/items/10/id", "/items/9/id", "/budget"] {
            report.refuse(Code::PlanShape.problem(at, "wrong"));
        }
        let places: Vec<_> = report.finish().0.into_iter().map(|p| p.at.unwrap()).collect();
        assert_eq!(places, ["/budget", "/items/9/id", "/items/10/id"]);

        let mut report = Report::default();
        for i in 0..=PLAN_PROBLEMS_MAX {
            report.refuse(Code::PlanShape.problem(format!("/items/{i}"), "wrong"));
        }
        let problems = report.finish().0;
        assert_eq!(problems.len(), PLAN_PROBLEMS_MAX + 1);
        assert_eq!(
            problems.last().map(|p| (&*p.code, &*p.message)),
            Some(("problems-left-out", "1 more problems are not listed"))
        );
    }
}
