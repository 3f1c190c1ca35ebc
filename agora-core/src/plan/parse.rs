//! Bytes to a plan: never a panic, and every problem at once.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::code::Code;
use super::cursor::{Place, Report};
use super::model::{Item, Plan, WorkspaceRef};
use super::suggest::shown;
use super::{budget, item, keys, wiring};
use crate::canon::{self, CanonError};
use crate::error::{Coded, Problem};
use crate::id::{Name, RunId};
use crate::limits::{
    LABEL_KEY_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX, PLAN_BYTES_MAX, PLAN_DEPTH_MAX, REV_BYTES_MAX,
    RUN_ITEMS_MAX,
};

/// A plan as far as it could be read, and what is wrong with it.
#[derive(Debug, Clone)]
pub struct Parsed {
    /// What could be read, normalised. Items whose id, executor or subagent could not be read are not in it.
    pub plan: Plan,
    /// Why it is refused, in the order of the document; empty for a plan that may be checked and accepted.
    pub problems: Vec<Problem>,
    /// What is accepted and has no effect, in the order of the document.
    pub warnings: Vec<Problem>,
    /// Positions in the document of the items of `plan`.
    pub(super) positions: Vec<usize>,
    /// Problems that were counted and not kept.
    pub(super) left_out: usize,
    /// Of an extension: the run's own items whose products the items of `plan` take.
    pub(super) beside: Vec<Item>,
}

impl Parsed {
    /// The items whose names must be looked up before [`check`](super::check()): those of the plan, and of the run that
    /// they extend those whose products they take.
    #[must_use]
    pub fn to_look_up(&self) -> Plan {
        let mut plan = self.plan.clone();
        plan.items.extend(self.beside.iter().cloned());
        plan
    }
}

/// A plan that was parsed before, to be checked again.
impl From<Plan> for Parsed {
    fn from(plan: Plan) -> Self {
        let positions = (0..plan.items.len()).collect();
        Self { plan, problems: Vec::new(), warnings: Vec::new(), positions, left_out: 0, beside: Vec::new() }
    }
}

/// Reads a plan as a caller wrote it.
///
/// All that is wrong with its syntax, shape and graph is in `problems`; what registry and configuration say about it is
/// [`check`](super::check())'s matter.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    parse_within(bytes, PLAN_BYTES_MAX)
}

/// [`parse`] with another bound for the bytes: a normalised plan is longer than what it was made of.
pub(super) fn parse_within(bytes: &[u8], bytes_max: usize) -> Parsed {
    let mut report = Report::default();
    let (plan, positions) = match canon::parse(bytes, PLAN_DEPTH_MAX, bytes_max) {
        Ok(value) => read(&value, &mut report),
        Err(error) => {
            report.refuse(not_json(&error, "the plan"));
            (empty(), Vec::new())
        }
    };
    let left_out = report.left_out();
    let (problems, warnings) = report.finish();
    Parsed { plan, problems, warnings, positions, left_out, beside: Vec::new() }
}

pub(super) fn not_json(error: &CanonError, what: &str) -> Problem {
    let code = match error {
        CanonError::Depth { .. } | CanonError::Size { .. } => Code::PlanTooLarge,
        CanonError::Syntax { .. }
        | CanonError::Unicode { .. }
        | CanonError::Trailing { .. }
        | CanonError::Duplicate { .. }
        | CanonError::Spelling { .. }
        | CanonError::Number { .. }
        | CanonError::Value { .. }
        | CanonError::Shape(_)
        | CanonError::Unwritable { .. } => Code::PlanShape,
    };
    let problem = code.problem(error.at().unwrap_or_default(), format!("{what} cannot be read: {error}"));
    problem.hint(error.hint().unwrap_or_else(|| "send one JSON object".to_owned()))
}

fn default_queue() -> Name {
    // The text follows the syntax; a test holds that.
    Name::new("default").unwrap_or_else(|_| unreachable!("`default` is a name"))
}

fn empty() -> Plan {
    Plan {
        id: None,
        queue: default_queue(),
        workspace: None,
        open_ended: false,
        labels: BTreeMap::new(),
        budget: None,
        items: Vec::new(),
    }
}

