//! One value out of a reply: `--field runs.0.run_id`.

use std::str::FromStr;

use agora_core::error::{Class, Problem, nearest};
use serde_json::Value;

/// The deepest path: replies are not nested deeper.
const PARTS_MAX: usize = 16;
/// The most names that a refusal lists.
const NAMES_MAX: usize = 20;

/// A path to a value: names and positions, with dots between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field(Vec<String>);

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if parts.len() > PARTS_MAX || parts.iter().any(String::is_empty) {
            return Err("names and positions with dots between, such as runs.0.run_id".to_owned());
        }
        Ok(Self(parts))
    }
}

impl Field {
    /// Finds the value: text as it is, everything else as JSON.
    pub(crate) fn of(&self, reply: &Value) -> Result<String, Problem> {
        let mut value = reply;
        for (at, part) in self.0.iter().enumerate() {
            let found = match value {
                Value::Array(values) => part.parse::<usize>().ok().and_then(|position| values.get(position)),
                Value::Object(members) => members.get(part),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            value = found.ok_or_else(|| self.unknown(at, value))?;
        }
        Ok(match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    }

    fn unknown(&self, at: usize, value: &Value) -> Problem {
        let message = format!("the answer has no field {:?}", self.0[..=at].join("."));
        let problem = Problem::new(Class::Missing, "field-unknown", message);
        let hint = match value {
            Value::Object(members) => match nearest(&self.0[at], members.keys().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None => {
                    let names: Vec<&str> = members.keys().map(String::as_str).take(NAMES_MAX).collect();
                    format!("there are {}", names.join(", "))
                }
            },
            Value::Array(values) => format!("it is a list of {}: name a position from 0 on", values.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                "nothing lies below it; leave out the last part".to_owned()
            }
        };
        problem.hint(hint)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn find(path: &str) -> Result<String, String> {
        let reply = json!({"runs": [{"run_id": "r1", "held": true}], "total": 3});
        let field: Field = path.parse().unwrap();
        field.of(&reply).map_err(|problem| problem.hint.unwrap())
    }

    #[test]
    fn a_field_is_found_by_names_and_positions() {
        assert_eq!(find("runs.0.run_id").unwrap(), "r1");
        assert_eq!(find("runs.0.held").unwrap(), "true");
        assert_eq!(find("total").unwrap(), "3");
        assert_eq!(find("runs.0").unwrap(), r#"{"held":true,"run_id":"r1"}"#);
    }

    #[test]
    fn one_that_is_not_there_names_what_is() {
        assert_eq!(find("runs.0.run_di").unwrap_err(), "did you mean \"run_id\"?");
        assert_eq!(find("zzzzz").unwrap_err(), "there are runs, total");
        assert!(find("runs.1").unwrap_err().contains("list of 1"));
        assert!(find("total.x").unwrap_err().contains("nothing lies below"));
        assert!("a..b".parse::<Field>().is_err());
        assert!("".parse::<Field>().is_err());
    }
}
