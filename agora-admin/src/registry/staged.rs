//! Bytes that will be blobs once a new version is published, and not before.

use std::collections::BTreeMap;

use agora_core::error::{Class, Problem};
use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};

/// The most bytes one deploy may bring, all artifacts together: they are held in memory until everything was checked, so
/// that a refused deploy leaves nothing behind.
pub const STAGED_BYTES_MAX: u64 = 512 << 20;

/// Bytes by their digest, each once.
#[derive(Debug, Clone, Default)]
pub struct Staged {
    blobs: BTreeMap<Digest, Vec<u8>>,
    bytes: u64,
}

impl Staged {
    /// Holds these bytes and returns their digest.
    ///
    /// # Errors
    /// `limit-exceeded` beyond [`STAGED_BYTES_MAX`].
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<Digest, Problem> {
        let digest = Digest::of(&bytes);
        let size_bytes = bytes.len() as u64;
        if self.blobs.contains_key(&digest) {
            return Ok(digest);
        }
        if self.bytes.saturating_add(size_bytes) > STAGED_BYTES_MAX {
            let message = format!("the deploy brings more than staged_bytes_max = {STAGED_BYTES_MAX} bytes");
            return Err(Problem::new(Class::Operator, "limit-exceeded", message).hint("deploy it in several documents"));
        }
        self.bytes += size_bytes;
        self.blobs.insert(digest, bytes);
        Ok(digest)
    }

    /// The bytes, if they are held here.
    #[must_use]
    pub fn get(&self, digest: &Digest) -> Option<&[u8]> {
        self.blobs.get(digest).map(Vec::as_slice)
    }

    /// How many blobs are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.blobs.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty()
    }

    /// Puts all of it into the store.
    pub(super) async fn store(&self, blobs: &dyn BlobStore) -> Result<(), BlobError> {
        for bytes in self.blobs.values() {
            blobs.put(bytes).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_held_once() {
        let mut staged = Staged::default();
        let one = staged.add(b"one".to_vec()).unwrap();
        assert_eq!(staged.add(b"one".to_vec()).unwrap(), one);
        staged.add(b"two".to_vec()).unwrap();
        assert_eq!((staged.len(), staged.get(&one)), (2, Some(b"one".as_slice())));
        assert!(staged.get(&Digest::of(b"three")).is_none());
    }

    #[test]
    fn the_bound_holds_for_all_together() {
        let mut staged = Staged { bytes: STAGED_BYTES_MAX - 3, ..Staged::default() };
        staged.add(b"123".to_vec()).unwrap();
        assert_eq!(staged.add(b"4".to_vec()).unwrap_err().code, "limit-exceeded");
    }
}
