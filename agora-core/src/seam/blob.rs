//! Where bytes that never change are kept, named by their SHA-256.

use std::path::Path;

use async_trait::async_trait;

use crate::error::{Class, Coded};
use crate::id::Digest;
use crate::time::Time;

/// Why bytes could not be kept or had.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There are no bytes of this digest. Never used for any other failure.
    #[error("the blob {0} is not in the store")]
    Missing(Digest),
    /// What is there is not what the digest says.
    #[error("the blob {digest} is damaged: its bytes have the digest {found}")]
    Damaged {
        /// The name.
        digest: Digest,
        /// What its bytes give.
        found: Digest,
    },
    /// There is no room.
    #[error("there is no room left for blobs: {0}")]
    NoRoom(String),
    /// Nothing can be written there: a file system that is mounted read-only, or somebody else's folder.
    #[error("blobs cannot be written: {0}")]
    NotWritable(String),
    /// Anything else, as the store says it.
    #[error("the blob store does not answer: {0}")]
    Io(String),
}

impl Coded for BlobError {
    fn class(&self) -> Class {
        match self {
            Self::Missing(_) | Self::Damaged { .. } | Self::NotWritable(_) => Class::Operator,
            Self::NoRoom(_) | Self::Io(_) => Class::Later,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "blob-missing",
            Self::Damaged { .. } => "blob-damaged",
            Self::NoRoom(_) => "disk-full",
            Self::NotWritable(_) => "home-not-writable",
            Self::Io(_) => "blob-io",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing(_) | Self::Damaged { .. } => {
                "restore the folder blobs/ from a backup, then run `agora-admin doctor`".to_owned()
            }
            Self::NoRoom(_) => "free some disk space; what was accepted is kept and goes on".to_owned(),
            Self::NotWritable(_) => {
                "check who owns the home, and that its file system is mounted for writing".to_owned()
            }
            Self::Io(_) => "run `agora-admin doctor`; the call may be repeated".to_owned(),
        })
    }
}

/// Keeps blobs.
///
/// # Contract
/// - **Atomicity**: a blob is whole under its digest or not there; readers never see a part.
/// - **Durability**: when a put returns, the bytes outlive a crash of the machine.
/// - **Idempotency**: putting the same bytes again, also at once from many processes, changes nothing and succeeds.
/// - **Verification**: `get` and `export` hash while they read and never hand out bytes that are not the digest's.
/// - **Removal**: `remove` takes only what nobody has put or kept since the time it is given. Of a removal and a put or keep at
///   once, one sees the other: when a put returns, or a keep says that the blob is there, no removal with an earlier time
///   takes it. A store that removes nothing keeps this too, and need not implement it.
/// - **Cancellation**: a dropped future leaves no blob and at most a temporary file, which nothing reads.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Keeps these bytes and returns their digest.
    ///
    /// # Errors
    /// [`BlobError::NoRoom`], [`BlobError::NotWritable`], [`BlobError::Io`].
    async fn put(&self, bytes: &[u8]) -> Result<Digest, BlobError>;

    /// Keeps the bytes of this file and returns their digest and size.
    ///
    /// # Errors
    /// [`BlobError::NoRoom`], [`BlobError::NotWritable`], [`BlobError::Io`].
    async fn put_file(&self, from: &Path) -> Result<(Digest, u64), BlobError>;

    /// Returns the bytes.
    ///
    /// # Errors
    /// All of [`BlobError`] but `NoRoom` and `NotWritable`.
    async fn get(&self, digest: &Digest) -> Result<Vec<u8>, BlobError>;

    /// Writes the bytes to a new file of mode 0444 and returns their number.
    ///
    /// # Errors
    /// All of [`BlobError`].
    async fn export(&self, digest: &Digest, to: &Path) -> Result<u64, BlobError>;

    /// Says whether a blob of this digest is there, without reading it.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    async fn has(&self, digest: &Digest) -> Result<bool, BlobError>;

    /// Says whether a blob of this digest is there and, if so, counts as a put of it: for who is about to name what somebody
    /// else put.
    ///
    /// # Errors
    /// As [`BlobStore::put`].
    async fn keep(&self, digest: &Digest) -> Result<bool, BlobError> {
        self.has(digest).await
    }

    /// Returns the size in bytes of a blob that [`BlobStore::remove`] with this time would remove.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    async fn unused(&self, digest: &Digest, since: Time) -> Result<Option<u64>, BlobError> {
        let _ = (digest, since);
        Ok(None)
    }

    /// Removes a blob that nobody has put or kept since this time, and returns its size in bytes. `None`: it is not there, or
    /// stays.
    ///
    /// # Errors
    /// [`BlobError::NotWritable`], [`BlobError::Io`].
    ///
    /// # Durability
    /// When it returns, the blob stays gone after a crash of the machine.
    async fn remove(&self, digest: &Digest, since: Time) -> Result<Option<u64>, BlobError> {
        let _ = (digest, since);
        Ok(None)
    }
}
