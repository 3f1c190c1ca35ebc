//! Reading TOML tables with the place of everything, so that an error names its line and the nearest key.

use std::path::Path;

use agora_core::error::{Class, Problem, nearest};
use agora_core::id::Name;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The document: its text, and what was found wrong so far.
pub(super) struct Document<'i> {
    file: String,
    text: &'i str,
    problems: Vec<(usize, Problem)>,
}

impl<'i> Document<'i> {
    pub(super) fn new(path: &Path, text: &'i str) -> Self {
        let file =
            path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
        Self { file, text, problems: Vec::new() }
    }

    /// Notes a problem at this byte of the text.
    pub(super) fn refuse(&mut self, offset: usize, code: &'static str, message: String, hint: Option<String>) {
        let before = self.text.as_bytes().get(..offset.min(self.text.len())).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let mut problem = Problem::new(Class::Operator, code, message).at(format!("{}:{line}", self.file));
        problem.hint = hint;
        self.problems.push((offset, problem));
    }

    /// Everything found, in the order of the text. What a line that is no TOML seems to say is left out.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        let is_syntax = |problem: &Problem| problem.code == "config-syntax";
        let lines: Vec<Option<String>> = self
            .problems
            .iter()
            .filter(|(_, problem)| is_syntax(problem))
            .map(|(_, problem)| problem.at.clone())
            .collect();
        self.problems.retain(|(_, problem)| is_syntax(problem) || !lines.contains(&problem.at));
        self.problems.sort_by_key(|(offset, _)| *offset);
        self.problems.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// A key that other versions have and this one does not.
pub(super) struct Absent {
    /// The key.
    pub(super) key: &'static str,
    /// What it would do.
    pub(super) what: &'static str,
}

/// One table, and where it stands.
pub(super) struct Section<'d, 'i> {
    path: String,
    offset: usize,
    table: &'d DeTable<'i>,
}

impl<'d, 'i> Section<'d, 'i> {
    pub(super) fn root(table: &'d Spanned<DeTable<'i>>) -> Self {
        Self { path: String::new(), offset: table.span().start, table: table.get_ref() }
    }

    /// The dotted name of a key in here.
    pub(super) fn name_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the table begins.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// Says whether a key is not there at all, as opposed to there and wrong.
    pub(super) fn is_missing(&self, key: &str) -> bool {
        !self.table.contains_key(key)
    }

    /// Refuses every key that is not known, with the nearest one that is.
    pub(super) fn only(&self, doc: &mut Document<'_>, known: &[&str], absent: &[Absent]) {
        for (key, _) in self.table {
            let (text, offset) = (key.get_ref().as_ref(), key.span().start);
            if known.contains(&text) {
                continue;
            }
            let name = self.name_of(text);
            if let Some(absent) = absent.iter().find(|absent| absent.key == text) {
                let message = format!("the key {name} is not in this version of agora");
                let hint = format!("remove it: this version does not have {}", absent.what);
                doc.refuse(offset, "config-unavailable", message, Some(hint));
                continue;
            }
            let hint = match nearest(text, known.iter().copied()) {
                Some(near) => format!("did you mean {}?", self.name_of(near)),
                None => format!("known here: {}", known.join(", ")),
            };
            doc.refuse(offset, "config-key", format!("unknown key {name}"), Some(hint));
        }
    }

    /// The tables of a table, by name: `[targets.NAME]`. A key in `except` is left to the caller.
    pub(super) fn named(&self, doc: &mut Document<'_>, except: &[&str]) -> Vec<(Name, Section<'d, 'i>)> {
        let mut found = Vec::new();
        for (key, value) in self.table {
            let text = key.get_ref().as_ref();
            if except.contains(&text) {
                continue;
            }
            match Name::new(text) {
                Ok(name) => found.extend(self.as_section(doc, text, value).map(|section| (name, section))),
                Err(error) => doc.refuse(key.span().start, "config-value", error.to_string(), None),
            }
        }
        found
    }

    fn as_section(
        &self,
        doc: &mut Document<'_>,
        key: &str,
        value: &'d Spanned<DeValue<'i>>,
    ) -> Option<Section<'d, 'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Section { path: self.name_of(key), offset: value.span().start, table });
        }
        self.wrong_type(doc, key, value, "a table");
        None
    }

    fn wrong_type(&self, doc: &mut Document<'_>, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        let message = format!("{} is {}, not {wanted}", self.name_of(key), article(value.get_ref().type_str()));
        doc.refuse(value.span().start, "config-value", message, None);
    }

    /// The table under a key, if it is there.
    pub(super) fn section(&self, doc: &mut Document<'_>, key: &str) -> Option<Section<'d, 'i>> {
        self.as_section(doc, key, self.table.get(key)?)
    }

    /// The switch under a key, if it is there.
    pub(super) fn switch(&self, doc: &mut Document<'_>, key: &str) -> Option<bool> {
        let value = self.table.get(key)?;
        if let DeValue::Boolean(switch) = value.get_ref() {
            return Some(*switch);
        }
        self.wrong_type(doc, key, value, "true or false");
        None
    }

    /// The text under a key with its place, if it is there.
    pub(super) fn text(&self, doc: &mut Document<'_>, key: &str) -> Option<(&'d str, usize)> {
        let value = self.table.get(key)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some((text.as_ref(), value.span().start));
        }
        self.wrong_type(doc, key, value, "text");
        None
    }

    /// The name under a key with its place, if it is there.
    pub(super) fn name(&self, doc: &mut Document<'_>, key: &str) -> Option<(Name, usize)> {
        let (text, offset) = self.text(doc, key)?;
        match Name::new(text) {
            Ok(name) => Some((name, offset)),
            Err(error) => {
                doc.refuse(offset, "config-value", format!("{}: {error}", self.name_of(key)), None);
                None
            }
        }
    }

    /// The whole number under a key, within the range, if it is there.
    pub(super) fn number(&self, doc: &mut Document<'_>, key: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.table.get(key)?;
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(doc, key, value, "a whole number");
            return None;
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let message = format!("{} is {number}, not a number from {least} to {most}", self.name_of(key));
                doc.refuse(value.span().start, "config-value", message, None);
                None
            }
        }
    }

    /// The texts of the list under a key with their places, if it is there.
    pub(super) fn texts(&self, doc: &mut Document<'_>, key: &str) -> Option<Vec<(&'d str, usize)>> {
        let value = self.table.get(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(doc, key, value, "a list of texts");
            return None;
        };
        let mut texts = Vec::new();
        for element in array {
            match element.get_ref() {
                DeValue::String(text) => texts.push((text.as_ref(), element.span().start)),
                _ => self.wrong_type(doc, key, element, "text"),
            }
        }
        Some(texts)
    }
}

fn article(kind: &str) -> String {
    let an = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if an { "an" } else { "a" })
}
