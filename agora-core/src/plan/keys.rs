//! The keys of a plan, and what to say of all others: a slip, a key in the wrong place, or something no plan may say.

use serde_json::{Map, Value};

use super::code::Code;
use super::cursor::{Place, Report};
use super::suggest::{shown, slip, squash};

/// The reference's own harmless extra: accepted on a plan and on an item, without effect.
const TRIGGER: &str = "trigger";

pub(super) const PLAN: &[&str] = &["id", "queue", "workspace", "openEnded", "labels", "budget", "items"];
pub(super) const GROWTH: &[&str] = &["items"];
pub(super) const WORKSPACE: &[&str] = &["name", "rev", "dirty"];
pub(super) const BUDGET: &[&str] = &["usd", "tokens", "wall_seconds"];
pub(super) const ITEM: &[&str] = &[
    "id",
    "executor",
    "inputs",
    "depends_on",
    "resourceLocks",
    "needs",
    "subagentShape",
    "timeoutSeconds",
    "retry",
    "priority",
];
/// An item of a pattern, which gives it its id and what it depends on.
pub(super) const TEMPLATE: &[&str] =
    &["executor", "inputs", "resourceLocks", "subagentShape", "timeoutSeconds", "retry", "priority"];
pub(super) const GATE: &[&str] = &["onRed", "subject", "fixTemplate", "maxFixAttempts"];
pub(super) const MAP_REDUCE: &[&str] = &["map", "reduce"];
pub(super) const QUORUM: &[&str] = &["reviewers", "threshold", "commit", "onReject", "fixTemplate", "maxRounds"];
/// The `inputs` of an approval.
pub(super) const APPROVAL: &[&str] = &["question"];
pub(super) const NEED: &[&str] = &["from", "select"];
pub(super) const RETRY: &[&str] = &["max_attempts", "backoff_seconds"];
pub(super) const INPUTS: &[&str] = &[
    "subagent",
    "workerInput",
    "env",
    "capabilities",
    "addCapabilities",
    "inputRefs",
    "pipeline",
    "model",
    "workspace",
    "gate",
    "mapReduce",
    "quorum",
];
/// Keys of an item that would change what runs if they were ignored inside `inputs`.
const NOT_IN_INPUTS: &[&str] =
    &["depends_on", "resourceLocks", "needs", "subagentShape", "timeoutSeconds", "retry", "priority"];

/// Whether a rule for keys that no plan may hold also holds inside `inputs`, where other keys are the caller's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Everywhere.
    Everywhere,
    /// Not inside `inputs`.
    OutsideInputs,
}

/// What no plan may say (P04), by the words people use for it, without case and joints; and what to do instead.
const NEVER: &[(&[&str], Reach, &str)] = &[
    (
        &["image", "images", "dockerimage", "containerimage", "container", "dockerfile"],
        Reach::Everywhere,
        "the image belongs to a target; choose an `executor` whose target has it, the operator ties them in agora.toml",
    ),
    (
        &["mount", "mounts", "volume", "volumes", "bind", "binds"],
        Reach::Everywhere,
        "a plan mounts nothing; hand files over with the workspace, `needs` or `inputs.inputRefs`",
    ),
    (
        &["environment", "envvars", "envvar", "variables", "envvalues"],
        Reach::Everywhere,
        "a plan sets no variables; name env bundles in `inputs.env`, their values are the operator's",
    ),
    (
        &["secret", "secrets", "credential", "credentials", "apikey", "apikeys", "password", "secretrefs"],
        Reach::Everywhere,
        "secrets and where they go are the operator's; name an env bundle in `inputs.env` that the subagent allows",
    ),
    (
        &[
            "egress",
            "network",
            "networkmode",
            "networks",
            "allowedhosts",
            "allowedomains",
            "alloweddomains",
            "internet",
            "proxy",
        ],
        Reach::Everywhere,
        "egress rules belong to targets and subagents; choose those that may reach what is needed",
    ),
    (
        &["callback", "callbacks", "callbackurl", "webhook", "webhooks", "webhookurl", "notify", "notifications"],
        Reach::Everywhere,
        "callback addresses are named by the operator under [notify] in agora.toml; use `watch` to hear of changes",
    ),
    (
        &["actor", "actors", "onbehalfof", "runas", "impersonate", "principal", "auth"],
        Reach::Everywhere,
        "who acts is established by how the call came in, never by what it says",
    ),
    (
        &["permissionmode", "permissions", "bypass", "privileged", "sandbox", "jail", "isolation", "allowbypass"],
        Reach::Everywhere,
        "permissions and isolation are set by the subagent's registration and the target",
    ),
    (
        &["target", "targets", "provider", "providers", "computeprovider"],
        Reach::Everywhere,
        "choose an `executor`; the operator ties it to a target in agora.toml",
    ),
    (
        &["limits", "resources", "memory", "memorymib", "cpu", "cpus"],
        Reach::OutsideInputs,
        "limits belong to target and subagent; a plan may lower `timeoutSeconds`",
    ),
    (
        &["command", "argv", "cmd", "script", "entrypoint", "systemprompt", "tools"],
        Reach::OutsideInputs,
        "what runs is the subagent's registration; name it in `inputs.subagent`",
    ),
    (
        &["path", "paths", "cwd", "workdir", "workingdirectory", "repo", "repository", "folder", "directory"],
        Reach::OutsideInputs,
        "name a workspace of agora.toml, or `cwd`, in the plan's `workspace`",
    ),
];

