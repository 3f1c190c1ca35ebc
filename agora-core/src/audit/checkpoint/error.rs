//! Why a checkpoint is refused.

use crate::error::{Class, Coded};

/// Why a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not the note of a checkpoint.
    #[error("not a checkpoint: {0}")]
    Format(&'static str),
    /// Of another journal.
    #[error("the checkpoint is of another origin than {want:?}")]
    Origin {
        /// The origin it should have.
        want: String,
    },
    /// Of another number of entries.
    #[error("the checkpoint is of {given} entries, there are {want}")]
    Size {
        /// What it says.
        given: u64,
        /// How many there are.
        want: u64,
    },
    /// Of other entries.
    #[error("the checkpoint has another root than the entries")]
    Root,
    /// A line of a known key of the role does not verify.
    #[error("the checkpoint's signature by {name:?} does not verify")]
    Signature {
        /// The key's name.
        name: String,
    },
    /// A key of the role is weak.
    #[error("the checkpoint is signed by {name:?} with a weak key")]
    Weak {
        /// The key's name.
        name: String,
    },
    /// Signed by a known key, but one of another role.
    #[error("the checkpoint is signed by {name:?}, a key of another role")]
    Role {
        /// The key's name.
        name: String,
    },
    /// Signed under the role's name by a key that is not known.
    #[error("the checkpoint is signed under {name:?} by a key that is not known")]
    Unknown {
        /// The key's name.
        name: String,
    },
    /// Not signed by the role at all.
    #[error("the checkpoint is not signed by {name:?}")]
    Unsigned {
        /// The role's key name.
        name: String,
    },
}

impl Coded for CheckpointError {
    fn class(&self) -> Class {
        match self {
            Self::Format(_)
            | Self::Origin { .. }
            | Self::Size { .. }
            | Self::Root
            | Self::Signature { .. }
            | Self::Weak { .. }
            | Self::Role { .. }
            | Self::Unknown { .. }
            | Self::Unsigned { .. } => Class::Operator,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Format(_) => "checkpoint-format",
            Self::Origin { .. } => "checkpoint-origin",
            Self::Size { .. } => "checkpoint-size",
            Self::Root => "checkpoint-root",
            Self::Signature { .. } => "checkpoint-signature",
            Self::Weak { .. } => "key-weak",
            Self::Role { .. } => "key-role",
            Self::Unknown { .. } => "key-unknown",
            Self::Unsigned { .. } => "checkpoint-unsigned",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Format(_) => "use the checkpoint's bytes as they were written: LF alone, no editing".to_owned(),
            Self::Origin { want } => format!("get the checkpoint of {want:?}"),
            Self::Size { .. } | Self::Root => {
                "the entries or the checkpoint were changed, or belong to different exports: get both again".to_owned()
            }
            Self::Signature { name } | Self::Weak { name } => {
                format!("compare the key of {name:?} with the one its owner publishes; the text may have been changed")
            }
            Self::Role { .. } => "a key signs for its own role alone: get the checkpoint again".to_owned(),
            Self::Unknown { name } => format!("if {name:?} has a new key, add it to the trust policy from its owner"),
            Self::Unsigned { name } => format!("get a checkpoint that {name:?} has signed"),
        })
    }
}
