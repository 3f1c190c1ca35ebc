//! What a key may sign, and under which name.

use super::PublicKey;
use crate::registry::note::admin_key_name;

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyRole {
    /// Checkpoints of the log of runs. It speaks at the log's size less one.
    Log,
    /// Checkpoints of runs. It speaks at the position of the run's seal in the log.
    Run,
    /// Statements about accepted items. It speaks where the role `run` does.
    Attest,
    /// Snapshots of the registry. It speaks at the snapshot's version.
    RegistryAdmin,
}

impl KeyRole {
    /// All of them, in the order that people are shown.
    pub const ALL: [Self; 4] = [Self::Log, Self::Run, Self::Attest, Self::RegistryAdmin];

    /// The word that records and policies use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Run => "run",
            Self::Attest => "attest",
            Self::RegistryAdmin => "registry-admin",
        }
    }

    /// Reads the word; `None` for any other.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Says what is wrong with a key under this name in this role of the installation `log`; `None` when it fits.
    #[must_use]
    pub fn misfit(self, log: &str, name: &str, key: &PublicKey) -> Option<String> {
        let want = match (self, key) {
            (Self::Log, PublicKey::Ed25519(_)) => log.to_owned(),
            (Self::Run, PublicKey::Ed25519(_)) => format!("{log}/run"),
            (Self::Attest, PublicKey::Ed25519(_)) => format!("{log}/attest"),
            (Self::Attest, PublicKey::P256(_)) => format!("{log}/attest-p256"),
            (Self::RegistryAdmin, PublicKey::Ed25519(_)) => {
                let prefix = admin_key_name("");
                let good = name.strip_prefix(&prefix).is_some_and(|id| !id.is_empty());
                return (!good).then(|| format!("a key of the role {} is named {prefix}ID", self.as_str()));
            }
            (Self::Log | Self::Run | Self::RegistryAdmin, PublicKey::P256(_)) => {
                return Some(format!("a key of the role {} is of the algorithm ed25519", self.as_str()));
            }
        };
        (name != want).then(|| format!("a key of the role {} with {} is named {want:?}", self.as_str(), key.alg()))
    }
}

/// Returns the text that the old and the new key sign when one takes the place of the other: `seq` is the position of
/// `key.rotated` in the log, `old` and `new` are the public keys in base64.
#[must_use]
pub fn rotation_text(log: &str, role: KeyRole, seq: u64, old_b64: &str, new_b64: &str) -> String {
    format!("agora/key-rotation/v1\n{log}\n{}\n{seq}\n{old_b64}\n{new_b64}\n", role.as_str())
}
