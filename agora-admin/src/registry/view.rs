//! Looking at the registry: lists, one entry, versions, and who lags behind. Data only.

use std::collections::BTreeMap;

use agora_core::error::Problem;
use agora_core::id::{Digest, Name};
use agora_core::registry::catalog::CatalogEntry;
use agora_core::registry::{
    Artifact, Capability, EnvBundle, Kind, Pipeline, RegistryError, Snapshot, Subagent, decode,
};
use agora_core::seam::{BlobError, BlobStore};
use agora_core::template::Template;
use agora_core::time::Time;
use agora_engine::registry::ReadError;
use serde::Serialize;
use serde_json::Value;

use super::editor::Editor;
use super::error::ChangeError;
use super::sign::PublishError;
use super::snapshot::{Draft, DraftEntry, Past};

/// A subagent that holds another content of a capability than its name now has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// The subagent.
    pub subagent: Name,
    /// The capability.
    pub capability: Name,
    /// What the subagent holds.
    pub holds: Digest,
    /// What the name has; absent when the capability is gone.
    pub current: Option<Digest>,
}

/// One entry, whole.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
    /// Its content.
    pub digest: Digest,
    /// The version that brought it.
    pub since: u64,
    /// What it had before, newest first.
    pub history: Vec<Past>,
    /// The artifact.
    pub artifact: Value,
    /// The texts of a subagent: `system_prompt`, `template`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<&'static str, String>,
    /// Why it starts no further attempt, if it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<String>,
}

/// One version, as a history shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// When it was made.
    pub created: Time,
    /// What made it.
    pub comment: String,
    /// How many entries it has.
    pub entries: usize,
}

fn unreadable(kind: Kind, name: &Name, why: String) -> ChangeError {
    ReadError::Registry(RegistryError::Entry { entry: format!("{kind} {name}"), why }).into()
}

pub(super) fn decoded<T: Artifact>(kind: Kind, name: &Name, bytes: &[u8]) -> Result<T, ChangeError> {
    decode(bytes).map_err(|problems: Vec<Problem>| {
        unreadable(kind, name, problems.first().map(ToString::to_string).unwrap_or_default())
    })
}

/// Reads an artifact of the version in force.
pub(super) async fn artifact<T: Artifact>(
    blobs: &dyn BlobStore,
    kind: Kind,
    name: &Name,
    digest: &Digest,
) -> Result<T, ChangeError> {
    decoded(kind, name, &entry_bytes(blobs, kind, name, digest).await?)
}

async fn entry_bytes(blobs: &dyn BlobStore, kind: Kind, name: &Name, digest: &Digest) -> Result<Vec<u8>, ChangeError> {
    blobs.get(digest).await.map_err(|error| match error {
        BlobError::Missing(_) | BlobError::Damaged { .. } => unreadable(kind, name, error.to_string()),
        other => other.into(),
    })
}

/// Goes back from a version to an earlier one, through `previous`: each is named by digest by the one after it, and the
/// last of them was signed. `None` when there is no such version.
pub(super) async fn earlier(blobs: &dyn BlobStore, from: Draft, version: u64) -> Result<Option<Draft>, ChangeError> {
    let mut draft = from;
    while draft.version > version {
        let Some(before) = draft.previous else { return Ok(None) };
        let below = Draft::of_verified(&blobs.get(&before.snapshot).await?).map_err(PublishError::Canon)?;
        // Strictly down, so that this ends whatever the bytes say.
        if below.version >= draft.version {
            return Ok(None);
        }
        draft = below;
    }
    Ok(Some(draft).filter(|draft| draft.version == version))
}

/// Who holds another content than the name now has.
pub(super) fn lagging(draft: &Draft, subagents: &BTreeMap<Name, Subagent>) -> Vec<Lag> {
    let held = subagents.iter().flat_map(|(name, subagent)| subagent.capabilities.iter().map(move |held| (name, held)));
    held.filter_map(|(subagent, held)| {
        let current = draft.digest(Kind::Capability, &held.name);
        let lag = Lag { subagent: subagent.clone(), capability: held.name.clone(), holds: held.digest, current };
        (current != Some(held.digest)).then_some(lag)
    })
    .collect()
}

