//! The signed note over a snapshot: who vouches for which bytes.
//!
//! Its text is five lines: the format, the registry's id, the version, the snapshot's digest, the previous snapshot's
//! digest or `-`. No other note of agora begins like it or has as many lines, so no key of another role can be made to
//! sign a registry; and it is short enough for a key service. The note is the commit: it names the bytes that count.

use super::error::RegistryError;
use super::snapshot::{Previous, SNAPSHOT_FORMAT, Snapshot};
use crate::audit::note::{Note, VerifyKey};
use crate::id::Digest;

/// What the note of a snapshot says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteText {
    /// The registry's id.
    pub registry: String,
    /// The version.
    pub version: u64,
    /// The snapshot's digest.
    pub snapshot: Digest,
    /// The digest of the snapshot before; absent in version 1.
    pub previous: Option<Digest>,
}

impl std::fmt::Display for NoteText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{SNAPSHOT_FORMAT}\n{}\n{}\n{}", self.registry, self.version, self.snapshot)?;
        match &self.previous {
            Some(previous) => writeln!(f, "{previous}"),
            None => writeln!(f, "-"),
        }
    }
}

impl NoteText {
    /// Reads the text of a note: exactly what [`note_text`] writes.
    ///
    /// # Errors
    /// [`RegistryError::Signature`], since a note with another text signs no registry.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        let lines: Vec<&str> = text.split('\n').collect();
        let [format, registry, version, snapshot, previous, ""] = lines.as_slice() else {
            return Err(bad("its text has not five lines"));
        };
        let bad_line = |line: &str| bad(&format!("its {line} is not one"));
        let read = Self {
            registry: (*registry).to_owned(),
            version: version.parse().map_err(|_| bad_line("version"))?,
            snapshot: snapshot.parse().map_err(|_| bad_line("digest"))?,
            previous: match *previous {
                "-" => None,
                digest => Some(digest.parse().map_err(|_| bad_line("previous digest"))?),
            },
        };
        if *format != SNAPSHOT_FORMAT || read.to_string() != text {
            return Err(bad("its text is not that of a registry"));
        }
        Ok(read)
    }

    /// Reads the text of a signed note without verifying it: to find the bytes it names, and nothing else.
    ///
    /// # Errors
    /// [`RegistryError::Signature`] for what is no such note.
    pub fn of_note(note_bytes: &[u8]) -> Result<Self, RegistryError> {
        Self::parse(&parse_note(note_bytes)?.text)
    }
}

/// Returns the text that an admin key signs for a snapshot with this digest.
#[must_use]
pub fn note_text(snapshot: &Snapshot, digest: &Digest) -> String {
    NoteText {
        registry: snapshot.registry.clone(),
        version: snapshot.version,
        snapshot: *digest,
        previous: snapshot.previous.map(|previous| previous.snapshot),
    }
    .to_string()
}

/// Returns the name of the keys that may sign this registry.
#[must_use]
pub fn admin_key_name(registry: &str) -> String {
    format!("agora/registry-admin/{registry}")
}

/// A snapshot and the note over it. What it says was verified: bytes, note and signature agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    pub(super) signed: Signed,
    /// The keys it was verified with.
    pub(super) pinned: Vec<VerifyKey>,
}

impl Verified {
    /// The snapshot: parsed from the very bytes that were verified.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.signed.snapshot
    }

    /// The snapshot's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.signed.digest
    }

    /// The digest of the note's bytes.
    #[must_use]
    pub fn note_digest(&self) -> Digest {
        self.signed.note_digest
    }
}

/// Verifies a snapshot and its note with keys that are trusted already.
///
/// # Errors
/// `registry-signature`: the note is malformed, too long, or has no valid signature by a pinned key of the role
/// `registry-admin` of this registry. `registry-digest`: other bytes than it names. `not-canonical`: see
/// [`Snapshot::parse`].
pub fn verify(snapshot_bytes: &[u8], note_bytes: &[u8], pinned: &[VerifyKey]) -> Result<Verified, RegistryError> {
    // The signature first: bytes nobody vouches for are not parsed.
    check_note(note_bytes, pinned)?;
    Ok(Verified { signed: Signed::read(snapshot_bytes, note_bytes)?, pinned: pinned.to_vec() })
}

/// A snapshot and a note that fit each other; who signed it is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) snapshot: Snapshot,
    pub(super) digest: Digest,
    pub(super) note_digest: Digest,
    note: Note,
    text: NoteText,
}

impl Signed {
    pub(super) fn read(snapshot_bytes: &[u8], note_bytes: &[u8]) -> Result<Self, RegistryError> {
        let note = parse_note(note_bytes)?;
        let text = NoteText::parse(&note.text)?;
        let digest = Digest::of(snapshot_bytes);
        if digest != text.snapshot {
            return Err(RegistryError::Digest {
                why: format!("the note names {}, the bytes are {digest}", text.snapshot),
            });
        }
        let snapshot = Snapshot::parse(snapshot_bytes)?;
        if note_text(&snapshot, &digest) != note.text {
            let why = "id, version or previous digest differ between the two".to_owned();
            return Err(RegistryError::Digest { why });
        }
        Ok(Self { snapshot, digest, note_digest: Digest::of(note_bytes), note, text })
    }

    pub(super) fn is_signed_by(&self, keys: &[VerifyKey]) -> Result<(), RegistryError> {
        check_signature(&self.note, &self.text, keys)
    }

    /// The keys that may sign the next version.
    pub(super) fn admin_keys(&self) -> Result<Vec<VerifyKey>, RegistryError> {
        parse_keys(&self.snapshot.admin_keys)
    }

    pub(super) fn previous(&self) -> Option<Previous> {
        self.snapshot.previous
    }
}

/// Reads public keys as a snapshot names them.
pub(super) fn parse_keys(keys: &[String]) -> Result<Vec<VerifyKey>, RegistryError> {
    let read = |key: &String| VerifyKey::parse(key).map_err(|e| bad(&format!("an admin key is none: {e}")));
    keys.iter().map(read).collect()
}

/// Whether one of these keys signed the note, whatever bytes it names.
pub(super) fn check_note(note_bytes: &[u8], keys: &[VerifyKey]) -> Result<(), RegistryError> {
    let note = parse_note(note_bytes)?;
    check_signature(&note, &NoteText::parse(&note.text)?, keys)
}

fn parse_note(bytes: &[u8]) -> Result<Note, RegistryError> {
    Note::parse(bytes).map_err(|error| bad(&error.to_string()))
}

/// Only keys of the role and of this registry count, whatever else is pinned.
fn check_signature(note: &Note, text: &NoteText, keys: &[VerifyKey]) -> Result<(), RegistryError> {
    let role = admin_key_name(&text.registry);
    let keys: Vec<VerifyKey> = keys.iter().filter(|key| key.name == role).cloned().collect();
    let verified = note.verify(&keys).map_err(|error| bad(&error.to_string()))?;
    if verified.keys.is_empty() { Err(bad(&format!("no pinned key {role} signed it"))) } else { Ok(()) }
}

fn bad(why: &str) -> RegistryError {
    RegistryError::Signature { why: why.chars().take(300).collect() }
}
