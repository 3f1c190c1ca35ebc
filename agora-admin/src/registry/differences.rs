//! What differs between two artifacts of one name, in lines for people. Values of variables are never among them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The most names of one list that are written out.
const NAMES_MAX: usize = 20;
/// The longest value, in bytes of JSON, that is shown as it was and as it is.
const VALUE_BYTES_MAX: usize = 60;

/// Compares two artifacts as JSON; the first may be absent.
#[must_use]
pub(super) fn differences(old: Option<&Value>, new: &Value) -> Vec<String> {
    let (Some(Value::Object(old)), Value::Object(new)) = (old, new) else { return Vec::new() };
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    keys.into_iter().filter_map(|key| one(key, old.get(key), new.get(key))).collect()
}

fn one(key: &str, old: Option<&Value>, new: Option<&Value>) -> Option<String> {
    if old == new {
        return None;
    }
    let words = match key {
        "capabilities" => named(&rows(old, "name"), &rows(new, "name"), Some("digest")),
        "files" => named(&rows(old, "path"), &rows(new, "path"), None),
        "values" | "secrets" => named(&members(old), &members(new), None),
        _ => plain(old, new),
    };
    Some(format!("{key}: {words}"))
}

fn rows<'v>(list: Option<&'v Value>, name: &str) -> BTreeMap<&'v str, &'v Value> {
    let rows = list.and_then(Value::as_array).into_iter().flatten();
    rows.filter_map(|row| Some((row.get(name)?.as_str()?, row))).collect()
}

fn members(object: Option<&Value>) -> BTreeMap<&str, &Value> {
    let object: Option<&Map<String, Value>> = object.and_then(Value::as_object);
    object.into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
}

fn named(old: &BTreeMap<&str, &Value>, new: &BTreeMap<&str, &Value>, digest: Option<&str>) -> String {
    let names: BTreeSet<&&str> = old.keys().chain(new.keys()).collect();
    let mut words = Vec::new();
    for name in names {
        words.push(match (old.get(*name), new.get(*name)) {
            (None, _) => format!("+{name}"),
            (_, None) => format!("-{name}"),
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) => match digest {
                Some(key) => format!("{name} {} → {}", short(old.get(key)), short(new.get(key))),
                None => format!("~{name}"),
            },
        });
    }
    if words.is_empty() {
        return "another order".to_owned();
    }
    let more = words.len().saturating_sub(NAMES_MAX);
    words.truncate(NAMES_MAX);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{tail}", words.join(", "))
}

/// The first digits of a digest, enough to tell two apart by eye.
fn short(digest: Option<&Value>) -> String {
    let text = digest.and_then(Value::as_str).unwrap_or_default();
    text.strip_prefix("sha256:").unwrap_or(text).chars().take(8).collect()
}

fn plain(old: Option<&Value>, new: Option<&Value>) -> String {
    let is_digest = |value: &Value| value.as_str().is_some_and(|text| text.starts_with("sha256:"));
    let word = |value: Option<&Value>| match value {
        None => Some("absent".to_owned()),
        Some(value) if is_digest(value) => Some(short(Some(value))),
        Some(value) => Some(value.to_string()).filter(|text| text.len() <= VALUE_BYTES_MAX),
    };
    match (word(old), word(new)) {
        (Some(old), Some(new)) => format!("{old} → {new}"),
        _ => "changed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_difference_in_its_words() {
        let (a, b) = (format!("sha256:{}", "1a".repeat(32)), format!("sha256:{}", "3c".repeat(32)));
        for (old, new, line) in [
            (json!({"model": "fast"}), json!({"model": "max"}), "model: \"fast\" → \"max\""),
            (json!({}), json!({"model": "max"}), "model: absent → \"max\""),
            (json!({"template": a}), json!({"template": b}), "template: 1a1a1a1a → 3c3c3c3c"),
            (
                json!({"capabilities": [{"name": "x", "digest": a}, {"name": "y", "digest": a}]}),
                json!({"capabilities": [{"name": "x", "digest": b}, {"name": "z", "digest": a}]}),
                "capabilities: x 1a1a1a1a → 3c3c3c3c, -y, +z",
            ),
            (
                json!({"capabilities": [{"name": "x", "digest": a}, {"name": "y", "digest": a}]}),
                json!({"capabilities": [{"name": "y", "digest": a}, {"name": "x", "digest": a}]}),
                "capabilities: another order",
            ),
            (json!({"values": {"A": "one"}}), json!({"values": {"A": "two", "B": "three"}}), "values: ~A, +B"),
            (json!({"argv": ["x".repeat(99)]}), json!({"argv": ["y"]}), "argv: changed"),
        ] {
            assert_eq!(differences(Some(&old), &new), [line]);
            assert_eq!(differences(Some(&new), &new), [""; 0]);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let files: Vec<_> = (10..40).map(|i| json!({"path": format!("f{i}")})).collect();
        let lines = differences(Some(&json!({"files": []})), &json!({"files": files}));
        assert!(lines[0].starts_with("files: +f10, ") && lines[0].ends_with("+f29 and 10 more"), "{lines:?}");
    }
}
