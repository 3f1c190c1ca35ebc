//! A deploy document: TOML or JSON, read into tables by kind and name. What the tables mean is [`super::resolve`]'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agora_core::canon;
use agora_core::error::{Class, Coded as _, Problem};
use agora_core::id::Name;
use agora_core::registry::Kind;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// The largest document in bytes: prompts are files of their own.
pub const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// The deepest nesting of a JSON document: the deepest thing in it is a route's list.
const DOCUMENT_DEPTH_MAX: usize = 32;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

impl Syntax {
    /// By the file's ending: `.json` is JSON, everything else TOML.
    #[must_use]
    pub fn of_path(path: &Path) -> Self {
        let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
        if json { Self::Json } else { Self::Toml }
    }

    /// By the first character, for what comes through a pipe: no TOML document begins with a brace.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        if bytes.trim_ascii_start().starts_with(b"{") { Self::Json } else { Self::Toml }
    }
}

/// One table of the document.
pub type Table = Map<String, Value>;

/// A document: its tables, and the folder that its paths start from.
#[derive(Debug, Clone)]
pub struct Document {
    /// Kind to name to table.
    pub tables: BTreeMap<Kind, BTreeMap<Name, Table>>,
    /// Where relative paths start.
    pub folder: PathBuf,
}

impl Document {
    /// The tables of a kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = (&Name, &Table)> {
        self.tables.get(&kind).into_iter().flatten()
    }

    /// A document of one entry: what the verbs for a single artifact deploy.
    #[must_use]
    pub fn of_one(kind: Kind, name: Name, table: Table, folder: PathBuf) -> Self {
        Self { tables: BTreeMap::from([(kind, BTreeMap::from([(name, table)]))]), folder }
    }

    /// Reads a document from its file; its paths start from the file's folder.
    ///
    /// # Errors
    /// As [`Document::parse`], or that the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, Vec<Problem>> {
        let found = agora_engine::config::file::read(path, DOCUMENT_BYTES_MAX).map_err(|error| {
            let what = error.problem();
            // The reader's own hint is for the files of the home, which are to be put back.
            let kind = what.code == "home-file-kind";
            vec![if kind { what.hint("name a document that is a regular file, not a folder or link") } else { what }]
        })?;
        let Some(found) = found else {
            let message = format!("there is no document {}", path.display());
            return Err(vec![
                problem("document-missing", message).hint("name it with --from, or - for standard input"),
            ]);
        };
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::parse(&found.bytes, Syntax::of_path(path), folder)
    }

    /// Reads a document from its bytes.
    ///
    /// # Errors
    /// Every problem: `limit-exceeded`, `document-syntax`, `document-empty`, `document-shape`, `kind-unknown`, `name-syntax`.
    pub fn parse(bytes: &[u8], syntax: Syntax, folder: &Path) -> Result<Self, Vec<Problem>> {
        if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
            let message = format!("the document is over document_bytes_max = {DOCUMENT_BYTES_MAX} bytes");
            return Err(vec![problem("limit-exceeded", message).hint("put long texts into files of their own")]);
        }
        let top = match syntax {
            Syntax::Toml => from_toml(bytes)?,
            Syntax::Json => from_json(bytes)?,
        };
        Self::from_tables(top, folder)
    }

    fn from_tables(top: Table, folder: &Path) -> Result<Self, Vec<Problem>> {
        // What a broken pipe or a wrong name gives: with --prune it would remove everything.
        if top.is_empty() {
            let hint = "to mean a registry without entries, say so with an empty table: [subagent]";
            return Err(vec![problem("document-empty", "the document has no table").hint(hint)]);
        }
        let (mut tables, mut problems) = (BTreeMap::<Kind, BTreeMap<Name, Table>>::new(), Vec::new());
        for (word, value) in top {
            let at = format!("/{}", escape(&word));
            let kind = match word.parse::<Kind>() {
                Ok(kind) => kind,
                Err(unknown) => {
                    problems.push(unknown.problem().at(at));
                    continue;
                }
            };
            let Value::Object(entries) = value else {
                problems.push(shape(at, &format!("{word} is not a table of names")));
                continue;
            };
            for (text, value) in entries {
                let at = format!("{at}/{}", escape(&text));
                match (Name::new(text.as_str()), value) {
                    (Ok(name), Value::Object(table)) => {
                        tables.entry(kind).or_default().insert(name, table);
                    }
                    (Ok(_), _) => problems.push(shape(at, &format!("{word}.{text} is not a table"))),
                    (Err(error), _) => problems
                        .push(problem("name-syntax", error.to_string()).at(at).hint("choose a name like house-rules")),
                }
            }
        }
        if problems.is_empty() { Ok(Self { tables, folder: folder.to_owned() }) } else { Err(problems) }
    }
}

fn problem(code: &'static str, message: impl Into<String>) -> Problem {
    Problem::new(Class::Operator, code, message)
}

fn shape(at: String, message: &str) -> Problem {
    problem("document-shape", message).at(at).hint("tables are capability.NAME, subagent.NAME, env.NAME, pipeline.NAME")
}

/// One member of a JSON pointer (RFC 6901 §3).
pub(super) fn escape(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}

