//! Blobs of one process, over a store that outlives it.

use std::path::Path;

use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};
use async_trait::async_trait;

use super::{Chaos, Life};
use crate::fakes::MemoryBlobs;

/// The blobs as one process sees them.
#[derive(Debug, Clone)]
pub struct SimBlobs {
    /// What there is.
    pub blobs: MemoryBlobs,
    /// Whose it is.
    pub life: Life,
    /// What breaks.
    pub chaos: Chaos,
}

impl SimBlobs {
    async fn turn(&self, kind: &'static str, error: impl FnOnce() -> BlobError) -> Result<(), BlobError> {
        self.life.go_on().await;
        if self.chaos.strikes(kind, 4) { Err(error()) } else { Ok(()) }
    }

    async fn write(&self) -> Result<(), BlobError> {
        self.turn("blob-full", || BlobError::NoRoom("No space left on device (os error 28)".to_owned())).await
    }

    async fn read(&self) -> Result<(), BlobError> {
        self.turn("blob-read", || BlobError::Io("Input/output error (os error 5)".to_owned())).await
    }
}

#[async_trait]
impl BlobStore for SimBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        self.write().await?;
        self.blobs.put(bytes).await
    }
    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        self.write().await?;
        self.blobs.put_file(from).await
    }
    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        self.read().await?;
        self.blobs.get(digest).await
    }
    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        self.read().await?;
        self.blobs.export(digest, to).await
    }
    async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.read().await?;
        self.blobs.has(digest).await
    }
    async fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.read().await?;
        self.blobs.keep(digest).await
    }
}
