//! Verifying an envelope, strictly: every signature in it must be one that was to be there.

use super::{DsseError, Envelope, PAYLOAD_TYPE};
use crate::audit::policy::PublicKey;

/// A key of the role `attest`. When it was good is the caller's to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestKey {
    /// Its name.
    pub name: String,
    /// Its public half.
    pub key: PublicKey,
}

/// An envelope whose signatures were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was signed.
    pub payload: Vec<u8>,
    /// Who signed it, as positions in the list given, in the order of the signatures; at least one is Ed25519.
    pub keys: Vec<usize>,
}

impl Envelope {
    /// Verifies the envelope of a statement with the keys that may sign one. `keyid` is compared with the name of the key
    /// that verified, and chooses none.
    ///
    /// # Errors
    /// [`DsseError`]: another payload type, a signature that none of the keys verifies, one key twice, a `keyid` of another
    /// key, or no Ed25519 signature.
    pub fn open(&self, keys: &[AttestKey]) -> Result<Opened, DsseError> {
        if self.payload_type != PAYLOAD_TYPE {
            return Err(DsseError::PayloadType);
        }
        let message = self.signed_bytes();
        let mut by = Vec::new();
        for (at, signature) in self.signatures.iter().enumerate() {
            let verifying = keys.iter().position(|key| key.key.verifies(&message, &signature.sig));
            let (ix, key) = verifying.and_then(|ix| Some((ix, keys.get(ix)?))).ok_or(DsseError::Unverified { at })?;
            if by.contains(&ix) {
                return Err(DsseError::Twice { name: key.name.clone() });
            }
            if signature.keyid != key.name {
                return Err(DsseError::KeyId { at, name: key.name.clone() });
            }
            by.push(ix);
        }
        let is_ed25519 = |ix: &usize| keys.get(*ix).is_some_and(|key| matches!(key.key, PublicKey::Ed25519(_)));
        if by.iter().any(is_ed25519) {
            Ok(Opened { payload: self.payload.clone(), keys: by })
        } else {
            Err(DsseError::Unsigned)
        }
    }
}