fn from_json(bytes: &[u8]) -> Result<Table, Vec<Problem>> {
    match canon::parse(bytes, DOCUMENT_DEPTH_MAX, bytes.len()) {
        Ok(Value::Object(table)) => Ok(table),
        Ok(_) => Err(vec![shape(String::new(), "the document is not an object")]),
        Err(error) => {
            let hint = "write one JSON object, each name once";
            Err(vec![problem("document-syntax", error.to_string()).hint(hint)])
        }
    }
}

fn from_toml(bytes: &[u8]) -> Result<Table, Vec<Problem>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(vec![problem("document-syntax", "the document is not UTF-8").hint("save it as UTF-8")]);
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(errors.iter().map(|error| syntax(text, error)).collect());
    }
    let mut problems = Vec::new();
    let table = convert_table(table.get_ref(), "", &mut problems);
    if problems.is_empty() { Ok(table) } else { Err(problems) }
}

fn syntax(text: &str, error: &toml::de::Error) -> Problem {
    let before = text.as_bytes().get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let message = error.message().replace('\n', ", ");
    problem("document-syntax", message).at(format!("line {line}")).hint("TOML: https://toml.io/en/v1.0.0")
}

fn convert_table(table: &DeTable<'_>, at: &str, problems: &mut Vec<Problem>) -> Table {
    let mut converted = Table::new();
    for (key, value) in table {
        let at = format!("{at}/{}", escape(key.get_ref()));
        if let Some(value) = convert(value.get_ref(), &at, problems) {
            converted.insert(key.get_ref().to_string(), value);
        }
    }
    converted
}

fn convert(value: &DeValue<'_>, at: &str, problems: &mut Vec<Problem>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Boolean(switch) => Some(Value::Bool(*switch)),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Some(Value::from(number)),
            Err(_) => {
                problems.push(shape(at.to_owned(), "the number is too large"));
                None
            }
        },
        DeValue::Array(values) => {
            let values = values.iter().enumerate();
            Some(Value::Array(
                values.filter_map(|(i, v)| convert(v.get_ref(), &format!("{at}/{i}"), problems)).collect(),
            ))
        }
        DeValue::Table(table) => Some(Value::Object(convert_table(table, at, problems))),
        DeValue::Float(_) | DeValue::Datetime(_) => {
            let message = format!("a {} is used nowhere here", value.type_str());
            problems.push(shape(at.to_owned(), &message));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(bytes: &[u8], syntax: Syntax) -> Vec<String> {
        match Document::parse(bytes, syntax, Path::new(".")) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.code).collect(),
        }
    }

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = b"[capability.a]\nfrom = \"x\"\n[subagent.b]\ntargets = [\"*\"]\nlimits = { pids = 0x10 }\nmay_ask = false\n";
        let json = br#"{"capability":{"a":{"from":"x"}},"subagent":{"b":{"targets":["*"],"limits":{"pids":16},"may_ask":false}}}"#;
        let read = |bytes: &[u8]| Document::parse(bytes, Syntax::of_bytes(bytes), Path::new(".")).unwrap().tables;
        assert_eq!(read(toml), read(json));
        assert_eq!(read(toml).len(), 2);
    }

    #[test]
    fn every_problem_of_the_shape_is_told_at_once() {
        assert_eq!(
            codes(b"[capabilty.a]\n[env]\nx = 1\n[pipeline.P]\n", Syntax::Toml),
            ["kind-unknown", "document-shape", "name-syntax"]
        );
        assert_eq!(codes(b"[env.a]\nx = 1.5\ny = 1979-05-27\n", Syntax::Toml), ["document-shape", "document-shape"]);
        assert_eq!(codes(b"[env.a]\nx = \ny = \n", Syntax::Toml).len(), 2);
        assert_eq!(codes(b"[env.a]\nvalues = { X = \"1\" }", Syntax::Toml), [""; 0]);
        assert_eq!(codes(br#"{"env":{"a":{},"a":{}}}"#, Syntax::Json), ["document-syntax"]);
        assert_eq!(codes(br#"{"env":{"a":{}}}"#, Syntax::Json), [""; 0]);
        assert_eq!(codes(b"[]", Syntax::Json), ["document-shape"]);
        assert_eq!(codes(b"\xff", Syntax::Toml), ["document-syntax"]);
    }

    #[test]
    fn a_document_of_nothing_is_refused_and_one_that_says_nothing_is_meant_is_not() {
        for (nothing, syntax) in [("", Syntax::Toml), (" \n# all gone\n", Syntax::Toml), ("{}", Syntax::Json)] {
            assert_eq!(codes(nothing.as_bytes(), syntax), ["document-empty"], "{nothing:?}");
        }
        assert_eq!(codes(b"[subagent]\n", Syntax::Toml), [""; 0]);
        assert_eq!(codes(br#"{"subagent": {}}"#, Syntax::Json), [""; 0]);
    }

    #[test]
    fn a_large_document_is_refused_before_it_is_read() {
        let mut bytes = vec![b'\n'; usize::try_from(DOCUMENT_BYTES_MAX).unwrap()];
        bytes[..5].copy_from_slice(b"[env]");
        assert_eq!(codes(&bytes, Syntax::Toml), [""; 0]);
        assert_eq!(codes(&[bytes.as_slice(), b"\n"].concat(), Syntax::Toml), ["limit-exceeded"]);
    }
}
