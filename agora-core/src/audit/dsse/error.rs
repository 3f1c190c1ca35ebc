//! Why an envelope is refused.

use crate::error::{Class, Coded};

/// Why an envelope is refused. One code: nothing in it is believed then. `at` counts signatures from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DsseError {
    /// Its payload is something else.
    #[error("the envelope's payload is of another type than {}", super::PAYLOAD_TYPE)]
    PayloadType,
    /// No key that may sign statements made this signature.
    #[error("the envelope's signature {at} verifies with no key of the role attest")]
    Unverified {
        /// Which.
        at: usize,
    },
    /// One key must not count as two.
    #[error("the envelope is signed twice by {name:?}")]
    Twice {
        /// The key's name.
        name: String,
    },
    /// It names another key than the one that made it.
    #[error("the envelope's signature {at} is by {name:?}, and says that it is by another key")]
    KeyId {
        /// Which.
        at: usize,
        /// The name of the key that verifies it.
        name: String,
    },
    /// The signature that every statement has is not there.
    #[error("the envelope has no Ed25519 signature by a key of the role attest")]
    Unsigned,
}

impl Coded for DsseError {
    fn class(&self) -> Class {
        match self {
            Self::PayloadType | Self::Unverified { .. } | Self::Twice { .. } | Self::KeyId { .. } | Self::Unsigned => {
                Class::Operator
            }
        }
    }

    fn code(&self) -> &'static str {
        "statement-signature"
    }

    fn hint(&self) -> Option<String> {
        Some("get the statement again, and the keys of the role attest from their owner".to_owned())
    }
}
