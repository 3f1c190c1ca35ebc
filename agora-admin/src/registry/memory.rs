//! A blob store in memory, for unit tests of this crate: the suite and the fakes of agora-testkit are for `tests/`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};
use async_trait::async_trait;

#[derive(Default)]
pub(crate) struct MemoryBlobs(pub(crate) Mutex<BTreeMap<Digest, Vec<u8>>>);

impl MemoryBlobs {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn remove(&self, digest: &Digest) {
        self.0.lock().unwrap().remove(digest).unwrap();
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        self.0.lock().unwrap().insert(digest, bytes.to_vec());
        Ok(digest)
    }
    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        let bytes = std::fs::read(from).map_err(|error| BlobError::Io(error.to_string()))?;
        Ok((self.put(&bytes).await?, bytes.len() as u64))
    }
    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let bytes = self.0.lock().unwrap().get(digest).cloned().ok_or(BlobError::Missing(*digest))?;
        match Digest::of(&bytes) {
            found if found == *digest => Ok(bytes),
            found => Err(BlobError::Damaged { digest: *digest, found }),
        }
    }
    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        let bytes = self.get(digest).await?;
        std::fs::write(to, &bytes).map_err(|error| BlobError::Io(error.to_string()))?;
        Ok(bytes.len() as u64)
    }
    async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.0.lock().unwrap().contains_key(digest))
    }
}
