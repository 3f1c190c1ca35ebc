//! One item and its own keys. What cannot be read is noted, and the rest is read on.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::code::Code;
use super::cursor::{Place, Report};
use super::model::{Approval, Item, Need, Retry, Work};
use super::pattern::Template;
use super::suggest::shown;
use super::{approval, inputs, keys, needs};
use crate::id::{ItemId, Name};
use crate::limits::{
    ATTEMPTS_MAX, BACKOFF_SECONDS_MAX, ITEM_LOCKS_MAX, LOCK_BYTES_MAX, PRIORITY_MAX, RUN_ITEMS_MAX, SHAPE_BYTES_MAX,
    TIMEOUT_SECONDS_MAX,
};

/// An item as far as it could be read; what it waits for is still text.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// Its id, if that could be read.
    pub(super) id: Option<ItemId>,
    /// The elements of `depends_on` that are text, with their positions.
    pub(super) depends_on: Vec<(usize, &'a str)>,
    /// The producers that `needs` names, by key.
    pub(super) producers: needs::Producers<'a>,
    /// The item without its dependencies; absent when its id, executor or subagent could not be read.
    pub(super) item: Option<Item>,
}

impl Draft<'_> {
    /// The item with what it waits for as it is given, without knowing whether that exists.
    pub(super) fn whole(&self) -> Option<Item> {
        let mut item = self.item.clone()?;
        let given = self.depends_on.iter().map(|(_, id)| *id);
        let mut seen = std::collections::BTreeSet::new();
        for id in given.chain(self.producers.iter().map(|(_, from)| *from)) {
            if seen.insert(id) {
                item.depends_on.push(ItemId::new(id).ok()?);
            }
        }
        Some(item)
    }
}

/// Reads the element of `items` at `place`.
pub(super) fn read<'a>(value: &'a Value, place: &Place<'_>, report: &mut Report) -> Draft<'a> {
    let mut draft = Draft { id: None, depends_on: Vec::new(), producers: Vec::new(), item: None };
    let Some(map) = report.object(place, value) else { return draft };
    draft.id = read_id(map, place, report);
    report.about(draft.id.as_ref());
    keys::refuse_others(map, place, keys::ITEM, "an item", report);
    draft.depends_on = read_depends_on(map, place, report);
    let (producers, needs) = needs::read(map, place, report);
    draft.producers = producers;
    let body = read_body(map, place, &needs, report);
    if let (Some(id), Some(body)) = (&draft.id, body) {
        let mut item = body.item(id.clone(), Vec::new());
        item.needs = needs;
        draft.item = Some(item);
    }
    report.about(None);
    draft
}

/// Reads what an item is beside its id and what it waits for; `taken` are the inputs that its `needs` name.
fn read_body(
    map: &Map<String, Value>,
    place: &Place<'_>,
    taken: &BTreeMap<String, Need>,
    report: &mut Report,
) -> Option<Template> {
    let executor = read_executor(map, place, report);
    let locks = read_locks(map, place, report);
    let shape = map.get("subagentShape");
    let subagent_shape =
        shape.and_then(|v| report.line(&place.key("subagentShape"), v, SHAPE_BYTES_MAX, "subagentShape"));
    let timeout = map.get("timeoutSeconds");
    let timeout_seconds = timeout.and_then(|v| report.whole(&place.key("timeoutSeconds"), v, 1..=TIMEOUT_SECONDS_MAX));
    let retry = read_retry(map, place, report);
    let priority =
        map.get("priority").and_then(|v| report.whole(&place.key("priority"), v, 0..=u64::from(PRIORITY_MAX)));
    let is_approval = executor.as_ref().is_some_and(|name| name.as_str() == Approval::EXECUTOR);
    let work = if is_approval {
        approval::read(map, place, report).map(Work::Approval)
    } else {
        inputs::read(map, place, taken, report).map(|inputs| Work::Dispatch(Box::new(inputs)))
    };
    Some(Template {
        executor: executor?,
        work: work?,
        locks,
        subagent_shape: subagent_shape.map(str::to_owned),
        timeout_seconds,
        retry,
        priority: priority.and_then(|priority| u8::try_from(priority).ok()).unwrap_or(0),
    })
}

