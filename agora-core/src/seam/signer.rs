//! Who signs checkpoints and statements.

use async_trait::async_trait;

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signer {name} does not sign: {why}")]
pub struct SignError {
    /// The key's name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// Signs with one Ed25519 key.
///
/// # Contract
/// Signing is deterministic (RFC 8032): the same message gives the same signature, so a crash in between repeats it and
/// changes nothing. The private key never leaves the implementation.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The key's name, as it stands in notes.
    fn name(&self) -> &str;

    /// The 32 bytes of the public key.
    fn public_key(&self) -> [u8; 32];

    /// Signs the message.
    ///
    /// # Errors
    /// [`SignError`] when the key cannot be used.
    async fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}
