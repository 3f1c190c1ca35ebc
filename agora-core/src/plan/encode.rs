//! The normalised plan as bytes: canonical JSON in the plan's own format, so that it can be read by whoever reads plans.

use serde_json::{Map, Value, json};

use super::cursor::{Place, Report};
use super::model::{Inputs, Item, Need, Plan, Select, Work};
use super::parse::{not_json, parse_within};
use super::{budget, item};
use crate::canon::{self, CanonError};
use crate::error::{Class, Coded, Problem};
use crate::id::Digest;
use crate::limits::{PLAN_DEPTH_MAX, PLAN_STORED_BYTES_MAX, RUN_ITEMS_MAX};

/// Why stored bytes are not a normalised plan. They were written by agora and found by their digest, so this is damage or
/// a store of another version.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StoredPlanError {
    /// Not a plan of this version.
    #[error("the stored plan is refused: {0}")]
    Refused(Problem),
    /// A plan, but not as [`Plan::to_bytes`] writes it.
    #[error("the stored plan is not in its normal form")]
    NotNormal,
    /// It could not be written again to compare.
    #[error("the stored plan cannot be written again")]
    Unwritable(#[source] CanonError),
}

impl Coded for StoredPlanError {
    fn class(&self) -> Class {
        Class::Operator
    }

    fn code(&self) -> &'static str {
        "stored-plan"
    }

    fn hint(&self) -> Option<String> {
        Some("run `agora-admin doctor`; a store of a newer agora needs that version".to_owned())
    }
}

impl Plan {
    /// The normalised plan as a JSON value, every default written out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        if let Some(id) = &self.id {
            map.insert("id".to_owned(), json!(id));
        }
        map.insert("queue".to_owned(), json!(self.queue));
        if let Some(workspace) = &self.workspace {
            let workspace = json!({ "name": workspace.name, "rev": workspace.rev, "dirty": workspace.dirty });
            map.insert("workspace".to_owned(), workspace);
        }
        map.insert("openEnded".to_owned(), json!(self.open_ended));
        map.insert("labels".to_owned(), json!(self.labels));
        if let Some(budget) = &self.budget {
            map.insert("budget".to_owned(), budget::write(budget));
        }
        map.insert("items".to_owned(), self.items.iter().map(Item::to_value).collect());
        Value::Object(map)
    }

    /// The bytes that are stored and whose digest names the plan: canonical JSON, floats inside `workerInput` alone.
    ///
    /// # Errors
    /// [`CanonError`] for a value made by hand that [`parse`](super::parse()) would have refused.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonError> {
        canon::to_bytes_with_floats(&self.to_value())
    }

    /// Reads what [`Plan::to_bytes`] wrote, and nothing else.
    ///
    /// # Errors
    /// [`StoredPlanError`] for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredPlanError> {
        let parsed = parse_within(bytes, PLAN_STORED_BYTES_MAX);
        if let Some(problem) = parsed.problems.into_iter().next() {
            return Err(StoredPlanError::Refused(problem));
        }
        let again = parsed.plan.to_bytes().map_err(StoredPlanError::Unwritable)?;
        if again == bytes { Ok(parsed.plan) } else { Err(StoredPlanError::NotNormal) }
    }

    /// The digest of [`Plan::to_bytes`]: the same for every spelling of one plan.
    ///
    /// # Errors
    /// As [`Plan::to_bytes`].
    pub fn digest(&self) -> Result<Digest, CanonError> {
        self.to_bytes().map(|bytes| Digest::of(&bytes))
    }
}

/// Items as a run keeps them that it was given after its plan: the canonical JSON of an array of normalised items.
///
/// # Errors
/// As [`Plan::to_bytes`].
pub fn items_to_bytes(items: &[Item]) -> Result<Vec<u8>, CanonError> {
    canon::to_bytes_with_floats(&items.iter().map(Item::to_value).collect::<Value>())
}

