//! `catalog`: what may be used.

use std::collections::BTreeMap;

use agora_core::registry::Kind;
use agora_core::registry::catalog as lines;
use agora_core::template::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::ProblemRow;
use super::status::cursor;
use super::{Caller, OpError};
use crate::engine::Engine;
use crate::registry::Current;

/// What kind of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CatalogKind {
    /// Who works.
    Subagent,
    /// Files laid over the workspace.
    Capability,
    /// Variables.
    Env,
    /// The blocks of an attempt.
    Pipeline,
    /// Where attempts run.
    Target,
    /// How many run at once.
    Queue,
    /// What a plan's `executor` chooses.
    Executor,
    /// What items work on.
    Workspace,
}

/// The arguments of `catalog`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogArgs {
    /// Only this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CatalogKind>,
    /// Only the entry of this name.
    #[serde(default)]
    pub name: Option<String>,
    /// Only entries whose name or description has this text.
    #[serde(default)]
    pub query: Option<String>,
    /// Goes on where an earlier answer ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CatalogEntry {
    /// What it is.
    pub kind: CatalogKind,
    /// Its name.
    pub name: String,
    /// One line about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What else is to know: for a subagent `runtime`, `targets`, `inputs`, `model`; for a target `provider`, `profile`,
    /// `weaker`; for a queue `concurrency`, `pattern`; and so on, as short text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Why it cannot be used now, and what mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemRow>,
}

/// The reply of `catalog`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CatalogReply {
    /// How many there are in all.
    pub total: u64,
    /// The registry's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_version: Option<u64>,
    /// The entries, by kind and name; at most 50.
    pub entries: Vec<CatalogEntry>,
    /// Why the registry or the configuration cannot be used now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemRow>,
    /// Give this to have the next ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Entries of one answer at most.
const PAGE: usize = 50;

impl Engine {
    /// What may be used. Entries that cannot be used now are there with the reason.
    ///
    /// # Errors
    /// For a cursor that was not given out.
    pub async fn catalog(&self, caller: &Caller, args: CatalogArgs) -> Result<CatalogReply, OpError> {
        let from = args.cursor.as_deref().map(cursor).transpose()?.and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
        let mut problems = Vec::new();
        let mut entries = self.places(caller).await;
        let mut registry_version = None;
        match self.hub.current().await {
            Ok(current) => {
                registry_version = Some(current.snapshot.version);
                entries.extend(self.registered(&current).await);
            }
            Err(error) => problems.extend(error.problems.iter().map(ProblemRow::from)),
        }
        entries.retain(|entry| wanted(entry, &args));
        entries.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        let total = entries.len() as u64;
        let next = from + PAGE;
        let cursor = (next < entries.len()).then(|| next.to_string());
        let entries = entries.into_iter().skip(from).take(PAGE).collect();
        Ok(CatalogReply { total, registry_version, entries, problems, cursor })
    }

    /// What the configuration defines.
    async fn places(&self, caller: &Caller) -> Vec<CatalogEntry> {
        let config = &self.config;
        let mut entries = Vec::new();
        for (name, target) in &config.targets {
            let offered = match self.providers.compute(&self.home, target) {
                Ok(provider) => provider.isolation(target).await,
                Err(error) => Err(error),
            };
            let mut entry = CatalogEntry::new(CatalogKind::Target, name.as_str());
            entry.say("provider", target.provider.as_str());
            match offered {
                Ok((profile, isolation)) => {
                    entry.say("profile", profile.as_str());
                    entry.say("network", &isolation.network.mode);
                    if !isolation.weaker.is_empty() {
                        entry.say("weaker", &isolation.weaker.join("; "));
                    }
                }
                Err(error) => entry.problem = Some(ProblemRow::from(&agora_core::error::Coded::problem(&error))),
            }
            entries.push(entry);
        }
        for (name, queue) in &config.queues {
            let mut entry = CatalogEntry::new(CatalogKind::Queue, name.as_str());
            entry.say("concurrency", &queue.concurrency.to_string());
            entry.say("pattern", queue.pattern.as_str());
            entries.push(entry);
        }
        for (name, executor) in &config.executors {
            let mut entry = CatalogEntry::new(CatalogKind::Executor, name.as_str());
            entry.say("target", executor.target.as_str());
            entries.push(entry);
        }
        let names = config.workspaces.keys().map(|name| name.as_str().to_owned());
        let cwd = (config.cwd && caller.cwd.is_some()).then(|| "cwd".to_owned());
        entries.extend(names.chain(cwd).map(|name| CatalogEntry::new(CatalogKind::Workspace, &name)));
        entries
    }

