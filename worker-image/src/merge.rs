//! Deep merge of JSON settings: objects by key, arrays united, of scalars the later wins; pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Layers merged so far, and who gave what.
pub(crate) struct Merge {
    value: Value,
    /// JSON pointer to the layer that first gave a value there.
    givers: BTreeMap<String, String>,
}

/// Two layers whose shapes differ.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShapeConflict {
    /// JSON pointer to the place.
    pub(crate) at: String,
    /// Who gave the earlier shape.
    pub(crate) earlier: String,
    /// What the two shapes are.
    pub(crate) shapes: (&'static str, &'static str),
}

impl Merge {
    /// Starts with the first layer.
    pub(crate) fn new(layer: &str, value: Value) -> Self {
        Self { value, givers: BTreeMap::from([(String::new(), layer.to_owned())]) }
    }

    /// Lays another layer over it.
    pub(crate) fn over(&mut self, layer: &str, value: Value) -> Result<(), ShapeConflict> {
        merge(&mut self.value, value, String::new(), layer, &mut self.givers)
    }

    /// JSON with two spaces and a line's end.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        format!("{:#}\n", self.value).into_bytes()
    }
}

/// Recursion is bounded by the JSON reader, which refuses more than 128 levels.
fn merge(
    into: &mut Value,
    from: Value,
    at: String,
    layer: &str,
    givers: &mut BTreeMap<String, String>,
) -> Result<(), ShapeConflict> {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                let at = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                match into.get_mut(&key) {
                    Some(old) => merge(old, value, at, layer, givers)?,
                    None => {
                        givers.insert(at, layer.to_owned());
                        into.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => {
            // By their text: comparing each with each would let one large array stop the worker.
            let mut seen: BTreeSet<String> = into.iter().map(Value::to_string).collect();
            into.extend(from.into_iter().filter(|value| seen.insert(value.to_string())));
        }
        (into, from) if shape(into) == shape(&from) => {
            *into = from;
            givers.insert(at, layer.to_owned());
        }
        (into, from) => {
            return Err(ShapeConflict { earlier: giver(givers, &at), shapes: (shape(into), shape(&from)), at });
        }
    }
    Ok(())
}

/// Who gave the value at `at`: the nearest recorded place at or above it.
fn giver(givers: &BTreeMap<String, String>, at: &str) -> String {
    let mut at = at;
    loop {
        if let Some(giver) = givers.get(at) {
            return giver.clone();
        }
        match at.rfind('/') {
            Some(end) => at = &at[..end],
            None => return String::new(),
        }
    }
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "an object",
        Value::Array(_) => "an array",
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => "a scalar",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(layers: &[Value]) -> Result<Value, ShapeConflict> {
        let mut merge = Merge::new("0", layers[0].clone());
        for (n, layer) in layers.iter().enumerate().skip(1) {
            merge.over(&n.to_string(), layer.clone())?;
        }
        Ok(merge.value)
    }

    #[test]
    fn objects_by_key_arrays_united_the_later_scalar_wins() {
        let table = [
            ("keys", vec![json!({"a": 1}), json!({"b": 2})], json!({"a": 1, "b": 2})),
            ("scalar", vec![json!({"a": 1}), json!({"a": "x"})], json!({"a": "x"})),
            ("deep", vec![json!({"a": {"b": 1, "c": 2}}), json!({"a": {"c": 3}})], json!({"a": {"b": 1, "c": 3}})),
            ("array", vec![json!({"a": [1, 2]}), json!({"a": [2, 3]})], json!({"a": [1, 2, 3]})),
            ("three", vec![json!([1]), json!([2]), json!([1, 3])], json!([1, 2, 3])),
        ];
        for (name, layers, expected) in table {
            assert_eq!(merged(&layers), Ok(expected), "{name}");
        }
    }

    #[test]
    fn shapes_that_cannot_merge_name_the_place_and_who_was_first() {
        let table = [
            (vec![json!({"a": {}}), json!({"a": 1})], "/a", "0"),
            (vec![json!({"a": 1}), json!({"a": []})], "/a", "0"),
            (vec![json!({"a": []}), json!({"a": {}})], "/a", "0"),
            (vec![json!({}), json!({"a": {"b/c": [1]}}), json!({"a": {"b/c": {}}})], "/a/b~1c", "1"),
            (vec![json!({"a": 1}), json!({"a": 2}), json!({"a": {}})], "/a", "1"),
            (vec![json!([]), json!({})], "", "0"),
        ];
        for (layers, at, earlier) in table {
            let conflict = merged(&layers).unwrap_err();
            assert_eq!((conflict.at.as_str(), conflict.earlier.as_str()), (at, earlier), "{layers:?}");
        }
    }
}
