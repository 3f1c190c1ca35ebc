//! A public key of either algorithm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use crate::audit::note::{is_weak, key_id};

/// The words of the algorithms.
pub(super) const ALGORITHMS: [&str; 2] = ["ed25519", "ecdsa-p256"];
/// The algorithm byte of ECDSA in C2SP key ids.
const ECDSA_BYTE: u8 = 2;
/// The first byte of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 4;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublicKey {
    /// Ed25519: the 32 bytes of RFC 8032.
    Ed25519([u8; 32]),
    /// ECDSA over P-256: the uncompressed point of 65 bytes (SEC 1 §2.3.3). Signatures are over SHA-256, in ASN.1.
    P256([u8; 65]),
}

impl PublicKey {
    /// The word of the algorithm in records and policies.
    #[must_use]
    pub fn alg(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ed25519",
            Self::P256(_) => "ecdsa-p256",
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Ed25519(bytes) => bytes,
            Self::P256(bytes) => bytes,
        }
    }

    /// The bytes in standard base64.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(self.bytes())
    }

    /// Reads a key as records and policies have it.
    ///
    /// # Errors
    /// What is wrong, in words: another algorithm, no base64, another length, a compressed point. A weak key is read;
    /// [`PublicKey::is_weak`] tells.
    pub fn parse(alg: &str, base64: &str) -> Result<Self, String> {
        let bytes = || STANDARD.decode(base64).map_err(|_| "the key is not standard base64".to_owned());
        match alg {
            "ed25519" => {
                let bytes = bytes()?.try_into().map_err(|_| "a key of ed25519 has 32 bytes".to_owned())?;
                Ok(Self::Ed25519(bytes))
            }
            "ecdsa-p256" => {
                let point: [u8; 65] = bytes()?.try_into().map_err(|_| "a key of ecdsa-p256 has 65 bytes".to_owned())?;
                if point[0] != UNCOMPRESSED {
                    return Err("a key of ecdsa-p256 is an uncompressed point".to_owned());
                }
                Ok(Self::P256(point))
            }
            other => {
                let other: String = other.chars().take(40).collect();
                Err(format!("the algorithm {other:?} is not known: {} are", ALGORITHMS.join(", ")))
            }
        }
    }

    /// The key id under a name, as notes have it. For P-256, which signs no notes, it is made alike with C2SP's byte of
    /// ECDSA: a short name for people.
    #[must_use]
    pub fn id(&self, name: &str) -> [u8; 4] {
        match self {
            Self::Ed25519(bytes) => key_id(name, bytes),
            Self::P256(bytes) => {
                let text = Sha256::new().chain_update(name).chain_update([b'\n', ECDSA_BYTE]);
                let hash = text.chain_update(bytes).finalize();
                [hash[0], hash[1], hash[2], hash[3]]
            }
        }
    }

    /// [`PublicKey::id`] as 8 lower-case hex digits.
    #[must_use]
    pub fn id_hex(&self, name: &str) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id(name)))
    }

    /// Whether the key proves nothing (see [`is_weak`]).
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match self {
            Self::Ed25519(bytes) => is_weak(bytes),
            Self::P256(_) => false,
        }
    }

    /// Whether these bytes sign the message. Never, under a weak key or a point that is not on the curve.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            _ if self.is_weak() => false,
            Self::Ed25519(bytes) => UnparsedPublicKey::new(&ED25519, bytes).verify(message, signature).is_ok(),
            Self::P256(bytes) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes).verify(message, signature).is_ok()
            }
        }
    }
}
