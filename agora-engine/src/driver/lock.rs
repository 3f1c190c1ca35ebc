//! The lock that makes one process the driver.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use agora_core::error::{Class, Coded};
use tokio::sync::oneshot;

/// Why the lock cannot be had, other than that another process has it.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Something else stands in its place.
    #[error("{} is not a regular file", .0.display())]
    Kind(PathBuf),
    /// It cannot be made or opened here.
    #[error("{} cannot be written: {source}", .path.display())]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// As the system says it.
        source: io::Error,
    },
    /// Anything else that the system says.
    #[error("{} cannot be locked: {source}", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// As the system says it.
        source: io::Error,
    },
}

impl LockError {
    fn of(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable { path, source },
            _ => Self::Io { path, source },
        }
    }
}

impl Coded for LockError {
    fn class(&self) -> Class {
        match self {
            Self::Kind(_) | Self::NotWritable { .. } => Class::Operator,
            Self::Io { .. } => Class::Later,
        }
    }
    fn code(&self) -> &'static str {
        match self {
            Self::Kind(_) => "home-file-kind",
            Self::NotWritable { .. } => "home-not-writable",
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk-full",
            Self::Io { .. } => "home-io",
        }
    }
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Kind(path) => format!("move {} away; agora makes the file itself", path.display()),
            Self::NotWritable { path, .. } => format!("check who owns {} and the folder it is in", path.display()),
            Self::Io { .. } => "see that there is room, then start it again".to_owned(),
        })
    }
}

/// The lock's file in a home.
pub(crate) const LOCK_FILE: &str = "driver.lock";

/// Holds the lock as long as it lives. The OS frees it when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct DriverLock {
    _file: File,
}

fn path(home: &Path) -> PathBuf {
    home.join(LOCK_FILE)
}

/// Looks at what is in the lock's place: nothing yet, or a regular file. A folder could be locked too, by those who do not
/// write to it, and a pipe would keep its opener waiting.
fn look(path: &Path) -> Result<(), LockError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(LockError::Kind(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LockError::of(path, error)),
    }
}

/// Whether some process holds the lock now.
///
/// # Errors
/// [`LockError`], when nobody can.
pub(crate) fn is_held(home: &Path) -> Result<bool, LockError> {
    let path = path(home);
    look(&path)?;
    match File::open(&path) {
        Ok(file) => Ok(matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(LockError::of(&path, error)),
    }
}

/// Takes the lock if nobody has it.
///
/// # Errors
/// [`LockError`], when nobody can hold it.
pub(crate) fn try_acquire(home: &Path) -> Result<Option<DriverLock>, LockError> {
    let path = path(home);
    look(&path)?;
    let failed = |error| LockError::of(&path, error);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(DriverLock { _file: file })),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Waits until this process holds the lock.
///
/// # Errors
/// [`LockError`], when nobody can hold it.
///
/// # Cancellation
/// A dropped future leaves a thread waiting for the lock; once it has it, it lets go of it at once.
pub(crate) async fn acquire(home: &Path) -> Result<DriverLock, LockError> {
    let path = path(home);
    look(&path)?;
    let failed = |error| LockError::of(&path, error);
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => return Ok(DriverLock { _file: file }),
        Err(std::fs::TryLockError::WouldBlock) => {}
        Err(std::fs::TryLockError::Error(error)) => return Err(failed(error)),
    }
    let (got, waits) = oneshot::channel();
    // A thread of its own: one that waits for ever must not hold up the runtime's end.
    let wait = move || {
        let result = file.lock().map(|()| DriverLock { _file: file });
        let _ = got.send(result);
    };
    std::thread::Builder::new().name("agora-lock".to_owned()).spawn(wait).map_err(failed)?;
    let locked = waits.await.unwrap_or_else(|_| Err(io::Error::other("the waiting thread ended")));
    locked.map_err(failed)
}
