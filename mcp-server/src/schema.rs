//! Schemas that every client takes: one object, everything in place, nothing that only some validators know.
//!
//! schemars writes what JSON Schema can say; clients map that onto what their models' interfaces can. `null` beside absent,
//! `$ref`, unions, lists of types and number formats are where they differ, so none of them is sent.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// Returns the schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema>() -> Arc<JsonObject> {
    portable::<T>(SchemaSettings::draft2020_12().for_deserialize())
}

/// Returns the schema of a tool's reply.
pub(crate) fn output<T: JsonSchema>() -> Arc<JsonObject> {
    portable::<T>(SchemaSettings::draft2020_12().for_serialize())
}

fn portable<T: JsonSchema>(mut settings: SchemaSettings) -> Arc<JsonObject> {
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    simplify(&mut schema);
    let mut members = match schema {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    // What the type says of itself stands in the tool's description already.
    members.remove("description");
    members.entry("properties").or_insert_with(|| json!({}));
    Arc::new(members)
}

/// Simplifies a schema and everything below it.
fn simplify(schema: &mut Value) {
    let Value::Object(node) = schema else { return };
    for name in ["format", "title", "$schema"] {
        node.remove(name);
    }
    if node.get("default") == Some(&Value::Null) {
        node.remove("default");
    }
    if let Some(Value::String(about)) = node.get_mut("description") {
        // The line ends of the source mean nothing.
        *about = about.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    drop_null(node);
    join_constants(node);
    for name in ["properties", "$defs"] {
        if let Some(Value::Object(members)) = node.get_mut(name) {
            members.values_mut().for_each(simplify);
        }
    }
    for name in ["items", "additionalProperties"] {
        if let Some(member) = node.get_mut(name) {
            simplify(member);
        }
    }
    for name in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(members)) = node.get_mut(name) {
            members.iter_mut().for_each(simplify);
        }
    }
}

/// Absent says what null would.
fn drop_null(node: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = node.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            node.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = node.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(branches)) = node.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            node.remove("anyOf");
            for (name, value) in only {
                // What the member says of itself is nearer than what its type says.
                node.entry(name).or_insert(value);
            }
        }
    }
}

/// A choice of named constants becomes an `enum`, with what each means in the description.
fn join_constants(node: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = node.get("oneOf") else { return };
    let constants: Option<Vec<(Value, String)>> = branches.iter().map(constant).collect();
    let Some(constants) = constants.filter(|constants| !constants.is_empty()) else { return };
    let meanings: Vec<String> = constants
        .iter()
        .filter(|(_, meaning)| !meaning.is_empty())
        .map(|(name, meaning)| format!("{}: {}", name.as_str().unwrap_or_default(), meaning.trim_end_matches('.')))
        .collect();
    let about = node.get("description").and_then(Value::as_str).unwrap_or_default();
    let about = format!("{about} {}.", meanings.join("; ")).trim().to_owned();
    node.remove("oneOf");
    node.insert("type".to_owned(), json!("string"));
    node.insert("enum".to_owned(), constants.into_iter().map(|(name, _)| name).collect());
    if !meanings.is_empty() {
        node.insert("description".to_owned(), about.into());
    }
}

fn constant(branch: &Value) -> Option<(Value, String)> {
    let name = branch.get("const").filter(|name| name.is_string())?;
    let meaning = branch.get("description").and_then(Value::as_str).unwrap_or_default();
    Some((name.clone(), meaning.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, JsonSchema)]
    enum Kind {
        /// The one.
        One,
        /// The other.
        Two,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Inner {
        /// How
        /// many.
        count: Option<u64>,
    }

    /// All of it.
    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Args {
        /// Which.
        #[serde(default)]
        kind: Option<Kind>,
        /// More.
        #[serde(default)]
        inner: Option<Inner>,
        /// Names.
        names: Vec<String>,
    }

    #[test]
    fn a_schema_is_flat_and_plain() {
        let schema = Value::Object((*input::<Args>()).clone());
        assert_eq!(
            schema,
            json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["names"],
                "properties": {
                    "kind": {"type": "string", "enum": ["One", "Two"], "description": "Which. One: The one; Two: The other."},
                    "inner": {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {"count": {"type": "integer", "minimum": 0, "description": "How many."}},
                        "description": "More."
                    },
                    "names": {"type": "array", "items": {"type": "string"}, "description": "Names."}
                }
            })
        );
    }
}
