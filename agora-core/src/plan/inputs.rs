//! The `inputs` of an item: who works, on what, with what beside the subagent's own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::code::Code;
use super::cursor::{Place, Report};
use super::model::{Inputs, Need};
use super::suggest::shown;
use super::{keys, needs, pattern_read, worker_input};
use crate::id::{Digest, Name};
use crate::limits::{ITEM_CAPABILITIES_MAX, ITEM_ENVS_MAX, ITEM_INPUT_REFS_MAX, MODEL_BYTES_MAX};
use crate::registry::Model;

/// Reads the member `inputs` of the item at `place`; `taken` are the inputs that its `needs` name.
pub(super) fn read(
    map: &Map<String, Value>,
    place: &Place<'_>,
    taken: &BTreeMap<String, Need>,
    report: &mut Report,
) -> Option<Inputs> {
    let Some(value) = map.get("inputs") else {
        report.shape(place, "an item lacks `inputs`", r#"add "inputs": {"subagent": "NAME", "workerInput": {}}"#);
        return None;
    };
    let place = place.key("inputs");
    let map = report.object(&place, value)?;
    keys::other_inputs(map, &place, report);
    let worker_input = match map.get("workerInput") {
        Some(value) => worker_input::read(value, &place.key("workerInput"), report),
        None => None,
    };
    let names = NameList { place: &place, map };
    let env = names.read("env", Code::EnvUnknown, "env bundle", ITEM_ENVS_MAX, report).unwrap_or_default();
    let capabilities = names.read("capabilities", Code::CapabilityUnknown, "capability", ITEM_CAPABILITIES_MAX, report);
    let add = names.read("addCapabilities", Code::CapabilityUnknown, "capability", ITEM_CAPABILITIES_MAX, report);
    if map.contains_key("capabilities") && map.contains_key("addCapabilities") {
        let hint = "keep `capabilities` to replace the subagent's own, or `addCapabilities` to add to them";
        report.shape(&place, "`inputs` has both `capabilities` and `addCapabilities`", hint);
    }
    let pipeline = map.get("pipeline");
    let pipeline = pipeline.and_then(|v| report.name(&place.key("pipeline"), v, Code::PipelineUnknown, "pipeline"));
    let model = map.get("model").and_then(|v| report.line(&place.key("model"), v, MODEL_BYTES_MAX, "model"));
    let input_refs = read_input_refs(map, &place, taken, report);
    let apply_upstream = read_apply(map, &place, report);
    let pattern = pattern_read::read(map, &place, report);
    let Some(value) = map.get("subagent") else {
        report.shape(&place, "`inputs` lacks `subagent`", "name the subagent that does the work; `catalog` lists them");
        return None;
    };
    let subagent = report.name(&place.key("subagent"), value, Code::SubagentUnknown, "subagent")?;
    let mut inputs = Inputs::new(subagent);
    inputs.worker_input = worker_input.unwrap_or(inputs.worker_input);
    inputs.env = env;
    inputs.capabilities = capabilities;
    inputs.add_capabilities = add.unwrap_or_default();
    inputs.input_refs = input_refs;
    inputs.pipeline = pipeline;
    inputs.model = model.map(|model| Model(model.to_owned()));
    inputs.apply_upstream = apply_upstream;
    inputs.pattern = pattern;
    Some(inputs)
}

/// Members of `inputs` that hold a name or several.
struct NameList<'a> {
    place: &'a Place<'a>,
    map: &'a Map<String, Value>,
}

impl NameList<'_> {
    fn read(&self, key: &str, code: Code, what: &str, max: usize, report: &mut Report) -> Option<Vec<Name>> {
        let value = self.map.get(key)?;
        let place = self.place.key(key);
        match value {
            Value::String(_) => Some(report.name(&place, value, code, what).into_iter().collect()),
            Value::Array(_) => {
                let list = report.array(&place, value, max, key)?;
                let mut names = Vec::with_capacity(list.len());
                for (i, value) in list.iter().enumerate() {
                    if let Some(name) =
                        report.name(&place.index(i), value, code, what).filter(|name| !names.contains(name))
                    {
                        names.push(name);
                    }
                }
                Some(names)
            }
            Value::Object(_) if key == "env" => {
                let hint =
                    "a plan sets no variables; name env bundles, like [\"anthropic\"], their values are the operator's";
                report.shape(&place, "expected the name of an env bundle or several, found an object", hint);
                None
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                report.wrong_type(&place, value, "a name or an array of names");
                None
            }
        }
    }
}

fn read_input_refs(
    map: &Map<String, Value>,
    place: &Place<'_>,
    taken: &BTreeMap<String, Need>,
    report: &mut Report,
) -> BTreeMap<String, Digest> {
    let mut refs = BTreeMap::new();
    let Some(value) = map.get("inputRefs") else { return refs };
    let place = place.key("inputRefs");
    let Some(map) = report.object(&place, value) else { return refs };
    if map.len() > ITEM_INPUT_REFS_MAX {
        report.too_large(&place, "inputRefs", map.len(), ITEM_INPUT_REFS_MAX, "keys");
        return refs;
    }
    let taken: BTreeSet<String> = taken.keys().map(|key| key.to_lowercase()).collect();
    for (key, value) in map {
        let place = place.key(key);
        if taken.contains(&key.to_lowercase()) {
            report.shape(
                &place,
                format!("{} is also a key of `needs`", shown(key)),
                "give each input a name of its own",
            );
        }
        let key_is_right = needs::input_key(key, &place, report);
        let Some(text) = report.text(&place, value) else { continue };
        match text.parse::<Digest>() {
            Ok(digest) if key_is_right => {
                refs.insert(key.clone(), digest);
            }
            Ok(_) => {}
            Err(_) => {
                report.shape(
                    &place,
                    format!("{} is not a digest", shown(text)),
                    "a digest is sha256: and 64 lower-case hex digits",
                );
            }
        }
    }
    needs::refuse_equal_but_for_case(map, &place, report);
    refs
}

/// Reads `"workspace": {"apply": "none"}`; anything else there is refused, since a plan chooses its workspace once.
fn read_apply(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> bool {
    let Some(value) = map.get("workspace") else { return true };
    let place = place.key("workspace");
    let Some(map) = report.object(&place, value) else { return true };
    keys::refuse_others(map, &place, &["apply"], "`inputs.workspace`", report);
    match map.get("apply") {
        Some(Value::String(apply)) if apply == "none" => false,
        Some(value) => {
            let hint = "`none` gives the bare base tree; leave `workspace` out to have upstream patches merged in";
            report.shape(
                &place.key("apply"),
                format!("`apply` is `none` or absent, found {}", shown(&value.to_string())),
                hint,
            );
            true
        }
        None => {
            report.shape(
                &place,
                "`inputs.workspace` lacks `apply`",
                "the workspace itself is named once, in the plan's `workspace`",
            );
            true
        }
    }
}