fn read(value: &Value, report: &mut Report) -> (Plan, Vec<usize>) {
    let (root, mut plan) = (Place::Root, empty());
    let Some(map) = report.object(&root, value) else { return (plan, Vec::new()) };
    keys::refuse_others(map, &root, keys::PLAN, "a plan", report);
    plan.id = map.get("id").and_then(|v| item::id(v, &root.key("id"), report, RunId::new));
    let queue = map.get("queue").and_then(|v| report.name(&root.key("queue"), v, Code::QueueUnknown, "queue"));
    plan.queue = queue.unwrap_or(plan.queue);
    plan.workspace = map.get("workspace").and_then(|v| read_workspace(v, &root.key("workspace"), report));
    plan.labels = map.get("labels").map(|v| read_labels(v, &root.key("labels"), report)).unwrap_or_default();
    plan.budget = map.get("budget").and_then(|v| budget::read(v, &root.key("budget"), report));
    let place = root.key("openEnded");
    plan.open_ended = map.get("openEnded").and_then(|v| report.flag(&place, v)).unwrap_or(false);
    let items = read_items(map, &root, plan.open_ended, report);
    let positions = items.iter().map(|(position, _)| *position).collect();
    plan.items = items.into_iter().map(|(_, item)| item).collect();
    (plan, positions)
}

fn read_items(
    map: &Map<String, Value>,
    root: &Place<'_>,
    open_ended: bool,
    report: &mut Report,
) -> Vec<(usize, super::Item)> {
    let Some(value) = map.get("items") else {
        report.shape(root, "the plan lacks `items`", r#"add "items": [{"id": "…", "inputs": {"subagent": "…"}}]"#);
        return Vec::new();
    };
    let place = root.key("items");
    let Some(list) = report.array(&place, value, RUN_ITEMS_MAX, "the plan") else { return Vec::new() };
    if list.is_empty() && !open_ended {
        let problem = Code::PlanEmpty.problem(place.to_string(), "the plan has no items");
        report.refuse(problem.hint("add at least one item: an `id`, and `inputs` that name a `subagent`"));
    }
    let drafts = list.iter().enumerate().map(|(i, value)| item::read(value, &place.index(i), report)).collect();
    wiring::wire(drafts, wiring::Wired::plan(), &place, report)
}

fn read_workspace(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<WorkspaceRef> {
    if let Value::String(name) = value {
        let hint = format!(r#"write {{"name": {}}}, with a workspace of agora.toml or `cwd`"#, shown(name));
        report.shape(place, "expected an object, found a string", hint);
        return None;
    }
    let map = report.object(place, value)?;
    keys::refuse_others(map, place, keys::WORKSPACE, "`workspace`", report);
    let dirty = map.get("dirty").and_then(|v| report.flag(&place.key("dirty"), v)).unwrap_or(false);
    let rev = map.get("rev").and_then(|v| read_rev(v, &place.key("rev"), report)).unwrap_or_else(|| "HEAD".to_owned());
    if dirty && rev != "HEAD" {
        let hint = "`dirty` takes the working tree as it is: leave out `rev`, or `dirty` to have that revision";
        report.shape(place, "`workspace` asks for a revision and for the working tree", hint);
    }
    let Some(value) = map.get("name") else {
        report.shape(place, "`workspace` lacks `name`", "name a workspace of agora.toml, or `cwd`");
        return None;
    };
    let place = place.key("name");
    let text = report.text(&place, value)?;
    match Name::new(text) {
        Ok(name) => Some(WorkspaceRef { name, rev, dirty }),
        Err(_) => {
            let problem = Code::WorkspaceUnknown
                .problem(place.to_string(), format!("no workspace can be called {}", shown(text)));
            report.refuse(problem.hint("a plan names a workspace of agora.toml, or `cwd`; it cannot give a path"));
            None
        }
    }
}

/// A revision is the repository's to resolve; here it only has to be one that no program could take for an option.
fn read_rev(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<String> {
    let rev = report.line(place, value, REV_BYTES_MAX, "rev")?;
    if rev.starts_with('-') {
        report.shape(place, format!("{} is no revision", shown(rev)), "give a branch, a tag, a commit id, or HEAD");
        return None;
    }
    Some(rev.to_owned())
}

fn read_labels(value: &Value, place: &Place<'_>, report: &mut Report) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let Some(map) = report.object(place, value) else { return labels };
    if map.len() > LABELS_MAX {
        report.too_large(place, "labels", map.len(), LABELS_MAX, "keys");
        return labels;
    }
    for (key, value) in map {
        let place = place.key(key);
        if key.len() > LABEL_KEY_BYTES_MAX {
            report.too_large(&place, "the key of a label", key.len(), LABEL_KEY_BYTES_MAX, "bytes");
        } else if key.is_empty() || key.chars().any(char::is_control) {
            report.shape(&place, format!("{} cannot be the key of a label", shown(key)), "give one line of text");
        } else if let Some(value) = report.line(&place, value, LABEL_VALUE_BYTES_MAX, "a label") {
            labels.insert(key.clone(), value.to_owned());
        }
    }
    labels
}
