//! What `catalog` and `list` show of an entry: enough to choose it, never a prompt, a value or a command.

use std::collections::BTreeMap;

use serde::Serialize;

use super::artifact::{Capability, Delivery, EnvBundle, PermissionMode, Pipeline, Subagent};
use super::kind::Kind;
use super::snapshot::Entry;
use crate::id::{Digest, Name};
use crate::template::Template;

/// One entry of the registry as it is shown. Members that do not apply to its kind are absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CatalogEntry {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// The artifact.
    pub digest: Digest,
    /// The version of the registry that brought it.
    pub since: u64,
    /// What the operator says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Of a subagent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subagent: Option<SubagentLine>,
    /// How many files a capability has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// How many bytes they have together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Names of the variables that an env bundle sets, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Whether a secret of the bundle reaches worker and agent instead of the broker alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsealed: bool,
    /// The kinds of a pipeline's blocks, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<&'static str>,
    /// Why no attempt may use it, if it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// What a caller has to know of a subagent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SubagentLine {
    /// Its program.
    pub runtime: &'static str,
    /// Its model.
    pub model: String,
    /// What a plan may say instead; absent: the same level or a lower one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Where it may run; `*` is any target.
    pub targets: Vec<String>,
    /// The inputs it wants: name to one line about it, which is empty where the template alone is known.
    pub expects: BTreeMap<String, String>,
    /// Its capabilities, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Name>,
    /// Bundles a plan may add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_add_env: Vec<Name>,
    /// Pipelines a plan may choose.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub may_use_pipelines: Vec<Name>,
    /// Whether it may stop and ask.
    pub may_ask: bool,
    /// Whether its own permission system is switched off.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bypass: bool,
}

impl CatalogEntry {
    fn new(kind: Kind, name: &Name, entry: &Entry, about: Option<&String>) -> Self {
        Self {
            kind,
            name: name.clone(),
            digest: entry.digest,
            since: entry.since,
            about: about.cloned(),
            subagent: None,
            files: None,
            size_bytes: None,
            variables: Vec::new(),
            unsealed: false,
            blocks: Vec::new(),
            revoked: None,
        }
    }

    /// Describes a subagent. `template` is its template, parsed: its variables stand in where `expects` is absent.
    #[must_use]
    pub fn subagent(name: &Name, entry: &Entry, subagent: &Subagent, template: Option<&Template>) -> Self {
        let expects = if subagent.expects.is_empty() {
            let variables = template.map(Template::variables).unwrap_or_default();
            variables.into_iter().map(|variable| (variable, String::new())).collect()
        } else {
            subagent.expects.clone()
        };
        let line = SubagentLine {
            runtime: subagent.runtime.as_str(),
            model: subagent.model.0.clone(),
            models: subagent.models.as_ref().map(|models| models.iter().map(|model| model.0.clone()).collect()),
            targets: subagent.targets.clone(),
            expects,
            capabilities: subagent.capabilities.iter().map(|capability| capability.name.clone()).collect(),
            may_add_env: subagent.may_add_env.clone(),
            may_use_pipelines: subagent.may_use_pipelines.clone(),
            may_ask: subagent.may_ask,
            bypass: subagent.permission_mode == PermissionMode::Bypass,
        };
        Self { subagent: Some(line), ..Self::new(Kind::Subagent, name, entry, subagent.about.as_ref()) }
    }

