//! Why a proof or a tree is refused.

use crate::error::{Class, Coded};

/// Why a proof or a stored edge of a tree is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MerkleError {
    /// An index or a size beyond the tree.
    #[error("{given} is beyond a tree of {size} leaves")]
    Beyond {
        /// The index or smaller size asked for.
        given: u64,
        /// How many leaves there are.
        size: u64,
    },
    /// A hash too many or too few.
    #[error("the proof has {given} hashes, not as many as its tree asks for")]
    Length {
        /// How many hashes there are.
        given: usize,
    },
    /// The proof leads to another root.
    #[error("the proof does not lead to the root")]
    Root,
    /// A right edge with another number of hashes than its size has set bits.
    #[error("a right edge of {given} hashes does not fit a tree of {size} leaves")]
    Edge {
        /// How many hashes there are.
        given: usize,
        /// How many leaves are claimed.
        size: u64,
    },
}

impl Coded for MerkleError {
    fn class(&self) -> Class {
        match self {
            Self::Beyond { .. } => Class::Caller,
            Self::Length { .. } | Self::Root | Self::Edge { .. } => Class::Operator,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Beyond { .. } => "merkle-beyond",
            Self::Length { .. } => "merkle-length",
            Self::Root => "merkle-root",
            Self::Edge { .. } => "merkle-edge",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Beyond { .. } => "ask for a leaf or a size within the tree".to_owned(),
            Self::Length { .. } | Self::Root => {
                "the evidence was changed or belongs to another tree: get it again".to_owned()
            }
            Self::Edge { .. } => "run `agora-admin doctor`: it computes the tree again from the entries".to_owned(),
        })
    }
}
