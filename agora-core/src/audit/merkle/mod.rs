//! The Merkle tree of RFC 6962 §2.1, with proofs made as there and verified as RFC 9162 §2.1.3.2 and §2.1.4.2 say.
//!
//! A tree is only its leaves or its right edge; where they are stored is the journal's part.

mod error;
mod proof;
mod tree;

pub use error::MerkleError;
pub use proof::{
    PROOF_HASHES_MAX, consistency_proof, consistency_ranges, inclusion_proof, inclusion_ranges, verify_consistency,
    verify_inclusion,
};
pub use tree::{Frontier, empty_root, leaf_hash, node_hash, root};

#[cfg(test)]
mod tests;
