//! Hand-offs between items, and the keys under which an item finds what it is handed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::cursor::{Place, Report};
use super::keys;
use super::model::{Need, Select};
use super::suggest::shown;
use crate::id::ItemId;
use crate::limits::ITEM_NEEDS_MAX;
use crate::path::{self, Scope};

/// Key and producer of each need whose producer is text.
pub(super) type Producers<'a> = Vec<(&'a str, &'a str)>;

/// Reads `needs`: every producer that is text, for the graph; and the needs that could be read whole.
pub(super) fn read<'a>(
    map: &'a Map<String, Value>,
    place: &Place<'_>,
    report: &mut Report,
) -> (Producers<'a>, BTreeMap<String, Need>) {
    let (mut producers, mut needs) = (Vec::new(), BTreeMap::new());
    let Some(value) = map.get("needs") else { return (producers, needs) };
    let place = place.key("needs");
    let Some(map) = report.object(&place, value) else { return (producers, needs) };
    if map.len() > ITEM_NEEDS_MAX {
        report.too_large(&place, "needs", map.len(), ITEM_NEEDS_MAX, "keys");
        return (producers, needs);
    }
    for (key, value) in map {
        let place = place.key(key);
        let key_is_right = input_key(key, &place, report);
        let Some(map) = report.object(&place, value) else { continue };
        keys::refuse_others(map, &place, keys::NEED, "a need", report);
        let from = match map.get("from") {
            Some(value) => report.text(&place.key("from"), value),
            None => {
                report.shape(&place, "a need lacks `from`", "name the item that makes it");
                None
            }
        };
        if let Some(from) = from {
            producers.push((key.as_str(), from));
        }
        let select = match map.get("select") {
            Some(value) => read_select(value, &place.key("select"), report),
            None => {
                let hint = r#"say which product: {"kind": "patch"} or {"kind": "output", "path": "report.json"}"#;
                report.shape(&place, "a need lacks `select`", hint);
                None
            }
        };
        // An id that is none is an unknown producer, which the wiring reports.
        if let (true, Some(select), Some(from)) = (key_is_right, select, from.and_then(|from| ItemId::new(from).ok())) {
            needs.insert(key.clone(), Need { from, select });
        }
    }
    refuse_equal_but_for_case(map, &place, report);
    (producers, needs)
}

fn read_select(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<Select> {
    let map = report.object(place, value)?;
    let kind = match map.get("kind") {
        Some(value) => report.text(&place.key("kind"), value)?,
        None => {
            report.shape(place, "`select` lacks `kind`", "`kind` is `patch` or `output`");
            return None;
        }
    };
    match kind {
        "patch" => {
            keys::refuse_others(map, place, &["kind"], "the selection of a patch", report);
            Some(Select::Patch)
        }
        "output" => {
            keys::refuse_others(map, place, &["kind", "path"], "the selection of an output", report);
            let Some(value) = map.get("path") else {
                report.shape(place, "the selection of an output lacks `path`", "give the output's path below outputs/");
                return None;
            };
            let here = place.key("path");
            let path = report.text(&here, value)?;
            if let Err(refusal) = path::check(path.as_bytes(), Scope::Output) {
                report.shape(
                    &here,
                    format!("no output can be there: {refusal}"),
                    "give the output's path below outputs/",
                );
                return None;
            }
            Some(Select::Output { path: path.to_owned() })
        }
        other => {
            report.shape(
                &place.key("kind"),
                format!("{} is no kind of product", shown(other)),
                "`kind` is `patch` or `output`",
            );
            None
        }
    }
}

/// Whether a key can name a file right below `inputs/`.
pub(super) fn input_key(key: &str, place: &Place<'_>, report: &mut Report) -> bool {
    let why = match path::check(key.as_bytes(), Scope::Input) {
        Ok(()) if key.contains('/') => "it holds a slash".to_owned(),
        Ok(()) => return true,
        Err(refusal) => refusal.to_string(),
    };
    let message = format!("the key {} cannot name a file: {why}", shown(key));
    report.shape(place, message, "a key becomes the file inputs/<key>; use letters, digits, `.`, `_`, `-`");
    false
}

/// Two keys that differ in case alone would be one file on some systems.
pub(super) fn refuse_equal_but_for_case<V>(
    keys: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    place: &Place<'_>,
    report: &mut Report,
) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (key, _) in keys {
        let key = key.as_ref();
        if let Some(first) = seen.insert(key.to_lowercase(), key.to_owned()) {
            let message = format!("the keys {} and {} differ in case alone", shown(&first), shown(key));
            report.shape(&place.key(key), message, "give the inputs names that differ in more than case");
        }
    }
}
