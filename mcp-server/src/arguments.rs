//! A tool's arguments against its schema: everything that is wrong at once, each with the nearest thing that is right.

use agora_core::canon;
use agora_core::error::{Class, Problem, nearest};
use agora_engine::operations::OpError;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Characters of a name or value that a message quotes.
const QUOTED_CHARS_MAX: usize = 80;

/// Reads the arguments of a tool.
///
/// # Errors
/// `unknown-argument`, `missing-argument` and `invalid-argument`, of class `caller`; unknown ones alone if there are any,
/// because whoever misspells a name has usually left out the right one by it.
pub(crate) fn read<T: DeserializeOwned>(tool: &str, schema: &JsonObject, arguments: JsonObject) -> Result<T, OpError> {
    let mut arguments = Value::Object(arguments);
    let mut found = Found { tool, unknown: Vec::new(), wrong: Vec::new() };
    found.object(schema, &mut arguments, "");
    if !found.unknown.is_empty() {
        return Err(OpError { problems: found.unknown });
    }
    if !found.wrong.is_empty() {
        return Err(OpError { problems: found.wrong });
    }
    serde_json::from_value(arguments).map_err(|error| {
        let problem =
            Problem::new(Class::Caller, "invalid-argument", format!("the arguments of {tool} are not valid: {error}"));
        OpError::one(problem.hint(format!("see the input schema of {tool}")))
    })
}

struct Found<'a> {
    tool: &'a str,
    unknown: Vec<Problem>,
    wrong: Vec<Problem>,
}

impl Found<'_> {
    fn object(&mut self, schema: &Map<String, Value>, value: &mut Value, at: &str) {
        let Some(known) = schema.get("properties").and_then(Value::as_object) else { return };
        let Value::Object(members) = value else { return };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            for name in members.keys().filter(|name| !known.contains_key(*name)) {
                self.unknown(name, known, at);
            }
        }
        // Many clients send null for what they leave out.
        members
            .retain(|name, value| !value.is_null() || required.contains(&name.as_str()) || !known.contains_key(name));
        for name in required.iter().filter(|name| !members.contains_key(**name)) {
            let about = known.get(*name).and_then(|schema| schema.get("description")).and_then(Value::as_str);
            let problem = Problem::new(Class::Caller, "missing-argument", format!("{} needs {name:?}", self.tool));
            let hint = about.map_or_else(|| format!("give {name}"), |about| format!("give {name}: {about}"));
            self.wrong.push(place(problem, at, name).hint(hint));
        }
        for (name, value) in members.iter_mut() {
            if let Some(Value::Object(schema)) = known.get(name) {
                self.value(schema, value, &pointer(at, name));
            }
        }
    }

    fn value(&mut self, schema: &Map<String, Value>, value: &mut Value, at: &str) {
        let Some(wanted) = schema.get("type").and_then(Value::as_str) else { return };
        // JSON has one kind of number, and some clients write all of them with a fraction.
        if wanted == "integer"
            && let Some(number) = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 9e15)
            && value.is_f64()
        {
            *value = Value::from(number as i64);
        }
        // Models write documents as text of JSON now and then. It is read as strictly as the message around it.
        if matches!(wanted, "object" | "array")
            && let Value::String(text) = &*value
            && let Ok(parsed) = canon::parse(text.as_bytes(), canon::DEPTH_MAX, text.len())
            && (parsed.is_object() || parsed.is_array())
        {
            *value = parsed;
        }
        let fits = match wanted {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        };
        if !fits {
            return self.invalid(at, format!("has to be {}, not {}", article(wanted), quoted(value)), None);
        }
        if let Some(choices) = schema.get("enum").and_then(Value::as_array)
            && !choices.contains(value)
        {
            let names: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
            let near = value.as_str().and_then(|given| nearest(given, names.iter().copied()));
            let hint = match near {
                Some(near) => format!("use {near:?}; there are {}", names.join(", ")),
                None => format!("use one of {}", names.join(", ")),
            };
            return self.invalid(at, format!("cannot be {}", quoted(value)), Some(hint));
        }
        if let Some(least) = schema.get("minimum").and_then(Value::as_i64)
            && value.as_i64().is_some_and(|given| given < least)
        {
            return self.invalid(at, format!("has to be at least {least}, not {value}"), None);
        }
        if let (Some(Value::Object(items)), Value::Array(values)) = (schema.get("items"), &mut *value) {
            for (index, value) in values.iter_mut().enumerate() {
                self.value(items, value, &pointer(at, &index.to_string()));
            }
        }
        self.object(schema, value, at);
    }

    fn unknown(&mut self, name: &str, known: &Map<String, Value>, at: &str) {
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let shown = quoted(&Value::from(name));
        let hint = match nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean {near:?}? {} takes {}", self.tool, names.join(", ")),
            None => format!("{} takes {}", self.tool, names.join(", ")),
        };
        let problem = Problem::new(Class::Caller, "unknown-argument", format!("{} has no argument {shown}", self.tool));
        self.unknown.push(place(problem, at, name).hint(hint));
    }

    fn invalid(&mut self, at: &str, what: String, hint: Option<String>) {
        let name = at.trim_start_matches('/').replace('/', ".");
        let mut problem =
            Problem::new(Class::Caller, "invalid-argument", format!("{name} of {} {what}", self.tool)).at(at);
        problem.hint = Some(hint.unwrap_or_else(|| format!("see the input schema of {}", self.tool)));
        self.wrong.push(problem);
    }
}