/// Reads what [`items_to_bytes`] wrote, and nothing else. What the items depend on is not looked for.
///
/// # Errors
/// [`StoredPlanError`] for any other bytes.
pub fn items_from_bytes(bytes: &[u8]) -> Result<Vec<Item>, StoredPlanError> {
    let value = canon::parse(bytes, PLAN_DEPTH_MAX, PLAN_STORED_BYTES_MAX)
        .map_err(|error| StoredPlanError::Refused(not_json(&error, "the list of items")))?;
    let (mut report, root) = (Report::default(), Place::Root);
    let list = report.array(&root, &value, RUN_ITEMS_MAX, "the list").unwrap_or_default();
    let read = |(ix, value)| item::read(value, &root.index(ix), &mut report).whole();
    let items: Vec<Item> = list.iter().enumerate().filter_map(read).collect();
    if let Some(problem) = report.finish().0.into_iter().next() {
        return Err(StoredPlanError::Refused(problem));
    }
    let again = items_to_bytes(&items).map_err(StoredPlanError::Unwritable)?;
    if again == bytes { Ok(items) } else { Err(StoredPlanError::NotNormal) }
}

impl Item {
    /// The normalised item as a JSON value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        map.insert("id".to_owned(), json!(self.id));
        map.insert("executor".to_owned(), json!(self.executor));
        let inputs = match &self.work {
            Work::Dispatch(inputs) => inputs_value(inputs),
            Work::Approval(approval) => json!({ "question": approval.question }),
        };
        map.insert("inputs".to_owned(), inputs);
        map.insert("depends_on".to_owned(), json!(self.depends_on));
        if let Some(shape) = &self.subagent_shape {
            map.insert("subagentShape".to_owned(), json!(shape));
        }
        if self.approval().is_some() {
            // It takes nothing else.
            return Value::Object(map);
        }
        map.insert("resourceLocks".to_owned(), json!(self.locks));
        let needs: Map<String, Value> = self.needs.iter().map(|(key, need)| (key.clone(), need_value(need))).collect();
        map.insert("needs".to_owned(), Value::Object(needs));
        if let Some(seconds) = self.timeout_seconds {
            map.insert("timeoutSeconds".to_owned(), json!(seconds));
        }
        let retry = json!({ "max_attempts": self.retry.max_attempts, "backoff_seconds": self.retry.backoff_seconds });
        map.insert("retry".to_owned(), retry);
        map.insert("priority".to_owned(), json!(self.priority));
        Value::Object(map)
    }

    /// The digest of the normalised item's canonical JSON, which `items.added` records.
    ///
    /// # Errors
    /// As [`Plan::to_bytes`].
    pub fn digest(&self) -> Result<Digest, CanonError> {
        canon::to_bytes_with_floats(&self.to_value()).map(|bytes| Digest::of(&bytes))
    }
}

fn inputs_value(inputs: &Inputs) -> Value {
    let mut map = Map::new();
    map.insert("subagent".to_owned(), json!(inputs.subagent));
    map.insert("workerInput".to_owned(), inputs.worker_input.clone());
    if !inputs.env.is_empty() {
        map.insert("env".to_owned(), json!(inputs.env));
    }
    if let Some(capabilities) = &inputs.capabilities {
        map.insert("capabilities".to_owned(), json!(capabilities));
    }
    if !inputs.add_capabilities.is_empty() {
        map.insert("addCapabilities".to_owned(), json!(inputs.add_capabilities));
    }
    if !inputs.input_refs.is_empty() {
        map.insert("inputRefs".to_owned(), json!(inputs.input_refs));
    }
    if let Some(pipeline) = &inputs.pipeline {
        map.insert("pipeline".to_owned(), json!(pipeline));
    }
    if let Some(model) = &inputs.model {
        map.insert("model".to_owned(), json!(model));
    }
    if !inputs.apply_upstream {
        map.insert("workspace".to_owned(), json!({ "apply": "none" }));
    }
    if let Some(pattern) = &inputs.pattern {
        map.insert(pattern.key().to_owned(), pattern.to_value());
    }
    Value::Object(map)
}

fn need_value(need: &Need) -> Value {
    let select = match &need.select {
        Select::Patch => json!({ "kind": "patch" }),
        Select::Output { path } => json!({ "kind": "output", "path": path }),
    };
    json!({ "from": need.from, "select": select })
}
