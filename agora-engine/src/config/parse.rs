//! From the bytes of `agora.toml` to a [`Config`]: every error at once, with its line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agora_core::error::nearest;
use agora_core::id::{Digest, Name};
use agora_core::plan::QueuePattern;
use agora_core::target::{Limits, Profile, ProviderKind, Target};
use toml::de::DeTable;

use super::error::ConfigError;
use super::section::{Absent, Document, Section};
use super::settings::{Config, EngineSettings, Executor, Machine, Queue, Workspace};

/// The largest configuration in bytes: a thousand workspaces fit, a mistaken file does not.
pub(super) const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// The most slots of a queue: each is a process tree on some machine.
const CONCURRENCY_MAX: u64 = 1024;
/// The most commits an agent may be shown: they are copied into its workspace at each attempt.
const HISTORY_MAX: u64 = 10_000;
/// The longest retention in days: a century, so that a time computed from it stays a time.
const RETAIN_DAYS_MAX: u64 = 36_500;
/// The largest limit of a target: what canonical JSON can hold as an integer.
const LIMIT_MAX: u64 = (1 << 53) - 1;
/// The most rows of one kind (queues, executors, targets, workspaces).
const ROWS_MAX: usize = 1000;

const TOP_KEYS: [&str; 7] = ["defaults", "queues", "executors", "targets", "workspaces", "engine", "retain"];
const TOP_ABSENT: [Absent; 4] = [
    Absent { key: "notify", what: "callbacks" },
    Absent { key: "registry", what: "`registry.pin_config`" },
    Absent { key: "secrets", what: "secret stores" },
    Absent { key: "sync", what: "`agora-admin sync`" },
];
const TARGET_KEYS: [&str; 4] = ["provider", "profiles", "limits", "allow_bypass"];
const TARGET_ABSENT: [Absent; 4] = [
    Absent { key: "image", what: "targets that run in a container" },
    Absent { key: "secrets", what: "secret stores" },
    Absent { key: "egress", what: "a way out of the jail: attempts have no network" },
    Absent { key: "notify", what: "callbacks" },
];
const PROFILES: [Profile; 4] = [Profile::Strict, Profile::StrictNocg, Profile::LandlockOnly, Profile::None];

type Slot = fn(&mut Limits) -> &mut Option<u64>;
const LIMITS: [(&str, Slot); 11] = [
    ("wall_seconds", |limits| &mut limits.wall_seconds),
    ("idle_seconds", |limits| &mut limits.idle_seconds),
    ("setup_seconds", |limits| &mut limits.setup_seconds),
    ("memory_mib", |limits| &mut limits.memory_mib),
    ("cpu_milli", |limits| &mut limits.cpu_milli),
    ("pids", |limits| &mut limits.pids),
    ("disk_mib", |limits| &mut limits.disk_mib),
    ("patch_mib", |limits| &mut limits.patch_mib),
    ("output_mib", |limits| &mut limits.output_mib),
    ("turns", |limits| &mut limits.turns),
    ("cost_microusd", |limits| &mut limits.cost_microusd),
];

/// Reads the bytes of a configuration; `path` is where they came from.
///
/// # Errors
/// [`ConfigError::Invalid`] with everything that is wrong.
pub fn parse(path: &Path, bytes: &[u8], machine: &Machine) -> Result<Config, ConfigError> {
    let invalid = |doc: Document<'_>| ConfigError::Invalid { path: path.to_owned(), problems: doc.into_problems() };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = std::str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default();
            let mut doc = Document::new(path, good);
            doc.refuse(good.len(), "config-syntax", "the text is not UTF-8".to_owned(), None);
            return Err(invalid(doc));
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut doc = Document::new(path, text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        doc.refuse(offset, "config-syntax", error.message().replace('\n', ", "), None);
    }
    let config = read(&mut doc, &Section::root(&table), path, bytes, machine);
    let problems = doc.into_problems();
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ConfigError::Invalid { path: path.to_owned(), problems }),
    }
}

fn fixed(text: &str) -> Option<Name> {
    Name::new(text).ok()
}

fn read(
    doc: &mut Document<'_>,
    root: &Section<'_, '_>,
    path: &Path,
    bytes: &[u8],
    machine: &Machine,
) -> Option<Config> {
    root.only(doc, &TOP_KEYS, &TOP_ABSENT);
    let targets = read_targets(doc, root)?;
    let default_target = read_default_target(doc, root, &targets)?;
    let executors = read_executors(doc, root, &targets, &default_target)?;
    let queues = read_queues(doc, root, machine)?;
    let (cwd, workspaces) = read_workspaces(doc, root, machine);
    let linger = root.section(doc, "engine").and_then(|engine| {
        engine.only(doc, &["linger"], &[]);
        engine.switch(doc, "linger")
    });
    let retain_days = root.section(doc, "retain").and_then(|retain| {
        retain.only(doc, &["days"], &[]);
        retain.number(doc, "days", 1, RETAIN_DAYS_MAX)
    });
    Some(Config {
        default_target,
        queues,
        executors,
        targets,
        workspaces,
        cwd,
        engine: EngineSettings { linger: linger.unwrap_or(true) },
        retain_days,
        digest: Digest::of(bytes),
        path: path.to_owned(),
    })
}

