//! One writer at a time: an OS lock on `registry/lock`. When its holder dies, the system frees it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agora_core::error::{Class, Coded};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::disk::{self, WriteError};

/// How long a writer waits for another: a deploy of the largest size is done in less.
pub const LOCK_WAIT: Duration = Duration::from_secs(30);
/// How often it asks. flock has no deadline of its own, and a blocked thread could not be called off.
const LOCK_RETRY: Duration = Duration::from_millis(20);
const LOCK_FILE: &str = "lock";

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another writer has it.
    #[error("another agora-admin is changing the registry, for {} seconds now", .0.as_secs())]
    Busy(Duration),
    /// The lock's file cannot be had.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Coded for LockError {
    fn class(&self) -> Class {
        match self {
            Self::Busy(_) => Class::Later,
            Self::Write(error) => error.class(),
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Busy(_) => "registry-busy",
            Self::Write(error) => error.code(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Busy(_) => Some("try again; nothing was changed".to_owned()),
            Self::Write(error) => error.hint(),
        }
    }
    fn at(&self) -> Option<String> {
        match self {
            Self::Busy(_) => None,
            Self::Write(error) => error.at(),
        }
    }
}

/// The right to change the registry, given back when dropped.
#[derive(Debug)]
pub struct RegistryLock {
    folder: PathBuf,
    _file: File,
}

impl RegistryLock {
    /// Takes the lock, waiting for another writer at most `wait`, and sweeps what a crash left.
    ///
    /// # Errors
    /// [`LockError`].
    ///
    /// # Cancellation
    /// A dropped future holds nothing.
    pub async fn acquire(home: &Path, wait: Duration) -> Result<Self, LockError> {
        let folder = home.join("registry");
        let path = folder.join(LOCK_FILE);
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
            .open(&path)
            .map_err(|source| WriteError::new(&path, source))?;
        let asked = tokio::time::Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK) if asked.elapsed() < wait => tokio::time::sleep(LOCK_RETRY).await,
                Err(Errno::WOULDBLOCK) => return Err(LockError::Busy(wait)),
                Err(errno) => return Err(WriteError::new(&path, errno.into()).into()),
            }
        }
        disk::sweep(&folder)?;
        Ok(Self { folder, _file: file })
    }

    /// The folder that the lock is for.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}