    /// What the registry holds.
    async fn registered(&self, current: &Current) -> Vec<CatalogEntry> {
        let mut entries = Vec::new();
        for kind in Kind::ALL.iter().copied() {
            for name in current.snapshot.names(kind) {
                let mut entry = CatalogEntry::new(kind.into(), name.as_str());
                match self.described(current, kind, name).await {
                    Ok(Some(line)) => entry.fill(&line),
                    Ok(None) => {}
                    Err(error) => entry.problem = error.problems.first().map(ProblemRow::from),
                }
                let digest = current.snapshot.entry(kind, name.as_str()).map(|entry| entry.digest);
                if let Some(revoked) = digest.and_then(|digest| current.snapshot.revocation(&digest)) {
                    entry.problem = Some(ProblemRow {
                        code: "registry-revoked".to_owned(),
                        message: format!("revoked in version {}: {}", revoked.since, revoked.why),
                        at: None,
                        hint: Some("an operator deploys another version".to_owned()),
                    });
                }
                entry.digest = digest.map(|digest| digest.to_string());
                entries.push(entry);
            }
        }
        entries
    }

    async fn described(
        &self,
        current: &Current,
        kind: Kind,
        name: &agora_core::id::Name,
    ) -> Result<Option<lines::CatalogEntry>, OpError> {
        let Some(entry) = current.snapshot.entry(kind, name.as_str()) else { return Ok(None) };
        let blobs = self.blobs.as_ref();
        Ok(match kind {
            Kind::Subagent => match current.subagent(name, blobs).await? {
                None => None,
                Some((_, subagent)) => {
                    let text = match &subagent.template {
                        Some(digest) => Some(current.text(name.as_str(), digest, blobs).await?),
                        None => None,
                    };
                    let template = text.map(|text| Template::parse(&text)).transpose().map_err(OpError::one)?;
                    Some(lines::CatalogEntry::subagent(name, entry, &subagent, template.as_ref()))
                }
            },
            Kind::Capability => current
                .capability(name, blobs)
                .await?
                .map(|(_, found)| lines::CatalogEntry::capability(name, entry, &found)),
            Kind::Env => {
                current.env(name, blobs).await?.map(|(_, found)| lines::CatalogEntry::env(name, entry, &found))
            }
            Kind::Pipeline => current
                .pipeline(name, blobs)
                .await?
                .map(|(_, found)| lines::CatalogEntry::pipeline(name, entry, &found)),
        })
    }
}

impl From<Kind> for CatalogKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Subagent => Self::Subagent,
            Kind::Capability => Self::Capability,
            Kind::Env => Self::Env,
            Kind::Pipeline => Self::Pipeline,
        }
    }
}

fn wanted(entry: &CatalogEntry, args: &CatalogArgs) -> bool {
    let holds = |text: &str, query: &str| text.to_lowercase().contains(&query.to_lowercase());
    args.kind.is_none_or(|kind| kind == entry.kind)
        && args.name.as_ref().is_none_or(|name| *name == entry.name)
        && args.query.as_ref().is_none_or(|query| {
            holds(&entry.name, query) || entry.about.as_ref().is_some_and(|about| holds(about, query))
        })
}

impl CatalogEntry {
    fn new(kind: CatalogKind, name: &str) -> Self {
        Self { kind, name: name.to_owned(), about: None, digest: None, details: BTreeMap::new(), problem: None }
    }

    fn say(&mut self, key: &str, value: &str) {
        self.details.insert(key.to_owned(), value.to_owned());
    }

    /// Takes over what the registry's own line says.
    fn fill(&mut self, line: &lines::CatalogEntry) {
        self.about.clone_from(&line.about);
        let Ok(serde_json::Value::Object(members)) = serde_json::to_value(line) else { return };
        let own = ["kind", "name", "digest", "about", "since", "revoked"];
        for (key, value) in members.into_iter().filter(|(key, _)| !own.contains(&key.as_str())) {
            match value {
                serde_json::Value::Object(inner) => inner.into_iter().for_each(|(key, value)| self.tell(&key, &value)),
                other => self.tell(&key, &other),
            }
        }
    }

    fn tell(&mut self, key: &str, value: &serde_json::Value) {
        let words = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let text = match value {
            serde_json::Value::Null => return,
            serde_json::Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(", "),
            serde_json::Value::Object(map) => {
                map.iter().map(|(key, value)| format!("{key}: {}", words(value))).collect::<Vec<_>>().join("; ")
            }
            other => words(other),
        };
        self.say(key, &text);
    }
}
