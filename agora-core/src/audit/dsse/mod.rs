//! DSSE: a payload, its type, and signatures over both (DSSE protocol v1.0.0 and envelope v1.0.0, `docs/audit.md`).
//!
//! An envelope of agora has the payload type of in-toto, an Ed25519 signature by the key `<log>/attest`, and one by
//! `<log>/attest-p256` where the installation has that key. Making signatures is elsewhere.

mod envelope;
mod error;
mod open;

pub use envelope::{Envelope, EnvelopeSignature, PAYLOAD_TYPE, pae};
pub use error::DsseError;
pub use open::{AttestKey, Opened};

#[cfg(test)]
mod tests;
