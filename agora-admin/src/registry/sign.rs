//! Encoding, signing and publishing a version: the one place where the registry changes.

use std::path::Path;

use agora_core::audit::note::{NoteError, VerifyKey, sign_text};
use agora_core::canon::CanonError;
use agora_core::error::{Class, Coded};
use agora_core::id::Digest;
use agora_core::registry::snapshot::{SNAPSHOT_BYTES_MAX, SNAPSHOT_ENTRIES_MAX};
use agora_core::registry::{RegistryError, verify};
use agora_core::seam::{BlobError, BlobStore};
use agora_engine::keys::KeyError;
use agora_engine::registry::{NOTE_FILE, SNAPSHOT_FILE};

use super::disk::{self, WriteError};
use super::lock::RegistryLock;
use super::snapshot::Draft;
use super::staged::Staged;
use crate::keys::AdminKey;

/// What a test finds in every program that can publish a registry, and in no other (I14).
///
/// A symbol's *name* does not outlive `strip = "symbols"`; these bytes do. They are read, through a black box that the
/// optimiser cannot see through, by the code that opens an admin key and by the code that publishes, so a program holds
/// them exactly when it holds that code. `#[used]` would be too much: it puts them into programs that link this crate
/// and call neither.
static AGORA_REGISTRY_ADMIN_SENTINEL: [u8; 36] = *b"agora-sentinel:registry-admin-writer";

/// Keeps the sentinel wherever the caller is.
pub(crate) fn keep_sentinel() {
    std::hint::black_box(&AGORA_REGISTRY_ADMIN_SENTINEL);
}

/// Why no version was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The admin key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The bytes cannot be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The snapshot would be larger than readers take.
    #[error("the registry would have {got} {unit}, over {limit} = {max}")]
    TooLarge {
        /// What is counted.
        unit: &'static str,
        /// The limit's name.
        limit: &'static str,
        /// The limit.
        max: usize,
        /// What it would be.
        got: usize,
    },
    /// The snapshot cannot be written as canonical JSON.
    #[error(transparent)]
    Canon(#[from] CanonError),
    /// Readers would refuse it: nothing is published that agora itself would not accept.
    #[error("the new version would be refused: {0}")]
    Refused(#[source] RegistryError),
    /// The note cannot be written.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl Coded for PublishError {
    fn class(&self) -> Class {
        match self {
            Self::Key(error) => error.class(),
            Self::Blob(error) => error.class(),
            Self::Write(error) => error.class(),
            Self::TooLarge { .. } => Class::Operator,
            Self::Canon(_) | Self::Note(_) | Self::Refused(_) => Class::Bug,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => error.code(),
            Self::Blob(error) => error.code(),
            Self::Write(error) => error.code(),
            Self::TooLarge { .. } => "limit-exceeded",
            Self::Canon(_) => "not-canonical",
            Self::Note(_) => "note-format",
            Self::Refused(error) => error.code(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.hint(),
            Self::Blob(error) => error.hint(),
            Self::Write(error) => error.hint(),
            Self::TooLarge { .. } => Some("remove entries that nothing names, or deploy with --prune".to_owned()),
            Self::Canon(_) | Self::Note(_) | Self::Refused(_) => None,
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Key(error) => error.at(),
            Self::Write(error) => error.at(),
            Self::Blob(_) | Self::TooLarge { .. } | Self::Canon(_) | Self::Note(_) | Self::Refused(_) => None,
        }
    }
}

/// A version that readers will now find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its version.
    pub version: u64,
    /// Digest of its snapshot.
    pub digest: Digest,
    /// Digest of its note.
    pub note_digest: Digest,
}

/// A version as bytes, signed and not yet anywhere.
pub(super) struct Signed {
    published: Published,
    snapshot: Vec<u8>,
    note: Vec<u8>,
}

impl Signed {
    #[cfg(test)]
    pub(super) fn bytes(&self) -> (&[u8], &[u8]) {
        (&self.snapshot, &self.note)
    }
}

/// The text of a note: five lines. First line, number of lines and key differ from every other note, so that no key of a
/// run can sign a registry by mistake.
fn text(draft: &Draft, digest: Digest) -> String {
    let previous = draft.previous.map_or_else(|| "-".to_owned(), |before| before.snapshot.to_string());
    format!("{}\n{}\n{}\n{digest}\n{previous}\n", draft.format, draft.registry, draft.version)
}

/// Encodes and signs.
pub(super) fn sign(draft: &Draft, key: &AdminKey) -> Result<Signed, PublishError> {
    keep_sentinel();
    let too_large = |unit, limit, max, got| PublishError::TooLarge { unit, limit, max, got };
    let entries = draft.entries.values().map(std::collections::BTreeMap::len).sum();
    if entries > SNAPSHOT_ENTRIES_MAX {
        return Err(too_large("entries", "snapshot_entries_max", SNAPSHOT_ENTRIES_MAX, entries));
    }
    let snapshot = draft.to_bytes()?;
    if snapshot.len() > SNAPSHOT_BYTES_MAX {
        return Err(too_large("bytes", "snapshot_bytes_max", SNAPSHOT_BYTES_MAX, snapshot.len()));
    }
    let digest = Digest::of(&snapshot);
    let text = text(draft, digest);
    let signature = key.sign(text.as_bytes());
    let note = sign_text(&text, key.name(), &key.public_key(), &signature)?;
    let public = VerifyKey::new(key.name(), key.public_key())?;
    verify(&snapshot, &note, &[public]).map_err(PublishError::Refused)?;
    let published = Published { version: draft.version, digest, note_digest: Digest::of(&note) };
    Ok(Signed { published, snapshot, note })
}

/// One step of publishing. Each is whole by itself; a crash fits between any two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The artifacts become blobs.
    Artifacts,
    /// The snapshot becomes a blob: while `snapshot.json` is a version ahead, readers of the old one find theirs here.
    SnapshotBlob,
    /// The note becomes a blob: what the next version's `previous` leads to.
    NoteBlob,
    /// `snapshot.json` is replaced. Readers see that it is ahead of the note, and go on with the old version.
    Snapshot,
    /// `snapshot.note` is replaced: the commit.
    Note,
}

