//! The snapshot: the whole registry at one version. Here it is only read; its bytes are made in agora-admin alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};

use super::error::RegistryError;
use super::kind::Kind;
use crate::canon;
use crate::id::{Digest, Name};
use crate::time::Time;

/// The `format` of a snapshot, and the first line of its note.
pub const SNAPSHOT_FORMAT: &str = "agora-registry/v1";
/// Bytes of a snapshot.
pub const SNAPSHOT_BYTES_MAX: usize = 8 << 20;
/// Entries of a snapshot, all kinds together.
pub const SNAPSHOT_ENTRIES_MAX: usize = 10_000;
/// Earlier digests kept with an entry; older ones are found through `previous`.
pub const HISTORY_MAX: usize = 64;
/// Keys that may sign the next version.
pub const ADMIN_KEYS_MAX: usize = 16;
/// Bytes of a comment and of the reason of a revocation: a line of a history.
pub const COMMENT_BYTES_MAX: usize = 1_024;
/// Bytes of a key in the form C2SP gives it: a name of 60, eight hex digits, 44 of base64.
const KEY_BYTES_MAX: usize = 256;
/// Hex digits of a registry's id: 128 random bits.
const REGISTRY_ID_CHARS: usize = 32;

/// The version before this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its snapshot.
    pub snapshot: Digest,
    /// The note over it.
    pub note: Digest,
}

/// A digest that an entry had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// The artifact.
    pub digest: Digest,
    /// The version that brought it.
    pub since: u64,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The artifact.
    pub digest: Digest,
    /// The version that brought it.
    pub since: u64,
    /// What it was before, newest first; may be empty.
    pub history: Vec<Past>,
}

/// A digest that starts no further attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// The artifact.
    pub digest: Digest,
    /// The version that revoked it.
    pub since: u64,
    /// Why, one line.
    pub why: String,
}

/// The registry at one version (`docs/registry.md`). It has no `Serialize` on purpose: nothing that links this crate alone
/// can make the bytes of one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// [`SNAPSHOT_FORMAT`].
    pub format: String,
    /// The registry's id, 32 lower-case hex digits.
    pub registry: String,
    /// From 1, one more with each change.
    pub version: u64,
    /// When it was made, as its maker says.
    pub created: Time,
    /// What changed, one line.
    pub comment: String,
    /// The version before; absent in version 1 alone.
    #[serde(default, deserialize_with = "present")]
    pub previous: Option<Previous>,
    /// Who may sign the next version: public keys as C2SP's signed notes write them.
    pub admin_keys: Vec<String>,
    /// Kind and name to entry. A kind without entries is absent.
    pub entries: BTreeMap<Kind, BTreeMap<Name, Entry>>,
    /// Digests that start no further attempt; may be empty.
    pub revoked: Vec<Revoked>,
    /// The digest of the sections of `agora.toml` that are pinned, where they are.
    #[serde(default, deserialize_with = "present")]
    pub config: Option<Digest>,
}

