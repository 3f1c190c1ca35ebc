//! Proofs: made from leaves, or as ranges for a store that keeps subtrees; verified from hashes alone.

use std::ops::Range;

use super::{MerkleError, empty_root, node_hash, root};
use crate::id::Hash;

/// Hashes in a proof at most: one a level, of a tree whose size 64 bits count.
pub const PROOF_HASHES_MAX: usize = 64;

/// The largest power of two below `n`, for `n` of 2 and more.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

/// The ranges of leaves whose roots are the inclusion proof of `index` in a tree of `size` leaves, in the proof's order
/// (RFC 6962 §2.1.1). For a store that keeps subtrees; [`inclusion_proof`] is the same over leaves.
///
/// # Errors
/// [`MerkleError::Beyond`] when the tree has no such leaf.
pub fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range<u64>>, MerkleError> {
    if index >= size {
        return Err(MerkleError::Beyond { given: index, size });
    }
    let (mut from, mut to) = (0, size);
    let mut ranges = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
        }
    }
    ranges.reverse();
    Ok(ranges)
}

/// The ranges of leaves whose roots are the consistency proof from `old` to `size` leaves, in the proof's order (RFC 6962
/// §2.1.2). Empty from 0 and to the same size.
///
/// # Errors
/// [`MerkleError::Beyond`] when the old tree is the larger one.
pub fn consistency_ranges(old: u64, size: u64) -> Result<Vec<Range<u64>>, MerkleError> {
    if old > size {
        return Err(MerkleError::Beyond { given: old, size });
    }
    let mut ranges = Vec::new();
    if old == 0 {
        return Ok(ranges);
    }
    // SUBPROOF(m, D[n], b): `whole` is b, whether the range so far is the whole old tree, whose root the other side has.
    let (mut from, mut to, mut whole) = (0, size, true);
    while to > old {
        let middle = from + split(to - from);
        if old <= middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        ranges.push(from..to);
    }
    ranges.reverse();
    Ok(ranges)
}

/// Positions fit a `usize`: a slice has them.
fn roots(leaves: &[Hash], ranges: Vec<Range<u64>>) -> Vec<Hash> {
    ranges.into_iter().map(|range| root(&leaves[range.start as usize..range.end as usize])).collect()
}

/// Returns the proof that the leaf at `index` is in the tree over `leaves`.
///
/// # Errors
/// [`MerkleError::Beyond`] when there is no such leaf.
pub fn inclusion_proof(leaves: &[Hash], index: u64) -> Result<Vec<Hash>, MerkleError> {
    Ok(roots(leaves, inclusion_ranges(index, leaves.len() as u64)?))
}

/// Returns the proof that the tree over `leaves` begins with the tree over the first `old` of them.
///
/// # Errors
/// [`MerkleError::Beyond`] when there are fewer leaves than `old`.
pub fn consistency_proof(leaves: &[Hash], old: u64) -> Result<Vec<Hash>, MerkleError> {
    Ok(roots(leaves, consistency_ranges(old, leaves.len() as u64)?))
}

/// Verifies that `leaf` stands at `index` of the tree of `size` leaves with this root (RFC 9162 §2.1.3.2).
///
/// # Errors
/// [`MerkleError`] for an index beyond the size, a hash too many or too few, or another root.
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::Beyond { given: index, size });
    }
    let length = MerkleError::Length { given: proof.len() };
    let (mut position, mut last) = (index, size - 1);
    let mut node = *leaf;
    for hash in proof {
        if last == 0 {
            return Err(length);
        }
        if position & 1 == 1 || position == last {
            node = node_hash(hash, &node);
            // No sibling on the right: the node moves up unchanged.
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if node == *root { Ok(()) } else { Err(MerkleError::Root) }
}

/// Verifies that the tree of `size` leaves begins with the one of `old_size` (RFC 9162 §2.1.4.2). Every tree begins with
/// the empty one and with itself; both take an empty proof.
///
/// # Errors
/// [`MerkleError`] for an old size beyond the new one, a hash too many or too few, or another root.
pub fn verify_consistency(
    old_size: u64,
    size: u64,
    old_root: &Hash,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), MerkleError> {
    if old_size > size {
        return Err(MerkleError::Beyond { given: old_size, size });
    }
    let length = MerkleError::Length { given: proof.len() };
    if old_size == 0 || old_size == size {
        let want = if old_size == 0 { empty_root() } else { *root };
        return match (proof.is_empty(), *old_root == want) {
            (false, _) => Err(length),
            (true, false) => Err(MerkleError::Root),
            (true, true) => Ok(()),
        };
    }
    let mut path = proof.iter();
    let (mut position, mut last) = (old_size - 1, size - 1);
    let ones = position.trailing_ones();
    position >>= ones;
    last >>= ones;
    // An old tree that is one full subtree is its own first hash.
    let first = if old_size.is_power_of_two() { old_root } else { path.next().ok_or(length)? };
    let (mut old, mut new) = (*first, *first);
    for hash in path {
        if last == 0 {
            return Err(length);
        }
        if position & 1 == 1 || position == last {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
            while position & 1 == 0 && position != 0 {
                position >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, hash);
        }
        position >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if old == *old_root && new == *root { Ok(()) } else { Err(MerkleError::Root) }
}
