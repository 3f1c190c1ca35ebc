//! A snapshot as it is written. Reading one is `agora_core::registry`'s: it has no encoder, and this module is the only
//! one there is (the wall, `docs/registry.md`).

use std::collections::BTreeMap;

use agora_core::canon::{self, CanonError};
use agora_core::id::{Digest, Name};
use agora_core::registry::Kind;
use agora_core::registry::snapshot::SNAPSHOT_FORMAT;
use agora_core::time::Time;
use serde::{Deserialize, Serialize};

/// An earlier content of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Past {
    /// The content.
    pub digest: Digest,
    /// The version that brought it.
    pub since: u64,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftEntry {
    /// Its content.
    pub digest: Digest,
    /// The version that brought it.
    pub since: u64,
    /// What it had before, newest first; may be empty.
    pub history: Vec<Past>,
}

/// A content that starts no further attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftRevoked {
    /// The content.
    pub digest: Digest,
    /// The version that revoked it.
    pub since: u64,
    /// Why, for people.
    pub why: String,
}

/// The version before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Digest of its snapshot.
    pub snapshot: Digest,
    /// Digest of its note.
    pub note: Digest,
}

/// A whole version of the registry, about to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// [`SNAPSHOT_FORMAT`].
    pub format: String,
    /// The registry's id, 32 hex digits.
    pub registry: String,
    /// From 1, without a gap.
    pub version: u64,
    /// When it was made.
    pub created: Time,
    /// What made it, for people.
    pub comment: String,
    /// The version before; absent in version 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<Before>,
    /// Verifier keys of those who may sign the next version.
    pub admin_keys: Vec<String>,
    /// Kind to name to entry.
    pub entries: BTreeMap<Kind, BTreeMap<Name, DraftEntry>>,
    /// Contents that start no further attempt; may be empty.
    pub revoked: Vec<DraftRevoked>,
    /// Digest of the pinned configuration; never written by this version, kept when it is there.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub config: Option<Digest>,
}

impl Draft {
    /// The first version: empty.
    #[must_use]
    pub fn first(registry: String, admin_key: String, created: Time) -> Self {
        Self {
            format: SNAPSHOT_FORMAT.to_owned(),
            registry,
            version: 1,
            created,
            comment: "init".to_owned(),
            previous: None,
            admin_keys: vec![admin_key],
            entries: BTreeMap::new(),
            revoked: Vec::new(),
            config: None,
        }
    }

    /// Takes up a version that was verified, to make the next from it.
    ///
    /// # Errors
    /// [`CanonError`] for bytes that are no snapshot.
    pub fn of_verified(bytes: &[u8]) -> Result<Self, CanonError> {
        canon::from_bytes(bytes)
    }

    /// Writes it: strict canonical JSON.
    ///
    /// # Errors
    /// [`CanonError`] when a number does not fit.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, CanonError> {
        canon::to_bytes(self)
    }

    /// The digest of an entry.
    #[must_use]
    pub fn digest(&self, kind: Kind, name: &Name) -> Option<Digest> {
        Some(self.entries.get(&kind)?.get(name)?.digest)
    }
}
