//! `dispatch`: one item, now: a run of one.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accept::internal;
use super::call::Call as _;
use super::result::{ResultArgs, ResultReply};
use super::submit::WorkspaceArg;
use super::watch::{Until, WatchArgs};
use super::{AuditArgs, Caller, OpError, StatusArgs, View};
use crate::engine::Engine;

/// The arguments of `dispatch`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DispatchArgs {
    /// Who works: a name from the catalog.
    pub subagent: String,
    /// What the subagent's template sees; without a template, its `prompt` is the message.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub input: Option<Value>,
    /// What it works on; absent: an empty folder.
    #[serde(default)]
    pub workspace: Option<WorkspaceArg>,
    /// Where it runs, as a plan's `executor`.
    #[serde(default)]
    pub executor: Option<String>,
    /// Env bundles to add.
    #[serde(default)]
    pub env: Option<Vec<String>>,
    /// Capabilities instead of the subagent's.
    #[serde(default)]
    pub capabilities: Option<Vec<String>>,
    /// Capabilities beside the subagent's.
    #[serde(default)]
    pub add_capabilities: Option<Vec<String>>,
    /// Another allowed model.
    #[serde(default)]
    pub model: Option<String>,
    /// A shorter deadline.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// Kept in the plan as evidence; decides nothing and is shown nowhere else.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
    /// The same id and arguments give the first answer again.
    #[serde(default)]
    pub request_id: Option<String>,
    /// Waits this long for the end, like `watch`.
    #[serde(default)]
    pub wait_seconds: Option<u32>,
}

/// The reply of `dispatch`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DispatchReply {
    /// The run.
    pub run_id: String,
    /// Its only item.
    pub item_id: String,
    /// Where the item stands.
    pub state: String,
    /// Whether this is the answer to an earlier, equal call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deduplicated: bool,
    /// The result, if it ended in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultReply>,
    /// What to call next.
    pub next: String,
}

impl Engine {
    /// Runs one item, and waits for it if asked to.
    ///
    /// # Errors
    /// As `submit`.
    pub async fn dispatch(&self, caller: &Caller, args: DispatchArgs) -> Result<DispatchReply, OpError> {
        let wait_seconds = args.wait_seconds.unwrap_or(0);
        let request_id = args.request_id.clone();
        let plan = plan_of(args);
        let bytes = serde_json::to_vec(&plan).unwrap_or_default();
        let submitted = self.submit_bytes(caller, &bytes, false, request_id.as_deref()).await?;
        let run_id = submitted.run_id.ok_or_else(|| internal(&"an accepted run without an id"))?;
        if wait_seconds > 0 {
            let watch = WatchArgs {
                run_ids: Some(vec![run_id.clone()]),
                until: Some(Until::Attention),
                wait_seconds: Some(wait_seconds),
                ..WatchArgs::default()
            };
            self.watch(caller, watch, &|_| {}).await?;
        }
        let args = ResultArgs { run_id: run_id.clone(), item_id: Some(ITEM.to_owned()), ..ResultArgs::default() };
        let result = self.result(caller, args).await?;
        let over = !["pending", "ready", "running", "stopping", "waiting"].contains(&result.state.as_str());
        let next = match (over, result.state.as_str()) {
            // The result is here already: what it names comes next, else the evidence.
            (true, _) => {
                let audit = || AuditArgs { run_id: run_id.clone(), full: None }.call();
                result.next.clone().unwrap_or_else(audit)
            }
            (false, "waiting") => StatusArgs { view: Some(View::Inbox), ..StatusArgs::default() }.call(),
            (false, _) => submitted.next,
        };
        Ok(DispatchReply {
            item_id: ITEM.to_owned(),
            state: result.state.clone(),
            deduplicated: submitted.deduplicated,
            result: over.then_some(result),
            next,
            run_id,
        })
    }
}

/// The id of the only item.
const ITEM: &str = "item";

/// The plan of one item.
fn plan_of(args: DispatchArgs) -> Value {
    let mut inputs = json!({ "subagent": args.subagent });
    let mut set = |key: &str, value: Option<Value>| {
        if let (Some(value), Some(members)) = (value, inputs.as_object_mut()) {
            members.insert(key.to_owned(), value);
        }
    };
    set("workerInput", args.input);
    set("env", args.env.map(Value::from));
    set("capabilities", args.capabilities.map(Value::from));
    set("addCapabilities", args.add_capabilities.map(Value::from));
    set("model", args.model.map(Value::from));
    let mut item = json!({ "id": ITEM, "inputs": inputs });
    let mut plan = json!({});
    if let (Some(executor), Some(members)) = (args.executor, item.as_object_mut()) {
        members.insert("executor".to_owned(), executor.into());
    }
    if let (Some(seconds), Some(members)) = (args.timeout_seconds, item.as_object_mut()) {
        members.insert("timeoutSeconds".to_owned(), seconds.into());
    }
    if let Some(members) = plan.as_object_mut() {
        if let Some(workspace) = args.workspace {
            let mut place = json!({ "name": workspace.name });
            if let (Some(rev), Some(place)) = (workspace.rev, place.as_object_mut()) {
                place.insert("rev".to_owned(), rev.into());
            }
            if let (Some(dirty), Some(place)) = (workspace.dirty, place.as_object_mut()) {
                place.insert("dirty".to_owned(), dirty.into());
            }
            members.insert("workspace".to_owned(), place);
        }
        if let Some(labels) = args.labels {
            members.insert("labels".to_owned(), json!(labels));
        }
        members.insert("items".to_owned(), json!([item]));
    }
    plan
}
