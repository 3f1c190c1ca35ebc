//! Why a note or a key is refused.

use crate::error::{Class, Coded};

/// Why a note or a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note.
    #[error("not a signed note: {0}")]
    Format(&'static str),
    /// A known key's line does not verify.
    #[error("the signature by {name:?} does not verify")]
    Signature {
        /// The key's name.
        name: String,
    },
    /// Not a verifier key.
    #[error("not a verifier key: {0}")]
    Key(&'static str),
    /// A key under which more than its holder could sign (`docs/audit.md` §5).
    #[error("the public key of {name:?} is weak: of small order, or not below 2^255-19")]
    Weak {
        /// The key's name.
        name: String,
    },
}

impl Coded for NoteError {
    fn class(&self) -> Class {
        match self {
            Self::Format(_) | Self::Signature { .. } | Self::Key(_) | Self::Weak { .. } => Class::Operator,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Format(_) => "note-format",
            Self::Signature { .. } => "note-signature",
            Self::Key(_) => "key-format",
            Self::Weak { .. } => "key-weak",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Format(_) => "use the note's bytes as they were written: LF alone, no editing".to_owned(),
            Self::Signature { name } => {
                format!("compare the text with its source, and the key of {name:?} with the one its owner publishes")
            }
            Self::Key(_) => "write it as NAME+8 HEX DIGITS+BASE64, as the files in trust/ have it".to_owned(),
            Self::Weak { .. } => "make another key: this one proves nothing".to_owned(),
        })
    }
}
