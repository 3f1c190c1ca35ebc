//! The records of the log of runs: one journal for the installation.

use serde::{Deserialize, Serialize};

use super::opening::RegistryRef;
use super::words::RunOutcome;
use crate::id::{Digest, Enc, Hash, RunId, Word};
use crate::time::Time;

/// A public key, as the log names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Its name.
    pub name: Enc,
    /// Its role.
    pub role: Word,
    /// `ed25519`, or `ecdsa-p256` for a second key of the role `attest`.
    pub alg: Word,
    /// The public key, standard base64.
    pub key: String,
    /// `file`, `passphrase`, `kms`, `offline`.
    pub custody: Word,
}

/// Where an external anchor keeps a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnchorPlace {
    /// The account that owns the bucket.
    pub account: Enc,
    /// The bucket's region.
    pub region: Enc,
    /// The bucket.
    pub bucket: Enc,
    /// The key of the checkpoint's note.
    pub key: Enc,
    /// Its version there.
    pub version_id: Enc,
    /// Nobody can delete it before.
    pub retain_until: Time,
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "body", deny_unknown_fields)]
pub enum LogRecord {
    /// The log exists; only at 0.
    #[serde(rename = "log.opened")]
    LogOpened {
        /// `agora-log/v1`.
        format: Enc,
        /// The keys of the installation.
        keys: Vec<KeyRecord>,
    },
    /// A run was accepted.
    #[serde(rename = "run.opened")]
    RunOpened {
        /// Which.
        run: RunId,
        /// The digest of its plan.
        plan: Digest,
        /// The registry it is bound to.
        registry: RegistryRef,
        /// The leaf of its entry 0.
        first: Hash,
    },
    /// A run is complete; nothing is appended to it any more.
    #[serde(rename = "run.sealed")]
    RunSealed {
        /// Which.
        run: RunId,
        /// The position of its `run.opened` here.
        opened: u64,
        /// How many entries it has.
        size: u64,
        /// The root over them.
        root: Hash,
        /// How it ended.
        outcome: RunOutcome,
    },
    /// A key of the installation is good from here on.
    #[serde(rename = "key.added")]
    KeyAdded(KeyRecord),
    /// A key takes the place of another of its name and role. Both signed the change (`docs/audit.md` §5).
    #[serde(rename = "key.rotated")]
    KeyRotated {
        /// Its name.
        name: Enc,
        /// Its role.
        role: Word,
        /// `ed25519`, or `ecdsa-p256`.
        alg: Word,
        /// The new public key, standard base64.
        key: String,
        /// `file`, `passphrase`, `kms`, `offline`.
        custody: Word,
        /// The public key before it, standard base64.
        old: String,
        /// The signature of the key before it, standard base64.
        sig_old: String,
        /// The signature of the new key, standard base64.
        sig_new: String,
    },
    /// A key is not good any more.
    #[serde(rename = "key.revoked")]
    KeyRevoked {
        /// Its role.
        role: Word,
        /// Its name.
        name: Enc,
        /// The public key, standard base64.
        key: String,
        /// The last position (a registry key: version) at which it is still believed.
        last_good: u64,
        /// Why, in a word.
        reason: Word,
    },
    /// A registry version was accepted.
    #[serde(rename = "registry.accepted")]
    RegistryAccepted {
        /// Its version.
        version: u64,
        /// Its digest.
        digest: Digest,
        /// The digest of its note.
        note: Digest,
    },
    /// A registry version was refused.
    #[serde(rename = "registry.refused")]
    RegistryRefused {
        /// Its version, if it could be read.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        version: Option<u64>,
        /// Its digest, if it could be read.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        digest: Option<Digest>,
        /// The code of the refusal.
        reason: Word,
    },
    /// A checkpoint of this log is kept elsewhere.
    #[serde(rename = "anchor.receipt")]
    AnchorReceipt {
        /// The anchor's name.
        anchor: Enc,
        /// Its kind: `local`, `s3-object-lock`.
        kind: Word,
        /// The size of the log that was anchored.
        size: u64,
        /// Its root.
        root: Hash,
        /// The digest of the checkpoint's note.
        note: Digest,
        /// Where it is, unless it lies beside the store.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        place: Option<AnchorPlace>,
    },
    /// The wall clock leapt against the monotonic one.
    #[serde(rename = "clock.jump")]
    ClockJump {
        /// By how many milliseconds.
        by_ms: u64,
        /// Whether back.
        back: bool,
    },
}

impl LogRecord {
    /// The word in the entry's `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::LogOpened { .. } => "log.opened",
            Self::RunOpened { .. } => "run.opened",
            Self::RunSealed { .. } => "run.sealed",
            Self::KeyAdded(_) => "key.added",
            Self::KeyRotated { .. } => "key.rotated",
            Self::KeyRevoked { .. } => "key.revoked",
            Self::RegistryAccepted { .. } => "registry.accepted",
            Self::RegistryRefused { .. } => "registry.refused",
            Self::AnchorReceipt { .. } => "anchor.receipt",
            Self::ClockJump { .. } => "clock.jump",
        }
    }
}
