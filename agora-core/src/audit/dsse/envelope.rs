//! The envelope as data, and what its signatures are over.

use serde::{Deserialize, Serialize};

use crate::canon::{self, CanonError, DEPTH_MAX};

/// The type of the payload of every statement (in-toto Envelope).
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Returns the bytes that are signed: `DSSEv1 <length> <payload type> <length> <payload>`, single spaces, lengths in bytes,
/// decimal (DSSE protocol, "Signature Definition").
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// One signature. Nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeSignature {
    /// The name of the key, as the envelope says. Not signed.
    pub keyid: String,
    /// The signature: 64 bytes for Ed25519, ASN.1 for ECDSA.
    #[serde(with = "base64_text")]
    pub sig: Vec<u8>,
}

/// A payload and signatures over it. In JSON, bytes are standard base64: padded, spare bits zero, no other spelling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// What is signed.
    #[serde(with = "base64_text")]
    pub payload: Vec<u8>,
    /// What it is.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// The signatures, in order.
    pub signatures: Vec<EnvelopeSignature>,
}

impl Envelope {
    /// Makes an unsigned envelope around a statement.
    #[must_use]
    pub fn new(payload: Vec<u8>) -> Self {
        Self { payload, payload_type: PAYLOAD_TYPE.to_owned(), signatures: Vec::new() }
    }

    /// The bytes that a key signs.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        pae(&self.payload_type, &self.payload)
    }

    /// Adds a signature of [`Envelope::signed_bytes`], as a signer gave it. It is not verified.
    pub fn sign(&mut self, keyid: impl Into<String>, sig: Vec<u8>) {
        self.signatures.push(EnvelopeSignature { keyid: keyid.into(), sig });
    }

    /// The canonical bytes, as they are kept and handed out.
    ///
    /// # Errors
    /// [`CanonError`] for a key's name that is not printable ASCII.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CanonError> {
        canon::entry_bytes(self, DEPTH_MAX)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`CanonError`] for bytes that [`Envelope::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CanonError> {
        canon::from_bytes(bytes)
    }
}

/// Bytes as one base64 text.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(|_| de::Error::custom("not standard base64"))
    }
}