/// The rows of `[KIND.NAME]`, bounded.
fn rows<'d, 'i>(
    doc: &mut Document<'_>,
    root: &Section<'d, 'i>,
    kind: &str,
    except: &[&str],
) -> Vec<(Name, Section<'d, 'i>)> {
    let Some(section) = root.section(doc, kind) else { return Vec::new() };
    let mut rows = section.named(doc, except);
    if rows.len() > ROWS_MAX {
        let message = format!("{kind} has {} rows, over the limit of {ROWS_MAX}", rows.len());
        doc.refuse(section.offset(), "config-value", message, None);
        rows.truncate(ROWS_MAX);
    }
    rows
}

fn read_targets(doc: &mut Document<'_>, root: &Section<'_, '_>) -> Option<BTreeMap<Name, Target>> {
    let mut targets = BTreeMap::from([(fixed("local")?, Target::default())]);
    for (name, section) in rows(doc, root, "targets", &[]) {
        let target = read_target(doc, &section);
        targets.insert(name, target);
    }
    Some(targets)
}

fn read_target(doc: &mut Document<'_>, section: &Section<'_, '_>) -> Target {
    section.only(doc, &TARGET_KEYS, &TARGET_ABSENT);
    read_provider(doc, section);
    let mut target = Target { provider: ProviderKind::Process, ..Target::default() };
    if let Some(profiles) = section.texts(doc, "profiles") {
        target.profiles = read_profiles(doc, section, &profiles);
    }
    if let Some(limits) = section.section(doc, "limits") {
        limits.only(doc, &LIMITS.map(|(key, _)| key), &[]);
        for (key, slot) in LIMITS {
            *slot(&mut target.limits) = limits.number(doc, key, 1, LIMIT_MAX);
        }
    }
    target.allow_bypass = section.switch(doc, "allow_bypass").unwrap_or(false);
    target
}

fn read_provider(doc: &mut Document<'_>, section: &Section<'_, '_>) {
    let Some((text, offset)) = section.text(doc, "provider") else {
        // A text of the wrong type was reported already; an absent key means the only provider there is.
        return;
    };
    let key = section.name_of("provider");
    match text {
        "process" => {}
        "docker" | "fargate" => doc.refuse(
            offset,
            "config-unavailable",
            format!("{key} is {text:?}, which is not in this version of agora"),
            Some("this version does not have it; it has provider = \"process\"".to_owned()),
        ),
        _ => doc.refuse(
            offset,
            "config-value",
            format!("{key} is {text:?}, not a provider"),
            Some("this version has provider = \"process\"".to_owned()),
        ),
    }
}

fn read_profiles(doc: &mut Document<'_>, section: &Section<'_, '_>, texts: &[(&str, usize)]) -> Vec<Profile> {
    let key = section.name_of("profiles");
    let known = PROFILES.map(Profile::as_str);
    let mut profiles = Vec::new();
    for (text, offset) in texts {
        match PROFILES.into_iter().find(|profile| profile.as_str() == *text) {
            Some(profile) if profiles.contains(&profile) => {
                doc.refuse(*offset, "config-value", format!("{key} names {text:?} twice"), None);
            }
            Some(profile) => profiles.push(profile),
            None => {
                let hint = nearest(text, known)
                    .map_or_else(|| format!("known: {}", known.join(", ")), |near| format!("did you mean {near:?}?"));
                doc.refuse(*offset, "config-value", format!("{key} names no profile {text:?}"), Some(hint));
            }
        }
    }
    if texts.is_empty() {
        let hint = "leave it out for the defaults, strict and strict-nocg".to_owned();
        doc.refuse(section.offset(), "config-value", format!("{key} is empty, so nothing could run"), Some(hint));
    }
    profiles
}

/// Refuses a target that is not there, with the nearest one that is.
fn known_target(doc: &mut Document<'_>, key: &str, name: &Name, offset: usize, targets: &BTreeMap<Name, Target>) {
    if targets.contains_key(name) {
        return;
    }
    let hint = nearest(name.as_str(), targets.keys().map(Name::as_str)).map_or_else(
        || format!("known: {}; define it as [targets.{name}]", join(targets.keys())),
        |near| format!("did you mean {near:?}? or define it as [targets.{name}]"),
    );
    doc.refuse(
        offset,
        "config-reference",
        format!("{key} names the target {name:?}, which is not defined", name = name.as_str()),
        Some(hint),
    );
}