/// Reads an item of a pattern: an item without an id, and without what it waits for.
pub(super) fn read_template(value: &Value, place: &Place<'_>, report: &mut Report) -> Option<Template> {
    let map = report.object(place, value)?;
    for key in ["id", "depends_on", "needs"].into_iter().filter(|key| map.contains_key(*key)) {
        let message = format!("an item of a pattern has no `{key}`");
        report.shape(&place.key(key), message, "leave it out: the pattern gives its items ids and dependencies");
    }
    let known: Map<String, Value> = map
        .iter()
        .filter(|(key, _)| !["id", "depends_on", "needs"].contains(&key.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    keys::refuse_others(&known, place, keys::TEMPLATE, "an item of a pattern", report);
    read_body(map, place, &BTreeMap::new(), report)
}

fn read_id(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Option<ItemId> {
    let Some(value) = map.get("id") else {
        report.shape(place, "an item lacks `id`", "give each item an `id`, unique in the plan");
        return None;
    };
    id(value, &place.key("id"), report, ItemId::new)
}

/// Reads an id of a run or item.
pub(super) fn id<T>(
    value: &Value,
    place: &Place<'_>,
    report: &mut Report,
    new: impl Fn(String) -> Result<T, crate::id::IdError>,
) -> Option<T> {
    let text = report.text(place, value)?;
    match new(text.to_owned()) {
        Ok(id) => Some(id),
        Err(error) => {
            let problem = Code::IdSyntax.problem(place.to_string(), format!("{} cannot be an id", shown(text)));
            report.refuse(problem.hint(format!("an id is {}", error.syntax)));
            None
        }
    }
}

/// The name of who runs an item; `None` was noted.
fn read_executor(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Option<Name> {
    match map.get("executor") {
        None => Name::new("dispatch").ok(),
        Some(value) => report.name(&place.key("executor"), value, Code::ExecutorUnknown, "executor"),
    }
}

fn read_depends_on<'a>(map: &'a Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Vec<(usize, &'a str)> {
    let Some(value) = map.get("depends_on") else { return Vec::new() };
    let place = place.key("depends_on");
    let list = report.array(&place, value, RUN_ITEMS_MAX, "depends_on").unwrap_or_default();
    list.iter().enumerate().filter_map(|(i, value)| Some((i, report.text(&place.index(i), value)?))).collect()
}

fn read_locks(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Vec<String> {
    let Some(value) = map.get("resourceLocks") else { return Vec::new() };
    let place = place.key("resourceLocks");
    let mut locks: Vec<String> = Vec::new();
    for (i, value) in
        report.array(&place, value, ITEM_LOCKS_MAX, "resourceLocks").unwrap_or_default().iter().enumerate()
    {
        let place = place.index(i);
        let Some(text) = report.text(&place, value) else { continue };
        if text.is_empty() || text.len() > LOCK_BYTES_MAX || text.chars().any(char::is_control) {
            let problem = Code::LockSyntax.problem(place.to_string(), format!("{} cannot be a lock key", shown(text)));
            report
                .refuse(problem.hint(format!("a lock key is 1 to {LOCK_BYTES_MAX} bytes without control characters")));
        } else if !locks.iter().any(|lock| lock == text) {
            locks.push(text.to_owned());
        }
    }
    locks
}

fn read_retry(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) -> Retry {
    let mut retry = Retry::default();
    let Some(value) = map.get("retry") else { return retry };
    let place = place.key("retry");
    let Some(map) = report.object(&place, value) else { return retry };
    keys::refuse_others(map, &place, keys::RETRY, "`retry`", report);
    if let Some(value) = map.get("max_attempts") {
        let attempts = report.whole(&place.key("max_attempts"), value, 1..=ATTEMPTS_MAX);
        retry.max_attempts = attempts.unwrap_or(retry.max_attempts);
    }
    if let Some(value) = map.get("backoff_seconds") {
        let seconds = report.whole(&place.key("backoff_seconds"), value, 0..=BACKOFF_SECONDS_MAX);
        retry.backoff_seconds = seconds.unwrap_or(retry.backoff_seconds);
    }
    retry
}