impl Step {
    /// The order is the promise: nothing is named before it is there, and the note comes last.
    pub(super) const ORDER: [Self; 5] =
        [Self::Artifacts, Self::SnapshotBlob, Self::NoteBlob, Self::Snapshot, Self::Note];

    pub(super) async fn perform(
        self,
        folder: &Path,
        signed: &Signed,
        staged: &Staged,
        blobs: &dyn BlobStore,
    ) -> Result<(), PublishError> {
        match self {
            Self::Artifacts => staged.store(blobs).await?,
            Self::SnapshotBlob => drop(blobs.put(&signed.snapshot).await?),
            Self::NoteBlob => drop(blobs.put(&signed.note).await?),
            Self::Snapshot => disk::replace(&folder.join(SNAPSHOT_FILE), &signed.snapshot)?,
            Self::Note => disk::replace(&folder.join(NOTE_FILE), &signed.note)?,
        }
        Ok(())
    }
}

/// Publishes a version, under the lock.
///
/// # Errors
/// [`PublishError`]; the version before is in force then, or this one if only the last fsync failed.
///
/// # Durability
/// When it returns, the version outlives a crash of the machine.
pub(crate) async fn publish(
    lock: &RegistryLock,
    draft: &Draft,
    key: &AdminKey,
    staged: &Staged,
    blobs: &dyn BlobStore,
) -> Result<Published, PublishError> {
    let signed = sign(draft, key)?;
    for step in Step::ORDER {
        step.perform(lock.folder(), &signed, staged, blobs).await?;
    }
    Ok(signed.published)
}

/// The keys that may sign the version after this one.
pub(crate) fn may_sign(draft: &Draft) -> Vec<VerifyKey> {
    draft.admin_keys.iter().filter_map(|key| VerifyKey::parse(key).ok()).collect()
}
