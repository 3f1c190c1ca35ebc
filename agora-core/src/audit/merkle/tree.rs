//! Hashes, the right edge that grows, and roots.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::MerkleError;
use crate::id::Hash;

/// Returns the root of the empty tree, SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest(b"").into())
}

/// Returns SHA-256(0x00 ‖ entry).
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// Returns SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The right edge of a growing tree: the roots of its full subtrees, one for each set bit of the size, the largest first.
///
/// An append hashes at most log₂ n nodes, fewer than two on average, and reads nothing back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Frontier {
    size: u64,
    edge: Vec<Hash>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    edge: Vec<Hash>,
    size: u64,
}

impl Frontier {
    /// The empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes up a tree from its size and stored edge, largest subtree first.
    ///
    /// # Errors
    /// [`MerkleError::Edge`] when there is not one hash per set bit of the size.
    pub fn from_edge(size: u64, edge: Vec<Hash>) -> Result<Self, MerkleError> {
        if edge.len() == size.count_ones() as usize {
            Ok(Self { size, edge })
        } else {
            Err(MerkleError::Edge { given: edge.len(), size })
        }
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.edge.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.edge.push(node);
        self.size += 1;
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the full subtrees, the largest first.
    #[must_use]
    pub fn edge(&self) -> &[Hash] {
        &self.edge
    }

    /// The root of the tree so far.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.edge.iter().rev().copied();
        let Some(last) = from_right.next() else { return empty_root() };
        from_right.fold(last, |right, left| node_hash(&left, &right))
    }
}

impl TryFrom<Stored> for Frontier {
    type Error = MerkleError;
    fn try_from(stored: Stored) -> Result<Self, MerkleError> {
        Self::from_edge(stored.size, stored.edge)
    }
}

impl From<Frontier> for Stored {
    fn from(frontier: Frontier) -> Self {
        Self { edge: frontier.edge, size: frontier.size }
    }
}

impl FromIterator<Hash> for Frontier {
    fn from_iter<I: IntoIterator<Item = Hash>>(leaves: I) -> Self {
        let mut frontier = Self::new();
        for leaf in leaves {
            frontier.push(leaf);
        }
        frontier
    }
}

/// Returns the root over these leaves; of a range of a tree's leaves, the root of that subtree.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    leaves.iter().copied().collect::<Frontier>().root()
}
