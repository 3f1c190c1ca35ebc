//! Blobs in files, so that several processes share them. Atomic by a rename; it need not outlive the machine.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use agora_core::id::Digest;
use agora_core::seam::{BlobError, BlobStore};
use async_trait::async_trait;

/// Blobs below one folder.
#[derive(Debug, Clone)]
pub(crate) struct FileBlobs(PathBuf);

fn failed(error: &std::io::Error) -> BlobError {
    BlobError::Io(error.to_string())
}

impl FileBlobs {
    pub(crate) fn new(folder: &Path) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        Self(folder.to_owned())
    }

    /// The file of a blob.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.0.join(digest.hex())
    }

    fn read(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let bytes = std::fs::read(self.path(digest)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => BlobError::Missing(*digest),
            _ => failed(&error),
        })?;
        let found = Digest::of(&bytes);
        if found == *digest { Ok(bytes) } else { Err(BlobError::Damaged { digest: *digest, found }) }
    }
}

#[async_trait]
impl BlobStore for FileBlobs {
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError> {
        let digest = Digest::of(bytes);
        if !self.path(&digest).exists() {
            let fresh = tempfile::NamedTempFile::new_in(&self.0).map_err(|error| failed(&error))?;
            std::fs::write(fresh.path(), bytes).map_err(|error| failed(&error))?;
            fresh.persist(self.path(&digest)).map_err(|error| failed(&error.error))?;
        }
        Ok(digest)
    }

    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError> {
        let bytes = std::fs::read(from).map_err(|error| failed(&error))?;
        Ok((self.put(&bytes).await?, bytes.len() as u64))
    }

    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        self.read(digest)
    }

    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError> {
        let bytes = self.read(digest)?;
        let file = std::fs::File::options().write(true).create_new(true).mode(0o444).open(to);
        std::io::Write::write_all(&mut file.map_err(|error| failed(&error))?, &bytes)
            .map_err(|error| failed(&error))?;
        Ok(bytes.len() as u64)
    }

    async fn has(&self, digest: &Digest) -> Result<bool, BlobError> {
        Ok(self.path(digest).exists())
    }
}
