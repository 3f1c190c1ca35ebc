//! Why a record about keys is not believed.

use crate::error::{Class, Coded};

/// Why a record about keys is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The change is not one that the keys in force allow.
    #[error("entry {seq} of the log changes no key: {why}")]
    Change {
        /// The entry's position.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// A key under which more than its holder could sign.
    #[error("entry {seq} of the log names a weak key under {name:?}")]
    Weak {
        /// The entry's position.
        seq: u64,
        /// The key's name.
        name: String,
    },
}

impl Coded for HistoryError {
    fn class(&self) -> Class {
        match self {
            Self::Change { .. } | Self::Weak { .. } => Class::Operator,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Change { .. } => "key-rotation",
            Self::Weak { .. } => "key-weak",
        }
    }

    fn hint(&self) -> Option<String> {
        Some("the log was changed, or somebody else wrote to it: run `agora-admin doctor`".to_owned())
    }
}
