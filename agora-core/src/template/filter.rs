//! The filters whose result can be far larger than what they are given, with a bound; and `tojson`.
//!
//! Steps are bounded by fuel, but one step of these could still fill the memory with input that a caller chose.

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::message::MESSAGE_BYTES_MAX;

/// What the built-in set has and templates do not: `batch`, `slice` and `format` allocate by a number from the input,
/// `pprint` and `debug` show what a template should name.
const LEFT_OUT: &[&str] = &["batch", "slice", "format", "pprint"];
/// Spaces that `indent` may put before a line: deeper than any prompt.
const INDENT_MAX: usize = 256;

pub(super) fn install(environment: &mut Environment<'_>) {
    for name in LEFT_OUT {
        environment.remove_filter(name);
    }
    environment.remove_global("debug");
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
    environment.add_filter("indent", indent);
    environment.add_filter("tojson", tojson);
}

fn too_large() -> Error {
    Error::new(ErrorKind::InvalidOperation, "the result is larger than a message may be")
}

fn bounded(bytes: usize) -> Result<(), Error> {
    if bytes <= MESSAGE_BYTES_MAX { Ok(()) } else { Err(too_large()) }
}

fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let more = to.len().saturating_sub(from.len());
    bounded(text.len().saturating_add(text.matches(from).count().saturating_mul(more)))?;
    Ok(text.replace(from, to))
}

fn join(values: &Value, separator: Option<&str>) -> Result<String, Error> {
    let mut out = String::new();
    for (i, value) in values.try_iter()?.enumerate() {
        if value.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        if i > 0 {
            out.push_str(separator.unwrap_or_default());
        }
        match value.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&value.to_string()),
        }
        bounded(out.len())?;
    }
    Ok(out)
}

/// Every line but the first, unless `first`; blank lines stay blank.
fn indent(text: &str, width: Option<usize>, first: Option<bool>, rest: Rest<Value>) -> Result<String, Error> {
    let width = width.unwrap_or(4);
    if width > INDENT_MAX || !rest.is_empty() {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("indent takes a width up to {INDENT_MAX}, and whether to indent the first line"),
        ));
    }
    bounded(text.len().saturating_add(text.lines().count().saturating_mul(width)))?;
    let space = " ".repeat(width);
    let mut out = String::new();
    for (i, line) in text.split_inclusive('\n').enumerate() {
        if !line.trim().is_empty() && (i > 0 || first == Some(true)) {
            out.push_str(&space);
        }
        out.push_str(line);
    }
    Ok(out)
}

/// Compact JSON, members in the order of their names; two spaces a level with `tojson(true)`.
fn tojson(value: &Value, pretty: Option<bool>) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    let json = if pretty == Some(true) { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let json = json.map_err(|_| Error::new(ErrorKind::BadSerialization, "the value has no JSON"))?;
    bounded(json.len())?;
    Ok(json)
}