fn place(problem: Problem, at: &str, name: &str) -> Problem {
    let name: String = name.chars().take(QUOTED_CHARS_MAX).collect();
    problem.at(pointer(at, &name))
}

fn pointer(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn article(kind: &str) -> &'static str {
    match kind {
        "string" => "a text",
        "integer" => "a whole number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "an object",
    }
}

fn quoted(value: &Value) -> String {
    let text = match value {
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "an object".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(QUOTED_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use agora_engine::operations::{CancelArgs, DispatchArgs, StatusArgs, SubmitArgs, WatchArgs};
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;
    use crate::schema;

    fn try_read<T: DeserializeOwned + JsonSchema>(arguments: Value) -> Result<T, Vec<String>> {
        let Value::Object(arguments) = arguments else { panic!("not an object") };
        read("the-tool", &schema::input::<T>(), arguments).map_err(|error| {
            error
                .problems
                .iter()
                .map(|p| {
                    format!("{} {} {}", p.code, p.at.clone().unwrap_or_default(), p.hint.clone().unwrap_or_default())
                })
                .collect()
        })
    }

    fn refused<T: DeserializeOwned + JsonSchema>(arguments: Value, start: &str, hint: &str) {
        let problems = try_read::<T>(arguments).err().expect("refused");
        assert!(problems.iter().any(|p| p.starts_with(start) && p.contains(hint)), "{start} {hint}: {problems:?}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_what_would_be_right() {
        refused::<StatusArgs>(json!({"runid": "r"}), "unknown-argument /runid", "\"run_id\"");
        refused::<StatusArgs>(json!({"zzzzzzzz": 1}), "unknown-argument /zzzzzzzz", "takes cursor, item_id");
        refused::<StatusArgs>(json!({"view": "runz"}), "invalid-argument /view", "\"runs\"");
        refused::<StatusArgs>(json!({"limit": "20"}), "invalid-argument /limit", "schema");
        refused::<StatusArgs>(json!({"limit": -1}), "invalid-argument /limit", "schema");
        refused::<StatusArgs>(json!({"limit": 5_000_000_000_u64}), "invalid-argument ", "schema");
        refused::<SubmitArgs>(json!({"plan": "{\"items\": [], \"items\": []}"}), "invalid-argument /plan", "schema");
        refused::<SubmitArgs>(json!({"plan": "items"}), "invalid-argument /plan", "schema");
        refused::<SubmitArgs>(json!({"extend": {"run": "r"}}), "unknown-argument /extend/run", "run_id");
        refused::<CancelArgs>(json!({"run_id": "r"}), "missing-argument /reason", "Why");
        refused::<WatchArgs>(json!({"run_ids": ["a", 7]}), "invalid-argument /run_ids/1", "schema");
        refused::<DispatchArgs>(
            json!({"subagent": "s", "workspace": {"nmae": "x"}}),
            "unknown-argument /workspace/nmae",
            "\"name\"",
        );
    }

    #[test]
    fn an_unknown_name_is_told_before_anything_else() {
        let problems = try_read::<CancelArgs>(json!({"run": "r", "mode": "no"})).unwrap_err();
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn what_is_right_is_read_and_null_is_absent() {
        let args: StatusArgs = try_read(json!({"view": "run", "run_id": "r", "limit": 20.0, "cursor": null})).unwrap();
        assert_eq!((args.run_id.as_deref(), args.limit, args.cursor), (Some("r"), Some(20), None));
        let args: DispatchArgs =
            try_read(json!({"subagent": "s", "input": {"a": [1]}, "labels": {"k": "v"}, "workspace": {"name": "cwd"}}))
                .unwrap();
        assert_eq!(args.input, Some(json!({"a": [1]})));
        let args: SubmitArgs = try_read(json!({"plan": "{\"items\": [1]}"})).unwrap();
        assert_eq!(args.plan, Some(json!({"items": [1]})));
        let args: SubmitArgs =
            try_read(json!({"extend": {"run_id": "r", "items": [{"id": "a"}]}, "close": true})).unwrap();
        let extend = args.extend.unwrap();
        assert_eq!((extend.run_id.as_str(), extend.items), ("r", Some(vec![json!({"id": "a"})])));
    }
}
