//! What is in a backup, and in which order: [`FORMAT_FILE`], the files of the home, its blobs, [`MANIFEST_FILE`].

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use agora_core::id::Digest;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The first member: [`FORMAT`] and a line's end.
pub(super) const FORMAT_FILE: &str = "FORMAT";
/// What this version writes and reads.
pub(super) const FORMAT: &str = "agora-backup/v1";
/// The last member.
pub(super) const MANIFEST_FILE: &str = "manifest.json";
/// The longest first and last member, in bytes: a home has a dozen files beside its blobs.
pub(super) const TEXT_BYTES_MAX: u64 = 1 << 20;
/// The files of a home that are in a backup, beside its keys and blobs.
pub(super) const FILES: [&str; 3] = ["agora.toml", "registry/snapshot.json", "registry/snapshot.note"];
/// The store; a copy of it, without a write-ahead log.
pub(super) const STORE: &str = "store.db";
/// The folders whose files are in it.
pub(super) const FOLDERS: [&str; 2] = ["trust", "keys"];
/// Where blobs lie.
pub(super) const BLOBS: &str = "blobs/sha256";
/// The longest name in them: with its folder it fits into a member's header, so that no member needs an extension.
const KEY_NAME_BYTES_MAX: usize = 90;
const CHUNK_BYTES: usize = 128 * 1024;

/// One file, as it was when it was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fact {
    pub(super) digest: Digest,
    pub(super) size_bytes: u64,
}

/// What a backup holds, written last. Members that a later version adds are not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version that made it.
    pub(super) agora: String,
    /// The origin of the home's log.
    pub(super) origin: String,
    /// When it was begun.
    pub(super) made: String,
    /// Whether the private keys are in it.
    pub(super) keys: bool,
    /// Every file but the blobs, whose names are their digests.
    pub(super) files: BTreeMap<String, Fact>,
    /// How many blobs follow.
    pub(super) blobs: u64,
    /// Their bytes.
    pub(super) blob_bytes: u64,
}

/// Whether a name may stand in `trust/` or `keys/`.
pub(super) fn is_key_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte);
    !name.is_empty() && name.len() <= KEY_NAME_BYTES_MAX && !name.starts_with('.') && name.bytes().all(plain)
}

/// The blob that a member or a file below `blobs/sha256` is.
pub(super) fn blob_at(folder: &str, name: &str) -> Option<Digest> {
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    if hex(folder, 2) && hex(name, 62) { Digest::from_hex(&format!("{folder}{name}")).ok() } else { None }
}

/// What a member is. Whatever else an archive holds is no part of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Member {
    /// A file, named in the manifest.
    File,
    /// A blob.
    Blob(Digest),
}

impl Member {
    pub(super) fn of(path: &str) -> Option<Self> {
        if FILES.contains(&path) || path == STORE {
            return Some(Self::File);
        }
        match path.split('/').collect::<Vec<_>>().as_slice() {
            [folder, name] if FOLDERS.contains(folder) && is_key_name(name) => Some(Self::File),
            ["blobs", "sha256", folder, name] => blob_at(folder, name).map(Self::Blob),
            _ => None,
        }
    }
}

/// Copies and hashes in one pass.
pub(super) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<Fact> {
    let (mut hash, mut size_bytes, mut chunk) = (Sha256::new(), 0_u64, vec![0; CHUNK_BYTES]);
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return Ok(Fact { digest: Digest(hash.finalize().into()), size_bytes }),
            Ok(count) => {
                hash.update(&chunk[..count]);
                to.write_all(&chunk[..count])?;
                size_bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parts_of_a_home_are_members() {
        let blob = format!("blobs/sha256/ab/{}", "0".repeat(62));
        let longest = format!("trust/{}", "k".repeat(KEY_NAME_BYTES_MAX));
        for path in ["agora.toml", "store.db", "registry/snapshot.note", "keys/log.key", "trust/run.vkey", &longest] {
            assert_eq!(Member::of(path), Some(Member::File), "{path}");
        }
        assert!(matches!(Member::of(&blob), Some(Member::Blob(_))));
        for path in [
            "",
            "/etc/passwd",
            "../x",
            "keys/../x",
            "keys/.x",
            "keys/",
            "keys/a/b",
            "store.db-wal",
            "driver.lock",
            "registry/lock",
            "blobs/sha256/ab/cd",
            "blobs/sha256/AB/x",
            "./store.db",
            "manifest.json",
            &format!("keys/{}", "k".repeat(KEY_NAME_BYTES_MAX + 1)),
        ] {
            assert_eq!(Member::of(path), None, "{path}");
        }
        assert_eq!(Member::of(&blob.replace("ab/0", "AB/0")), None);
    }
}