impl Editor<'_> {
    /// Lists the entries of a kind, a line each.
    ///
    /// # Errors
    /// [`ChangeError::Read`], `registry-entry` among its codes.
    pub async fn list(&self, kind: Kind) -> Result<Vec<CatalogEntry>, ChangeError> {
        let current = self.current().await?;
        let mut lines = Vec::new();
        for (name, entry) in current.snapshot.entries.get(&kind).into_iter().flatten() {
            let bytes = entry_bytes(self.blobs, kind, name, &entry.digest).await?;
            let line = match kind {
                Kind::Capability => CatalogEntry::capability(name, entry, &decoded::<Capability>(kind, name, &bytes)?),
                Kind::Env => CatalogEntry::env(name, entry, &decoded::<EnvBundle>(kind, name, &bytes)?),
                Kind::Pipeline => CatalogEntry::pipeline(name, entry, &decoded::<Pipeline>(kind, name, &bytes)?),
                Kind::Subagent => {
                    let subagent = decoded::<Subagent>(kind, name, &bytes)?;
                    let template = self.template(name, &subagent).await?;
                    CatalogEntry::subagent(name, entry, &subagent, template.as_ref())
                }
            };
            lines.push(line.revoked(revoked(&current.snapshot, &entry.digest)));
        }
        Ok(lines)
    }

    async fn template(&self, name: &Name, subagent: &Subagent) -> Result<Option<Template>, ChangeError> {
        let Some(digest) = &subagent.template else { return Ok(None) };
        let text = self.text(Kind::Subagent, name, digest).await?;
        Template::parse(&text).map(Some).map_err(|problem| unreadable(Kind::Subagent, name, problem.to_string()))
    }

    async fn text(&self, kind: Kind, name: &Name, digest: &Digest) -> Result<String, ChangeError> {
        let bytes = entry_bytes(self.blobs, kind, name, digest).await?;
        String::from_utf8(bytes).map_err(|_| unreadable(kind, name, "its text is not UTF-8".to_owned()))
    }

    /// Shows one entry whole, a subagent with its prompts.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`] with the nearest name; [`ChangeError::Read`].
    pub async fn show(&self, kind: Kind, name: &Name) -> Result<Shown, ChangeError> {
        let current = self.current().await?;
        let Some(entry) = current.snapshot.entry(kind, name.as_str()) else {
            return Err(ChangeError::unknown(kind, name, current.snapshot.names(kind)));
        };
        let bytes = entry_bytes(self.blobs, kind, name, &entry.digest).await?;
        let artifact =
            serde_json::from_slice::<Value>(&bytes).map_err(|error| unreadable(kind, name, error.to_string()))?;
        let mut texts = BTreeMap::new();
        if kind == Kind::Subagent {
            let subagent = decoded::<Subagent>(kind, name, &bytes)?;
            for (key, digest) in [("system_prompt", subagent.system_prompt), ("template", subagent.template)] {
                if let Some(digest) = digest {
                    texts.insert(key, self.text(kind, name, &digest).await?);
                }
            }
        }
        let history = entry.history.iter().map(|past| Past { digest: past.digest, since: past.since }).collect();
        let revoked = revoked(&current.snapshot, &entry.digest).map(str::to_owned);
        let (digest, since) = (entry.digest, entry.since);
        Ok(Shown { kind, name: name.clone(), digest, since, history, artifact, texts, revoked })
    }

    /// The versions from the one in force back, at most `most`, newest first.
    ///
    /// # Errors
    /// [`ChangeError::Read`]; [`ChangeError::Blob`] when the bytes of one are gone.
    pub async fn history(&self, most: usize) -> Result<Vec<Version>, ChangeError> {
        let current = self.current().await?;
        let mut draft = Draft::of_verified(&current.bytes).map_err(PublishError::Canon)?;
        let mut versions = Vec::new();
        while versions.len() < most {
            let entries = draft.entries.values().map(BTreeMap::<Name, DraftEntry>::len).sum();
            let (version, created) = (draft.version, draft.created);
            versions.push(Version { version, created, comment: draft.comment.clone(), entries });
            match earlier(self.blobs, draft, version.saturating_sub(1)).await? {
                Some(below) => draft = below,
                None => break,
            }
        }
        Ok(versions)
    }

    /// Lists the subagents that hold another content of a capability than its name now has.
    ///
    /// # Errors
    /// [`ChangeError::Read`].
    pub async fn lagging(&self) -> Result<Vec<Lag>, ChangeError> {
        let current = self.current().await?;
        let draft = Draft::of_verified(&current.bytes).map_err(PublishError::Canon)?;
        let mut subagents = BTreeMap::new();
        for (name, entry) in draft.entries.get(&Kind::Subagent).into_iter().flatten() {
            subagents.insert(name.clone(), artifact(self.blobs, Kind::Subagent, name, &entry.digest).await?);
        }
        Ok(lagging(&draft, &subagents))
    }
}

fn revoked<'s>(snapshot: &'s Snapshot, digest: &Digest) -> Option<&'s str> {
    snapshot.revocation(digest).map(|revoked| revoked.why.as_str())
}