    /// Describes a capability.
    #[must_use]
    pub fn capability(name: &Name, entry: &Entry, capability: &Capability) -> Self {
        Self {
            files: Some(capability.files.len() as u64),
            size_bytes: Some(capability.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))),
            ..Self::new(Kind::Capability, name, entry, capability.about.as_ref())
        }
    }

    /// Describes an env bundle: names alone.
    #[must_use]
    pub fn env(name: &Name, entry: &Entry, bundle: &EnvBundle) -> Self {
        let mut variables: Vec<String> = bundle.values.keys().chain(bundle.secrets.keys()).cloned().collect();
        variables.sort();
        let unsealed = bundle.secrets.values().any(|secret| secret.deliver != Delivery::Broker);
        Self { variables, unsealed, ..Self::new(Kind::Env, name, entry, bundle.about.as_ref()) }
    }

    /// Describes a pipeline.
    #[must_use]
    pub fn pipeline(name: &Name, entry: &Entry, pipeline: &Pipeline) -> Self {
        use super::artifact::{Block, Capture, Lens};
        let word = |block: &Block| match block {
            Block::Agent => "agent",
            Block::Script { lens: Lens::Gate, .. } => "script gate",
            Block::Script { lens: Lens::Verify, .. } => "script verify",
            Block::Capture { what: Capture::Patch } => "capture patch",
            Block::Capture { what: Capture::Outputs } => "capture outputs",
        };
        let blocks = pipeline.blocks.iter().map(word).collect();
        Self { blocks, ..Self::new(Kind::Pipeline, name, entry, pipeline.about.as_ref()) }
    }

    /// Says that it is revoked, and why.
    #[must_use]
    pub fn revoked(self, why: Option<&str>) -> Self {
        Self { revoked: why.map(str::to_owned), ..self }
    }

    /// Returns the entry in one line, as lists show it.
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts = vec![format!("{} {}", self.kind, self.name), self.digest.hex()[..12].to_owned()];
        if let Some(subagent) = &self.subagent {
            parts.push(format!("{} on {}", subagent.runtime, subagent.targets.join(", ")));
            if !subagent.expects.is_empty() {
                parts.push(format!("expects {}", subagent.expects.keys().cloned().collect::<Vec<_>>().join(", ")));
            }
            if subagent.bypass {
                parts.push("permissions bypassed".to_owned());
            }
        }
        if let (Some(files), Some(bytes)) = (self.files, self.size_bytes) {
            parts.push(format!("{files} files, {bytes} bytes"));
        }
        if !self.variables.is_empty() {
            parts.push(format!("sets {}", self.variables.join(", ")));
        }
        if self.unsealed {
            parts.push("unsealed secrets".to_owned());
        }
        if !self.blocks.is_empty() {
            parts.push(self.blocks.join(" → "));
        }
        parts.extend(self.about.clone());
        parts.extend(self.revoked.as_ref().map(|why| format!("revoked: {why}")));
        parts.join(" · ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry() -> Entry {
        Entry { digest: Digest::of(b""), since: 3, history: Vec::new() }
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_subagent_shows_what_it_wants_and_not_what_it_is_told() {
        let subagent: Subagent =
            serde_json::from_value(json!({"about": "edits one file", "format": "agora-subagent/v1",
            "runtime": "command", "argv": ["private-program"], "targets": ["*"], "template": Digest::of(b"")}))
            .unwrap();
        let template = Template::parse("hidden words {{ file }} {{ goal }} {{ agora.run }}").unwrap();
        let shown = CatalogEntry::subagent(&name("code-edit"), &entry(), &subagent, Some(&template));
        assert_eq!(
            shown.line(),
            "subagent code-edit · e3b0c44298fc · command on * · expects file, goal · edits one file"
        );
        let json = serde_json::to_string(&shown).unwrap();
        assert!(
            json.contains("\"file\":\"\"") && !json.contains("hidden") && !json.contains("private-program"),
            "{json}"
        );
        let told = Subagent { expects: [("file".to_owned(), "which file".to_owned())].into(), ..subagent };
        let shown = CatalogEntry::subagent(&name("code-edit"), &entry(), &told, Some(&template));
        assert_eq!(shown.subagent.unwrap().expects, told.expects);
    }

    #[test]
    fn a_bundle_shows_names_and_no_values() {
        let bundle: EnvBundle =
            serde_json::from_value(json!({"format": "agora-env/v1", "values": {"Z": "hidden", "A": "x"},
            "secrets": {"M": {"secret": "hidden-too", "deliver": "env"}}}))
            .unwrap();
        let shown = CatalogEntry::env(&name("plain"), &entry(), &bundle);
        assert_eq!(shown.line(), "env plain · e3b0c44298fc · sets A, M, Z · unsealed secrets");
        assert!(!serde_json::to_string(&shown).unwrap().contains("hidden"));
    }

    #[test]
    fn capabilities_and_pipelines_are_one_line_too() {
        let capability: Capability =
            serde_json::from_value(json!({"about": "House rules", "format": "agora-capability/v1",
            "files": [{"mode": "0644", "path": "a", "sha256": "00", "size": 812}]}))
            .unwrap();
        let shown = CatalogEntry::capability(&name("rules"), &entry(), &capability).revoked(Some("leaked"));
        assert_eq!(
            shown.line(),
            "capability rules · e3b0c44298fc · 1 files, 812 bytes · House rules · revoked: leaked"
        );
        let pipeline: Pipeline = serde_json::from_value(json!({"format": "agora-pipeline/v1",
            "blocks": [{"kind": "agent"}, {"kind": "script", "command": ["hidden"], "lens": "gate"}, {"kind": "capture", "what": "patch"}]}))
        .unwrap();
        let shown = CatalogEntry::pipeline(&name("gated"), &entry(), &pipeline);
        assert_eq!(shown.line(), "pipeline gated · e3b0c44298fc · agent → script gate → capture patch");
        assert!(!serde_json::to_string(&shown).unwrap().contains("hidden"));
    }
}
