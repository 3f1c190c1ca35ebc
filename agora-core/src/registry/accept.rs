//! May this snapshot follow the one that was seen last?
//!
//! ```text
//!   seen (version 42, its admin_keys)   43          44 = new
//!        ▲───────── previous ───────────┘▲── previous ──┘
//!        └ keys of 42 signed 43          └ keys of 43 signed 44
//! ```
//!
//! Never back, never sideways, and each version signed by a key that the version before it names: so a key rotation is
//! followed without trusting anything but what was trusted before.

use serde::{Deserialize, Serialize};

use super::error::RegistryError;
use super::note::{NoteText, Signed, Verified, admin_key_name, check_note, parse_keys, verify};
use crate::audit::note::VerifyKey;
use crate::id::Digest;

/// Versions that may have been published while nobody looked; each costs two blobs to read.
pub const CATCH_UP_MAX: u64 = 10_000;

/// What a store keeps of the version it accepted last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The registry's id.
    pub registry: String,
    /// The version.
    pub version: u64,
    /// The snapshot's digest.
    pub digest: Digest,
    /// The keys it names: they sign the next version.
    pub admin_keys: Vec<String>,
    /// The keys that were pinned when it was accepted: they signed this version, which a key rotation makes other ones.
    #[serde(default)]
    pub signed_under: Vec<String>,
}

impl Seen {
    fn of(signed: &Signed, under: &[VerifyKey]) -> Self {
        let role = admin_key_name(&signed.snapshot.registry);
        Self {
            registry: signed.snapshot.registry.clone(),
            version: signed.snapshot.version,
            digest: signed.digest,
            admin_keys: signed.snapshot.admin_keys.clone(),
            signed_under: under.iter().filter(|key| key.name == role).map(ToString::to_string).collect(),
        }
    }
}

/// Reads, verifies and accepts a registry: what the engine does at open, at each acceptance and at each lease.
///
/// `trust` is pinned at first use only; after that the keys of `last` are. `fetch` gives the bytes of a blob, for the
/// versions between `last` and this one. The `Seen` is what to keep for next time.
///
/// # Errors
/// Those of [`verify`] and [`accept`].
pub fn open(
    snapshot_bytes: &[u8],
    note_bytes: &[u8],
    trust: &[VerifyKey],
    last: Option<&Seen>,
    fetch: impl FnMut(&Digest) -> Option<Vec<u8>>,
) -> Result<(Verified, Seen), RegistryError> {
    let Some(last) = last else {
        let verified = verify(snapshot_bytes, note_bytes, trust)?;
        let seen = Seen::of(&verified.signed, trust);
        // A registry that names keys nobody can read could never be followed.
        verified.signed.admin_keys()?;
        return Ok((verified, seen));
    };
    let text = NoteText::of_note(note_bytes)?;
    if text.registry == last.registry && last.version.checked_add(1) == Some(text.version) {
        // Known to be the next one, so who may sign it is known before anything else is read.
        check_note(note_bytes, &parse_keys(&last.admin_keys)?)?;
    }
    let signed = Signed::read(snapshot_bytes, note_bytes)?;
    let pinned = follow(&signed, last, fetch)?;
    let seen = Seen::of(&signed, &pinned);
    Ok((Verified { signed, pinned }, seen))
}

/// Decides whether a verified snapshot may follow the one seen last; `None`: it is the first.
///
/// It may be verified with whatever keys the caller trusts: that it is signed as its history demands is seen here again.
///
/// # Errors
/// `registry-rollback`: an older version. `registry-fork`: another registry, the same version with other bytes, or a chain
/// that does not lead back to `last` (or whose blobs `fetch` does not have). `registry-signature`: a version of the chain
/// is not signed by a key that the one before it names.
pub fn accept(
    new: &Verified,
    last: Option<&Seen>,
    fetch: impl FnMut(&Digest) -> Option<Vec<u8>>,
) -> Result<Seen, RegistryError> {
    new.signed.admin_keys()?;
    let pinned = match last {
        Some(last) => follow(&new.signed, last, fetch)?,
        None => new.pinned.clone(),
    };
    Ok(Seen::of(&new.signed, &pinned))
}

/// Goes from the new version back to the one last seen, and returns the keys that the new one is signed under.
fn follow(
    new: &Signed,
    last: &Seen,
    mut fetch: impl FnMut(&Digest) -> Option<Vec<u8>>,
) -> Result<Vec<VerifyKey>, RegistryError> {
    let (given, seen) = (new.snapshot.version, last.version);
    if new.snapshot.registry != last.registry {
        let why = format!("it is the registry {}, not {}", new.snapshot.registry, last.registry);
        return Err(RegistryError::Fork { why });
    }
    if given < seen {
        return Err(RegistryError::Rollback { seen, given });
    }
    if given == seen {
        return same_version(new, last);
    }
    new.admin_keys()?;
    if given - seen > CATCH_UP_MAX {
        return Err(RegistryError::Fork {
            why: format!("it is more than catch_up_max = {CATCH_UP_MAX} versions ahead"),
        });
    }
    // One version at a time is held: what signed `newer` is known once the one before it is read.
    let mut newer = new.clone();
    let mut under = None;
    while newer.snapshot.version > seen + 1 {
        let older = before(&newer, &mut fetch)?;
        let keys = older.admin_keys()?;
        newer.is_signed_by(&keys)?;
        under.get_or_insert(keys);
        newer = older;
    }
    let keys = parse_keys(&last.admin_keys)?;
    newer.is_signed_by(&keys)?;
    if newer.previous().map(|previous| previous.snapshot) != Some(last.digest) {
        return Err(RegistryError::Fork { why: format!("version {} does not follow {}", seen + 1, last.digest) });
    }
    Ok(under.unwrap_or(keys))
}

/// The same version must be the same bytes; its note must still be signed, in case it was touched.
fn same_version(new: &Signed, last: &Seen) -> Result<Vec<VerifyKey>, RegistryError> {
    if new.digest != last.digest {
        let why = format!("version {} was {}, and is {} now", last.version, last.digest, new.digest);
        return Err(RegistryError::Fork { why });
    }
    let under = if last.signed_under.is_empty() { &last.admin_keys } else { &last.signed_under };
    let keys = parse_keys(under)?;
    new.is_signed_by(&keys)?;
    Ok(keys)
}

/// The version that `newer` names as the one before it.
fn before(newer: &Signed, fetch: &mut impl FnMut(&Digest) -> Option<Vec<u8>>) -> Result<Signed, RegistryError> {
    let fork = |why: String| RegistryError::Fork { why };
    let previous = newer.previous().ok_or_else(|| fork("it leads back to nothing".to_owned()))?;
    let snapshot = fetch(&previous.snapshot).ok_or_else(|| RegistryError::blob_missing(&previous.snapshot))?;
    let note = fetch(&previous.note).ok_or_else(|| RegistryError::blob_missing(&previous.note))?;
    let older = Signed::read(&snapshot, &note)?;
    let is_before = older.digest == previous.snapshot
        && older.note_digest == previous.note
        && older.snapshot.registry == newer.snapshot.registry
        && older.snapshot.version + 1 == newer.snapshot.version;
    if is_before {
        Ok(older)
    } else {
        Err(fork(format!("version {} does not follow what it names", newer.snapshot.version)))
    }
}

#[cfg(test)]
#[path = "accept_tests.rs"]
mod tests;
