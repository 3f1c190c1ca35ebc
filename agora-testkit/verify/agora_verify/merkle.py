"""Leaves, roots and proofs (§3; RFC 6962 §2.1, RFC 9162 §2.1.3.2 and §2.1.4.2). Hashes are bytes here."""

import hashlib


def leaf(entry: bytes) -> bytes:
    """Returns SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Returns SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def genesis(origin: str, seed: str) -> bytes:
    """Returns `prev` of entry 0."""
    return hashlib.sha256(f"agora/genesis/v1\n{origin}\n{seed}\n".encode("ascii")).digest()


def root(leaves: list[bytes]) -> bytes:
    """Returns the root over `leaves`; of none, SHA-256 of nothing.

    `edge` holds the roots of full subtrees, largest first: joining equal neighbours, then the rest from the
    right, splits where RFC 6962 does.
    """
    edge: list[tuple[int, bytes]] = []
    for hash_ in leaves:
        size = 1
        while edge and edge[-1][0] == size:
            hash_ = node(edge.pop()[1], hash_)
            size *= 2
        edge.append((size, hash_))
    if not edge:
        return hashlib.sha256(b"").digest()
    result = edge.pop()[1]
    while edge:
        result = node(edge.pop()[1], result)
    return result


def included(leaf_hash: bytes, index: int, size: int, proof: list[bytes], root_hash: bytes) -> bool:
    """Whether `proof` shows that `leaf_hash` is leaf `index` of the tree (RFC 9162 §2.1.3.2)."""
    if index >= size:
        return False
    first, last, result = index, size - 1, leaf_hash
    for hash_ in proof:
        if last == 0:
            return False
        if first & 1 or first == last:
            result = node(hash_, result)
            while not first & 1 and first != 0:
                first, last = first >> 1, last >> 1
        else:
            result = node(result, hash_)
        first, last = first >> 1, last >> 1
    return last == 0 and result == root_hash


def consistent(old_size: int, old_root: bytes, size: int, root_hash: bytes, proof: list[bytes]) -> bool:
    """Whether `proof` leads from the tree of `old_size` to that of `size` (RFC 9162 §2.1.4.2)."""
    if not 0 < old_size < size:
        return False
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    first, last = old_size - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old = new = path[0]
    for hash_ in path[1:]:
        if last == 0:
            return False
        if first & 1 or first == last:
            old, new = node(hash_, old), node(hash_, new)
            while not first & 1 and first != 0:
                first, last = first >> 1, last >> 1
        else:
            new = node(new, hash_)
        first, last = first >> 1, last >> 1
    return last == 0 and (old, new) == (old_root, root_hash)