/// Words for a key that are not near it in spelling.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("locks", "resourceLocks"),
    ("timeout", "timeoutSeconds"),
    ("dependencies", "depends_on"),
    ("deps", "depends_on"),
    ("after", "depends_on"),
    ("retries", "retry"),
    ("attempts", "retry"),
    ("tasks", "items"),
    ("steps", "items"),
    ("nodes", "items"),
    ("jobs", "items"),
    ("usdmax", "usd"),
    ("microusd", "usd"),
    ("seconds", "wall_seconds"),
    ("wallms", "wall_seconds"),
    ("source", "from"),
    ("ref", "rev"),
    ("revision", "rev"),
    ("branch", "rev"),
    ("commit", "rev"),
];

/// Words for a key of `inputs`.
const OTHER_WORDS_INPUTS: &[(&str, &str)] =
    &[("agent", "subagent"), ("input", "workerInput"), ("prompt", "workerInput"), ("skills", "capabilities")];

fn never(key: &str, reach: Reach) -> Option<&'static str> {
    let squashed = squash(key);
    NEVER
        .iter()
        .find(|(words, row, _)| {
            (*row == Reach::Everywhere || reach == Reach::OutsideInputs) && words.contains(&&*squashed)
        })
        .map(|(_, _, hint)| *hint)
}

fn other_word(key: &str, words: &[(&str, &'static str)], keys: &[&str]) -> Option<&'static str> {
    let squashed = squash(key);
    words.iter().find(|(word, meant)| *word == squashed && keys.contains(meant)).map(|(_, meant)| *meant)
}

/// Refuses each member whose key is not one of `keys`; `what` names the object.
pub(super) fn refuse_others(
    map: &Map<String, Value>,
    place: &Place<'_>,
    keys: &[&str],
    what: &str,
    report: &mut Report,
) {
    for key in map.keys().filter(|key| !keys.contains(&key.as_str())) {
        let here = place.key(key);
        if key == TRIGGER && (keys == PLAN || keys == ITEM) {
            let warning = Code::KeyIgnored.problem(here.to_string(), "`trigger` is accepted and has no effect");
            report.warn(warning.hint("nothing to do; leave it out if no other system reads it"));
            continue;
        }
        let hint = if let Some(hint) =
            never(key, Reach::OutsideInputs).filter(|_| keys == PLAN || keys == ITEM || keys == TEMPLATE)
        {
            hint.to_owned()
        } else if let Some(meant) = slip(key, keys).or_else(|| other_word(key, OTHER_WORDS, keys)) {
            format!("did you mean `{meant}`?")
        } else if let Some(meant) = in_inputs(key).filter(|_| keys == ITEM || keys == TEMPLATE) {
            format!("`{meant}` belongs inside `inputs`")
        } else if let Some(meant) = slip(key, ITEM).filter(|_| keys == PLAN) {
            format!("`{meant}` belongs to an item, inside `items`")
        } else if let Some(near) = report.suggest.near(key, keys.iter().copied()) {
            format!("did you mean `{near}`?")
        } else {
            format!("the keys of {what} are {}", keys.join(", "))
        };
        report.shape(&here, format!("{what} has no key {}", shown(key)), hint);
    }
}

fn in_inputs(key: &str) -> Option<&'static str> {
    slip(key, INPUTS).or_else(|| other_word(key, OTHER_WORDS_INPUTS, INPUTS))
}

/// Goes through the members of `inputs` that are none of its keys: refuses what no plan may say, slips and keys of the
/// item itself; the rest is the caller's own, and has no effect.
pub(super) fn other_inputs(map: &Map<String, Value>, place: &Place<'_>, report: &mut Report) {
    for key in map.keys().filter(|key| !INPUTS.contains(&key.as_str())) {
        let here = place.key(key);
        let hint = if let Some(hint) = never(key, Reach::Everywhere) {
            hint.to_owned()
        } else if let Some(meant) = slip(key, INPUTS) {
            format!("did you mean `{meant}`?")
        } else if let Some(meant) = slip(key, NOT_IN_INPUTS) {
            format!("`{meant}` belongs to the item, beside `inputs`")
        } else {
            let message = format!("`inputs` has no key {}; it is accepted and has no effect", shown(key));
            let hint = "what the prompt template sees is `inputs.workerInput`";
            report.warn(Code::KeyIgnored.problem(here.to_string(), message).hint(hint));
            continue;
        };
        report.shape(&here, format!("`inputs` has no key {}", shown(key)), hint);
    }
}
