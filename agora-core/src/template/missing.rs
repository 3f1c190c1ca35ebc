//! Which inputs are missing: found by rendering, not by reading the text, so that `default` and conditions count.
//!
//! A first rendering says whether anything is missing at all. Then each name that the input lacks is left out alone while
//! the others are filled with [`Anything`]: it is missing if that fails because something is undefined.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Serde, Value as Variable};
use serde_json::Value;

use super::error::TemplateError;
use super::parse::{RESERVED, Template};

/// Names that are tried one by one. A template that uses more is answered with all it uses.
const TRIES_MAX: usize = 64;

/// How deep one entry within another goes before an [`Anything`] has none: whoever walks all of it must come to an end.
const ANYTHING_DEPTH: usize = 4;

/// Stands for any input: it has every member, one entry, is true, and renders as nothing.
#[derive(Debug)]
pub(super) struct Anything {
    /// How many levels of entries there are below.
    depth: usize,
}

impl Anything {
    pub(super) fn variable() -> Variable {
        Variable::from_object(Self { depth: ANYTHING_DEPTH })
    }
}

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, _key: &Variable) -> Option<Variable> {
        Some(Variable::from_object(Self { depth: self.depth.saturating_sub(1) }))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.depth.min(1))
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }

    fn render(self: &Arc<Self>, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(super) fn missing(template: &Template, input: &Value) -> Vec<String> {
    let fails = |filled: &[&str]| template.render_in(context(input, filled, Anything::variable()));
    let Err(TemplateError::Undefined { line }) = fails(&[]) else { return Vec::new() };
    let lacking: BTreeSet<String> = template.used(true).filter_map(|chain| first_absent(input, &chain)).collect();
    let names: Vec<&str> = lacking.iter().map(String::as_str).collect();
    let needed = |name: &&str| {
        let others: Vec<&str> = names.iter().copied().filter(|other| other != name).collect();
        names.len() > TRIES_MAX || matches!(fails(&others), Err(TemplateError::Undefined { .. }))
    };
    let needed: Vec<String> = names.iter().copied().filter(needed).map(str::to_owned).collect();
    if needed.is_empty() { vec![format!("what line {line} of the template uses")] } else { needed }
}

/// The shortest part of `name.member.member` that the input does not have; `None` if it has all of it.
fn first_absent(input: &Value, chain: &str) -> Option<String> {
    let mut value = input;
    let mut end = 0;
    for part in chain.split('.') {
        end += part.len();
        match value.get(part) {
            Some(inner) => value = inner,
            None => return Some(chain[..end].to_owned()),
        }
        end += 1;
    }
    None
}

/// The root of a template: the input, with [`Anything`] at the names of `filled`, and `agora`.
pub(super) fn context(input: &Value, filled: &[&str], agora: Variable) -> Variable {
    let mut root = members(input, filled);
    root.insert(RESERVED.to_owned(), agora);
    Variable::from(root)
}

fn members(value: &Value, filled: &[&str]) -> BTreeMap<String, Variable> {
    let mut below: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in filled {
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        below.entry(name).or_default().push(rest);
    }
    let mut out: BTreeMap<String, Variable> = BTreeMap::new();
    for (name, inner) in value.as_object().into_iter().flatten() {
        if !below.contains_key(name.as_str()) {
            out.insert(name.clone(), Variable::from(Serde(inner)));
        }
    }
    for (name, rest) in below {
        let variable = match value.get(name) {
            Some(inner @ Value::Object(_)) if rest.iter().all(|r| !r.is_empty()) => {
                Variable::from(members(inner, &rest))
            }
            _ => Anything::variable(),
        };
        out.insert(name.to_owned(), variable);
    }
    out
}
