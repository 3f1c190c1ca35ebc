//! What is in a bundle. Members are declared in the order of their names, which is that of their bytes.

use serde::{Deserialize, Serialize};

use super::B64;
use crate::audit::dsse::Envelope;
use crate::id::{Digest, Enc, Hash, RunId, Word};

/// The `format` of every bundle.
pub const BUNDLE_FORMAT: &str = "agora-bundle/v1";

/// What a bundle is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// One run.
    #[serde(rename = "run")]
    Run,
    /// The log of runs.
    #[serde(rename = "log")]
    Log,
}

/// The bundle of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBundle {
    /// Log checkpoints that were kept elsewhere, ascending by size.
    pub anchors: Vec<Anchored>,
    /// Bytes that entries name, ascending by digest.
    pub artifacts: Vec<ArtifactPart>,
    /// The run's checkpoint, a note.
    pub checkpoint: B64,
    /// The run's entries, in order.
    pub entries: Vec<String>,
    /// Exactly the keys that signed something here, ascending by name and key.
    pub keys: Vec<BundleKey>,
    /// Its place in the log.
    pub log: LogPart,
    /// What this is.
    pub manifest: RunManifest,
    /// The registry that it is bound to.
    pub registry: RegistryPart,
    /// The signed statements, by position of their `item.done`.
    pub statements: Vec<Envelope>,
}

/// The bundle of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogBundle {
    /// Log checkpoints that were kept elsewhere, ascending by size.
    pub anchors: Vec<Anchored>,
    /// Exactly the keys that signed something here, ascending by name and key.
    pub keys: Vec<BundleKey>,
    /// The log.
    pub log: WholeLog,
    /// What this is.
    pub manifest: LogManifest,
}

/// What a bundle of a run says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunManifest {
    /// How many artifacts there are.
    pub artifacts: u64,
    /// How many entries the run has.
    pub entries: u64,
    /// [`BUNDLE_FORMAT`].
    pub format: String,
    /// [`Kind::Run`].
    pub kind: Kind,
    /// The log's origin.
    pub origin: Enc,
    /// The run.
    pub run: RunId,
    /// Whether it is sealed.
    pub sealed: bool,
    /// How many statements there are.
    pub statements: u64,
}

/// What a bundle of the log says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogManifest {
    /// [`BUNDLE_FORMAT`].
    pub format: String,
    /// [`Kind::Log`].
    pub kind: Kind,
    /// The log's origin.
    pub origin: Enc,
}

/// A run's place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPart {
    /// The log checkpoint, note B.
    pub checkpoint: B64,
    /// Proofs that B continues smaller checkpoints, ascending by their sizes.
    pub consistency: Vec<FromSize>,
    /// All entries of the log below the size of B, with `--log`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entries: Option<Vec<String>>,
    /// The run's `run.opened`.
    pub opened: InLog,
    /// Its `run.sealed`, once it is sealed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sealed: Option<InLog>,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeLog {
    /// The log checkpoint, note B.
    pub checkpoint: B64,
    /// Proofs that B continues smaller checkpoints, ascending by their sizes.
    pub consistency: Vec<FromSize>,
    /// All entries below the size of B.
    pub entries: Vec<String>,
}

/// A proof that the log checkpoint continues a smaller one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromSize {
    /// The size of the smaller one.
    pub from: u64,
    /// The hashes (RFC 6962 §2.1.2).
    pub proof: Vec<Hash>,
}

/// An entry of the log, and the proof that it is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InLog {
    /// The entry's exact bytes.
    pub entry: String,
    /// The hashes (RFC 6962 §2.1.1).
    pub proof: Vec<Hash>,
}

/// A log checkpoint that was kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchored {
    /// Note A.
    pub checkpoint: B64,
    /// Its `anchor.receipt`.
    pub entry: String,
    /// That the receipt is in the log.
    pub proof: Vec<Hash>,
}

/// The registry that a run is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryPart {
    /// The signed note.
    pub note: B64,
    /// The snapshot's bytes.
    pub snapshot: B64,
}

/// Bytes that an entry names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactPart {
    /// The bytes.
    pub data: B64,
    /// Their digest.
    pub digest: Digest,
}

/// A public key, as a bundle has it: believed only where no policy is given, and then all is self-asserted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleKey {
    /// `ed25519`, `ecdsa-p256`.
    pub alg: Word,
    /// The public key, base64.
    pub key: String,
    /// Its name.
    pub name: Enc,
    /// Its role.
    pub role: Word,
}