/// What is absent is absent: `null` is another spelling that agora never writes.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Snapshot {
    /// Reads the bytes of a snapshot.
    ///
    /// # Errors
    /// [`RegistryError::NotCanonical`] for bytes that agora would not have written, of another format, or over a limit
    /// (which it names).
    pub fn parse(bytes: &[u8]) -> Result<Self, RegistryError> {
        let refuse = |why: String| Err(RegistryError::NotCanonical { why: why.chars().take(300).collect() });
        if bytes.len() > SNAPSHOT_BYTES_MAX {
            return refuse(format!("it has {} bytes, over snapshot_bytes_max = {SNAPSHOT_BYTES_MAX}", bytes.len()));
        }
        let snapshot: Self = match canon::from_bytes(bytes) {
            Ok(snapshot) => snapshot,
            Err(error) => return refuse(error.to_string()),
        };
        match snapshot.wrong() {
            Some(why) => refuse(why),
            None => Ok(snapshot),
        }
    }

    /// Returns the entry of this kind and name.
    #[must_use]
    pub fn entry(&self, kind: Kind, name: &str) -> Option<&Entry> {
        self.entries.get(&kind)?.get(name)
    }

    /// Returns the names of this kind, in order.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &Name> {
        self.entries.get(&kind).into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether an artifact starts no further attempt.
    #[must_use]
    pub fn is_revoked(&self, digest: &Digest) -> bool {
        self.revocation(digest).is_some()
    }

    /// Returns since when and why an artifact is revoked.
    #[must_use]
    pub fn revocation(&self, digest: &Digest) -> Option<&Revoked> {
        self.revoked.iter().find(|revoked| revoked.digest == *digest)
    }

    /// What about it could not have been published.
    fn wrong(&self) -> Option<String> {
        if self.format != SNAPSHOT_FORMAT {
            return Some(format!("its format {:?} is not {SNAPSHOT_FORMAT:?}", self.format));
        }
        let id = self.registry.as_bytes();
        if id.len() != REGISTRY_ID_CHARS || !id.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)) {
            return Some("the registry's id is not 32 lower-case hex digits".to_owned());
        }
        if self.version == 0 || (self.version == 1) != self.previous.is_none() {
            return Some(format!("version {} does not go with its `previous`", self.version));
        }
        if !is_line(&self.comment) {
            return Some(format!("the comment is not one line of at most {COMMENT_BYTES_MAX} bytes"));
        }
        self.wrong_keys().or_else(|| self.wrong_entries()).or_else(|| self.wrong_revoked())
    }

    fn wrong_keys(&self) -> Option<String> {
        if self.admin_keys.is_empty() || self.admin_keys.len() > ADMIN_KEYS_MAX {
            return Some(format!(
                "it names {} admin keys, not 1 to admin_keys_max = {ADMIN_KEYS_MAX}",
                self.admin_keys.len()
            ));
        }
        let distinct: BTreeSet<&String> = self.admin_keys.iter().collect();
        if distinct.len() < self.admin_keys.len() || self.admin_keys.iter().any(|key| key.len() > KEY_BYTES_MAX) {
            return Some("an admin key stands there twice, or is too long to be one".to_owned());
        }
        None
    }

    fn wrong_entries(&self) -> Option<String> {
        let count: usize = self.entries.values().map(BTreeMap::len).sum();
        if count > SNAPSHOT_ENTRIES_MAX {
            return Some(format!("it has {count} entries, over snapshot_entries_max = {SNAPSHOT_ENTRIES_MAX}"));
        }
        if let Some((kind, _)) = self.entries.iter().find(|(_, names)| names.is_empty()) {
            return Some(format!("the kind {kind} has no entries and is not absent"));
        }
        for (kind, name, entry) in self.entries.iter().flat_map(|(k, names)| names.iter().map(move |(n, e)| (k, n, e)))
        {
            if entry.history.len() > HISTORY_MAX {
                return Some(format!(
                    "{kind} {name} has {} past digests, over history_max = {HISTORY_MAX}",
                    entry.history.len()
                ));
            }
            // Newest first, and nothing in it is newer than this version.
            let since = [self.version + 1, entry.since].into_iter().chain(entry.history.iter().map(|past| past.since));
            if !since.chain([0]).is_sorted_by(|newer, older| newer > older) {
                return Some(format!("the versions of {kind} {name} do not go back step by step"));
            }
        }
        None
    }

    fn wrong_revoked(&self) -> Option<String> {
        if self.revoked.len() > SNAPSHOT_ENTRIES_MAX {
            return Some(format!(
                "it revokes {}, over snapshot_entries_max = {SNAPSHOT_ENTRIES_MAX}",
                self.revoked.len()
            ));
        }
        let distinct: BTreeSet<&Digest> = self.revoked.iter().map(|revoked| &revoked.digest).collect();
        if distinct.len() < self.revoked.len() {
            return Some("a digest is revoked twice".to_owned());
        }
        let fits = |revoked: &Revoked| is_line(&revoked.why) && (1..=self.version).contains(&revoked.since);
        self.revoked
            .iter()
            .find(|revoked| !fits(revoked))
            .map(|r| format!("the revocation of {} has no version or reason", r.digest))
    }
}

fn is_line(text: &str) -> bool {
    text.len() <= COMMENT_BYTES_MAX && !text.chars().any(char::is_control)
}

#[cfg(test)]
#[path = "snapshot_tests.rs"]
mod tests;
