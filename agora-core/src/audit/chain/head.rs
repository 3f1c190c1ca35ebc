//! The end of a journal, which the next entry must fit to.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::audit::merkle::{Frontier, leaf_hash};
use crate::id::Hash;
use crate::time::Time;

/// Returns what entry 0 has as `prev`: SHA-256 of `agora/genesis/v1\n<origin>\n<seed>\n`.
///
/// The origin is the journal's own, `<log>/run/<run>` for a run. The seed is the plan's digest as `run.opened` has it, or
/// `log`. Neither may hold an LF; both are checked where they are read.
#[must_use]
pub fn genesis(origin: &str, seed: &str) -> Hash {
    Hash(Sha256::digest(format!("agora/genesis/v1\n{origin}\n{seed}\n")).into())
}

/// The seed of the log's genesis.
pub const LOG_SEED: &str = "log";

/// The end of a journal: all that the next entry must fit to, and all that a checkpoint signs.
///
/// It is stored with the journal; an append costs O(log n) and reads nothing back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainHead {
    prev: Hash,
    tree: Frontier,
    last_at: Time,
}

impl ChainHead {
    /// The head of an empty journal.
    #[must_use]
    pub fn new(origin: &str, seed: &str) -> Self {
        Self { prev: genesis(origin, seed), tree: Frontier::new(), last_at: Time::default() }
    }

    /// The `seq` of the next entry, which is how many there are.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.tree.size()
    }

    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The `prev` of the next entry: the last leaf, or the genesis hash.
    #[must_use]
    pub fn prev(&self) -> Hash {
        self.prev
    }

    /// The `at` of the next entry when the clock says `now`: never lower than in the entry before.
    #[must_use]
    pub fn at(&self, now: Time) -> Time {
        now.max(self.last_at)
    }

    /// The latest time so far.
    #[must_use]
    pub fn last_at(&self) -> Time {
        self.last_at
    }

    /// The root of the tree over all entries.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The tree's right edge.
    #[must_use]
    pub fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// Takes in an entry's bytes and its `at`, and returns its leaf. The writer made the entry from this head; entries
    /// from elsewhere go through [`ChainCheck`](super::ChainCheck).
    pub fn advance(&mut self, entry: &[u8], at: Time) -> Hash {
        let leaf = leaf_hash(entry);
        self.prev = leaf;
        self.tree.push(leaf);
        self.last_at = self.at(at);
        leaf
    }
}
