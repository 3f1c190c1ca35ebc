//! The four kinds of entry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Class, Coded, nearest};

/// What an entry of the registry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A named tree of files laid over the workspace.
    Capability,
    /// Who works.
    Subagent,
    /// Variables, and references to secrets.
    Env,
    /// The blocks of one attempt.
    Pipeline,
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::Capability, Self::Subagent, Self::Env, Self::Pipeline];

    /// The word that snapshots, records and documents use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capability => "capability",
            Self::Subagent => "subagent",
            Self::Env => "env",
            Self::Pipeline => "pipeline",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no kind of entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no kind of registry entry")]
pub struct UnknownKind {
    /// What was given, cut to 80 characters.
    pub given: String,
}

impl Coded for UnknownKind {
    fn class(&self) -> Class {
        Class::Operator
    }
    fn code(&self) -> &'static str {
        "kind-unknown"
    }
    fn hint(&self) -> Option<String> {
        let known = Kind::ALL.iter().map(|k| k.as_str());
        Some(match nearest(&self.given, known.clone()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("one of {}", known.collect::<Vec<_>>().join(", ")),
        })
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        let unknown = || UnknownKind { given: text.chars().take(80).collect() };
        Self::ALL.iter().copied().find(|k| k.as_str() == text).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_word_and_no_other_word_is() {
        for kind in Kind::ALL {
            assert_eq!(kind.as_str().parse::<Kind>(), Ok(*kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!("pipelin".parse::<Kind>().unwrap_err().hint().as_deref(), Some("did you mean \"pipeline\"?"));
    }
}
