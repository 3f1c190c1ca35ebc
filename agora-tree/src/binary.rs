//! The binary content of patches: inflating under a limit, and git's delta (git, Documentation/gitformat-pack, "Deltified
//! representation").

use agora_core::patch::{BinaryHunk, BinaryKind};
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;

/// The largest content that a binary change may give, in bytes: a few kilobytes of patch can claim any size.
pub(crate) const BINARY_BYTES_MAX: usize = 256 << 20;

/// Returns the content that a binary change gives, or what is wrong with it.
pub(crate) fn content(hunk: &BinaryHunk<'_>, old: &[u8]) -> Result<Vec<u8>, &'static str> {
    let size = usize::try_from(hunk.size_bytes).unwrap_or(usize::MAX);
    if size > BINARY_BYTES_MAX {
        return Err("its binary content is over 256 MiB");
    }
    // Inflating stops at the size that the patch itself claims.
    let inflated =
        decompress_to_vec_zlib_with_limit(&hunk.deflated(), size).map_err(|_| "its binary content is damaged")?;
    if inflated.len() != size {
        return Err("its binary content has another size than it says");
    }
    match hunk.kind {
        BinaryKind::Literal => Ok(inflated),
        BinaryKind::Delta => delta(&inflated, old).ok_or("its binary delta does not fit"),
    }
}

fn varint(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= usize::from(byte & 0x7F).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn delta(delta: &[u8], old: &[u8]) -> Option<Vec<u8>> {
    let mut rest = delta;
    let (from, to) = (varint(&mut rest)?, varint(&mut rest)?);
    if from != old.len() || to > BINARY_BYTES_MAX {
        return None;
    }
    let mut out = Vec::with_capacity(to.min(1 << 20));
    while let Some((op, after)) = rest.split_first() {
        rest = after;
        let piece = if op & 0x80 != 0 {
            let mut field = |bits: std::ops::Range<u8>| {
                let mut value = 0usize;
                for (at, bit) in bits.enumerate() {
                    if op & (1 << bit) != 0 {
                        let (byte, after) = rest.split_first()?;
                        rest = after;
                        value |= usize::from(*byte) << (8 * at);
                    }
                }
                Some(value)
            };
            let (offset, size) = (field(0..4)?, field(4..7)?);
            let size = if size == 0 { 0x1_0000 } else { size };
            old.get(offset..offset.checked_add(size)?)?
        } else {
            // An op of zero is reserved.
            let (piece, after) = (*op > 0).then(|| rest.split_at_checked(usize::from(*op)))??;
            rest = after;
            piece
        };
        if out.len() + piece.len() > to {
            return None;
        }
        out.extend_from_slice(piece);
    }
    (out.len() == to).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_copy_and_insert_and_no_more_than_they_say() {
        let old = b"0123456789";
        assert_eq!(delta(&[10, 5, 0x91, 2, 3, 2, b'x', b'y'], old), Some(b"234xy".to_vec()));
        for bad in [
            &[9, 5, 0x91, 2, 3, 2, b'x', b'y'][..],
            &[10, 4, 0x91, 2, 3, 2, b'x', b'y'],
            &[10, 6, 0x91, 2, 3, 2, b'x', b'y'],
            &[10, 3, 0x91, 8, 3],
            &[10, 5, 0x91, 2],
            &[10, 1, 0],
            &[10, 3, 3, b'x'],
            &[0xFF; 12],
            &[],
        ] {
            assert_eq!(delta(bad, old), None, "{bad:?}");
        }
    }
}
