//! Why a registry is refused (`docs/registry.md`, reading). A refused registry stops new runs; accepted ones go on.

use crate::error::{Class, Coded};
use crate::id::Digest;

/// Why a snapshot is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The note is none, or no pinned key signed it.
    #[error("the registry's signature is not valid: {why}")]
    Signature {
        /// What is wrong with it.
        why: String,
    },
    /// The bytes are not those the note names.
    #[error("the registry's bytes are not those its note names: {why}")]
    Digest {
        /// What differs.
        why: String,
    },
    /// The bytes are not a snapshot as agora writes it.
    #[error("the registry's snapshot is not one agora wrote: {why}")]
    NotCanonical {
        /// What is wrong with it.
        why: String,
    },
    /// Older than what was seen already.
    #[error("the registry went back from version {seen} to {given}")]
    Rollback {
        /// The version last seen.
        seen: u64,
        /// The version given.
        given: u64,
    },
    /// Not a continuation of what was seen already.
    #[error("the registry is not a continuation of the one last seen: {why}")]
    Fork {
        /// Where they part.
        why: String,
    },
    /// An entry whose blob is missing or does not match.
    #[error("the registry's entry {entry} cannot be read: {why}")]
    Entry {
        /// Kind and name.
        entry: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no registry.
    #[error("there is no registry")]
    Missing {
        /// Whether one was seen before: then it was lost, not never made.
        seen_before: bool,
    },
}

impl RegistryError {
    pub(super) fn blob_missing(digest: &Digest) -> Self {
        Self::Fork { why: format!("{digest}, which lies between, is not in the blob store") }
    }
}

impl Coded for RegistryError {
    fn class(&self) -> Class {
        Class::Operator
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Signature { .. } => "registry-signature",
            Self::Digest { .. } => "registry-digest",
            Self::NotCanonical { .. } => "not-canonical",
            Self::Rollback { .. } => "registry-rollback",
            Self::Fork { .. } => "registry-fork",
            Self::Entry { .. } => "registry-entry",
            Self::Missing { .. } => "registry-missing",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Signature { .. } => {
                "restore snapshot.json and snapshot.note, or publish again with agora-admin; if the admin key was \
                 replaced by hand, restore trust/ from a backup"
            }
            Self::Digest { .. } | Self::NotCanonical { .. } | Self::Entry { .. } => {
                "restore the file or blob from a backup, or publish again with `agora-admin deploy`; \
                 `agora-admin doctor` says what is damaged"
            }
            Self::Rollback { .. } => {
                "restore the newest snapshot; to go back on purpose deploy the older document as a new version"
            }
            Self::Fork { .. } => {
                "restore the registry that this store has seen; two installations must not share a store"
            }
            Self::Missing { seen_before: true } => "restore the folder `registry`: this store has seen a registry",
            Self::Missing { seen_before: false } => "run `agora-admin init`",
        };
        Some(hint.to_owned())
    }
}