fn join<'n>(names: impl Iterator<Item = &'n Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(", ")
}

fn read_default_target(
    doc: &mut Document<'_>,
    root: &Section<'_, '_>,
    targets: &BTreeMap<Name, Target>,
) -> Option<Name> {
    let Some(defaults) = root.section(doc, "defaults") else { return fixed("local") };
    defaults.only(doc, &["target"], &[]);
    let Some((name, offset)) = defaults.name(doc, "target") else { return fixed("local") };
    known_target(doc, "defaults.target", &name, offset, targets);
    Some(name)
}

fn read_executors(
    doc: &mut Document<'_>,
    root: &Section<'_, '_>,
    targets: &BTreeMap<Name, Target>,
    default_target: &Name,
) -> Option<BTreeMap<Name, Executor>> {
    let mut executors = BTreeMap::from([(fixed("dispatch")?, Executor { target: default_target.clone() })]);
    for (name, section) in rows(doc, root, "executors", &[]) {
        section.only(doc, &["target"], &[]);
        if name.as_str() == "approval" {
            let message = "the executor approval is agora's own and cannot be defined".to_owned();
            doc.refuse(section.offset(), "config-value", message, Some("choose another name".to_owned()));
        }
        let key = section.name_of("target");
        match section.name(doc, "target") {
            Some((target, offset)) => {
                known_target(doc, &key, &target, offset, targets);
                executors.insert(name, Executor { target });
            }
            None if section.is_missing("target") => {
                let hint = format!("add {key} = \"{default_target}\"");
                doc.refuse(section.offset(), "config-value", format!("{key} is missing"), Some(hint));
            }
            None => {}
        }
    }
    Some(executors)
}

fn read_queues(doc: &mut Document<'_>, root: &Section<'_, '_>, machine: &Machine) -> Option<BTreeMap<Name, Queue>> {
    let slots = machine.processors.clamp(1, 1024);
    let mut queues =
        BTreeMap::from([(fixed("default")?, Queue { concurrency: slots, pattern: QueuePattern::StaticDag })]);
    for (name, section) in rows(doc, root, "queues", &[]) {
        section.only(doc, &["concurrency", "pattern"], &[]);
        let concurrency = section.number(doc, "concurrency", 1, CONCURRENCY_MAX);
        let pattern = section.text(doc, "pattern").map_or(Some(QueuePattern::StaticDag), |(text, offset)| {
            let pattern = QueuePattern::named(text);
            if pattern.is_none() {
                let message = format!("{} is {text:?}, which is no pattern", section.name_of("pattern"));
                let all: Vec<_> = QueuePattern::ALL.iter().map(|pattern| pattern.as_str()).collect();
                doc.refuse(offset, "config-value", message, Some(format!("the patterns are {}", all.join(", "))));
            }
            pattern
        });
        let concurrency = concurrency.and_then(|number| u32::try_from(number).ok()).unwrap_or(slots);
        queues.insert(name, Queue { concurrency, pattern: pattern.unwrap_or_default() });
    }
    Some(queues)
}

fn read_workspaces(
    doc: &mut Document<'_>,
    root: &Section<'_, '_>,
    machine: &Machine,
) -> (bool, BTreeMap<Name, Workspace>) {
    let cwd = root.section(doc, "workspaces").and_then(|section| section.switch(doc, "cwd"));
    let mut workspaces = BTreeMap::new();
    for (name, section) in rows(doc, root, "workspaces", &["cwd"]) {
        section.only(doc, &["path", "history"], &[]);
        let history = section.number(doc, "history", 0, HISTORY_MAX).unwrap_or(0);
        let key = section.name_of("path");
        let Some((text, offset)) = section.text(doc, "path") else {
            if section.is_missing("path") {
                let hint = format!("add {key} = \"/where/it/is\"");
                doc.refuse(section.offset(), "config-value", format!("{key} is missing"), Some(hint));
            }
            continue;
        };
        match folder(text, machine) {
            Ok(path) => {
                let history = u32::try_from(history).unwrap_or(0);
                workspaces.insert(name, Workspace { path, history });
            }
            Err(why) => doc.refuse(offset, "config-value", format!("{key} {why}"), None),
        }
    }
    (cwd.unwrap_or(true), workspaces)
}

/// A workspace's path: absolute, or below the user's own folder. A relative one would mean another folder for each
/// program that reads the file.
fn folder(text: &str, machine: &Machine) -> Result<PathBuf, &'static str> {
    if text.contains('\0') {
        return Err("holds a NUL");
    }
    if let Some(below) = text.strip_prefix("~/").or((text == "~").then_some("")) {
        let home = machine.user_home.as_ref().ok_or("starts with ~, and HOME is not set")?;
        return Ok(home.join(below.trim_start_matches('/')));
    }
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("is neither absolute nor below ~/") }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
