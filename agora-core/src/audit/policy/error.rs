//! Why a policy is refused, and why a key does not speak.

use crate::error::{Class, Coded};

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not a policy of this version, or one that says what nobody knows.
    #[error("the trust policy cannot be used: {what}")]
    Unreadable {
        /// The line, or the file.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// A key under which more than its holder could sign.
    #[error("the trust policy has a weak key under {name:?}: of small order, or not below 2^255-19")]
    Weak {
        /// The line.
        at: String,
        /// The key's name.
        name: String,
    },
}

impl Coded for PolicyError {
    fn class(&self) -> Class {
        match self {
            Self::Unreadable { .. } | Self::Weak { .. } => Class::Operator,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "policy-unreadable",
            Self::Weak { .. } => "key-weak",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => "`agora-admin key trust-export` writes a policy that can be read".to_owned(),
            Self::Weak { .. } => "get the key from its owner again: this one proves nothing".to_owned(),
        })
    }

    fn at(&self) -> Option<String> {
        match self {
            Self::Unreadable { at, .. } | Self::Weak { at, .. } => Some(at.clone()),
        }
    }
}

/// Why a key does not speak at an index of the log (a key of the registry: at a version).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Window {
    /// Before the key was good, or after it was replaced.
    #[error("the key signs at {index} and is good from {from}{}", no_longer(.until))]
    Outside {
        /// Where it signs.
        index: u64,
        /// Good from here on.
        from: u64,
        /// No longer at this one.
        until: Option<u64>,
    },
    /// After the last one before the key was compromised.
    #[error("the key signs at {index} and was revoked, {last_good} being its last good one")]
    Revoked {
        /// Where it signs.
        index: u64,
        /// The last good one.
        last_good: u64,
    },
}

fn no_longer(until: &Option<u64>) -> String {
    until.map_or_else(String::new, |until| format!(" and no longer at {until}"))
}

impl Coded for Window {
    fn class(&self) -> Class {
        match self {
            Self::Outside { .. } | Self::Revoked { .. } => Class::Operator,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Outside { .. } => "key-window",
            Self::Revoked { .. } => "key-revoked",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Outside { .. } => {
                "if the key was rotated, get the present keys from their owner; else somebody signed with an old one"
                    .to_owned()
            }
            Self::Revoked { .. } => {
                "believe nothing that this key signed since, unless it was kept elsewhere".to_owned()
            }
        })
    }
}
