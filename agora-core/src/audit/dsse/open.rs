//! Verifying an envelope, strictly: every signature in it must be one that was to be there.

use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};

use super::{DsseError, Envelope, PAYLOAD_TYPE};
use crate::audit::note::is_weak;

/// A public key that may sign statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestPublic {
    /// Ed25519 (RFC 8032): the 32 bytes.
    Ed25519([u8; 32]),
    /// ECDSA over P-256 with SHA-256, ASN.1 signatures: the uncompressed point (SEC 1 §2.3.3).
    P256([u8; 65]),
}

/// A key of the role `attest`. When it was good is the caller's to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestKey {
    /// Its name.
    pub name: String,
    /// Its public half.
    pub key: AttestPublic,
}

impl AttestKey {
    /// Whether these bytes sign the message. Never, under a weak key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            AttestPublic::Ed25519(key) => {
                !is_weak(key) && UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
            }
            AttestPublic::P256(key) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature).is_ok()
            }
        }
    }
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
            let verifying = keys.iter().position(|key| key.verifies(&message, &signature.sig));
            let (ix, key) = verifying.and_then(|ix| Some((ix, keys.get(ix)?))).ok_or(DsseError::Unverified { at })?;
            if by.contains(&ix) {
                return Err(DsseError::Twice { name: key.name.clone() });
            }
            if signature.keyid != key.name {
                return Err(DsseError::KeyId { at, name: key.name.clone() });
            }
            by.push(ix);
        }
        let is_ed25519 = |ix: &usize| keys.get(*ix).is_some_and(|key| matches!(key.key, AttestPublic::Ed25519(_)));
        if by.iter().any(is_ed25519) {
            Ok(Opened { payload: self.payload.clone(), keys: by })
        } else {
            Err(DsseError::Unsigned)
        }
    }
}
